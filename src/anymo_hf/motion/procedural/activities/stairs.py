"""Stairs up and down, with and without landings."""

from __future__ import annotations

from ..activity import Activity
from ..locomotion import move_on_feet
from ..pose import Build, Pose


def stairs(gait: str) -> Build:
    """Stairs, `gait` "up" or "down"."""

    def build(pose: Pose) -> None:
        rng = pose.rng
        cadence = rng.uniform(0.66, 0.94) * pose.style.tempo**0.5 * (1.1 if gait == "down" else 1.0)
        impact = rng.uniform(6, 22) if gait == "up" else rng.uniform(12, 36)
        # three in four stairs turn, as stairwells do: half a turn in three to seven metres, most of it at landings
        curvature = rng.choice([-1, 1]) * rng.uniform(0.4, 1.1) if rng.random() < 0.75 else 0.0
        move_on_feet(
            pose, cadence, rng.uniform(0.24, 0.33), impact, gait, curvature=curvature, clearance=rng.uniform(0.04, 0.1),
            landings=rng.uniform(0.3, 1.0),
        )  # fmt: skip

    return build


ACTIVITIES = (
    Activity(
        name="stairs_up",
        build=stairs("up"),
        label="walking up stairs",
        label_phrases=(
            "walking up stairs",
            "climbing stairs",
            "stairs up",
            "walking upstairs",
            "upstairs",
            "climbing up",
            "going up the stairs",
            "walk upstairs",
            "stairs",
        ),
        verb_phrases=("walks up the stairs", "climbs a staircase", "goes upstairs", "steps up stair by stair"),
        everyday=True,
    ),
    Activity(
        name="stairs_down",
        build=stairs("down"),
        label="walking down stairs",
        label_phrases=(
            "walking down stairs",
            "going down stairs",
            "stairs down",
            "walking downstairs",
            "downstairs",
            "climbing down",
            "walk downstairs",
            "stairs",
        ),
        verb_phrases=(
            "walks down the stairs",
            "goes downstairs",
            "steps down a staircase",
            "comes down stair by stair",
        ),
        everyday=True,
    ),
)
