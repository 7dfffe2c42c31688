"""A timeline as a table and as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..atomic_write import write_text
from ..modeling.windows import TimelineEntry, WindowAnswer

COLUMNS = ("start", "end", "activity", "confidence")


def write_timeline_csv(path: str | Path, entries: Sequence[TimelineEntry]) -> None:
    """Writes `COLUMNS`, a row an entry, in seconds since the recording began; the file appears whole or not at all."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows([f"{e.start:.3f}", f"{e.end:.3f}", e.activity, f"{e.confidence:.4f}"] for e in entries)
    write_text(path, text.getvalue())


def timeline_json(
    entries: Sequence[TimelineEntry], answers: Sequence[WindowAnswer], labels: Sequence[str]
) -> dict[str, Any]:
    """`timeline` and `windows` with numbers; a window's scores are those before smoothing."""
    return {
        "timeline": [
            {
                "start": round(entry.start, 3), "end": round(entry.end, 3), "activity": entry.activity,
                "confidence": entry.confidence, "windows": entry.windows,
            }
            for entry in entries
        ],
        "windows": [
            {
                "start": round(answer.start, 3), "end": round(answer.end, 3),
                "scores": dict(zip(labels, map(float, answer.scores), strict=True)),
            }
            for answer in answers
        ],
    }  # fmt: skip
