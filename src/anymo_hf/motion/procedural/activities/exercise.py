"""Exercise on the spot and on machines."""

from __future__ import annotations

import numpy as np

from ..activity import Activity
from ..arms import ArmAngles, rhythm
from ..person import Range
from ..pose import SIDES, Build, Pose, cycles
from ..posture import upright


def squat(lunge: bool = False) -> Build:
    """Squats, or lunges with one leg in front."""

    def build(pose: Pose) -> None:
        rng = pose.rng
        upright(pose)
        frequency = rng.uniform(0.25, 0.55) * pose.style.tempo
        phase = cycles(pose, frequency)
        down = (0.5 - 0.5 * np.cos(2 * np.pi * phase)) ** rng.uniform(0.8, 1.4) * min(pose.style.amplitude, 1.2)
        pose.details["repetitions"] = max(1, int(frequency * pose.time[-1]))
        front = rng.choice(SIDES)
        for side in SIDES:
            if lunge and side != front:
                hip, knee = -0.15 + 0.1 * down, 0.2 + 1.3 * down
            else:
                hip, knee = (0.3 if lunge else 0.05) + 1.35 * down, (0.2 if lunge else 0.1) + 1.65 * down
            pose.add(f"{side}_hip", hip)
            pose.add(f"{side}_knee", knee)
            # the front sole stays level; behind, the heel comes up and the foot goes with the shank
            behind = lunge and side != front
            pose.angles[f"{side}_ankle"] = 0.35 * down if behind else knee - hip + 0.35 * down
            pose.add(f"{side}_arm_flex", rng.uniform(0.0, 1.4) * (0.3 + 0.7 * down))
        pose.add("pelvis_pitch", 0.35 * down)
        pose.add("trunk_flex", (0.1 if lunge else 0.35) * down)
        pose.contacts = np.zeros((len(pose.time), 4))
        pose.contacts[:, :2], pose.contacts[:, 2:] = (
            (0.25, 0.25) if not lunge else ((0.5, 0) if front == "R" else (0, 0.5))
        )

    return build


def cycle(pose: Pose) -> None:
    """Pedalling on a bicycle, which the road shakes."""
    rng = pose.rng
    phase = cycles(pose, rng.uniform(0.7, 1.5) * pose.style.tempo)
    lean = rng.uniform(0.1, 0.7)
    pose.add("pelvis_pitch", 0.4 * lean + 0.01 * np.sin(4 * np.pi * phase))
    pose.add("pelvis_roll", rng.uniform(0.01, 0.05) * np.sin(2 * np.pi * phase))
    pose.add("trunk_flex", lean + pose.noise(0.01, 0.8))
    pose.add("head_pitch", -0.8 * lean)
    for side, shift in (("R", 0.0), ("L", 0.5)):
        turn = 2 * np.pi * (phase + shift)
        pose.add(f"{side}_hip", 0.95 + 0.4 * lean + 0.38 * np.cos(turn))
        pose.add(f"{side}_knee", 1.25 + 0.62 * np.cos(turn - 0.35) + 0.05 * np.cos(2 * turn))
        pose.add(f"{side}_ankle", 0.15 * np.sin(turn))
        pose.add(f"{side}_arm_flex", 0.9 + 0.6 * lean + pose.noise(0.01, 1.0))
        pose.add(f"{side}_elbow", rng.uniform(0.1, 0.5) + pose.noise(0.01, 1.0))
        pose.add(f"{side}_pronation", 0.8)
    pose.root = np.zeros((len(pose.time), 3)) + np.array([0, 0, 0.9])
    road = rng.uniform(0.0002, 0.002)
    pose.root += np.stack([pose.noise(0.3 * road, 8.0), pose.noise(0.4 * road, 8.0), pose.noise(road, 8.0)], 1)
    pose.root[:, 1] += 0.006 * np.sin(2 * np.pi * phase)


def row(pose: Pose) -> None:
    """Rowing on a sliding seat."""
    rng = pose.rng
    phase = cycles(pose, rng.uniform(0.3, 0.55) * pose.style.tempo)
    pull = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    pose.add("pelvis_pitch", 0.3 - 0.6 * pull)
    pose.add("trunk_flex", 0.4 - 0.5 * pull)
    for side in SIDES:
        pose.add(f"{side}_hip", 1.9 - 1.0 * pull)
        pose.add(f"{side}_knee", 2.0 - 1.75 * pull)
        pose.add(f"{side}_arm_flex", 1.35 - 0.9 * pull**2)
        pose.add(f"{side}_elbow", 0.1 + 1.6 * pull**3)
    slide = 0.33 * pose.style.height * pull
    pose.root = np.stack([-slide, pose.noise(0.002, 1.0), np.full(len(slide), 0.35)], 1)


ACTIVITIES = (
    Activity(
        name="cycling",
        build=cycle,
        label="biking outdoors",
        label_phrases=(
            "cycling",
            "biking",
            "riding a bike",
            "riding",
            "riding a bicycle",
            "pedalling",
            "cycling on an exercise bike",
        ),
        verb_phrases=("rides a bike", "pedals a bicycle", "cycles along", "pedals steadily"),
    ),
    Activity(
        name="rowing",
        build=row,
        plain_label="rowing",
        label_phrases=("rowing", "row", "using a rowing machine", "rowing exercise", "rowing a boat", "pulling oars"),
        verb_phrases=(
            "rows on a rowing machine",
            "pulls the oars",
            "rows with the whole body",
            "slides and pulls while rowing",
        ),
    ),
    Activity(
        name="squats",
        build=squat(),
        label="squatting",
        label_phrases=("squatting", "squat", "doing squats", "squats", "deep knee bends", "squat down"),
        verb_phrases=(
            "does squats",
            "squats down and comes up",
            "bends both knees into a squat",
            "lowers into a squat",
        ),
    ),
    Activity(
        name="lunges",
        build=squat(lunge=True),
        label="lunges / lunging",
        label_phrases=("lunges", "lunge", "lunging", "forward lunge", "doing lunges", "lunge exercise"),
        verb_phrases=("does lunges", "lunges forward", "lowers into a lunge", "sinks into a lunge with one foot ahead"),
    ),
    Activity(
        name="arm_curl",
        build=rhythm(
            Range(0.4, 0.9),
            centre=ArmAngles(flex=0.1, abduction=0.05, elbow=1.1, pronation=-0.6),
            swing=ArmAngles(flex=0.08, elbow=0.95),
            arms="both",
        ),
        label="bicep curls",
        label_phrases=("arm curl", "bicep curls", "curling weights", "dumbbell curl", "arm curls", "lifting dumbbells"),
        verb_phrases=(
            "curls both arms",
            "does bicep curls",
            "lifts weights by bending the elbows",
            "bends both elbows to curl",
        ),
    ),
)
