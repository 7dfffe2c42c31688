"""Quiet work of the hands: phone, washing, cutting; and raising the arms as physiotherapists ask for it."""

from __future__ import annotations

from ..activity import Activity
from ..arms import ArmAngles, rhythm
from ..person import Range

ACTIVITIES = (
    Activity(
        name="using_phone",
        build=rhythm(
            Range(0.4, 1.5),
            centre=ArmAngles(flex=0.5, abduction=0.1, twist=0.3, elbow=1.5, pronation=-0.3),
            swing=ArmAngles(flex=0.01, twist=0.02, elbow=0.02, pronation=0.05),
            seated=0.5,
            walking=0.3,
        ),
        label="using phone",
        label_phrases=("using a phone", "texting", "looking at a phone", "scrolling on a phone", "phone", "use phone"),
        verb_phrases=("looks at a phone", "types on a phone with {side} hand", "scrolls on a phone", "reads messages"),
    ),
    Activity(
        name="washing_hands",
        build=rhythm(
            Range(1.2, 2.5),
            centre=ArmAngles(flex=0.6, abduction=0.1, twist=0.6, elbow=1.3, pronation=0.4),
            swing=ArmAngles(flex=0.05, abduction=0.03, twist=0.1, elbow=0.12, pronation=0.25),
            arms="alternate",
            stoop=0.2,
        ),
        label="washing hands",
        label_phrases=(
            "washing hands",
            "wash hands",
            "rubbing hands",
            "hand washing",
            "rinsing hands",
            "soaping hands",
        ),
        verb_phrases=("washes both hands", "rubs the hands under water", "soaps the hands", "rinses both hands"),
    ),
    Activity(
        name="chopping",
        build=rhythm(
            Range(1.5, 3.2),
            centre=ArmAngles(flex=0.5, abduction=0.2, twist=0.2, elbow=1.3, pronation=0.7),
            swing=ArmAngles(flex=0.06, elbow=0.15, pronation=0.03),
            stoop=0.15,
            knock=10.0,
        ),
        label="slicing / chopping / cutting / dicing food",
        label_phrases=("chopping", "cutting vegetables", "chop", "slicing food", "cutting food", "dicing vegetables"),
        verb_phrases=("chops vegetables", "cuts food with {side} hand", "slices food on a board", "dices vegetables"),
    ),
    Activity(
        name="arm_raises",
        build=rhythm(
            Range(0.2, 0.5),
            centre=ArmAngles(flex=0.9, abduction=0.05, elbow=0.1),
            swing=ArmAngles(flex=0.85, elbow=0.05),
            arms="both",
            seated=0.3,
        ),
        label="raising hand(s) / arm(s)",
        label_phrases=(
            "arm raises",
            "raising the arms",
            "raise both arms",
            "lifting the arms",
            "arms up",
            "shoulder lifts",
        ),
        verb_phrases=(
            "raises both arms",
            "lifts the arms and lowers them",
            "does arm raises",
            "raises the arms in front",
        ),
    ),
)
