"""Work at a packing table and shelves."""

from __future__ import annotations

import numpy as np

from ..activity import Activity
from ..arms import ArmAngles, gesture, rhythm
from ..locomotion import walk
from ..person import Range
from ..pose import Pose, smoothstep
from ..posture import AT_WORK, Gaze


def pick_goods(pose: Pose) -> None:
    """A few steps between shelves, and reaches into them."""
    walk("slow")(pose)
    for _ in range(pose.rng.integers(1, 4)):
        time, seconds = pose.rng.uniform(0, pose.time[-1]), pose.rng.uniform(0.7, 1.4)
        reach = _there_and_back(pose, time, seconds)
        side = "R" if pose.rng.random() < 0.7 else "L"
        for name, low, high in (("arm_flex", 0.5, 2.0), ("arm_abd", 0.0, 0.4), ("elbow", 0.1, 0.9)):
            pose.add(f"{side}_{name}", pose.rng.uniform(low, high) * reach)
        pose.add("trunk_flex", pose.rng.uniform(0.0, 0.5) * reach)
        pose.add("trunk_twist", pose.rng.normal(0, 0.3) * reach)


def _there_and_back(pose: Pose, time: float, seconds: float) -> np.ndarray:
    """0, then 1 for a moment, then 0 again, `(T,)`."""
    rise = smoothstep((pose.time - time) / seconds)
    return rise - smoothstep((pose.time - time - 1.2 * seconds) / seconds)


ACTIVITIES = (
    Activity(
        name="picking_goods",
        build=pick_goods,
        label="opening refrigerator / cabinet / drawer / closet and taking objects",
        label_phrases=(
            "picking goods",
            "picking",
            "taking items from shelves",
            "order picking",
            "fetching items",
            "shopping",
            "collecting items",
        ),
        verb_phrases=(
            "picks goods from shelves",
            "walks and takes items from a shelf",
            "collects items",
            "shops for things",
        ),
    ),
    Activity(
        name="scanning_label",
        build=gesture(
            ArmAngles(flex=0.9, abduction=0.2, twist=0.2, elbow=1.0, pronation=0.5),
            ArmAngles(flex=1.0, abduction=0.15, twist=0.25, elbow=0.8, pronation=0.6),
            ArmAngles(flex=0.9, abduction=0.3, twist=0.1, elbow=1.1, pronation=0.5),
            gaze=AT_WORK,
            trunk=0.1,
            seconds=Range(0.4, 0.9),
        ),
        plain_label="scanning a barcode",
        label_phrases=(
            "scanning a label",
            "scanning a barcode",
            "scan label",
            "using a handheld scanner",
            "reading a code with a scanner",
            "scan",
        ),
        verb_phrases=(
            "scans a label with {side} hand",
            "points a scanner at a code",
            "scans a barcode",
            "holds a scanner to a parcel",
        ),
    ),
    Activity(
        name="attaching_label",
        build=gesture(
            ArmAngles(flex=0.6, abduction=0.1, twist=0.5, elbow=1.6, pronation=0.3),
            ArmAngles(flex=0.9, abduction=0.2, twist=0.2, elbow=0.9, pronation=0.9),
            ArmAngles(flex=0.95, abduction=0.5, twist=0.0, elbow=0.8, pronation=0.9),
            gaze=AT_WORK,
            trunk=0.1,
            arms="both",
            seconds=Range(0.4, 0.9),
        ),
        plain_label="attaching a label",
        label_phrases=(
            "attaching a label",
            "attach box label",
            "sticking a label on",
            "putting on a shipping label",
            "labelling a box",
            "put a stamp on",
        ),
        verb_phrases=(
            "attaches a label to a box",
            "sticks a label on with both hands",
            "smooths a label onto a parcel",
            "labels a box",
        ),
    ),
    Activity(
        name="assembling_box",
        build=rhythm(
            Range(0.5, 1.2),
            centre=ArmAngles(flex=0.75, abduction=0.3, twist=0.2, elbow=1.0, pronation=0.5),
            swing=ArmAngles(flex=0.25, abduction=0.25, twist=0.25, elbow=0.35, pronation=0.3),
            lag=ArmAngles(abduction=0.3, twist=0.2, elbow=0.15, pronation=0.4),
            arms="both",
            stoop=0.2,
            trunk=0.1,
            knock=6.0,
        ),
        label="opening a box / container",
        label_phrases=(
            "assembling a box",
            "assemble box",
            "unfolding a carton",
            "making up a box",
            "building a box",
            "opening a box",
        ),
        verb_phrases=(
            "assembles a box",
            "unfolds a carton and bends its flaps",
            "builds a box with both hands",
            "makes up a carton",
        ),
    ),
    Activity(
        name="inserting_items",
        build=gesture(
            ArmAngles(flex=0.9, abduction=0.7, twist=-0.2, elbow=0.7, pronation=0.4),
            ArmAngles(flex=0.8, abduction=0.1, twist=0.3, elbow=0.9, pronation=0.9),
            trunk=0.3,
            gaze=AT_WORK,
            arms="one",
            seconds=Range(0.35, 0.8),
        ),
        label="placing items into a box / bag / container",
        label_phrases=(
            "inserting items",
            "packing items",
            "insert items",
            "filling a box",
            "putting goods into a box",
            "packing a bag",
        ),
        verb_phrases=(
            "puts goods into a box with {side} hand",
            "fills a box with items",
            "packs items into a carton",
            "packs a bag",
        ),
    ),
    Activity(
        name="filling_in_order",
        build=rhythm(
            Range(1.2, 3.0),
            centre=ArmAngles(flex=0.7, abduction=0.2, twist=0.35, elbow=1.1, pronation=0.9),
            swing=ArmAngles(flex=0.012, abduction=0.018, twist=0.05, elbow=0.03, pronation=0.05),
            lag=ArmAngles(abduction=0.2, elbow=0.3),
            stoop=0.3,
            gaze=Gaze(turns=0.2, size=0.3, down=0.5, tremor=0.001),
        ),
        label="writing",
        label_phrases=(
            "fill out an order",
            "filling out a form",
            "signing a paper",
            "ticking a list",
            "writing while standing",
            "noting an order",
        ),
        verb_phrases=(
            "fills out an order form",
            "ticks items on a list",
            "signs a paper with {side} hand",
            "writes on a clipboard while standing",
        ),
    ),
)
