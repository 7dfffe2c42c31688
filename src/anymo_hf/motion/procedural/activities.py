"""Parametric everyday motion on the 23-segment body: the embedded source of training motion.

A motion is a set of joint-angle curves. The pelvis path follows from them: whatever foot point carries weight stays
where it is (`contacts`); seats and floors give the path directly. Walking, stairs and running are planned the other way
round, from feet on the ground and a pelvis path, in `gait.py`. Heel strikes add short transients that decay up the body.
Impact sizes follow Lafortune (1991) for the shank and Menz et al. (2003) for pelvis and head, brought down to what worn
phones show (`evaluation/signal_comparison.py`).

Angles are radians. Frames: world x forward at start, y left, z up. Arms hang at zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ...modeling.body_segments import PARENTS, SEGMENTS
from ..body_motion import BodyMotion, Narration
from ..seeds import seed_of
from ..skeleton import tpose_offsets
from .gait import BALL, HEEL, SHAPES, GroundPath, bell, foot_path, reachable_height, two_link_leg
from .narration import LABELS, compose_narrations

GRAVITY = 9.80665
HELD_OUT_SEED = 900_000  # training never draws a seed from here up
_SIDES = ("R", "L")
_SPINE = ("L5", "L3", "T12", "T8")
UNSTEADY = {"walk": 0.16, "up": 0.2, "down": 0.2, "run": 0.12}  # share by which a step differs from the next
# Share of a heel-strike acceleration that reaches each segment (Menz 2003; Lafortune 1991).
_IMPACT_SHARE = {
    "Foot": 1.0, "Toe": 1.0, "LowerLeg": 0.85, "UpperLeg": 0.42, "Pelvis": 0.40, "L5": 0.37, "L3": 0.34, "T12": 0.30,
    "T8": 0.27, "Neck": 0.22, "Head": 0.18, "Shoulder": 0.25, "UpperArm": 0.24, "Forearm": 0.26, "Hand": 0.28,
}  # fmt: skip


@dataclass(frozen=True)
class SubjectStyle:
    """How one person moves: body, tempo, size of movement, asymmetry and habits of posture."""

    height: float
    tempo: float
    amplitude: float
    asymmetry: float
    impact: float
    arm_swing: float
    pelvis_pitch: float
    slouch: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> SubjectStyle:
        """Draw a person; height 1.48 to 2.0 m, walking cadence and impacts as wide as adults are."""
        return cls(
            height=float(np.clip(rng.normal(1.71, 0.09), 1.48, 2.0)),
            tempo=float(np.clip(np.exp(rng.normal(0, 0.12)), 0.7, 1.4)),
            amplitude=float(np.clip(np.exp(rng.normal(0, 0.16)), 0.6, 1.5)),
            asymmetry=float(rng.normal(0, 0.05)),
            impact=float(np.clip(np.exp(rng.normal(0, 0.45)), 0.35, 2.8)),
            arm_swing=float(np.clip(np.exp(rng.normal(0, 0.4)), 0.2, 2.2)),
            pelvis_pitch=float(rng.normal(0.02, 0.06)),
            slouch=float(rng.uniform(0.0, 0.6)),
        )


@dataclass
class _Pose:
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
    impacts: list[tuple[float, float, str]] = field(
        default_factory=list
    )  # time, m/s^2 at the foot (peak is two thirds), side
    details: dict = field(default_factory=dict)

    def get(self, name: str) -> np.ndarray:
        return self.angles.setdefault(name, np.zeros(len(self.time)))

    def add(self, name: str, value) -> None:
        self.angles[name] = self.get(name) + value

    def noise(self, amplitude: float, cutoff: float) -> np.ndarray:
        """Band-limited noise of the given standard deviation."""
        count = len(self.time)
        spectrum = np.fft.rfft(self.rng.standard_normal(count * 2))
        frequency = np.fft.rfftfreq(count * 2, 1 / self.rate)
        signal = np.fft.irfft(spectrum * np.exp(-0.5 * (frequency / cutoff) ** 2))[:count]
        return amplitude * signal / (signal.std() + 1e-9)


def _smoothstep(x: np.ndarray) -> np.ndarray:
    """Minimum-jerk rise from 0 to 1 on [0, 1]."""
    x = np.clip(x, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def _rotation(axis: int, angle: np.ndarray) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.zeros((*np.shape(angle), 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1
    matrix[..., i, i] = matrix[..., j, j] = cosine
    matrix[..., j, i], matrix[..., i, j] = sine, -sine
    return matrix


def _integrate(velocity: np.ndarray, rate: float) -> np.ndarray:
    out = np.zeros_like(velocity)
    out[1:] = np.cumsum((velocity[1:] + velocity[:-1]) / 2, axis=0) / rate
    return out


def _joint_rotations(pose: _Pose) -> np.ndarray:
    """Local rotations `(T, 23, 3, 3)`, arms in the hanging reference."""
    local = np.broadcast_to(np.eye(3), (len(pose.time), len(SEGMENTS), 3, 3)).copy()
    get = pose.get
    index = SEGMENTS.index
    local[:, 0] = (
        _rotation(2, get("yaw")) @ _rotation(1, get("pelvis_pitch")) @ _rotation(0, get("pelvis_roll"))
        @ _rotation(2, get("pelvis_twist"))
    )  # fmt: skip
    for segment in _SPINE:
        share = 1 / len(_SPINE)
        local[:, index(segment)] = (
            _rotation(1, share * get("trunk_flex"))
            @ _rotation(0, share * get("trunk_side"))
            @ _rotation(2, share * get("trunk_twist"))
        )
    local[:, index("Neck")] = _rotation(1, 0.5 * get("head_pitch")) @ _rotation(2, 0.5 * get("head_yaw"))
    local[:, index("Head")] = local[:, index("Neck")]
    for side in _SIDES:
        sign = -1.0 if side == "R" else 1.0  # mirrored axes: abduction and outward turns
        a = lambda name, side=side: get(f"{side}_{name}")  # noqa: E731
        s = lambda name, side=side: index(f"{side}_{name}")  # noqa: E731
        local[:, s("Shoulder")] = _rotation(0, sign * a("shrug"))
        local[:, s("UpperArm")] = (
            _rotation(1, -a("arm_flex")) @ _rotation(0, sign * a("arm_abd")) @ _rotation(2, -sign * a("arm_twist"))
        )
        local[:, s("Forearm")] = _rotation(1, -a("elbow")) @ _rotation(2, -sign * a("pronation"))
        local[:, s("Hand")] = _rotation(1, a("wrist"))
        local[:, s("UpperLeg")] = (
            _rotation(1, -a("hip")) @ _rotation(0, sign * a("hip_abd")) @ _rotation(2, sign * a("hip_turn"))
        )
        local[:, s("LowerLeg")] = _rotation(1, a("knee"))
        local[:, s("Foot")] = _rotation(1, -a("ankle"))
        local[:, s("Toe")] = _rotation(1, -a("toe"))
    return local


def _hang() -> np.ndarray:
    """Rotation per segment from the T-pose to the hanging reference, `(23, 3, 3)`."""
    hang = np.broadcast_to(np.eye(3), (len(SEGMENTS), 3, 3)).copy()
    for i, segment in enumerate(SEGMENTS):
        if segment[2:] in ("UpperArm", "Forearm", "Hand"):
            hang[i] = _rotation(0, np.array(np.pi / 2 if segment[0] == "R" else -np.pi / 2))
    return hang


def _matrix_to_quaternion(matrix: np.ndarray) -> np.ndarray:
    """wxyz quaternions, sign-continuous along the first axis."""
    from scipy.spatial.transform import Rotation

    shape = matrix.shape[:-2]
    quaternion = Rotation.from_matrix(matrix.reshape(-1, 3, 3)).as_quat(scalar_first=True).reshape(*shape, 4)
    flips = np.sign(np.sum(quaternion[1:] * quaternion[:-1], axis=-1))
    flips[flips == 0] = 1
    quaternion[1:] *= np.cumprod(flips, axis=0)[..., None]
    return quaternion


def _pose_to_motion(pose: _Pose) -> tuple[np.ndarray, np.ndarray]:
    """Forward kinematics, pelvis path from contacts, then impact transients."""
    style, rate = pose.style, pose.rate
    offsets, hang = tpose_offsets(style.height), _hang()
    local = _joint_rotations(pose)
    frames = len(pose.time)
    world = np.empty_like(local)
    position = np.zeros((frames, len(SEGMENTS), 3))
    for i, parent in enumerate(PARENTS):
        if parent < 0:
            world[:, i] = local[:, i]
        else:
            world[:, i] = pose.world.get(SEGMENTS[i], world[:, parent] @ local[:, i])
            position[:, i] = position[:, parent] + world[:, parent] @ (hang[parent] @ offsets[i])
    foot_points = []
    for side in _SIDES:
        foot = SEGMENTS.index(f"{side}_Foot")
        foot_points += [position[:, foot] + world[:, foot] @ (point * style.height) for point in (HEEL, BALL)]
    points = np.stack(foot_points, 1)  # (T, 4, 3) relative to the pelvis
    if pose.root is not None:
        root = pose.root.copy()
    else:
        assert pose.contacts is not None
        weight = pose.contacts
        total = weight.sum(1, keepdims=True)
        velocity = -np.gradient(points, 1 / rate, axis=0)
        carried = (weight[..., None] * velocity).sum(1)
        mean = carried.sum(0) / np.maximum(total.sum(), 1e-9)
        carried = carried + np.clip(1 - total, 0, 1) * mean * np.array([1, 1, 0])  # flight keeps the mean speed
        root = _integrate(carried, rate)
        root[:, 2] -= (root[:, None, 2] + points[..., 2]).min(1).mean()
    if pose.vertical is not None:
        root[:, 2] = pose.vertical + 0.52 * style.height
    position = position + root[:, None]
    position += _impact_displacement(pose)
    position += np.broadcast_to(pose.shift, (frames, 3))[:, None]
    return position, _matrix_to_quaternion(world @ hang)


def _impact_displacement(pose: _Pose) -> np.ndarray:
    """Short transients `u^3 exp(-u)` of every impact, `(T, 23, 3)` metres."""
    out = np.zeros((len(pose.time), len(SEGMENTS), 3))
    share = {side: np.array([_IMPACT_SHARE[s.removeprefix("R_").removeprefix("L_")]
                             * (0.25 if s[0] == other and s[2:] in ("Foot", "Toe", "LowerLeg", "UpperLeg") else 1.0)
                             for s in SEGMENTS]) for side, other in (("R", "L"), ("L", "R"))}  # fmt: skip
    for start, peak, side in pose.impacts:
        tau = pose.rng.uniform(0.016, 0.034)
        size = peak / 1.5 * pose.style.impact * np.exp(pose.rng.normal(0, 0.2)) * tau**2
        delay = 0.004 * (1 - share[side]) / tau  # the wave takes a few milliseconds to climb
        u = np.clip((pose.time[:, None] - start) / tau - delay, 0, 40)
        direction = np.array([pose.rng.normal(-0.6, 0.35), pose.rng.normal(0.35 if side == "R" else -0.35, 0.3), 1.0])
        wave = size * share[side] * u**3 * np.exp(-u)
        forward = _rotation(2, pose.get("yaw")) @ direction
        out += wave[..., None] * forward[:, None]
    return out


# ---- building blocks -------------------------------------------------------------------------------------------------


def _base(pose: _Pose, arms: bool = True, sway: float = 1.0) -> None:
    """Standing posture habits, sway, breathing and hanging arms."""
    rng, style = pose.rng, pose.style
    pose.add("pelvis_pitch", style.pelvis_pitch + pose.noise(sway * 0.01 * np.exp(rng.normal(0, 0.8)), 0.5))
    pose.add("pelvis_roll", rng.normal(0, 0.02) + pose.noise(sway * 0.008 * np.exp(rng.normal(0, 0.8)), 0.4))
    pose.add(
        "trunk_flex",
        rng.normal(0.05, 0.08) + pose.noise(0.012, 0.6) + 0.006 * np.sin(2 * np.pi * 0.27 * pose.time),
    )
    pose.add("trunk_side", rng.normal(0, 0.03) + pose.noise(0.008, 0.5))
    pose.add("trunk_twist", pose.noise(0.02, 0.4))
    pose.add("head_pitch", rng.normal(0.1, 0.15) + pose.noise(0.04, 0.6))
    pose.add("head_yaw", pose.noise(rng.uniform(0.02, 0.25), 0.4))
    for side in _SIDES:
        pose.add(f"{side}_arm_abd", rng.uniform(0.05, 0.2) + pose.noise(0.01, 0.6))
        pose.add(f"{side}_arm_twist", rng.normal(0, 0.3))
        pose.add(f"{side}_pronation", rng.normal(0.2, 0.4))
        if arms:
            pose.add(f"{side}_arm_flex", rng.normal(0.02, 0.08) + pose.noise(0.012, 0.7))
            pose.add(f"{side}_elbow", abs(rng.normal(0.2, 0.15)) + pose.noise(0.015, 0.7))


def _micro_motion(pose: _Pose, median: float) -> None:
    """Shaking of a body at rest: muscles, heart and breath; `median` m/s^2 rms, up to 10 Hz, wide between people."""
    rng, count = pose.rng, len(pose.time)
    size, cutoff = median * np.exp(rng.normal(0, 0.6)), rng.uniform(1.5, 10.0)
    frequency = np.fft.rfftfreq(2 * count, 1 / pose.rate)
    shape = np.exp(-0.5 * (frequency / cutoff) ** 2) * (frequency > 0.3)
    spectrum = np.fft.rfft(rng.standard_normal((2 * count, 3)), axis=0) * shape[:, None]
    acceleration = np.fft.irfft(spectrum, axis=0)
    spectrum[1:] /= -((2 * np.pi * frequency[1:, None]) ** 2)
    displacement = np.fft.irfft(spectrum, axis=0)[:count]
    pose.shift = pose.shift + size * displacement * rng.uniform(0.3, 1.0, 3) / acceleration.std()


def _adjust(pose: _Pose) -> None:
    """Now and then a small, quick change of posture, which gives rest its heavy tails."""
    rng = pose.rng
    for _ in range(rng.poisson(0.8)):
        begin, seconds = rng.uniform(-0.5, pose.time[-1]), rng.uniform(0.3, 1.0)
        rise = _smoothstep((pose.time - begin) / seconds)
        back = _smoothstep((pose.time - begin - seconds - rng.exponential(1.0)) / seconds)
        for name in ("pelvis_pitch", "pelvis_roll", "pelvis_twist"):
            pose.add(name, rng.normal(0, 0.012) * (rise - rng.uniform(0.2, 1.0) * back))


def _feet_down(pose: _Pose) -> None:
    """Both feet carry the body; legs keep the soles level through small knee bends."""
    pose.contacts = np.full((len(pose.time), 4), 0.25)
    for side in _SIDES:
        bend = abs(pose.rng.normal(0.03, 0.03)) + pose.noise(0.004, 0.5)
        pose.add(f"{side}_knee", 2 * bend)
        pose.add(f"{side}_hip", bend + pose.get("pelvis_pitch"))
        pose.add(f"{side}_ankle", bend)


def _stand(pose: _Pose) -> None:
    _base(pose, sway=0.25)
    _feet_down(pose)
    _micro_motion(pose, 0.05)
    _adjust(pose)
    pose.add("pelvis_twist", pose.noise(0.015 * np.exp(pose.rng.normal(0, 0.8)), 0.5))
    if pose.rng.random() < 0.2:  # shift of weight
        pose.add("pelvis_roll", pose.noise(0.02, 0.3))
    _fidget(pose, pose.rng.random() * 0.5)


def _fidget(pose: _Pose, amount: float) -> None:
    for side in _SIDES:
        pose.add(f"{side}_arm_flex", pose.noise(0.12 * amount, 0.5))
        pose.add(f"{side}_elbow", pose.noise(0.2 * amount, 0.5))
        pose.add(f"{side}_pronation", pose.noise(0.25 * amount, 0.5))


def _seat(pose: _Pose, slouch: float | None = None, arms: str = "lap") -> None:
    """Sitting: the pelvis tilts back (Levine and Whittle 1996), thighs level, path fixed by the seat."""
    rng = pose.rng
    slouch = pose.style.slouch + rng.uniform(-0.1, 0.25) if slouch is None else slouch
    pose.add("pelvis_pitch", -0.08 - 0.55 * slouch + pose.noise(0.006 * np.exp(rng.normal(0, 0.9)), 0.4))
    pose.add("pelvis_roll", rng.normal(0, 0.05) + pose.noise(0.005 * np.exp(rng.normal(0, 0.7)), 0.4))
    pose.add("trunk_flex", 0.25 * slouch + rng.normal(0.05, 0.12) + pose.noise(0.015, 0.4))
    pose.add("trunk_twist", pose.noise(0.02, 0.3))
    pose.add("head_pitch", rng.normal(0.2, 0.2) + pose.noise(0.05, 0.5))
    pose.add("head_yaw", pose.noise(rng.uniform(0.02, 0.3), 0.4))
    hip = 1.45 + rng.normal(0, 0.12)
    for side in _SIDES:
        pose.add(f"{side}_hip", hip + pose.get("pelvis_pitch") + rng.normal(0, 0.05) + pose.noise(0.004, 0.4))
        pose.add(f"{side}_hip_abd", rng.normal(0.12, 0.1))
        pose.add(f"{side}_knee", hip + rng.normal(0, 0.25))
        forward = {"lap": (0.35, 1.0), "desk": (0.7, 1.25)}[arms]
        pose.add(f"{side}_arm_flex", forward[0] + rng.normal(0, 0.1) + pose.noise(0.01, 0.5))
        pose.add(f"{side}_arm_abd", 0.15 + rng.normal(0, 0.05))
        pose.add(f"{side}_elbow", forward[1] + rng.normal(0, 0.15) + pose.noise(0.015, 0.5))
        pose.add(f"{side}_pronation", rng.normal(1.0, 0.3))
    pose.root = np.zeros((len(pose.time), 3)) + np.array([0, 0, 0.3 * pose.style.height])
    _adjust(pose)
    _micro_motion(pose, 0.04)


def _phase(pose: _Pose, frequency: float, wobble: float = 0.015) -> np.ndarray:
    """Cycle count per frame at `frequency` Hz with a slowly wandering tempo."""
    speed = frequency * (1 + pose.noise(wobble, 0.3))
    return _integrate(speed[:, None], pose.rate)[:, 0] + pose.rng.random()


def _events(pose: _Pose, phase: np.ndarray, at: float) -> np.ndarray:
    """Times at which the phase passes `at` (cycles)."""
    cycles = np.floor(phase - at)
    hits = np.flatnonzero(np.diff(cycles) != 0)
    return pose.time[hits]


# ---- locomotion ------------------------------------------------------------------------------------------------------


def _gait(
    pose: _Pose,
    cadence: float,
    step: float,
    impact: float,
    kind: str = "walk",
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
        kind: a key of `SHAPES`.
        direction: -1 walks backward.
        curvature: radians a metre.
        clearance: extra height of the swinging foot.
        stance: share of the cycle on the ground, in place of the kind's own.
        landings: 0 turns evenly, 1 turns at landings only.
    """
    rng, style, height = pose.rng, pose.style, pose.style.height
    _base(pose, arms=False)
    phase = _phase(pose, cadence * direction)
    shape = SHAPES[kind]
    spread = np.exp(rng.normal(0, 0.12, 3))
    shape = replace(
        shape,
        stance=stance or shape.stance + rng.normal(0, 0.01),
        strike=shape.strike * spread[0],
        push=shape.push * spread[1] * (0.6 if step < 0.3 * height and kind == "walk" else 1.0),
        fold=shape.fold * spread[2],
    )
    stride = 2 * step
    climb = {"up": 1.0, "down": -1.0}.get(kind, 0.0) * 2 * rng.uniform(0.145, 0.19)
    path = GroundPath.draw(
        stride * phase.min() - stride, stride * phase.max() + stride, rng.uniform(0, 2 * np.pi), curvature, rng,
        landings,
    )  # fmt: skip

    # Pelvis: accelerations by harmonic of the stride, as displacement; even ones are common to both steps.
    omega = 2 * np.pi * abs(cadence)
    wide = lambda size, spread=0.3: size * np.exp(rng.normal(0, spread))  # noqa: E731
    gentle = 0.5 if step == 0 else 1.0

    # no two steps are alike: sizes and lags drift from step to step (Hausdorff 2005)
    unsteady = UNSTEADY[kind] * np.exp(rng.normal(0, 0.35))

    def harmonic(order: int, acceleration: float, lag: float, spread: float = 0.5) -> np.ndarray:
        """Displacement whose second derivative has about this amplitude at `order` times the stride frequency."""
        lag = lag + rng.normal(0, spread) + pose.noise(unsteady, 0.6)
        size = acceleration / (order * omega) ** 2 * (1 + pose.noise(unsteady, 0.6))
        return -size * np.cos(2 * np.pi * order * phase - lag)

    leg = 0.53 * height
    bob = {
        "walk": rng.uniform(0.45, 0.95) * max(step, 0.3) ** 2 / (16 * leg),  # of a stiff-legged walker's arc
        "up": rng.uniform(0.02, 0.038),
        "down": rng.uniform(0.026, 0.048),
        "run": 0.0,
    }[kind] * style.amplitude**0.5
    up_down = bob * (2 * omega) ** 2
    hump = {"walk": 0.2, "up": 0.26, "down": 0.34, "run": 0.0}[kind]
    surge = {"walk": 1.5, "up": 1.4, "down": 0.9, "run": 2.6}[kind] * gentle
    sway = {"walk": 0.7, "up": 0.95, "down": 0.8, "run": 2.2}[kind] * gentle
    along = stride * phase + harmonic(2, wide(surge), 2.0) + harmonic(4, wide(0.5 * surge), 0.0, 1.5)
    along = along + harmonic(6, wide(0.35 * surge), 0.0, 3.0)
    left = (
        harmonic(1, wide(sway), 1.9) + harmonic(3, wide(0.42 * sway, 0.5), 0.0, 1.5) + harmonic(5, 0.3 * sway, 0.0, 3.0)
    )
    uneven = {"walk": 0.08, "up": 0.28, "down": 0.22, "run": 0.0}[kind] * gentle
    rise = climb * phase + harmonic(2, up_down, 0.75, 0.1) + harmonic(4, wide(hump * up_down, 0.5), 0.6, 0.6)
    rise = rise + harmonic(1, wide(uneven, 0.5), 0.0, 3.0) + harmonic(3, wide(0.25, 0.5) * gentle, 0.0, 3.0)
    rise = rise + harmonic(6, wide(0.45, 0.4) * gentle, 0.0, 3.0)
    if kind == "run":
        rise = _bounce(2 * phase, 2 * cadence, 2 * shape.stance)
    rise = rise + pose.noise(0.003, 0.5)
    ground, heading = path.at(along, left)
    pose.angles["yaw"] = heading

    def rocking(order: int, rate: float, spread: float = 0.4) -> np.ndarray:
        """Angle whose rate has this amplitude (rad/s) at `order` times the stride frequency."""
        turned = 2 * np.pi * order * phase + rng.normal(0, spread) + pose.noise(unsteady, 0.6)
        return wide(rate) * gentle / (order * omega) * (1 + pose.noise(unsteady, 0.6)) * np.sin(turned)

    lean = {"walk": 0.03, "up": 0.18, "down": 0.0, "run": 0.14}[kind]
    roll = {"walk": (0.26, 0.5), "up": (0.55, 0.25), "down": (0.28, 0.45), "run": (0.5, 0.4)}[kind]
    pitching = rocking(2, 0.3) + rocking(3, 0.12, 3.0) + rocking(4, 0.16, 2.0) + rocking(6, 0.13, 3.0)
    rolling = rocking(1, roll[0]) + rocking(3, roll[1]) + rocking(4, 0.12, 3.0) + rocking(5, 0.16, 3.0)
    twisting = rocking(1, 0.65 if kind != "run" else 1.1) + rocking(2, 0.2, 3.0) + rocking(3, 0.3, 2.0)
    twisting = twisting + rocking(4, 0.15, 3.0)
    pose.add("pelvis_pitch", 0.3 * lean + pitching)
    pose.add("pelvis_roll", rolling)
    pose.add("pelvis_twist", twisting)
    # the spine takes up most of the pelvis's turning: shoulders turn against it, the head stays still (Menz 2003)
    pose.add("trunk_flex", lean - rng.uniform(0.6, 1.0) * pitching)
    pose.add("trunk_side", -rng.uniform(0.6, 1.0) * rolling)
    shoulders = rng.uniform(1.2, 2.0)
    pose.add("trunk_twist", -shoulders * twisting)
    pose.add("head_yaw", (shoulders - 1) * rng.uniform(0.6, 1.0) * twisting)

    pelvis = (
        _rotation(2, pose.get("yaw")) @ _rotation(1, pose.get("pelvis_pitch")) @ _rotation(0, pose.get("pelvis_roll"))
        @ _rotation(2, pose.get("pelvis_twist"))
    )  # fmt: skip
    offsets = tpose_offsets(height)
    thigh, shank = (-offsets[SEGMENTS.index(f"R_{bone}"), 2] for bone in ("LowerLeg", "Foot"))
    root = np.concatenate([ground, rise[:, None]], 1)
    hips, ankles, turns = {}, {}, {}
    width = rng.uniform(0.03, 0.07) if kind != "run" else rng.uniform(0.0, 0.04)
    for side, sign, shift in (("R", -1, 0.0), ("L", 1, 0.5 + 0.3 * style.asymmetry)):
        foot = foot_path(phase, shift, shape, stride, climb, clearance, height)
        place, course = path.at(foot.along, sign * width)
        ankles[side] = np.concatenate([place, foot.height[:, None]], 1)
        turns[side] = (course - sign * rng.normal(0.1, 0.08), foot.pitch)
        hips[side] = root + pelvis @ offsets[SEGMENTS.index(f"{side}_UpperLeg")]
    share = 5.0 if kind == "run" else 1.0
    hip_height = min(reachable_height(hips[s], ankles[s], 0.995 * (thigh + shank), share) for s in _SIDES)
    hip_height -= abs(rng.normal(0, 0.008))
    root[:, 2] += hip_height
    pose.root = root
    for side in _SIDES:
        hips[side][:, 2] += hip_height
        upper, lower = two_link_leg(hips[side], ankles[side], pelvis[:, :, 0], thigh, shank)
        course, pitch = turns[side]
        # the thigh also turns about its own axis, and soft tissue with it
        swivel = rocking(1, 0.7, 3.0) + rocking(2, 0.4, 3.0) + rocking(3, 0.25, 3.0)
        pose.world[f"{side}_UpperLeg"] = upper @ _rotation(2, swivel)
        pose.world[f"{side}_LowerLeg"] = lower
        pose.world[f"{side}_Foot"] = _rotation(2, course) @ _rotation(1, -pitch)
        pose.world[f"{side}_Toe"] = _rotation(2, course) @ _rotation(1, -np.maximum(pitch, 0.35 * pitch))

    for side, shift in (("R", 0.0), ("L", 0.5 + 0.3 * style.asymmetry)):
        p = phase + shift
        for time in _events(pose, p, 0.0):
            pose.impacts.append((float(time), impact, side))
        for time in _events(pose, p, shape.stance - 0.06):  # push-off jolt
            pose.impacts.append((float(time), 0.2 * impact, side))
        swing = style.arm_swing * {"walk": 0.25 + 0.2 * step, "up": 0.22, "down": 0.22, "run": 0.5}[kind]
        elbow = {"walk": 0.25, "up": 0.35, "down": 0.4, "run": 1.45}[kind] + rng.normal(0, 0.12)
        other = "L" if side == "R" else "R"
        wave = np.cos(2 * np.pi * (p + 0.02))
        pose.add(f"{other}_arm_flex", 0.02 + swing * wave + (-0.1 if kind == "run" else 0))
        pose.add(f"{other}_elbow", np.maximum(elbow + 0.5 * swing * wave, 0.05))
        if kind == "run":
            pose.add(f"{other}_arm_twist", 0.3 + 0.25 * wave)


