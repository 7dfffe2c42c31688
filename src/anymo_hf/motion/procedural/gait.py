"""Walking, stairs and running: feet planned on the ground, a prescribed pelvis path, legs by inverse kinematics.

Planted feet do not move, so legs, thighs and pelvis agree with the ground by construction. Stance shares, foot pitch and
step length follow Perry and Burnfield, *Gait Analysis* (2010); pelvis path Zijlstra and Hof (1997, 2003); stairs Riener
et al. (2002); running stance Novacheck (1998). Lengths are metres, angles radians, phase counts cycles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.constants import g

from ..skeleton import ANKLE_HEIGHT
from .pose import smoothstep

HEEL = np.array([-0.03, 0.0, -ANKLE_HEIGHT])  # from the ankle, as a share of body height
BALL = np.array([0.085, 0.0, -ANKLE_HEIGHT])


@dataclass(frozen=True)
class GaitShape:
    """Shape of one kind of gait.

    Args:
        stance: share of the cycle a foot is on the ground.
        strike: foot pitch near touch-down (toe up is positive).
        push: how far the heel has risen at toe-off, radians.
        fold: pitch of the foot in mid swing (toe down).
        swing_peak: share of the swing at which the foot is highest.
    """

    stance: float
    strike: float
    push: float
    fold: float
    swing_peak: float


def bell(phase: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Periodic bell of height 1 at `centre`, both in cycles."""
    return np.exp((np.cos(2 * np.pi * (phase - centre)) - 1) / (2 * np.pi * width) ** 2)


def _rise(u: np.ndarray) -> np.ndarray:
    """Smooth 0 to 1 on [0, 1], between a cubic and the minimum-jerk curve."""
    u = np.clip(u, 0, 1)
    return 0.5 * u**2 * (3 - 2 * u) + 0.5 * u**3 * (10 - 15 * u + 6 * u**2)


@dataclass(frozen=True)
class FootPath:
    """`along`, `height` and `pitch` of one ankle, `(T,)` each; `along` counts metres of the walked path."""

    along: np.ndarray
    height: np.ndarray
    pitch: np.ndarray


def foot_path(
    phase: np.ndarray, shift: float, shape: GaitShape, stride: float, climb: float, clearance: float, height: float
) -> FootPath:
    """One ankle over the ground.

    Args:
        phase: cycles of the body, `(T,)`; the body has walked `stride * phase`.
        shift: cycles by which this foot is ahead of the body's count.
        shape: of the gait.
        stride: metres a cycle, negative never (a falling phase walks backward), 0 on the spot.
        climb: metres a cycle gained (stairs up) or lost.
        clearance: extra lift in the swing.
        height: of the body; scales the foot.
    """
    own = phase + shift
    cycle, number = np.mod(own, 1.0), np.floor(own)
    begin = shape.stance - 0.05  # the ankle moves before the toe leaves
    swing = np.clip((cycle - begin) / (1 - begin), 0, 1)
    along = stride * (number - shift + begin / 2 - 0.02 + _rise(swing))
    # going up the foot rises first and moves over the edge, going down it moves first
    lift = _rise(swing / 0.7) if climb > 0 else _rise((swing - 0.3) / 0.7)
    level = climb * (number - shift + begin / 2 + lift)
    level = level + clearance * np.sin(np.pi * swing ** (np.log(0.5) / np.log(shape.swing_peak))) ** 2
    rolling = shape.strike * bell(cycle, 0.985, 0.05) - shape.push * bell(cycle, shape.stance + 0.015, 0.08)
    # toe up the sole turns about the heel, toe down about the ball; the pivot stays where it is
    pivot = np.where(rolling[:, None] > 0, HEEL, BALL) * height
    cosine, sine = np.cos(rolling), np.sin(rolling)
    turned = np.stack([cosine * pivot[:, 0] - sine * pivot[:, 2], sine * pivot[:, 0] + cosine * pivot[:, 2]], 1)
    # in the air the foot hangs from the ankle, which that does not move
    pitch = rolling - shape.fold * bell(cycle, shape.stance + 0.45 * (1 - shape.stance), 0.14)
    return FootPath(along + pivot[:, 0] - turned[:, 0], level - turned[:, 1], pitch)


