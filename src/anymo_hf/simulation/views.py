"""Placement views: one random IMU per segment and window, sampled on the fly in one vectorised pass."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..modeling.body_segments import SEGMENT_INDEX, SEGMENTS
from ..motion.body_motion import BodyMotion
from ..motion.skeleton import tpose_offsets
from .kinematics import segment_kinematics
from .sensor_noise import PRESETS, NoiseModel, draw_sensors, noise_models, sensor_readings
from .surface import SurfaceTemplate

_TRUNK = range(5)  # Pelvis, L5, L3, T12, T8
_THIGHS = {SEGMENTS.index("R_UpperLeg"), SEGMENTS.index("L_UpperLeg")}


@dataclass(frozen=True)
class ViewOptions:
    """How placements are mounted and disturbed (paper §3.2, A.2).

    Args:
        tilt_degrees: the sensor leans by up to this angle about each of its two tangent axes.
        in_plane_degrees: rotation about the surface normal, drawn from plus or minus this angle.
        any_rotation: chance that a mounting is drawn uniformly from all rotations instead, `True` means always; real
            devices disagree about which axis points out of the skin.
        flip_probability: chance that a sensor is worn face down (its normal points into the body).
        soft_attachment: chance that a sensor sits on a damped spring of 6 to 20 Hz; `True` means always.
        wobble: chance that a sensor also turns a little with the forces on it, as a phone on a belt or in a pocket.
        belt: chance that a device on pelvis or spine is held upright by a belt or clothes, its normal level.
        pocket: chance that a device on a thigh sits where pockets are, among the candidates from 15 to
            55 % of the way down from the hip.
        body_shapes: whoever draws a body for a batch also gives it a shape of its own, as `body_for` does.
        noise: noise presets, priors files (`*.json` of `anymo sensor estimate`) or models to draw from per placement; `True`
            means all presets, `False` none.
        frame_rate: of the windows, Hz.
        mounting: "surface", or "joint" for the paper's ablation of all this (A.8): one ideal sensor rigidly at the origin
            of each segment, in segment axes; then no other option has a say.

    Raises:
        ValueError: an angle or chance out of range, an unknown noise preset or mounting.
    """

    tilt_degrees: float = 10.0
    in_plane_degrees: float = 180.0
    any_rotation: float | bool = False
    flip_probability: float = 0.0
    soft_attachment: float | bool = 0.0
    wobble: float = 0.0
    belt: float = 0.0
    pocket: float = 0.0
    body_shapes: bool = False
    noise: bool | Sequence[str | NoiseModel] = True
    frame_rate: float = 60.0
    mounting: str = "surface"

    def __post_init__(self) -> None:
        for name in ("tilt_degrees", "in_plane_degrees"):
            if not 0 <= getattr(self, name) <= 180:
                raise ValueError(f"ViewOptions.{name} must lie between 0 and 180, got {getattr(self, name)}")
        for name in ("any_rotation", "flip_probability", "soft_attachment", "wobble", "belt", "pocket"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"ViewOptions.{name} must lie between 0 and 1, got {getattr(self, name)}")
        if not self.frame_rate > 0:
            raise ValueError(f"ViewOptions.frame_rate must be positive, got {self.frame_rate}")
        if self.mounting not in ("surface", "joint"):
            raise ValueError(f"ViewOptions.mounting must be surface or joint, got {self.mounting!r}")
        chosen = (PRESETS if self.noise else ()) if isinstance(self.noise, bool) else self.noise or ()
        object.__setattr__(self, "noise", noise_models(tuple(chosen)))


def stack_terms(force: torch.Tensor, lever: torch.Tensor, omega: torch.Tensor) -> torch.Tensor:
    """Force `(..., T, 23, 3)`, lever `(..., T, 23, 3, 3)` and omega `(..., T, 23, 3)` as `sample_views` takes them.

    Returns:
        `(..., 23, 15, T)`: segments first and time last, so that what is done to a channel runs along memory.
    """
    return torch.cat([force, lever.flatten(-2), omega], dim=-1).movedim(-3, -1).contiguous()


def motion_terms(motion: BodyMotion, frame_rate: float) -> torch.Tensor:
    """Terms `(1, 23, 15, T)` of one motion at `frame_rate`, as `sample_views` takes them."""
    found = segment_kinematics(motion, frame_rate)
    columns = (found.specific_force, found.lever, found.angular_velocity)
    return stack_terms(*(torch.from_numpy(column).float()[None] for column in columns))


def wearer_body(motion: BodyMotion, template: SurfaceTemplate) -> SurfaceTemplate:
    """The template at the height of the person who moves, told from the lowest spine segment."""
    spine = SEGMENT_INDEX["L5"]
    grown = np.linalg.norm(motion.positions[0, spine] - motion.positions[0, 0])
    return template.scaled(float(grown / np.linalg.norm(tpose_offsets(1.0)[spine])))


def body_for(template: SurfaceTemplate, height: float, options: ViewOptions, seed: int) -> SurfaceTemplate:
    """The body that carries a batch's sensors: of this height in metres, and with `body_shapes` of a seeded shape."""
    body = template.scaled(height)
    return body.shaped(seed) if options.body_shapes else body


