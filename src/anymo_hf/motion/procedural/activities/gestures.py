"""Signs of the hands and arms: waving, clapping, swipes and figures drawn in the air."""

from __future__ import annotations

import numpy as np

from ..activity import Activity
from ..arms import ArmAngles, gesture, rhythm
from ..person import Range
from ..pose import Build, Pose, smoothstep
from ..posture import stand


def circle(turn: float) -> Build:
    """Circles of the raised right arm; `turn` is 1 clockwise, -1 counter clockwise."""

    def build(pose: Pose) -> None:
        rng = pose.rng
        stand(pose)
        seconds = rng.uniform(0.9, 1.9)
        count = int(rng.integers(1, 3))
        start = rng.uniform(0.5, max(0.6, pose.time[-1] - 0.8 - seconds * count))
        pose.details["repetitions"] = count
        raised = smoothstep((pose.time - start + 0.5) / 0.5) - smoothstep((pose.time - start - seconds * count) / 0.5)
        angle = 2 * np.pi * np.clip((pose.time - start) / seconds, 0, count)
        size = rng.uniform(0.3, 0.6) * pose.style.amplitude
        pose.add("R_arm_flex", raised * (1.35 + size * np.cos(angle)))
        pose.add("R_arm_abd", raised * (0.15 + turn * size * np.sin(angle)))
        pose.add("R_elbow", raised * (0.35 + 0.2 * np.cos(angle)))

    return build


