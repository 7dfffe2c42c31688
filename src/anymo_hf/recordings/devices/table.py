"""A plain CSV file in: columns by name, units given, rate given or inferred from time stamps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..imu_recording import LONGEST_GAP, STANDARD_GRAVITY, ImuRecording, to_grid
from .device_format import DeviceFormat, ReadingOptions
from .table_layout import TableLayout, find_layout, find_time_column, find_triples

ACCELERATION_UNITS = {"m/s^2": 1.0, "g": STANDARD_GRAVITY, "mg": STANDARD_GRAVITY / 1000}
ANGULAR_VELOCITY_UNITS = {"rad/s": 1.0, "deg/s": np.pi / 180}
CHANNEL_NAMES = (("acc_x", "ax", "accl_x", "accelerometer_x"), ("gyro_x", "gx", "gyr_x", "gyroscope_x"))
_TIME = ("time", "timestamp", "time_s", "seconds", "t", "unixtime", "timestamp_ms", "timestamp_ns")
_TIME_UNITS = (1.0, 1e-3, 1e-6, 1e-9)  # seconds
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
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
    text = column.astype(str).str.replace(r"\s*\[[^\]]*\]$", "", regex=True)  # the zone's name behind its offset
    dates = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    if 2 * dates.notna().sum() < len(dates):
        dates = _slashed_dates(text)
    return (dates - dates.min()).dt.total_seconds().to_numpy(float), True


def _slashed_dates(text: pd.Series) -> pd.Series:
    """Dates such as 11/12/2020 17:41:40.000; NaT where they are none.

    Raises:
        ValueError: day and month could be either, and it matters.
    """
    readings = []
    for order in ("%d/%m/%Y", "%m/%d/%Y"):
        for seconds in ("%H:%M:%S.%f", "%H:%M:%S"):
            dates = pd.to_datetime(text, format=f"{order} {seconds}", utc=True, errors="coerce")
            if dates.notna().all():
                readings.append(dates)
                break
    if len(readings) == 2:
        first, second = readings
        if not np.array_equal((first - first.iloc[0]).to_numpy(), (second - second.iloc[0]).to_numpy()):
            raise ValueError(
                f"{text.iloc[0]!r} may be {first.iloc[0]:%d %B} or {second.iloc[0]:%d %B}; write dates as 2020-12-31"
            )
    return readings[0] if readings else pd.to_datetime(pd.Series(pd.NaT, index=text.index), utc=True)


def _unwrapped(times: np.ndarray) -> np.ndarray:
    """Counter readings that go on where the counter of 16 or 32 bits began anew."""
    for bits in (16, 32):
        back = np.diff(times, prepend=times[:1]) < -0.9 * 2.0**bits
        if back.any() and np.nanmax(times) < 2.0**bits:
            return times + 2.0**bits * np.cumsum(back)
    return times


def _burst_step(times: np.ndarray) -> float | None:
    """Mean step where samples arrive in packets of one size, stamped nearly at once; None where they do not."""
    steps = np.diff(times)
    if len(steps) < 8 or not np.isfinite(steps).all():
        return None
    starts = np.flatnonzero(steps > 5 * max(float(np.median(steps)), 0.0)) + 1
    sizes, periods = np.diff(starts), np.diff(times[starts])
    if len(sizes) < 4 or not 2 <= np.median(sizes) <= 64 or np.mean(sizes == np.median(sizes)) < 0.8:
        return None
    return float(np.median(periods) / np.median(sizes)) if np.median(periods) > 0 else None


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


def _even(where: str, column: pd.Series, values: np.ndarray, unit: float | None = None) -> tuple[np.ndarray, float]:
    """Samples on an even grid and its rate, by the mean of the steps that lost no sample; `unit`: seconds, if known."""
    if len(column) < 2:
        raise ValueError(f"{where}: {len(column)} rows are no recording; at least one second is needed")
    times, dates = _read_times(column)
    times = times if dates else _unwrapped(times)
    burst = _burst_step(times)
    if burst is not None and unit is None:
        unit = _time_unit(burst, dates)
    if burst is not None and unit is not None and np.diff(times).max() * unit <= LONGEST_GAP:
        return values, 1 / (burst * unit)
    _check_times(where, column, times)
    step = float(np.median(np.diff(times)))
    unit = unit or _time_unit(step, dates)
    if unit is None:
        raise ValueError(f"{where}: a step of {step:g} is no known unit at 5 to 1,000 Hz; give rate=")
    times = (times - times[0]) * unit
    gaps = np.diff(times)
    rate = 1 / float(gaps[gaps <= 1.5 * step * unit].mean())  # rounded stamps are right on average
    if gaps.max() > LONGEST_GAP:
        row = int(np.argmax(gaps > LONGEST_GAP)) + 2
        raise ValueError(
            f"{where} pause for {gaps[row - 2]:.4g} s between rows {row} and {row + 1}; cut the file there, or give rate= "
            "if its samples are evenly spaced all the same"
        )
    return to_grid(times, values, np.arange(int(times[-1] * rate + 1e-6) + 1) / rate), rate


def _check_rate(where: str, times: np.ndarray, dates: bool, rate: float) -> None:
    """ValueError where neither the median nor the mean step fits `rate` in any unit; coarse clocks are let pass."""
    times = times[np.isfinite(times)]
    times = times if dates else _unwrapped(times)
    steps = np.diff(times)
    middle = np.median(steps) if len(steps) else 0.0
    burst = _burst_step(times)
    if middle <= 0 or (burst is not None and any(abs(burst * u * rate - 1) <= _RATE_TOLERANCE for u in _TIME_UNITS)):
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


def _read_table(path: Path, layout: TableLayout) -> pd.DataFrame:
    """The rows below the header, which stands in line 1 where no other was found."""
    if not layout.names:
        return pd.read_csv(path, index_col=False)
    return pd.read_csv(
        path, sep=layout.separator, decimal=layout.decimal, encoding=layout.encoding, skiprows=layout.skipped,
        names=list(layout.names), index_col=False,
    )  # fmt: skip


def read_csv(
    path: str | Path,
    placement: str,
    columns: Sequence[str] | None = None,
    acceleration_unit: str | None = None,
    angular_velocity_unit: str | None = None,
    rate: float | None = None,
    time_column: str | None = None,
) -> ImuRecording:
    """One sensor's CSV.

    Args:
        path: file with a header row.
        placement: where the sensor was worn.
        columns: three acceleration columns, or those and three of angular velocity; common names are found alone.
        acceleration_unit: "m/s^2", "g" or "mg"; default: what the header says, else m/s^2.
        angular_velocity_unit: "rad/s" or "deg/s"; default: what the header says, else rad/s.
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
        if unit is not None and unit not in known:
            raise ValueError(f"{field} must be one of {', '.join(known)}, got {unit!r}")
    try:
        with warnings.catch_warnings():
            # a row longer than the header would otherwise shift every channel by one
            warnings.simplefilter("error", pd.errors.ParserWarning)
            layout = find_layout(path) or TableLayout(())
            table = _read_table(path, layout)
    except pd.errors.ParserWarning as error:
        raise ValueError(f"{path}: rows hold more values than the header names; mend the header line") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, FileNotFoundError) as error:
        raise OSError(f"{path}: not a readable CSV ({error})") from error
    table.columns = [str(name).strip() for name in table.columns]
    lowered = {name.lower(): name for name in table.columns}
    if columns is None:
        named = [find_channels(list(lowered), names) for names in CHANNEL_NAMES]
        others = find_triples(list(table.columns), layout.units)
        found = [[lowered[n] for n in own] if own else other for own, other in zip(named, others, strict=True)]
        if found[0] is None:
            raise ValueError(f"{path}: no acceleration columns such as acc_x, acc_y, acc_z among {list(table.columns)}")
        columns = [name for triple in found if triple for name in triple]
    missing = [name for name in columns if name not in table.columns]
    if missing or len(columns) not in (3, 6):
        raise ValueError(f"{path}: need 3 or 6 columns; {missing or list(columns)} do not fit {list(table.columns)}")
    values = table[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(float, copy=True)
    broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(broken):
        raise ValueError(f"{path}: row {broken[0] + 2} holds no finite number in {list(columns)}; repair or drop it")
    said = [layout.units.get(columns[place], "") for place in (0, len(columns) - 1)]
    values[:, :3] *= ACCELERATION_UNITS[acceleration_unit or (said[0] if said[0] in ACCELERATION_UNITS else "m/s^2")]
    values[:, 3:] *= ANGULAR_VELOCITY_UNITS[
        angular_velocity_unit or (said[1] if said[1] in ANGULAR_VELOCITY_UNITS else "rad/s")
    ]
    clock = time_column or next((lowered[name] for name in _TIME if name in lowered), None)
    clock = clock or find_time_column(list(table.columns))
    if clock is not None and clock not in table.columns:
        raise ValueError(f"{path}: time_column {clock!r} is not among {list(table.columns)}")
    if rate is None:
        if clock is None:
            raise ValueError(f"{path}: give rate=, or time stamps in a column such as {', '.join(_TIME[:4])}")
        values, rate = _even(
            f"{path}: time stamps in {clock!r}", table[clock], values, _SECONDS.get(layout.units.get(clock, ""))
        )
    elif clock is not None:
        _check_rate(f"{path}: time stamps in {clock!r}", *_read_times(table[clock]), rate)
    return ImuRecording({placement: values}, float(rate), session=path.stem, dataset="csv")


def _read(path: Path, placement: str, options: ReadingOptions) -> ImuRecording:
    return read_csv(
        path, placement, options.columns, options.acceleration_unit,
        options.angular_velocity_unit, options.rate, options.time_column,
    )  # fmt: skip


FORMAT = DeviceFormat("table", "a plain table", lambda path, lines: bool(lines), _read)
