"""A table in text: columns by what their names say, units by the header, the rate by time stamps; nothing in silence."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ...modeling.imu_signal import ACCELERATION_UNITS, ANGULAR_VELOCITY_UNITS, STANDARD_GRAVITY, resolve_unit
from ...modeling.known_names import did_you_mean
from ..imu_recording import ImuRecording
from .clock import check_rate, even_clock, read_stamps, unwrapped
from .companions import companion, is_of_gyroscope, join
from .device_format import DeviceFormat, ReadingOptions, Samples
from .read_device import first_lines
from .table_columns import SECONDS, Triple, find_clock, find_counter, find_triples, unit_of, words_of
from .table_layout import TableLayout, cells, find_layout, separator_mark

CHANNEL_NAMES = (("acc_x", "ax", "accl_x", "accelerometer_x"), ("gyro_x", "gx", "gyr_x", "gyroscope_x"))
_BLOCK_ROWS = 1 << 18
_NO_GYROSCOPE = "no gyroscope was read; angular velocity counts as zero"
_PLACES = {
    "left",
    "right",
    "wrist",
    "ankle",
    "chest",
    "waist",
    "head",
    "thigh",
    "pocket",
    "arm",
    "foot",
    "hand",
    "back",
}
_RATE = re.compile(r"(?:rate|freq\w{0,20}|at|sampl\w{0,20})\b[^\d\n]{0,24}?(\d+(?:[.,]\d+)?)\s*hz", re.I)


@dataclass(frozen=True)
class TableHints:
    """What is known of a device's tables beyond their names.

    Args:
        acceleration, angular_velocity: names of the x, y and z columns, asked before all others.
        acceleration_unit, angular_velocity_unit: where the header names none.
        time: clock column -> its unit ("s", "ms", "us", "ns"), the most trusted first.
        apple_sign: acceleration points down at rest.
        kind: of columns that are called x, y and z: "acc" or "gyr".
        rate: Hz of evenly spaced samples, where neither stamps nor the preamble say.
        title: for messages.
        notes: what a user would want to know.
        names: of the columns of a file without a header, one tuple for each number of columns.
    """

    acceleration: Sequence[str] = ()
    angular_velocity: Sequence[str] = ()
    acceleration_unit: str | None = None
    angular_velocity_unit: str | None = None
    time: Mapping[str, str] = field(default_factory=dict)
    apple_sign: bool = False
    kind: str | None = None
    rate: float | None = None
    title: str = ""
    notes: tuple[str, ...] = ()
    names: tuple[tuple[str, ...], ...] = ()


def find_channels(columns: list[str], names: tuple[str, ...]) -> list[str] | None:
    """The x, y and z columns that are called one of `names`, or None."""
    for name in names:
        triple = [name[:-1] + axis for axis in "xyz"]
        if set(triple) <= set(columns):
            return triple
    return None


@dataclass(frozen=True)
class Channels:
    """Which columns are read.

    Args:
        acceleration, angular_velocity: x, y and z; the second may be none.
        gravity: columns that are added to acceleration without gravity.
        left_out: column -> why it is not read.
        warnings: what is probably wrong.
        free: the acceleration is said to be without gravity.
    """

    acceleration: tuple[str, ...]
    angular_velocity: tuple[str, ...] = ()
    gravity: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    free: bool = False


def read_table(path: Path, options: ReadingOptions, hints: TableHints | None = None) -> Samples:
    """A table's samples.

    Raises:
        OSError: not a readable table.
        ValueError: missing columns, text or NaN in them, unknown units, no rate or an impossible one; time stamps that
            contradict `rate`, or without it are unreadable, repeat or run backward; acceleration without gravity.
    """
    hints = hints or TableHints()
    rate = options.rate
    if rate is not None and not 1 <= rate <= 10_000:
        raise ValueError(f"rate must lie between 1 and 10,000 Hz, got {rate}")
    if options.acceleration_unit is not None:
        resolve_unit(options.acceleration_unit, ACCELERATION_UNITS, "acceleration_unit")
    if options.angular_velocity_unit is not None:
        resolve_unit(options.angular_velocity_unit, ANGULAR_VELOCITY_UNITS, "angular_velocity_unit")
    layout = _layout(path, options)
    placed = next((names for names in hints.names if len(names) == len(layout.names)), None)
    if layout.header_row == 0 and placed is not None:
        layout = replace(layout, names=placed)
    channels = choose_channels(path, layout, options, hints)
    clocks = choose_clocks(path, layout, options, hints)
    counter = find_counter(layout.names)
    gyroscope = channels.angular_velocity
    wanted = list(
        dict.fromkeys([*channels.acceleration, *channels.gravity, *gyroscope, *clocks, *([counter] if counter else [])])
    )
    table = _read(path, layout, wanted)
    first_row = layout.skipped + 1
    columns = [*channels.acceleration, *gyroscope]
    values = _numbers(table, columns, layout)
    gravity = _numbers(table, channels.gravity, layout) if channels.gravity else None
    if gravity is not None:
        values[:, :3] += gravity
    if not len(values):
        raise ValueError(f"{path}: 0 samples below the header; export it again")
    whole = np.isfinite(values)
    parts = [slice(0, 3), slice(3, 6)] if gyroscope else [slice(0, 3)]
    for part in parts:
        full, none = whole[:, part].all(axis=1), np.isnan(values[:, part]).all(axis=1)
        bad = ~full & ~none
        if bad.any() or not full.any():
            torn = int(np.argmax(bad)) if bad.any() else 0
            raise ValueError(
                f"{path}: row {torn + first_row} holds no finite number in {columns[part]}; repair or drop it"
            )
    samples = Samples(
        values, None, 0.0, "", columns=tuple(columns), left_out=dict(channels.left_out), rows=len(values),
        first_row=first_row, files=(path,), notes=list(hints.notes), warnings=list(channels.warnings),
    )  # fmt: skip
    if layout.header_row == 0 and placed is None:
        samples.warnings.append(f"the file names no columns; {', '.join(columns)} were taken by their place")
    _set_units(path, samples, layout, options, hints, channels)
    repeats = _set_clock(path, samples, table, layout, clocks, counter, options, hints)
    samples.values, whole = (np.delete(array, repeats, axis=0) for array in (samples.values, whole))
    _set_left_out(samples, layout, channels)
    if not gyroscope and hints.kind != "gyr":
        samples.notes.append(_NO_GYROSCOPE)
    return _without_empty_rows(path, samples, whole, parts)


def _layout(path: Path, options: ReadingOptions) -> TableLayout:
    try:
        layout = find_layout(path, options.header_row, options.separator, options.decimal)
    except FileNotFoundError as error:
        raise OSError(f"{path}: not a readable CSV ({error})") from error
    lines = first_lines(path)
    if layout is None:
        names = cells(lines[0], separator_mark(options.separator) or ",") if lines else []
        if len(names) > 1 and not find_triples(names):
            raise ValueError(f"{path}: no acceleration columns such as acc_x, acc_y, acc_z among {names}")
        if len(names) > 2 and len(lines) < 2:
            raise ValueError(f"{path}: 0 samples below the header; export it again")
        raise ValueError(
            f"{path}: no row of three numbers in the first {len(lines)} lines; give header_row=, separator= or decimal="
        )
    row = cells(lines[layout.skipped], layout.separator) if layout.skipped < len(lines) else []
    extra = row[len(layout.names) :]
    if any(extra):
        raise ValueError(
            f"{path}: rows hold more values than the header names ({len(row)} for {len(layout.names)}); mend the header "
            "line, or give separator= and decimal= if commas are decimal marks"
        )
    return replace(layout, names=layout.names + tuple(f"empty.{place}" for place in range(len(extra))))


def _read(path: Path, layout: TableLayout, wanted: Sequence[str]) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)
            blocks = pd.read_csv(
                path, sep=r"\s+" if layout.separator == " " else layout.separator, decimal=layout.decimal,
                encoding=layout.encoding, skiprows=layout.skipped, header=None, names=list(layout.names), index_col=False,
                skipinitialspace=True, chunksize=_BLOCK_ROWS,
            )  # fmt: skip
            # every column is parsed, so that a row of too many cells is refused, but only those wanted are kept
            return pd.concat([block[list(wanted)] for block in blocks], ignore_index=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError, FileNotFoundError) as error:
        raise OSError(f"{path}: not a readable CSV ({error})") from error


def _numbers(table: pd.DataFrame, columns: Sequence[str], layout: TableLayout) -> np.ndarray:
    numbers = []
    for name in columns:
        column = table[name]
        if not pd.api.types.is_numeric_dtype(column):
            text = column.astype(str).str.strip()
            # words are no number, other than an empty cell, which may only mean that another sensor has the row
            foreign = column.notna() & (text != "")
            column = pd.to_numeric(text.str.replace(",", ".") if layout.decimal == "," else text, errors="coerce")
            column = column.where(column.notna() | ~foreign, np.inf)
        numbers.append(column.to_numpy(float))
    return np.stack(numbers, axis=1)


def choose_channels(path: Path | str, layout: TableLayout, options: ReadingOptions, hints: TableHints) -> Channels:
    """Which columns are the accelerometer's and the gyroscope's.

    Raises:
        ValueError: columns that the file lacks, or none of acceleration.
    """
    names = list(layout.names)
    triples = find_triples(names, layout.units, hints.kind)
    if options.columns is not None:
        columns = tuple(_named(path, str(name), names) for name in options.columns)
        if len(columns) not in (3, 6):
            raise ValueError(f"{path}: need 3 or 6 columns; {list(columns)} do not fit {names}")
        left = {c: "columns= names others" for t in triples for c in t.columns if c not in columns}
        gyroscopes = [t for t in triples if t.kind == "gyr" and not set(t.columns) & set(columns)]
        said = [
            f"the gyroscope {', '.join(t.columns)} was left out: columns= names three columns" for t in gyroscopes[:1]
        ]
        return Channels(columns[:3], columns[3:], left_out=left, warnings=tuple(said) if len(columns) == 3 else ())
    lowered = {name.strip().lower(): name for name in names}
    of_kind = {kind: [t for t in triples if t.kind == kind] for kind in ("acc", "gyr", "gravity", "free")}
    for kind, known in (("acc", hints.acceleration), ("gyr", hints.angular_velocity)):
        if known and all(name.lower() in lowered for name in known):
            own = tuple(lowered[name.lower()] for name in known)
            first = Triple(kind, (own[0], own[1], own[2]), "", unit_of(own[0], layout.units))
            of_kind[kind] = [first, *(t for t in of_kind[kind] if t.columns != own)]
            of_kind["free"] = [t for t in of_kind["free"] if t.columns != own]
    if layout.header_row == 0 and not of_kind["acc"] and not of_kind["gyr"]:
        return _by_place(path, names)
    if hints.kind == "gyr" and of_kind["gyr"] and not of_kind["acc"]:
        return Channels(of_kind["gyr"][0].columns)
    free, gravity = False, ()
    if of_kind["acc"]:
        acceleration = of_kind["acc"][0]
    elif of_kind["free"]:
        acceleration, free = of_kind["free"][0], True
        gravity = of_kind["gravity"][0].columns if of_kind["gravity"] else ()
    else:
        near = [n for n in names if "acc" in n.lower()]
        hint = f"; {', '.join(near)} are no x, y and z of one sensor" if near else ""
        raise ValueError(
            f"{path}: no acceleration columns such as acc_x, acc_y, acc_z among {names}{hint}; give columns="
        )
    place = set(acceleration.sensor.split())
    gyroscopes = sorted(of_kind["gyr"], key=lambda t: -len(place & set(t.sensor.split())))
    gyroscope = gyroscopes[0].columns if gyroscopes else ()
    left, said = {}, []
    reasons = {"acc": "another accelerometer", "gyr": "another gyroscope", "free": "acceleration without gravity",
               "gravity": "gravity alone"}  # fmt: skip
    for triple in triples:
        if triple.columns not in (acceleration.columns, gyroscope, gravity):
            left |= dict.fromkeys(triple.columns, reasons[triple.kind])
    others = [t for t in of_kind["acc"][1:] if t.columns != acceleration.columns]
    elsewhere = [t for t in others if set(t.sensor.split()) & _PLACES and set(t.sensor.split()) != place]
    if elsewhere:
        said.append(
            f"{1 + len(others)} accelerometers: {', '.join(acceleration.columns)} were taken; name others by columns="
        )
    return Channels(acceleration.columns, gyroscope, gravity, left, tuple(said), free)


def _named(path: Path | str, name: str, names: list[str]) -> str:
    """The column that a user means."""
    if name in names:
        return name
    plain = {other.strip().lower(): other for other in names}
    if name.strip().lower() in plain:
        return plain[name.strip().lower()]
    if name.isdigit() and 1 <= int(name) <= len(names):
        return names[int(name) - 1]
    hint = did_you_mean(name, names, 0.6)
    raise ValueError(f"{path}: need 3 or 6 columns; {[name]} do not fit {names}{hint}")


def _by_place(path: Path | str, names: list[str]) -> Channels:
    """Columns of a file without names: 3 or 6 of signals, and before them one of time stamps or a counter."""
    if len(names) not in (3, 4, 6, 7):
        raise ValueError(
            f"{path}: the file names no columns and has {len(names)}; say which are x, y and z by columns=, such as "
            "columns=2,3,4"
        )
    rest = names[len(names) % 3 :]
    return Channels(tuple(rest[:3]), tuple(rest[3:]))


def choose_clocks(path: Path | str, layout: TableLayout, options: ReadingOptions, hints: TableHints) -> list[str]:
    """Columns that may hold the clock, the most trusted first.

    Raises:
        ValueError: `time_column` is none of the file's.
    """
    names = list(layout.names)
    if options.time_column is not None:
        plain = {name.strip().lower(): name for name in names}
        found = plain.get(options.time_column.strip().lower())
        if options.time_column.isdigit() and found is None and 1 <= int(options.time_column) <= len(names):
            found = names[int(options.time_column) - 1]
        if found is None:
            raise ValueError(f"{path}: time_column= {options.time_column!r} is not among {names}")
        return [found]
    lowered = {name.strip().lower(): name for name in names}
    trusted = [lowered[name.lower()] for name in hints.time if name.lower() in lowered]
    if layout.header_row == 0 and names[0] == "column 1":
        return [names[0]] if len(names) in (4, 7) else []
    return list(dict.fromkeys([*trusted, *find_clock(names)]))


def _set_units(
    path: Path, samples: Samples, layout: TableLayout, options: ReadingOptions, hints: TableHints, channels: Channels
) -> None:
    """Turns the values to SI and says by what."""
    values = samples.values
    if hints.kind == "gyr":
        _set_turning(samples, values, channels.acceleration, layout, options, hints)
        return
    said = unit_of(channels.acceleration[0], layout.units)
    norms = np.linalg.norm(values[:, :3], axis=1)
    usual = float(np.nanmedian(norms))
    if options.acceleration_unit is not None:
        unit = resolve_unit(options.acceleration_unit, ACCELERATION_UNITS, "acceleration_unit")
        why = "as you said"
    elif said in ACCELERATION_UNITS:
        unit, why = said, "the header names it"
    elif hints.acceleration_unit:
        unit, why = hints.acceleration_unit, f"{hints.title} writes it so"
    else:
        near = [u for u in ("g", "mg") if 0.6 <= usual * ACCELERATION_UNITS[u] / STANDARD_GRAVITY <= 1.6]
        unit = near[0] if near else "m/s^2"
        why = f"guessed: the median of {usual:.4g} fits {unit}" if near else "taken for granted: the file names no unit"
        if near:
            samples.warnings.append(
                f"the file names no unit of acceleration; its median of {usual:.4g} fits {unit} "
                "(acceleration_unit= overrules)"
            )
        else:
            samples.notes.append("the file names no unit of acceleration; m/s^2 was taken for granted")
    bare = [name.strip().lower() for name in channels.acceleration] == ["gx", "gy", "gz"] and not options.columns
    if bare and options.acceleration_unit is None and said not in ACCELERATION_UNITS:
        if not (0.6 <= usual * ACCELERATION_UNITS[unit] / STANDARD_GRAVITY <= 1.6 and _is_steady(values[:, :3])):
            raise ValueError(
                f"{path}: gx, gy, gz of a median size of {usual:.4g} hold no gravity and are a gyroscope's by their names; "
                "the accelerometer is needed: give columns= for it, or acceleration_unit= if they are one all the same"
            )
        samples.warnings.append("gx, gy, gz were taken for an accelerometer, since their size fits gravity")
    if channels.free and not channels.gravity and usual * ACCELERATION_UNITS[unit] < 7:
        raise ValueError(
            f"{path}: {', '.join(channels.acceleration)} are acceleration without gravity, which cannot be repaired; "
            "export the accelerometer with gravity, or the gravity sensor beside it"
        )
    if channels.free and channels.gravity:
        samples.notes.append(f"gravity ({', '.join(channels.gravity)}) was added to acceleration without it")
    elif channels.free:
        samples.notes.append("the acceleration is called linear, yet holds gravity, as in ROS messages")
    values[:, :3] *= ACCELERATION_UNITS[unit]
    apple = hints.apple_sign if options.apple_sign is None else options.apple_sign
    if apple:
        values[:, :3] *= -1
        samples.notes.append("acceleration was turned about: Apple gives -1 g face up (apple_sign=False overrules)")
    samples.acceleration_unit, samples.acceleration_unit_found = unit, why
    if channels.angular_velocity:
        _set_turning(samples, values[:, 3:], channels.angular_velocity, layout, options, hints)


def _is_steady(values: np.ndarray, samples: int = 100) -> bool:
    """Whether `(T, 3)` points one way over a second or two, as gravity does and turning to and fro does not."""
    parts = [values[start : start + samples] for start in range(0, max(1, len(values) - samples + 1), samples)]
    means = [np.linalg.norm(part.mean(0)) / max(np.linalg.norm(part, axis=1).mean(), 1e-12) for part in parts]
    return float(np.nanmedian(means)) > 0.6


def _set_turning(
    samples: Samples, values: np.ndarray, columns: Sequence[str], layout: TableLayout, options: ReadingOptions,
    hints: TableHints,
) -> None:  # fmt: skip
    """Angular velocity `(T, 3)` to rad/s, in place."""
    said = unit_of(columns[0], layout.units)
    fast = float(np.nanquantile(np.linalg.norm(values, axis=1), 0.99))
    if options.angular_velocity_unit is not None:
        unit = resolve_unit(options.angular_velocity_unit, ANGULAR_VELOCITY_UNITS, "angular_velocity_unit")
        why = "as you said"
    elif said in ANGULAR_VELOCITY_UNITS:
        unit, why = said, "the header names it"
    elif hints.angular_velocity_unit:
        unit, why = hints.angular_velocity_unit, f"{hints.title} writes it so"
    elif fast > 40:
        unit, why = "deg/s", f"guessed: up to {fast:.4g} cannot be rad/s"
        samples.warnings.append(
            f"the file names no unit of angular velocity; up to {fast:.4g} cannot be rad/s, so deg/s was taken "
            "(angular_velocity_unit= overrules)"
        )
    else:
        unit, why = "rad/s", "taken for granted: the file names no unit"
        samples.notes.append("the file names no unit of angular velocity; rad/s was taken for granted")
    values *= ANGULAR_VELOCITY_UNITS[unit]
    samples.angular_velocity_unit, samples.angular_velocity_unit_found = unit, why


def preamble_rate(layout: TableLayout) -> float | None:
    """Hz that the lines above the table say."""
    for line in layout.preamble:
        if found := _RATE.search(line):
            return float(found[1].replace(",", "."))
    return None


def _set_clock(
    path: Path, samples: Samples, table: pd.DataFrame, layout: TableLayout, clocks: list[str], counter: str | None,
    options: ReadingOptions, hints: TableHints,
) -> list[int]:  # fmt: skip
    """The rate and the times, by time stamps, by a counter, or by what a user or the preamble says; rows without a time."""
    nominal = preamble_rate(layout)
    rate = options.rate
    numbers = [name for name in clocks if table[name].notna().any()]
    if rate is not None:
        clock = numbers[0] if numbers else (clocks[0] if clocks and options.time_column else None)
        if clock is not None and clock in numbers:
            found = check_rate(f"{path}: time stamps in {clock!r}", table[clock], rate)
            samples.notes += [found.note] if found.note else []
            samples.warnings += [found.doubt] if found.doubt else []
        samples.rate, samples.rate_found, samples.time_column = float(rate), "as you said", clock
        if not numbers and counter is not None:
            _by_counter(samples, table[counter], counter, rate)
        return []
    failures = []
    for clock in numbers:
        named = {name.lower(): unit for name, unit in hints.time.items()}.get(clock.strip().lower(), "")
        unit = SECONDS.get(unit_of(clock, layout.units)) or SECONDS.get(named)
        try:
            found = even_clock(f"{path}: time stamps in {clock!r}", table[clock], samples.first_row, unit, nominal)
        except ValueError as error:
            failures.append(error)
            continue
        if failures:
            samples.warnings.append(f"another clock was passed over: {str(failures[0]).removeprefix(f'{path}: ')}")
        samples.times, samples.rate, samples.rate_found = found.times, found.rate, found.found
        samples.start_time, samples.time_column = found.start, clock
        if nominal is not None and abs(found.rate / nominal - 1) > 0.05:
            samples.warnings.append(f"the file's head says {nominal:g} Hz, its time stamps {found.rate:.4g} Hz")
        if found.doubt:
            samples.warnings.append(found.doubt)
        if found.repeats:
            samples.warnings.append(
                f"{len(found.repeats)} rows repeat the time stamp of the row before them (the first is row "
                f"{found.repeats[0] + samples.first_row}) and were left out"
            )
        return list(found.repeats)
    if failures and nominal is None:
        raise failures[0]
    nominal = nominal or hints.rate
    if nominal is None:
        raise ValueError(f"{path}: give rate=, or time stamps in a column such as time, timestamp, time_s, seconds")
    if failures:
        samples.warnings.append(f"time stamps were passed over: {str(failures[0]).removeprefix(f'{path}: ')}")
    samples.rate, samples.rate_found = nominal, "the file's head says it"
    if counter is not None:
        _by_counter(samples, table[counter], counter, nominal)
    return []


def _by_counter(samples: Samples, column: pd.Series, name: str, rate: float) -> None:
    """Times by a counter of samples, which tells lost ones."""
    places = read_stamps(column).values
    if len(places) < 2 or not np.isfinite(places).all():
        return
    places, bits = unwrapped(places)
    steps = np.diff(places)
    if (steps <= 0).any():
        return
    samples.times = (places - places[0]) / float(np.median(steps)) / rate
    samples.rate_found += f"; {name!r} tells lost samples"
    if bits:
        samples.rate_found += f"; the counter of {bits} bits began anew and was carried on"


def _set_left_out(samples: Samples, layout: TableLayout, channels: Channels) -> None:
    read = {*samples.columns, *channels.gravity, samples.time_column}
    turning = []
    for name in layout.names:
        if name in read or name in samples.left_out or not name or name.startswith("empty."):
            continue
        words = set(words_of(name))
        if any(word.startswith(("gyr", "rot")) for word in words):
            reason = "no angular velocity by its name"
            turning.append(name)
        elif name in find_clock([name]):
            reason = "another clock"
        else:
            reason = "no acceleration or angular velocity"
        samples.left_out[name] = reason
    if turning:
        whole = {word for name in turning for word in words_of(name)} >= {"x", "y", "z"}
        doubt = (
            "angular velocity or angles? If the first, name all six columns by columns="
            if whole
            else "they look like a gyroscope's, but not all of x, y and z are there"
        )
        samples.warnings.append(f"{', '.join(turning)} were left out: {doubt}")


def _without_empty_rows(path: Path, samples: Samples, whole: np.ndarray, parts: list[slice]) -> Samples:
    """Rows that hold one sensor alone: acceleration keeps its rows, angular velocity is interpolated onto them."""
    full = [whole[:, part].all(axis=1) for part in parts]
    if all(rows.all() for rows in full):
        return samples
    times = np.arange(len(whole)) / samples.rate if samples.times is None else samples.times
    kept = full[0]
    values = samples.values[kept, : 3 * len(parts)]
    if len(parts) > 1:
        for column in range(3, 6):
            values[:, column] = np.interp(times[kept], times[full[1]], samples.values[full[1], column])
    samples.notes.append(f"{int((~kept).sum())} of {len(kept)} rows hold no acceleration and were passed over")
    own = times[kept] - times[kept][0]
    rate = samples.rate
    if samples.times is not None and kept.mean() < 0.7:  # rows of several sensors take turns
        rate = 1 / float(np.median(np.diff(own)))
    return replace(samples, values=values, times=own, rate=rate, rows=len(values))


def read_joined(path: Path, options: ReadingOptions, hints: TableHints) -> Samples:
    """A table of one sensor, and beside it the gyroscope's file of the same recording, joined by their clocks.

    Raises:
        OSError, ValueError: as `read_table`; also a gyroscope's file without its accelerometer's.
    """
    notes = []
    if is_of_gyroscope(path) and hints.kind is None and options.columns is None:
        beside = companion(path, "acc")
        columns = _layout(path, options).names
        if beside is None and not any(triple.kind == "acc" and triple.sensor for triple in find_triples(columns)):
            raise ValueError(
                f"{path}: a gyroscope's file; give the accelerometer's of the same recording, or its folder"
            )
        if beside is not None:
            notes, path = (
                [f"{path.name} is the gyroscope's file; {beside.name} beside it holds the acceleration"],
                beside,
            )
    samples = read_table(path, options, hints)
    samples.notes += notes
    if samples.values.shape[1] == 6 or options.columns is not None or hints.kind is not None:
        return samples
    beside = companion(path, "gyr")
    if beside is None:
        return samples
    own = replace(options, acceleration_unit=None, time_column=None, apple_sign=None, rate=None)
    try:
        turning = read_table(beside, own, replace(hints, kind="gyr", notes=()))
    except (OSError, ValueError) as error:
        samples.warnings.append(f"the gyroscope was left out: {error}")
        return samples
    joined = join(samples, turning)
    joined.notes = [note for note in joined.notes if note != _NO_GYROSCOPE or joined.values.shape[1] == 3]
    return joined


def table_format(
    name: str, title: str, recognise: Callable[[Path, list[str]], bool], hints: TableHints, source: str = ""
) -> DeviceFormat:
    """A format whose files are tables: what is known of them is said in `hints`, the rest is found."""
    known = replace(hints, title=title)
    return DeviceFormat(name, title, recognise, lambda path, options: read_joined(path, options, known), source)


def header_holds(*patterns: str, name: str = "") -> Callable[[Path, list[str]], bool]:
    """Recognises a file whose first lines hold every pattern, and whose name holds `name`; regular expressions."""

    def recognise(path: Path, lines: list[str]) -> bool:
        text = "\n".join(lines[:120])
        return (
            bool(lines)
            and bool(re.search(name, path.name, re.I))
            and all(re.search(pattern, text, re.I | re.M) for pattern in patterns)
        )

    return recognise


def read_csv(
    path: str | Path,
    placement: str,
    columns: Sequence[str] | None = None,
    acceleration_unit: str | None = None,
    angular_velocity_unit: str | None = None,
    rate: float | None = None,
    time_column: str | None = None,
) -> ImuRecording:
    """One sensor's table as an `ImuRecording`; what a file is taken for in detail is told by `read_export`.

    Args:
        path: the file.
        placement: where the sensor was worn.
        columns, acceleration_unit, angular_velocity_unit, rate, time_column: as in `ReadingOptions`. Time stamps are
            only asked whether they agree to 5 % where `rate` is given. Without it they must be there, as dates or as
            numbers (seconds, ms, us or ns, judged by their size), and samples are interpolated onto an even grid.

    Raises:
        OSError, ValueError: as `read_table`; also a pause of over a second.
    """
    from .read_device import read_device

    options = ReadingOptions(columns, acceleration_unit, angular_velocity_unit, rate, time_column)
    return read_device(path, placement, "table", options)


FORMAT = table_format("table", "a plain table", lambda path, lines: bool(lines), TableHints())
