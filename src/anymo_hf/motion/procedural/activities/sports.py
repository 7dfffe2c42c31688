"""Throws, swings, punches and kicks."""

from __future__ import annotations

import numpy as np

from ..activity import Activity
from ..arms import ArmAngles, gesture, rhythm
from ..locomotion import move_on_feet
from ..person import Range
from ..pose import Impact, Pose, rotation
from ..posture import stand


def kick(pose: Pose) -> None:
    """Kicks of a ball between slow steps or shuffles; the kicking leg swings on top of what it was doing."""
    rng = pose.rng
    if rng.random() < 0.75:
        step = rng.choice([0.0, rng.uniform(0.15, 0.4)])
        move_on_feet(
            pose, rng.uniform(0.5, 1.25), step, rng.uniform(2, 12), curvature=rng.choice([-1, 1]) * rng.uniform(0, 1.5),
            clearance=rng.uniform(0.02, 0.1),
        )  # fmt: skip
    else:
        stand(pose)
        pose.contacts = np.tile([0.0, 0.0, 0.5, 0.5], (len(pose.time), 1))
    hip, knee = np.zeros(len(pose.time)), np.zeros(len(pose.time))
    for begin in np.arange(rng.uniform(0.1, 1.5), pose.time[-1] - 0.9, rng.uniform(1.2, 3.5)):
        begin, seconds, size = begin + rng.normal(0, 0.15), rng.uniform(0.55, 1.0), rng.uniform(0.25, 1.0)
        s = np.clip((pose.time - begin) / seconds, 0, 1)
        window = np.sin(np.pi * s) ** 2
        hip -= 0.9 * size * window * np.sin(2 * np.pi * s)
        knee += 1.1 * size * np.exp(-0.5 * ((s - 0.38) / 0.13) ** 2) * (window > 0)
        pose.add("trunk_twist", 0.3 * size * window)
        pose.add("pelvis_twist", 0.35 * size * window * np.sin(2 * np.pi * s))
        pose.add("trunk_flex", -0.12 * size * window)
        pose.impacts.append(Impact(float(begin + 0.55 * seconds), size * rng.uniform(8, 30), "R"))
        pose.impacts.append(Impact(float(begin + seconds), rng.uniform(3, 12), "R"))
    if pose.world:
        for bone, angle in (("UpperLeg", -hip), ("LowerLeg", knee - hip), ("Foot", knee - hip), ("Toe", knee - hip)):
            pose.world[f"R_{bone}"] = pose.world[f"R_{bone}"] @ rotation(1, angle)
    else:
        pose.add("R_hip", hip)
        pose.add("R_knee", knee)


