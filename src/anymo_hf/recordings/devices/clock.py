"""Time stamps of a table: dates and counters to seconds, packets told from samples, the rate, gaps, an even grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..imu_recording import LONGEST_GAP, to_grid
from .device_format import Gap

TIME_UNITS = (1.0, 1e-3, 1e-6, 1e-9)  # seconds
_RATE_TOLERANCE = 0.05
_FEW_REPEATS = 0.01  # of the stamps: a slip of the clock; more of them, and no stamp can be trusted
# spread of the steps by their mean, above which stamps are those of a sample's arrival. The phone of tests/data has 0.50,
# and its signals are smoother placed evenly than at the stamps
_JITTER = 0.25
_HOLE = 10  # median steps: a pause even of a clock that jitters
_NAMES = {1.0: "s", 1e-3: "ms", 1e-6: "us", 1e-9: "ns"}
_CLOCK_TIMES = ("%H:%M:%S.%f", "%H:%M:%S", "%I:%M:%S.%f %p", "%I:%M:%S %p")
_DATE_ORDERS = (
    ("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d"), ("%d/%m/%y", "%m/%d/%y", "%y/%m/%d"), ("%d/%b/%Y",), ("%d/%B/%Y",),
)  # fmt: skip


@dataclass(frozen=True)
class Stamps:
    """Time stamps as they stand in the file.

    Args:
        values: `(T,)` seconds where `dates`, otherwise in an unknown unit; NaN where a cell holds none.
        dates: whether they were dates or times of day.
        start: seconds since 1970 of the first (0 where unknown).
    """

    values: np.ndarray
    dates: bool
    start: float = 0.0


@dataclass(frozen=True)
class EvenClock:
    """Samples' times by a clock.

    Args:
        times: `(T,)` rising seconds from the first sample on, of the samples that are kept.
        rate: Hz.
        found: how, in words.
        start: seconds on the stamps' own clock at the first sample.
        repeats: rows, from 0, that repeat the stamp of the row before; they have no time.
        doubt: what a user would want to know, "" for nothing.
    """

    times: np.ndarray
    rate: float
    found: str
    start: float = 0.0
    repeats: tuple[int, ...] = ()
    doubt: str = ""


def read_stamps(column: pd.Series) -> Stamps:
    """Numbers or dates of a column: ISO 8601, day or month first, with month names, times of day, zone names.

    Raises:
        ValueError: day and month could be either, and it matters.
    """
    if not pd.api.types.is_numeric_dtype(column):
        text = column.astype(str).str.strip()
        numbers = pd.to_numeric(text, errors="coerce")
        if 2 * np.isfinite(numbers).sum() < len(numbers):
            return _dates(text)
        column = numbers
    whole = pd.api.types.is_integer_dtype(column) and len(column) > 0
    first = int(column.iloc[0]) if whole else 0
    # nanoseconds since 1970 lose their last digits as floats, so large integers are kept relative to the first
    kept = first if abs(first) >= 2**53 else 0
    numbers = (column - kept).to_numpy(float)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    start = float(first) if whole else float(np.nan_to_num(numbers[0])) if len(numbers) else 0.0
    units = ((1e9, 1.0), (1e12, 1e-3), (1e15, 1e-6), (1e18, 1e-9))
    since_1970 = next((start * unit for low, unit in units if low <= start < 4 * low), 0.0)
    return Stamps(numbers, False, since_1970)


def _dates(text: pd.Series) -> Stamps:
    text = text.str.replace(r"\s*\[[^\]]*\]$", "", regex=True)  # the zone's name behind its offset
    text = text.str.replace(r"\s+(UTC|GMT|Z)$", "+00:00", regex=True).str.replace(r"\s+([A-Z]{3,4}T)$", "", regex=True)
    dates = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    if 2 * dates.notna().sum() < len(dates):
        dates = _other_dates(text)
    if 2 * dates.notna().sum() < len(dates):
        return Stamps(np.full(len(text), np.nan), True)
    first = dates.dropna().iloc[0]
    seconds = (dates - first).dt.total_seconds().to_numpy(float)
    if first.year <= 1900:  # a time of day alone: past midnight it begins anew
        back = np.diff(seconds, prepend=seconds[:1]) < -43_200
        return Stamps(seconds + 86_400.0 * np.cumsum(back), True)
    return Stamps(seconds, True, first.timestamp())


def _other_dates(text: pd.Series) -> pd.Series:
    """Dates such as 11/12/2020 17:41:40.000, 11-Dec-2020 17:41:40, 11.12.20 05:41:40 PM; NaT where they are none.

    Raises:
        ValueError: day and month could be either, and it matters.
    """
    plain = text.str.replace(r"[,;T]\s*(?=\d{1,2}:)", " ", regex=True)
    plain = plain.str.replace(r"(?<=\d)[.\-](?=[0-9A-Za-z]+[.\-/]\d)", "/", n=1, regex=True)
    plain = plain.str.replace(r"(?<=[0-9A-Za-z])[.\-](?=\d{2,4}[\s])", "/", n=1, regex=True)
    plain = plain.str.replace(r"^(\d{4})[.\-/](\d{1,2})[.\-/](\d{1,2})", r"\1/\2/\3", regex=True)
    plain = plain.str.replace(r"(\d{1,2}:\d{2}:\d{2})[:,](\d{1,9})", r"\1.\2", regex=True)
    plain = plain.str.replace(r"(\s)(\d{1,2})-(\d{2})-(\d{2})[_:.](\d+)", r"\1\2:\3:\4.\5", regex=True)
    plain = plain.str.replace(r"(?<=\d)\s*([AaPp])\.?([Mm])\.?$", r" \1\2", regex=True)
    plain = plain.str.replace(r"(\.\d{6})\d+", r"\1", regex=True)
    readings = []
    for orders in ((("",)), *_DATE_ORDERS):
        for order in orders:
            for clock in _CLOCK_TIMES:
                dates = pd.to_datetime(plain, format=f"{order} {clock}".strip(), utc=True, errors="coerce")
                if dates.notna().all():
                    readings.append(dates)
                    break
        if readings:
            break
    if not readings:
        best = [
            pd.to_datetime(plain, format=f"{order} {clock}".strip(), utc=True, errors="coerce")
            for orders in (("",), *_DATE_ORDERS) for order in orders for clock in _CLOCK_TIMES
        ]  # fmt: skip
        return max(best, key=lambda dates: dates.notna().sum())
    first = readings[0]
    for other in readings[1:]:
        if not np.array_equal((first - first.iloc[0]).to_numpy(), (other - other.iloc[0]).to_numpy()):
            raise ValueError(
                f"{text.iloc[0]!r} may be {first.iloc[0]:%d %B} or {other.iloc[0]:%d %B}; write dates as 2020-12-31"
            )
    return first


def unwrapped(times: np.ndarray) -> tuple[np.ndarray, int]:
    """Counter readings that go on where the counter of 8 to 32 bits began anew, and its bits (0 where it did not)."""
    if not len(times) or not (np.diff(times) < 0).any() or np.nanmin(times) < 0:
        return times, 0
    for bits in (8, 12, 15, 16, 24, 32):
        size = 2.0**bits
        back = np.diff(times, prepend=times[:1]) < -0.5 * size
        if back.any() and np.nanmax(times) < size:
            whole = times + size * np.cumsum(back)
            steps = np.diff(whole)
            if np.isfinite(steps).all() and (steps >= 0).all() and steps.max() <= 0.5 * size:
                return whole, bits
    return times, 0


def packet_places(times: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Where samples lie that arrive in packets, stamped together or nearly so by the receiver.

    Returns:
        Place of each sample in steps of one sample `(T,)`, lost packets left free, and the step in the stamps' unit; None
        where the samples were stamped one by one.
    """
    steps = np.diff(times)
    if len(steps) < 8 or not np.isfinite(steps).all() or (steps < 0).any():
        return None
    mean, middle = float(steps.mean()), float(np.median(steps))
    if mean <= 0 or middle > 0.5 * mean:
        return None
    starts = np.flatnonzero(steps > max(5 * middle, 0.5 * mean)) + 1
    if len(starts) < 5:
        return None
    sizes, periods = np.diff(starts).astype(float), np.diff(times[starts])
    if not 1.5 <= np.median(sizes) <= 64 or np.mean(abs(sizes - np.median(sizes)) <= 1) < 0.7:
        return None
    each = float(np.median(periods / sizes))
    kept = periods <= 1.5 * each * np.maximum(sizes, np.median(sizes))
    if kept.sum() < 4:
        return None
    step = float(periods[kept].sum() / sizes[kept].sum())
    missing = np.where(kept, 0.0, np.maximum(0.0, np.round(periods / step - sizes)))
    places = np.arange(len(times), dtype=float)
    for start, lost in zip(starts[1:], missing, strict=True):
        if lost:
            places[start:] += lost
    return places, step