@torch.no_grad()
def sample_views(
    terms: torch.Tensor,
    template: SurfaceTemplate,
    generator: torch.Generator,
    options: ViewOptions | None = None,
    segments: Sequence[int] | None = None,
    scale: torch.Tensor | None = None,
    views: int | None = None,
) -> torch.Tensor:
    """Sample one placement per segment and window, with its own mounting, device and attachment.

    A placement with lever arm `r` and axes `S` is linear in the 15 terms, so its signals are one `(6, 15) @ (15, T)`.

    Args:
        terms: `(B, 23, 15, T)`: specific force at the segment origins (3, m/s²), lever terms (9, 1/s², row by row) and
            angular velocity (3, rad/s) in segment axes; see `stack_terms`.
        template: candidate placements.
        generator: source of all randomness; the same seed gives the same view.
        options: mounting, noise and attachment; the paper's defaults when left out.
        segments: compute these segment indices only, in this order.
        scale: `(B,)` body height of each window over the template's; 1 when left out.
        views: so many independent views of every window in one pass, which costs less than one by one.

    Returns:
        `(B, T, P, 6)` acceleration m/s² and angular velocity rad/s in sensor axes; `P` is 23, or the length of
        `segments`. With `views` `(views, B, T, P, 6)`.

    Raises:
        ValueError: wrong shapes, a segment index out of range, or no view.
    """
    options = options or ViewOptions()
    if views is not None and views < 1:
        raise ValueError(f"views must be at least 1, got {views}")
    nodes = len(SEGMENTS)
    if terms.ndim != 4 or terms.shape[1:3] != (nodes, 15):
        raise ValueError(f"terms must be (B, {nodes}, 15, T), got {tuple(terms.shape)}")
    if scale is not None and scale.shape != terms.shape[:1]:
        raise ValueError(f"scale must be (B,), got {tuple(scale.shape)} for {len(terms)} windows")
    chosen = list(range(nodes)) if segments is None else [int(index) for index in segments]
    if any(not 0 <= index < nodes for index in chosen):
        raise ValueError(f"segments must hold indices 0..{nodes - 1}, got {chosen}")
    if segments is not None:
        terms = terms[:, chosen]
    batch, placements, _, frames = terms.shape
    count = 1 if views is None else views
    if options.mounting == "joint":
        signals = torch.cat([terms[:, :, :3], terms[:, :, 12:]], dim=2).repeat_interleave(count, dim=1)
    else:
        # views of a window are so many more placements of it
        each = [index for index in chosen for _ in range(count)]
        matrix = _placement_matrix(terms, template, each, generator, options, scale)
        signals = (matrix.view(batch, placements, 6 * count, 15) @ terms).view(batch, placements * count, 6, frames)
        if options.soft_attachment > 0:
            _soft_attachment(signals.flatten(0, 1), generator, options)
        if options.wobble > 0:
            _wobble(signals.flatten(0, 1), generator, options)
        if options.noise:
            draws = draw_sensors(options.noise, *signals.shape[:2], generator)
            signals = sensor_readings(signals, draws, generator, options.frame_rate)
    signals = signals.view(batch, placements, count, 6, frames).permute(2, 0, 4, 1, 3).contiguous()
    return signals[0] if views is None else signals


def _placement_matrix(terms, template, segments, generator, options, scale) -> torch.Tensor:
    """`(B, P, 6, 15)` from terms to the signals of one drawn placement per segment."""
    batch, placements = len(terms), len(segments)
    offset, surface = pick_candidates(template, segments, batch, generator, options.pocket)
    if options.belt > 0:
        surface = upright_frames(surface, segments, generator, options.belt)
    axes = (surface @ draw_mountings(batch, placements, generator, options)).to(terms).mT
    offset = offset.to(terms)
    if scale is not None:
        offset = offset * scale.to(terms)[:, None, None]
    matrix = terms.new_zeros(batch, placements, 6, 15)
    matrix[..., :3, :3] = matrix[..., 3:, 12:] = axes
    # lever entry (i, k) counts r_k along axis i
    matrix[..., :3, 3:12] = (axes[..., None] * offset[..., None, None, :]).flatten(-2)
    return matrix


