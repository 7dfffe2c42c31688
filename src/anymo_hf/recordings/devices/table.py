"""A plain CSV file in: columns by name, units given, rate given or inferred from time stamps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..imu_recording import LONGEST_GAP, STANDARD_GRAVITY, ImuRecording, to_grid
from .device_format import DeviceFormat, ReadingOptions

ACCELERATION_UNITS = {"m/s^2": 1.0, "g": STANDARD_GRAVITY, "mg": STANDARD_GRAVITY / 1000}
ANGULAR_VELOCITY_UNITS = {"rad/s": 1.0, "deg/s": np.pi / 180}
CHANNEL_NAMES = (("acc_x", "ax", "accl_x", "accelerometer_x"), ("gyro_x", "gx", "gyr_x", "gyroscope_x"))
_TIME = ("time", "timestamp", "time_s", "seconds", "t", "unixtime", "timestamp_ms", "timestamp_ns")
_TIME_UNITS = (1.0, 1e-3, 1e-6, 1e-9)  # seconds
_RATE_TOLERANCE = 0.05


def find_channels(columns: list[str], names: tuple[str, ...]) -> list[str] | None:
    """The x, y and z columns that are called one of `names`, or None."""
    for name in names:
        triple = [name[:-1] + axis for axis in "xyz"]
        if set(triple) <= set(columns):
            return triple
    return None


def _read_times(column: pd.Series) -> tuple[np.ndarray, bool]:
    """Times `(T,)`, NaN where a cell holds none, and whether they were dates (then they are seconds)."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(float)
    if 2 * np.isfinite(numbers).sum() >= len(numbers):
        return numbers, False
    dates = pd.to_datetime(column, format="ISO8601", utc=True, errors="coerce")
    return (dates - dates.min()).dt.total_seconds().to_numpy(float), True


def _time_unit(step: float, dates: bool) -> float | None:
    """Seconds of one unit: a step of a millisecond or more in seconds, else the unit is ms, us or ns."""
    return next((unit for unit in _TIME_UNITS[: 1 if dates else None] if 1e-3 <= step * unit <= 0.2), None)


def _check_times(where: str, column: pd.Series, times: np.ndarray) -> None:
    """ValueError that names the first row whose time stamp is unreadable, goes back or repeats, and the mend."""
    if len(unreadable := np.flatnonzero(~np.isfinite(times))):
        cell = column.iloc[unreadable[0]]
        raise ValueError(
            f"{where}, row {unreadable[0] + 2}: {'an empty cell' if pd.isna(cell) else repr(str(cell))} is neither a "
            "number nor an ISO date-time such as 2024-05-01T12:30:00.020; repair or drop the row, or give rate="
        )
    steps = np.diff(times)
    for rows, fault, mend in (
        (steps < 0, "lies before", "sort the rows by time, or cut the file there if the clock was set anew"),
        (steps == 0, "repeats", "drop the double row, or give rate= if the clock is too coarse for single samples"),
    ):
        if rows.any():
            first = int(np.argmax(rows))
            raise ValueError(
                f"{where}, row {first + 3}: {column.iloc[first + 1]} {fault} {column.iloc[first]} of row {first + 2}; {mend}"
            )


def _even(where: str, column: pd.Series, values: np.ndarray) -> tuple[np.ndarray, float]:
    """Samples on an even grid and its rate, the one of the median step."""
    if len(column) < 2:
        raise ValueError(f"{where}: {len(column)} rows are no recording; at least one second is needed")
    times, dates = _read_times(column)
    _check_times(where, column, times)
    step = float(np.median(np.diff(times)))
    unit = _time_unit(step, dates)
    if unit is None:
        raise ValueError(f"{where}: a step of {step:g} is no known unit at 5 to 1,000 Hz; give rate=")
    times, rate = (times - times[0]) * unit, 1 / (step * unit)
    gaps = np.diff(times)
    if gaps.max() > LONGEST_GAP:
        row = int(np.argmax(gaps > LONGEST_GAP)) + 2
        raise ValueError(
            f"{where} pause for {gaps[row - 2]:.4g} s between rows {row} and {row + 1}; cut the file there, or give rate= "
            "if its samples are evenly spaced all the same"
        )
    return to_grid(times, values, np.arange(int(times[-1] * rate + 1e-6) + 1) / rate), rate


