"""`ImuRecording`: what every reader gives, one labelled stretch of one person's sensors in SI units."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..modeling.windows import consecutive_spans
from ..refusals import LARGEST_VALUE

STANDARD_GRAVITY = 9.80665
LONGEST_GAP = 1.0  # seconds without a sample; over a longer one no reader interpolates


@dataclass
class ImuRecording:
    """A labelled stretch of IMU data.

    Args:
        signals: placement name -> `(T, 6)` acceleration m/s^2 (gravity included) and angular velocity rad/s, in the
            sensor's own frame; all placements share the clock and `T`. Three columns where there is no gyroscope.
        sampling_rate: Hz.
        label: the class text (paper Table 9), or None where unlabelled.
        label_id: the id in the original documents.
        subject, session: who and which sitting, for splits.
        dataset: the reader's name.
        start_time: seconds on the source's own clock at the first sample; 0 where the source tells no time.
        source: the file or folder it was read from.

    Raises:
        ValueError: no placement, wrong shape, unequal lengths,
            samples that are not finite or that no sensor reads, or an impossible rate.
    """

    signals: dict[str, np.ndarray]
    sampling_rate: float
    label: str | None = None
    label_id: int | None = None
    subject: str = ""
    session: str = ""
    dataset: str = ""
    start_time: float = 0.0
    source: str = ""

    def __post_init__(self) -> None:
        where = f"{self.dataset or 'recording'} subject {self.subject!r} session {self.session!r}"
        where = f"{self.source}: {where}" if self.source else where
        if not self.signals:
            raise ValueError(f"{where}: no placement holds a signal")
        if not 1 <= self.sampling_rate <= 10_000:
            raise ValueError(f"{where}: sampling_rate must lie between 1 and 10,000 Hz, got {self.sampling_rate}")
        lengths = {name: np.shape(signal) for name, signal in self.signals.items()}
        for name, shape in lengths.items():
            if len(shape) != 2 or shape[1] not in (3, 6):
                raise ValueError(f"{where}: signal {name!r} must be (T, 6) or (T, 3), got {shape}")
            if not np.isfinite(self.signals[name]).all():
                raise ValueError(f"{where}: signal {name!r} holds NaN or infinite samples; interpolate or drop them")
            if np.size(self.signals[name]) and np.abs(self.signals[name]).max() > LARGEST_VALUE:
                top = np.abs(self.signals[name]).max()
                raise ValueError(
                    f"{where}: signal {name!r} reaches {top:.3g}, which no sensor reads; remove those samples, or fetch the "
                    "file again"
                )
        if len({shape[0] for shape in lengths.values()}) > 1:
            raise ValueError(f"{where}: placements differ in length: {lengths}")

    def windows(self, seconds: float, shortest: float | None = None) -> Iterator[ImuRecording]:
        """Non-overlapping windows of `seconds`; the tail is kept from `shortest` seconds on (default: dropped)."""
        size = int(round(seconds * self.sampling_rate))
        length = len(next(iter(self.signals.values())))
        least = size if shortest is None else int(round(shortest * self.sampling_rate))
        for start, end in consecutive_spans(length, size, least):
            cut = {name: signal[start:end] for name, signal in self.signals.items()}
            yield replace(self, signals=cut, start_time=self.start_time + start / self.sampling_rate)


def require_files(paths: list[Path], folder: str | Path, pattern: str, dataset: str) -> list[Path]:
    """The paths, or OSError that says what was looked for."""
    if not paths:
        raise OSError(f"{folder}: no {pattern} found; point to the folder into which {dataset} was unpacked")
    return paths


def natural_key(path: Path) -> list:
    """Sort key that puts a2 before a10."""
    import re

    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(path))]


def to_grid(times: np.ndarray, values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Linear interpolation of `values` `(T, C)` at `times` onto `grid`."""
    return np.stack([np.interp(grid, times, values[:, c]) for c in range(values.shape[1])], axis=1)


def unbroken_spans(*clocks: np.ndarray, longest: float = LONGEST_GAP) -> list[tuple[float, float]]:
    """First and last second of every stretch in which no clock pauses for over `longest` seconds.

    Args:
        clocks: rising time stamps `(T,)` in seconds, one array for each sensor; none empty.
        longest: seconds.
    """
    spans = [(-np.inf, np.inf)]
    for clock in clocks:
        breaks = np.flatnonzero(np.diff(clock) > longest)
        runs = list(zip(clock[np.r_[0, breaks + 1]], clock[np.r_[breaks, len(clock) - 1]], strict=True))
        both, i, j = [], 0, 0
        while i < len(spans) and j < len(runs):
            first, last = max(spans[i][0], runs[j][0]), min(spans[i][1], runs[j][1])
            if first < last:
                both.append((float(first), float(last)))
            if spans[i][1] < runs[j][1]:
                i += 1
            else:
                j += 1
        spans = both
    return spans
