"""From one posture to another, and down to reach for things."""

from __future__ import annotations

import numpy as np

from ..activity import Activity
from ..person import Range
from ..pose import SIDES, Build, Impact, Pose, cycles, passages, smoothstep
from ..posture import ON_BACK, blend, feet_down, level_head, lie, sit, stand, upright
from ..whole_body import Key, keyframes


def rise_or_sit(rising: bool) -> Build:
    """From a seat to standing, or back."""

    def build(pose: Pose) -> None:
        seat = lambda p: sit(p, slouch=p.rng.uniform(0, 0.4))  # noqa: E731
        order = (seat, stand) if rising else (stand, seat)
        mix = blend(pose, *order, Range(1.1, 2.2))
        lean = 4 * mix * (1 - mix)
        bend, tip = pose.rng.uniform(0.25, 0.6) * lean, pose.rng.uniform(0.3, 0.6) * lean
        pose.add("trunk_flex", bend)
        pose.add("pelvis_pitch", tip)
        level_head(pose, bend + tip, pose.rng.uniform(0.55, 1.0))
        for side in SIDES:
            pose.angles[f"{side}_hip"] = pose.get(f"{side}_hip") + pose.rng.uniform(0.2, 0.4) * lean
            # the sole stays level: ankle closes the chain of pelvis, hip and knee
            pose.angles[f"{side}_ankle"] = pose.get(f"{side}_knee") - pose.get(f"{side}_hip") + pose.get("pelvis_pitch")
        pose.contacts = np.full((len(pose.time), 4), 0.25)
        touch = np.flatnonzero(mix > 0.97)
        if not rising and len(touch):
            pose.impacts.append(Impact(float(pose.time[touch[0]]), pose.rng.uniform(2, 10), "R"))

    return build


def lie_down_or_get_up(rising: bool) -> Build:
    """From sitting on a bed to lying on the back, or up again."""

    def build(pose: Pose) -> None:
        seat = lambda p: sit(p, slouch=0.2)  # noqa: E731
        order = (lie(ON_BACK), seat) if rising else (seat, lie(ON_BACK))
        mix = blend(pose, *order, Range(1.4, 2.8))
        height = (mix if rising else 1 - mix) * 0.3 * pose.style.height + 0.12
        pose.root = np.stack([0 * mix, 0 * mix, height], 1)

    return build


def bend_and_reach(down: bool) -> Build:
    """Reaching with both hands to the floor (`down`) or a low surface."""

    def build(pose: Pose) -> None:
        rng = pose.rng
        stand(pose)
        seconds, begin = rng.uniform(1.6, 3.0), rng.uniform(0.2, 2.5)
        s = (pose.time - begin) / seconds
        dip = np.where((s > 0) & (s < 1), np.sin(np.pi * np.clip(s, 0, 1)) ** 2, 0.0)
        depth = rng.uniform(0.5, 1.3) if down else rng.uniform(0.1, 0.5)
        pose.add("trunk_flex", 0.7 * depth * dip)
        pose.add("pelvis_pitch", 0.6 * depth * dip)
        for side in SIDES:
            pose.add(f"{side}_hip", 0.6 * depth * dip + 0.35 * depth * dip)
            pose.add(f"{side}_knee", 0.7 * depth * dip)
            pose.angles[f"{side}_ankle"] = pose.get(f"{side}_knee") - pose.get(f"{side}_hip") + pose.get("pelvis_pitch")
            pose.add(f"{side}_arm_flex", rng.uniform(0.5, 1.1) * dip)
            pose.add(f"{side}_elbow", rng.uniform(0.1, 0.9) * dip)

    return build


