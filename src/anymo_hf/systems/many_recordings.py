"""Many recordings to one folder of answers: a Parquet file of timeline and embeddings for each, resumable.

`datasets.load_dataset(folder)` reads the result; `report.csv` tells of every recording what it gave or why it gave nothing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..atomic_write import replacing, write_text
from ..modeling.known_names import did_you_mean
from ..modeling.windows import SMOOTHING, TimelineEntry, WindowAnswer
from ..recordings.devices.device_format import ReadingOptions
from ..recordings.devices.export import read_export
from ..recordings.imu_recording import ImuRecording
from ..recordings.worn_together import worn_together
from ..simulation.engines import run_jobs
from .checkpoint import check_checkpoint
from .recognizer import WINDOW, Recognizer, activity_seconds, load_recognizer, recognize

DATA, REPORT = "data", "report.csv"
REPORT_COLUMNS = ("recording", "person", "files", "seconds", "windows", "entries", "longest", "warnings", "problem")
_OPTIONS = {field.name: str(field.type) for field in fields(ReadingOptions)}
MANIFEST_COLUMNS = ("file", "placement", "recording", "person", *_OPTIONS)
_FACTS = b"anymo"  # the Parquet file's own note of how it was made


@dataclass(frozen=True)
class RecognizeSettings:
    """How recordings are answered: the arguments of `load_recognizer` and `recognize`."""

    model: str = "anymo"
    labels: tuple[str, ...] | None = None
    none_of_these: bool = False
    wrist: str | None = None
    window: float = WINDOW
    hop: float | None = None
    smoothing: int = SMOOTHING


@dataclass(frozen=True)
class ManifestRecording:
    """One recording of a manifest.

    Args:
        name: unique; by default the file as the manifest writes it.
        person: "" where the manifest tells none.
        sensors: placement, file and reading options of each sensor, worn at once.
    """

    name: str
    person: str
    sensors: tuple[tuple[str, Path, ReadingOptions], ...]


def read_manifest(path: str | Path) -> list[ManifestRecording]:
    """Recordings of a CSV with `file` and `placement` in each row, and any other of `MANIFEST_COLUMNS`.

    Rows of one `recording` are sensors that were worn at once. Files are looked for beside the manifest. An empty cell
    leaves a reading option to the file.

    Raises:
        OSError: no such file, or no text.
        ValueError: unknown or missing columns, an empty or unreadable cell, or one recording of two people.
    """
    path = Path(path)
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except UnicodeDecodeError as error:
        raise OSError(f"{path}: not a CSV in UTF-8 ({error})") from error
    if not rows:
        raise ValueError(f"{path}: no row; give a row a file, below a line with at least file,placement")
    names = [name for name in rows[0] if name is not None]
    if missing := [name for name in ("file", "placement") if name not in names]:
        raise ValueError(f"{path}: column {' and '.join(missing)} missing; its columns are {', '.join(names)}")
    if unknown := [name for name in names if name not in MANIFEST_COLUMNS]:
        hint = did_you_mean(unknown, MANIFEST_COLUMNS)
        raise ValueError(f"{path}: unknown columns {', '.join(unknown)}{hint}; known are {', '.join(MANIFEST_COLUMNS)}")
    found: dict[str, ManifestRecording] = {}
    for line, row in enumerate(rows, 2):
        where = f"{path}, line {line}"
        if None in row or None in row.values():
            raise ValueError(f"{where}: {len(names)} cells are needed, one for each column; quote those with commas")
        cells = {name: text.strip() for name, text in row.items()}
        for name in ("file", "placement"):
            if not cells[name]:
                raise ValueError(f"{where}: {name} is empty")
        options = {name: _cell(where, name, cells[name]) for name in _OPTIONS if cells.get(name)}
        sensor = (cells["placement"], path.parent / cells["file"], ReadingOptions(**options))
        name, person = cells.get("recording") or cells["file"], cells.get("person", "")
        known = found.get(name)
        if known and known.person != person:
            raise ValueError(f"{where}: recording {name!r} is of {known.person!r} above and of {person!r} here")
        found[name] = ManifestRecording(name, person, (*(known.sensors if known else ()), sensor))
    return list(found.values())


def _cell(where: str, name: str, text: str) -> Any:
    """A reading option from its cell."""
    kind = _OPTIONS[name]
    try:
        if "Sequence" in kind:
            return [part.strip() for part in text.split(",")]
        if "bool" in kind:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        return float(text) if "float" in kind else int(text) if "int" in kind else text
    except (ValueError, KeyError) as error:
        raise ValueError(f"{where}: {name} {text!r} cannot be read") from error


@dataclass(frozen=True)
class _Job:
    recording: ManifestRecording
    settings: RecognizeSettings
    facts: str  # JSON of all that the answer depends on
    path: Path


def recognize_manifest(
    recordings: Sequence[ManifestRecording],
    out: str | Path,
    settings: RecognizeSettings,
    engine: str = "local",
    num_proc: int = 1,
    done: Callable[[Mapping[str, Any]], None] = lambda row: None,
) -> list[dict[str, Any]]:
    """Answers of every recording in `out/data/`, and the report; what is there already and made alike stays.

    Every recording is worked out on one thread, so the number of processes and the engine change no byte.

    Args:
        recordings: as `read_manifest` gives them.
        out: the folder; made if it is missing.
        settings: how to answer.
        engine, num_proc: see `run_jobs`.
        done: called with a row of the report as soon as it is known.

    Returns:
        The report: a row of `REPORT_COLUMNS` for each recording, in their order; `problem` is "" where there is none.

    Raises:
        OSError: no such checkpoint, or `out` holds something else.
        ValueError, ImportError, ChildProcessError: see `load_recognizer` and `run_jobs`.
    """
    out = Path(out)
    if out.is_dir() and not (out / DATA).is_dir() and any(out.iterdir()):
        raise OSError(f"{out} holds something else; give a new folder, or one that was begun by this command")
    folder = check_checkpoint(settings.model)
    weights = _weights(folder)
    (out / DATA).mkdir(parents=True, exist_ok=True)
    known = asdict(settings) | {"model": weights}
    settings = RecognizeSettings(**(asdict(settings) | {"model": folder}))
    jobs = [_Job(one, settings, _facts(one, known), out / DATA / _file_name(one.name)) for one in recordings]
    if others := sorted({path.name for path in (out / DATA).glob("*.parquet")} - {job.path.name for job in jobs}):
        raise OSError(f"{out / DATA / others[0]} is of no recording of this manifest; delete it, or give a new folder")
    rows: dict[int, dict[str, Any]] = {}
    for index, row in run_jobs(answer_recording, jobs, engine, num_proc):
        rows[index] = row
        done(row)
    report = [rows[index] for index in range(len(jobs))]
    text = io.StringIO()
    table = csv.DictWriter(text, REPORT_COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(report)
    write_text(out / REPORT, text.getvalue())
    content = hashlib.sha256("\n".join([text.getvalue(), *(job.facts for job in jobs)]).encode()).hexdigest()[:16]
    write_text(out / "README.md", _card(known, settings.labels, content))
    return report


def answer_recording(job: _Job) -> dict[str, Any]:
    """One recording's row of the report; its Parquet file is written, or kept where it was made alike."""
    import pyarrow.parquet as pq

    one = job.recording
    row = dict.fromkeys(REPORT_COLUMNS, "") | {
        "recording": one.name,
        "person": one.person,
        "files": "; ".join(str(file.name) for _, file, _ in one.sensors),
    }
    try:
        metadata = (pq.read_schema(job.path).metadata or {}) if job.path.is_file() else {}
        facts = json.loads(metadata[_FACTS]) if _FACTS in metadata else {}
        if facts.get("made_of") != job.facts:
            facts = _answer(job)
        return row | facts["row"]
    except Exception as error:  # one bad file of thousands must not end the others; the report names it
        job.path.unlink(missing_ok=True)  # an answer of before is not of what is there now
        kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
        return row | {"problem": " ".join(f"{kind}{error}".split())}