ACTIVITIES = (
    Activity(
        name="throw",
        build=gesture(
            ArmAngles(flex=0.9, abduction=1.3, twist=-1.0, elbow=1.9),
            ArmAngles(flex=2.0, abduction=0.5, twist=-0.3, elbow=0.8),
            ArmAngles(flex=1.0, twist=0.5, elbow=0.1, pronation=0.4),
            trunk=0.6,
            step=True,
        ),
        label="throwing objects",
        label_phrases=("throwing", "throw", "arm throw", "throwing a ball", "pitching", "throw something"),
        verb_phrases=(
            "throws something with {side} arm",
            "hurls a ball",
            "swings {side} arm overhead to throw",
            "throws",
        ),
    ),
    Activity(
        name="catch",
        build=gesture(
            ArmAngles(flex=1.1, abduction=0.15, twist=0.2, elbow=0.7, pronation=-0.3),
            ArmAngles(flex=0.8, abduction=0.1, twist=0.3, elbow=1.5, pronation=-0.3),
            step=True,
        ),
        label="catching objects",
        label_phrases=(
            "catching",
            "catch",
            "catch an object",
            "playing catch",
            "catch a ball",
            "grabbing a thrown object",
        ),
        verb_phrases=(
            "catches an object with {side} hand",
            "grabs something thrown",
            "catches a ball",
            "reaches out and catches",
        ),
    ),
    Activity(
        name="pick_up_throw",
        build=gesture(
            ArmAngles(flex=0.9, abduction=0.1, elbow=0.1),
            ArmAngles(flex=0.9, abduction=1.2, twist=-0.9, elbow=1.8),
            ArmAngles(flex=1.9, abduction=0.3, twist=0.1, elbow=0.3, pronation=0.3),
            trunk=0.9,
            step=True,
        ),
        label="throwing objects",
        label_phrases=(
            "pick up and throw",
            "picking up and throwing",
            "grab and throw",
            "lift and throw",
            "pick something up then throw",
            "pickup and throw",
        ),
        verb_phrases=(
            "picks something up and throws it",
            "bends, grabs and throws",
            "lifts an object and throws it",
            "picks up a ball and throws",
        ),
    ),
    Activity(
        name="bowling",
        build=gesture(
            ArmAngles(flex=-0.9, abduction=0.2, elbow=0.15),
            ArmAngles(flex=1.3, twist=0.1, elbow=0.25),
            ArmAngles(flex=1.9, abduction=0.1, twist=0.1, elbow=0.7),
            trunk=0.4,
            step=True,
        ),
        label="bowling",
        label_phrases=("bowling", "bowl", "rolling a bowling ball", "bowling throw", "underarm roll", "bowl a ball"),
        verb_phrases=(
            "bowls with {side} hand",
            "rolls a bowling ball",
            "swings {side} arm low and forward",
            "bowls a ball",
        ),
    ),
    Activity(
        name="tennis_swing",
        build=gesture(
            ArmAngles(flex=-0.4, abduction=1.0, twist=-0.6, elbow=0.5, pronation=-0.3),
            ArmAngles(flex=1.0, abduction=0.4, twist=0.3, elbow=0.4, pronation=0.2),
            ArmAngles(flex=1.7, abduction=-0.6, twist=0.8, elbow=1.5, pronation=0.8),
            trunk=0.8,
            step=True,
        ),
        plain_label="playing tennis",
        label_phrases=(
            "tennis swing",
            "forehand swing",
            "tennis forehand",
            "racket swing",
            "hitting a tennis ball",
            "swinging a racket",
        ),
        verb_phrases=(
            "swings a racket",
            "plays a forehand with {side} arm",
            "hits a tennis ball",
            "swings {side} arm across the body",
        ),
    ),
    Activity(
        name="tennis_serve",
        build=gesture(
            ArmAngles(flex=1.0, abduction=1.4, twist=-1.1, elbow=2.0),
            ArmAngles(flex=2.9, abduction=0.3, elbow=0.3),
            ArmAngles(flex=0.6, abduction=-0.5, twist=0.6, elbow=0.3, pronation=0.8),
            trunk=0.7,
            step=True,
        ),
        plain_label="playing tennis",
        label_phrases=("tennis serve", "serving", "overhead serve", "serve a ball", "racket serve", "smash"),
        verb_phrases=(
            "serves a tennis ball",
            "hits overhead with {side} arm",
            "raises {side} arm and serves",
            "serves overhead",
        ),
    ),
    Activity(
        name="baseball_swing",
        build=gesture(
            ArmAngles(flex=1.1, abduction=-0.3, twist=0.5, elbow=1.5),
            ArmAngles(flex=1.2, abduction=0.9, twist=-0.2, elbow=0.3, pronation=0.3),
            ArmAngles(flex=1.0, abduction=1.2, twist=-0.5, elbow=1.2, pronation=0.6),
            arms="both",
            trunk=-0.9,
            step=True,
        ),
        plain_label="playing baseball",
        label_phrases=("baseball swing", "swinging a bat", "bat swing", "batting", "hitting a baseball", "swing a bat"),
        verb_phrases=("swings a baseball bat", "bats with both hands", "turns and swings a bat", "hits a baseball"),
    ),
    Activity(
        name="basketball_shoot",
        build=gesture(
            ArmAngles(flex=0.5, abduction=0.1, elbow=1.2, pronation=0.3),
            ArmAngles(flex=1.9, abduction=0.2, elbow=1.9, pronation=0.3),
            ArmAngles(flex=2.5, abduction=0.1, elbow=0.15, pronation=0.8),
            arms="both",
        ),
        plain_label="playing basketball",
        label_phrases=(
            "basketball shoot",
            "shooting a basketball",
            "basketball shot",
            "shoot a hoop",
            "playing basketball",
            "free throw",
        ),
        verb_phrases=(
            "shoots a basketball",
            "throws a ball at the hoop",
            "raises both arms and shoots",
            "takes a basketball shot",
        ),
    ),
    Activity(
        name="boxing",
        build=rhythm(
            Range(0.8, 2.0),
            centre=ArmAngles(flex=0.95, abduction=0.2, twist=0.2, elbow=1.3, pronation=0.4),
            swing=ArmAngles(flex=0.5, abduction=0.1, twist=0.2, elbow=-0.95, pronation=0.3),
            arms="alternate",
            trunk=0.3,
            knock=20.0,
        ),
        label="punching / shadowboxing",
        label_phrases=("boxing", "punching", "shadow boxing", "boxing forward", "throwing punches", "punch"),
        verb_phrases=("punches with both fists", "shadow boxes", "throws punches in turn", "boxes forward"),
    ),
    Activity(
        name="kicking",
        build=kick,
        label="playing soccer / kicking ball",
        label_phrases=("kicking", "kicking ball", "kick", "playing soccer", "kicking a soccer ball", "kick a ball"),
        verb_phrases=("kicks a ball", "swings a leg to kick", "plays soccer and kicks", "kicks a soccer ball"),
        everyday=True,
    ),
)
