"""Work about the house."""

from __future__ import annotations

from ..activity import Activity
from ..arms import ArmAngles, gesture, rhythm
from ..person import Range

ACTIVITIES = (
    Activity(
        name="sweeping",
        build=rhythm(
            Range(0.5, 1.0),
            centre=ArmAngles(flex=0.6, abduction=0.2, twist=0.3, elbow=0.8, pronation=0.5),
            swing=ArmAngles(flex=0.3, abduction=0.25, twist=0.3, elbow=0.25, pronation=0.1),
            lag=ArmAngles(abduction=0.1, elbow=0.2),
            arms="both",
            trunk=0.25,
            stoop=0.4,
            walking=0.3,
        ),
        label="sweeping",
        label_phrases=("sweeping", "sweep floor", "sweeping the floor", "mopping", "mop floor", "using a broom"),
        verb_phrases=(
            "sweeps the floor",
            "moves a broom back and forth",
            "cleans the floor with a broom",
            "mops the floor",
        ),
    ),
    Activity(
        name="vacuuming",
        build=rhythm(
            Range(0.4, 0.8),
            centre=ArmAngles(flex=0.5, abduction=0.15, twist=0.1, elbow=0.9, pronation=0.4),
            swing=ArmAngles(flex=0.5, abduction=0.1, twist=0.1, elbow=-0.45, pronation=0.05),
            trunk=0.15,
            stoop=0.3,
            walking=0.3,
        ),
        label="vacuuming / walking while vacuuming",
        label_phrases=(
            "vacuuming",
            "vacuum cleaning",
            "using a vacuum cleaner",
            "vacuum the floor",
            "hoovering",
            "vacuum",
        ),
        verb_phrases=(
            "vacuums the floor",
            "pushes a vacuum cleaner",
            "moves a vacuum back and forth",
            "cleans the carpet",
        ),
    ),
    Activity(
        name="wiping",
        build=rhythm(
            Range(0.8, 1.8),
            centre=ArmAngles(flex=0.9, abduction=0.2, twist=0.3, elbow=0.8, pronation=0.9),
            swing=ArmAngles(flex=0.15, abduction=0.1, twist=0.4, elbow=0.2, pronation=0.1),
            lag=ArmAngles(twist=0.25),
            stoop=0.35,
            seated=0.2,
        ),
        label="cleaning a surface",
        label_phrases=("wiping", "wipe table", "cleaning a surface", "wiping the table", "ironing", "cleaning"),
        verb_phrases=(
            "wipes a table",
            "rubs a surface with {side} hand",
            "cleans a surface",
            "moves a cloth back and forth",
        ),
    ),
    Activity(
        name="stirring",
        build=rhythm(
            Range(0.8, 2.0),
            centre=ArmAngles(flex=0.6, abduction=0.15, twist=0.4, elbow=1.3, pronation=0.6),
            swing=ArmAngles(flex=0.1, abduction=0.08, twist=0.2, elbow=0.1, pronation=0.1),
            lag=ArmAngles(abduction=0.25, twist=0.25),
            stoop=0.15,
        ),
        label="stirring / mixing",
        label_phrases=("stirring", "mixing", "stir", "stirring a pot", "cooking", "mixing food"),
        verb_phrases=("stirs a pot", "mixes food with {side} hand", "stirs in circles", "cooks and stirs"),
    ),
    Activity(
        name="folding",
        build=rhythm(
            Range(0.3, 0.8),
            centre=ArmAngles(flex=0.7, abduction=0.25, twist=0.2, elbow=1.0, pronation=0.5),
            swing=ArmAngles(flex=0.3, abduction=0.25, twist=0.3, elbow=0.35, pronation=0.4),
            lag=ArmAngles(abduction=0.25, twist=0.1, elbow=0.2, pronation=0.3),
            arms="both",
            stoop=0.2,
        ),
        label="folding clothes / pants / towel / blanket",
        label_phrases=(
            "folding clothes",
            "fold clothes",
            "folding laundry",
            "folding a towel",
            "fold laundry",
            "folding",
        ),
        verb_phrases=(
            "folds clothes",
            "folds a towel with both hands",
            "folds the laundry",
            "smooths and folds a shirt",
        ),
    ),
    Activity(
        name="taping_box",
        build=rhythm(
            Range(0.4, 1.0),
            centre=ArmAngles(flex=0.8, abduction=0.2, twist=0.3, elbow=0.9, pronation=0.8),
            swing=ArmAngles(flex=0.25, abduction=0.15, twist=0.3, elbow=0.3, pronation=0.3),
            lag=ArmAngles(abduction=0.2, twist=0.1, elbow=0.3),
            arms="both",
            stoop=0.3,
            trunk=0.12,
        ),
        label="folding / rolling / tearing / peeling tape",
        label_phrases=(
            "taping a box",
            "closing a box",
            "sealing a carton",
            "packing a box",
            "assembling a box",
            "wrapping a parcel",
        ),
        verb_phrases=("closes a box with tape", "assembles a box", "packs and tapes a box", "folds and tapes a carton"),
    ),
    Activity(
        name="reaching",
        build=gesture(
            ArmAngles(flex=1.6, abduction=0.2, twist=0.1, elbow=0.4, pronation=0.3),
            ArmAngles(flex=1.5, abduction=0.4, twist=0.1, elbow=0.5, pronation=0.3),
            trunk=0.3,
            seated=0.3,
        ),
        label="placing items on a surface",
        label_phrases=(
            "reaching",
            "reach out",
            "reaching for something",
            "extending an arm",
            "reaching to a shelf",
            "reach forward",
        ),
        verb_phrases=(
            "reaches forward with {side} hand",
            "reaches out for something",
            "extends {side} arm to a shelf",
            "stretches {side} arm ahead",
        ),
    ),
)