def time_unit(step: float, dates: bool) -> float | None:
    """Seconds of one unit: a step of a millisecond or more in seconds, else the unit is ms, us or ns."""
    return next((unit for unit in TIME_UNITS[: 1 if dates else None] if 1e-3 <= step * unit <= 0.2), None)


def even_clock(
    where: str, column: pd.Series, first_row: int, unit: float | None = None, nominal: float | None = None
) -> EvenClock:
    """Seconds of every sample by its time stamps, and the rate; where the stamps jitter, samples lie evenly between pauses.

    Args:
        where: file and column, for messages.
        column: the stamps as they stand in the file.
        first_row: line of the first.
        unit: seconds of one unit, where the file names it.
        nominal: Hz that the file's preamble says, which decides between units.

    Raises:
        ValueError: fewer than two, an unreadable one, one that runs backward, more than one of a hundred that repeat on a
            clock that is even otherwise, or steps of no known unit.
    """
    if len(column) < 2:
        raise ValueError(f"{where}: {len(column)} rows are no recording; at least one second is needed")
    stamps = read_stamps(column)
    times, bits = (stamps.values, 0) if stamps.dates else unwrapped(stamps.values)
    note = f"; the counter of {bits} bits began anew and was carried on" if bits else ""
    unit = 1.0 if stamps.dates else unit
    packets = packet_places(times)
    if packets is not None:
        places, step = packets
        unit = unit or _unit_for(step, nominal, stamps.dates)
        if unit is not None:
            size = round(len(times) / max(1, (np.diff(times) > 0.5 * np.diff(times).mean()).sum()))
            found = f"from the span of {where.split(': ')[-1]}: packets of about {size} samples arrive at once"
            return EvenClock(places * step * unit, 1 / (step * unit), found + note, _start(stamps, unit))
    if not np.isfinite(times).all():
        check_times(where, column, times, first_row)
    steps = np.diff(times)
    if (steps >= 0).all() and (steps == 0).sum() > max(4, 0.1 * len(steps)) and times[-1] > times[0]:
        coarse, unit = _coarse_clock(where, times, unit, nominal, stamps.dates, note)
        return replace(coarse, start=_start(stamps, unit))
    repeats = np.flatnonzero(steps == 0) + 1
    jitter = _jitter(steps[steps > 0]) if (steps >= 0).all() else 0.0
    if jitter <= _JITTER:
        if (steps >= 0).all() and 0 < len(repeats) <= _FEW_REPEATS * len(times):
            times = np.delete(times, repeats)
            steps = np.diff(times)
        else:
            check_times(where, column, times, first_row)
            repeats = repeats[:0]
    step = float(np.median(steps))
    unit = unit or _unit_for(step, nominal, stamps.dates)
    if unit is None:
        raise ValueError(f"{where}: a step of {step:g} is no known unit at 5 to 1,000 Hz; give rate=")
    if jitter > _JITTER:
        seconds, rate = _evened((times - times[0]) * unit)
        found = f"from the span of {where.split(': ')[-1]}, which jitter" + note
        twice = f", {len(repeats)} rows repeat the one before" if len(repeats) else ""
        doubt = (
            f"time stamps jitter: a step is {1000 / rate:.3g} ms give or take {100 * jitter:.0f} %{twice}; samples were "
            f"taken as even, {rate:.4g} a second"
        )
        return EvenClock(seconds, rate, found, _start(stamps, unit), doubt=doubt)
    seconds = (times - times[0]) * unit
    gaps = np.diff(seconds)
    rate = 1 / float(gaps[gaps <= 1.5 * step * unit].mean())  # rounded stamps are right on average
    said = "dates" if stamps.dates else f"numbers in {_NAMES.get(unit, f'{unit:g} s')}"
    found = f"from the steps of {where.split(': ')[-1]} ({said})" + note
    return EvenClock(seconds, rate, found, _start(stamps, unit), tuple(repeats.tolist()))