def _bounce(phase: np.ndarray, frequency: float, duty: float) -> np.ndarray:
    """Height of a body that a half-sine ground force of `duty` share of each cycle throws up, metres."""
    grid = np.linspace(0, 1, 512, endpoint=False)
    force = np.where(grid < duty, GRAVITY * np.pi / (2 * duty) * np.sin(np.pi * grid / duty), 0.0)
    spectrum = np.fft.rfft(force - force.mean())
    omega = 2 * np.pi * frequency * np.arange(len(spectrum))
    spectrum[1:] /= -(omega[1:] ** 2)
    spectrum[0], spectrum[12:] = 0, 0  # keep what 60 Hz can carry
    height = np.fft.irfft(spectrum, 512)
    return np.interp(np.mod(phase, 1), np.append(grid, 1.0), np.append(height, height[0]))


def _walk(
    speed: str = "normal", direction: int = 1, curvature: float = 0.0, in_place: bool = False
) -> Callable[[_Pose], None]:
    def build(pose: _Pose) -> None:
        rng = pose.rng
        cadence, impact = {
            "slow": (rng.uniform(0.58, 0.80), rng.uniform(4, 14)),
            "normal": (rng.uniform(0.80, 1.0), rng.uniform(10, 28)),
            "fast": (rng.uniform(0.98, 1.14), rng.uniform(14, 34)),
        }[speed]
        cadence *= pose.style.tempo**0.5
        step = pose.style.height * float(np.clip(0.41 + 0.4 * (cadence - 0.9) + rng.normal(0, 0.03), 0.18, 0.54))
        turn = rng.choice([-1, 1]) * curvature * rng.uniform(0.6, 1.5)
        pose.details["speed"] = speed
        if in_place:
            _gait(pose, cadence, 0.0, impact, "walk", clearance=rng.uniform(0.08, 0.32))
        else:
            _gait(pose, cadence, step * (0.7 if direction < 0 else 1), impact, "walk", direction, turn)

    return build


