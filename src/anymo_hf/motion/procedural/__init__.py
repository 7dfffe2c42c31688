"""Simulated people: parametric everyday motion on the 23-segment body, with words; the embedded source of training motion.

| file | what it holds |
| --- | --- |
| `activities/` | one file a family of activities; a new file there is found by itself |
| `activity`, `registry` | `Activity`, and the list of all that exist |
| `person`, `pose` | who moves, and the joint-angle curves of one motion |
| `posture`, `locomotion`, `arms` | what activities are built from; `gait` plans feet on the ground |
| `forward_kinematics`, `impacts` | from angles to segments in the world; heel strikes and knocks |
| `narration`, `further_phrases.json` | how sentences are made, and more names of every activity for training |
| `simulate` | `simulate_activity` |
"""

from .activity import Activity
from .narration import compose_narrations, further_phrases, label_phrases
from .person import SubjectStyle
from .registry import ACTIVITIES, EVERYDAY, broader_activities, find_activities, get_activity, register
from .simulate import HELD_OUT_SEED, simulate_activity

__all__ = [
    "ACTIVITIES", "EVERYDAY", "HELD_OUT_SEED", "Activity", "SubjectStyle", "broader_activities", "compose_narrations",
    "find_activities", "further_phrases", "get_activity", "label_phrases", "register", "simulate_activity",
]  # fmt: skip
