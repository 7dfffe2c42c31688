"""Serial logs of Arduino and ESP32 boards: "17:41:40.123 -> 0.1,0.2,9.8" or "aX = 123 | aY = …", without a header.

Values are as the sketch prints them. Raw counts of an MPU-6050 (16,384 a g at its usual range) are warned about, not
guessed. Layout: the serial monitor of the Arduino IDE (https://docs.arduino.cc/software/ide/).
"""

from __future__ import annotations

import re
import string
from pathlib import Path
from tempfile import TemporaryDirectory

from .device_format import DeviceFormat, ReadingOptions, Samples
from .read_device import decoded
from .table import TableHints, read_table

_STAMP = re.compile(r"^\s*(\d{1,2}:\d{2}:\d{2}\.\d{1,6})\s*->\s*(.*)$")
_VALUE = re.compile(r"[:=]\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")
_OF_A_NAME = string.ascii_letters + "_. "


def _pairs(text: str) -> list[tuple[str, str]]:
    """Names and values; a name ends at its sign and begins after what no name holds, so no letter is looked at twice."""
    found, end = [], 0
    for value in _VALUE.finditer(text):
        before = text[end : value.start()].rstrip()
        name = before[len(before.rstrip(_OF_A_NAME)) :].lstrip(". ")
        if name:
            found.append((name, value[1]))
        end = value.end()
    return found


def _parse(line: str) -> dict[str, str] | None:
    """Names and values of a line; None where it is no line of samples."""
    stamp = _STAMP.match(line)
    rest = stamp[2] if stamp else line
    row = {"time": stamp[1]} if stamp else {}
    pairs = _pairs(rest)
    if len(pairs) >= 3:
        return row | {name.replace(" ", "_"): value for name, value in pairs}
    values = [cell for cell in re.split(r"[,;\t ]+", rest.strip()) if cell]
    if (
        stamp
        and len(values) in (3, 6)
        and all(re.fullmatch(r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?", cell) for cell in values)
    ):
        names = ["ax", "ay", "az", "gx", "gy", "gz"][: len(values)]
        return row | dict(zip(names, values, strict=True))
    return None


def _recognise(path: Path, lines: list[str]) -> bool:
    if not lines or lines[0].lstrip().startswith(("{", "[")):
        return False
    found = [_parse(line) for line in lines[-20:-1] or lines]
    return sum(row is not None for row in found) > 0.8 * len(found) and len(found) > 2


def _read(path: Path, options: ReadingOptions) -> Samples:
    """The samples; lines of other text are counted and passed over.

    Raises:
        ValueError: as the general table.
    """
    lines = decoded(path.read_bytes()).splitlines()
    rows = [row for line in lines if (row := _parse(line)) is not None]
    names = max((tuple(row) for row in rows), key=len)
    kept = [row for row in rows if tuple(row) == names]
    with TemporaryDirectory() as folder:
        flat = Path(folder) / f"{path.stem}.csv"
        flat.write_text("\n".join([",".join(names), *(",".join(row[name] for name in names) for row in kept)]) + "\n")
        try:
            samples = read_table(flat, options, TableHints(title="Arduino"))
        except (OSError, ValueError) as error:
            raise type(error)(str(error).replace(str(flat), str(path))) from error
    samples.files = (path,)
    if passed := sum(1 for line in lines if line.strip()) - len(kept):
        samples.notes.append(f"{passed} lines that hold no sample were passed over")
    return samples


FORMAT = DeviceFormat(
    "arduino", "Arduino or ESP32 serial log", _recognise, _read, "https://docs.arduino.cc/software/ide/",
)  # fmt: skip