def _stairs(kind: str) -> Callable[[_Pose], None]:
    def build(pose: _Pose) -> None:
        rng = pose.rng
        cadence = rng.uniform(0.66, 0.94) * pose.style.tempo**0.5 * (1.1 if kind == "down" else 1.0)
        impact = rng.uniform(6, 22) if kind == "up" else rng.uniform(12, 36)
        # three in four stairs turn, as stairwells do: half a turn in three to five metres, most of it at landings
        curvature = rng.choice([-1, 1]) * rng.uniform(0.3, 1.1) if rng.random() < 0.75 else 0.0
        _gait(
            pose, cadence, rng.uniform(0.24, 0.33), impact, kind, curvature=curvature, clearance=rng.uniform(0.04, 0.1),
            landings=rng.uniform(0.0, 1.0),
        )  # fmt: skip

    return build


def _run(slow: bool = False, in_place: bool = False) -> Callable[[_Pose], None]:
    def build(pose: _Pose) -> None:
        rng = pose.rng
        cadence = rng.uniform(1.2, 1.4) if slow else rng.uniform(1.3, 1.6)
        step = pose.style.height * (rng.uniform(0.32, 0.52) if slow else rng.uniform(0.55, 0.9))
        _gait(
            pose,
            cadence,
            0.0 if in_place else step,
            rng.uniform(10, 30) if slow else rng.uniform(14, 40),
            "run",
            clearance=rng.uniform(0.05, 0.16) if slow else rng.uniform(0.12, 0.26),
            stance=rng.uniform(0.37, 0.46) if slow else rng.uniform(0.3, 0.4),
        )

    return build


