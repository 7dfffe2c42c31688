"""Sitting at a desk or a table."""

from __future__ import annotations

import numpy as np

from ..activity import Activity
from ..arms import ArmAngles, gesture, rhythm
from ..person import Range
from ..pose import Pose, cycles, smoothstep
from ..posture import SCREEN, Gaze, fidget, micro_motion, sit, stand

READING = Gaze(turns=0.05, size=0.15, nod=0.1, down=0.45, down_spread=0.2, tremor=0.0005)
TYPING = Gaze(turns=0.15, size=0.12, nod=0.2, down=0.25, down_spread=0.15, tremor=0.0012)


def watch(pose: Pose) -> None:
    """Sitting in front of a screen, leaning back."""
    sit(pose, slouch=pose.rng.uniform(0.2, 0.9), gaze=Gaze(turns=0.05, size=0.15, nod=0.08, down=0.1))
    fidget(pose, pose.rng.random() * 0.4)


def talk(pose: Pose) -> None:
    """Talking to somebody, seated or standing: nods, looks, and hands that speak too."""
    rng = pose.rng
    gaze = Gaze(turns=0.5, size=0.25, nod=0.12, down=0.05, tremor=0.0018)
    (sit if rng.random() < 0.6 else stand)(pose, gaze=gaze)
    fidget(pose, rng.uniform(0.3, 2.0))
    beat = np.clip(pose.noise(1.0, 0.4), 0, None) * rng.uniform(0.02, 0.09)
    pose.add("head_pitch", beat * np.sin(2 * np.pi * cycles(pose, rng.uniform(1.2, 2.6), 0.2)))


def look_around(pose: Pose) -> None:
    """The head turns to all sides, and the trunk goes along a little."""
    rng = pose.rng
    size = rng.uniform(0.3, 0.8)
    busy = Gaze(turns=rng.uniform(0.5, 1.6), size=size, nod=0.5 * size, down=0.05, tremor=0.0015)
    (sit if rng.random() < 0.7 else stand)(pose, gaze=busy)
    if rng.random() < 0.4:  # steadily to and fro
        turn = rng.uniform(0.2, 0.7) * np.sin(2 * np.pi * cycles(pose, rng.uniform(0.2, 0.9), 0.1))
        pose.add("head_yaw" if rng.random() < 0.6 else "head_pitch", turn)
    pose.add("trunk_twist", 0.4 * pose.get("head_yaw") * rng.random() + pose.noise(rng.uniform(0.02, 0.15), 0.5))
    pose.add("trunk_side", pose.noise(rng.uniform(0.01, 0.06), 0.6))
    pose.add("trunk_flex", pose.noise(rng.uniform(0.01, 0.06), 0.6))