def turn_on_the_spot(pose: Pose) -> None:
    """Small steps that turn the body about itself, by a quarter to more than a whole turn."""
    rng = pose.rng
    upright(pose)
    feet_down(pose)
    sign = rng.choice([-1.0, 1.0])
    pose.details["direction"] = "left" if sign > 0 else "right"
    angle, rate = rng.uniform(1.4, 7.0), rng.uniform(0.8, 2.2) * pose.style.tempo
    seconds = min(angle / rate, pose.time[-1])
    begin = rng.uniform(0, pose.time[-1] - seconds)
    # the eyes go first (Hollands et al. 2004)
    ahead, turned = (smoothstep((pose.time - begin + lead) / seconds) for lead in (0.35, 0.0))
    pose.add("yaw", sign * angle * turned)
    pose.add("head_yaw", np.clip(sign * angle * (ahead - turned), -0.8, 0.8))
    active = (turned > 0.02) & (turned < 0.98)
    phase = cycles(pose, rng.uniform(0.7, 1.1) * pose.style.tempo)
    gate = np.convolve(np.pad(active.astype(float), 10, mode="edge"), np.hanning(23)[1:-1] / 11, "valid")
    for side, shift in (("R", 0.0), ("L", 0.5)):
        lift = gate * np.maximum(np.sin(2 * np.pi * (phase + shift)), 0) ** 2
        pose.add(f"{side}_hip", 0.35 * lift)
        pose.add(f"{side}_knee", 0.7 * lift)
        for time in passages(pose, phase, 0.5 - shift):
            if begin < time < begin + seconds:
                pose.impacts.append(Impact(float(time), rng.uniform(3, 12), side))
    pose.add("pelvis_roll", gate * rng.uniform(0.02, 0.06) * np.sin(2 * np.pi * phase))
    pose.root = np.zeros((len(pose.time), 3))
    pose.root[:, 2] = 0.52 * pose.style.height + 0.008 * gate * np.cos(4 * np.pi * phase)