def _side_step(pose: _Pose) -> None:
    rng = pose.rng
    _base(pose)
    sign = rng.choice([-1.0, 1.0])
    pose.details["direction"] = "left" if sign > 0 else "right"
    phase = _phase(pose, rng.uniform(0.6, 1.0) * pose.style.tempo)
    size = rng.uniform(0.15, 0.32) * pose.style.amplitude
    # lead leg opens while the other carries, then the trail leg closes
    opening = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    lead, trail = ("L", "R") if sign > 0 else ("R", "L")
    for side, centre in ((lead, 0.25), (trail, 0.75)):
        lift = bell(phase, centre, 0.09)
        pose.add(f"{side}_hip_abd", size * opening)
        pose.add(f"{side}_hip", 0.08 + 0.25 * lift)
        pose.add(f"{side}_knee", 0.15 + 0.5 * lift)
        pose.add(f"{side}_ankle", 0.07 + 0.2 * lift)
        for time in _events(pose, phase, centre + 0.2):
            pose.impacts.append((float(time), rng.uniform(3, 9), side))
    carry = _smoothstep(np.sin(2 * np.pi * phase) + 0.5)
    weight = {trail: carry, lead: 1 - carry}
    pose.contacts = np.stack([weight["R"] / 2, weight["R"] / 2, weight["L"] / 2, weight["L"] / 2], 1)
    pose.angles["yaw"] = np.full(len(pose.time), rng.uniform(0, 2 * np.pi))