def _uniform(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)


def pick_candidates(
    template: SurfaceTemplate, segments: list[int], batch: int, generator: torch.Generator, pocket: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lever arms `(B, P, 3)` and surface frames `(B, P, 3, 3)` of drawn candidates, uniform but for pockets."""
    device = generator.device
    starts, counts, offset, frame, order = _candidates(template, device)
    start, count = starts[segments], counts[segments]
    draw = _uniform(generator, batch, len(segments))
    if pocket > 0:
        thigh = torch.tensor([index in _THIGHS for index in segments], device=device)
        kept = (_uniform(generator, batch, len(segments)) < pocket) & thigh
        draw = torch.where(kept, 0.15 + 0.4 * draw, draw)
    pick = start + torch.minimum((draw * count).long(), count - 1)
    if pocket > 0:
        pick = order[pick]
    return offset[pick], frame[pick]


# of the last few templates: training makes many views of one body
_TENSORS: OrderedDict[tuple[int, torch.device], tuple[SurfaceTemplate, tuple[torch.Tensor, ...]]] = OrderedDict()


def _candidates(template: SurfaceTemplate, device: torch.device) -> tuple[torch.Tensor, ...]:
    """First candidate and number of them of each segment; offset, frame; and thighs' candidates from hip to knee."""
    key = id(template), device
    if key not in _TENSORS or _TENSORS[key][0] is not template:
        starts, counts = (torch.as_tensor(part, device=device) for part in template.ranges())
        offset, frame = (
            torch.as_tensor(part, dtype=torch.float32, device=device) for part in (template.offset, template.frame)
        )
        order = torch.arange(len(offset), device=device)
        for index in _THIGHS:
            rows = slice(int(starts[index]), int(starts[index] + counts[index]))
            order[rows] = rows.start + offset[rows, 2].argsort(descending=True)
        _TENSORS[key] = template, (starts, counts, offset, frame, order)
        while len(_TENSORS) > 4:
            _TENSORS.popitem(last=False)
    return _TENSORS[key][1]


def upright_frames(
    surface: torch.Tensor, segments: list[int], generator: torch.Generator, chance: float
) -> torch.Tensor:
    """Surface frames `(B, P, 3, 3)` with the normal laid level in segment axes, on the trunk, with this chance."""
    trunk = torch.tensor([index in _TRUNK for index in segments], device=surface.device)
    x, y = surface[..., 0, 2], surface[..., 1, 2]
    size = torch.hypot(x, y)
    x, y = x / size.clamp_min(1e-6), y / size.clamp_min(1e-6)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    # columns: up, normal x up, normal
    level = torch.stack([zero, y, x, zero, -x, y, one, zero, zero], dim=-1).unflatten(-1, (3, 3))
    held = (_uniform(generator, *surface.shape[:2]) < chance) & trunk & (size > 0.3)
    return torch.where(held[..., None, None], level, surface)


def draw_mountings(batch: int, placements: int, generator: torch.Generator, options: ViewOptions) -> torch.Tensor:
    """Rotations `(B, P, 3, 3)` from surface axes (tangent, binormal, normal) to sensor axes."""
    if options.any_rotation >= 1:
        return _any_rotations(batch, placements, generator)
    draw = 2 * _uniform(generator, 3, batch, placements) - 1
    lean = math.radians(options.tilt_degrees)
    angle = draw * draw.new_tensor([math.radians(options.in_plane_degrees), lean, lean])[:, None, None]
    (cz, cx, cy), (sz, sx, sy) = torch.cos(angle), torch.sin(angle)
    # about z, then x, then y; the first two rows together
    one, other = torch.stack([cz, sz], dim=-1), torch.stack([-sz, cz], dim=-1)
    cx, cy, sx, sy = (part[..., None] for part in (cx, cy, sx, sy))
    lean = other * sx
    rows = torch.stack([one * cy + lean * sy, other * cx, one * sy - lean * cy], dim=-1)
    rotation = torch.cat([rows, torch.stack([-cx * sy, sx, cx * cy], dim=-1)], dim=-2)
    if options.flip_probability > 0:
        flipped = _uniform(generator, batch, placements) < options.flip_probability
        # half a turn about x
        half = torch.where(flipped, -1.0, 1.0)
        rotation = rotation * torch.stack([torch.ones_like(half), half, half], dim=-1)[..., None]
    if options.any_rotation > 0:
        free = _uniform(generator, batch, placements) < options.any_rotation
        rotation = torch.where(free[..., None, None], _any_rotations(batch, placements, generator), rotation)
    return rotation


def _any_rotations(batch: int, placements: int, generator: torch.Generator) -> torch.Tensor:
    """Rotations `(B, P, 3, 3)`, every one as likely as any other."""
    quaternion = torch.randn(batch, placements, 4, generator=generator, device=generator.device)
    return _quaternion_matrix(torch.nn.functional.normalize(quaternion, dim=-1))


def _quaternion_matrix(quaternion: torch.Tensor) -> torch.Tensor:
    """Rotation matrices of unit quaternions wxyz: `I + 2w[v]ₓ + 2[v]ₓ²`."""
    w, x, y, z = quaternion.unbind(-1)
    zero = torch.zeros_like(w)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.eye(3, device=w.device) + 2 * (w[..., None, None] * cross + cross @ cross)


def _soft_attachment(signals: torch.Tensor, generator: torch.Generator, options: ViewOptions) -> None:
    """Passes specific force in `(N, 6, T)` signals through random damped springs between body and sensor, in place.

    A sensor on a spring reads `H(f) = (1 + 2jζq) / (1 − q² + 2jζq)` times the specific force below it, with
    `q = f / f0`. Gravity and slow motion pass unchanged; `f0` is 6 to 20 Hz and `ζ` 0.1 to 0.6.
    """
    draw = _uniform(generator, 3, len(signals))
    soft = (draw[2] < float(options.soft_attachment)).nonzero().flatten()
    if not len(soft):  # some FFT libraries refuse an empty batch
        return
    natural, damping = (part[soft, None, None].to(signals) for part in (6.0 + 14.0 * draw[0], 0.1 + 0.5 * draw[1]))
    acceleration = signals[:, :3].index_select(0, soft)
    frames = acceleration.shape[-1]
    # One second of zeros lets the ringing die before the transform wraps around.
    padding = math.ceil(options.frame_rate)
    length = 60 * math.ceil((frames + padding) / 60)
    ratio = torch.fft.rfftfreq(length, 1.0 / options.frame_rate).to(signals) / natural
    ringing = torch.complex(torch.ones_like(ratio), 2 * damping * ratio)
    gain = ringing / (ringing - ratio**2)
    # What remains after the straight line between the ends is the dynamic part and starts and ends at zero.
    weight = torch.linspace(0, 1, frames, dtype=signals.dtype, device=signals.device)
    line = torch.lerp(acceleration[..., :1], acceleration[..., -1:], weight)
    spectrum = torch.fft.rfft(acceleration - line, n=length).mul_(gain)
    signals[soft, :3] = torch.fft.irfft(spectrum, n=length)[..., :frames].add_(line)


def _wobble(signals: torch.Tensor, generator: torch.Generator, options: ViewOptions) -> None:
    """Turns sensors of `(N, 6, T)` signals by a small angle that follows the dynamic force, in place: `angle = K a`.

    A loosely held device leans when it is pushed, so gravity leaks between its axes and its gyroscope reads the leaning.
    The matrix `K` is random, 1 to 15 mrad per m/s².
    """
    size = 0.001 * 15.0 ** _uniform(generator, len(signals), 1, 1)
    loose = (_uniform(generator, len(signals)) < options.wobble).nonzero().flatten()
    matrix = torch.randn(len(signals), 3, 3, generator=generator, device=generator.device) * size
    moved = signals.index_select(0, loose)
    acceleration, turning = moved.split(3, dim=1)
    angle = matrix[loose].to(signals) @ (acceleration - acceleration.mean(-1, keepdim=True))
    angle.mul_((4 * angle).square_().add_(1).rsqrt_())  # at most 0.25 rad: the pocket ends somewhere
    padded = torch.cat([angle[..., :1], angle, angle[..., -1:]], dim=-1)
    smooth = angle.mul_(0.5).add_(padded[..., :-2], alpha=0.25).add_(padded[..., 2:], alpha=0.25)
    force = acceleration.clone()
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        acceleration[:, i].addcmul_(smooth[:, j], force[:, k], value=-1).addcmul_(smooth[:, k], force[:, j])
    turning[..., 1:-1].add_(smooth[..., 2:] - smooth[..., :-2], alpha=options.frame_rate / 2)
    turning[..., 0].add_(smooth[..., 1] - smooth[..., 0], alpha=options.frame_rate)
    turning[..., -1].add_(smooth[..., -1] - smooth[..., -2], alpha=options.frame_rate)
    signals[loose] = moved
