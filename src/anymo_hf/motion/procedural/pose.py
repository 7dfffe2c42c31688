"""`Pose`: the joint-angle curves of one motion while it is made, and the curves that motions are made of.

Angles are radians; arms hang at zero. An angle's name is one of

| of the body | of a side, with `R_` or `L_` before it |
| --- | --- |
| `yaw`, `pelvis_pitch`, `pelvis_roll`, `pelvis_twist` | `hip`, `hip_abd`, `hip_turn`, `knee`, `ankle`, `toe` |
| `trunk_flex`, `trunk_side`, `trunk_twist` | `shrug`, `arm_flex`, `arm_abd`, `arm_twist` |
| `head_pitch`, `head_yaw` | `elbow`, `pronation`, `wrist` |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .person import SubjectStyle

SIDES = ("R", "L")


@dataclass(frozen=True)
class Impact:
    """A short blow that the body feels.

    Args:
        time: when it begins, seconds.
        size: m/s^2; the acceleration peaks at about two thirds of it at a foot, at all of it at a hand.
        side: "R" or "L".
        at: "foot" (travels up the body) or "hand" (ends at the upper arm).
    """

    time: float
    size: float
    side: str
    at: Literal["foot", "hand"] = "foot"


@dataclass
class Pose:
    """Joint-angle curves of one motion; every array has one value per frame."""

    time: np.ndarray
    rate: float
    rng: np.random.Generator
    style: SubjectStyle
    angles: dict[str, np.ndarray] = field(default_factory=dict)
    contacts: np.ndarray | None = None  # (T, 4) weights of R heel, R toe, L heel, L toe
    root: np.ndarray | None = None  # (T, 3) pelvis path where no foot carries the body
    vertical: np.ndarray | None = None  # (T,) replaces the contact-derived height
    shift: np.ndarray | float = 0.0  # (T, 3) of the whole body, on top of the path
    world: dict[str, np.ndarray] = field(default_factory=dict)  # segment -> (T, 3, 3) where angles do not decide
    sway: np.ndarray | None = None  # (T, 2) of a walking pelvis, forward and left of its even path, metres
    steady: float = 0.0  # share of the sway of the head that the spine takes up
    impacts: list[Impact] = field(default_factory=list)
    details: dict = field(default_factory=dict)  # what the words may say: side, speed, repetitions, direction

    def get(self, name: str) -> np.ndarray:
        """The curve of an angle; zeros where nothing has moved it yet."""
        return self.angles.setdefault(name, np.zeros(len(self.time)))

    def add(self, name: str, value: np.ndarray | float) -> None:
        """Moves an angle by a curve or a constant."""
        self.angles[name] = self.get(name) + value

    def noise(self, amplitude: float, cutoff: float) -> np.ndarray:
        """Band-limited noise of the given standard deviation."""
        count = len(self.time)
        spectrum = np.fft.rfft(self.rng.standard_normal(count * 2))
        frequency = np.fft.rfftfreq(count * 2, 1 / self.rate)
        signal = np.fft.irfft(spectrum * np.exp(-0.5 * (frequency / cutoff) ** 2))[:count]
        return amplitude * signal / (signal.std() + 1e-9)


Build = Callable[[Pose], None]  # fills a pose with one activity


def smoothstep(x: np.ndarray) -> np.ndarray:
    """Minimum-jerk rise from 0 to 1 on [0, 1]."""
    x = np.clip(x, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def rotation(axis: int, angle: np.ndarray) -> np.ndarray:
    """Rotation matrices `(..., 3, 3)` about axis 0, 1 or 2."""
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.zeros((*np.shape(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1
    matrix[..., i, i] = matrix[..., j, j] = cosine
    matrix[..., j, i], matrix[..., i, j] = sine, -sine
    return matrix


def integrate(velocity: np.ndarray, rate: float) -> np.ndarray:
    """Trapezoidal integral along the first axis, zero at the start."""
    out = np.zeros_like(velocity)
    out[1:] = np.cumsum((velocity[1:] + velocity[:-1]) / 2, axis=0) / rate
    return out


def cycles(pose: Pose, frequency: float, wobble: float = 0.015) -> np.ndarray:
    """Cycle count per frame at `frequency` Hz with a slowly wandering tempo."""
    speed = frequency * (1 + pose.noise(wobble, 0.3))
    return integrate(speed[:, None], pose.rate)[:, 0] + pose.rng.random()


def ringing(pose: Pose, times: np.ndarray, rate: float, frequency: float, decay: float = 0.1) -> np.ndarray:
    """Angle of soft tissue that oscillates after blows, `(T,)`: turning starts at `rate` (rad/s) and dies away.

    Args:
        times: of the blows, seconds.
        rate: of the first swing.
        frequency: Hz.
        decay: seconds in which the swing falls to a third.
    """
    since = np.maximum(pose.time[:, None] - np.asarray(times)[None], 0)
    sizes = rate * np.exp(pose.rng.normal(0, 0.35, len(times)))
    wave = np.exp(-since / decay) * np.sin(2 * np.pi * frequency * since) / (2 * np.pi * frequency)
    return (wave * sizes).sum(1)


def passages(pose: Pose, phase: np.ndarray, at: float) -> np.ndarray:
    """Times at which the cycle count passes `at` (cycles)."""
    cycles = np.floor(phase - at)
    hits = np.flatnonzero(np.diff(cycles) != 0)
    return pose.time[hits]
