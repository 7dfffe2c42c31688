"""Annotations of a Nymeria copy: who, when, what was said and which label, from a label pipeline or the official files."""

from __future__ import annotations

import ast
import contextlib
import csv
import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..array_file import ArrayFile
from ..atomic_write import draft_beside
from ..modeling.known_names import did_you_mean
from ..motion.activity_labels import anymo180
from ..refusals import refusing
from .imu_grid import STEP_NS
from .sequence import read_metadata, sequence_folders

_ROWS = 65_536  # of a batch
_EMPTY = {"", "#N/A", "#NA", "-NaN", "-nan", "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null"}  # cells of a CSV file
_FAR = 1e11  # seconds, three thousand years
CLOCKS = ("timecode", "motion")
OFFICIAL_ANNOTATIONS = "multimodal_sync_60hz/anymo_annotations.csv"
OFFICIAL_TIMES = "multimodal_sync_60hz/atomic_action_60hz.csv"
_AUGMENTATIONS = tuple(f"augmented_atomic_action_{number}" for number in range(1, 6))
# field -> our column, the official one
_COLUMNS = {
    "narration": ("narration", "Describe my atomic actions"),
    "label": ("label", "activity_label"),
    "superclass": ("superclass_50_label",),
}


@dataclass(frozen=True)
class Annotation:
    """One narration of a recording.

    Args:
        sample_id: of the source, else made from the session and the row.
        session: name of the sequence.
        subject: who wears the devices.
        start, end: TIME_CODE seconds.
        narration: the sentence.
        augmentations: other wordings.
        label: AnyMo-180 label, None where there is none.
        superclass: official Core50 class, where the source has the column.
    """

    sample_id: str
    session: str
    subject: str
    start: float
    end: float
    narration: str
    augmentations: tuple[str, ...]
    label: str | None
    superclass: str | None = None

    def frames(self) -> tuple[int, int]:
        """First frame and number of frames on the 60 Hz grid; five seconds are 300."""
        return round(self.start * 1e9 / STEP_NS), round((self.end - self.start) * 1e9 / STEP_NS)


def find_sessions(nymeria: str | Path, annotations: str | Path | None) -> list[Path]:
    """The sequences that are to be read, sorted.

    Args:
        nymeria: the folder of sequences.
        annotations: a Parquet or CSV file or a folder of them; None for the official files inside the sequences.

    Raises:
        OSError: no sequence, or no annotations.
        ValueError: annotations name a sequence that is not there, or lack a column.
    """
    folders = sequence_folders(nymeria)
    if annotations is None:
        found = [path for path in folders if (path / OFFICIAL_ANNOTATIONS).is_file()]
        if not found:
            raise FileNotFoundError(
                f"{nymeria}: no sequence holds {OFFICIAL_ANNOTATIONS}; give the annotations of your own label pipeline"
            )
        return found
    named: set[str] = set()
    table = _open(annotations)
    for batch in table.batches(["session_id"]):
        named.update(str(value) for value in batch.column(0).unique().to_pylist())
    by_name = {path.name: path for path in folders}
    if missing := sorted(named - set(by_name)):
        raise ValueError(
            f"{annotations}: {len(missing)} of {len(named)} sessions are not in {nymeria}, the first is {missing[0]!r}; "
            "download them or leave their rows out"
        )
    if not named:
        raise ValueError(f"{annotations}: holds no rows")
    return [by_name[name] for name in sorted(named)]


def read_annotations(
    folder: str | Path, annotations: str | Path | None, times: str = "timecode", named: str | None = None
) -> list[Annotation]:
    """Annotations of one sequence in the order of their times.

    Args:
        folder: the sequence.
        annotations: as `find_sessions`, or a folder that `by_session` wrote.
        times: clock of start_time_sec and end_time_sec: "timecode", or "motion" for seconds from the first frame of
            `body/xdata.npz`, as `read_nymeria` gives narrations. The official files are in TIME_CODE whatever is said.
        named: what messages call the annotations.

    Raises:
        OSError: a file is missing.
        ValueError: a column is missing, a time cannot be read, a label is not in AnyMo-180, or another subject's row.
    """
    folder = Path(folder)
    if times not in CLOCKS:
        raise ValueError(f"times must be one of {', '.join(CLOCKS)}, got {times!r}")
    source = named or annotations or folder / OFFICIAL_ANNOTATIONS
    with refusing(source, "table of annotations", "write it again"):
        return _read_annotations(folder, annotations, times, named)