def _jump(rope: bool = False) -> Callable[[_Pose], None]:
    def build(pose: _Pose) -> None:
        rng = pose.rng
        _base(pose)
        frequency = rng.uniform(1.6, 2.5) if rope else rng.uniform(0.75, 1.7)
        duty = rng.uniform(0.5, 0.7)
        phase = _phase(pose, frequency * pose.style.tempo**0.5)
        crouch = np.sin(np.pi * np.clip(np.mod(phase, 1) / duty, 0, 1)) ** 2
        depth = rng.uniform(0.1, 0.25) if rope else rng.uniform(0.25, 0.7)
        pose.vertical = _bounce(phase, frequency, duty)
        for side in _SIDES:
            pose.add(f"{side}_hip", 0.1 + depth * crouch)
            pose.add(f"{side}_knee", 0.2 + 1.8 * depth * crouch)
            pose.add(f"{side}_ankle", 0.3 * crouch - 0.3)
            for time in _events(pose, phase, 0.02):
                pose.impacts.append((float(time), rng.uniform(8, 22) if rope else rng.uniform(12, 34), side))
            if rope:
                turn = 2 * np.pi * phase
                pose.add(f"{side}_arm_abd", 0.35 + 0.08 * np.sin(turn))
                pose.add(f"{side}_elbow", 1.2 + 0.15 * np.cos(turn))
                pose.add(f"{side}_pronation", 0.5 * np.sin(turn))
                pose.add(f"{side}_wrist", 0.35 * np.cos(turn))
            else:
                pose.add(f"{side}_arm_flex", rng.uniform(0.2, 1.2) * np.cos(2 * np.pi * (phase - 0.5)))
        pose.add("trunk_flex", 0.4 * depth * crouch)
        pose.contacts = np.full((len(pose.time), 4), 0.25)

    return build


# ---- postures and transitions ------------------------------------------------------------------------------------------


def _sitting(arms: str = "lap", slouching: bool = False) -> Callable[[_Pose], None]:
    def build(pose: _Pose) -> None:
        _seat(pose, slouch=pose.rng.uniform(0.5, 1.0) if slouching else None, arms=arms)
        _fidget(pose, pose.rng.random() * 0.6)

    return build


def _lying(side: bool) -> Callable[[_Pose], None]:
    def build(pose: _Pose) -> None:
        rng = pose.rng
        pose.add("pelvis_pitch", -np.pi / 2 + rng.normal(0, 0.25) + pose.noise(0.004 * np.exp(rng.normal(0, 0.7)), 0.4))
        twist = rng.choice([-1, 1]) * (np.pi / 2 + rng.normal(0, 0.2)) if side else rng.normal(0, 0.35)
        pose.add("pelvis_twist", twist + pose.noise(0.002, 0.3))
        pose.add(
            "trunk_flex",
            rng.normal(0.05, 0.1) + 0.008 * np.sin(2 * np.pi * rng.uniform(0.2, 0.35) * pose.time),
        )
        for leg in _SIDES:
            pose.add(f"{leg}_hip", rng.uniform(0, 0.9 if side else 0.3) + pose.noise(0.003, 0.3))
            pose.add(f"{leg}_knee", rng.uniform(0, 1.2 if side else 0.4))
            pose.add(f"{leg}_arm_abd", rng.uniform(0.1, 0.6))
            pose.add(f"{leg}_arm_flex", rng.uniform(-0.1, 0.8) + pose.noise(0.004, 0.4))
            pose.add(f"{leg}_elbow", rng.uniform(0.1, 1.6) + pose.noise(0.005, 0.4))
        pose.root = np.zeros((len(pose.time), 3)) + np.array([0, 0, 0.12])
        _adjust(pose)
        _micro_motion(pose, 0.05)

    return build


def _blend(
    pose: _Pose, start: Callable[[_Pose], None], end: Callable[[_Pose], None], length: tuple[float, float]
) -> np.ndarray:
    """Cross-fade two postures over a random middle stretch; returns the 0..1 progress."""
    rng = pose.rng
    first = _Pose(pose.time, pose.rate, rng, pose.style)
    second = _Pose(pose.time, pose.rate, rng, pose.style)
    start(first)
    end(second)
    seconds = rng.uniform(*length) / pose.style.tempo
    begin = rng.uniform(0.15, 0.85) * max(pose.time[-1] - seconds, 0.1)
    mix = _smoothstep((pose.time - begin) / seconds)
    for name in sorted(set(first.angles) | set(second.angles)):
        pose.angles[name] = (1 - mix) * first.get(name) + mix * second.get(name)
    return mix


def _sit_stand(up: bool) -> Callable[[_Pose], None]:
    def build(pose: _Pose) -> None:
        seat = lambda p: _seat(p, slouch=p.rng.uniform(0, 0.4))  # noqa: E731
        order = (seat, _stand) if up else (_stand, seat)
        mix = _blend(pose, *order, (1.1, 2.2))
        lean = 4 * mix * (1 - mix)
        pose.add("trunk_flex", pose.rng.uniform(0.25, 0.6) * lean)
        pose.add("pelvis_pitch", pose.rng.uniform(0.3, 0.6) * lean)
        for side in _SIDES:
            pose.angles[f"{side}_hip"] = pose.get(f"{side}_hip") + pose.rng.uniform(0.2, 0.4) * lean
            # the sole stays level: ankle closes the chain of pelvis, hip and knee
            pose.angles[f"{side}_ankle"] = pose.get(f"{side}_knee") - pose.get(f"{side}_hip") + pose.get("pelvis_pitch")
        pose.contacts = np.full((len(pose.time), 4), 0.25)
        touch = np.flatnonzero(mix > 0.97)
        if not up and len(touch):
            pose.impacts.append((float(pose.time[touch[0]]), pose.rng.uniform(2, 10), "R"))

    return build


def _lie_down(up: bool) -> Callable[[_Pose], None]:
    def build(pose: _Pose) -> None:
        seat = lambda p: _seat(p, slouch=0.2)  # noqa: E731
        order = (_lying(False), seat) if up else (seat, _lying(False))
        mix = _blend(pose, *order, (1.4, 2.8))
        height = (mix if up else 1 - mix) * 0.3 * pose.style.height + 0.12
        pose.root = np.stack([0 * mix, 0 * mix, height], 1)

    return build


def _squat(lunge: bool = False) -> Callable[[_Pose], None]:
    def build(pose: _Pose) -> None:
        rng = pose.rng
        _base(pose)
        frequency = rng.uniform(0.25, 0.55) * pose.style.tempo
        phase = _phase(pose, frequency)
        down = (0.5 - 0.5 * np.cos(2 * np.pi * phase)) ** rng.uniform(0.8, 1.4) * min(pose.style.amplitude, 1.2)
        pose.details["repetitions"] = max(1, int(frequency * pose.time[-1]))
        front = rng.choice(_SIDES)
        for side in _SIDES:
            if lunge and side != front:
                hip, knee = -0.15 + 0.1 * down, 0.2 + 1.3 * down
            else:
                hip, knee = (0.3 if lunge else 0.05) + 1.35 * down, (0.2 if lunge else 0.1) + 1.65 * down
            pose.add(f"{side}_hip", hip)
            pose.add(f"{side}_knee", knee)
            pose.angles[f"{side}_ankle"] = knee - hip + 0.35 * down
            pose.add(f"{side}_arm_flex", rng.uniform(0.0, 1.4) * (0.3 + 0.7 * down))
        pose.add("pelvis_pitch", 0.35 * down)
        pose.add("trunk_flex", (0.1 if lunge else 0.35) * down)
        pose.contacts = np.zeros((len(pose.time), 4))
        pose.contacts[:, :2], pose.contacts[:, 2:] = (
            (0.25, 0.25) if not lunge else ((0.5, 0) if front == "R" else (0, 0.5))
        )

    return build