def _answer(job: _Job) -> dict[str, Any]:
    """Works one recording out and writes its file; gives the file's facts."""
    import pyarrow.parquet as pq
    import torch

    one, settings = job.recording, job.settings
    stretches, said = _read(one)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums on more threads round differently
    answers: list[WindowAnswer] = []
    try:
        recognizer = _recognizer(settings.model, settings.labels, settings.none_of_these, settings.wrist)
        entries = list(
            recognize(recognizer, stretches, settings.window, settings.hop, settings.smoothing, answers.append)
        )
    finally:
        torch.set_num_threads(threads)
    seconds = activity_seconds(entries)
    row = {
        "seconds": round(sum(seconds.values()), 3), "windows": len(answers), "entries": len(entries),
        "longest": next(iter(seconds)), "warnings": said,
    }  # fmt: skip
    facts = {"made_of": job.facts, "row": row}
    table = _table(one, stretches[0], entries, answers).replace_schema_metadata({_FACTS: json.dumps(facts)})
    with replacing(job.path) as draft:
        pq.write_table(table, draft, compression="zstd")
    return facts


def _read(one: ManifestRecording) -> tuple[list[ImuRecording], str]:
    """Its stretches, several sensors being one, and what is probably wrong with them."""
    exports = [read_export(file, place, options=options) for place, file, options in one.sensors]
    said = [warning for export in exports for warning in export.warnings]
    if len(exports) == 1:
        return list(exports[0].stretches), "; ".join(said)
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        together = worn_together([export.only() for export in exports])
    return [together], "; ".join([*said, *(str(doubt.message) for doubt in doubts)])


