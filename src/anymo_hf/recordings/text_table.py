"""Big tables of numbers in text: read in blocks, every line with the full number of fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from .download import CUT_OFF, Download, Member

BLOCK_BYTES = 1 << 24


def read_blocks(
    file: IO[bytes],
    source: str,
    columns: int,
    use: Sequence[int],
    delimiter: str | None = None,
    fix: Callable[[bytes], bytes] | None = None,
    foreign: Mapping[int, str] | None = None,
    first_line: int = 1,
) -> Iterator[np.ndarray]:
    """Blocks `(rows, len(use))` float64 of a table; NaN where the text says so.

    Args:
        file: at the first row of numbers; blank lines are skipped.
        source: for messages.
        columns: fields that every line must have.
        use: rising positions of those wanted.
        delimiter: "," or None for white space.
        fix: mends a line before its fields are counted.
        foreign: number of fields -> what the file is then, for the message.
        first_line: its number in the file, for messages.

    Raises:
        OSError: cut off inside a zip.
        ValueError: a line with another number of fields, text where numbers belong, or no row at all.
    """
    number, last = first_line, -1
    while True:
        try:
            lines = file.readlines(BLOCK_BYTES)
        except CUT_OFF as error:
            raise OSError(f"{source}: damaged in its zip ({error}); download it again") from error
        if not lines:
            break
        rows = []
        for line in lines:
            line = line.strip()
            if line:
                line = fix(line) if fix else line
                fields = len(line.split()) if delimiter is None else line.count(delimiter.encode()) + 1
                if fields != columns:
                    what = (foreign or {}).get(fields, "the file is cut off or another version; download it again")
                    raise ValueError(f"{source}, line {number}: {fields} columns instead of {columns}; {what}")
                rows.append(line)
                last = number
            number += 1
        if rows:
            text = BytesIO(b"\n".join(rows))
            try:
                table = pd.read_csv(text, sep=delimiter or r"\s+", header=None, usecols=list(use), dtype=np.float64)
            except (ValueError, pd.errors.ParserError) as error:
                raise ValueError(
                    f"{source}, lines up to {last}: text where numbers belong ({error}); download it again"
                ) from error
            yield table.to_numpy()
    if last < 0:
        raise ValueError(f"{source}: holds no row of numbers; download it again")


def read_table(download: Download, member: Member, columns: int) -> np.ndarray:
    """A small table of numbers `(rows, columns)` in one piece.

    Raises:
        OSError, ValueError: as in `read_blocks`; also a NaN.
    """
    with download.open(member) as file:
        table = np.concatenate(list(read_blocks(file, member.source, columns, range(columns))))
    if not np.isfinite(table).all():
        row = int(np.argmin(np.isfinite(table).all(axis=1)))
        raise ValueError(f"{member.source}: row {row + 1} holds a NaN; download the file again")
    return table


def read_header(file: IO[bytes]) -> list[str]:
    """Names of the first line of a comma-separated file, without quotes."""
    line = file.readline().decode("utf-8-sig", errors="replace").strip()
    return [name.strip().strip('"') for name in line.split(",")]


def read_column(
    path: Path, column: int | str, unit: float, delimiter: str | None = None, rows: int = 5000
) -> np.ndarray:
    """`(rows,)` numbers of the first rows of one column, times `unit`; NaN where a cell holds none.

    Args:
        path: a text table.
        column: its position, or its name in the header.
        unit: factor, such as seconds of one time stamp.
        delimiter: between cells; white space when left out.
        rows: at most so many.
    """
    import pandas as pd

    header = None if isinstance(column, int) else 0
    table = pd.read_csv(path, sep=delimiter or r"\s+", header=header, usecols=[column], index_col=False, nrows=rows)
    return pd.to_numeric(table[column], errors="coerce").to_numpy(float) * unit
