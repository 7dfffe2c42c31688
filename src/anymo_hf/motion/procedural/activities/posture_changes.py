"""From one posture to another, and down to reach for things."""

from __future__ import annotations

import numpy as np

from ..activity import Activity
from ..person import Range
from ..pose import SIDES, Build, Impact, Pose
from ..posture import ON_BACK, blend, level_head, lie, sit, stand


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
)
