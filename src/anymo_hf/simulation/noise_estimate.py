"""Hardware-style noise priors of real devices, from the quiet windows of their recordings (paper §3.1, A.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import comb

import numpy as np

from .sensor_noise import NoiseModel

QUIET_SHARE = 0.1  # of all windows, the stillest
SHORTEST_STILL = 30.0  # seconds of stillness below which no bias instability is given
_MOVING = 3.0  # a second moves if it spreads more than this times the quiet windows
_COLOURED = (
    1.25  # white noise reads the same from first and third differences; this much more from first ones is motion
)


@dataclass(frozen=True)
class NoiseEstimate:
    """What quiet windows tell of one placement's device; gyroscope fields are None where there is none.

    Args:
        sampling_rate: Hz.
        quiet_seconds: length of the windows that were used.
        longest_still: seconds of the longest unbroken still stretch.
        motion_left: rad/s (m/s² without a gyroscope), spread of slow motion within the quiet windows.
        still: whether the quiet windows hold white noise and no more; else the wearer moved, densities are upper bounds,
            and no bias instability is given.
        acc_density, gyro_density: white noise, m/s² and rad/s per √Hz, root mean square over the three axes.
        acc_instability, gyro_instability: least Allan deviation over 0.664, m/s² and rad/s, the stablest axis; None
            unless a still stretch lasts `SHORTEST_STILL` and the least value is not that of the longest time.
        acc_step, gyro_step: quantisation step, m/s² and rad/s; None where values follow no grid.
        acc_range, gyro_range: largest absolute reading seen, m/s² and rad/s.
    """

    sampling_rate: float
    quiet_seconds: float
    longest_still: float
    motion_left: float
    still: bool
    acc_density: float
    gyro_density: float | None
    acc_instability: float | None
    gyro_instability: float | None
    acc_step: float | None
    gyro_step: float | None
    acc_range: float
    gyro_range: float | None

    def model(self, **chosen: float) -> NoiseModel:
        """The estimated densities as a `NoiseModel`; `chosen` sets the sizes that still windows cannot tell.

        Raises:
            ValueError: there was no gyroscope and `chosen` names no `gyro_density`.
        """
        if self.gyro_density is None and "gyro_density" not in chosen:
            raise ValueError("the recordings hold no gyroscope; give gyro_density=")
        return NoiseModel(**{"acc_density": self.acc_density, "gyro_density": self.gyro_density, **chosen})


def estimate_noise(
    signals: Iterable[np.ndarray] | np.ndarray, sampling_rate: float, window_seconds: float = 0.5
) -> NoiseEstimate:
    """Noise priors of one device.

    The stillest tenth of the windows is used. Their third differences hold white noise (over √20 it is the noise of one
    sample) and next to nothing of slow motion. Stillness is judged by the other sensor, since windows picked by their own
    spread would read too low. A device that low-passes before it samples, or samples that a reader interpolated, read
    lower than the part's data sheet; a wearer who trembles reads higher.

    Args:
        signals: `(T, 6)` or `(T, 3)` arrays m/s² and rad/s of one placement, one array for each unbroken recording.
        sampling_rate: Hz.
        window_seconds: length of the windows that are compared for stillness.

    Raises:
        ValueError: a wrong shape, unequal columns, or fewer than 10 windows.
    """
    parts = [signals] if isinstance(signals, np.ndarray) else list(signals)
    parts = [np.asarray(part, dtype=np.float64) for part in parts]
    columns = {part.shape[1:] for part in parts}
    if any(part.ndim != 2 for part in parts) or len(columns) != 1 or columns not in ({(3,)}, {(6,)}):
        raise ValueError(f"signals must all be (T, 6) or all (T, 3), got {[part.shape for part in parts][:5]}")
    length = max(int(round(window_seconds * sampling_rate)), 8)
    windows = np.concatenate(
        [part[: len(part) // length * length].reshape(-1, length, part.shape[1]) for part in parts]
    )
    if len(windows) < 10:
        raise ValueError(
            f"signal has {len(windows)} windows of {window_seconds:g} s; 10 or more are needed to find quiet ones"
        )
    six = windows.shape[2] == 6
    acc, gyro = windows[..., :3], windows[..., 3:]
    few = max(int(QUIET_SHARE * len(windows)), 1)
    # Without a gyroscope a window's own slow part must do.
    acc_quiet = np.argsort(_slow_spread(gyro if six else acc), kind="stable")[:few]
    gyro_quiet = np.argsort(_slow_spread(acc), kind="stable")[:few]
    acc_density = _density(acc[acc_quiet], sampling_rate)
    gyro_density = _density(gyro[gyro_quiet], sampling_rate) if six else None
    motion_left = float(np.median(_slow_spread(windows[acc_quiet][..., -3:])))
    last = gyro[gyro_quiet] if six else acc[acc_quiet]
    still = _density(last, sampling_rate, order=1) <= _COLOURED * _density(last, sampling_rate)
    stretch = _longest_still(parts, sampling_rate, _MOVING * motion_left)
    unmoved = stretch if still else stretch[:0]
    return NoiseEstimate(
        sampling_rate=float(sampling_rate),
        quiet_seconds=few * length / sampling_rate,
        longest_still=len(stretch) / sampling_rate,
        motion_left=motion_left,
        still=still,
        acc_density=acc_density,
        gyro_density=gyro_density,
        acc_instability=bias_instability(unmoved[:, :3], sampling_rate),
        gyro_instability=bias_instability(unmoved[:, 3:], sampling_rate) if six else None,
        acc_step=_common_step([part[:, :3] for part in parts]),
        gyro_step=_common_step([part[:, 3:] for part in parts]) if six else None,
        acc_range=float(max(np.abs(part[:, :3]).max() for part in parts if len(part))),
        gyro_range=float(max(np.abs(part[:, 3:]).max() for part in parts if len(part))) if six else None,
    )


def allan_deviation(signal: np.ndarray, sampling_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping Allan deviation of a still stream at averaging times of 1, 2, 4, … samples, up to a fifth of it.

    Args:
        signal: `(T, C)`.
        sampling_rate: Hz.

    Returns:
        `(K,)` averaging times in s and `(K, C)` deviations in the signal's unit.

    Raises:
        ValueError: fewer than 10 samples.
    """
    signal = np.asarray(signal, dtype=np.float64)
    if signal.ndim != 2 or len(signal) < 10:
        raise ValueError(f"signal must be (T, C) with 10 samples or more, got {signal.shape}")
    sizes = 2 ** np.arange(int(np.log2(len(signal) // 5)) + 1)
    total = np.concatenate([np.zeros((1, signal.shape[1])), np.cumsum(signal - signal.mean(axis=0), axis=0)])
    deviations = []
    for size in sizes:
        means = (total[size:] - total[:-size]) / size
        deviations.append(np.sqrt(0.5 * np.mean((means[size:] - means[:-size]) ** 2, axis=0)))
    return sizes / sampling_rate, np.stack(deviations)


def bias_instability(signal: np.ndarray, sampling_rate: float) -> float | None:
    """Least Allan deviation over 0.664 of the stablest axis; None where the stretch is too short to show it.

    Args:
        signal: `(T, C)` of a still device.
        sampling_rate: Hz.
    """
    if len(signal) < max(SHORTEST_STILL * sampling_rate, 10):
        return None
    _, deviation = allan_deviation(signal, sampling_rate)
    least = deviation.argmin(axis=0)
    seen = (least < len(deviation) - 1) & (deviation.min(axis=0) > 0)
    return float(deviation.min(axis=0)[seen].min() / 0.664) if seen.any() else None


def quantisation_step(values: np.ndarray) -> float | None:
    """The grid on which `(T,)` values lie, or None if they lie on none.

    The step is the smallest usual gap between different values; nearly all small gaps must be whole multiples of it.
    """
    levels = np.unique(values)
    gaps = np.diff(levels)
    # what text or float32 rounding puts between two equal readings
    gaps = gaps[gaps > 1e-6 * max(np.abs(levels).max(), 1e-12)] if len(gaps) else gaps
    if len(gaps) < 20:
        return None
    least = np.quantile(gaps, 0.02)
    step = float(np.median(gaps[(gaps > 0.75 * least) & (gaps < 1.5 * least)]))
    ratio = gaps[gaps < 20 * step] / step
    return step if np.mean(np.abs(ratio - ratio.round()) < 0.1) > 0.95 else None


def _slow_spread(windows: np.ndarray) -> np.ndarray:
    """Motion in each window `(N, T, 3)`: spread of the means of its quarters, which white noise hardly touches."""
    quarter = windows.shape[1] // 4
    means = windows[:, : 4 * quarter].reshape(len(windows), 4, quarter, -1).mean(axis=2)
    return np.sqrt(means.var(axis=1).sum(axis=-1))


def _density(windows: np.ndarray, rate: float, order: int = 3) -> float:
    """White noise per √Hz: root mean square over axes of the median over windows, from differences of this order."""
    # the squared weights of a third difference, 1, 3, 3, 1, add up to 20
    variance = (np.diff(windows, n=order, axis=1) ** 2).mean(axis=1) / comb(2 * order, order)
    return float(np.sqrt(np.median(variance, axis=0).mean() / (rate / 2)))


def _longest_still(parts: list[np.ndarray], rate: float, limit: float) -> np.ndarray:
    """The longest stretch `(T, C)` of one part in which every second of the last three columns spreads below `limit`."""
    second = max(int(round(rate)), 8)
    longest = parts[0][:0]
    for part in parts:
        count = len(part) // second
        still = _slow_spread(part[: count * second, -3:].reshape(count, second, 3)) <= limit if count else np.zeros(0)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], still.astype(int), [0]])))
        for start, stop in zip(edges[::2] * second, edges[1::2] * second, strict=True):
            if stop - start > len(longest):
                longest = part[start:stop]
    return longest


def _common_step(parts: list[np.ndarray]) -> float | None:
    """Step of the three axes together: the median of those that have one, if at least two do."""
    values = np.concatenate(parts)[:500_000]
    steps = [step for step in (quantisation_step(values[:, axis]) for axis in range(3)) if step is not None]
    return float(np.median(steps)) if len(steps) >= 2 else None
