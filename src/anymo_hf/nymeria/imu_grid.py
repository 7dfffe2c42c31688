"""The real IMU of head and wrists on one grid of 60 Hz, for all recordings and both IMUs of a device.

Frame `k` is at TIME_CODE `k * STEP_NS`. A stream is low-passed at its own rate by the one filter of `modeling/imu_signal.py`
and then read on the grid by a cubic spline; "nearest" takes the nearest sample instead, as the official exporter does, and
folds what lies above 30 Hz back. Where a stream pauses for over `LONGEST_PAUSE`, and beyond its ends, signals are NaN.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

from ..atomic_write import replacing
from ..modeling.imu_signal import low_pass
from .imu import DEVICES, find_vrs, read_nymeria_imu

STEP_NS = round(1e9 / 60)
LONGEST_PAUSE = 0.1  # seconds
WINDOW = 300  # steps
RESAMPLING = ("anti_aliased", "nearest")


@dataclass(frozen=True)
class SessionSignals:
    """`(T, 18)` float32 of head, left and right wrist (acceleration m/s^2, angular velocity rad/s); NaN where no data.

    `first` is the grid frame of row 0.
    """

    first: int
    signals: np.ndarray

    def window(self, first: int, count: int) -> np.ndarray:
        """`(count, 18)` of the grid frames from `first` on; the caller has checked that they are held."""
        return self.signals[first - self.first : first - self.first + count]


def cut_window(count: int, longest: int = WINDOW) -> list[tuple[int, int]]:
    """Offset and length of the pieces of a window: whole up to `longest`, else non-overlapping, the tail dropped."""
    if count <= longest:
        return [(0, count)] if count > 0 else []
    return [(offset, longest) for offset in range(0, count - longest + 1, longest)]


def has_signals(folder: str | Path) -> bool:
    """Whether a sequence has a VRS file for the head and both wrists."""
    return all(find_vrs(folder, device) is not None for device in DEVICES)


def read_signals(
    folder: str | Path, stream: str = "1202-1", resampling: str = "anti_aliased", cache: str | Path | None = None
) -> SessionSignals:
    """Head, left and right wrist of a sequence on the 60 Hz grid, over the span that any device covers.

    Args:
        folder: the sequence.
        stream: "1202-1" or "1202-2" of every device.
        resampling: "anti_aliased" or "nearest".
        cache: folder in which the result is kept; a changed VRS file is read again.

    Raises:
        ImportError: no package that reads VRS.
        OSError: a device's recording is missing.
        ValueError: a stream is missing or cannot be trusted, or an unknown option.
    """
    folder = Path(folder)
    if resampling not in RESAMPLING:
        raise ValueError(f"resampling must be one of {', '.join(RESAMPLING)}, got {resampling!r}")
    kept = None
    if cache is not None:
        files = [find_vrs(folder, device) for device in DEVICES]
        facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files if path is not None]
        key = hashlib.sha256(repr((stream, resampling, facts)).encode()).hexdigest()[:12]
        kept = Path(cache) / f"{folder.name}.{stream}.{key}.npz"
        if kept.is_file():
            with np.load(kept, allow_pickle=False) as file:
                return SessionSignals(int(file["first"]), file["signals"])
    streams = [read_nymeria_imu(folder, device, stream) for device in DEVICES]
    first = min(int(np.ceil(imu.time[0] * 1e9 / STEP_NS)) for imu in streams)
    last = max(int(imu.time[-1] * 1e9 / STEP_NS) for imu in streams)
    grid = np.arange(first, last + 1) * (STEP_NS * 1e-9)
    parts = [to_60_hz(imu.time, imu.signals, grid, resampling) for imu in streams]
    result = SessionSignals(first, np.concatenate(parts, axis=1).astype(np.float32))
    if kept is not None:
        with replacing(kept) as draft, draft.open("wb") as file:
            np.savez(file, first=first, signals=result.signals)
    return result


def to_60_hz(time: np.ndarray, values: np.ndarray, grid: np.ndarray, resampling: str = "anti_aliased") -> np.ndarray:
    """`(T, C)` samples at rising `time` `(T,)` seconds, read at `grid` `(N,)`; NaN in pauses and beyond the ends."""
    out = np.full((len(grid), values.shape[1]), np.nan)
    breaks = np.flatnonzero(np.diff(time) > LONGEST_PAUSE) + 1
    for begin, end in zip(np.r_[0, breaks], np.r_[breaks, len(time)], strict=True):
        clock, signal = time[begin:end], values[begin:end]
        # half a step of slack: the nearest sample of a grid time may lie just inside
        slack = 0.5 * STEP_NS * 1e-9 if resampling == "nearest" else 1e-9
        inside = (grid >= clock[0] - slack) & (grid <= clock[-1] + slack)
        if len(clock) < 4 or not inside.any():
            continue
        if resampling == "nearest":
            right = np.clip(np.searchsorted(clock, grid[inside]), 1, len(clock) - 1)
            nearer = grid[inside] - clock[right - 1] <= clock[right] - grid[inside]
            out[inside] = signal[right - nearer]
            continue
        rate = (len(clock) - 1) / (clock[-1] - clock[0])
        out[inside] = CubicSpline(clock, low_pass(signal, rate))(np.clip(grid[inside], clock[0], clock[-1]))
    return out


def signals_by_device(window: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """`(device, (T, 6))` of a `(T, 18)` window."""
    for index, device in enumerate(DEVICES):
        yield device, window[:, 6 * index : 6 * index + 6]
