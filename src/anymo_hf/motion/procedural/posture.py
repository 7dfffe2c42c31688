"""Postures that activities stand, sit and lie in, and the small motion of a body at rest.

Where no source is named, a number was set by comparison with worn phones (`evaluation/signal_comparison.py`). Angles are
radians, and so are their spreads; accelerations m/s^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .person import Range
from .pose import SIDES, Build, Pose, smoothstep


@dataclass(frozen=True)
class Standing:
    """How a person stands upright: mean, and spread between people, of each habit.

    Args:
        pelvis_sway, pelvis_rock: slow sway of the pelvis to the front and to the side.
        trunk_bend, trunk_bend_spread: forward.
        unrest: of the trunk, rms.
        breath, breath_rate: of the trunk; breaths a second (16 a minute, of a resting adult).
        arm_out: abduction of the hanging arm.
        elbow_spread: bend of the hanging elbow.
        twist: slow turning of the pelvis about the vertical, rms.
        at_rest: shaking of the body, rms.
        weight_shifts: chance that the weight moves from leg to leg.
    """

    pelvis_sway: float = 0.01
    pelvis_rock: float = 0.008
    trunk_bend: float = 0.05
    trunk_bend_spread: float = 0.08
    unrest: float = 0.012
    breath: float = 0.006
    breath_rate: float = 0.27
    arm_out: Range = Range(0.05, 0.2)
    elbow: float = 0.2
    elbow_spread: float = 0.15
    twist: float = 0.004
    at_rest: float = 0.07
    weight_shifts: float = 0.2


@dataclass(frozen=True)
class Seat:
    """How a person sits.

    Args:
        tilt, slouch_tilt: of the pelvis to the back, upright, and what slouching adds (Levine and Whittle 1996).
        slouch_bend: of the trunk to the front in a slouch.
        hip, hip_spread: flexion; thighs are about level.
        knee_spread: of the knees' bend about the hips'.
        apart, apart_spread: of the thighs.
        arm_flex, elbow: where the hands lie.
        height: of the pelvis, as a share of body height.
        sway: slow sway of the pelvis, rms.
        unrest: of the trunk, rms.
        at_rest: shaking of the body, rms.
    """

    tilt: float = 0.08
    slouch_tilt: float = 0.55
    slouch_bend: float = 0.25
    hip: float = 1.45
    hip_spread: float = 0.12
    knee_spread: float = 0.25
    apart: float = 0.12
    apart_spread: float = 0.1
    arm_flex: float = 0.35
    elbow: float = 1.0
    height: float = 0.3
    sway: float = 0.003
    unrest: float = 0.012
    at_rest: float = 0.06


@dataclass(frozen=True)
class Bed:
    """How a person lies: bends of the legs, and the turn of the body about its length with its spread."""

    hip: Range
    knee: Range
    turn: float
    turn_spread: float
    height: float = 0.12  # of the pelvis above the floor, metres
    at_rest: float = 0.06


@dataclass(frozen=True)
class Gaze:
    """How the head moves of itself: it rests, then turns quickly to something else.

    Args:
        turns: looks elsewhere, a second.
        size, nod: spread of the directions looked at, to the sides and up and down.
        seconds: that a turn takes.
        down: mean bend of the head, forward, with its spread.
        drift: slow swaying, rms.
        tremor: small shaking of about 3 Hz, rms.
    """

    turns: float = 0.12
    size: float = 0.3
    nod: float = 0.12
    seconds: Range = Range(0.3, 0.8)
    down: float = 0.1
    down_spread: float = 0.15
    drift: float = 0.004
    tremor: float = 0.0007


STANDING = Standing()
HANDS_IN_LAP = Seat()
HANDS_ON_DESK = Seat(arm_flex=0.7, elbow=1.25)
ON_BACK = Bed(hip=Range(0, 0.3), knee=Range(0, 0.4), turn=0.0, turn_spread=0.35)
ON_SIDE = Bed(hip=Range(0, 0.9), knee=Range(0, 1.2), turn=np.pi / 2, turn_spread=0.2)
ABOUT = Gaze(turns=0.3, tremor=0.001)
ON_THE_WAY = Gaze(turns=0.3, down_spread=0.2, drift=0.025)
CALM = Gaze(down=0.2, down_spread=0.2)
SCREEN = Gaze(turns=0.1, size=0.12, nod=0.12, down=0.15, down_spread=0.12, tremor=0.0006)
AT_WORK = Gaze(turns=0.04, size=0.2, nod=0.15, down=0.45)


def look(pose: Pose, gaze: Gaze) -> None:
    """Moves the head as `gaze` says, people and moments as different as they are."""
    rng, end = pose.rng, pose.time[-1]
    calm = np.exp(rng.normal(0, 0.7))
    count = rng.poisson(min(gaze.turns * np.exp(rng.normal(0, 0.8)), 2.5) * (end + 1))
    times = np.sort(rng.uniform(-0.8, end, count))
    targets = rng.normal(0, 1, (count + 1, 2)) * [gaze.size, gaze.nod]
    yaw, pitch = targets[0]
    for time, step in zip(times, np.diff(targets, axis=0), strict=True):
        rise = smoothstep((pose.time - time) / (gaze.seconds.draw(rng) / pose.style.tempo))
        yaw, pitch = yaw + step[0] * rise, pitch + step[1] * rise
    slow, shake = gaze.drift * calm, gaze.tremor * calm
    pose.add("head_yaw", yaw + pose.noise(1.5 * slow, 0.4) + pose.noise(shake, 3.5))
    bend = np.clip(rng.normal(gaze.down, gaze.down_spread), -0.5, 0.8)
    pose.add("head_pitch", bend + pitch + pose.noise(slow, 0.4) + pose.noise(shake, 3.5))


def level_head(pose: Pose, lean: np.ndarray, share: float) -> None:
    """Keeps so large a share of a lean (radians, forward) from the head: people watch where they go."""
    pose.add("head_pitch", -share * lean)


def upright(pose: Pose, arms: bool = True, sway: float = 1.0, habit: Standing = STANDING, gaze: Gaze = ABOUT) -> None:
    """Habits of an upright body, sway (times `sway`), breathing, gaze, and hanging arms unless `arms` is False."""
    rng, style = pose.rng, pose.style
    pose.add(
        "pelvis_pitch", style.pelvis_pitch + pose.noise(sway * habit.pelvis_sway * np.exp(rng.normal(0, 0.8)), 0.5)
    )
    pose.add(
        "pelvis_roll", rng.normal(0, 0.02) + pose.noise(sway * habit.pelvis_rock * np.exp(rng.normal(0, 0.8)), 0.4)
    )
    breath = habit.breath * np.sin(2 * np.pi * habit.breath_rate * pose.time)
    unrest = habit.unrest * np.exp(rng.normal(0, 0.7))
    pose.add("trunk_flex", rng.normal(habit.trunk_bend, habit.trunk_bend_spread) + pose.noise(unrest, 0.5) + breath)
    pose.add("trunk_side", rng.normal(0, 0.03) + pose.noise(0.7 * unrest, 0.5))
    pose.add("trunk_twist", pose.noise(1.5 * unrest, 0.4))
    look(pose, gaze)
    for side in SIDES:
        pose.add(f"{side}_arm_abd", habit.arm_out.draw(rng) + pose.noise(0.01, 0.6))
        pose.add(f"{side}_arm_twist", rng.normal(0, 0.3))
        pose.add(f"{side}_pronation", rng.normal(0.2, 0.4))
        if arms:
            pose.add(f"{side}_arm_flex", rng.normal(0.02, 0.08) + pose.noise(0.012, 0.7))
            pose.add(f"{side}_elbow", abs(rng.normal(habit.elbow, habit.elbow_spread)) + pose.noise(0.015, 0.7))


def micro_motion(pose: Pose, median: float) -> None:
    """Shaking of a body at rest: muscles, heart and breath; `median` m/s^2 rms, up to 16 Hz, wide between people."""
    rng, count = pose.rng, len(pose.time)
    size, cutoff = median * np.exp(rng.normal(0, 0.6)), rng.uniform(2.5, 16.0)
    frequency = np.fft.rfftfreq(2 * count, 1 / pose.rate)
    shape = np.exp(-0.5 * (frequency / cutoff) ** 2) * (frequency > 0.3)
    spectrum = np.fft.rfft(rng.standard_normal((2 * count, 3)), axis=0) * shape[:, None]
    acceleration = np.fft.irfft(spectrum, axis=0)
    spectrum[1:] /= -((2 * np.pi * frequency[1:, None]) ** 2)
    displacement = np.fft.irfft(spectrum, axis=0)[:count]
    pose.shift = pose.shift + size * displacement * rng.uniform(0.3, 1.0, 3) / acceleration.std()


def adjust(pose: Pose) -> None:
    """Now and then a small, quick change of posture, which gives rest its heavy tails."""
    rng = pose.rng
    for _ in range(rng.poisson(0.8)):
        begin, seconds = rng.uniform(-0.5, pose.time[-1]), rng.uniform(0.3, 1.0)
        rise = smoothstep((pose.time - begin) / seconds)
        back = smoothstep((pose.time - begin - seconds - rng.exponential(1.0)) / seconds)
        for name in ("pelvis_pitch", "pelvis_roll", "pelvis_twist"):
            pose.add(name, rng.normal(0, 0.012) * (rise - rng.uniform(0.2, 1.0) * back))


def feet_down(pose: Pose) -> None:
    """Both feet carry the body; legs keep the soles level through small knee bends."""
    pose.contacts = np.full((len(pose.time), 4), 0.25)
    for side in SIDES:
        bend = abs(pose.rng.normal(0.03, 0.03)) + pose.noise(0.004, 0.5)
        pose.add(f"{side}_knee", 2 * bend)
        pose.add(f"{side}_hip", bend + pose.get("pelvis_pitch"))
        pose.add(f"{side}_ankle", bend)


def stand(pose: Pose, gaze: Gaze = ABOUT) -> None:
    """Standing about: upright and at rest on both feet, with idle hands."""
    upright(pose, sway=0.25, gaze=gaze)
    feet_down(pose)
    micro_motion(pose, STANDING.at_rest)
    adjust(pose)
    twist = STANDING.twist * np.exp(pose.rng.normal(0, 1.1))
    pose.add("pelvis_twist", pose.noise(twist, 0.4) + pose.noise(0.3 * twist, 1.2) + pose.noise(0.08 * twist, 4.0))
    if pose.rng.random() < STANDING.weight_shifts:
        pose.add("pelvis_roll", pose.noise(0.02, 0.3))
    fidget(pose, pose.rng.random() * 0.5)


def fidget(pose: Pose, amount: float) -> None:
    """Idle movement of arms and hands."""
    for side in SIDES:
        pose.add(f"{side}_arm_flex", pose.noise(0.12 * amount, 0.5))
        pose.add(f"{side}_elbow", pose.noise(0.2 * amount, 0.5))
        pose.add(f"{side}_pronation", pose.noise(0.25 * amount, 0.5))


def sit(pose: Pose, slouch: float | None = None, seat: Seat = HANDS_IN_LAP, gaze: Gaze = CALM) -> None:
    """Sitting on a seat that does not move; `slouch` from 0 (upright) to 1, the person's own when left out."""
    rng = pose.rng
    slouch = pose.style.slouch + rng.uniform(-0.1, 0.25) if slouch is None else slouch
    sway, unrest = seat.sway * np.exp(rng.normal(0, 0.9)), seat.unrest * np.exp(rng.normal(0, 0.8))
    pose.add("pelvis_pitch", -seat.tilt - seat.slouch_tilt * slouch + pose.noise(sway, 0.4))
    pose.add("pelvis_roll", rng.normal(0, 0.05) + pose.noise(0.8 * sway, 0.4))
    pose.add("trunk_flex", seat.slouch_bend * slouch + rng.normal(0.05, 0.12) + pose.noise(unrest, 0.4))
    pose.add("trunk_side", pose.noise(0.5 * unrest, 0.4))
    pose.add("trunk_twist", pose.noise(unrest, 0.3))
    look(pose, gaze)
    hip = seat.hip + rng.normal(0, seat.hip_spread)
    for side in SIDES:
        pose.add(f"{side}_hip", hip + pose.get("pelvis_pitch") + rng.normal(0, 0.05) + pose.noise(0.004, 0.4))
        pose.add(f"{side}_hip_abd", rng.normal(seat.apart, seat.apart_spread))
        pose.add(f"{side}_knee", hip + rng.normal(0, seat.knee_spread))
        pose.add(f"{side}_arm_flex", seat.arm_flex + rng.normal(0, 0.1) + pose.noise(0.01, 0.5))
        pose.add(f"{side}_arm_abd", 0.15 + rng.normal(0, 0.05))
        pose.add(f"{side}_elbow", seat.elbow + rng.normal(0, 0.15) + pose.noise(0.015, 0.5))
        pose.add(f"{side}_pronation", rng.normal(1.0, 0.3))
    pose.root = np.zeros((len(pose.time), 3)) + np.array([0, 0, seat.height * pose.style.height])
    adjust(pose)
    micro_motion(pose, seat.at_rest)