@lru_cache(maxsize=1)
def _recognizer(model: str, labels: tuple[str, ...] | None, none_of_these: bool, wrist: str | None) -> Recognizer:
    return load_recognizer(model, labels, none_of_these, wrist)


def _table(
    one: ManifestRecording, recording: ImuRecording, entries: Sequence[TimelineEntry], answers: Sequence[WindowAnswer]
) -> Any:
    """A row for each entry, with the start and the embedding of each of its windows."""
    import pyarrow as pa

    ends, total = [], 0
    for entry in entries:
        total += entry.windows
        ends.append(total)
    parts = [answers[end - entry.windows : end] for entry, end in zip(entries, ends, strict=True)]
    columns = {
        "recording": pa.array([one.name] * len(entries), pa.string()),
        "person": pa.array([one.person] * len(entries), pa.string()),
        "placements": pa.array([list(recording.signals)] * len(entries), pa.list_(pa.string())),
        "start": pa.array([entry.start for entry in entries], pa.float64()),
        "end": pa.array([entry.end for entry in entries], pa.float64()),
        "activity": pa.array([entry.activity for entry in entries], pa.string()),
        "confidence": pa.array([entry.confidence for entry in entries], pa.float32()),
        "window_start": pa.array([[one.start for one in part] for part in parts], pa.list_(pa.float64())),
        "embedding": pa.array([[one.embedding for one in part] for part in parts], pa.list_(pa.list_(pa.float32()))),
    }
    return pa.table(columns)


def _file_name(name: str) -> str:
    """A file name of a recording's: readable, and never the same for two."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[-60:]
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.parquet"


def _facts(one: ManifestRecording, settings: Mapping[str, Any]) -> str:
    """Hash of all that an answer depends on; files are known by their sizes."""
    sensors = [
        [place, file.name, [part.stat().st_size for part in _files(file)], asdict(options)]
        for place, file, options in one.sensors
    ]
    text = json.dumps([one.name, one.person, sensors, settings], sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()


def _files(path: Path) -> list[Path]:
    """The file, or those of a folder."""
    return [path] if path.is_file() else sorted(part for part in path.rglob("*") if part.is_file())


def _weights(model: str) -> str:
    """Hash of a checkpoint folder's weights and configurations; the name where it is on the Hub."""
    folder = Path(model)
    if not folder.is_dir():
        return model
    digest = hashlib.sha256()
    for path in sorted([*folder.rglob("*.safetensors"), *folder.rglob("*.json")]):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _card(settings: Mapping[str, Any], labels: Sequence[str] | None, content: str) -> str:
    chosen = ", ".join(labels) if labels else "the default list, or the model's own"
    return f"""---
configs:
- config_name: default
  data_files: {DATA}/*.parquet
dataset_info:
  description: "{content}"  # of these answers, so that load_dataset does not give those of before from its cache
---

# Activities of recordings, by AnyMo

One Parquet file a recording, one row an entry of its timeline: `start` and `end` in seconds since the recording began,
`activity`, `confidence` (mean smoothed score), and for each of its windows `window_start` and the unit `embedding`.
`{REPORT}` lists every recording, also those that gave no answer, with the reason.

Labels: {chosen}. Window {settings["window"]:g} s, hop {settings["hop"] or settings["window"]:g} s, smoothed over
{settings["smoothing"]} windows. Weights and configuration: {settings["model"]}.
"""