def _jitter(steps: np.ndarray) -> float:
    """Spread of the steps of rising stamps by their mean, lost samples left out."""
    if len(steps) < 20:  # too few to tell
        return 0.0
    near = steps[steps <= 1.5 * np.median(steps)]
    return float(near.std() / near.mean())


def _evened(seconds: np.ndarray) -> tuple[np.ndarray, float]:
    """Seconds of samples that lie evenly between pauses, `(T,)`, and the rate, for stamps `(T,)` that jitter."""
    steps = np.diff(seconds)
    paused = steps > _HOLE * np.median(steps)
    rate = (~paused).sum() / steps[~paused].sum()
    stretches = np.split(seconds, np.flatnonzero(paused) + 1)
    parts = [np.linspace(part[0], part[-1], len(part)) for part in stretches]
    return np.concatenate(parts), float(rate)


def _coarse_clock(where: str, times: np.ndarray, unit, nominal, dates: bool, note: str) -> tuple[EvenClock, float]:
    """A clock too coarse for single samples: the rate is that of the span, the samples lie evenly in it."""
    # the first tick may have begun before the recording: whole ticks count
    ticks = np.flatnonzero(np.diff(times) > 0) + 1
    if len(ticks) < 3:
        raise ValueError(f"{where} change {len(ticks)} times in {len(times)} rows; give rate=")
    step = float((times[ticks[-1]] - times[ticks[0]]) / (ticks[-1] - ticks[0]))
    unit = unit or _unit_for(step, nominal, dates)
    if unit is None:
        raise ValueError(f"{where}: a step of {step:g} is no known unit at 5 to 1,000 Hz; give rate=")
    if np.diff(times).max() * unit > LONGEST_GAP + 10 * step * unit:
        raise ValueError(f"{where} are too coarse for single samples and pause; cut the file there, or give rate=")
    found = f"from the span of {where.split(': ')[-1]}, whose clock is too coarse for single samples"
    return EvenClock(np.arange(len(times)) * step * unit, 1 / (step * unit), found + note), unit


