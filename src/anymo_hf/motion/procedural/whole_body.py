"""Movements of the whole body: through key postures, in a rhythm, and falls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .arms import through
from .person import Range
from .pose import SIDES, Build, Impact, Pose, cycles, passages, smoothstep
from .posture import AT_WORK, Bed, Gaze, adjust, lie, look, micro_motion, sit, stand

UPRIGHT = 0.52  # height of the pelvis of a standing body, as a share of body height
_CENTRAL = ("yaw", "pelvis_pitch", "pelvis_roll", "pelvis_twist", "trunk_flex", "trunk_side", "trunk_twist", "head_pitch",
            "head_yaw")  # fmt: skip


@dataclass(frozen=True)
class Key:
    """A posture on the way.

    Args:
        angles: of `Pose`, radians; a limb's angle without `R_` or `L_` is meant for both sides.
        height: of the pelvis, as a share of body height.
        forward, left: where the pelvis is, metres.
        seconds: that the way here takes.
    """

    angles: Mapping[str, float] = field(default_factory=dict)
    height: float = UPRIGHT
    forward: float = 0.0
    left: float = 0.0
    seconds: Range = Range(0.6, 1.1)


def sided(name: str) -> tuple[str, ...]:
    """The angles that a name without a side stands for."""
    return (name,) if name in _CENTRAL or name[:2] in ("R_", "L_") else tuple(f"{side}_{name}" for side in SIDES)


def keyframes(
    *keys: Key, start: Key = Key(), either_side: bool = False, jolt: Range | None = None, gaze: Gaze = AT_WORK
) -> Build:
    """Passage through key postures, once, somewhere in the clip.

    Args:
        keys: one after the other; the last one stays.
        start: before them; standing unless given.
        either_side: mirror left and right for every other person.
        jolt: size of the blow, m/s^2, that a foot gives as each key is reached; none when left out.
        gaze: of the head, beside the keys' own.
    """

    def build(pose: Pose) -> None:
        rng = pose.rng
        mirrored = either_side and rng.random() < 0.5
        if either_side:
            pose.details["side"] = "right" if mirrored else "left"
        order = [_mirrored(key) for key in (start, *keys)] if mirrored else [start, *keys]
        names = sorted({name for key in order for given in key.angles for name in sided(given)})
        size = np.clip(pose.style.amplitude**0.5, 0.85, 1.1)
        values = []
        for key in order:
            spread = {name: angle for given, angle in key.angles.items() for name in sided(given)}
            angles = [spread.get(name, 0.0) for name in names]
            noisy = [angle * size * (1 + rng.normal(0, 0.06)) if "yaw" not in name else angle
                     for name, angle in zip(names, angles, strict=True)]  # fmt: skip
            values.append([*noisy, key.height * pose.style.height, key.forward, key.left])
        lengths = np.array([key.seconds.draw(rng) / pose.style.tempo for key in keys])
        room = pose.time[-1] - lengths.sum()
        begin = rng.uniform(0.05, 0.6) * room if room > 0.5 else rng.uniform(-0.3, 0.3) + min(room, 0) / 2
        knots = np.concatenate([[begin], begin + np.cumsum(lengths)])
        # the first posture and the last one stay
        knots = np.concatenate([[min(begin, 0.0) - 10], knots, [max(knots[-1], pose.time[-1]) + 10]])
        table = np.array([values[0], *values, values[-1]])
        curve = through(pose.time, knots, table, pose.rate, 0.12 * float(lengths.mean()))
        look(pose, gaze)
        for column, name in enumerate(names):
            pose.add(name, curve[:, column])
        for side in SIDES:
            pose.add(f"{side}_arm_abd", 0.12)
            pose.add(f"{side}_elbow", 0.25 + pose.noise(0.02, 0.7))
        for name in ("pelvis_pitch", "pelvis_roll", "trunk_flex"):
            pose.add(name, pose.noise(0.008, 0.5))
        pose.root = np.stack([curve[:, -2], curve[:, -1], curve[:, -3]], 1)
        if jolt is not None:
            for time in knots[2:-1]:
                pose.impacts.append(Impact(float(time - 0.05), jolt.draw(rng), str(rng.choice(SIDES))))
        micro_motion(pose, 0.06)
        adjust(pose)

    return build


def _mirrored(key: Key) -> Key:
    other = {"R_": "L_", "L_": "R_"}
    turned = {}
    for name, angle in key.angles.items():
        sign = -1.0 if name in ("yaw", "pelvis_roll", "pelvis_twist", "trunk_side", "trunk_twist", "head_yaw") else 1.0
        turned[other.get(name[:2], name[:2]) + name[2:]] = sign * angle
    return Key(turned, key.height, key.forward, -key.left, key.seconds)


def exercise(
    frequency: Range,
    rest: Mapping[str, float],
    reach: Mapping[str, float],
    *,
    height: tuple[float, float] | None = None,
    alternate: bool = False,
    sharpness: Range | None = None,
    jolt: Range | None = None,
    arms: str = "both",
    seated: float = 0.0,
    lag: Mapping[str, float] | None = None,
    gaze: Gaze = AT_WORK,
) -> Build:
    """A posture and a reach from it, again and again.

    Args:
        frequency: repetitions a second.
        rest: angles between repetitions, radians; a limb's angle without `R_` or `L_` is meant for both sides.
        reach: what a repetition adds to them at its height.
        height: of the pelvis at rest and at the reach, as a share of body height; None where feet carry the body.
        alternate: left and right limbs in turn; angles of the trunk go to either side in turn.
        sharpness: 1 moves like a sine, more lingers at rest.
        jolt: size of the blow of a foot that comes back, m/s^2.
        arms: "both", or "one" for a side drawn for each person; of angles without a side.
        seated: chance that the person sits.
        lag: cycles by which an angle is late.
        gaze: of the head.
    """

    def build(pose: Pose) -> None:
        rng = pose.rng
        if height is not None:
            look(pose, gaze)
            micro_motion(pose, 0.06)
        elif rng.random() < seated:
            sit(pose, gaze=gaze)
            for side in SIDES:
                for name in ("arm_flex", "elbow", "pronation"):
                    pose.angles[f"{side}_{name}"] = pose.get(f"{side}_{name}") * 0.2
        else:
            stand(pose, gaze=gaze)
        tempo = frequency.draw(rng) * pose.style.tempo
        phase = cycles(pose, tempo, 0.05)
        power = (sharpness or Range(0.8, 1.4)).draw(rng)
        # repetitions differ, and some people pause between them
        size = np.clip(pose.style.amplitude * np.exp(rng.normal(0, 0.12)), 0.65, 1.12) * (1 + pose.noise(0.06, 0.3))
        pose.details["repetitions"] = max(1, int(tempo * pose.time[-1]))
        chosen = str(rng.choice(SIDES, p=(0.75, 0.25))) if arms == "one" else ""
        if chosen:
            pose.details["side"] = {"R": "right", "L": "left"}[chosen]

        def wave(name: str, shift: float) -> np.ndarray:
            moved = phase - shift - (lag or {}).get(name, 0.0)
            if not alternate:
                return (0.5 - 0.5 * np.cos(2 * np.pi * moved)) ** power
            return np.maximum(np.sin(2 * np.pi * moved), 0) ** max(2 * power, 2.0)

        for given, angle in rest.items():
            for name in _chosen(given, chosen):
                pose.add(name, angle * (1 + rng.normal(0, 0.08)))
        for given, angle in reach.items():
            for name in _chosen(given, chosen):
                if alternate and name in _CENTRAL:
                    pose.add(name, angle * size * np.sin(2 * np.pi * (phase - (lag or {}).get(given, 0.0))))
                else:
                    pose.add(name, angle * size * wave(given, 0.5 if name.startswith("L_") and alternate else 0.0))
        if height is not None:
            level = height[0] + (height[1] - height[0]) * wave("height", 0.0)
            pose.root = np.stack([pose.noise(0.004, 0.5), pose.noise(0.004, 0.5), level * pose.style.height], 1)
        elif alternate and pose.contacts is not None:  # the leg that stays carries the body
            left = smoothstep(0.5 + 2 * np.sin(2 * np.pi * phase))
            pose.contacts = np.stack([(1 - left) / 2, (1 - left) / 2, left / 2, left / 2], 1)
        if jolt is not None:
            for side, at in (("R", 0.5), ("L", 1.0)) if alternate else (("R", 0.0), ("L", 0.0)):
                for time in passages(pose, phase, at):
                    pose.impacts.append(Impact(float(time), jolt.draw(rng), side))

    return build


def _chosen(name: str, side: str) -> Sequence[str]:
    """The angles a name stands for, of one side only if `side` is given."""
    names = sided(name)
    return names if not side or len(names) == 1 else (f"{side}_{name}",)


def fall(to: Mapping[str, float], bed: Bed, *, start: Build = stand, way: float = 0.5, kneel: bool = False) -> Build:
    """A fall: the body tips over like a stick, hits the ground and lies.

    Args:
        to: orientation of the pelvis on the ground, radians (`pelvis_pitch`, `pelvis_roll`).
        bed: how the body lies then.
        start: before the fall.
        way: metres that the pelvis travels in the direction of the fall.
        kneel: whether the knees come down first.
    """

    def build(pose: Pose) -> None:
        rng = pose.rng
        first, last = (Pose(pose.time, pose.rate, rng, pose.style) for _ in range(2))
        start(first)
        lie(bed)(last)
        low = UPRIGHT * pose.style.height if first.root is None else float(first.root[0, 2])
        tilt = {"pelvis_pitch": to.get("pelvis_pitch", 0.0), "pelvis_roll": to.get("pelvis_roll", 0.0)}
        side = str(rng.choice(SIDES))
        sign = -1.0 if side == "R" else 1.0
        if "pelvis_roll" in to:
            pose.details["direction"] = {"R": "right", "L": "left"}[side]
        seconds = rng.uniform(0.7, 1.15)
        begin = rng.uniform(0.15, 0.6) * pose.time[-1]
        s = np.clip((pose.time - begin) / seconds, 0, 1)
        tipping = s ** rng.uniform(2.2, 3.2)  # slowly, then faster and faster
        half = round(0.1 * pose.rate)
        kernel = np.hanning(2 * half + 1)
        kernel /= kernel.sum()
        soft = lambda curve: np.convolve(np.pad(curve, half, mode="edge"), kernel, "valid")  # noqa: E731
        tipped = soft(tipping)
        mix = smoothstep((pose.time - begin) / (seconds + 0.35))  # limbs come to rest after the trunk
        for name in sorted(set(first.angles) | set(last.angles)):
            pose.angles[name] = (1 - mix) * first.get(name) + mix * last.get(name)
        for name, angle in tilt.items():
            turn = angle * (sign if name == "pelvis_roll" else 1.0) * np.exp(rng.normal(0, 0.05))
            pose.angles[name] = (1 - tipped) * first.get(name) + tipped * turn + tipped * pose.noise(0.01, 0.5)
        drop = np.minimum(tipped * 1.15, 1.0) if kneel else tipped
        buckle = np.sin(np.pi * np.clip(s * (1.1 if kneel else 1.0), 0, 1)) ** 2
        for leg in SIDES:
            pose.add(f"{leg}_knee", (1.3 if kneel else 0.5) * buckle * rng.uniform(0.7, 1.2))
            pose.add(f"{leg}_hip", (0.2 if kneel else 0.3) * buckle * rng.uniform(0.7, 1.2))
            pose.add(f"{leg}_arm_flex", rng.uniform(0.3, 1.3) * np.sin(np.pi * s) ** 2)
            pose.add(f"{leg}_arm_abd", rng.uniform(0.2, 0.9) * np.sin(np.pi * s) ** 2)
        level = (1 - drop) * low + drop * bed.height
        travel = way * rng.uniform(0.7, 1.3) * tipped
        forward = np.sign(tilt["pelvis_pitch"]) * travel
        left = -sign * travel if "pelvis_roll" in to else 0 * travel
        pose.root = np.stack([forward, left, level], 1)
        pose.add("yaw", rng.normal(0, 0.5) * tipped)
        for moment, size in ((0.75, 14), (0.97, 32), (1.2, 10)):
            pose.impacts.append(
                Impact(float(begin + moment * seconds), size * rng.uniform(0.5, 1.1), str(rng.choice(SIDES)))
            )
        micro_motion(pose, 0.07)
        look(pose, Gaze())

    return build
