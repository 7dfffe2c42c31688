"""Standing, sitting and lying still, and riding a lift."""

from __future__ import annotations

import numpy as np

from ..activity import Activity
from ..pose import Build, Pose, integrate
from ..posture import ON_BACK, ON_SIDE, fidget, lie, sit, stand


def sit_still(slouching: bool = False) -> Build:
    """Sitting with idle hands."""

    def build(pose: Pose) -> None:
        sit(pose, slouch=pose.rng.uniform(0.5, 1.0) if slouching else None)
        fidget(pose, pose.rng.random() * 0.6)

    return build


def ride(up: bool) -> Build:
    """Standing in a lift that starts and stops."""

    def build(pose: Pose) -> None:
        stand(pose)
        sign = 1.0 if up else -1.0
        acceleration = np.zeros(len(pose.time))
        size, length = pose.rng.uniform(0.5, 1.3), pose.rng.uniform(1.0, 2.2)
        begin, ride = pose.rng.uniform(-1.0, 3.0), pose.rng.uniform(1.5, 5.0)
        for start, direction in ((begin, sign), (begin + length + ride, -sign)):
            s = (pose.time - start) / length
            acceleration += direction * size * np.where((s > 0) & (s < 1), np.sin(np.pi * np.clip(s, 0, 1)) ** 2, 0)
        travel = integrate(integrate(acceleration[:, None], pose.rate), pose.rate)[:, 0]
        pose.root = np.zeros((len(pose.time), 3))
        pose.root[:, 2] = 0.52 * pose.style.height + travel + pose.noise(0.0003, 6.0)

    return build


ACTIVITIES = (
    Activity(
        name="standing",
        build=stand,
        label="standing",
        label_phrases=(
            "standing",
            "stand",
            "standing still",
            "stand still",
            "upright and still",
            "standing up straight",
        ),
        verb_phrases=("stands still", "remains upright without moving", "stands in place", "keeps standing"),
        everyday=True,
    ),
    Activity(
        name="sitting",
        build=sit_still(),
        label="sitting",
        label_phrases=("sitting", "sit", "seated", "sitting on a chair", "sitting still", "sit down on a seat"),
        verb_phrases=("sits on a chair", "stays seated", "is sitting still", "sits upright"),
        everyday=True,
    ),
    Activity(
        name="slouching",
        broader="sitting",
        build=sit_still(slouching=True),
        label="sitting",
        label_phrases=(
            "slouching",
            "sitting slouched",
            "leaning back in a chair",
            "sitting relaxed",
            "lounging",
            "sitting on a sofa",
        ),
        verb_phrases=(
            "leans back in a seat",
            "slouches on a sofa",
            "sits relaxed and leans back",
            "lounges in a chair",
        ),
        everyday=True,
    ),
    Activity(
        name="lying_back",
        build=lie(ON_BACK),
        label="lying",
        label_phrases=(
            "lying",
            "lying on back",
            "lay",
            "laying",
            "lie down",
            "lying down",
            "sleeping",
            "sleep",
            "resting in bed",
        ),
        verb_phrases=("lies on the back", "is lying down facing up", "rests in bed on the back", "sleeps on the back"),
        everyday=True,
    ),
    Activity(
        name="lying_side",
        broader="lying_back",
        build=lie(ON_SIDE),
        label="lying",
        label_phrases=(
            "lying on the side",
            "lying on right side",
            "lying sideways",
            "sleeping on the side",
            "lay on one side",
            "lying in bed",
        ),
        verb_phrases=(
            "lies on one side",
            "rests sideways on a bed",
            "sleeps on the side",
            "is lying turned to one side",
        ),
        everyday=True,
    ),
    Activity(
        name="elevator_up",
        build=ride(up=True),
        plain_label="standing in an elevator",
        label_phrases=(
            "elevator up",
            "riding an elevator up",
            "going up in an elevator",
            "taking the lift up",
            "lift up",
            "in an elevator",
        ),
        verb_phrases=(
            "rides an elevator up",
            "stands in a rising elevator",
            "takes the lift up",
            "stands still while the elevator goes up",
        ),
    ),
    Activity(
        name="elevator_down",
        build=ride(up=False),
        plain_label="standing in an elevator",
        label_phrases=(
            "elevator down",
            "riding an elevator down",
            "going down in an elevator",
            "taking the lift down",
            "lift down",
            "in an elevator",
        ),
        verb_phrases=(
            "rides an elevator down",
            "stands in a sinking elevator",
            "takes the lift down",
            "stands still while the elevator goes down",
        ),
    ),
)
