"""In and around a car: getting in and out, and riding along."""

from __future__ import annotations

import numpy as np

from ..activity import Activity
from ..person import Range
from ..pose import Pose
from ..posture import Gaze, Seat, sit
from ..whole_body import Key, keyframes

_ROAD = Gaze(turns=0.25, size=0.3, nod=0.06, down=0.05, tremor=0.001)
_CAR_SEAT = Seat(tilt=0.3, slouch_tilt=0.3, hip=1.5, height=0.2, arm_flex=0.7, elbow=0.9)
_STEP_IN = Key(
    {"R_hip": 1.1, "R_knee": 1.2, "L_hip": 0.2, "L_knee": 0.4, "trunk_flex": 0.5, "pelvis_pitch": 0.35, "yaw": 0.5,
     "head_pitch": 0.3, "arm_flex": 0.7},
    height=0.46, left=0.1,
)  # fmt: skip
_HALF_SEATED = Key(
    {"R_hip": 1.6, "R_knee": 1.3, "L_hip": 1.0, "L_knee": 1.2, "L_hip_abd": 0.5, "trunk_flex": 0.5, "yaw": 1.1,
     "trunk_side": 0.15, "arm_flex": 0.6},
    height=0.24, left=0.35,
)  # fmt: skip
_SEATED = Key(
    {"hip": 1.15, "knee": 1.0, "pelvis_pitch": -0.4, "trunk_flex": 0.1, "yaw": 1.5, "arm_flex": 0.5, "elbow": 0.7},
    height=0.22, left=0.45,
)  # fmt: skip
_LEAVING = Key(
    {"R_hip": 1.3, "R_knee": 1.1, "R_hip_abd": 0.3, "L_hip": 1.5, "L_knee": 0.9, "trunk_flex": 0.35, "yaw": 0.4,
     "arm_flex": 0.7, "elbow": 0.5},
    height=0.24, left=0.35,
)  # fmt: skip
_RISING = Key(
    {"hip": 0.9, "knee": 0.9, "trunk_flex": 0.5, "pelvis_pitch": 0.5, "yaw": 0.1, "arm_flex": 0.6},
    height=0.42,
    left=0.1,
)
_WAIT = Range(0.7, 1.3)


def ride_along(pose: Pose) -> None:
    """Sitting in a car: the road shakes, bends and brakes push."""
    rng = pose.rng
    sit(pose, slouch=rng.uniform(0.1, 0.6), seat=_CAR_SEAT, gaze=_ROAD)
    rough = 0.15 * np.exp(rng.normal(0, 0.7))  # m/s^2 rms
    # bounce of the body on its springs near 1.5 Hz, of the wheels near 11 Hz, and slow pushes of bends and brakes
    slow = [pose.noise(rng.uniform(0.02, 0.4), 0.12) for _ in range(2)]
    for axis, share in ((0, 0.5), (1, 0.6), (2, 1.0)):
        spring, wheel = pose.noise(1.0, 2.5), pose.noise(1.0, 11.0)
        curve = share * rough * (0.012 * spring + 0.0006 * wheel) + (slow[axis] if axis < 2 else 0.0)
        pose.root[:, axis] = pose.root[:, axis] + curve
    sway = 0.02 * rough / 0.15
    pose.add("pelvis_roll", pose.noise(0.3 * sway, 1.2))
    pose.add("trunk_side", pose.noise(sway, 1.0))
    pose.add("trunk_flex", pose.noise(sway, 1.2))
    pose.add("yaw", pose.noise(rng.uniform(0.0, 0.3), 0.12))
    if rng.random() < 0.5:  # at the wheel
        for side in ("R", "L"):
            pose.add(f"{side}_arm_flex", 0.3 + pose.noise(0.05, 0.5))


ACTIVITIES = (
    Activity(
        name="car_in",
        build=keyframes(_STEP_IN, _HALF_SEATED, _SEATED, either_side=True, jolt=Range(2, 8)),
        plain_label="getting into a car",
        label_phrases=(
            "getting into a car",
            "car step in",
            "entering a car",
            "get in the car",
            "stepping into a car",
            "sitting down in a car",
        ),
        verb_phrases=("gets into a car", "steps into a car and sits", "ducks and sits down in a car", "enters a car"),
    ),
    Activity(
        name="car_out",
        build=keyframes(_LEAVING, _RISING, Key(seconds=_WAIT), start=_SEATED, either_side=True, jolt=Range(2, 8)),
        plain_label="getting out of a car",
        label_phrases=(
            "getting out of a car",
            "car step out",
            "leaving a car",
            "get out of the car",
            "stepping out of a car",
            "standing up from a car seat",
        ),
        verb_phrases=(
            "gets out of a car",
            "swings the legs out of a car and stands up",
            "steps out of a car",
            "leaves a car",
        ),
    ),
    Activity(
        name="riding_in_a_car",
        build=ride_along,
        plain_label="riding in a car",
        label_phrases=(
            "riding in a car",
            "driving",
            "sitting in a car",
            "driving a car",
            "in a moving car",
            "travelling by bus",
            "in a vehicle",
        ),
        verb_phrases=("drives a car", "rides in a car", "sits in a moving car", "travels in a vehicle"),
    ),
)