@dataclass(frozen=True)
class GroundPath:
    """A curve on the ground that turns at `curvature` radians a metre from `heading`, with a slow wander."""

    distance: np.ndarray
    heading: np.ndarray
    place: np.ndarray

    @classmethod
    def draw(
        cls,
        low: float,
        high: float,
        heading: float,
        curvature: float,
        rng: np.random.Generator,
        landings: float = 0.0,
    ) -> GroundPath:
        """A path for distances between `low` and `high` metres.

        Args:
            landings: share of the turning that comes in bends, one every half turn; 0 turns evenly.
        """
        distance = np.linspace(low - 3, high + 3, 800)
        wander = sum(
            rng.normal(0, 0.03) * np.sin(2 * np.pi * distance / rng.uniform(4, 12) + rng.uniform(0, 6.28))
            for _ in range(3)
        )
        # a stairwell: every half turn most of the turning comes within a third of the way
        halves = curvature * distance / np.pi
        count = halves + rng.uniform(0, 1) - 0.5
        bend = np.floor(count) + smoothstep((np.mod(count, 1) - 0.34) / 0.32)
        turned = np.pi * ((1 - landings) * halves + landings * (bend - np.floor(count[0])))
        angle = heading + turned + wander
        step = np.gradient(distance)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        place = np.cumsum(step, axis=0) - step[0]
        return cls(distance, angle, place)

    def at(self, along: np.ndarray, left: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Ground place `(T, 2)` and heading `(T,)` at a distance along the path and an offset to the left."""
        heading = np.interp(along, self.distance, self.heading)
        place = np.stack([np.interp(along, self.distance, self.place[:, i]) for i in range(2)], 1)
        side = np.stack([-np.sin(heading), np.cos(heading)], 1)
        return place + np.asarray(left).reshape(-1, 1) * side, heading


def reachable_height(hip: np.ndarray, ankle: np.ndarray, reach: float, percentile: float) -> float:
    """How far the hips may rise so that a leg of length `reach` still meets the ankle.

    Args:
        hip, ankle: `(T, 3)`; hip heights count from zero.
        reach: metres.
        percentile: of the frames that may be out of reach.
    """
    flat = np.square(hip[:, :2] - ankle[:, :2]).sum(1)
    allowed = ankle[:, 2] + np.sqrt(np.maximum(reach**2 - flat, (0.3 * reach) ** 2)) - hip[:, 2]
    return float(np.percentile(allowed, percentile))


def two_link_leg(
    hip: np.ndarray, ankle: np.ndarray, forward: np.ndarray, thigh: float, shank: float
) -> tuple[np.ndarray, np.ndarray]:
    """World rotations of thigh and shank that put the ankle in place, knee to the front.

    Args:
        hip, ankle, forward: `(T, 3)`; `forward` is where the knee points.
        thigh, shank: lengths. A target out of reach is met with a nearly straight leg.

    Returns:
        `(T, 3, 3)` each; identity is a leg hanging straight down, x forward.
    """
    line = ankle - hip
    distance = np.linalg.norm(line, axis=1)
    down = line / distance[:, None]
    reach, soft = 0.998 * (thigh + shank), 0.015
    distance = reach - soft * np.logaddexp(0, (reach - distance) / soft)  # no corner where the leg straightens
    distance = np.maximum(distance, 0.35 * reach)
    front = forward - (forward * down).sum(1, keepdims=True) * down
    front /= np.linalg.norm(front, axis=1, keepdims=True)
    cosine = np.clip((thigh**2 + distance**2 - shank**2) / (2 * thigh * distance), -1, 1)
    knee = thigh * (cosine[:, None] * down + np.sqrt(1 - cosine**2)[:, None] * front)
    foot = distance[:, None] * down
    side = np.cross(-down, front)

    def frame(bone: np.ndarray) -> np.ndarray:
        up = -bone / np.linalg.norm(bone, axis=1, keepdims=True)
        return np.stack([np.cross(side, up), side, up], axis=-1)

    return frame(knee), frame(foot - knee)


def bounce(phase: np.ndarray, frequency: float, duty: float) -> np.ndarray:
    """Height of a body that a half-sine ground force of `duty` share of each cycle throws up, metres."""
    grid = np.linspace(0, 1, 512, endpoint=False)
    force = np.where(grid < duty, g * np.pi / (2 * duty) * np.sin(np.pi * grid / duty), 0.0)
    spectrum = np.fft.rfft(force - force.mean())
    omega = 2 * np.pi * frequency * np.arange(len(spectrum))
    spectrum[1:] /= -(omega[1:] ** 2)
    spectrum[0], spectrum[12:] = 0, 0  # keep what 60 Hz can carry
    height = np.fft.irfft(spectrum, 512)
    return np.interp(np.mod(phase, 1), np.append(grid, 1.0), np.append(height, height[0]))
