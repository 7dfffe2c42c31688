"""Walking at every pace, sideways, on the spot and with a load."""

from __future__ import annotations

import numpy as np

from ..activity import Activity
from ..gait import bell
from ..locomotion import walk
from ..pose import SIDES, Impact, Pose, cycles, passages, smoothstep
from ..posture import upright


def side_step(pose: Pose) -> None:
    """Steps to one side: a leg opens while the other carries, then the other closes."""
    rng = pose.rng
    upright(pose)
    sign = rng.choice([-1.0, 1.0])
    pose.details["direction"] = "left" if sign > 0 else "right"
    phase = cycles(pose, rng.uniform(0.6, 1.0) * pose.style.tempo)
    size = rng.uniform(0.15, 0.32) * pose.style.amplitude
    opening = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    lead, trail = ("L", "R") if sign > 0 else ("R", "L")
    for side, centre in ((lead, 0.25), (trail, 0.75)):
        lift = bell(phase, centre, 0.09)
        pose.add(f"{side}_hip_abd", size * opening)
        pose.add(f"{side}_hip", 0.08 + 0.25 * lift)
        pose.add(f"{side}_knee", 0.15 + 0.5 * lift)
        pose.add(f"{side}_ankle", 0.07 + 0.2 * lift)
        for time in passages(pose, phase, centre + 0.2):
            pose.impacts.append(Impact(float(time), rng.uniform(3, 9), side))
    carry = smoothstep(np.sin(2 * np.pi * phase) + 0.5)
    weight = {trail: carry, lead: 1 - carry}
    pose.contacts = np.stack([weight["R"] / 2, weight["R"] / 2, weight["L"] / 2, weight["L"] / 2], 1)
    pose.angles["yaw"] = np.full(len(pose.time), rng.uniform(0, 2 * np.pi))


def carry(pose: Pose) -> None:
    """Walking with both hands under a load."""
    walk("normal" if pose.rng.random() < 0.6 else "slow")(pose)
    for side in SIDES:
        pose.angles[f"{side}_arm_flex"] = 0.35 + 0.15 * pose.get(f"{side}_arm_flex") + pose.noise(0.02, 1.0)
        pose.angles[f"{side}_elbow"] = pose.rng.uniform(1.1, 1.6) + pose.noise(0.03, 1.0)


ACTIVITIES = (
    Activity(
        name="walking",
        build=walk(),
        label="walking / hiking",
        label_phrases=(
            "walking",
            "walk",
            "walking forward",
            "walk forward",
            "strolling",
            "going for a walk",
            "walk straight ahead",
        ),
        verb_phrases=(
            "walks forward",
            "walks at a normal pace",
            "strolls ahead",
            "takes steps forward",
            "walks across the floor",
        ),
        everyday=True,
        says_speed=True,
    ),
    Activity(
        name="walking_slow",
        broader="walking",
        build=walk(pace="slow"),
        label="walking / hiking",
        label_phrases=("walking slowly", "slow walking", "strolling slowly", "walk slow", "a slow walk", "ambling"),
        verb_phrases=("walks slowly", "ambles forward", "strolls at a slow pace", "takes slow steps"),
        everyday=True,
    ),
    Activity(
        name="walking_fast",
        broader="walking",
        build=walk(pace="fast"),
        label="walking / hiking",
        label_phrases=(
            "walking fast",
            "brisk walking",
            "nordic walking",
            "walking briskly",
            "fast walk",
            "power walking",
        ),
        verb_phrases=("walks briskly", "strides quickly ahead", "walks fast", "takes long quick steps"),
        everyday=True,
    ),
    Activity(
        name="walking_turning",
        build=walk(curvature=0.7),
        label="turning in place / turning / spinning",
        label_phrases=(
            "walking in a circle",
            "turning while walking",
            "turning",
            "turning left",
            "turning right",
            "turn around",
        ),
        verb_phrases=(
            "walks along a curve",
            "turns while walking",
            "walks in a circle",
            "changes direction while walking",
        ),
        everyday=True,
    ),
    Activity(
        name="walking_backward",
        build=walk(pace="slow", direction=-1),
        label="walking / hiking",
        label_phrases=(
            "walking backward",
            "walk backwards",
            "stepping back",
            "backward walking",
            "moving backwards",
            "going backwards",
        ),
        verb_phrases=("walks backward", "steps backwards", "moves back step by step", "walks in reverse"),
    ),
    Activity(
        name="walking_in_place",
        build=walk(in_place=True),
        label="walking / stepping in place",
        label_phrases=(
            "walking in place",
            "stepping in place",
            "marching in place",
            "march on the spot",
            "walk in place",
            "stepping on the spot",
        ),
        verb_phrases=("walks in place", "marches on the spot", "steps in place", "lifts the knees in turn on the spot"),
    ),
    Activity(
        name="side_stepping",
        build=side_step,
        label="side stepping exercise",
        label_phrases=(
            "side stepping",
            "walking sideways",
            "stepping left",
            "stepping right",
            "stepping sideways",
            "side shuffle",
        ),
        verb_phrases=("steps sideways", "shuffles to the side", "walks sideways", "side steps"),
    ),
    Activity(
        name="carrying",
        broader="walking",
        build=carry,
        label="walking while carrying objects",
        label_phrases=(
            "carrying",
            "carrying a box",
            "walking while carrying",
            "carry objects",
            "moving a box",
            "moving something",
        ),
        verb_phrases=(
            "walks while carrying a box",
            "carries something with both hands",
            "moves a box across the room",
            "carries an object",
        ),
        says_speed=True,
    ),
    Activity(
        name="walking_left",
        build=walk(curvature=0.55, towards=1),
        plain_label="walking in a circle",
        label_phrases=(
            "walking to the left",
            "walk left",
            "walking left",
            "walking in a left circle",
            "walking counterclockwise",
            "bearing left",
        ),
        verb_phrases=(
            "walks along a curve to the left",
            "walks and bears left",
            "walks in a circle to the left",
            "keeps turning left while walking",
        ),
        everyday=True,
    ),
    Activity(
        name="walking_right",
        build=walk(curvature=0.55, towards=-1),
        plain_label="walking in a circle",
        label_phrases=(
            "walking to the right",
            "walk right",
            "walking right",
            "walking in a right circle",
            "walking clockwise",
            "bearing right",
        ),
        verb_phrases=(
            "walks along a curve to the right",
            "walks and bears right",
            "walks in a circle to the right",
            "keeps turning right while walking",
        ),
        everyday=True,
    ),
)
