"""JSON files of scores in percent: how every task writes and reads its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from ..atomic_write import write_json
from ..refusals import parse_json
from ..systems.interface import System

Results = TypeVar("Results")


def results_path(out: str | Path, task: str, system: System) -> Path:
    """`OUT/TASK/NAME.json`; `NAME.MODEL.json` of a language model at an endpoint, so that each has a file of its own."""
    model = getattr(getattr(system, "settings", None), "model", "") if system.requires == "endpoint" else ""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "_", model)
    return Path(out) / task / (f"{system.name}.{slug}.json" if slug else f"{system.name}.json")


def refuse_others(path: Path, held: Any, asked: Any, names: Sequence[str]) -> None:
    """ValueError where the file's results differ from those asked for in one of the fields, with those that do."""
    differ = [
        f"{name} {getattr(held, name)!r}, asked for is {getattr(asked, name)!r}"
        for name in names
        if getattr(held, name) != getattr(asked, name)
    ]
    if differ:
        raise ValueError(
            f"{path} is of other weights or settings of {asked.system} ({'; '.join(differ)}); move it away or give "
            "another --out"
        )


def refuse_other_questions(path: Path, held: dict[str, Any], system: System) -> None:
    """ValueError where a report in the file says that a system was asked in another way than this one would be."""
    asked = system.report()
    differ = [name for name in system.asked_alike if held.get(name, asked.get(name)) != asked.get(name)]
    if differ:
        raise ValueError(
            f"{path} was asked with other settings ({', '.join(differ)}); move it away or give another --out"
        )


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