def _cycle(pose: _Pose) -> None:
    rng = pose.rng
    phase = _phase(pose, rng.uniform(0.7, 1.5) * pose.style.tempo)
    lean = rng.uniform(0.1, 0.7)
    pose.add("pelvis_pitch", 0.4 * lean + 0.01 * np.sin(4 * np.pi * phase))
    pose.add("pelvis_roll", rng.uniform(0.01, 0.05) * np.sin(2 * np.pi * phase))
    pose.add("trunk_flex", lean + pose.noise(0.01, 0.8))
    pose.add("head_pitch", -0.8 * lean)
    for side, shift in (("R", 0.0), ("L", 0.5)):
        turn = 2 * np.pi * (phase + shift)
        pose.add(f"{side}_hip", 0.95 + 0.4 * lean + 0.38 * np.cos(turn))
        pose.add(f"{side}_knee", 1.25 + 0.62 * np.cos(turn - 0.35) + 0.05 * np.cos(2 * turn))
        pose.add(f"{side}_ankle", 0.15 * np.sin(turn))
        pose.add(f"{side}_arm_flex", 0.9 + 0.6 * lean + pose.noise(0.01, 1.0))
        pose.add(f"{side}_elbow", rng.uniform(0.1, 0.5) + pose.noise(0.01, 1.0))
        pose.add(f"{side}_pronation", 0.8)
    pose.root = np.zeros((len(pose.time), 3)) + np.array([0, 0, 0.9])
    road = rng.uniform(0.0002, 0.002)
    pose.root += np.stack([pose.noise(0.3 * road, 8.0), pose.noise(0.4 * road, 8.0), pose.noise(road, 8.0)], 1)
    pose.root[:, 1] += 0.006 * np.sin(2 * np.pi * phase)


def _row(pose: _Pose) -> None:
    rng = pose.rng
    phase = _phase(pose, rng.uniform(0.3, 0.55) * pose.style.tempo)
    pull = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
    pose.add("pelvis_pitch", 0.3 - 0.6 * pull)
    pose.add("trunk_flex", 0.4 - 0.5 * pull)
    for side in _SIDES:
        pose.add(f"{side}_hip", 1.9 - 1.0 * pull)
        pose.add(f"{side}_knee", 2.0 - 1.75 * pull)
        pose.add(f"{side}_arm_flex", 1.35 - 0.9 * pull**2)
        pose.add(f"{side}_elbow", 0.1 + 1.6 * pull**3)
    slide = 0.33 * pose.style.height * pull
    pose.root = np.stack([-slide, pose.noise(0.002, 1.0), np.full(len(slide), 0.35)], 1)


def _elevator(up: bool) -> Callable[[_Pose], None]:
    def build(pose: _Pose) -> None:
        _stand(pose)
        sign = 1.0 if up else -1.0
        acceleration = np.zeros(len(pose.time))
        size, length = pose.rng.uniform(0.5, 1.3), pose.rng.uniform(1.0, 2.2)
        begin, ride = pose.rng.uniform(-1.0, 3.0), pose.rng.uniform(1.5, 5.0)
        for start, direction in ((begin, sign), (begin + length + ride, -sign)):
            s = (pose.time - start) / length
            acceleration += direction * size * np.where((s > 0) & (s < 1), np.sin(np.pi * np.clip(s, 0, 1)) ** 2, 0)
        travel = _integrate(_integrate(acceleration[:, None], pose.rate), pose.rate)[:, 0]
        pose.root = np.zeros((len(pose.time), 3))
        pose.root[:, 2] = 0.52 * pose.style.height + travel + pose.noise(0.0003, 6.0)

    return build


# ---- arms ------------------------------------------------------------------------------------------------------------

_ARM = ("arm_flex", "arm_abd", "arm_twist", "elbow", "pronation")


def _gesture(
    *keys: tuple[float, ...],
    trunk: float = 0.0,
    both: bool = False,
    seated: float = 0.0,
    step: bool = False,
    directed: bool = False,
):
    """A single reach through key poses (arm_flex, arm_abd, arm_twist, elbow, pronation), one or more times.

    Keys are mirrored for the left arm; a `directed` gesture is then run backward, so that left stays left.
    """

    def build(pose: _Pose) -> None:
        rng = pose.rng
        (_seat if rng.random() < seated else _stand)(pose)
        side = "R" if rng.random() < 0.8 else "L"
        pose.details["side"] = "both" if both else {"R": "right", "L": "left"}[side]
        seconds = rng.uniform(0.22, 0.5) / pose.style.tempo
        cycle = seconds * (len(keys) + 1)
        pause = rng.uniform(0.0, 0.8)
        count = max(1, int((pose.time[-1] - 0.4) / (cycle + pause)))
        count = int(rng.integers(1, count + 1))
        pose.details["repetitions"] = count
        start = rng.uniform(0.1, max(0.2, pose.time[-1] - count * (cycle + pause)))
        knots, values = [pose.time[0] - 1], [np.zeros(5)]
        size = np.clip(pose.style.amplitude * np.exp(rng.normal(0, 0.1)), 0.6, 1.35)
        order = keys[::-1] if directed and side == "L" else keys
        poses = np.array(order) * size + rng.normal(0, 0.12, (len(keys), 5))
        clock = start
        for _ in range(count):
            knots.append(clock)
            values.append(np.zeros(5))
            for key in poses:
                clock += seconds * np.exp(rng.normal(0, 0.12))
                knots.append(clock)
                values.append(key + rng.normal(0, 0.04, 5))
            clock += seconds
            knots.append(clock)
            values.append(np.zeros(5))
            clock += pause + 0.05
        knots.append(clock + 10)
        values.append(np.zeros(5))
        curve = _through(pose.time, np.array(knots), np.array(values), pose.rate, 0.3 * seconds)
        for arm in _SIDES if both else (side,):
            for i, name in enumerate(_ARM):
                pose.add(f"{arm}_{name}", curve[:, i])
        effort = np.abs(curve).sum(1)
        effort = effort / (effort.max() + 1e-9)
        pose.add("trunk_twist", trunk * effort * (1 if side == "R" else -1))
        pose.add("trunk_flex", 0.3 * abs(trunk) * effort)
        if step:
            pose.impacts.append((float(start + cycle * 0.5), rng.uniform(3, 9), side))

    return build


def _through(time: np.ndarray, knots: np.ndarray, values: np.ndarray, rate: float, smooth: float) -> np.ndarray:
    """Minimum-jerk passage through key values, then a Gaussian of `smooth` seconds to round velocity corners."""
    place = np.clip(np.searchsorted(knots, time, side="right") - 1, 0, len(knots) - 2)
    s = _smoothstep((time - knots[place]) / (knots[place + 1] - knots[place]))[:, None]
    curve = (1 - s) * values[place] + s * values[place + 1]
    half = max(1, int(3 * smooth * rate))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / (smooth * rate + 1e-9)) ** 2)
    padded = np.pad(curve, ((half, half), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, i], kernel / kernel.sum(), "valid") for i in range(curve.shape[1])], 1)


