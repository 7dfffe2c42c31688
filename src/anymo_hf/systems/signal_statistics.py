"""Plain statistics of IMU windows: the features of the forest and of `AnyMoClassifier`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BANDS = (0.3, 1, 2, 3, 5, 10, 20)  # Hz; the lower edges
PERCENTILES = (5, 25, 50, 75, 95)
_CHANNELS = 11  # six of the device, five that do not change as the device turns
_BLOCKS = 2 + len(PERCENTILES) + len(BANDS) + 1
_PAIRS = np.triu_indices(6, 1)


def signal_statistics(windows: np.ndarray | Sequence[np.ndarray], sampling_rate: float) -> np.ndarray:
    """Statistics `(n, 180)` of one sensor's windows.

    Of the six channels, of both lengths, and of acceleration along and across gravity and turning about it: mean, standard
    deviation, five percentiles, logarithmic energy in bands, the strongest frequency. And the correlations of the channels.
    Gravity is taken as the window's mean acceleration.

    Args:
        windows: `(n, T, 6)`, or n arrays `(T, 6)` of any lengths: m/s^2 with gravity, then rad/s, in the device's frame.
        sampling_rate: Hz.

    Raises:
        ValueError: a window that is not `(T, 6)`, or with under two samples.
    """
    lengths = np.array([len(window) for window in windows])
    out = np.empty((len(lengths), statistics_count()))
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        out[rows] = _of_one_length(np.stack([np.asarray(windows[row], dtype=float) for row in rows]), sampling_rate)
    return out


def statistics_count() -> int:
    """How many statistics a sensor has."""
    return _CHANNELS * _BLOCKS + len(_PAIRS[0])


def invariant_columns() -> np.ndarray:
    """Which of the columns stay the same however the device is turned on the body, `(180,)` bool."""
    of_block = np.arange(_CHANNELS) >= 6
    return np.concatenate([np.tile(of_block, _BLOCKS), np.zeros(len(_PAIRS[0]), dtype=bool)])


def slow_columns(frequency: float) -> np.ndarray:
    """Which of the columns are not energies of bands from `frequency` in Hz on, `(180,)` bool."""
    fast = [False] * (2 + len(PERCENTILES)) + [band >= frequency for band in BANDS] + [False]
    return np.concatenate([~np.repeat(fast, _CHANNELS), np.ones(len(_PAIRS[0]), dtype=bool)])


def _of_one_length(signals: np.ndarray, rate: float) -> np.ndarray:
    if signals.ndim != 3 or signals.shape[2] != 6 or signals.shape[1] < 2:
        raise ValueError(f"windows must be (n, T, 6) with two samples or more, got {signals.shape}")
    force, turn = signals[..., :3], signals[..., 3:]
    mean = force.mean(1, keepdims=True)
    up = mean / np.maximum(np.linalg.norm(mean, axis=2, keepdims=True), 1e-9)
    along = (force * up).sum(2)
    derived = (
        np.linalg.norm(force, axis=2),
        np.linalg.norm(turn, axis=2),
        along,
        np.linalg.norm(force - along[..., None] * up, axis=2),
        (turn * up).sum(2),
    )
    channels = np.concatenate([signals, np.stack(derived, 2)], 2)
    count = channels.shape[1]
    centred = channels - channels.mean(1, keepdims=True)
    power = np.abs(np.fft.rfft(centred * np.hanning(count)[:, None], axis=1)) ** 2 / count
    frequency = np.fft.rfftfreq(count, 1 / rate)
    edges = [*np.searchsorted(frequency, BANDS), len(frequency)]
    # from 0.3 Hz on in bands; a band above half the rate is empty
    energy = [np.log(power[:, low:high].sum(1) + 1e-6) for low, high in zip(edges, edges[1:], strict=False)]
    spread = channels.std(1)
    scaled = centred[..., :6] / np.maximum(spread[:, None, :6], 1e-9)
    correlation = np.einsum("ntc,ntd->ncd", scaled, scaled)[:, _PAIRS[0], _PAIRS[1]] / count
    percentiles = np.percentile(channels, PERCENTILES, axis=1)
    return np.concatenate(
        [channels.mean(1), spread, *percentiles, *energy, frequency[power.argmax(1)], correlation], axis=1
    )
