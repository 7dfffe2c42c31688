"""Words of motion-capture files whose name says what happens: file name -> activity, where one fits, and sentences.

| source | its file names |
| --- | --- |
| Bandai-Namco Research Motiondataset | `dataset-N_CONTENT_STYLE_NNN` |
| CMU clips by action | `train_ACTION_N`, `test_ACTION_N` |
| CMU clips of the iClone rig | `SSS_NN`, subject and clip |
| HDM05 | `HDM_PERSON_ACTION_NNN_120` |
| ReActIdle | `NNN_acted`, `NNN_genuine` |

What a source's licence is stands in `motion_sources`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CapturedName:
    """What a file name says.

    Args:
        source: a key of `motion_sources.SOURCES`.
        activity: a key of `procedural.ACTIVITIES`, or None where no activity is truly this.
        sentences: plain sentences about the clip.
        details: for `procedural.compose_narrations`: the side or direction.
        untrue: words that no phrase or sentence about this clip may hold.
    """

    source: str
    activity: str | None
    sentences: tuple[str, ...]
    details: dict[str, str] = field(default_factory=dict)
    untrue: tuple[str, ...] = ()


# content -> (activity, what a person does, details, words that are not true of it)
_BANDAI_NAMCO: dict[str, tuple[str | None, str, dict[str, str], tuple[str, ...]]] = {
    "bow": (None, "bows", {}, ()),
    "bye": ("wave", "waves goodbye", {"side": "right"}, ("left",)),
    "byebye": ("wave", "waves goodbye with both hands", {"side": "both"}, ()),
    "call": (None, "calls someone over", {}, ()),
    "dance-long": (None, "dances", {}, ()),
    "dance-short": (None, "dances", {}, ()),
    "dash": ("running", "dashes forward", {}, ()),
    "guide": (None, "shows someone the way with an arm", {}, ()),
    "kick": (None, "kicks in the air", {}, ()),
    "punch": ("boxing", "throws punches", {}, ()),
    "raise-up-both-hands": (None, "raises both hands", {}, ()),
    "raise-up-left-hand": (None, "raises the left hand", {}, ()),
    "raise-up-right-hand": (None, "raises the right hand", {}, ()),
    "respond": (None, "answers with a gesture", {}, ()),
    "run": ("running", "runs", {}, ()),
    "slash": (None, "slashes with a sword", {}, ()),
    "walk": ("walking", "walks", {}, ()),
    "walk-back": ("walking_backward", "walks backward", {}, ()),
    "walk-left": ("walking", "walks forward and to the left", {}, ("straight", "right")),
    "walk-right": ("walking", "walks forward and to the right", {}, ("straight", "left")),
    "walk-turn-left": ("walking_turning", "walks and turns left", {"direction": "left"}, ("right", "circle")),
    "walk-turn-right": ("walking_turning", "walks and turns right", {"direction": "right"}, ("left", "circle")),
    "wave-both-hands": ("wave", "waves both hands", {"side": "both"}, ()),
    "wave-left-hand": ("wave", "waves the left hand", {"side": "left"}, ("right",)),
    "wave-right-hand": ("wave", "waves the right hand", {"side": "right"}, ("left",)),
}
# style -> as said in a sentence; "normal" is not said
_STYLES = {
    "active": "an active", "angry": "an angry", "childish": "a childish", "chimpira": "a swaggering",
    "elderly": "an elderly", "exhausted": "an exhausted", "feminine": "a feminine", "giant": "a heavy, giant-like",
    "happy": "a happy", "masculine": "a masculine", "masculinity": "a masculine", "musical": "a musical",
    "normal": "", "not-confident": "a timid", "old": "an elderly", "proud": "a proud", "sad": "a sad",
    "tired": "a tired", "youthful": "a youthful",
}  # fmt: skip
_CMU: dict[str, tuple[str | None, str, dict[str, str], tuple[str, ...]]] = {
    "basketball": (None, "dribbles a basketball", {}, ()),
    "basketball_signal": (None, "gives basketball referee signals", {}, ()),
    "directing_traffic": (None, "directs traffic with both arms", {}, ()),
    "jumping": ("jumping", "jumps", {}, ()),
    "running": ("running", "runs", {}, ()),
    "soccer": ("kicking", "plays soccer", {}, ()),
    "walking": ("walking", "walks", {}, ()),
    "walking_extra": ("walking", "walks", {}, ()),
    "washwindow": ("wiping", "washes a window", {}, ("table", "ironing")),
}
# first letters of an action, which go on with repetitions and the side that begins
_HDM05: dict[str, tuple[str | None, str, dict[str, str], tuple[str, ...]]] = {
    "depositFloorR": (None, "puts something on the floor with the right hand", {}, ("left",)),
    "elbowToKnee": (None, "touches a knee with the opposite elbow while standing", {}, ()),
    "grabHighR": ("reaching", "reaches up with the right hand", {"side": "right"}, ("left",)),
    "hopBothLegs": ("jumping", "hops on both legs", {}, ("rope",)),
    "jogLeftCircle": ("running", "jogs in a circle to the left", {}, ("straight", "right")),
    "kickLFront": ("kicking", "kicks to the front with the left leg", {"side": "left"}, ("right", "ball", "soccer")),
    "lieDownFloor": ("lying_down_from_standing", "lies down on the floor", {}, ("bed", "sofa")),
    "rotateArmsBothBackward": ("arm_circles", "circles both arms backward", {}, ()),
    "sneak": (None, "sneaks forward", {}, ()),
    "squat": ("squats", "squats", {}, ()),
    "throwBasketball": (None, "throws a basketball", {}, ()),
}
# subject and clip as in the index of all CMU clips; of a subject, `None` stands for its other clips
_CMU_ICLONE: dict[tuple[str, str | None], tuple[str | None, str, dict[str, str], tuple[str, ...]]] = {
    ("001", "01"): ("jumping", "jumps forward and turns around", {}, ("rope",)),
    ("001", None): (None, "climbs and sits on a playground", {}, ()),
    ("002", "01"): ("walking", "walks", {}, ()),
    ("002", "02"): ("walking", "walks", {}, ()),
    ("002", "03"): ("running", "runs", {}, ()),
    ("002", "04"): (None, "jumps and balances", {}, ()),
    ("002", "05"): ("boxing", "throws punches", {}, ()),
    ("002", "06"): (None, "bends over and lifts something", {}, ()),
    ("002", "10"): (None, "washes the body", {}, ()),
    ("002", None): (None, "fights with a sword", {}, ()),
    ("003", None): ("walking", "walks over uneven ground", {}, ("straight",)),
    ("005", "01"): ("walking", "walks", {}, ()),
    ("005", None): (None, "dances", {}, ()),
    ("006", "01"): ("walking", "walks", {}, ()),
    ("006", "14"): ("basketball_shoot", "dribbles a basketball and shoots", {}, ()),
    ("006", "15"): ("basketball_shoot", "dribbles a basketball and shoots", {}, ()),
    ("006", None): (None, "dribbles a basketball", {}, ()),
    ("007", None): ("walking", "walks", {}, ()),
}
_IDLE = ("standing", "stands and shifts the weight a little", {}, ())


def captured_name(stem: str) -> CapturedName | None:
    """What a file name without its suffix says, or None for a name of no known corpus.

    An unknown content, action, style or clip is treated as a name of no corpus.
    """
    found = re.fullmatch(r"dataset-\d+_([a-z-]+)_([a-z-]+)_\d+", stem)
    if found and found[1] in _BANDAI_NAMCO and found[2] in _STYLES:
        style = f" in {_STYLES[found[2]]} style" if _STYLES[found[2]] else ""
        return _named("bandai_namco", _BANDAI_NAMCO[found[1]], style)
    found = re.fullmatch(r"(?:train|test)_([a-z_]+)_\d+", stem)
    if found and found[1] in _CMU:
        return _named("cmu_bvh", _CMU[found[1]])
    found = re.fullmatch(r"HDM_[a-z]{2}_(\w+?)_\d{3}(?:train|test)?_120", stem)
    if found:
        actions = [action for action in _HDM05 if found[1].startswith(action)]
        return _named("hdm05", _HDM05[actions[0]]) if actions else None
    if re.fullmatch(r"\d{3}_(acted|genuine)", stem):
        return _named("reactidle", _IDLE)
    found = re.fullmatch(r"(\d{3})_(\d{2})", stem)
    if found and (found[1], None) in _CMU_ICLONE:
        return _named("cmu_iclone", _CMU_ICLONE.get((found[1], found[2]), _CMU_ICLONE[found[1], None]))
    return None


def _named(
    source: str, words: tuple[str | None, str, dict[str, str], tuple[str, ...]], style: str = ""
) -> CapturedName:
    activity, verb, details, untrue = words
    return CapturedName(source, activity, _sentences(verb, style), details, untrue)


def _sentences(verb: str, style: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([f"a person {verb}{style}", f"someone {verb}{style}", f"a person {verb}"]))


def activity_as_moved(activity: str, speed: float, turn: float) -> str:
    """Narrows what the name says by how the body moved.

    Bounds lie between the speeds of the procedural activities: slow walking below 0.9 m/s, fast walking above 1.55 m/s,
    jogging below 2.4 m/s. A window that turns by less than 40° is plain walking.

    Args:
        activity: from the name.
        speed: mean horizontal speed of the pelvis, m/s.
        turn: how far the pelvis turned about the vertical in all, degrees.
    """
    if activity == "walking_turning" and abs(turn) < 40:
        activity = "walking"
    if activity == "walking":
        return "walking_slow" if speed < 0.9 else "walking_fast" if speed > 1.55 else "walking"
    if activity == "running" and speed < 2.4:
        return "jogging"
    return activity
