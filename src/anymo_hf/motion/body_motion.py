"""`BodyMotion`: what every motion source gives, 23 posed segments over time with narrations."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..modeling.body_segments import SEGMENTS
from ..refusals import LARGEST_VALUE
from .posed_mesh import PosedMesh


@dataclass(frozen=True)
class Narration:
    """A sentence about the motion between `start` and `end` (seconds from the first frame)."""

    start: float
    end: float
    text: str
    label: str | None = None


@dataclass
class BodyMotion:
    """Motion of the 23 Xsens segments (paper §3).

    Args:
        frame_rate: frames per second.
        positions: `(T, 23, 3)` segment origins (proximal joints), metres, world z-up.
        orientations: `(T, 23, 4)` unit quaternions wxyz, segment to world, identity in the T-pose.
        narrations: sentences with times.
        subject: who moves; windows of one subject stay on one side of a split.
        name: a name for this recording.
        source: where it came from.
        mesh: the body surface over the same frames, where the source has one.

    Raises:
        ValueError: wrong shapes, non-finite or impossible values, zero quaternions or an impossible rate.
    """

    frame_rate: float
    positions: np.ndarray
    orientations: np.ndarray
    narrations: list[Narration] = field(default_factory=list)
    subject: str = ""
    name: str = ""
    source: str = ""
    mesh: PosedMesh | None = None

    def __post_init__(self) -> None:
        frames, segments = len(self.positions), len(SEGMENTS)
        if not np.isfinite(self.frame_rate) or self.frame_rate <= 0:
            raise ValueError(f"frame_rate must be a positive number, got {self.frame_rate}")
        if self.positions.shape != (frames, segments, 3):
            raise ValueError(f"positions must be (T, {segments}, 3), got {self.positions.shape}")
        if self.orientations.shape != (frames, segments, 4):
            raise ValueError(f"orientations must be (T, {segments}, 4) wxyz, got {self.orientations.shape}")
        if not (np.isfinite(self.positions).all() and np.isfinite(self.orientations).all()):
            raise ValueError("positions and orientations must be finite; remove or repair NaN frames first")
        if frames and np.abs(self.positions).max() > LARGEST_VALUE:
            raise ValueError(
                f"positions reach {np.abs(self.positions).max():.3g} m; check the unit, or remove those frames"
            )
        if self.mesh is not None and len(self.mesh.transforms) != frames:
            raise ValueError(f"mesh has {len(self.mesh.transforms)} frames, the motion {frames}")
        norm = np.linalg.norm(self.orientations, axis=-1, keepdims=True)
        if (norm < 0.5).any():
            raise ValueError("orientations holds quaternions of norm below 0.5; repair them first")
        self.orientations = self.orientations / norm

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the end of the last."""
        return len(self.positions) / self.frame_rate
