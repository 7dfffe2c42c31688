"""Clip descriptions of the CMU motion capture database as sentences for the text side, one a line.

The index lists clip, description and subject theme. Its data came from mocap.cs.cmu.edu, funded by NSF EIA-0196217.
"""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

from ..atomic_write import write_text
from ..interruption import ending_in_words, refusing_bad_input

SOURCE = (
    "# clip descriptions of the CMU Graphics Lab Motion Capture Database. The data used in this project was obtained from "
    "mocap.cs.cmu.edu. The database was created with funding from NSF EIA-0196217."
)


def descriptions(path: Path) -> list[str]:
    """Different descriptions of the index, unknown ones left out; ValueError when it holds none."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if len(row) > 1 and re.fullmatch(r"\d+_\d+", row[0].strip())]
    texts = dict.fromkeys(" ".join(row[1].split()) for row in rows)
    found = [text for text in texts if text and text.lower() != "unknown"]
    if not found:
        raise ValueError(f"{path}: no line such as 02_01,walk,...; is this the index of all clips?")
    return found


@ending_in_words("cmu_texts")
def main(words: list[str] | None = None) -> None:
    """Writes the file by way of a temporary name; a bad index ends with 2."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--index", required=True, type=Path, help="cmu-mocap-index.csv")
    parser.add_argument("--output", required=True, type=Path, help="text file to write")
    arguments = parser.parse_args(words)
    with refusing_bad_input():
        texts = descriptions(arguments.index)
        write_text(arguments.output, "\n".join([SOURCE, *texts]) + "\n")
    print(f"{len(texts)} descriptions in {arguments.output}")
