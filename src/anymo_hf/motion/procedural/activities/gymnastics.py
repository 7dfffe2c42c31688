"""Exercises of the whole body without machines."""

from __future__ import annotations

import numpy as np

from ..activity import Activity
from ..gait import bounce
from ..person import Range
from ..pose import SIDES, Impact, Pose, cycles, passages, ringing
from ..posture import ABOUT, upright
from ..whole_body import exercise


def jumping_jack(pose: Pose) -> None:
    """Jumps that open and close legs and arms."""
    rng = pose.rng
    upright(pose)
    frequency = rng.uniform(0.7, 1.2) * pose.style.tempo**0.5
    phase = cycles(pose, frequency)
    opening = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    pose.vertical = bounce(2 * phase, 2 * frequency, rng.uniform(0.55, 0.75))
    landings = np.concatenate([passages(pose, phase, at) for at in (0.02, 0.52)])
    for side in SIDES:
        pose.add(f"{side}_arm_abd", rng.uniform(2.0, 2.7) * opening)
        pose.add(f"{side}_hip_abd", rng.uniform(0.35, 0.55) * opening)
        pose.add(f"{side}_knee", 0.2 + 0.2 * np.cos(4 * np.pi * phase))
        pose.add(f"{side}_hip", 0.1 + 0.1 * np.cos(4 * np.pi * phase))
        pose.add(f"{side}_hip_turn", ringing(pose, landings, rng.normal(0, 0.8), rng.uniform(4, 8)))
    pose.contacts = np.full((len(pose.time), 4), 0.25)
    for number, time in enumerate(landings):
        pose.impacts.append(Impact(float(time), rng.uniform(8, 26), SIDES[number % 2]))


