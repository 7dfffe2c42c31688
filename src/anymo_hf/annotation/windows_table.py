"""The table of narrated windows: from a Nymeria copy or a JSONL, CSV or Parquet file, and with augmentations and labels.

Columns in: `sequence`, `start` and `end` (seconds, passed on as they are: the builders are told their clock by `--times`),
`text`; optional `sample_id`, `session_id`, `subject_id`. Other columns are left aside. The names of the output are
understood, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..atomic_write import replacing
from ..motion.formats.nymeria_sequence import read_xdata
from ..nymeria.narration import read_narrations
from ..nymeria.sequence import find_time_map, read_metadata, sequence_folders
from ..refusals import parse_json, refusing, shortened
from ..thread_room import WITHOUT_THREADS

COLUMNS = ("sample_id", "session_id", "subject_id", "start_time_sec", "end_time_sec", "narration")
_ALIASES = {"sequence": "session_id", "start": "start_time_sec", "end": "end_time_sec", "text": "narration"}
_NYMERIA = re.compile(r"^\d{8}_s\d+_(?P<subject>.+?)_act\d+_")


def read_windows(path: str | Path) -> pd.DataFrame:
    """Narrated windows with the columns `COLUMNS`, sorted by session and time.

    A missing `session_id` is the sequence, a missing `subject_id` the person in a Nymeria sequence's name or else the
    session, a missing `sample_id` the session and the times in milliseconds.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: an unknown ending, a missing column, no rows; a row without text, with times that are no numbers or
            out of order, or with a sample_id that another row has.
    """
    with refusing(path, "table of narrated windows", "write it again"):
        return _read_windows(Path(path))


def _read_windows(path: Path) -> pd.DataFrame:
    table = _read(path)
    if {"sequence", "session_id"} <= set(table):
        table["session_id"] = table["session_id"].where(table["session_id"].notna(), table["sequence"])
        table = table.drop(columns="sequence")
    table = table.rename(columns={old: new for old, new in _ALIASES.items() if old in table and new not in table})
    if missing := [old for old, new in _ALIASES.items() if new not in table]:
        raise ValueError(f"{path}: no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")
    if table.empty:
        raise ValueError(f"{path}: holds no row; give a table of narrated windows")

    def refuse(rows: np.ndarray, fault: str, mend: str) -> None:
        if rows.any():
            raise ValueError(f"{path}, row {int(np.argmax(rows)) + 1} of {len(rows)}: {fault}; {mend}")

    for name in ("session_id", "narration"):
        table[name] = table[name].map(lambda cell: "" if pd.isna(cell) else " ".join(str(cell).split()))
        refuse((table[name] == "").to_numpy(), f"{name} is empty", "fill it in or drop the row")
    for name in ("start_time_sec", "end_time_sec"):
        table[name] = pd.to_numeric(table[name], errors="coerce").astype(float)
        refuse(~np.isfinite(table[name].to_numpy()), f"{name} is no number", "give seconds, or drop the row")
    start, end = table["start_time_sec"].to_numpy(), table["end_time_sec"].to_numpy()
    refuse(start >= end, "ends before it starts", "correct start and end, or drop the row")
    sessions = table["session_id"]
    named = sessions.str.extract(_NYMERIA)["subject"]
    _fill(table, "subject_id", named.where(named.notna(), sessions))
    times = (f"{round(1000 * a):08d}_{round(1000 * b):08d}" for a, b in zip(start, end, strict=True))
    _fill(table, "sample_id", sessions + "_" + pd.Series(list(times), index=table.index))
    refuse(
        table["sample_id"].duplicated().to_numpy(), "its sample_id is that of another row",
        "drop the double row, or give every row a sample_id of its own",
    )  # fmt: skip
    table = table.sort_values(["session_id", "start_time_sec", "end_time_sec", "sample_id"], kind="stable")
    return table[list(COLUMNS)].reset_index(drop=True)


def narrated_windows(nymeria: str | Path, progress: bool = False) -> tuple[pd.DataFrame, dict[str, str]]:
    """The atomic actions of a Nymeria copy, with the columns `COLUMNS`; times are TIME_CODE seconds.

    The wearer "C" becomes "a person", "a human" or "an individual", always alike.

    Args:
        nymeria: the folder of sequences.
        progress: show a bar.

    Returns:
        The table, and sequence -> why its narrations are not in it.

    Raises:
        OSError: no sequence there.
        ValueError: no narration of any sequence can be used.
    """
    from tqdm import tqdm

    rows: list[tuple[Any, ...]] = []
    left_out: dict[str, str] = {}
    for folder in tqdm(sequence_folders(nymeria), unit="recording", delay=2, disable=not progress):
        try:
            subject, times = read_metadata(folder).subject, read_xdata(folder / "body" / "xdata.npz")[1].timestamps_us
            origin, seconds = int(times[0]), float(times[-1] - times[0]) * 1e-6
            found, _ = read_narrations(folder, find_time_map(folder, origin), origin, seconds, name_seed=0)
        except (OSError, ValueError) as error:
            left_out[folder.name] = str(error)
            continue
        if not found:
            left_out[folder.name] = "no atomic action"
        for number, item in enumerate(found):
            start, end = (origin * 1e-6 + second for second in (item.start, item.end))
            rows.append((f"{folder.name}:{number:04d}", folder.name, subject, start, end, item.text))
    if not rows:
        raise ValueError(f"{nymeria}: no narration can be used; the first: {next(iter(left_out.values()))}")
    return pd.DataFrame(rows, columns=list(COLUMNS)), left_out


def _read(path: Path) -> pd.DataFrame:
    kind = path.suffix.lower()
    if kind not in (".jsonl", ".csv", ".parquet"):
        raise ValueError(f"{path}: narrated windows must be .jsonl, .csv or .parquet")
    if not path.is_file():
        raise OSError(f"{path}: no such file")
    ids = dict.fromkeys(("sequence", "text", *COLUMNS[:3], "narration"), str)  # an id such as 007 keeps its zeros
    try:
        if kind == ".parquet":
            return pd.read_parquet(path, **WITHOUT_THREADS)
        if kind == ".csv":
            return pd.read_csv(path, dtype=ids, keep_default_na=False, na_values=[""], encoding="utf-8-sig")
        with path.open(encoding="utf-8-sig") as file:
            return pd.DataFrame([_json_row(number, line) for number, line in enumerate(file, 1) if line.strip()])
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise OSError(shortened(f"{path}: not a readable {kind[1:]} file ({error}); write it again")) from error


def _json_row(number: int, line: str) -> dict[str, Any]:
    try:
        row = parse_json(line)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"line {number}: not a JSON object")
    return row


def _fill(table: pd.DataFrame, name: str, default: pd.Series) -> None:
    given = table[name].map(lambda cell: "" if pd.isna(cell) else str(cell).strip()) if name in table else default
    table[name] = given.where(given != "", default)


def annotate_rows(
    windows: pd.DataFrame, augmentations: Mapping[str, Sequence[str]], labels: Sequence[str | None]
) -> pd.DataFrame:
    """`windows` with the columns `augmentations` (five texts) and `label` (None where no label was found)."""
    table = windows.copy()
    table["augmentations"] = [list(augmentations[text]) for text in windows["narration"]]
    table["label"] = pd.Series(list(labels), index=table.index, dtype=object)
    return table


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Parquet or CSV by the file's ending; whole or not at all."""
    path = Path(path)
    with replacing(path) as draft:
        if path.suffix == ".csv":
            table.to_csv(draft, index=False)
        else:
            table.to_parquet(draft, index=False)
