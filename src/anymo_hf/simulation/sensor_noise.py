"""Sensor errors: one device drawn per placement, its error sizes kept for inspection and applied to clean signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
import torch
from torch.nn.functional import embedding_bag

from ..modeling.imu_signal import STANDARD_GRAVITY

_MICRO_G = 1e-6 * STANDARD_GRAVITY
_DEGREE = np.pi / 180


@dataclass(frozen=True)
class NoiseModel:
    """Error sizes of one kind of device (paper §3.1 "hardware-style noise priors", A.2).

    A size named "spread" is the standard deviation over devices; each placement draws its own value.

    Args:
        acc_density: accelerometer white noise, m/s² per √Hz.
        gyro_density: gyroscope white noise, rad/s per √Hz.
        acc_bias: spread of the constant accelerometer bias per axis, m/s².
        gyro_bias: spread of the constant gyroscope bias per axis, rad/s.
        acc_drift: bias random walk: standard deviation of the change over one minute, m/s².
        gyro_drift: the same for the gyroscope, rad/s.
        scale: spread of the relative scale error per axis.
        acc_range: full scale, m/s²; readings beyond it saturate.
        gyro_range: full scale, rad/s.
        bits: word length over the full range; sets the quantisation step.
        cross_axis: spread of the share that each axis reads of each other axis of its sensor.
        g_sensitivity: spread of the gyroscope's reading per acceleration, each axis to each, rad/s per m/s².
        clock_offset: spread of the constant clock error between placements, s.
        clock_drift: spread of the clock's rate error, parts per million.
        clock_jitter: standard deviation of each sample's own time error, s.
    """

    acc_density: float
    gyro_density: float
    acc_bias: float = 0.0
    gyro_bias: float = 0.0
    acc_drift: float = 0.0
    gyro_drift: float = 0.0
    scale: float = 0.0
    acc_range: float = 16 * STANDARD_GRAVITY
    gyro_range: float = 2000 * _DEGREE
    bits: int = 16
    cross_axis: float = 0.0
    g_sensitivity: float = 0.0
    clock_offset: float = 0.0
    clock_drift: float = 0.0
    clock_jitter: float = 0.0

    def __post_init__(self) -> None:
        for name in (item.name for item in fields(self)):
            value = getattr(self, name)
            if not np.isfinite(value) or value < 0:
                raise ValueError(f"NoiseModel.{name} must be a finite number of at least 0, got {value}")
        if self.acc_range == 0 or self.gyro_range == 0 or self.bits < 2:
            raise ValueError("NoiseModel needs acc_range > 0, gyro_range > 0 and bits >= 2")


_COLUMN = {item.name: index for index, item in enumerate(fields(NoiseModel))}

# From data sheets, typical values: the two densities, and for the research unit the ranges too.
#   phone: Bosch BMI160, 180 µg/√Hz and 0.007 °/s/√Hz.      watch: Bosch BMI270, 160 µg/√Hz and 0.008 °/s/√Hz.
#   glasses: ST LSM6DSO, 70 µg/√Hz and 0.0038 °/s/√Hz.      research: Xsens MTw Awinda, 200 µg/√Hz and 0.01 °/s/√Hz,
#   160 m/s² and 2,000 °/s.
# Chosen here, not sourced: which part stands for which device, and all other sizes. They are errors that are left after
# a factory or user calibration, so smaller than the offsets that data sheets allow (tens of mg, 1 to 3 °/s), and the
# phone's and the watch's clocks are an application's time stamps. `anymo sensor estimate` shows what real sets hold.
PRESETS: dict[str, NoiseModel] = {
    "phone": NoiseModel(
        180 * _MICRO_G, 0.007 * _DEGREE, acc_bias=0.20, gyro_bias=0.010, acc_drift=0.010, gyro_drift=0.0010, scale=0.010,
        acc_range=8 * STANDARD_GRAVITY, cross_axis=0.010, g_sensitivity=1.8e-4, clock_offset=0.010, clock_drift=30.0,
        clock_jitter=1.0e-3,
    ),
    "watch": NoiseModel(
        160 * _MICRO_G, 0.008 * _DEGREE, acc_bias=0.15, gyro_bias=0.015, acc_drift=0.015, gyro_drift=0.0015, scale=0.010,
        cross_axis=0.010, g_sensitivity=1.8e-4, clock_offset=0.015, clock_drift=30.0, clock_jitter=1.0e-3,
    ),
    "glasses": NoiseModel(
        70 * _MICRO_G, 0.0038 * _DEGREE, acc_bias=0.10, gyro_bias=0.008, acc_drift=0.008, gyro_drift=0.0008, scale=0.005,
        acc_range=8 * STANDARD_GRAVITY, cross_axis=0.005, g_sensitivity=1.8e-4, clock_offset=0.005, clock_drift=20.0,
        clock_jitter=0.2e-3,
    ),
    "research": NoiseModel(
        200 * _MICRO_G, 0.010 * _DEGREE, acc_bias=0.03, gyro_bias=0.003, acc_drift=0.003, gyro_drift=0.0003, scale=0.002,
        acc_range=160.0, cross_axis=0.001, g_sensitivity=0.5e-4, clock_offset=0.001, clock_drift=10.0,
        clock_jitter=0.01e-3,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class SensorDraws:
    """The devices of `(B, P)` placements: everything about them that does not change from sample to sample.

    Args:
        model: `(B, P)` index of the drawn model.
        gain: `(B, P, 6, 6)` true (acceleration, angular velocity) to read ones: scale and cross-axis errors on the
            diagonal blocks, g-sensitivity in the lower left.
        bias: `(B, P, 6)` m/s² and rad/s.
        density: `(B, P, 6)` white noise, m/s² and rad/s per √Hz.
        walk: `(B, P, 6)` bias random walk, m/s² and rad/s per √s.
        full_scale: `(B, P, 6)` m/s² and rad/s.
        step: `(B, P, 6)` quantisation step, m/s² and rad/s.
        clock_offset: `(B, P)` s; the sample that should be taken at `t` shows `t + clock_offset + …`.
        clock_drift: `(B, P)` s per s.
        clock_jitter: `(B, P)` s, standard deviation.
    """

    model: torch.Tensor
    gain: torch.Tensor
    bias: torch.Tensor
    density: torch.Tensor
    walk: torch.Tensor
    full_scale: torch.Tensor
    step: torch.Tensor
    clock_offset: torch.Tensor
    clock_drift: torch.Tensor
    clock_jitter: torch.Tensor


def noise_models(names: Sequence[str | NoiseModel]) -> tuple[NoiseModel, ...]:
    """Look presets up by name; `NoiseModel` entries pass through.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
    """
    models = []
    for entry in names:
        if isinstance(entry, str) and entry not in PRESETS:
            raise ValueError(f"unknown noise preset {entry!r}; known presets: {', '.join(PRESETS)}")
        models.append(PRESETS[entry] if isinstance(entry, str) else entry)
    return tuple(models)


def draw_sensors(
    models: Sequence[str | NoiseModel],
    batch: int,
    placements: int,
    generator: torch.Generator | np.random.Generator,
) -> SensorDraws:
    """Give every placement of every window one device at random and draw that device's own errors.

    Args:
        models: presets (by name) or models to choose from, each as likely.
        batch, placements: `B` and `P`.
        generator: source of all randomness; the same state gives the same bytes.

    Raises:
        ValueError: no model, or an unknown preset.
    """
    chosen_from = noise_models(models)
    if not chosen_from:
        raise ValueError("models is empty; name at least one noise preset")
    generator = _torch_generator(generator)
    device, shape = generator.device, (batch, placements)
    table = torch.tensor([astuple(model) for model in chosen_from], device=device)
    model = torch.randint(len(table), shape, generator=generator, device=device)
    sizes = table[model]  # (B, P, fields)

    def size(name: str) -> torch.Tensor:
        return sizes[..., _COLUMN[name]]

    def six(kind: str) -> torch.Tensor:
        column = _COLUMN[f"acc_{kind}"]
        return sizes[..., column : column + 2].repeat_interleave(3, dim=-1)

    # scale on the diagonal, cross-axis beside it, and how the gyroscope reads acceleration
    draw = torch.randn(*shape, 66, generator=generator, device=device)
    gain = draw[..., :36].unflatten(-1, (6, 6))
    sensor = torch.arange(6, device=device) // 3
    gain = gain * torch.where(
        (sensor[:, None] == sensor)[None, None], size("cross_axis")[..., None, None], torch.zeros((), device=device)
    )
    gain[..., 3:, :3] = draw[..., 36:45].unflatten(-1, (3, 3)) * size("g_sensitivity")[..., None, None]
    gain.diagonal(dim1=-2, dim2=-1).copy_(1 + size("scale")[..., None] * draw[..., 45:51])
    full_scale = six("range")
    return SensorDraws(
        model=model,
        gain=gain,
        bias=six("bias") * draw[..., 51:57],
        density=six("density"),
        walk=six("drift") / 60**0.5,
        full_scale=full_scale,
        step=2 * full_scale / 2 ** size("bits")[..., None],
        clock_offset=size("clock_offset") * draw[..., 57],
        clock_drift=1e-6 * size("clock_drift") * draw[..., 58],
        clock_jitter=size("clock_jitter"),
    )


def apply_sensors(
    signals: torch.Tensor,
    draws: SensorDraws,
    generator: torch.Generator | np.random.Generator,
    frame_rate: float = 60.0,
) -> torch.Tensor:
    """Read clean signals through the drawn devices.

    Order: sample times (offset, drift, jitter; cubic interpolation between the four nearest frames, the ends held),
    scale, cross-axis and g-sensitivity, bias, random walk of the bias from 0, white noise of bandwidth
    `frame_rate / 2`, saturation, quantisation.

    Args:
        signals: `(B, T, P, 6)` acceleration m/s² and angular velocity rad/s.
        draws: from `draw_sensors` for `B` and `P`.
        generator: source of jitter, walk and white noise.
        frame_rate: Hz.

    Returns:
        A new tensor of the same shape.

    Raises:
        ValueError: a wrong shape.
    """
    if signals.ndim != 4 or signals.shape[-1] != 6:
        raise ValueError(f"signals must be (B, T, P, 6), got {tuple(signals.shape)}")
    batch, frames, placements, _ = signals.shape
    if draws.model.shape != (batch, placements):
        raise ValueError(
            f"draws are of {tuple(draws.model.shape)} placements (B, P), signals of {(batch, placements)}; draw again"
        )
    generator = _torch_generator(generator)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, device=generator.device).to(signals)

    bias, density, walk, full_scale, step, gain = (
        getattr(draws, name).to(signals) for name in ("bias", "density", "walk", "full_scale", "step", "gain")
    )
    # placement before time: one matrix product per device, and the layout in which views arrive
    clean = signals.transpose(1, 2).contiguous()
    if any(bool(value.any()) for value in (draws.clock_offset, draws.clock_drift, draws.clock_jitter)):
        clean = _resampled(clean, draws, normal(batch, placements, frames), frame_rate)
    noisy = torch.baddbmm(
        bias.flatten(0, 1)[:, None], clean.flatten(0, 1), gain.mT.flatten(0, 1)
    ).unflatten(0, (batch, placements))  # fmt: skip
    noise = normal(batch, placements, frames, 6)
    if bool(walk.any()):
        steps = normal(batch, placements, frames, 6)
        steps[:, :, 0] = 0.0
        noisy.addcmul_(steps.cumsum_(2), (walk / frame_rate**0.5)[:, :, None])
    noisy.addcmul_(noise, (density * (frame_rate / 2) ** 0.5)[:, :, None])
    full_scale, step = full_scale[:, :, None], step[:, :, None]
    noisy = torch.clamp_(noisy, -full_scale, full_scale)
    return noisy.div_(step).round_().mul_(step).transpose(1, 2).contiguous()


def add_noise(
    signals: torch.Tensor,
    models: Sequence[str | NoiseModel],
    generator: torch.Generator | np.random.Generator,
    frame_rate: float = 60.0,
) -> torch.Tensor:
    """Give every placement of every window one device at random and add that device's errors.

    Args:
        signals: `(B, T, P, 6)` acceleration m/s² and angular velocity rad/s.
        models: presets (by name) or models to choose from.
        generator: source of all randomness.
        frame_rate: Hz.

    Returns:
        A new tensor of the same shape.

    Raises:
        ValueError: no model, an unknown preset, or a wrong shape.
    """
    if signals.ndim != 4 or signals.shape[-1] != 6:
        raise ValueError(f"signals must be (B, T, P, 6), got {tuple(signals.shape)}")
    generator = _torch_generator(generator)
    return apply_sensors(
        signals, draw_sensors(models, signals.shape[0], signals.shape[2], generator), generator, frame_rate
    )


def _torch_generator(generator: torch.Generator | np.random.Generator) -> torch.Generator:
    if isinstance(generator, np.random.Generator):
        return torch.Generator().manual_seed(int(generator.integers(2**63)))
    return generator


def _resampled(signals: torch.Tensor, draws: SensorDraws, jitter: torch.Tensor, frame_rate: float) -> torch.Tensor:
    """`(B, P, T, 6)` at each device's own sample times, by cubic convolution (Catmull-Rom) between frames."""
    batch, placements, frames, _ = signals.shape
    offset, drift, spread = (
        getattr(draws, name).to(signals)[..., None] for name in ("clock_offset", "clock_drift", "clock_jitter")
    )
    count = torch.arange(frames, dtype=signals.dtype, device=signals.device)
    times = count * (1 + drift) + (offset + spread * jitter) * frame_rate
    times = times.clamp_(0, frames - 1)
    base = times.floor()
    x = times - base
    # the end frames are repeated, so that all four taps are at hand
    padded = torch.cat([signals[:, :, :1], signals, signals[:, :, -1:], signals[:, :, -1:]], dim=2).view(-1, 6)
    first = (frames + 3) * torch.arange(batch * placements, device=signals.device).view(batch, placements, 1)
    rows = (base.long() + first).flatten()
    weights = torch.stack(
        [
            x * (x * (1 - 0.5 * x) - 0.5),
            1 + x * x * (1.5 * x - 2.5),
            x * (0.5 + x * (2 - 1.5 * x)),
            x * x * (0.5 * x - 0.5),
        ],
        dim=-1,
    )
    # a weighted sum of rows in one pass
    rows = rows[:, None] + torch.arange(4, device=signals.device)
    taken = embedding_bag(rows, padded, per_sample_weights=weights.view(-1, 4), mode="sum")
    return taken.view_as(signals)
