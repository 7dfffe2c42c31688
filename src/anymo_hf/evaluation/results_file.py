"""JSON files of scores in percent: how every task writes and reads its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from ..atomic_write import write_json
from ..refusals import parse_json

Results = TypeVar("Results")


def write_percent(path: str | Path, results: Any) -> Path:
    """A dataclass of scores as JSON with its unit, whole or not at all."""
    return write_json(path, {"unit": "percent", **asdict(results)}, indent=1)


def read_percent(path: str | Path, make: Callable[[dict[str, Any]], Results]) -> Results | None:
    """What `write_percent` wrote, by `make` of the fields; None where the file is not there.

    Raises:
        ValueError: it is damaged or of another version.
    """
    if not Path(path).is_file():
        return None
    try:
        content = parse_json(Path(path).read_text(encoding="utf-8"))
        if content.pop("unit") != "percent":
            raise KeyError("unit")
        return make(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a results file of this version ({error!r}); move it away") from error
