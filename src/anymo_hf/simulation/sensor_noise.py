"""Sensor errors: one device drawn per placement, its error sizes kept for inspection and applied to clean signals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch

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
    """Look presets up by name; a name that ends in `.json` is a file for `read_priors`; `NoiseModel` entries pass through.

    Raises:
        ValueError: an unknown name, the message lists the known ones; or a bad priors file.
        OSError: no such priors file.
    """
    models: list[NoiseModel] = []
    for entry in names:
        if isinstance(entry, NoiseModel):
            models.append(entry)
        elif entry.endswith(".json"):
            models += read_priors(entry)
        elif entry in PRESETS:
            models.append(PRESETS[entry])
        else:
            raise ValueError(
                f"unknown noise preset {entry!r}; known presets: {', '.join(PRESETS)}; or give a priors file, *.json, that "
                "`anymo sensor estimate --out` wrote"
            )
    return tuple(models)


def read_priors(path: str | Path, rest: str = "phone") -> tuple[NoiseModel, ...]:
    """Noise models of real devices from the JSON that `anymo sensor estimate --out DIR` writes.

    Densities are the estimated ones; a quantisation step sets the word length. What quiet windows cannot tell (biases, their
    drift, scale, cross-axis and clock errors, the full scale, and the gyroscope of a device without one) is the preset's.

    Args:
        path: the file, `sensor_noise.json`.
        rest: preset for all that is not estimated.

    Raises:
        OSError: no such file.
        ValueError: not such a file, or it holds no estimate.
    """
    path = Path(path)
    if not path.is_file():
        raise OSError(f"{path}: no such priors file; write one with `anymo sensor estimate --out DIR`")
    models = []
    try:
        for estimate in json.loads(path.read_text(encoding="utf-8"))["estimates"].values():
            (base,) = noise_models([rest])
            known = {name: estimate[name] for name in ("acc_density", "gyro_density") if estimate[name] is not None}
            if step := estimate["acc_step"]:
                known["bits"] = int(np.clip(round(np.log2(2 * base.acc_range / step)), 2, 24))
            models.append(replace(base, **known))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: not a priors file ({type(error).__name__}: {error}); write it with `anymo sensor estimate --out DIR`"
        ) from error
    if not models:
        raise ValueError(f"{path}: key 'estimates' is empty; no device could be estimated")
    return tuple(models)


_CHANNELS = ("density", "bias", "walk", "full_scale", "step")  # a value for each of six channels


@lru_cache(32)
def _sizes(models: tuple[NoiseModel, ...], device: torch.device) -> torch.Tensor:
    """`(models, 36)`: sizes of `_CHANNELS`, then the six of a whole device; read only."""
    rows = []
    for model in models:
        acc, gyro = (
            np.array([
                getattr(model, f"{sensor}_density"), getattr(model, f"{sensor}_bias"),
                getattr(model, f"{sensor}_drift") / 60**0.5, getattr(model, f"{sensor}_range"),
                2 * getattr(model, f"{sensor}_range") / 2**model.bits,
            ])
            for sensor in ("acc", "gyro")
        )  # fmt: skip
        whole = (
            model.scale, model.cross_axis, model.g_sensitivity, model.clock_offset, 1e-6 * model.clock_drift,
            model.clock_jitter,
        )  # fmt: skip
        rows.append([*np.stack([acc] * 3 + [gyro] * 3, axis=1).ravel(), *whole])
    return torch.tensor(np.array(rows), dtype=torch.float32, device=device)


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
    table = _sizes(chosen_from, device)
    model = torch.randint(len(table), shape, generator=generator, device=device)
    sizes = table[model]
    density, bias, walk, full_scale, step = sizes[..., :30].unflatten(-1, (5, 6)).unbind(-2)
    scale, cross_axis, g_sensitivity, offset, drift, jitter = sizes[..., 30:].unbind(-1)
    draw = torch.randn(*shape, 35, generator=generator, device=device)
    # how each axis reads those of its own sensor, scale on the diagonal, and how the gyroscope reads acceleration
    blocks = (
        draw[..., :27].unflatten(-1, (3, 3, 3))
        * torch.stack([cross_axis, cross_axis, g_sensitivity], -1)[..., None, None]
    )
    gain = draw.new_zeros(*shape, 6, 6)
    gain[..., :3, :3], gain[..., 3:, 3:], gain[..., 3:, :3] = blocks.unbind(2)
    gain.diagonal(dim1=-2, dim2=-1).copy_(1 + scale[..., None] * draw[..., 29:35])
    clock = draw[..., 27:29] * torch.stack([offset, drift], dim=-1)
    return SensorDraws(
        model=model,
        gain=gain,
        bias=bias * draw[..., [0, 4, 8, 9, 13, 17]],  # of the blocks' diagonals, where scale stands
        density=density,
        walk=walk,
        full_scale=full_scale,
        step=step,
        clock_offset=clock[..., 0],
        clock_drift=clock[..., 1],
        clock_jitter=jitter,
    )


def apply_sensors(
    signals: torch.Tensor,
    draws: SensorDraws,
    generator: torch.Generator | np.random.Generator,
    frame_rate: float = 60.0,
) -> torch.Tensor:
    """Read clean signals through the drawn devices.

    Order: sample times (offset, drift, jitter; cubic interpolation between the four nearest frames, the ends repeated),
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
    read = sensor_readings(
        signals.permute(0, 2, 3, 1).contiguous(), draws, _torch_generator(generator), frame_rate
    )  # fmt: skip
    return read.permute(0, 3, 1, 2).contiguous()


