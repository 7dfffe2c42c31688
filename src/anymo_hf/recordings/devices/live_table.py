"""A table whose lines come one by one, as from a serial port: understood by its first lines, then row after row."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

import numpy as np

from ...modeling.imu_signal import ACCELERATION_UNITS, ANGULAR_VELOCITY_UNITS, resolve_unit
from .device_format import ReadingOptions
from .table import TableHints, choose_channels, choose_clocks, preamble_rate
from .table_columns import SECONDS, find_triples, unit_of
from .table_layout import TableLayout, cells, layout_of_lines, separator_mark

_MOST_LINES = 160  # among which the first row of numbers must stand


@dataclass(frozen=True)
class LiveRow:
    """A row of numbers.

    Args:
        line: of the file, from 1 on.
        values: `(3,)` acceleration with gravity, or `(6,)` with angular velocity behind it, in the table's units.
        stamp: seconds on the table's own clock, since 1970 for dates; None where none was asked for.
    """

    line: int
    values: np.ndarray
    stamp: float | None


@dataclass(frozen=True)
class LiveTable:
    """What the first lines say.

    Args:
        source: for messages.
        columns: names of the signals, acceleration first; gravity: those that are added to the acceleration.
        acceleration_unit, angular_velocity_unit: as a user says or the names of the columns, or else SI units.
        rate: Hz, as a user says or the lines above the table; None where nobody does.
        time_column: the clock's, None where none was asked for; seconds: of one time stamp.
        warnings: what is probably wrong.
    """

    source: str
    columns: tuple[str, ...]
    gravity: tuple[str, ...]
    acceleration_unit: str
    angular_velocity_unit: str
    rate: float | None
    time_column: str | None
    seconds: float
    warnings: tuple[str, ...]
    _layout: TableLayout
    _sign: float
    _lines: Iterator[str]

    def rows(self) -> Iterator[LiveRow]:
        """Every row as it comes; empty lines are passed over.

        Raises:
            OSError: no readable text.
            ValueError: a row of too few or too many cells, or one that is no number.
        """
        layout, names = self._layout, list(self._layout.names)
        wanted = [names.index(name) for name in (*self.columns, *self.gravity)]
        clock = None if self.time_column is None else names.index(self.time_column)
        line = layout.skipped
        for text in self._lines:
            line += 1
            row = cells(text, layout.separator)
            if not any(row):
                continue
            if len(row) < len(names) or any(row[len(names) :]):
                raise ValueError(
                    f"{self.source}, line {line}: {len(row)} fields instead of {len(names)}; repair the line"
                )
            try:
                values = np.array([_number(row[place], layout.decimal) for place in wanted])
                stamp = None if clock is None else _stamp(row[clock], layout.decimal, self.seconds)
            except ValueError as error:
                raise ValueError(f"{self.source}, line {line}: {error}; repair the line") from error
            if self.gravity:
                values[:3] += values[-3:]
                values = values[:-3]
            values[:3] *= self._sign
            yield LiveRow(line, values, stamp)


def open_live_table(
    lines: Iterable[str], source: str, options: ReadingOptions, time_unit: str | None = None
) -> LiveTable:
    """Reads until the first rows of numbers have come.

    Args:
        lines: as they come.
        source: for messages.
        options: as of a file; without a `time_column` no clock is read.
        time_unit: of the time stamps, "s", "ms", "us" or "ns"; default: as the column's name says, or seconds.

    Raises:
        OSError: no readable text.
        ValueError: no table, or columns and units that it cannot have.
    """
    coming = _readable(lines, source)
    seen, layout = _first_rows(coming, source, options)
    channels = choose_channels(source, layout, options, TableHints())
    if channels.free and not channels.gravity:
        raise ValueError(
            f"{source}: {', '.join(channels.acceleration)} are acceleration without gravity, which cannot be repaired; "
            "send the accelerometer with gravity, or the gravity sensor beside it"
        )
    clock = None if options.time_column is None else choose_clocks(source, layout, options, TableHints())[0]
    said = "" if clock is None else unit_of(clock, layout.units)
    columns = (*channels.acceleration, *channels.angular_velocity)
    units = (
        _unit(options.acceleration_unit, "acceleration_unit", columns[0], layout, ACCELERATION_UNITS, "m/s^2"),
        _unit(
            options.angular_velocity_unit, "angular_velocity_unit", columns[-1], layout, ANGULAR_VELOCITY_UNITS, "rad/s"
        ),
    )
    warned = channels.warnings
    if layout.header_row == 0:
        warned += (f"the file names no columns; {', '.join(columns)} were taken by their place",)
    return LiveTable(
        source, columns, channels.gravity, *units, options.rate or preamble_rate(layout), clock,
        SECONDS[time_unit] if time_unit else SECONDS.get(said, 1.0), warned, layout, -1.0 if options.apple_sign else 1.0,
        chain(seen[layout.skipped :], coming),
    )  # fmt: skip


def _readable(lines: Iterable[str], source: str) -> Iterator[str]:
    """Lines without their ends; OSError where bytes are no text."""
    number = 0
    try:
        for line in lines:
            number += 1
            yield line.rstrip("\r\n")
    except (csv.Error, UnicodeDecodeError) as error:
        raise OSError(f"{source}, line {number + 1}: not a readable CSV ({error})") from error


def _first_rows(coming: Iterator[str], source: str, options: ReadingOptions) -> tuple[list[str], TableLayout]:
    """The lines up to the first rows of numbers, and how they are laid out."""
    said = options.header_row, options.separator, options.decimal
    seen: list[str] = []
    for line in coming:
        seen.append(line.lstrip("\ufeff") if not seen else line)
        if options.header_row is not None and len(seen) < options.header_row + 1:
            continue
        try:
            layout = layout_of_lines(seen, source, *said)
        except ValueError:
            layout = None  # said again below, unless more lines mend it
            if options.header_row is None:
                raise
        if layout is not None:
            return seen, layout
        if len(seen) >= _MOST_LINES:
            break
    if not any(seen):
        raise ValueError(f"{source}: empty; the first line must name the columns, such as acc_x,acc_y,acc_z")
    names = cells(seen[0], separator_mark(options.separator) or ",")
    if len(seen) == 1 and options.header_row in (None, 1) and find_triples(names):
        return seen, TableLayout(tuple(names))  # nothing came behind the header; a wrong column is still said
    layout_of_lines(seen, source, *said)
    raise ValueError(
        f"{source}: no acceleration columns such as acc_x, acc_y, acc_z in its first {len(seen)} lines; the first line must "
        "name them, or give header_row=, separator= or decimal="
    )


def _number(cell: str, decimal: str) -> float:
    try:
        return float(cell.replace(",", ".") if decimal == "," else cell)
    except ValueError:
        raise ValueError(f"{cell!r} is no number" if cell else "an empty cell is no number") from None


def _stamp(cell: str, decimal: str, seconds: float) -> float:
    """Seconds of a time stamp: a number of units of so many seconds, or an ISO 8601 date, in UTC unless it names a zone."""
    try:
        return _number(cell, decimal) * seconds
    except ValueError:
        try:
            date = datetime.fromisoformat(cell)
        except ValueError:
            raise ValueError(
                f"{cell!r} is neither a number nor an ISO date-time such as 2024-05-01T12:30:00.020"
            ) from None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def _unit(
    said: str | None, argument: str, column: str, layout: TableLayout, known: dict[str, float], usual: str
) -> str:
    """The unit of a column, by what a user or its name says."""
    if said is not None:
        return resolve_unit(said, known, argument)
    named = unit_of(column, layout.units)
    return named if named in known else usual