def _read_annotations(folder: Path, annotations: str | Path | None, times: str, named: str | None) -> list[Annotation]:
    subject = read_metadata(folder).subject
    origin = 0.0
    if annotations is None:
        source: str | Path = folder / OFFICIAL_ANNOTATIONS
        rows = _official_rows(folder)
    else:
        source = named or annotations
        part = _part(Path(annotations), folder.name)
        if times == "motion":
            origin = float(ArrayFile(folder / "body" / "xdata.npz", "download it again")["timestamps_us"][0]) * 1e-6
        table = _Table(sorted(part.glob("*.parquet"))) if part.is_dir() else _open(annotations)
        needed = ("session_id", "start_time_sec", "end_time_sec")
        known = {name for names in _COLUMNS.values() for name in names}
        names = {*needed, "sample_id", "subject_id", "augmentations", *_AUGMENTATIONS, *known}
        columns = [name for name in table.schema.names if name in names]
        rows = []
        for batch in table.batches(columns, None if part.is_dir() else folder.name):
            rows += batch.to_pylist()
    labels = anymo180()
    found = []
    for number, row in enumerate(rows):
        where = f"{source}: row {number + 1} of {folder.name}"
        try:
            start, end = origin + float(row["start_time_sec"]), origin + float(row["end_time_sec"])
        except (TypeError, ValueError):
            start = end = float("nan")
        if not -_FAR < start < end < _FAR:
            raise ValueError(f"{where}: times are {row['start_time_sec']!r} to {row['end_time_sec']!r}; give seconds")
        label = _first(row, "label")
        if label is not None and label not in labels:
            hint = did_you_mean(label, labels)
            raise ValueError(f"{where}: unknown label {label!r}{hint}; it must be one of AnyMo-180 or empty")
        if (who := str(row.get("subject_id") or subject)) != subject:
            raise ValueError(f"{where}: subject_id is {who!r}, the sequence is of {subject!r}")
        found.append(
            Annotation(
                str(row.get("sample_id") or f"{folder.name}:{number:04d}"), folder.name, subject, start, end,
                _first(row, "narration") or "", _augmentations(row, where), label, _first(row, "superclass"),
            )
        )  # fmt: skip
    return sorted(found, key=lambda item: (item.start, item.end, item.sample_id))


def by_session(annotations: str | Path, cache: str | Path) -> Path:
    """A copy of the annotations with one folder for each session, so that reading one does not scan them all.

    Written once, a batch of rows at a time; a changed file is copied anew.

    Raises:
        OSError, ValueError: as `find_sessions`.
    """
    table = _open(annotations)
    facts = [(name, os.stat(name).st_size, os.stat(name).st_mtime_ns) for name in table.files]
    target = Path(cache) / f"annotations.{hashlib.sha256(repr(facts).encode()).hexdigest()[:12]}"
    if target.is_dir():
        return target
    kept = [name for name in table.schema.names if name != "session_id"]
    with draft_beside(target) as temporary:
        temporary.mkdir()
        for number, batch in enumerate(table.batches(table.schema.names)):
            for session in batch.column("session_id").unique().drop_null().to_pylist():
                rows = batch.filter(pc.equal(batch.column("session_id"), session)).select(kept)
                path = _part(temporary, str(session)) / f"part-{number:06d}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(pa.Table.from_batches([rows]), path)
        with contextlib.suppress(OSError):  # another process may have been faster
            os.replace(temporary, target)
    return target


def _part(folder: Path, session: str) -> Path:
    """Where `by_session` puts the rows of a sequence."""
    return folder / f"session_id={quote(session, safe=' ')}"


class _Table:
    """Rows of Parquet or CSV files, a batch at a time, with the columns and types of the first file.

    `pyarrow.dataset` reads ahead in threads, and where memory is too small to start one it waits for it for ever; its reader
    of CSV aborts.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = [str(path) for path in files]
        self._csv = files[0].suffix == ".csv"
        self.schema: pa.Schema = next(_csv_batches(files[0])).schema if self._csv else pq.read_schema(files[0])

    def batches(self, columns: Sequence[str], session: str | None = None) -> Iterator[pa.RecordBatch]:
        """Columns of all rows, or of a session's, in the order of the files; what a later file lacks is empty."""
        wanted = pa.schema([self.schema.field(name) for name in columns])
        for path in self.files:
            if self._csv:
                yield from (_fitted(batch, wanted) for batch in _csv_batches(path, session))
                continue
            with pq.ParquetFile(path) as file:
                held = [name for name in columns if name in file.schema_arrow.names]
                for batch in file.iter_batches(_ROWS, columns=held, use_threads=False):
                    rows = _fitted(batch, wanted)
                    yield rows if session is None else rows.filter(pc.equal(rows.column("session_id"), session))


