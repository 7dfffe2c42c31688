"""Where the table stands in a text file: encoding, separator, decimal mark, header line, units below it."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .read_device import first_lines

SEPARATORS = (",", ";", "\t", "|", " ")
_COMMENT = re.compile(r"^\s*(#+|//+|%+)\s*")


@dataclass(frozen=True)
class TableLayout:
    """How to read the table of a file.

    Args:
        names: of its columns.
        separator, decimal, encoding: as pandas takes them.
        skipped: lines above the first row of numbers.
        header_row: line of the names, from 1 on; 0 where the file has none and `names` are made up.
        units: column -> cell of the row of units below the names.
        preamble: the lines above the names.
    """

    names: tuple[str, ...]
    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8-sig"
    skipped: int = 1
    header_row: int = 1
    units: dict[str, str] = field(default_factory=dict)
    preamble: tuple[str, ...] = ()


def find_layout(
    path: Path, header_row: int | None = None, separator: str | None = None, decimal: str | None = None
) -> TableLayout | None:
    """The layout by the first lines of a file and what a user says; None where no row holds three numbers.

    Raises:
        ValueError: a separator or decimal mark that is none, or a header row that the file lacks.
    """
    found = layout_of_lines(first_lines(path), str(path), header_row, separator, decimal)
    return None if found is None else replace(found, encoding=encoding_of(path))


def layout_of_lines(
    lines: list[str],
    source: str,
    header_row: int | None = None,
    separator: str | None = None,
    decimal: str | None = None,
) -> TableLayout | None:
    """As `find_layout`, of lines at hand; `source` is for messages."""
    separator = separator_mark(separator)
    if decimal not in (None, ".", ","):
        raise ValueError(f"decimal= must be '.' or ',', got {decimal!r}")
    if decimal is not None and decimal == separator:
        raise ValueError(f"separator= and decimal= are both {decimal!r}; they must differ")
    marks = SEPARATORS if separator is None else (separator,)
    marks = tuple(mark for mark in marks if mark != decimal)
    if header_row is not None:
        if not 0 <= header_row <= len(lines):
            raise ValueError(f"{source}: header_row= must lie between 0 (none) and {len(lines)}, got {header_row}")
        fits = (
            _headless(lines, marks, decimal)
            if header_row == 0
            else [found for mark in marks if (found := _layout_at(lines, header_row - 1, mark, decimal, forced=True))]
        )
        if not fits:
            raise ValueError(f"{source}: header_row={header_row} has no row of as many numbers below it")
    else:
        fits = []
        for number in range(len(lines) - 1):
            fits = [found for mark in marks if (found := _layout_at(lines, number, mark, decimal))]
            if fits:
                break
        fits = fits or _headless(lines, marks, decimal)
    if not fits:
        return None
    best = max(fits, key=lambda layout: len(layout.names))
    return replace(best, preamble=tuple(lines[: max(best.header_row - 1, 0)]))


def separator_mark(said: str | None) -> str | None:
    """The character between cells that a user's word means; None for none.

    Raises:
        ValueError: a longer word that means none.
    """
    if said is None or len(said) == 1:
        return said
    named = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}.get(said)
    if named is None:
        raise ValueError(f"separator= must be one character, or one of tab, space, comma, semicolon, got {said!r}")
    return named


def _layout_at(
    lines: list[str], number: int, mark: str, decimal: str | None, forced: bool = False
) -> TableLayout | None:
    """The layout if line `number` is the header and `mark` the separator."""
    header = cells(_COMMENT.sub("", lines[number]), mark)
    words = [cell for cell in header if cell and not is_number(cell, mark, decimal)]
    if not forced and (len(words) < 3 or len(words) < len([cell for cell in header if cell])):
        return None
    given: list[str] = []
    for below in (1, 2):
        if number + below >= len(lines):
            return None
        row = cells(lines[number + below], mark)
        if len(row) < len(header):
            if below == 1 and not row:
                continue  # an empty line
            return None
        least = min(3, len(words)) if forced else 3
        if sum(is_number(cell, mark, decimal) for cell in row) >= least:
            break
        given = row
    else:
        return None
    if len(row) > len(header) and any(row[len(header) :]) and mark == " ":
        return None
    names = _unique(header)
    units = {name: cell for name, cell in zip(names, given, strict=False) if cell}
    return TableLayout(
        names, mark, decimal or _decimal(row, mark), skipped=number + below, header_row=number + 1, units=units
    )


def _headless(lines: list[str], marks: Sequence[str], decimal: str | None) -> list[TableLayout]:
    """Layouts of a file in which nothing but numbers stands, under names made of their place."""
    for number in range(max(0, len(lines) - 2)):
        fits = []
        for mark in marks:
            rows = [cells(line, mark) for line in lines[number : number + 3]]
            width = len(rows[0])
            numbers = [sum(is_number(cell, mark, decimal) for cell in row) for row in rows]
            if len({len(row) for row in rows}) == 1 and min(numbers) >= 3:
                names = tuple(f"column {place + 1}" for place in range(width))
                fits.append(TableLayout(names, mark, decimal or _decimal(rows[0], mark), skipped=number, header_row=0))
        if fits:
            return fits
    return []


def cells(line: str, mark: str) -> list[str]:
    """Cells of a line, without quotes and spaces around them."""
    if mark == " ":
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])]


def is_number(cell: str, mark: str, decimal: str | None = None) -> bool:
    """Whether a cell holds a number, with a decimal comma where commas separate nothing."""
    try:
        float(cell.replace(",", ".") if mark != "," and decimal != "." else cell)
    except ValueError:
        return False
    return "_" not in cell


def _decimal(row: Sequence[str], mark: str) -> str:
    comma = mark != "," and any(re.fullmatch(r"[-+]?\d*,\d+(e[-+]?\d+)?", cell, re.I) for cell in row)
    return "," if comma else "."


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name if names.index(name) == place else f"{name}.{place}" for place, name in enumerate(names))


def encoding_of(path: Path) -> str:
    """UTF-8 or UTF-16 with or without a mark, or else Latin-1, as Python names them."""
    with path.open("rb") as file:
        data = file.read(1 << 16)
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return "utf-16"
        while data:  # a single sign far down the file, such as a place's name, decides as well
            try:
                data.decode("utf-8")
            except UnicodeDecodeError as error:
                if error.start <= len(data) - 4:
                    return "latin-1"
                data = data[error.start :] + file.read(1 << 20)
                if len(data) < 5:
                    return "latin-1"
                continue
            data = file.read(1 << 20)
    return "utf-8-sig"