def sensor_readings(
    clean: torch.Tensor, draws: SensorDraws, generator: torch.Generator, frame_rate: float = 60.0
) -> torch.Tensor:
    """`apply_sensors` for signals `(B, P, 6, T)`, time last; a new tensor of the same shape."""
    batch, placements, _, frames = clean.shape
    bias, density, walk, full_scale, step, gain = (
        getattr(draws, name).to(clean) for name in ("bias", "density", "walk", "full_scale", "step", "gain")
    )
    # in steps of each channel, and sums in place: passes over memory and the number of calls are what costs
    unit = 1 / step
    gain = (gain * unit[..., None]).flatten(0, 1)
    noisy = white_noise(
        (batch, 6 * placements, frames), generator, (density * unit).flatten(1) * (frame_rate / 2) ** 0.5
    )
    noisy = noisy.to(clean).view_as(clean)
    if bool(walk.any()):
        size = (walk * unit).flatten(1) / frame_rate**0.5
        noisy.flatten(1, 2).add_(random_walk((batch, 6 * placements, frames), generator, size).to(clean))
    noisy += (bias * unit)[..., None]
    if bool(draws.clock_offset.any() | draws.clock_drift.any() | draws.clock_jitter.any()):
        jitter = white_noise((batch, placements, frames), generator, draws.clock_jitter).to(clean)
        # one clock for all channels of a device, so that its gain may come first
        _add_resampled(noisy, (gain @ clean.flatten(0, 1)).view_as(clean), draws, jitter, frame_rate)
    else:
        noisy.flatten(0, 1).baddbmm_(gain, clean.flatten(0, 1))
    most = (full_scale * unit)[..., None]
    torch.minimum(torch.maximum(noisy.round_(), -most, out=noisy), most, out=noisy)
    return noisy.mul_(step[..., None])


# Drawing normal numbers costs more than all else of a view, so they are read out of one long sequence of them.
_BANK = 2**22


@cache
def _bank(walk: bool, device: torch.device) -> torch.Tensor:
    """Normal numbers drawn once, or the sum over others of them; read only."""
    drawn = torch.randn(_BANK, generator=torch.Generator().manual_seed(20_240_601 + walk))
    return (drawn.double().cumsum(0).float() if walk else drawn).to(device)


def _stretches(shape: tuple[int, int, int], generator: torch.Generator, walk: bool = False) -> torch.Tensor:
    """Normal numbers `(B, rows, T)`, or sums over time of others, each row of them from anywhere on.

    Each window takes a stretch of the bank from a random place on, its rows one behind the other. Rows of a window share
    no number. Two windows share some in one of 50 cases at 23 placements of 300 frames, shifted by a random time; with
    random signs their correlation is 0 on average.
    """
    batch, rows, frames = shape
    device, count = generator.device, rows * frames
    if count > _BANK // 4:  # windows would share too many
        drawn = torch.randn(shape, generator=generator, device=device)
        return drawn.cumsum(2) if walk else drawn
    places = torch.randint(_BANK - count + 1, (batch,), generator=generator, device=device)
    return _bank(walk, device).unfold(0, count, 1).index_select(0, places).view(shape)


