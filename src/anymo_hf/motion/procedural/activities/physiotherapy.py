"""Exercises of shoulders and arms in every plane, as physiotherapists and trainers ask for them."""

from __future__ import annotations

import numpy as np

from ..activity import Activity
from ..person import Range
from ..pose import SIDES, Pose, cycles
from ..posture import ABOUT, stand
from ..whole_body import exercise


def arm_circles(pose: Pose) -> None:
    """Straight arms go round, small at the side or large overhead."""
    rng = pose.rng
    stand(pose, gaze=ABOUT)
    turn = 2 * np.pi * rng.choice([-1, 1]) * cycles(pose, rng.uniform(0.5, 1.5) * pose.style.tempo, 0.05)
    large = rng.random() < 0.5
    for side in SIDES:
        if large:
            pose.add(f"{side}_arm_flex", 1.45 + 1.35 * np.cos(turn))
            pose.add(f"{side}_arm_abd", 0.7 - 0.5 * np.sin(turn))
        else:
            size = rng.uniform(0.15, 0.45)
            pose.add(f"{side}_arm_flex", size * np.cos(turn))
            pose.add(f"{side}_arm_abd", 1.35 + size * np.sin(turn))


ACTIVITIES = (
    Activity(
        name="arm_abduction",
        build=exercise(
            Range(0.18, 0.5),
            {"arm_abd": 0.1, "elbow": 0.1},
            {"arm_abd": 1.6, "elbow": 0.1},
            arms="one",
            gaze=ABOUT,
            seated=0.2,
        ),
        label="dumbbell lateral raises",
        label_phrases=(
            "arm abduction",
            "lateral raise",
            "raising the arm to the side",
            "side arm raise",
            "shoulder abduction",
            "lifting the arm sideways",
            "lateral raises",
        ),
        verb_phrases=(
            "raises {side} arm to the side",
            "lifts {side} arm sideways to shoulder height",
            "does lateral raises",
            "moves {side} arm out to the side",
        ),
    ),
    Activity(
        name="lateral_raises_both",
        build=exercise(Range(0.25, 0.6), {"arm_abd": 0.1, "elbow": 0.15}, {"arm_abd": 1.5, "elbow": 0.1}, gaze=ABOUT),
        label="dumbbell lateral raises",
        label_phrases=(
            "lateral raises with both arms",
            "spreading both arms",
            "both arms to the side",
            "side raises",
            "dumbbell lateral raises",
            "arms out and in",
        ),
        verb_phrases=(
            "raises both arms to the sides",
            "spreads the arms and lowers them",
            "lifts both arms sideways",
            "does side raises",
        ),
    ),
    Activity(
        name="forward_elevation",
        build=exercise(
            Range(0.18, 0.5),
            {"arm_flex": 0.05, "elbow": 0.1},
            {"arm_flex": 2.3, "elbow": 0.1},
            arms="one",
            gaze=ABOUT,
            seated=0.2,
        ),
        label="raising hand(s) / arm(s)",
        label_phrases=(
            "forward elevation of the arm",
            "shoulder flexion",
            "raising one arm in front",
            "lifting the arm forward",
            "frontal elevation of arms",
            "arm forward and up",
        ),
        verb_phrases=(
            "raises {side} arm in front and overhead",
            "lifts {side} arm forward",
            "brings {side} arm up in front",
            "does shoulder flexion",
        ),
    ),
    Activity(
        name="external_rotation",
        build=exercise(
            Range(0.25, 0.7),
            {"elbow": 1.55, "arm_abd": 0.08, "arm_twist": 0.2, "pronation": 0.1},
            {"arm_twist": -1.1},
            arms="one",
            gaze=ABOUT,
        ),
        label="rotating hands / arms",
        label_phrases=(
            "external rotation of the shoulder",
            "external rotation",
            "turning the forearm outward",
            "outward rotation with a band",
            "rotator cuff exercise outward",
            "pulling a band outward",
        ),
        verb_phrases=(
            "turns {side} forearm outward with the elbow at the side",
            "rotates {side} shoulder out",
            "pulls a band outward",
            "swings {side} forearm out",
        ),
    ),
    Activity(
        name="internal_rotation",
        build=exercise(
            Range(0.25, 0.7),
            {"elbow": 1.55, "arm_abd": 0.1, "arm_twist": -0.7, "pronation": 0.3},
            {"arm_twist": 1.5},
            arms="one",
            gaze=ABOUT,
        ),
        label="rotating hands / arms",
        label_phrases=(
            "internal rotation of the shoulder",
            "internal rotation",
            "turning the forearm inward",
            "inward rotation with a band",
            "rotator cuff exercise inward",
            "pulling a band to the belly",
        ),
        verb_phrases=(
            "turns {side} forearm inward across the belly",
            "rotates {side} shoulder in",
            "pulls a band inward",
            "swings {side} forearm in",
        ),
    ),
    Activity(
        name="pendulum",
        build=exercise(
            Range(0.4, 0.9),
            {"trunk_flex": 0.7, "pelvis_pitch": 0.4, "hip": 0.4, "arm_flex": 0.7, "elbow": 0.05},
            {"arm_flex": 0.7, "arm_abd": 0.4},
            arms="one",
            lag={"arm_abd": 0.25},
            sharpness=Range(0.9, 1.1),
        ),
        plain_label="arm pendulum",
        label_phrases=(
            "pendulum exercise",
            "swinging the hanging arm",
            "arm pendulum",
            "pendulum swings",
            "bending over and swinging the arm",
            "letting the arm swing in circles",
        ),
        verb_phrases=(
            "lets {side} arm hang and swing",
            "bends over and swings {side} arm in circles",
            "does pendulum swings",
            "circles the hanging arm",
        ),
    ),
    Activity(
        name="trapezius_extension",
        build=exercise(
            Range(0.25, 0.6),
            {"arm_flex": 0.9, "trunk_flex": 0.3, "elbow": 0.1},
            {"arm_flex": -1.2},
            arms="one",
            gaze=ABOUT,
        ),
        plain_label="pulling the arm back",
        label_phrases=(
            "trapezius extension",
            "shoulder extension",
            "pulling the straight arm back",
            "arm extension backward",
            "pulling a band back",
            "straight arm pull",
        ),
        verb_phrases=(
            "pulls {side} straight arm back",
            "draws {side} arm down and back",
            "pulls a band backward",
            "extends {side} shoulder",
        ),
    ),
    Activity(
        name="upright_row",
        build=exercise(
            Range(0.3, 0.7),
            {"arm_flex": 0.25, "arm_abd": 0.1, "elbow": 0.3, "pronation": 0.6},
            {"arm_abd": 1.1, "arm_flex": 0.3, "elbow": 1.7, "shrug": 0.15},
            gaze=ABOUT,
        ),
        plain_label="upright row",
        label_phrases=(
            "upright row",
            "lifting a bar to the chin",
            "upright rows",
            "pulling the elbows up",
            "raising a barbell to the chest",
            "row upward",
        ),
        verb_phrases=(
            "pulls both elbows up to shoulder height",
            "lifts a bar to the chin",
            "does upright rows",
            "raises a weight along the body",
        ),
    ),
    Activity(
        name="seated_row",
        build=exercise(
            Range(0.3, 0.7),
            {"arm_flex": 1.2, "elbow": 0.2, "trunk_flex": 0.15, "pronation": 0.3},
            {"arm_flex": -1.5, "elbow": 1.6, "trunk_flex": -0.2},
            gaze=ABOUT,
            seated=0.6,
        ),
        plain_label="pulling a cable",
        label_phrases=(
            "seated row",
            "pulling the elbows back",
            "cable row",
            "pulling a band to the chest",
            "horizontal row",
            "pull back",
        ),
        verb_phrases=(
            "pulls both elbows back",
            "pulls a cable to the chest",
            "rows with a band",
            "draws both hands to the belly",
        ),
    ),
    Activity(
        name="overhead_press",
        build=exercise(
            Range(0.3, 0.8),
            {"arm_flex": 0.9, "arm_abd": 0.4, "elbow": 2.1, "pronation": 0.4},
            {"arm_flex": 1.7, "arm_abd": -0.2, "elbow": -1.9},
            gaze=ABOUT,
            seated=0.3,
        ),
        plain_label="pressing overhead",
        label_phrases=(
            "overhead press",
            "shoulder press",
            "pressing weights overhead",
            "military press",
            "pushing weights up",
            "press",
        ),
        verb_phrases=(
            "presses weights overhead",
            "pushes both arms up",
            "does shoulder presses",
            "lifts a bar above the head",
        ),
    ),
    Activity(
        name="triceps_extension",
        build=exercise(
            Range(0.3, 0.8), {"arm_flex": 2.6, "elbow": 2.1, "arm_abd": 0.1}, {"elbow": -1.9}, gaze=ABOUT, seated=0.3
        ),
        plain_label="extending the elbows",
        label_phrases=(
            "triceps extension",
            "elbow extension overhead",
            "extending the forearms",
            "triceps exercise",
            "straightening the elbows overhead",
            "skull crusher",
        ),
        verb_phrases=(
            "straightens both elbows overhead",
            "extends the forearms up",
            "does triceps extensions",
            "lowers a weight behind the head",
        ),
    ),
    Activity(
        name="arm_circles",
        build=arm_circles,
        label="standing arm circles",
        label_phrases=(
            "arm circles",
            "circling the arms",
            "arm circles standing",
            "shoulder circles",
            "swinging the arms round",
            "windmill arms",
        ),
        verb_phrases=(
            "circles both arms",
            "swings the straight arms round",
            "does arm circles",
            "turns the arms like a windmill",
        ),
    ),
    Activity(
        name="shrugs",
        build=exercise(
            Range(0.4, 0.9), {"arm_flex": 0.02, "elbow": 0.1}, {"shrug": 0.35, "elbow": 0.05}, gaze=ABOUT, seated=0.4
        ),
        plain_label="shrugging",
        label_phrases=(
            "shrugs",
            "shoulder shrugs",
            "lifting the shoulders",
            "shrugging",
            "raising both shoulders",
            "shoulder rolls",
        ),
        verb_phrases=(
            "shrugs both shoulders",
            "lifts the shoulders and lets them drop",
            "does shoulder shrugs",
            "raises the shoulders to the ears",
        ),
    ),
    Activity(
        name="wrist_turns",
        build=exercise(
            Range(0.5, 1.4),
            {"arm_flex": 0.5, "elbow": 1.4, "pronation": -0.6},
            {"pronation": 1.6, "wrist": 0.2},
            arms="one",
            seated=0.6,
            sharpness=Range(0.8, 1.1),
        ),
        label="rotating hands / arms",
        label_phrases=(
            "turning the wrist",
            "rotating the hands",
            "wrist rotation",
            "forearm turns",
            "turning palm up and down",
            "hand rotation",
        ),
        verb_phrases=(
            "turns {side} palm up and down",
            "rotates {side} wrist",
            "turns {side} forearm to and fro",
            "rotates the hands",
        ),
    ),
)