ACTIVITIES = (
    Activity(
        name="wave",
        build=rhythm(
            Range(1.0, 2.4),
            centre=ArmAngles(flex=1.2, abduction=0.5, twist=0.2, elbow=1.7),
            swing=ArmAngles(flex=0.05, abduction=0.1, twist=0.45, elbow=0.2, pronation=0.1),
        ),
        label="gesturing",
        label_phrases=("waving", "wave", "hand wave", "waving a hand", "greeting", "wave hello"),
        verb_phrases=("waves {side} hand", "greets by waving {side} hand", "swings {side} hand to say hello", "waves"),
    ),
    Activity(
        name="clap",
        build=rhythm(
            Range(1.2, 3.2),
            centre=ArmAngles(flex=0.9, abduction=0.1, twist=0.4, elbow=1.2),
            swing=ArmAngles(flex=0.05, abduction=0.12, twist=0.35, elbow=0.1),
            arms="both",
            knock=25.0,
        ),
        label="clapping",
        label_phrases=("clapping", "clap", "hand clapping", "two hand clap", "clap hands", "applauding"),
        verb_phrases=("claps both hands", "applauds", "claps the hands together", "claps"),
    ),
    Activity(
        name="knock",
        build=rhythm(
            Range(1.8, 3.6),
            centre=ArmAngles(flex=1.0, abduction=0.1, twist=0.2, elbow=1.6, pronation=0.3),
            swing=ArmAngles(flex=0.08, elbow=0.28),
            knock=45.0,
        ),
        label="gesturing",
        label_phrases=("knocking", "knock on door", "knock", "knocking on a door", "hand knock", "rapping on a door"),
        verb_phrases=(
            "knocks on a door",
            "raps with {side} hand",
            "knocks with {side} fist",
            "taps a door with the knuckles",
        ),
    ),
    Activity(
        name="swipe_left",
        build=gesture(
            ArmAngles(flex=1.1, abduction=1.0, twist=-0.2, elbow=0.3),
            ArmAngles(flex=1.2, abduction=-0.5, twist=0.5, elbow=0.7),
            trunk=0.15,
            directed=True,
        ),
        label="gesturing",
        label_phrases=(
            "swipe left",
            "swiping to the left",
            "arm swipe to the left",
            "hand swipe left",
            "sweep the arm left",
            "left swipe",
        ),
        verb_phrases=(
            "swipes {side} arm to the left",
            "moves {side} hand across to the left",
            "sweeps {side} arm leftwards",
            "makes a left swipe",
        ),
    ),
    Activity(
        name="swipe_right",
        build=gesture(
            ArmAngles(flex=1.2, abduction=-0.5, twist=0.6, elbow=0.9),
            ArmAngles(flex=1.1, abduction=1.1, twist=-0.2, elbow=0.3),
            trunk=-0.15,
            directed=True,
        ),
        label="gesturing",
        label_phrases=(
            "swipe right",
            "swiping to the right",
            "arm swipe to the right",
            "hand swipe right",
            "sweep the arm right",
            "right swipe",
        ),
        verb_phrases=(
            "swipes {side} arm to the right",
            "moves {side} hand across to the right",
            "sweeps {side} arm rightwards",
            "makes a right swipe",
        ),
    ),
    Activity(
        name="draw_circle_cw",
        build=circle(turn=1.0),
        label="air writing",
        label_phrases=(
            "draw circle clockwise",
            "drawing a circle",
            "hand circle clockwise",
            "clockwise circle in the air",
            "circle with the arm",
            "draw a circle",
        ),
        verb_phrases=(
            "draws a clockwise circle in the air",
            "circles {side} hand clockwise",
            "traces a circle to the right",
            "draws a circle with {side} hand",
        ),
    ),
    Activity(
        name="draw_circle_ccw",
        build=circle(turn=-1.0),
        label="air writing",
        label_phrases=(
            "draw circle counter clockwise",
            "drawing a circle counter clockwise",
            "counter clockwise circle",
            "circle to the left",
            "draw a circle backwards",
            "hand circle counter clockwise",
        ),
        verb_phrases=(
            "draws a counter clockwise circle in the air",
            "circles {side} hand counter clockwise",
            "traces a circle to the left",
            "draws a reverse circle",
        ),
    ),
    Activity(
        name="draw_x",
        build=gesture(
            ArmAngles(flex=1.9, abduction=0.6, elbow=0.4),
            ArmAngles(flex=0.8, abduction=-0.3, twist=0.3, elbow=0.4),
            ArmAngles(flex=1.9, abduction=-0.3, twist=0.3, elbow=0.5),
            ArmAngles(flex=0.8, abduction=0.6, elbow=0.3),
        ),
        label="air writing",
        label_phrases=(
            "draw x",
            "drawing a cross in the air",
            "draw an x",
            "hand draw x",
            "writing an x",
            "cross in the air",
        ),
        verb_phrases=(
            "draws an x in the air",
            "traces a cross with {side} hand",
            "writes the letter x in the air",
            "draws two crossing lines",
        ),
    ),
    Activity(
        name="draw_triangle",
        build=gesture(
            ArmAngles(flex=1.9, abduction=0.1, elbow=0.4),
            ArmAngles(flex=0.9, abduction=0.7, elbow=0.3),
            ArmAngles(flex=0.9, abduction=-0.4, twist=0.2, elbow=0.4),
            ArmAngles(flex=1.9, abduction=0.1, elbow=0.4),
        ),
        label="air writing",
        label_phrases=(
            "draw triangle",
            "drawing a triangle",
            "triangle in the air",
            "hand draw triangle",
            "trace a triangle",
            "three sided shape",
        ),
        verb_phrases=(
            "draws a triangle in the air",
            "traces three lines with {side} hand",
            "draws a three sided shape",
            "traces a triangle",
        ),
    ),
    Activity(
        name="push_two_hands",
        build=gesture(
            ArmAngles(flex=0.5, abduction=0.2, twist=0.1, elbow=1.9, pronation=0.6),
            ArmAngles(flex=1.4, abduction=0.15, twist=0.1, elbow=0.1, pronation=0.6),
            arms="both",
        ),
        plain_label="pushing",
        label_phrases=("two hand push", "pushing", "push forward", "pushing with both hands", "push", "shove"),
        verb_phrases=(
            "pushes forward with both hands",
            "shoves with both arms",
            "pushes something away",
            "extends both arms to push",
        ),
    ),
    Activity(
        name="arm_cross",
        build=gesture(
            ArmAngles(flex=1.3, abduction=0.7, twist=0.2, elbow=0.2),
            ArmAngles(flex=1.1, abduction=-0.4, twist=0.9, elbow=1.7),
            arms="both",
        ),
        label="gesturing",
        label_phrases=(
            "arm cross",
            "crossing arms",
            "crossing the arms over the chest",
            "folding arms",
            "cross the arms",
            "arms crossed",
        ),
        verb_phrases=(
            "crosses the arms over the chest",
            "folds both arms",
            "brings the arms across the chest",
            "crosses the arms",
        ),
    ),
)
