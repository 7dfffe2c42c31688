"""Movements of the arms of a person who stands, sits or walks: single gestures and rhythms."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Literal

import numpy as np

from .locomotion import walk
from .person import Range
from .pose import SIDES, Build, Impact, Pose, cycles, passages, smoothstep
from .posture import ABOUT, AT_WORK, Gaze, sit, stand

_QUICK = Range(0.22, 0.5)
ARM_ANGLES = ("arm_flex", "arm_abd", "arm_twist", "elbow", "pronation")


@dataclass(frozen=True)
class ArmAngles:
    """One number for each angle of an arm, in the order of `ARM_ANGLES`; radians, but for lags, which are cycles."""

    flex: float = 0.0
    abduction: float = 0.0
    twist: float = 0.0
    elbow: float = 0.0
    pronation: float = 0.0


def gesture(
    *keys: ArmAngles,
    trunk: float = 0.0,
    arms: Literal["one", "both"] = "one",
    seated: float = 0.0,
    step: bool = False,
    directed: bool = False,
    seconds: Range | None = None,
    gaze: Gaze = ABOUT,
) -> Build:
    """A single reach through key poses, one or more times.

    Keys are mirrored for the left arm.

    Args:
        keys: arm poses passed one after the other; rest lies before and after them.
        trunk: how far the trunk turns with the arm, radians.
        arms: one or both.
        seated: chance that the person sits.
        step: whether a foot comes down in the middle of it.
        directed: run backward with the left arm, so that a move to the left stays one.
        seconds: between key poses; those of a quick sign when left out.
        gaze: of the head.
    """

    def build(pose: Pose) -> None:
        rng = pose.rng
        (sit if rng.random() < seated else stand)(pose, gaze=gaze)
        side = "R" if rng.random() < 0.8 else "L"
        pose.details["side"] = "both" if arms == "both" else {"R": "right", "L": "left"}[side]
        pace = (seconds or _QUICK).draw(rng) / pose.style.tempo
        cycle = pace * (len(keys) + 1)
        pause = rng.uniform(0.0, 0.8)
        count = max(1, int((pose.time[-1] - 0.4) / (cycle + pause)))
        count = int(rng.integers(1, count + 1))
        pose.details["repetitions"] = count
        start = rng.uniform(0.1, max(0.2, pose.time[-1] - count * (cycle + pause)))
        knots, values = [pose.time[0] - 1], [np.zeros(5)]
        size = np.clip(pose.style.amplitude * np.exp(rng.normal(0, 0.1)), 0.6, 1.35)
        order = keys[::-1] if directed and side == "L" else keys
        poses = np.array([astuple(key) for key in order]) * size + rng.normal(0, 0.12, (len(keys), 5))
        clock = start
        for _ in range(count):
            knots.append(clock)
            values.append(np.zeros(5))
            for key in poses:
                clock += pace * np.exp(rng.normal(0, 0.12))
                knots.append(clock)
                values.append(key + rng.normal(0, 0.04, 5))
            clock += pace
            knots.append(clock)
            values.append(np.zeros(5))
            clock += pause + 0.05
        knots.append(clock + 10)
        values.append(np.zeros(5))
        curve = through(pose.time, np.array(knots), np.array(values), pose.rate, 0.3 * pace)
        for arm in SIDES if arms == "both" else (side,):
            for i, name in enumerate(ARM_ANGLES):
                pose.add(f"{arm}_{name}", curve[:, i])
        effort = np.abs(curve).sum(1)
        effort = effort / (effort.max() + 1e-9)
        pose.add("trunk_twist", trunk * effort * (1 if side == "R" else -1))
        pose.add("trunk_flex", 0.3 * abs(trunk) * effort)
        if step:
            pose.impacts.append(Impact(float(start + cycle * 0.5), rng.uniform(3, 9), side))

    return build


def through(time: np.ndarray, knots: np.ndarray, values: np.ndarray, rate: float, smooth: float) -> np.ndarray:
    """Minimum-jerk passage through key values, then a Gaussian of `smooth` seconds to round velocity corners."""
    place = np.clip(np.searchsorted(knots, time, side="right") - 1, 0, len(knots) - 2)
    s = smoothstep((time - knots[place]) / (knots[place + 1] - knots[place]))[:, None]
    curve = (1 - s) * values[place] + s * values[place + 1]
    half = max(1, int(3 * smooth * rate))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / (smooth * rate + 1e-9)) ** 2)
    padded = np.pad(curve, ((half, half), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, i], kernel / kernel.sum(), "valid") for i in range(curve.shape[1])], 1)


def rhythm(
    frequency: Range,
    centre: ArmAngles,
    swing: ArmAngles,
    lag: ArmAngles = ArmAngles(),
    arms: Literal["one", "both", "alternate"] = "one",
    seated: float = 0.0,
    trunk: float = 0.0,
    stoop: float = 0.0,
    walking: float = 0.0,
    knock: float = 0.0,
    gaze: Gaze = AT_WORK,
) -> Build:
    """A repeated arm movement.

    Args:
        frequency: cycles a second.
        centre, swing: mean and amplitude of each angle.
        lag: cycles by which each angle is late.
        arms: one, both together, or both in turn.
        seated, walking: chance that the person sits, or else walks slowly.
        trunk: how far the trunk turns with the arms, radians.
        stoop: how far it bends forward.
        knock: m/s^2 at the hand at the end of each cycle; 0 for none.
        gaze: of the head.
    """
    middles, swings, lags = astuple(centre), astuple(swing), astuple(lag)

    def build(pose: Pose) -> None:
        rng = pose.rng
        if rng.random() < seated:
            sit(pose, gaze=gaze)
            for side in SIDES:
                for name in ("arm_flex", "elbow", "pronation"):
                    pose.angles[f"{side}_{name}"] = pose.get(f"{side}_{name}") * 0.3
        elif rng.random() < walking:
            walk("slow")(pose)
        else:
            stand(pose, gaze=gaze)
        tempo = frequency.draw(rng) * pose.style.tempo
        phase = cycles(pose, tempo, 0.06)
        gate = np.clip(0.75 + pose.noise(0.35, 0.25), 0.15, 1.2) if rng.random() < 0.5 else 1.0
        lead = "R" if rng.random() < 0.85 else "L"
        pose.details["side"] = {"R": "right", "L": "left"}[lead] if arms == "one" else "both"
        size = np.clip(pose.style.amplitude * np.exp(rng.normal(0, 0.15)), 0.5, 1.5)
        for side in SIDES:
            if side != lead and arms == "one":
                continue
            shift = 0.5 if (arms == "alternate" and side != lead) else 0.0
            for i, name in enumerate(ARM_ANGLES):
                wave = np.cos(2 * np.pi * (phase + shift - lags[i]))
                pose.add(f"{side}_{name}", middles[i] * np.exp(rng.normal(0, 0.1)) + size * gate * swings[i] * wave)
            if knock:
                for time in passages(pose, phase, 0.5 + shift):
                    pose.impacts.append(Impact(float(time), knock * rng.uniform(0.5, 1.5), side, "hand"))
        pose.add("trunk_twist", trunk * np.cos(2 * np.pi * phase))
        pose.add("trunk_flex", stoop * np.exp(rng.normal(0, 0.2)))
        pose.add("pelvis_pitch", 0.3 * stoop)

    return build
