"""Heel strikes, landings and knocks: short transients that decay along the body.

Sizes follow Lafortune (1991) for the shank and Menz et al. (2003) for pelvis and head, brought down to what worn phones
show (`evaluation/signal_comparison.py`).
"""

from __future__ import annotations

import numpy as np

from ...modeling.body_segments import SEGMENTS
from .pose import Pose, rotation

# Share of a heel-strike acceleration that reaches each segment (Menz 2003; Lafortune 1991).
IMPACT_SHARE = {
    "Foot": 1.0, "Toe": 1.0, "LowerLeg": 0.85, "UpperLeg": 0.42, "Pelvis": 0.40, "L5": 0.37, "L3": 0.34, "T12": 0.30,
    "T8": 0.27, "Neck": 0.22, "Head": 0.18, "Shoulder": 0.25, "UpperArm": 0.24, "Forearm": 0.26, "Hand": 0.28,
}  # fmt: skip
# share of the way from pelvis to head at which a segment hangs; legs hang from the pelvis
_SPINE_HEIGHT = {"Pelvis": 0.0, "L5": 0.15, "L3": 0.3, "T12": 0.45, "T8": 0.6, "Neck": 0.85, "Head": 1.0}
FROM_PELVIS = np.array([
    _SPINE_HEIGHT.get(name, 0.0 if name[2:] in ("UpperLeg", "LowerLeg", "Foot", "Toe") else 0.7) for name in SEGMENTS
])  # fmt: skip
_KNOCK_SHARE = {"Hand": 1.0, "Forearm": 0.7, "UpperArm": 0.25}


def foot_transients(pose: Pose) -> np.ndarray:
    """Short transients `u^3 exp(-u)` of every impact, `(T, 23, 3)` metres."""
    out = np.zeros((len(pose.time), len(SEGMENTS), 3))
    share = {side: np.array([IMPACT_SHARE[s.removeprefix("R_").removeprefix("L_")]
                             * (0.25 if s[0] == other and s[2:] in ("Foot", "Toe", "LowerLeg", "UpperLeg") else 1.0)
                             for s in SEGMENTS]) for side, other in (("R", "L"), ("L", "R"))}  # fmt: skip
    for impact in pose.impacts:
        if impact.at != "foot":
            continue
        start, peak, side = impact.time, impact.size, impact.side
        tau = pose.rng.uniform(0.016, 0.034)
        size = peak / 1.5 * pose.style.impact * np.exp(pose.rng.normal(0, 0.2)) * tau**2
        delay = 0.004 * (1 - share[side]) / tau  # the wave takes a few milliseconds to climb
        u = np.clip((pose.time[:, None] - start) / tau - delay, 0, 40)
        direction = np.array([pose.rng.normal(-0.6, 0.35), pose.rng.normal(0.35 if side == "R" else -0.35, 0.3), 1.0])
        wave = size * share[side] * u**3 * np.exp(-u)
        forward = rotation(2, pose.get("yaw")) @ direction
        # what comes along the spine is upright in the end (Menz et al. 2003)
        level = 1 - np.array([0.8, 0.8, 0.0]) * FROM_PELVIS[:, None]
        out += wave[..., None] * forward[:, None] * level
    return out


def hand_transients(pose: Pose) -> np.ndarray:
    """Transients of claps, knocks and punches at hand and forearm, `(T, 23, 3)` metres."""
    out = np.zeros((len(pose.time), len(SEGMENTS), 3))
    for impact in pose.impacts:
        if impact.at != "hand":
            continue
        tau = pose.rng.uniform(0.012, 0.02)
        u = np.clip((pose.time - impact.time) / tau, 0, 40)
        wave = impact.size * tau**2 * u**3 * np.exp(-u)
        direction = pose.rng.normal(0, 1, 3)
        direction /= np.linalg.norm(direction)
        for bone, share in _KNOCK_SHARE.items():
            out[:, SEGMENTS.index(f"{impact.side}_{bone}")] += share * wave[:, None] * direction
    return out
