"""One simulated person doing one activity."""

from __future__ import annotations

import numpy as np

from ..body_motion import BodyMotion, Narration
from ..seeds import seed_of
from .forward_kinematics import pose_to_motion
from .narration import compose_narrations
from .person import SubjectStyle
from .pose import Pose
from .registry import get_activity

HELD_OUT_SEED = 900_000  # training never draws a seed from here up


def simulate_activity(
    name: str, seed: int, duration: float = 6.0, frame_rate: float = 60.0, subject: SubjectStyle | None = None
) -> BodyMotion:
    """One person doing one activity, seeded; what other activities there are does not matter.

    Args:
        name: a key of `ACTIVITIES`.
        seed: decides the person (unless `subject` is given) and the motion; seeds from `HELD_OUT_SEED` up are kept
            for evaluation and demonstrations.
        duration: seconds, at least 2.
        frame_rate: frames per second.
        subject: a fixed person.

    Raises:
        ValueError: unknown activity, or a duration below 2 s.
    """
    chosen = get_activity(name)
    if duration < 2:
        raise ValueError(f"duration must be at least 2 s, got {duration}")
    rng = np.random.default_rng([seed, seed_of(name)])
    style = subject or SubjectStyle.draw(rng)
    pose = Pose(np.arange(int(round(duration * frame_rate))) / frame_rate, frame_rate, rng, style)
    chosen.build(pose)
    positions, orientations = pose_to_motion(pose)
    sentences = compose_narrations(name, pose.details, rng)
    narrations = [Narration(0.0, duration, text, chosen.class_name) for text in sentences]
    return BodyMotion(frame_rate, positions, orientations, narrations, f"procedural-{seed}", name, "procedural")
