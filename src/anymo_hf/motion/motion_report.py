"""`MotionReport`: a motion and what was understood of its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..modeling.body_segments import SEGMENT_INDEX
from .body_motion import BodyMotion


@dataclass(frozen=True)
class MotionReport:
    """What a format's reader gives.

    Args:
        motion: the body motion.
        up: the axis that points up in the file.
        metres_per_unit: of the file's lengths.
        joints: segment -> joint of the file it was read from; other segments were derived from their neighbours.
        notes: what a user should know, such as an up axis that was found from the body.
        recording: the `MvnxRecording` of an MVNX: trackers and repairs.
        format: name of the format; `inspect_motion` fills it in.
    """

    motion: BodyMotion
    up: str = "z"
    metres_per_unit: float = 1.0
    joints: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    recording: Any = None
    format: str = ""

    @property
    def height(self) -> float:
        """The person's height in metres, from thighs and shanks at 0.491 of it (`skeleton.py`)."""
        points = self.motion.positions[
            :, [SEGMENT_INDEX[f"{s}_{b}"] for s in "LR" for b in ("UpperLeg", "LowerLeg", "Foot")]
        ]
        bones = np.linalg.norm(np.diff(points.reshape(len(points), 2, 3, 3), axis=2), axis=-1).sum(-1)
        return float(np.median(bones) / 0.491)