def lie(bed: Bed) -> Build:
    """Lying still, breathing."""

    def build(pose: Pose) -> None:
        rng = pose.rng
        pose.add("pelvis_pitch", -np.pi / 2 + rng.normal(0, 0.25) + pose.noise(0.004 * np.exp(rng.normal(0, 0.7)), 0.4))
        # on either side; a person on the back has none
        side = rng.choice([-1, 1]) if bed.turn else 1
        twist = side * (bed.turn + rng.normal(0, bed.turn_spread))
        pose.add("pelvis_twist", twist + pose.noise(0.002, 0.3))
        pose.add(
            "trunk_flex",
            rng.normal(0.05, 0.1) + 0.008 * np.sin(2 * np.pi * rng.uniform(0.2, 0.35) * pose.time),
        )
        for leg in SIDES:
            pose.add(f"{leg}_hip", bed.hip.draw(rng) + pose.noise(0.003, 0.3))
            pose.add(f"{leg}_knee", bed.knee.draw(rng))
            pose.add(f"{leg}_arm_abd", rng.uniform(0.1, 0.6))
            pose.add(f"{leg}_arm_flex", rng.uniform(-0.1, 0.8) + pose.noise(0.004, 0.4))
            pose.add(f"{leg}_elbow", rng.uniform(0.1, 1.6) + pose.noise(0.005, 0.4))
        pose.root = np.zeros((len(pose.time), 3)) + np.array([0, 0, bed.height])
        adjust(pose)
        micro_motion(pose, bed.at_rest)

    return build


def blend(pose: Pose, start: Build, end: Build, length: Range) -> np.ndarray:
    """Cross-fade of two postures that takes `length` seconds, somewhere in the middle; returns its progress, 0 to 1."""
    rng = pose.rng
    first = Pose(pose.time, pose.rate, rng, pose.style)
    second = Pose(pose.time, pose.rate, rng, pose.style)
    start(first)
    end(second)
    seconds = length.draw(rng) / pose.style.tempo
    begin = rng.uniform(0.15, 0.85) * max(pose.time[-1] - seconds, 0.1)
    mix = smoothstep((pose.time - begin) / seconds)
    for name in sorted(set(first.angles) | set(second.angles)):
        pose.angles[name] = (1 - mix) * first.get(name) + mix * second.get(name)
    return mix
