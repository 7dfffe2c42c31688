"""Sensor noise: hardware-style priors of real IMUs, drawn per placement and added to clean signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
import torch

STANDARD_GRAVITY = 9.80665


@dataclass(frozen=True)
class NoiseModel:
    """Error sizes of one kind of device (paper §3.1 "hardware-style noise priors", A.2).

    Args:
        acc_density: accelerometer white noise, m/s² per √Hz.
        gyro_density: gyroscope white noise, rad/s per √Hz.
        acc_bias: standard deviation of the constant accelerometer bias per axis, m/s².
        gyro_bias: standard deviation of the constant gyroscope bias per axis, rad/s.
        acc_drift: standard deviation of the bias change over one minute, m/s².
        gyro_drift: the same for the gyroscope, rad/s.
        scale: standard deviation of the relative scale error per axis.
        acc_range: full scale, m/s²; readings beyond it saturate.
        gyro_range: full scale, rad/s.
        bits: word length over the full range; sets the quantisation step.
    """

    acc_density: float
    gyro_density: float
    acc_bias: float = 0.0
    gyro_bias: float = 0.0
    acc_drift: float = 0.0
    gyro_drift: float = 0.0
    scale: float = 0.0
    acc_range: float = 16 * STANDARD_GRAVITY
    gyro_range: float = 34.9
    bits: int = 16

    def __post_init__(self) -> None:
        for name in (item.name for item in fields(self)):
            value = getattr(self, name)
            if not np.isfinite(value) or value < 0:
                raise ValueError(f"NoiseModel.{name} must be a finite number of at least 0, got {value}")
        if self.acc_range == 0 or self.gyro_range == 0 or self.bits < 2:
            raise ValueError("NoiseModel needs acc_range > 0, gyro_range > 0 and bits >= 2")


# Orders of magnitude for consumer MEMS parts, chosen here and not fitted to any device; white noise is raised where the
# signal usually reaches a user after coarse on-device processing (watch).
PRESETS: dict[str, NoiseModel] = {
    "phone": NoiseModel(4.0e-3, 1.5e-4, 0.20, 0.010, 0.010, 0.0010, 0.010, acc_range=8 * STANDARD_GRAVITY),
    "watch": NoiseModel(4.0e-3, 2.0e-4, 0.15, 0.015, 0.015, 0.0015, 0.010),
    "glasses": NoiseModel(1.5e-3, 1.5e-4, 0.10, 0.008, 0.008, 0.0008, 0.005, acc_range=8 * STANDARD_GRAVITY),
    "research": NoiseModel(0.8e-3, 1.2e-4, 0.03, 0.003, 0.003, 0.0003, 0.002),
}


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


def add_noise(
    signals: torch.Tensor,
    models: Sequence[str | NoiseModel],
    generator: torch.Generator,
    frame_rate: float = 60.0,
) -> torch.Tensor:
    """Give every placement of every window one device at random and add that device's errors.

    Order: scale error, bias, linear drift of the bias (a random walk is near a line over seconds), white noise
    of bandwidth `frame_rate / 2`, saturation, quantisation.

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
    chosen_from = noise_models(models)
    if not chosen_from:
        raise ValueError("models is empty; name at least one noise preset")
    if signals.ndim != 4 or signals.shape[-1] != 6:
        raise ValueError(f"signals must be (B, T, P, 6), got {tuple(signals.shape)}")
    batch, frames, placements, _ = signals.shape

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, device=generator.device).to(signals)

    table = torch.tensor([astuple(model) for model in chosen_from], dtype=signals.dtype, device=signals.device)
    pick = torch.randint(len(table), (batch, placements), generator=generator, device=generator.device)
    device = table[pick.to(signals.device)][:, None]  # (B, 1, P, fields)

    def six(field: int) -> torch.Tensor:
        return device[..., field : field + 2].repeat_interleave(3, dim=-1)

    white, bias, drift, full_scale = six(0) * (frame_rate / 2) ** 0.5, six(2), six(4), six(7)
    scale, bits = device[..., 6:7], device[..., 9:10]
    shape = (batch, 1, placements, 6)
    minutes = (torch.arange(frames, dtype=signals.dtype, device=signals.device) / (60.0 * frame_rate))[:, None, None]
    noisy = signals * (1 + scale * normal(*shape)) + bias * normal(*shape)
    # The walk grows with the square root of time; over one window the line to its end stands in for it.
    window = max((frames - 1) / (60.0 * frame_rate), 1e-6)
    noisy += drift * normal(*shape) * (minutes / window**0.5)
    noisy += white * normal(batch, frames, placements, 6)
    step = 2 * full_scale / 2**bits
    noisy = torch.minimum(torch.maximum(noisy, -full_scale), full_scale)
    return torch.round_(noisy / step).mul_(step)


def estimate_noise(signal: np.ndarray, frame_rate: float, window_seconds: float = 0.5) -> NoiseModel:
    """White-noise densities of a real stream, from its quietest tenth of windows (paper A.2).

    The frame-to-frame difference of a still sensor is white noise only, so its standard deviation over √2 is
    the noise of one sample. Bias and scale cannot be told from such a stream and stay 0.

    Args:
        signal: `(T, 6)` acceleration m/s² and angular velocity rad/s.
        frame_rate: Hz.
        window_seconds: length of the windows that are compared for stillness.

    Raises:
        ValueError: a wrong shape, or fewer than 10 windows.
    """
    signal = np.asarray(signal, dtype=np.float64)
    if signal.ndim != 2 or signal.shape[1] != 6:
        raise ValueError(f"signal must be (T, 6), got {signal.shape}")
    length = max(int(round(window_seconds * frame_rate)), 4)
    count = len(signal) // length
    if count < 10:
        raise ValueError(
            f"signal has {count} windows of {window_seconds:g} s; 10 or more are needed to find quiet ones"
        )
    windows = signal[: count * length].reshape(count, length, 6)
    # Each sensor's quiet windows are found with the other one: picking by its own spread would read too low.
    few = max(count // 10, 1)
    acc_quiet = np.argsort(windows[..., 3:].var(axis=1).sum(axis=-1))[:few]
    gyro_quiet = np.argsort(windows[..., :3].var(axis=1).sum(axis=-1))[:few]
    quiet = np.concatenate([windows[acc_quiet][..., :3], windows[gyro_quiet][..., 3:]], axis=-1)
    spread = np.diff(quiet, axis=1).std(axis=1) / 2**0.5
    density = np.median(spread, axis=0) / (frame_rate / 2) ** 0.5
    return NoiseModel(acc_density=float(density[:3].mean()), gyro_density=float(density[3:].mean()))
