"""Running, jogging, jumping and skipping."""

from __future__ import annotations

import numpy as np

from ..activity import Activity
from ..gait import bounce
from ..locomotion import move_on_feet
from ..pose import SIDES, Build, Impact, Pose, cycles, passages, ringing
from ..posture import upright


def run(slow: bool = False, in_place: bool = False) -> Build:
    """Running, or jogging where `slow`."""

    def build(pose: Pose) -> None:
        rng = pose.rng
        cadence = rng.uniform(1.2, 1.4) if slow else rng.uniform(1.3, 1.6)
        step = pose.style.height * (rng.uniform(0.32, 0.52) if slow else rng.uniform(0.5, 0.75))
        move_on_feet(
            pose,
            cadence,
            0.0 if in_place else step,
            rng.uniform(10, 30) if slow else rng.uniform(14, 40),
            "run",
            clearance=rng.uniform(0.05, 0.16) if slow else rng.uniform(0.12, 0.26),
            stance=rng.uniform(0.37, 0.46) if slow else rng.uniform(0.3, 0.4),
        )

    return build


def jump(rope: bool = False) -> Build:
    """Jumps on the spot, or over a rope."""

    def build(pose: Pose) -> None:
        rng = pose.rng
        upright(pose)
        frequency = rng.uniform(1.6, 2.5) if rope else rng.uniform(1.0, 2.4)
        duty = rng.uniform(0.5, 0.7)
        phase = cycles(pose, frequency * pose.style.tempo**0.5)
        crouch = np.sin(np.pi * np.clip(np.mod(phase, 1) / duty, 0, 1)) ** 2
        depth = rng.uniform(0.1, 0.25) if rope else rng.uniform(0.25, 0.7)
        pose.vertical = bounce(phase, frequency, duty)
        for side in SIDES:
            pose.add(f"{side}_hip", 0.1 + depth * crouch)
            pose.add(f"{side}_knee", 0.2 + 1.8 * depth * crouch)
            pose.add(f"{side}_ankle", 0.3 * crouch - 0.3)
            for time in passages(pose, phase, 0.02):
                pose.impacts.append(Impact(float(time), rng.uniform(8, 22) if rope else rng.uniform(12, 34), side))
            if rope:
                turn = 2 * np.pi * phase
                pose.add(f"{side}_arm_abd", 0.35 + 0.08 * np.sin(turn))
                pose.add(f"{side}_elbow", 1.2 + 0.15 * np.cos(turn))
                pose.add(f"{side}_pronation", 0.5 * np.sin(turn))
                pose.add(f"{side}_wrist", 0.35 * np.cos(turn))
            else:
                pose.add(f"{side}_arm_flex", rng.uniform(0.2, 1.2) * np.cos(2 * np.pi * (phase - 0.5)))
        pose.add("trunk_flex", 0.4 * depth * crouch)
        landings = passages(pose, phase, 0.02)
        for side in SIDES:
            for name, size in (("hip_turn", 1.4), ("hip_abd", 0.3), ("hip", 0.3)):
                strength = size * np.exp(rng.normal(0, 0.4)) * rng.choice([-1, 1])
                pose.add(f"{side}_{name}", ringing(pose, landings, strength, rng.uniform(3.5, 8)))
        pose.contacts = np.full((len(pose.time), 4), 0.25)

    return build


ACTIVITIES = (
    Activity(
        name="running",
        build=run(),
        label="running",
        label_phrases=("running", "run", "run forward", "running forward", "sprinting", "running fast"),
        verb_phrases=("runs forward", "runs fast", "sprints ahead", "runs at speed"),
        everyday=True,
    ),
    Activity(
        name="jogging",
        broader="running",
        build=run(slow=True),
        label="jogging",
        label_phrases=("jogging", "jog", "slow running", "running slowly", "going for a jog", "jog forward"),
        verb_phrases=("jogs forward", "jogs at an easy pace", "runs slowly", "trots along"),
        everyday=True,
    ),
    Activity(
        name="jogging_in_place",
        build=run(slow=True, in_place=True),
        label="jogging in place",
        label_phrases=(
            "jogging in place",
            "running in place",
            "jog on the spot",
            "running on the spot",
            "jog in place",
            "run in place",
        ),
        verb_phrases=("jogs in place", "runs on the spot", "jogs without moving forward", "keeps jogging on one spot"),
    ),
    Activity(
        name="jumping",
        build=jump(),
        label="jumping / hopping in place",
        label_phrases=("jumping", "jump", "jump up", "hopping", "jumping up and down", "jumping in place"),
        verb_phrases=("jumps up and down", "jumps in place", "leaps upward", "hops with both feet"),
        everyday=True,
    ),
    Activity(
        name="rope_jumping",
        build=jump(rope=True),
        label="jumping rope",
        label_phrases=("jumping rope", "rope jumping", "skipping rope", "jump rope", "rope skipping", "skipping"),
        verb_phrases=("jumps rope", "skips with a rope", "hops over a swinging rope", "does rope jumps"),
    ),
)