def _start(stamps: Stamps, unit: float) -> float:
    return stamps.start or float(np.nan_to_num(stamps.values[0])) * unit


def _unit_for(step: float, nominal: float | None, dates: bool) -> float | None:
    if nominal is not None:
        near = [unit for unit in TIME_UNITS if abs(step * unit * nominal - 1) <= 0.3]
        if near:
            return near[0]
    return time_unit(step, dates)


def check_times(where: str, column: pd.Series, times: np.ndarray, first_row: int) -> None:
    """ValueError that names the first row whose time stamp is unreadable, goes back or repeats, and the mend."""
    if len(unreadable := np.flatnonzero(~np.isfinite(times))):
        cell = column.iloc[unreadable[0]]
        raise ValueError(
            f"{where}, row {unreadable[0] + first_row}: {'an empty cell' if pd.isna(cell) else repr(str(cell))} is neither "
            "a number nor an ISO date-time such as 2024-05-01T12:30:00.020; repair or drop the row, or give rate="
        )
    steps = np.diff(times)
    others = f", one of {count}" if (count := int((steps == 0).sum())) > 1 else ""
    for rows, fault, mend in (
        (steps < 0, "lies before", "sort the rows by time, or cut the file there if the clock was set anew"),
        (
            steps == 0,
            "repeats",
            f"drop the double row{others}, or give rate= if the clock is too coarse for single samples",
        ),
    ):
        if rows.any():
            first = int(np.argmax(rows))
            raise ValueError(
                f"{where}, row {first + first_row + 1}: {column.iloc[first + 1]} {fault} {column.iloc[first]} of row "
                f"{first + first_row}; {mend}"
            )