def _check_rate(where: str, times: np.ndarray, dates: bool, rate: float) -> None:
    """ValueError where neither the median nor the mean step fits `rate` in any unit; coarse clocks are let pass."""
    steps = np.diff(times[np.isfinite(times)])
    middle = np.median(steps) if len(steps) else 0.0
    if middle <= 0:
        return
    # the median is right where samples are lost, the mean where a coarse clock rounds or samples jitter
    mean = steps[(steps >= 0) & (steps <= 10 * middle)].mean()
    units = _TIME_UNITS[: 1 if dates else None]
    if not any(abs(step * unit * rate - 1) <= _RATE_TOLERANCE for step in (middle, mean) for unit in units):
        unit = _time_unit(middle, dates)
        found = f"rise by {middle:g}" if unit is None else f"say {1 / (middle * unit):.4g} Hz"
        raise ValueError(
            f"{where} {found}, rate= says {rate:g} Hz; correct rate= or leave it out, and rename the column if it holds "
            "no times"
        )


def read_csv(
    path: str | Path,
    placement: str,
    columns: Sequence[str] | None = None,
    acceleration_unit: str = "m/s^2",
    angular_velocity_unit: str = "rad/s",
    rate: float | None = None,
    time_column: str | None = None,
) -> ImuRecording:
    """One sensor's CSV.

    Args:
        path: file with a header row.
        placement: where the sensor was worn.
        columns: three acceleration columns, or those and three of angular velocity; common names are found alone.
        acceleration_unit: "m/s^2", "g" or "mg".
        angular_velocity_unit: "rad/s" or "deg/s".
        rate: Hz, of evenly spaced samples. Time stamps are then only asked whether they agree to 5 %. Without it they
            must be there, as ISO date-times or as numbers (seconds, ms, us or ns, judged by their size), and samples
            are interpolated onto an even grid.
        time_column: name of the time stamps.

    Raises:
        OSError: not a readable CSV.
        ValueError: missing columns, text or NaN in them, unknown units, no rate or an impossible one; time stamps that
            contradict `rate`, or without it are unreadable, repeat, run backward or pause for over a second.
    """
    path = Path(path)
    if rate is not None and not 1 <= rate <= 10_000:
        raise ValueError(f"rate must lie between 1 and 10,000 Hz, got {rate}")
    for field, unit, known in (
        ("acceleration_unit", acceleration_unit, ACCELERATION_UNITS),
        ("angular_velocity_unit", angular_velocity_unit, ANGULAR_VELOCITY_UNITS),
    ):
        if unit not in known:
            raise ValueError(f"{field} must be one of {', '.join(known)}, got {unit!r}")
    try:
        with warnings.catch_warnings():
            # a row longer than the header would otherwise shift every channel by one
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(path, index_col=False)
    except pd.errors.ParserWarning as error:
        raise ValueError(f"{path}: rows hold more values than the header names; mend the header line") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, FileNotFoundError) as error:
        raise OSError(f"{path}: not a readable CSV ({error})") from error
    table.columns = [str(name).strip() for name in table.columns]
    lowered = {name.lower(): name for name in table.columns}
    if columns is None:
        found = [find_channels(list(lowered), names) for names in CHANNEL_NAMES]
        if found[0] is None:
            raise ValueError(f"{path}: no acceleration columns such as acc_x, acc_y, acc_z among {list(table.columns)}")
        columns = [lowered[name] for triple in found if triple for name in triple]
    missing = [name for name in columns if name not in table.columns]
    if missing or len(columns) not in (3, 6):
        raise ValueError(f"{path}: need 3 or 6 columns; {missing or list(columns)} do not fit {list(table.columns)}")
    values = table[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(float, copy=True)
    broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(broken):
        raise ValueError(f"{path}: row {broken[0] + 2} holds no finite number in {list(columns)}; repair or drop it")
    values[:, :3] *= ACCELERATION_UNITS[acceleration_unit]
    values[:, 3:] *= ANGULAR_VELOCITY_UNITS[angular_velocity_unit]
    clock = time_column or next((lowered[name] for name in _TIME if name in lowered), None)
    if clock is not None and clock not in table.columns:
        raise ValueError(f"{path}: time_column {clock!r} is not among {list(table.columns)}")
    if rate is None:
        if clock is None:
            raise ValueError(f"{path}: give rate=, or time stamps in a column such as {', '.join(_TIME[:4])}")
        values, rate = _even(f"{path}: time stamps in {clock!r}", table[clock], values)
    elif clock is not None:
        _check_rate(f"{path}: time stamps in {clock!r}", *_read_times(table[clock]), rate)
    return ImuRecording({placement: values}, float(rate), session=path.stem, dataset="csv")


def _read(path: Path, placement: str, options: ReadingOptions) -> ImuRecording:
    return read_csv(
        path, placement, options.columns, options.acceleration_unit or "m/s^2",
        options.angular_velocity_unit or "rad/s", options.rate, options.time_column,
    )  # fmt: skip


FORMAT = DeviceFormat("table", "a plain table", lambda path, lines: bool(lines), _read)
