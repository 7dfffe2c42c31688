"""Falls, and what comes before them."""

from __future__ import annotations

from ..activity import Activity
from ..person import Range
from ..posture import Bed, sit
from ..whole_body import fall

_FLAT = Bed(hip=Range(-0.1, 0.5), knee=Range(0, 0.8), turn=0.0, turn_spread=0.2, height=0.13)
_CURLED = Bed(hip=Range(0.1, 0.9), knee=Range(0.2, 1.2), turn=0.0, turn_spread=0.15, height=0.16)


ACTIVITIES = (
    Activity(
        name="fall_forward",
        build=fall({"pelvis_pitch": 1.5}, _FLAT, way=0.8),
        plain_label="falling",
        label_phrases=(
            "falling forward",
            "fall",
            "falling",
            "forward fall",
            "tripping",
            "stumbling and falling",
            "falling onto the hands",
        ),
        verb_phrases=("falls forward", "trips and falls", "falls onto the hands", "stumbles and lands on the front"),
    ),
    Activity(
        name="fall_on_knees",
        build=fall({"pelvis_pitch": 1.45}, _FLAT, way=0.5, kneel=True),
        plain_label="falling",
        label_phrases=(
            "falling onto the knees",
            "fall",
            "collapsing",
            "falling to the knees",
            "fainting",
            "sinking to the floor",
        ),
        verb_phrases=("falls onto the knees and then forward", "collapses", "sinks to the knees and falls", "faints"),
    ),
    Activity(
        name="fall_backward",
        build=fall({"pelvis_pitch": -1.5}, _FLAT, way=0.6),
        plain_label="falling",
        label_phrases=(
            "falling backward",
            "fall",
            "slipping",
            "backward fall",
            "slipping and falling",
            "falling onto the back",
        ),
        verb_phrases=(
            "falls backward",
            "slips and lands on the back",
            "falls onto the back",
            "loses balance and falls back",
        ),
    ),
    Activity(
        name="fall_from_chair",
        build=fall({"pelvis_pitch": -1.5}, _FLAT, start=sit, way=0.5),
        plain_label="falling",
        label_phrases=(
            "falling off a chair",
            "fall",
            "falling from a chair",
            "falling out of a seat",
            "tipping over on a chair",
            "sliding off a chair",
        ),
        verb_phrases=(
            "falls off a chair",
            "tips back with a chair and falls",
            "falls from a seat",
            "slides off a chair onto the floor",
        ),
    ),
    Activity(
        name="fall_sideways",
        build=fall({"pelvis_pitch": 0.3, "pelvis_roll": 1.4}, _CURLED, way=0.7),
        plain_label="falling",
        label_phrases=(
            "falling sideways",
            "fall",
            "sideward fall",
            "falling to the side",
            "toppling over",
            "falling onto the side",
        ),
        verb_phrases=("falls sideways", "topples over", "falls onto one side", "loses balance and falls"),
    ),
)
