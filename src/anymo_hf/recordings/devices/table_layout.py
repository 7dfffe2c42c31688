"""Where the table stands in a text file: encoding, separator, decimal mark, header line, units; and what its columns are."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .read_device import first_lines

_SEPARATORS = (",", ";", "\t")
_UNIT = re.compile(r"[(\[]([^()\[\]]*(?:\([^()]*\)[^()\[\]]*)?)[)\]]\s*$|\s+in\s+(ms|s)\s*$", re.I)
_UNITS = {
    "m/s^2": "m/s^2", "m/s²": "m/s^2", "m/s2": "m/s^2", "m/(s^2)": "m/s^2", "g": "g", "mg": "mg", "rad/s": "rad/s",
    "deg/s": "deg/s", "°/s": "deg/s", "dps": "deg/s", "s": "s", "ms": "ms", "us": "us", "ns": "ns",
}  # fmt: skip
_OTHER = {"linear", "user", "gravity", "mag", "magnetometer", "quat", "orientation", "free", "euler"}


@dataclass(frozen=True)
class TableLayout:
    """How to read the table of a file.

    Args:
        names: of its columns.
        separator, decimal, encoding: as pandas takes them.
        skipped: lines above the first row of numbers.
        units: column -> unit that the header or the row below it names.
    """

    names: tuple[str, ...]
    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8-sig"
    skipped: int = 1
    units: dict[str, str] = field(default_factory=dict)


def find_layout(path: Path) -> TableLayout | None:
    """The layout by the first lines of a file; None where no header stands above numbers."""
    lines = first_lines(path)
    for number in range(len(lines) - 1):
        fits = [layout for mark in _SEPARATORS if (layout := _layout_at(lines, number, mark))]
        if fits:
            best = max(fits, key=lambda layout: len(layout.names))
            return TableLayout(
                best.names, best.separator, best.decimal, _encoding(path), best.skipped, best.units
            )  # fmt: skip
    return None


def _layout_at(lines: list[str], number: int, mark: str) -> TableLayout | None:
    """The layout if line `number` is the header and `mark` the separator."""
    header = _cells(lines[number], mark)
    words = [cell for cell in header if cell and not _is_number(cell, mark)]
    if len(words) < 3 or len(words) < len([cell for cell in header if cell]):
        return None
    for below in (1, 2):
        if number + below >= len(lines):
            return None
        row = _cells(lines[number + below], mark)
        if len(row) != len(header):
            return None
        if sum(_is_number(cell, mark) for cell in row) >= 3:
            break
    else:
        return None
    given = _cells(lines[number + 1], mark) if below == 2 else [""] * len(header)
    comma = mark != "," and any(re.fullmatch(r"[-+]?\d+,\d+(e[-+]?\d+)?", cell, re.I) for cell in row)
    names = _unique(header)
    units = {}
    for name, cell in zip(names, given, strict=True):
        found = _UNIT.search(name)
        text = (cell or (found and (found[1] or found[2])) or "").strip().lower()
        if text in _UNITS:
            units[name] = _UNITS[text]
    return TableLayout(names, mark, "," if comma else ".", skipped=number + below, units=units)


def _cells(line: str, mark: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])]


def _is_number(cell: str, mark: str) -> bool:
    try:
        float(cell.replace(",", ".") if mark != "," else cell)
    except ValueError:
        return False
    return True


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name if names.index(name) == place else f"{name}.{place}" for place, name in enumerate(names))


def _encoding(path: Path) -> str:
    data = path.read_bytes() if path.stat().st_size < 1 << 16 else path.open("rb").read(1 << 16)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return "utf-8-sig" if error.start > len(data) - 4 else "latin-1"
    return "utf-8-sig"


def find_triples(names: Sequence[str], units: dict[str, str]) -> tuple[list[str] | None, list[str] | None]:
    """The x, y and z columns of the accelerometer and of the gyroscope, by words in their names or by their units."""
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for name in names:
        words = re.findall(r"[a-z0-9]+", _UNIT.sub("", name).lower())
        axes = [word for word in words if word in ("x", "y", "z")]
        if len(axes) != 1 or _OTHER & set(words):
            continue
        unit = units.get(name, "")
        if any(word.startswith("acc") for word in words) or unit in ("m/s^2", "g", "mg"):
            kind = "acc"
        elif any(word.startswith(("gyr", "angular")) for word in words) or unit in ("rad/s", "deg/s"):
            kind = "gyr"
        elif set(words) <= {"x", "y", "z", "axis"}:
            kind = "acc"  # an export of the one sensor
        else:
            continue
        rest = " ".join(word for word in words if word not in axes)
        groups.setdefault((kind, rest), {}).setdefault(axes[0], name)
    found: dict[str, list[str]] = {}
    for (kind, _), triple in groups.items():
        if len(triple) == 3:
            found.setdefault(kind, [triple[axis] for axis in "xyz"])
    return found.get("acc"), found.get("gyr")


def find_time_column(names: Sequence[str]) -> str | None:
    """The first column whose name speaks of time."""
    words = ("timestamp", "epoch", "sampletimefine", "time")
    return next((name for word in words for name in names if word in re.sub(r"[^a-z]", "", name.lower())), None)