def _csv_batches(path: str | Path, session: str | None = None) -> Iterator[pa.RecordBatch]:
    """Cells as texts; the first batch is empty, and tells the columns.

    Raises:
        ValueError: no table, or a row that is longer or shorter than the first.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, strict=True)
            names = next(rows, [])
            if not names or len(set(names)) < len(names):
                raise ValueError(f"its first line names {len(names)} columns, {len(set(names))} of them different")
            schema = pa.schema([(name, pa.string()) for name in names])
            yield _texts([], schema)
            while block := list(itertools.islice(rows, _ROWS)):
                if other := [row for row in block if row and len(row) != len(names)]:
                    raise ValueError(
                        f"of {len(names)} columns, with a row of {len(other[0])}, {','.join(other[0])[:80]!r}"
                    )
                at = names.index("session_id") if session is not None else 0
                yield _texts([row for row in block if row and session in (None, row[at])], schema)
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path}: not a readable table ({error}); write it again") from error


def _texts(rows: list[list[str]], schema: pa.Schema) -> pa.RecordBatch:
    cells = [[None if cell in _EMPTY else cell for cell in column] for column in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, pa.string()) for column in cells or [[]] * len(schema)], schema=schema
    )


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    held = set(batch.schema.names)
    columns = [
        batch.column(field.name).cast(field.type) if field.name in held else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _open(path: str | Path) -> _Table:
    path = Path(path)
    files = [path] if path.is_file() else []
    if path.is_dir():
        files = sorted(path.glob("*.parquet")) or sorted(path.glob("*.csv"))
    if not files:
        raise FileNotFoundError(f"{path}: no annotations there; give a Parquet or CSV file, or a folder of them")
    try:
        table = _Table(files)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{files[0]}: not a readable table ({error}); write it again") from error
    for column in ("session_id", "start_time_sec", "end_time_sec"):
        if column not in table.schema.names:
            raise ValueError(f"{files[0]}: no column {column}; it has {', '.join(table.schema.names)}")
    for names in (_COLUMNS["label"], _COLUMNS["narration"]):
        if not set(names) & set(table.schema.names):
            raise ValueError(f"{files[0]}: no column {names[0]} (or {names[1]})")
    return table


def _official_rows(folder: Path) -> list[dict]:
    """Rows of the official annotation file with times from the file that indexes the 60 Hz grid."""
    import pandas as pd

    tables = []
    for name, needed in (
        (OFFICIAL_ANNOTATIONS, ("start_idx", "end_idx", "activity_label")),
        (OFFICIAL_TIMES, ("start_idx", "end_idx", "start_t_ns_global", "end_t_ns_global")),
    ):
        try:
            table = pd.read_csv(folder / name)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{folder / name}: missing; indices of the official export need its times"
            ) from error
        except (ValueError, pd.errors.ParserError) as error:
            raise ValueError(f"{folder / name}: not a readable CSV ({error}); write it again") from error
        if lacking := set(needed) - set(table.columns):
            raise ValueError(f"{folder / name}: no column {sorted(lacking)[0]}; it has {', '.join(table.columns)}")
        tables.append(table)
    labels, times = tables
    times = times[["start_idx", "end_idx", "start_t_ns_global", "end_t_ns_global"]].drop_duplicates(
        ["start_idx", "end_idx"]
    )
    rows = labels.merge(times, on=["start_idx", "end_idx"], how="left")
    if (lost := rows["start_t_ns_global"].isna()).any():
        bad = rows[lost].iloc[0]
        raise ValueError(
            f"{folder / OFFICIAL_TIMES}: {int(lost.sum())} rows lack a time, the first is start_idx {bad['start_idx']}"
        )
    rows["start_time_sec"], rows["end_time_sec"] = rows["start_t_ns_global"] * 1e-9, rows["end_t_ns_global"] * 1e-9
    return rows.astype(object).where(rows.notna(), None).to_dict("records")


def _first(row: dict, field: str) -> str | None:
    """Text of the first column of a field that holds any."""
    for name in _COLUMNS[field]:
        if (text := str(row.get(name) or "").strip()) not in ("", "nan"):
            return text
    return None


def _augmentations(row: dict, where: str) -> tuple[str, ...]:
    value = row.get("augmentations")
    if isinstance(value, str) and value.strip():
        try:  # JSON and Python write a list of sentences alike
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"{where}: augmentations must be a list of sentences, got {value[:60]!r}") from error
    if value is None or value == "":
        value = [row.get(name) for name in _AUGMENTATIONS]
    return tuple(str(text) for text in value if text)