def _rhythm(
    frequency: tuple[float, float],
    centre: tuple[float, ...],
    swing: tuple[float, ...],
    lag: tuple[float, ...] = (0, 0, 0, 0, 0),
    both: bool | str = False,
    seated: float = 0.0,
    trunk: float = 0.0,
    stoop: float = 0.0,
    walk: float = 0.0,
    knock: float = 0.0,
) -> Callable[[_Pose], None]:
    """A repeated arm movement: centre and swing per arm angle, `lag` in cycles; `both` may be 'alternate'."""

    def build(pose: _Pose) -> None:
        rng = pose.rng
        if rng.random() < seated:
            _seat(pose, arms="lap")
            for side in _SIDES:
                for name in ("arm_flex", "elbow", "pronation"):
                    pose.angles[f"{side}_{name}"] = pose.get(f"{side}_{name}") * 0.3
        elif rng.random() < walk:
            _walk("slow")(pose)
        else:
            _stand(pose)
        tempo = rng.uniform(*frequency) * pose.style.tempo
        phase = _phase(pose, tempo, 0.06)
        gate = np.clip(0.75 + pose.noise(0.35, 0.25), 0.15, 1.2) if rng.random() < 0.5 else 1.0
        lead = "R" if rng.random() < 0.85 else "L"
        pose.details["side"] = "both" if both else {"R": "right", "L": "left"}[lead]
        size = np.clip(pose.style.amplitude * np.exp(rng.normal(0, 0.15)), 0.5, 1.5)
        for side in _SIDES:
            if side != lead and not both:
                continue
            shift = 0.5 if (both == "alternate" and side != lead) else 0.0
            for i, name in enumerate(_ARM):
                wave = np.cos(2 * np.pi * (phase + shift - lag[i]))
                pose.add(f"{side}_{name}", centre[i] * np.exp(rng.normal(0, 0.1)) + size * gate * swing[i] * wave)
            if knock:
                for time in _events(pose, phase, 0.5 + shift):
                    pose.impacts.append((float(time), knock * rng.uniform(0.5, 1.5), "hand_" + side))
        pose.add("trunk_twist", trunk * np.cos(2 * np.pi * phase))
        pose.add("trunk_flex", stoop * np.exp(rng.normal(0, 0.2)))
        pose.add("pelvis_pitch", 0.3 * stoop)

    return build


def _circle(sign: float) -> Callable[[_Pose], None]:
    def build(pose: _Pose) -> None:
        rng = pose.rng
        _stand(pose)
        seconds = rng.uniform(0.9, 1.9)
        count = int(rng.integers(1, 3))
        start = rng.uniform(0.5, max(0.6, pose.time[-1] - 0.8 - seconds * count))
        pose.details["repetitions"] = count
        raised = _smoothstep((pose.time - start + 0.5) / 0.5) - _smoothstep((pose.time - start - seconds * count) / 0.5)
        turn = 2 * np.pi * np.clip((pose.time - start) / seconds, 0, count)
        size = rng.uniform(0.3, 0.6) * pose.style.amplitude
        pose.add("R_arm_flex", raised * (1.35 + size * np.cos(turn)))
        pose.add("R_arm_abd", raised * (0.15 + sign * size * np.sin(turn)))
        pose.add("R_elbow", raised * (0.35 + 0.2 * np.cos(turn)))

    return build


def _carry(pose: _Pose) -> None:
    _walk("normal" if pose.rng.random() < 0.6 else "slow")(pose)
    for side in _SIDES:
        pose.angles[f"{side}_arm_flex"] = 0.35 + 0.15 * pose.get(f"{side}_arm_flex") + pose.noise(0.02, 1.0)
        pose.angles[f"{side}_elbow"] = pose.rng.uniform(1.1, 1.6) + pose.noise(0.03, 1.0)


def _bend_and_reach(down: bool) -> Callable[[_Pose], None]:
    def build(pose: _Pose) -> None:
        rng = pose.rng
        _stand(pose)
        seconds, begin = rng.uniform(1.6, 3.0), rng.uniform(0.2, 2.5)
        s = (pose.time - begin) / seconds
        dip = np.where((s > 0) & (s < 1), np.sin(np.pi * np.clip(s, 0, 1)) ** 2, 0.0)
        depth = rng.uniform(0.5, 1.3) if down else rng.uniform(0.1, 0.5)
        pose.add("trunk_flex", 0.7 * depth * dip)
        pose.add("pelvis_pitch", 0.6 * depth * dip)
        for side in _SIDES:
            pose.add(f"{side}_hip", 0.6 * depth * dip + 0.35 * depth * dip)
            pose.add(f"{side}_knee", 0.7 * depth * dip)
            pose.angles[f"{side}_ankle"] = pose.get(f"{side}_knee") - pose.get(f"{side}_hip") + pose.get("pelvis_pitch")
            pose.add(f"{side}_arm_flex", rng.uniform(0.5, 1.1) * dip)
            pose.add(f"{side}_elbow", rng.uniform(0.1, 0.9) * dip)

    return build


def _kick(pose: _Pose) -> None:
    """Kicks of a ball between slow steps or shuffles; the kicking leg swings on top of what it was doing."""
    rng = pose.rng
    if rng.random() < 0.75:
        step = rng.choice([0.0, rng.uniform(0.15, 0.4)])
        _gait(
            pose, rng.uniform(0.5, 1.25), step, rng.uniform(2, 12), curvature=rng.choice([-1, 1]) * rng.uniform(0, 1.5),
            clearance=rng.uniform(0.02, 0.1),
        )  # fmt: skip
    else:
        _stand(pose)
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
        pose.impacts.append((float(begin + 0.55 * seconds), size * rng.uniform(8, 30), "R"))
        pose.impacts.append((float(begin + seconds), rng.uniform(3, 12), "R"))
    if pose.world:
        for bone, angle in (("UpperLeg", -hip), ("LowerLeg", knee - hip), ("Foot", knee - hip), ("Toe", knee - hip)):
            pose.world[f"R_{bone}"] = pose.world[f"R_{bone}"] @ _rotation(1, angle)
    else:
        pose.add("R_hip", hip)
        pose.add("R_knee", knee)


