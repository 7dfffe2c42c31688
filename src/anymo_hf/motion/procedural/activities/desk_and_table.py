"""Sitting at a desk or a table."""

from __future__ import annotations

from ..activity import Activity
from ..arms import ArmAngles, gesture, rhythm
from ..person import Range

ACTIVITIES = (
    Activity(
        name="typing",
        build=rhythm(
            Range(2.0, 4.5),
            centre=ArmAngles(flex=0.6, abduction=0.12, twist=0.2, elbow=1.35, pronation=1.2),
            swing=ArmAngles(flex=0.004, abduction=0.006, twist=0.02, elbow=0.012, pronation=0.03),
            arms="alternate",
            seated=1.0,
            knock=1.5,
        ),
        label="using laptop",
        label_phrases=(
            "typing",
            "using a laptop",
            "type pc",
            "typing on a keyboard",
            "computer work",
            "working at desk",
        ),
        verb_phrases=(
            "types on a keyboard",
            "works on a laptop",
            "taps the keys with both hands",
            "types while seated",
        ),
    ),
    Activity(
        name="writing",
        build=rhythm(
            Range(1.0, 3.0),
            centre=ArmAngles(flex=0.6, abduction=0.15, twist=0.35, elbow=1.3, pronation=0.9),
            swing=ArmAngles(flex=0.01, abduction=0.015, twist=0.05, elbow=0.03, pronation=0.05),
            lag=ArmAngles(abduction=0.2, elbow=0.3, pronation=0.1),
            seated=0.9,
        ),
        label="writing",
        label_phrases=("writing", "write", "handwriting", "filling out a paper", "writing notes", "filling in a form"),
        verb_phrases=("writes on paper", "takes notes by hand", "fills in a form", "writes with {side} hand"),
    ),
    Activity(
        name="drinking",
        build=gesture(
            ArmAngles(flex=0.8, abduction=0.3, twist=0.4, elbow=1.9, pronation=0.2),
            ArmAngles(flex=1.0, abduction=0.4, twist=0.4, elbow=2.15),
            ArmAngles(flex=0.8, abduction=0.3, twist=0.4, elbow=1.9, pronation=0.2),
            seated=0.7,
        ),
        label="drinking",
        label_phrases=("drinking", "drink", "drinking cup", "drinking water", "taking a sip", "drink from a cup"),
        verb_phrases=("drinks from a cup", "takes a sip", "raises a glass to the mouth", "lifts a cup and drinks"),
    ),
    Activity(
        name="eating",
        build=gesture(
            ArmAngles(flex=0.5, abduction=0.2, twist=0.3, elbow=1.2, pronation=0.9),
            ArmAngles(flex=0.75, abduction=0.3, twist=0.45, elbow=2.1, pronation=0.2),
            ArmAngles(flex=0.5, abduction=0.2, twist=0.3, elbow=1.2, pronation=0.9),
            seated=0.9,
        ),
        label="eating",
        label_phrases=("eating", "eat", "having a meal", "eating soup", "eating a sandwich", "taking a bite"),
        verb_phrases=("eats a meal", "brings food to the mouth", "takes bites of food", "eats with {side} hand"),
    ),
)