@dataclass(frozen=True)
class RateCheck:
    """What a user would want to know of time stamps that a rate of their own replaces; "" for nothing.

    Args:
        note: samples that the stamps leave room for.
        doubt: pauses of over a second, which the rate closes.
    """

    note: str = ""
    doubt: str = ""


def check_rate(where: str, column: pd.Series, rate: float) -> RateCheck:
    """Whether time stamps agree with `rate`, Hz; coarse clocks are let pass.

    Raises:
        ValueError: neither the median nor the mean step fits `rate` in any unit.
    """
    stamps = read_stamps(column)
    times = stamps.values[np.isfinite(stamps.values)]
    times = times if stamps.dates else unwrapped(times)[0]
    steps = np.diff(times)
    middle = float(np.median(steps)) if len(steps) else 0.0
    units = TIME_UNITS[: 1 if stamps.dates else None]
    packets = packet_places(times)
    if packets is not None:
        places, step = packets
        if (unit := _fitting_unit([step], units, rate)) is not None:
            return RateCheck(_room_for(int(places[-1]) + 1 - len(times)), _closed_pauses(steps * unit))
    if middle <= 0 and packets is None:
        return RateCheck()
    # the median is right where samples are lost, the mean where a coarse clock rounds or samples jitter
    mean = steps[(steps >= 0) & (steps <= 10 * middle)].mean() if middle > 0 else packets[1]
    if (unit := _fitting_unit([middle, mean], units, rate)) is None:
        step = middle if packets is None else packets[1]
        unit = time_unit(step, stamps.dates)
        found = f"rise by {step:g}" if unit is None else f"say {1 / (step * unit):.4g} Hz"
        raise ValueError(
            f"{where} {found}, rate= says {rate:g} Hz; correct rate= or leave it out, and rename the column if it holds "
            "no times"
        )
    lost = int(np.maximum(0, np.round(steps[steps > 1.5 * middle] / middle) - 1).sum())
    return RateCheck(_room_for(lost if middle == mean else 0), _closed_pauses(steps * unit))


def _fitting_unit(steps: Sequence[float], units: Sequence[float], rate: float) -> float | None:
    return next((u for step in steps for u in units if abs(step * u * rate - 1) <= _RATE_TOLERANCE), None)


def _room_for(lost: int) -> str:
    return f"time stamps leave room for {lost} lost samples, which rate= closes" if lost > 0 else ""


def _closed_pauses(seconds: np.ndarray) -> str:
    if not len(pauses := seconds[seconds > LONGEST_GAP]):
        return ""
    times = "once" if len(pauses) == 1 else f"{len(pauses)} times"
    return f"time stamps pause {times}, for up to {pauses.max():.3g} s, which rate= closes; leave it out to keep the pauses"


def find_gaps(times: np.ndarray, rate: float, first_row: int = 0) -> list[Gap]:
    """Where samples are missing: steps of over one and a half samples."""
    steps = np.diff(times)
    return [
        Gap(float(times[i]), float(steps[i]), max(1, round(float(steps[i]) * rate) - 1), bool(steps[i] <= LONGEST_GAP),
            i + first_row if first_row else 0)
        for i in np.flatnonzero(steps > 1.5 / rate).tolist()
    ]  # fmt: skip


def to_stretches(times: np.ndarray, values: np.ndarray, rate: float) -> list[tuple[float, np.ndarray]]:
    """Samples on an even grid: start and values of every stretch that no gap of over a second breaks."""
    breaks = np.flatnonzero(np.diff(times) > LONGEST_GAP) + 1
    stretches = []
    for part in np.split(np.arange(len(times)), breaks):
        if len(part) > 1:
            own = times[part] - times[part[0]]
            grid = np.arange(int(own[-1] * rate + 0.02) + 1) / rate  # stamps are rounded
            stretches.append((float(times[part[0]]), to_grid(own, values[part], grid)))
    return stretches