ACTIVITIES: dict[str, Callable[[_Pose], None]] = {
    "standing": _stand,
    "sitting": _sitting(),
    "slouching": _sitting(slouching=True),
    "lying_back": _lying(False),
    "lying_side": _lying(True),
    "walking": _walk(),
    "walking_slow": _walk("slow"),
    "walking_fast": _walk("fast"),
    "walking_turning": _walk(curvature=0.7),
    "walking_backward": _walk("slow", direction=-1),
    "walking_in_place": _walk(in_place=True),
    "side_stepping": _side_step,
    "running": _run(),
    "jogging": _run(slow=True),
    "jogging_in_place": _run(slow=True, in_place=True),
    "stairs_up": _stairs("up"),
    "stairs_down": _stairs("down"),
    "jumping": _jump(),
    "rope_jumping": _jump(rope=True),
    "cycling": _cycle,
    "rowing": _row,
    "squats": _squat(),
    "lunges": _squat(lunge=True),
    "sit_to_stand": _sit_stand(True),
    "stand_to_sit": _sit_stand(False),
    "lying_down": _lie_down(False),
    "getting_up": _lie_down(True),
    "elevator_up": _elevator(True),
    "elevator_down": _elevator(False),
    "wave": _rhythm((1.0, 2.4), (1.2, 0.5, 0.2, 1.7, 0), (0.05, 0.1, 0.45, 0.2, 0.1)),
    "clap": _rhythm((1.2, 3.2), (0.9, 0.1, 0.4, 1.2, 0), (0.05, 0.12, 0.35, 0.1, 0), both=True, knock=25.0),
    "throw": _gesture(
        (0.9, 1.3, -1.0, 1.9, 0), (2.0, 0.5, -0.3, 0.8, 0), (1.0, 0.0, 0.5, 0.1, 0.4), trunk=0.6, step=True
    ),
    "swipe_left": _gesture((1.1, 1.0, -0.2, 0.3, 0), (1.2, -0.5, 0.5, 0.7, 0), trunk=0.15, directed=True),
    "swipe_right": _gesture((1.2, -0.5, 0.6, 0.9, 0), (1.1, 1.1, -0.2, 0.3, 0), trunk=-0.15, directed=True),
    "draw_circle_cw": _circle(1.0),
    "draw_circle_ccw": _circle(-1.0),
    "draw_x": _gesture(
        (1.9, 0.6, 0, 0.4, 0), (0.8, -0.3, 0.3, 0.4, 0), (1.9, -0.3, 0.3, 0.5, 0), (0.8, 0.6, 0, 0.3, 0)
    ),
    "draw_triangle": _gesture(
        (1.9, 0.1, 0, 0.4, 0), (0.9, 0.7, 0, 0.3, 0), (0.9, -0.4, 0.2, 0.4, 0), (1.9, 0.1, 0, 0.4, 0)
    ),
    "knock": _rhythm((1.8, 3.6), (1.0, 0.1, 0.2, 1.6, 0.3), (0.08, 0, 0, 0.28, 0), knock=45.0),
    "boxing": _rhythm(
        (0.8, 2.0), (0.95, 0.2, 0.2, 1.3, 0.4), (0.5, 0.1, 0.2, -0.95, 0.3), both="alternate", trunk=0.3, knock=20.0
    ),
    "tennis_swing": _gesture(
        (-0.4, 1.0, -0.6, 0.5, -0.3), (1.0, 0.4, 0.3, 0.4, 0.2), (1.7, -0.6, 0.8, 1.5, 0.8), trunk=0.8, step=True
    ),
    "tennis_serve": _gesture(
        (1.0, 1.4, -1.1, 2.0, 0), (2.9, 0.3, 0.0, 0.3, 0), (0.6, -0.5, 0.6, 0.3, 0.8), trunk=0.7, step=True
    ),
    "baseball_swing": _gesture(
        (1.1, -0.3, 0.5, 1.5, 0),
        (1.2, 0.9, -0.2, 0.3, 0.3),
        (1.0, 1.2, -0.5, 1.2, 0.6),
        trunk=-0.9,
        both=True,
        step=True,
    ),
    "basketball_shoot": _gesture((0.5, 0.1, 0, 1.2, 0.3), (1.9, 0.2, 0, 1.9, 0.3), (2.5, 0.1, 0, 0.15, 0.8), both=True),
    "bowling": _gesture(
        (-0.9, 0.2, 0, 0.15, 0), (1.3, 0.0, 0.1, 0.25, 0), (1.9, 0.1, 0.1, 0.7, 0), trunk=0.4, step=True
    ),
    "catch": _gesture((1.1, 0.15, 0.2, 0.7, -0.3), (0.8, 0.1, 0.3, 1.5, -0.3), step=True),
    "pick_up_throw": _gesture(
        (0.9, 0.1, 0, 0.1, 0), (0.9, 1.2, -0.9, 1.8, 0), (1.9, 0.3, 0.1, 0.3, 0.3), trunk=0.9, step=True
    ),
    "push_two_hands": _gesture((0.5, 0.2, 0.1, 1.9, 0.6), (1.4, 0.15, 0.1, 0.1, 0.6), both=True),
    "arm_cross": _gesture((1.3, 0.7, 0.2, 0.2, 0), (1.1, -0.4, 0.9, 1.7, 0), both=True),
    "arm_curl": _rhythm((0.4, 0.9), (0.1, 0.05, 0, 1.1, -0.6), (0.08, 0, 0, 0.95, 0), both=True),
    "reaching": _gesture((1.6, 0.2, 0.1, 0.4, 0.3), (1.5, 0.4, 0.1, 0.5, 0.3), trunk=0.3, seated=0.3),
    "carrying": _carry,
    "picking_up": _bend_and_reach(True),
    "placing": _bend_and_reach(False),
    "sweeping": _rhythm(
        (0.5, 1.0),
        (0.6, 0.2, 0.3, 0.8, 0.5),
        (0.3, 0.25, 0.3, 0.25, 0.1),
        (0, 0.1, 0, 0.2, 0),
        both=True,
        trunk=0.25,
        stoop=0.4,
        walk=0.3,
    ),
    "vacuuming": _rhythm(
        (0.4, 0.8), (0.5, 0.15, 0.1, 0.9, 0.4), (0.5, 0.1, 0.1, -0.45, 0.05), trunk=0.15, stoop=0.3, walk=0.3
    ),
    "wiping": _rhythm(
        (0.8, 1.8), (0.9, 0.2, 0.3, 0.8, 0.9), (0.15, 0.1, 0.4, 0.2, 0.1), (0, 0, 0.25, 0, 0), stoop=0.35, seated=0.2
    ),
    "stirring": _rhythm(
        (0.8, 2.0), (0.6, 0.15, 0.4, 1.3, 0.6), (0.1, 0.08, 0.2, 0.1, 0.1), (0, 0.25, 0.25, 0, 0), stoop=0.15
    ),
    "typing": _rhythm(
        (2.0, 4.5),
        (0.6, 0.12, 0.2, 1.35, 1.2),
        (0.004, 0.006, 0.02, 0.012, 0.03),
        both="alternate",
        seated=1.0,
        knock=1.5,
    ),
    "writing": _rhythm(
        (1.0, 3.0), (0.6, 0.15, 0.35, 1.3, 0.9), (0.01, 0.015, 0.05, 0.03, 0.05), (0, 0.2, 0, 0.3, 0.1), seated=0.9
    ),
    "drinking": _gesture((0.8, 0.3, 0.4, 1.9, 0.2), (1.0, 0.4, 0.4, 2.15, 0.0), (0.8, 0.3, 0.4, 1.9, 0.2), seated=0.7),
    "eating": _gesture((0.5, 0.2, 0.3, 1.2, 0.9), (0.75, 0.3, 0.45, 2.1, 0.2), (0.5, 0.2, 0.3, 1.2, 0.9), seated=0.9),
    "taping_box": _rhythm(
        (0.4, 1.0),
        (0.8, 0.2, 0.3, 0.9, 0.8),
        (0.25, 0.15, 0.3, 0.3, 0.3),
        (0, 0.2, 0.1, 0.3, 0),
        both=True,
        stoop=0.3,
        trunk=0.12,
    ),
    "folding": _rhythm(
        (0.3, 0.8),
        (0.7, 0.25, 0.2, 1.0, 0.5),
        (0.3, 0.25, 0.3, 0.35, 0.4),
        (0, 0.25, 0.1, 0.2, 0.3),
        both=True,
        stoop=0.2,
    ),
    "kicking": _kick,
}


def simulate_activity(
    name: str, seed: int, duration: float = 6.0, frame_rate: float = 60.0, subject: SubjectStyle | None = None
) -> BodyMotion:
    """One person doing one activity, seeded.

    Args:
        name: a key of `ACTIVITIES`.
        seed: decides the person (unless `subject` is given) and the motion; seeds from `HELD_OUT_SEED` up are kept
            for evaluation and demonstrations.
        duration: seconds, at least 2.
        frame_rate: frames per second.
        subject: a fixed person.

    Raises:
        ValueError: unknown activity, or a duration below 2 s.
    """
    if name not in ACTIVITIES:
        raise ValueError(f"unknown activity {name!r}; known: {', '.join(sorted(ACTIVITIES))}")
    if duration < 2:
        raise ValueError(f"duration must be at least 2 s, got {duration}")
    rng = np.random.default_rng([seed, seed_of(name)])
    style = subject or SubjectStyle.draw(rng)
    pose = _Pose(np.arange(int(round(duration * frame_rate))) / frame_rate, frame_rate, rng, style)
    ACTIVITIES[name](pose)
    hands = [event for event in pose.impacts if event[2].startswith("hand_")]
    pose.impacts = [event for event in pose.impacts if not event[2].startswith("hand_")]
    positions, orientations = _pose_to_motion(pose)
    positions += _hand_knocks(pose, hands)
    sentences = compose_narrations(name, pose.details, rng)
    narrations = [Narration(0.0, duration, text, LABELS[name]) for text in sentences]
    return BodyMotion(frame_rate, positions, orientations, narrations, f"procedural-{seed}", name, "procedural")


def _hand_knocks(pose: _Pose, events: list[tuple[float, float, str]]) -> np.ndarray:
    """Transients of claps, knocks and punches at hand and forearm, `(T, 23, 3)` metres."""
    out = np.zeros((len(pose.time), len(SEGMENTS), 3))
    for start, peak, where in events:
        tau = pose.rng.uniform(0.012, 0.02)
        u = np.clip((pose.time - start) / tau, 0, 40)
        wave = peak * tau**2 * u**3 * np.exp(-u)
        direction = pose.rng.normal(0, 1, 3)
        direction /= np.linalg.norm(direction)
        for bone, share in (("Hand", 1.0), ("Forearm", 0.7), ("UpperArm", 0.25)):
            out[:, SEGMENTS.index(f"{where[-1]}_{bone}")] += share * wave[:, None] * direction
    return out