ACTIVITIES = (
    Activity(
        name="sit_to_stand",
        build=rise_or_sit(rising=True),
        label="standing up",
        label_phrases=(
            "standing up",
            "sit to stand",
            "getting up from a chair",
            "stand up",
            "rising from a seat",
            "rise to stand",
        ),
        verb_phrases=(
            "stands up from a chair",
            "rises from a seat",
            "gets up from sitting",
            "goes from sitting to standing",
        ),
    ),
    Activity(
        name="stand_to_sit",
        build=rise_or_sit(rising=False),
        label="sitting down",
        label_phrases=(
            "sitting down",
            "stand to sit",
            "sit down",
            "taking a seat",
            "lowering onto a chair",
            "going to sit",
        ),
        verb_phrases=("sits down on a chair", "takes a seat", "lowers onto a chair", "goes from standing to sitting"),
    ),
    Activity(
        name="lying_down",
        build=lie_down_or_get_up(rising=False),
        label="lying",
        label_phrases=(
            "going to lie down",
            "getting into bed",
            "sit to lie",
            "lowering to the bed",
            "lay down",
            "going to bed",
        ),
        verb_phrases=("lies down from sitting", "lowers onto the bed", "gets into bed", "goes from sitting to lying"),
    ),
    Activity(
        name="getting_up",
        build=lie_down_or_get_up(rising=True),
        label="sitting up",
        label_phrases=(
            "getting up",
            "getting out of bed",
            "lie to sit",
            "sitting up",
            "rising from bed",
            "getting up from the bed",
        ),
        verb_phrases=("gets up from lying", "sits up in bed", "rises from the bed", "goes from lying to sitting"),
    ),
    Activity(
        name="picking_up",
        build=bend_and_reach(down=True),
        label="picking up objects",
        label_phrases=(
            "picking up",
            "taking things off a shelf",
            "pick up objects",
            "pick something up",
            "bending to pick up",
            "lifting from the floor",
        ),
        verb_phrases=(
            "bends down and picks something up",
            "picks up an object",
            "stoops to lift something",
            "takes an object from below",
        ),
    ),
    Activity(
        name="placing",
        build=bend_and_reach(down=False),
        label="placing items on a surface",
        label_phrases=(
            "placing items",
            "put something down",
            "putting items in",
            "placing an object",
            "placing items into a box",
            "putting items away",
        ),
        verb_phrases=(
            "places an item on a surface",
            "puts something down",
            "sets an object on the table",
            "puts items into a box",
        ),
    ),
    Activity(
        name="kneeling_down",
        build=keyframes(
            Key(
                {"R_hip": 0.3, "R_knee": 1.5, "L_hip": 1.2, "L_knee": 1.3, "trunk_flex": 0.3, "R_ankle": -0.4},
                height=0.36,
            ),
            Key({"hip": 0.3, "knee": 1.7, "trunk_flex": 0.15, "ankle": -0.6}, height=0.27),
            either_side=True,
            jolt=Range(2, 7),
        ),
        label="kneeling",
        label_phrases=(
            "kneeling down",
            "kneeling",
            "kneel",
            "going down on the knees",
            "getting on the knees",
            "kneel on the floor",
        ),
        verb_phrases=("kneels down", "goes down on both knees", "sinks to the knees", "kneels on the floor"),
    ),
    Activity(
        name="getting_up_from_floor",
        build=keyframes(
            Key({"hip": 1.3, "knee": 1.2, "pelvis_pitch": 0.2, "trunk_flex": 0.5, "arm_flex": 0.3}, height=0.12),
            Key(
                {"R_hip": 1.4, "R_knee": 1.5, "L_hip": 0.3, "L_knee": 1.6, "pelvis_pitch": 0.5, "trunk_flex": 0.4},
                height=0.32,
            ),
            Key({}, seconds=Range(0.6, 1.1)),
            start=Key({"pelvis_pitch": -1.45, "hip": 0.2, "knee": 0.3}, height=0.08),
            either_side=True,
            jolt=Range(2, 7),
        ),
        label="standing up",
        label_phrases=(
            "getting up from the floor",
            "standing up from lying",
            "lie to stand",
            "getting off the ground",
            "rising from the floor",
            "stand up from the floor",
        ),
        verb_phrases=(
            "gets up from the floor",
            "stands up from lying",
            "rises from the ground",
            "goes from lying to standing",
        ),
    ),
    Activity(
        name="lying_down_from_standing",
        build=keyframes(
            Key({"hip": 1.2, "knee": 1.5, "pelvis_pitch": 0.3, "trunk_flex": 0.4, "arm_flex": 0.4}, height=0.3),
            Key({"hip": 1.3, "knee": 1.2, "pelvis_pitch": -0.3, "trunk_flex": 0.4}, height=0.12),
            Key({"pelvis_pitch": -1.45, "hip": 0.15, "knee": 0.25, "arm_abd": 0.2}, height=0.08),
            jolt=Range(2, 6),
        ),
        label="lying",
        label_phrases=(
            "lying down from standing",
            "stand to lie",
            "lying down on the floor",
            "going from standing to lying",
            "lie down on a mat",
            "lay down on the ground",
        ),
        verb_phrases=(
            "lies down on the floor",
            "goes from standing to lying",
            "gets down and lies on the back",
            "stretches out on the ground",
        ),
    ),
    Activity(
        name="tying_shoes",
        build=keyframes(
            Key(
                {
                    "hip": 1.5,
                    "knee": 1.7,
                    "pelvis_pitch": 0.4,
                    "trunk_flex": 0.9,
                    "arm_flex": 0.8,
                    "elbow": 0.4,
                    "head_pitch": 0.1,
                },
                height=0.27,
                seconds=Range(0.8, 1.4),
            ),
            Key(
                {
                    "hip": 1.5,
                    "knee": 1.7,
                    "pelvis_pitch": 0.42,
                    "trunk_flex": 0.85,
                    "arm_flex": 0.7,
                    "elbow": 0.9,
                    "arm_twist": 0.3,
                },
                height=0.27,
            ),
            Key(
                {"hip": 1.5, "knee": 1.7, "pelvis_pitch": 0.4, "trunk_flex": 0.9, "arm_flex": 0.85, "elbow": 0.5},
                height=0.27,
            ),
            Key({}, seconds=Range(0.8, 1.4)),
        ),
        label="tying shoe laces",
        label_phrases=(
            "tying shoe laces",
            "tying shoes",
            "putting on shoes",
            "tie shoelaces",
            "doing up the shoes",
            "lacing shoes",
        ),
        verb_phrases=(
            "ties the shoe laces",
            "bends down to the shoes",
            "puts on shoes",
            "crouches and ties both shoes",
        ),
    ),
    Activity(
        name="looking_under_furniture",
        build=keyframes(
            Key(
                {
                    "hip": 1.3,
                    "knee": 1.5,
                    "pelvis_pitch": 0.6,
                    "trunk_flex": 0.8,
                    "arm_flex": 0.9,
                    "trunk_twist": 0.3,
                    "head_pitch": -0.2,
                    "head_yaw": 0.4,
                },
                height=0.3,
            ),
            Key(
                {
                    "hip": 1.25,
                    "knee": 1.45,
                    "pelvis_pitch": 0.7,
                    "trunk_flex": 0.85,
                    "arm_flex": 1.0,
                    "trunk_twist": 0.1,
                    "head_pitch": -0.3,
                    "head_yaw": -0.4,
                },
                height=0.29,
            ),
            Key({}),
            either_side=True,
        ),
        label="looking under furniture",
        label_phrases=(
            "looking under furniture",
            "searching the floor",
            "bending down to look",
            "looking under a table",
            "crouching and looking",
            "looking for something below",
        ),
        verb_phrases=(
            "bends down and looks under furniture",
            "searches the floor",
            "crouches to look below",
            "looks under a table",
        ),
    ),
    Activity(
        name="picking_up_seated",
        build=keyframes(
            Key(
                {
                    "hip": 1.75,
                    "knee": 1.5,
                    "trunk_flex": 0.95,
                    "pelvis_pitch": 0.35,
                    "arm_flex": 0.6,
                    "trunk_side": 0.25,
                    "elbow": 0.1,
                },
                height=0.3,
                seconds=Range(0.6, 1.2),
            ),
            Key(
                {
                    "hip": 1.75,
                    "knee": 1.5,
                    "trunk_flex": 0.9,
                    "pelvis_pitch": 0.33,
                    "arm_flex": 0.6,
                    "trunk_side": 0.2,
                    "elbow": 0.2,
                },
                height=0.3,
                seconds=Range(0.2, 0.7),
            ),
            Key(
                {"hip": 1.4, "knee": 1.45, "trunk_flex": 0.1, "arm_flex": 0.5, "elbow": 1.0},
                height=0.3,
                seconds=Range(0.6, 1.2),
            ),
            start=Key({"hip": 1.4, "knee": 1.45, "trunk_flex": 0.1, "arm_flex": 0.5, "elbow": 1.0}, height=0.3),
            either_side=True,
        ),
        label="picking up objects",
        label_phrases=(
            "picking up from the floor while seated",
            "sitting and picking up items from the floor",
            "bending down from a chair",
            "pick up something while sitting",
            "reaching down from a seat",
            "lifting something from beside a chair",
        ),
        verb_phrases=(
            "bends down from a chair and picks something up",
            "reaches to the floor while seated",
            "picks up an item from a seat",
            "leans down from a chair",
        ),
    ),
    Activity(
        name="turning_in_place",
        build=turn_on_the_spot,
        label="turning in place / turning / spinning",
        label_phrases=(
            "turning in place",
            "turning around",
            "turn around on the spot",
            "spinning",
            "turning on the spot",
            "turning to the other side",
        ),
        verb_phrases=("turns around on the spot", "turns in place", "spins around", "turns to face the other way"),
    ),
)
