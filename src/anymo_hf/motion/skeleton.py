"""The 23-segment skeleton: segment origins in the T-pose for a given body height."""

from __future__ import annotations

import numpy as np

from ..modeling.body_segments import PARENTS, SEGMENTS

# Segment origin relative to its parent's origin in the T-pose, as a fraction of body height.
# Limb lengths: Drillis and Contini (1966), as tabled by Winter, Biomechanics and Motor Control (2009), fig. 4.1.
# The trunk's share is split over the Xsens spine segments.
_OFFSETS = {
    "Pelvis": (0.0, 0.0, 0.0),
    "L5": (-0.005, 0.0, 0.055),
    "L3": (0.0, 0.0, 0.058),
    "T12": (0.0, 0.0, 0.054),
    "T8": (0.0, 0.0, 0.054),
    "Neck": (0.0, 0.0, 0.075),
    "Head": (0.005, 0.0, 0.050),
    "Shoulder": (0.0, 0.018, 0.046),
    "UpperArm": (0.0, 0.091, 0.0),
    "Forearm": (0.0, 0.172, 0.0),
    "Hand": (0.0, 0.146, 0.0),
    "UpperLeg": (0.0, 0.048, -0.006),
    "LowerLeg": (0.0, 0.0, -0.245),
    "Foot": (0.0, 0.0, -0.246),
    "Toe": (0.085, 0.0, -0.030),
}
ANKLE_HEIGHT = 0.039


def tpose_offsets(height: float, leg_scale: float = 1.0, arm_scale: float = 1.0) -> np.ndarray:
    """Origin of each segment relative to its parent's, T-pose, `(23, 3)` metres (x forward, y left, z up)."""
    if not 0.5 <= height <= 2.6:
        raise ValueError(f"height must lie between 0.5 and 2.6 m, got {height}")
    offsets = np.zeros((len(SEGMENTS), 3))
    for index, segment in enumerate(SEGMENTS):
        side = segment[:2] if segment[:2] in ("R_", "L_") else ""
        bone = segment[len(side) :]
        scale = leg_scale if bone in ("LowerLeg", "Foot") else arm_scale if bone in ("Forearm", "Hand") else 1.0
        offsets[index] = np.array(_OFFSETS[bone]) * height * scale
        if side == "R_":
            offsets[index, 1] *= -1
    return offsets


def tpose_positions(height: float) -> np.ndarray:
    """Segment origins in the T-pose with the soles on z = 0, `(23, 3)` metres."""
    offsets = tpose_offsets(height)
    positions = np.zeros_like(offsets)
    for index, parent in enumerate(PARENTS):
        if parent >= 0:
            positions[index] = positions[parent] + offsets[index]
    positions[:, 2] += ANKLE_HEIGHT * height - positions[SEGMENTS.index("R_Foot"), 2]
    return positions
