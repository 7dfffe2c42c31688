"""The results file of one system at one task, see `results_path`: rows that a stopped run adds to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..recordings.imu_recording import ImuRecording
from ..systems.interface import System
from .results_file import read_percent, refuse_other_questions, refuse_others, results_path, write_percent
from .system_recognition import weights_of


@dataclass(frozen=True)
class TaskResults:
    """What one system scored at one task; scores in percent.

    Args:
        task: "retrieval", "captions", "bench" or "choices".
        system, title, requires, licence: of the system.
        weights: see `weights_of`.
        anymo_hf: version of this package.
        rows: each with what was asked ("dataset" and the like) and its scores.
    """

    task: str
    system: str
    title: str
    requires: str
    licence: str
    weights: str
    anymo_hf: str
    rows: tuple[dict[str, Any], ...]


def open_results(out: str | Path, task: str, system: System) -> tuple[Path, TaskResults]:
    """The file of a system at a task and what it holds; without rows where it is new.

    Raises:
        ValueError: it is damaged, of other weights or another model, or a language model was asked in another way.
    """
    path = results_path(out, task, system)
    new = TaskResults(
        task, system.name, system.title, system.requires, system.licence, weights_of(system), __version__, ()
    )
    found = read_task_results(path)
    if found is None:
        return path, new
    # the title of an endpoint's system names its model
    refuse_others(path, found, new, ("task", "title", "weights"))
    for row in found.rows:
        refuse_other_questions(path, row.get("report", {}), system)
    return path, found


def windows_hash(recordings: Sequence[ImuRecording]) -> str:
    """Of samples, people and labels, whatever files they came in; 16 digits."""
    digest = hashlib.sha256()
    for one in recordings:
        digest.update(f"{one.subject} {one.session} {one.start_time} {one.label} {sorted(one.signals)}".encode())
        for place in sorted(one.signals):
            digest.update(np.ascontiguousarray(one.signals[place], dtype=np.float32).tobytes())
    return digest.hexdigest()[:16]


def check_windows(path: Path, results: TaskResults, row: dict[str, Any], key: Sequence[str]) -> None:
    """ValueError where the file's row of the same `key` is of other windows than `row`, by their hash."""
    for held in results.rows:
        if all(held.get(name) == row.get(name) for name in key):
            said = held.get("windows_sha256")
            if said not in (None, row["windows_sha256"]):
                words = ", ".join(str(row[name]) for name in key)
                raise ValueError(f"{path} is of other windows of {words}; move it away or give another --out")


def add_rows(path: Path, results: TaskResults, rows: Sequence[dict[str, Any]], key: Sequence[str]) -> TaskResults:
    """Writes the file with new rows; a row with the same values of `key` is replaced."""
    new = {tuple(row.get(name) for name in key) for row in rows}
    kept = [row for row in results.rows if tuple(row.get(name) for name in key) not in new]
    results = replace(results, rows=(*kept, *rows), anymo_hf=__version__)
    write_percent(path, results)
    return results


# what a row of each task has at least
_FIELDS = {
    "retrieval": ("dataset", "subset", "windows", "texts"),
    "captions": ("dataset", "subset", "windows", "scores", "captions"),
    "bench": ("setting", "trained_on", "windows", "classes", "chance", "accuracy_at_1", "accuracy_at_5", "macro_f1"),
    "choices": ("dataset", "options", "windows", "missing", "log_probability", "generation", "invalid_rate"),
}


def read_task_results(path: str | Path) -> TaskResults | None:
    """A results file; None where it is not there, and errors as `read_percent`."""

    def make(found: dict[str, Any]) -> TaskResults:
        rows = tuple(dict(row) for row in found["rows"])
        if lacking := [name for row in rows for name in _FIELDS.get(found["task"], ()) if name not in row]:
            raise KeyError(lacking[0])
        return TaskResults(**found | {"rows": rows})

    return read_percent(path, make)