ACTIVITIES = (
    Activity(
        name="jumping_jacks",
        build=jumping_jack,
        plain_label="jumping jacks",
        label_phrases=(
            "jumping jacks",
            "jumping jack",
            "star jumps",
            "jump with arms and legs apart",
            "star jump",
            "side straddle hops",
        ),
        verb_phrases=(
            "does jumping jacks",
            "jumps and spreads arms and legs",
            "does star jumps",
            "claps overhead while jumping apart",
        ),
    ),
    Activity(
        name="push_ups",
        build=exercise(
            Range(0.3, 0.9),
            {"pelvis_pitch": 1.35, "arm_flex": 1.35, "head_pitch": -0.3, "ankle": 0.6},
            {"elbow": 1.5, "arm_flex": -0.9, "arm_abd": 0.6, "pelvis_pitch": 0.12},
            height=(0.24, 0.12),
        ),
        plain_label="push-ups",
        label_phrases=("push-ups", "push ups", "press-ups", "doing push-ups", "press up", "pushing up from the floor"),
        verb_phrases=(
            "does push-ups",
            "lowers the chest to the floor and pushes up",
            "does press-ups",
            "pushes the body up with both arms",
        ),
    ),
    Activity(
        name="plank",
        build=exercise(
            Range(0.1, 0.3),
            {"pelvis_pitch": 1.45, "arm_flex": 1.4, "elbow": 1.4, "head_pitch": -0.3},
            {"pelvis_roll": 0.02, "pelvis_pitch": 0.03},
            height=(0.16, 0.17),
        ),
        label="plank / alternating plank",
        label_phrases=(
            "plank",
            "holding a plank",
            "forearm plank",
            "planking",
            "plank position",
            "holding the body straight on the elbows",
        ),
        verb_phrases=(
            "holds a plank",
            "supports the body on the elbows",
            "keeps the body straight above the floor",
            "planks",
        ),
    ),
    Activity(
        name="sit_ups",
        build=exercise(
            Range(0.25, 0.6),
            {"pelvis_pitch": -1.45, "hip": 0.9, "knee": 1.4, "arm_flex": 1.0, "elbow": 1.9},
            {"pelvis_pitch": 0.85, "trunk_flex": 0.85, "hip": 0.6, "arm_flex": 0.3},
            height=(0.09, 0.1),
        ),
        label="sit-ups",
        label_phrases=("sit-ups", "sit ups", "crunches", "abdominal crunches", "doing sit-ups", "curl ups"),
        verb_phrases=(
            "does sit-ups",
            "curls up from lying on the back",
            "does crunches",
            "lifts the trunk off the floor",
        ),
    ),
    Activity(
        name="torso_twists",
        build=exercise(
            Range(0.4, 0.9),
            {"arm_flex": 1.0, "elbow": 1.3},
            {"trunk_twist": 0.75, "pelvis_twist": 0.2, "head_yaw": -0.3},
            alternate=True,
            gaze=ABOUT,
            seated=0.2,
        ),
        label="twisting torso",
        label_phrases=(
            "torso twists",
            "twisting the torso",
            "turning the trunk",
            "trunk twist",
            "trunk rotation",
            "twist left and right",
        ),
        verb_phrases=(
            "twists the torso from side to side",
            "turns the trunk left and right",
            "rotates the upper body",
            "does trunk twists",
        ),
    ),
    Activity(
        name="side_bends",
        build=exercise(
            Range(0.25, 0.6), {"arm_abd": 0.3}, {"trunk_side": 0.6, "pelvis_roll": 0.08}, alternate=True, gaze=ABOUT
        ),
        label="yoga / stretching",
        label_phrases=(
            "side bends",
            "bending to the side",
            "stretching sideways",
            "lateral bend",
            "stretching",
            "trunk side bend",
        ),
        verb_phrases=("bends to the left and right", "stretches to the side", "does side bends", "leans over sideways"),
    ),
    Activity(
        name="toe_touches",
        build=exercise(
            Range(0.2, 0.5),
            {"arm_flex": 0.1, "elbow": 0.1},
            {"trunk_flex": 0.95, "pelvis_pitch": 0.8, "hip": 0.85, "arm_flex": 0.7, "head_pitch": 0.1},
        ),
        label="yoga / stretching",
        label_phrases=(
            "toe touches",
            "waist bends forward",
            "bending forward",
            "touching the toes",
            "forward bend",
            "bowing down to the toes",
        ),
        verb_phrases=(
            "bends forward and touches the toes",
            "bends at the waist",
            "reaches down to the feet",
            "does forward bends",
        ),
    ),
    Activity(
        name="knee_raises",
        build=exercise(
            Range(0.5, 1.1),
            {"arm_abd": 0.1},
            {"hip": 1.4, "knee": 1.5, "arm_flex": 0.5},
            alternate=True,
            gaze=ABOUT,
            jolt=Range(4, 12),
            sharpness=Range(0.6, 1.0),
        ),
        label="knee raises",
        label_phrases=(
            "knee raises",
            "lifting the knees",
            "high knees",
            "raising the knees in turn",
            "knee lifts",
            "knees up",
        ),
        verb_phrases=(
            "lifts the knees in turn",
            "raises one knee after the other",
            "does knee raises",
            "brings the knees up high",
        ),
    ),
    Activity(
        name="butt_kicks",
        build=exercise(
            Range(0.6, 1.3),
            {"arm_abd": 0.1},
            {"knee": 1.8, "hip": 0.1, "arm_flex": 0.4},
            alternate=True,
            gaze=ABOUT,
            jolt=Range(5, 15),
            sharpness=Range(0.6, 1.0),
        ),
        label="butt kicks",
        label_phrases=(
            "butt kicks",
            "heel kicks",
            "kicking the heels up behind",
            "heels to the bottom",
            "butt kick exercise",
            "heel flicks",
        ),
        verb_phrases=(
            "kicks the heels up behind",
            "does butt kicks",
            "flicks the heels to the bottom",
            "brings the heels up in turn",
        ),
    ),
    Activity(
        name="front_kicks",
        build=exercise(
            Range(0.4, 0.9),
            {"arm_abd": 0.2, "elbow": 1.2},
            {"hip": 1.3, "knee": 0.4, "trunk_flex": 0.0, "arm_flex": 0.4},
            alternate=True,
            gaze=ABOUT,
            jolt=Range(4, 12),
            sharpness=Range(1.0, 1.8),
        ),
        label="front kicks",
        label_phrases=(
            "front kicks",
            "kicking forward",
            "front kick",
            "leg swings forward",
            "kicks to the front",
            "karate kick",
        ),
        verb_phrases=(
            "kicks forward with both legs in turn",
            "does front kicks",
            "swings the legs up in front",
            "kicks to the front",
        ),
    ),
    Activity(
        name="leg_raises",
        build=exercise(
            Range(0.3, 0.7),
            {"arm_abd": 0.15},
            {"hip_abd": 0.6, "trunk_side": -0.05},
            alternate=True,
            gaze=ABOUT,
            jolt=Range(2, 6),
            sharpness=Range(0.6, 1.2),
        ),
        label="standing leg raise",
        label_phrases=(
            "standing leg raises",
            "lifting the leg to the side",
            "side leg raise",
            "leg abduction",
            "leg lifts",
            "hip abduction",
        ),
        verb_phrases=(
            "lifts the legs to the side in turn",
            "raises one leg sideways",
            "does standing leg raises",
            "swings a leg out to the side",
        ),
    ),
    Activity(
        name="heel_raises",
        build=exercise(
            Range(0.4, 1.0),
            {"arm_abd": 0.1},
            {"ankle": -0.5},
            height=(0.52, 0.555),
            gaze=ABOUT,
            sharpness=Range(0.6, 1.2),
        ),
        label="tiptoeing",
        label_phrases=(
            "heel raises",
            "calf raises",
            "standing on tiptoe",
            "tiptoeing",
            "rising onto the toes",
            "toe stands",
        ),
        verb_phrases=("rises onto the toes and comes down", "does calf raises", "lifts both heels", "stands on tiptoe"),
    ),
    Activity(
        name="stepper",
        build=exercise(
            Range(0.5, 1.1),
            {"pelvis_pitch": 0.1, "trunk_flex": 0.15, "arm_flex": 0.5, "elbow": 0.9, "hip": 0.25, "knee": 0.35},
            {"hip": 0.75, "knee": 0.85, "pelvis_roll": 0.06, "trunk_side": -0.05},
            height=(0.5, 0.53),
            alternate=True,
            gaze=ABOUT,
            sharpness=Range(0.5, 0.7),
        ),
        label="stepper exercise / using stepper",
        label_phrases=(
            "stepper",
            "exercising on a stepper",
            "stair climber machine",
            "using a stepper",
            "step machine",
            "stepper exercise",
        ),
        verb_phrases=(
            "exercises on a stepper",
            "steps on a machine",
            "treads the pedals of a stepper",
            "works out on a stair machine",
        ),
    ),
    Activity(
        name="cross_trainer",
        build=exercise(
            Range(0.6, 1.1),
            {"pelvis_pitch": 0.08, "arm_flex": 0.3, "elbow": 1.0, "hip": 0.1, "knee": 0.35},
            {"hip": 0.75, "knee": 0.6, "pelvis_twist": 0.08, "arm_flex": 0.7, "elbow": -0.4, "trunk_twist": -0.15},
            height=(0.51, 0.53),
            alternate=True,
            gaze=ABOUT,
            sharpness=Range(0.5, 0.7),
            lag={"arm_flex": 0.5, "elbow": 0.5, "knee": -0.1},
        ),
        plain_label="using a cross trainer",
        label_phrases=(
            "cross trainer",
            "exercising on a cross trainer",
            "elliptical trainer",
            "using an elliptical",
            "elliptical machine",
            "ski machine",
        ),
        verb_phrases=(
            "exercises on a cross trainer",
            "glides on an elliptical trainer",
            "pushes the handles of a cross trainer",
            "works out on an elliptical",
        ),
    ),
)