def shift_about(pose: Pose) -> None:
    """A chair rolls and swivels under somebody who sits, and the feet push."""
    rng = pose.rng
    sit(pose, gaze=Gaze(turns=0.4, size=0.3, tremor=0.0018))
    for _ in range(rng.integers(2, 7)):
        rise = smoothstep((pose.time - rng.uniform(-0.5, pose.time[-1])) / rng.uniform(0.5, 1.4))
        pose.root = pose.root + rise[:, None] * np.array([*rng.normal(0, 0.18, 2), 0.0])
        pose.add("yaw", rng.normal(0, 0.4) * rise)
        push = 4 * rise * (1 - rise)
        for name, size in (("trunk_flex", 0.22), ("pelvis_pitch", 0.12), ("trunk_side", 0.1)):
            pose.add(name, rng.normal(0, size) * push)
        for side in ("R", "L"):
            pose.add(f"{side}_knee", rng.normal(0, 0.3) * push)
    micro_motion(pose, 0.12)


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
            gaze=TYPING,
        ),
        label="using laptop",
        label_phrases=(
            "typing",
            "using a laptop",
            "type pc",
            "typing on a keyboard",
            "typing on a computer",
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
            gaze=Gaze(turns=0.06, size=0.12, nod=0.12, down=0.5, tremor=0.0012),
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
            seconds=Range(0.6, 1.2),
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
            seconds=Range(0.45, 0.95),
        ),
        label="eating",
        label_phrases=("eating", "eat", "having a meal", "eating soup", "eating a sandwich", "taking a bite"),
        verb_phrases=("eats a meal", "brings food to the mouth", "takes bites of food", "eats with {side} hand"),
    ),
    Activity(
        name="reading",
        build=rhythm(
            Range(0.1, 0.3),
            centre=ArmAngles(flex=0.6, abduction=0.12, twist=0.3, elbow=1.4, pronation=0.2),
            swing=ArmAngles(flex=0.004, elbow=0.006, pronation=0.01),
            arms="both",
            seated=0.9,
            gaze=READING,
        ),
        label="reading",
        label_phrases=(
            "reading",
            "read",
            "reading a book",
            "sitting and reading",
            "reading a newspaper",
            "sitting and reading a book",
            "reading a magazine",
        ),
        verb_phrases=("reads a book", "looks at a page while seated", "sits and reads", "holds a book and reads"),
    ),
    Activity(
        name="browsing",
        build=rhythm(
            Range(0.3, 1.2),
            centre=ArmAngles(flex=0.65, abduction=0.2, twist=0.1, elbow=1.2, pronation=1.2),
            swing=ArmAngles(flex=0.01, abduction=0.012, twist=0.02, elbow=0.012, pronation=0.01),
            seated=1.0,
            gaze=SCREEN,
        ),
        plain_label="browsing on a computer",
        label_phrases=(
            "browsing on a computer",
            "browsing the web",
            "using a mouse",
            "surfing the internet",
            "looking at a screen",
            "scrolling with a mouse",
            "computer browsing",
        ),
        verb_phrases=(
            "browses on a computer",
            "moves a mouse with {side} hand",
            "looks at a computer screen",
            "scrolls through pages on a screen",
        ),
    ),
    Activity(
        name="watching_tv",
        build=watch,
        label="watching tv",
        label_phrases=(
            "watching tv",
            "watch TV",
            "watching television",
            "sitting and watching a screen",
            "watching a film",
            "watching a video",
        ),
        verb_phrases=(
            "watches TV",
            "sits and watches a screen",
            "watches a film from a seat",
            "looks at the television",
        ),
    ),
    Activity(
        name="talking",
        build=talk,
        plain_label="talking",
        label_phrases=(
            "talking",
            "chat",
            "chatting",
            "having a conversation",
            "sitting and talking",
            "talking with someone",
            "speaking",
        ),
        verb_phrases=("talks with someone", "chats and moves the hands", "nods and talks", "has a conversation"),
    ),
    Activity(
        name="looking_around",
        build=look_around,
        label="looking around",
        label_phrases=(
            "looking around",
            "moving the head",
            "turning the head",
            "looking left and right",
            "sitting and moving the head and body",
            "shaking the head",
            "nodding the head",
        ),
        verb_phrases=(
            "looks around",
            "turns the head to both sides",
            "moves head and body while seated",
            "looks about in all directions",
        ),
    ),
    Activity(
        name="moving_on_a_chair",
        build=shift_about,
        plain_label="moving about on a chair",
        label_phrases=(
            "moving about on a chair",
            "sitting and moving the chair",
            "rolling on an office chair",
            "turning on a swivel chair",
            "shifting on a seat",
            "sliding a chair",
            "fidgeting on a chair",
        ),
        verb_phrases=(
            "moves about on a chair",
            "rolls an office chair",
            "turns on a swivel chair",
            "shifts the chair while seated",
        ),
    ),
    Activity(
        name="playing_cards",
        build=gesture(
            ArmAngles(flex=0.8, abduction=0.2, twist=0.2, elbow=0.9, pronation=0.9),
            ArmAngles(flex=0.55, abduction=0.15, twist=0.4, elbow=1.5, pronation=0.3),
            seated=1.0,
            gaze=READING,
            seconds=Range(0.5, 1.1),
        ),
        label="play board games / cards / puzzle",
        label_phrases=(
            "playing cards",
            "play card",
            "playing a board game",
            "doing a puzzle",
            "moving a game piece",
            "card game",
            "board games",
        ),
        verb_phrases=(
            "plays cards at a table",
            "moves a piece on a board with {side} hand",
            "lays down a card",
            "does a puzzle",
        ),
    ),
)