def _signed(shape: tuple[int, int, int], size: torch.Tensor | None, generator: torch.Generator) -> torch.Tensor:
    """Size of each row `(B, rows, 1)` with a random sign."""
    sign = torch.randint(2, shape[:2], generator=generator, device=generator.device).mul_(2).sub_(1)
    return (sign.float() if size is None else sign * size)[..., None]


def white_noise(
    shape: tuple[int, int, int], generator: torch.Generator, size: torch.Tensor | None = None
) -> torch.Tensor:
    """Normal numbers `(B, rows, T)`, independent from frame to frame and row to row, times `size` `(B, rows)`."""
    return _stretches(shape, generator).mul_(_signed(shape, size, generator))


def random_walk(
    shape: tuple[int, int, int], generator: torch.Generator, size: torch.Tensor | None = None
) -> torch.Tensor:
    """Sums over time `(B, rows, T)` of normal numbers times `size` `(B, rows)`, 0 in the first frame."""
    walk = _stretches(shape, generator, walk=True)
    return walk.sub_(walk[..., :1].clone()).mul_(_signed(shape, size, generator))


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


def _add_resampled(
    out: torch.Tensor, clean: torch.Tensor, draws: SensorDraws, jitter: torch.Tensor, frame_rate: float
) -> None:
    """Adds `clean` `(B, P, 6, T)` at each device's own sample times to `out`; Catmull-Rom convolution between frames."""
    batch, placements, _, frames = clean.shape
    offset, drift = (getattr(draws, name).to(clean)[..., None] for name in ("clock_offset", "clock_drift"))
    count = torch.arange(frames, dtype=clean.dtype, device=clean.device)
    late = torch.addcmul(jitter + offset, count, drift / frame_rate).mul_(
        frame_rate
    )  # frames, beside the sample's own place
    first = late.amin(2).floor()  # of each device; what is left is little, so few neighbours are read
    late = late - first[..., None]
    taps = int(late.max()) + 4
    # the end frames are repeated, so that all taps are at hand
    margin = int(first.abs().max()) + taps
    ends = (clean[..., :1].expand(-1, -1, -1, margin), clean[..., -1:].expand(-1, -1, -1, margin))
    padded = torch.cat([ends[0], clean, ends[1]], dim=-1)
    length = padded.shape[-1]
    start = length * torch.arange(6 * batch * placements, device=clean.device).view(batch, placements, 6)
    start = start + (first.to(clean.device).long() + margin - 1)[..., None]
    span = frames + taps - 1
    rows = padded.as_strided((padded.numel() - span + 1, span), (1, 1)).index_select(0, start.flatten())
    rows = rows.view(batch, placements, 6, span)
    # weights of the taps are sums of powers of `late`, and of powers that begin at each frame it goes beyond
    beyond = [(late - frame).clamp_min_(0) for frame in range(1, taps - 3)]
    square = late * late
    powers = [torch.ones_like(late), late, square, square * late]
    powers += [power for part in beyond for power in (part * part, part * part * part)]
    table = torch.tensor(_tap_weights(taps), dtype=clean.dtype, device=clean.device)
    weights = (table @ torch.stack(powers).flatten(1)).view(taps, batch, placements, 1, frames)
    for tap, weight in enumerate(weights):
        out.addcmul_(rows[..., tap : tap + frames], weight)


# weights of Catmull-Rom interpolation for the frame before, at, after and two after, by powers 0 to 3 of what is beyond
_CATMULL_ROM = np.array([[0, -0.5, 1, -0.5], [1, 0, -2.5, 1.5], [0, 0.5, 2, -1.5], [0, 0, -0.5, 0.5]])


@cache
def _tap_weights(taps: int) -> list[list[float]]:
    """`(taps, 4 + 2 (taps - 4))`: weight of each tap by powers 0 to 3 of a lateness from 0 to `taps - 3` frames, and powers
    2 and 3 of its part beyond 1, 2, … frames; the interpolation has one derivative, so no lower power changes there."""
    result = np.zeros((taps, 4 + 2 * (taps - 4)))
    result[:4, :4] = _CATMULL_ROM
    one_later = np.array([[1, 1, 1, 1], [0, 1, 2, 3], [0, 0, 1, 3], [0, 0, 0, 1]]).T  # powers of x + 1 by powers of x
    for frame in range(1, taps - 3):
        change = np.zeros((taps, 4))
        change[frame : frame + 4] += _CATMULL_ROM
        change[frame - 1 : frame + 3] -= _CATMULL_ROM @ one_later
        result[:, 2 + 2 * frame : 4 + 2 * frame] = change[:, 2:]
    return result.tolist()
