"""Walking, stairs and running of a whole body over the planned feet of `gait`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...modeling.body_segments import SEGMENTS
from ..skeleton import tpose_offsets
from .gait import GaitShape, GroundPath, bounce, foot_path, reachable_height, two_link_leg
from .person import Range
from .pose import SIDES, Build, Impact, Pose, cycles, passages, ringing, rotation
from .posture import ON_THE_WAY, upright


@dataclass(frozen=True)
class Gait:
    """One kind of gait: the feet, and how the body moves above them.

    Where no source is named, the number was set by comparison with worn phones (`evaluation/signal_comparison.py`).
    Accelerations are amplitudes in m/s^2, rates amplitudes in rad/s, angles radians.

    Args:
        foot: how the foot meets the ground.
        unsteady: share by which a step differs from the next (Hausdorff 2005).
        climb: 1 gains a stair at every step, -1 loses one.
        bob: rise and fall of the pelvis in a step, metres; of walking a share of a stiff leg's arc (Zijlstra and Hof 1997).
        hump: second peak of the rise, as a share of the first.
        surge: forward, twice a stride (Zijlstra and Hof 2003).
        sway: to the side, once a stride (Zijlstra and Hof 2003).
        uneven: vertical, once a stride: left and right steps differ.
        lean: of the trunk, forward (stairs: Riener et al. 2002).
        roll, roll_third: rates of the pelvis's drop to the side, once and three times a stride.
        twist: rate of the pelvis's turn about the vertical, once a stride.
        width: from the middle to a foot, metres.
        arm_swing, arm_swing_by_step: of the upper arm, and how much more a metre of step adds.
        arm_back: by which the upper arms are held back.
        elbow: mean bend.
        short_step_push: share of the push-off that is left when steps are short.
        flight: whether the body flies between steps (Novacheck 1998); then a half-sine ground force throws it up.
    """

    foot: GaitShape
    unsteady: float
    hump: float
    surge: float
    sway: float
    uneven: float
    lean: float
    roll: float
    roll_third: float
    elbow: float
    arm_swing: float
    bob: Range | None = None
    climb: float = 0.0
    twist: float = 0.65
    width: Range = Range(0.03, 0.07)
    arm_swing_by_step: float = 0.0
    arm_back: float = 0.0
    short_step_push: float = 1.0
    flight: bool = False


GAITS = {
    "walk": Gait(
        GaitShape(stance=0.62, strike=0.38, push=1.10, fold=0.0, swing_peak=0.55), unsteady=0.16, bob=Range(0.45, 0.95),
        hump=0.2, surge=1.5, sway=0.7, uneven=0.08, lean=0.03, roll=0.26, roll_third=0.5, elbow=0.25, arm_swing=0.25,
        arm_swing_by_step=0.2, short_step_push=0.6,
    ),
    "up": Gait(
        GaitShape(stance=0.64, strike=0.05, push=0.55, fold=0.1, swing_peak=0.5), unsteady=0.2, bob=Range(0.02, 0.038),
        hump=0.26, surge=1.4, sway=0.95, uneven=0.28, lean=0.18, roll=0.55, roll_third=0.25, elbow=0.35, arm_swing=0.22,
        climb=1.0,
    ),
    "down": Gait(
        GaitShape(stance=0.62, strike=-0.30, push=0.50, fold=0.0, swing_peak=0.5), unsteady=0.2,
        bob=Range(0.026, 0.048), hump=0.34, surge=0.9, sway=0.8, uneven=0.22, lean=0.0, roll=0.28, roll_third=0.45,
        elbow=0.4, arm_swing=0.22, climb=-1.0,
    ),
    "run": Gait(
        GaitShape(stance=0.38, strike=0.08, push=0.75, fold=1.0, swing_peak=0.45), unsteady=0.12, hump=0.0, surge=2.6,
        sway=2.2, uneven=0.0, lean=0.14, roll=0.5, roll_third=0.4, elbow=1.45, arm_swing=0.5, twist=1.1,
        width=Range(0.0, 0.04), arm_back=0.1, flight=True,
    ),
}  # fmt: skip
_MOST_DORSIFLEXION = 0.75  # radians
_STAIR = Range(0.145, 0.19)  # height of a step, metres (usual building codes)


@dataclass(frozen=True)
class Pace:
    """A speed of walking: strides a second, and the blow of a heel strike in m/s^2 at the foot."""

    cadence: Range
    impact: Range


# cadences of free walking: Perry and Burnfield (2010)
PACES = {
    "slow": Pace(Range(0.58, 0.80), Range(4, 14)),
    "normal": Pace(Range(0.80, 1.0), Range(10, 28)),
    "fast": Pace(Range(0.98, 1.14), Range(14, 34)),
}
# share of walks between the walls of a room or a corridor, which turn at their ends
INDOORS = {"slow": 0.3, "normal": 0.1, "fast": 0.0}


def move_on_feet(
    pose: Pose,
    cadence: float,
    step: float,
    impact: float,
    gait: str = "walk",
    direction: int = 1,
    curvature: float = 0.0,
    clearance: float = 0.04,
    stance: float | None = None,
    landings: float = 0.0,
) -> None:
    """Walking, stairs and running.

    Args:
        cadence: strides a second.
        step: metres between foot falls; 0 on the spot.
        impact: m/s^2 at the foot.
        gait: a key of `GAITS`.
        direction: -1 walks backward.
        curvature: radians a metre.
        clearance: extra height of the swinging foot.
        stance: share of the cycle on the ground, in place of the gait's own.
        landings: 0 turns evenly, 1 turns at landings only.
    """
    rng, style, height = pose.rng, pose.style, pose.style.height
    upright(pose, arms=False, gaze=ON_THE_WAY)
    phase = cycles(pose, cadence * direction)
    kind = GAITS[gait]
    shape = kind.foot
    spread = np.exp(rng.normal(0, 0.12, 3))
    shape = replace(
        shape,
        stance=stance or shape.stance + rng.normal(0, 0.01),
        strike=shape.strike * spread[0],
        push=shape.push * spread[1] * (kind.short_step_push if step < 0.3 * height else 1.0),
        fold=shape.fold * spread[2],
    )
    stride = 2 * step
    climb = kind.climb * 2 * _STAIR.draw(rng)
    path = GroundPath.draw(
        stride * phase.min() - stride, stride * phase.max() + stride, rng.uniform(0, 2 * np.pi), curvature, rng,
        landings,
    )  # fmt: skip

    # Pelvis: accelerations by harmonic of the stride, as displacement; even ones are common to both steps.
    omega = 2 * np.pi * abs(cadence)
    wide = lambda size, spread=0.3: size * np.exp(rng.normal(0, spread))  # noqa: E731
    gentle = 0.5 if step == 0 else 1.0

    # no two steps are alike: sizes and lags drift from step to step (Hausdorff 2005)
    unsteady = kind.unsteady * np.exp(rng.normal(0, 0.35))

    def harmonic(order: int, acceleration: float, lag: float, spread: float = 0.5) -> np.ndarray:
        """Displacement whose second derivative has about this amplitude at `order` times the stride frequency."""
        lag = lag + rng.normal(0, spread) + pose.noise(unsteady, 0.6)
        size = acceleration / (order * omega) ** 2 * (1 + pose.noise(unsteady, 0.6))
        return -size * np.cos(2 * np.pi * order * phase - lag)

    leg = 0.53 * height
    # every gait's is drawn, so that a seed goes on alike in each of them
    bob = {name: other.bob.draw(rng) for name, other in GAITS.items() if other.bob}.get(gait, 0.0)
    if gait == "walk":
        bob = bob * max(step, 0.3) ** 2 / (16 * leg)
    bob = bob * style.amplitude**0.5
    up_down = bob * (2 * omega) ** 2
    surge, sway, uneven = kind.surge * gentle, kind.sway * gentle, kind.uneven * gentle
    along = stride * phase + harmonic(2, wide(surge), 2.0) + harmonic(4, wide(0.5 * surge), 0.0, 1.5)
    along = along + harmonic(6, wide(0.35 * surge), 0.0, 3.0)
    left = (
        harmonic(1, wide(sway), 1.9) + harmonic(3, wide(0.42 * sway, 0.5), 0.0, 1.5) + harmonic(5, 0.3 * sway, 0.0, 3.0)
    )
    rise = climb * phase + harmonic(2, up_down, 0.75, 0.1) + harmonic(4, wide(kind.hump * up_down, 0.5), 0.6, 0.6)
    rise = rise + harmonic(1, wide(uneven, 0.5), 0.0, 3.0) + harmonic(3, wide(0.25, 0.5) * gentle, 0.0, 3.0)
    rise = rise + harmonic(6, wide(0.45, 0.4) * gentle, 0.0, 3.0)
    if kind.flight:
        rise = bounce(2 * phase, 2 * cadence, 2 * shape.stance)
    rise = rise + pose.noise(0.003, 0.5)
    ground, heading = path.at(along, left)
    # the spine evens out the sway of the pelvis on the way up to the head (Menz et al. 2003)
    pose.sway, pose.steady = np.stack([along - stride * phase, left], 1), rng.uniform(0.6, 0.95)
    pose.angles["yaw"] = heading

    def rocking(order: int, rate: float, spread: float = 0.4) -> np.ndarray:
        """Angle whose rate has this amplitude (rad/s) at `order` times the stride frequency."""
        turned = 2 * np.pi * order * phase + rng.normal(0, spread) + pose.noise(unsteady, 0.6)
        return wide(rate) * gentle / (order * omega) * (1 + pose.noise(unsteady, 0.6)) * np.sin(turned)

    pitching = rocking(2, 0.3) + rocking(3, 0.12, 3.0) + rocking(4, 0.16, 2.0) + rocking(6, 0.13, 3.0)
    rolling = rocking(1, kind.roll) + rocking(3, kind.roll_third) + rocking(4, 0.12, 3.0) + rocking(5, 0.16, 3.0)
    twisting = rocking(1, kind.twist) + rocking(2, 0.2, 3.0) + rocking(3, 0.3, 2.0)
    twisting = twisting + rocking(4, 0.15, 3.0)
    pose.add("pelvis_pitch", 0.3 * kind.lean + pitching)
    pose.add("pelvis_roll", rolling)
    pose.add("pelvis_twist", twisting)
    strikes = {
        side: passages(pose, phase + shift, 0.0) for side, shift in (("R", 0.0), ("L", 0.5 + 0.3 * style.asymmetry))
    }
    shaken = (impact / 18) ** 0.5
    every = np.concatenate(list(strikes.values()))
    for name, size in (("twist", 0.55), ("roll", 0.3), ("pitch", 0.3)):
        shake = ringing(pose, every, wide(size * shaken, 0.4) * rng.choice([-1, 1]), rng.uniform(3.5, 7.5))
        pose.add(f"pelvis_{name}", shake)
        pose.add(f"trunk_{ {'twist': 'twist', 'roll': 'side', 'pitch': 'flex'}[name] }", -shake)
    # the spine takes up most of the pelvis's turning: shoulders turn against it, the head stays still (Menz 2003)
    pose.add("trunk_flex", kind.lean - rng.uniform(0.6, 1.0) * pitching)
    pose.add("trunk_side", -rng.uniform(0.6, 1.0) * rolling)
    shoulders = rng.uniform(1.2, 2.0)
    pose.add("trunk_twist", -shoulders * twisting)
    pose.add("head_yaw", (shoulders - 1) * rng.uniform(0.6, 1.0) * twisting)

    pelvis = (
        rotation(2, pose.get("yaw")) @ rotation(1, pose.get("pelvis_pitch")) @ rotation(0, pose.get("pelvis_roll"))
        @ rotation(2, pose.get("pelvis_twist"))
    )  # fmt: skip
    offsets = tpose_offsets(height)
    thigh, shank = (-offsets[SEGMENTS.index(f"R_{bone}"), 2] for bone in ("LowerLeg", "Foot"))
    root = np.concatenate([ground, rise[:, None]], 1)
    hips, ankles, turns = {}, {}, {}
    width = kind.width.draw(rng)
    for side, sign, shift in (("R", -1, 0.0), ("L", 1, 0.5 + 0.3 * style.asymmetry)):
        foot = foot_path(phase, shift, shape, stride, climb, clearance, height)
        place, course = path.at(foot.along, sign * width)
        ankles[side] = np.concatenate([place, foot.height[:, None]], 1)
        turns[side] = (course - sign * rng.normal(0.1, 0.08), foot.pitch)
        hips[side] = root + pelvis @ offsets[SEGMENTS.index(f"{side}_UpperLeg")]
    share = 5.0 if kind.flight else 1.0  # percent of frames that may be out of reach
    hip_height = min(reachable_height(hips[s], ankles[s], 0.995 * (thigh + shank), share) for s in SIDES)
    hip_height -= abs(rng.normal(0, 0.008))
    root[:, 2] += hip_height
    pose.root = root
    for side in SIDES:
        hips[side][:, 2] += hip_height
        upper, lower = two_link_leg(hips[side], ankles[side], pelvis[:, :, 0], thigh, shank)
        course, pitch = turns[side]
        # the heel comes up before the ankle bends further than people can (Bennell et al. 1998)
        lean = np.arctan2(lower[:, 0, 2] * np.cos(course) + lower[:, 1, 2] * np.sin(course), lower[:, 2, 2])
        pitch = pitch - 0.05 * np.logaddexp(0, (lean + pitch - _MOST_DORSIFLEXION) / 0.05)
        # the thigh also turns about its own axis, and soft tissue with it
        swivel = rocking(1, 0.7, 3.0) + rocking(2, 0.4, 3.0) + rocking(3, 0.25, 3.0)
        for times, size in ((strikes[side], 1.1), (strikes["L" if side == "R" else "R"], 0.5)):
            swivel = swivel + ringing(pose, times, wide(size * shaken, 0.4) * rng.choice([-1, 1]), rng.uniform(4, 9))
        pose.world[f"{side}_UpperLeg"] = upper @ rotation(2, swivel)
        pose.world[f"{side}_LowerLeg"] = lower
        pose.world[f"{side}_Foot"] = rotation(2, course) @ rotation(1, -pitch)
        pose.world[f"{side}_Toe"] = rotation(2, course) @ rotation(1, -np.maximum(pitch, 0.35 * pitch))

    for side, shift in (("R", 0.0), ("L", 0.5 + 0.3 * style.asymmetry)):
        p = phase + shift
        for time in passages(pose, p, 0.0):
            pose.impacts.append(Impact(float(time), impact, side))
        for time in passages(pose, p, shape.stance - 0.06):  # push-off jolt
            pose.impacts.append(Impact(float(time), 0.2 * impact, side))
        swing = style.arm_swing * (kind.arm_swing + kind.arm_swing_by_step * step)
        elbow = kind.elbow + rng.normal(0, 0.12)
        other = "L" if side == "R" else "R"
        wave = np.cos(2 * np.pi * (p + 0.02))
        pose.add(f"{other}_arm_flex", 0.02 + swing * wave - kind.arm_back)
        pose.add(f"{other}_elbow", np.maximum(elbow + 0.5 * swing * wave, 0.05))
        if kind.flight:
            pose.add(f"{other}_arm_twist", 0.3 + 0.25 * wave)


def walk(
    pace: str = "normal", direction: int = 1, curvature: float = 0.0, in_place: bool = False, towards: int = 0
) -> Build:
    """Walking.

    Args:
        pace: a key of `PACES`.
        direction: -1 walks backward.
        curvature: radians a metre, to either side.
        in_place: on the spot, knees high.
        towards: 1 for curves to the left only, -1 to the right.
    """

    def build(pose: Pose) -> None:
        rng = pose.rng
        # every pace is drawn, so that a seed goes on alike at each of them
        cadence, impact = {name: (one.cadence.draw(rng), one.impact.draw(rng)) for name, one in PACES.items()}[pace]
        cadence *= pose.style.tempo**0.5
        step = pose.style.height * float(np.clip(0.41 + 0.4 * (cadence - 0.9) + rng.normal(0, 0.03), 0.18, 0.54))
        sign = rng.choice([-1, 1])
        turn = (towards or sign) * curvature * rng.uniform(0.6, 1.5)
        if curvature == 0 and rng.random() < INDOORS[pace]:
            turn, landings = sign * rng.uniform(0.15, 0.7), rng.uniform(0.4, 1.0)
        else:
            landings = 0.0
        pose.details["speed"] = pace
        if in_place:
            move_on_feet(pose, cadence, 0.0, impact, "walk", clearance=rng.uniform(0.08, 0.32))
        else:
            move_on_feet(
                pose, cadence, step * (0.7 if direction < 0 else 1), impact, "walk", direction, turn, landings=landings
            )

    return build
