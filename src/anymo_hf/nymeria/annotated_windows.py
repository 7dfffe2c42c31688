"""Annotated windows of a Nymeria copy: who, when, what was said, which label, and the real IMU at 60 Hz.

Windows lie on one grid for all recordings and both IMUs of a device: frame `k` is at TIME_CODE `k * STEP_NS`. A stream is
low-passed at its own rate as `simulation/kinematics.py` does (zero-phase, 24 Hz) and then read on the grid by a cubic
spline; "nearest" takes the nearest sample instead, as the official exporter does, and folds what lies above 30 Hz back.
Where a stream pauses for over `LONGEST_PAUSE`, and beyond its ends, signals are NaN.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as pds
from scipy.interpolate import CubicSpline

from ..modeling.imu_signal import low_pass
from ..motion.activity_labels import anymo180
from ..simulation.engines import run_jobs
from .imu import DEVICES, find_vrs, read_nymeria_imu
from .sequence import read_metadata, sequence_folders

STEP_NS = round(1e9 / 60)
LONGEST_PAUSE = 0.1  # seconds
WINDOW = 300  # steps
CLOCKS = ("timecode", "motion")
RESAMPLING = ("anti_aliased", "nearest")
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


@dataclass(frozen=True)
class SessionSignals:
    """`(T, 18)` float32 of head, left and right wrist (acceleration m/s^2, angular velocity rad/s); NaN where no data.

    `first` is the grid frame of row 0.
    """

    first: int
    signals: np.ndarray

    def window(self, first: int, count: int) -> np.ndarray:
        """`(count, 18)` of the grid frames from `first` on; the caller has checked that they are held."""
        return self.signals[first - self.first : first - self.first + count]


def cut_window(count: int, longest: int = WINDOW) -> list[tuple[int, int]]:
    """Offset and length of the pieces of a window: whole up to `longest`, else non-overlapping, the tail dropped."""
    if count <= longest:
        return [(0, count)] if count > 0 else []
    return [(offset, longest) for offset in range(0, count - longest + 1, longest)]


# -- annotations ---------------------------------------------------------------------------------------------------------


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
    for batch in table.to_batches(columns=["session_id"]):
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
    subject = read_metadata(folder).subject
    origin = 0.0
    if annotations is None:
        source: str | Path = folder / OFFICIAL_ANNOTATIONS
        rows = _official_rows(folder)
    else:
        source = named or annotations
        part = Path(annotations) / f"session_id={folder.name}"
        if times == "motion":
            with np.load(folder / "body" / "xdata.npz", allow_pickle=False) as file:
                origin = float(file["timestamps_us"][0]) * 1e-6
        table = pds.dataset(part, partitioning=None) if part.is_dir() else _open(annotations)
        needed = ("session_id", "start_time_sec", "end_time_sec")
        known = {name for names in _COLUMNS.values() for name in names}
        names = {*needed, "sample_id", "subject_id", "augmentations", *_AUGMENTATIONS, *known}
        columns = [name for name in table.schema.names if name in names]
        chosen = None if part.is_dir() else pds.field("session_id") == folder.name
        rows = table.to_table(columns=columns, filter=chosen).to_pylist()
    labels = anymo180()
    found = []
    for number, row in enumerate(rows):
        where = f"{source}: row {number + 1} of {folder.name}"
        try:
            start, end = origin + float(row["start_time_sec"]), origin + float(row["end_time_sec"])
        except (TypeError, ValueError):
            start = end = float("nan")
        if not end > start:
            raise ValueError(f"{where}: times are {row['start_time_sec']!r} to {row['end_time_sec']!r}; give seconds")
        label = _first(row, "label")
        if label is not None and label not in labels:
            raise ValueError(f"{where}: unknown label {label!r}; it must be one of AnyMo-180 or empty")
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
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        field = pa.schema([table.schema.field("session_id")])
        pds.write_dataset(
            table, temporary, format="parquet", partitioning=pds.partitioning(field, flavor="hive"), max_open_files=128,
            max_partitions=1_000_000, use_threads=False, create_dir=True,
        )  # fmt: skip
        with contextlib.suppress(OSError):  # another process may have been faster
            os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _open(path: str | Path) -> pds.Dataset:
    path = Path(path)
    files = [path] if path.is_file() else []
    if path.is_dir():
        files = sorted(path.glob("*.parquet")) or sorted(path.glob("*.csv"))
    if not files:
        raise FileNotFoundError(f"{path}: no annotations there; give a Parquet or CSV file, or a folder of them")
    try:
        # types are not guessed: a column may be empty for a long stretch
        texts = {name: pa.string() for names in _COLUMNS.values() for name in names}
        texts |= dict.fromkeys(("sample_id", "session_id", "subject_id", "augmentations", *_AUGMENTATIONS), pa.string())
        csv_format = pds.CsvFileFormat(
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(column_types=texts, strings_can_be_null=True),
        )
        table = pds.dataset(files, format=csv_format if files[0].suffix == ".csv" else "parquet")
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


# -- signals -------------------------------------------------------------------------------------------------------------


def has_signals(folder: str | Path) -> bool:
    """Whether a sequence has a VRS file for the head and both wrists."""
    return all(find_vrs(folder, device) is not None for device in DEVICES)


def read_signals(
    folder: str | Path, stream: str = "1202-1", resampling: str = "anti_aliased", cache: str | Path | None = None
) -> SessionSignals:
    """Head, left and right wrist of a sequence on the 60 Hz grid, over the span that any device covers.

    Args:
        folder: the sequence.
        stream: "1202-1" or "1202-2" of every device.
        resampling: "anti_aliased" or "nearest".
        cache: folder in which the result is kept; a changed VRS file is read again.

    Raises:
        ImportError: no package that reads VRS.
        OSError: a device's recording is missing.
        ValueError: a stream is missing or cannot be trusted, or an unknown option.
    """
    folder = Path(folder)
    if resampling not in RESAMPLING:
        raise ValueError(f"resampling must be one of {', '.join(RESAMPLING)}, got {resampling!r}")
    kept = None
    if cache is not None:
        files = [find_vrs(folder, device) for device in DEVICES]
        facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files if path is not None]
        key = hashlib.sha256(repr((stream, resampling, facts)).encode()).hexdigest()[:12]
        kept = Path(cache) / f"{folder.name}.{stream}.{key}.npz"
        if kept.is_file():
            with np.load(kept, allow_pickle=False) as file:
                return SessionSignals(int(file["first"]), file["signals"])
    streams = [read_nymeria_imu(folder, device, stream) for device in DEVICES]
    first = min(int(np.ceil(imu.time[0] * 1e9 / STEP_NS)) for imu in streams)
    last = max(int(imu.time[-1] * 1e9 / STEP_NS) for imu in streams)
    grid = np.arange(first, last + 1) * (STEP_NS * 1e-9)
    parts = [to_60_hz(imu.time, imu.signals, grid, resampling) for imu in streams]
    result = SessionSignals(first, np.concatenate(parts, axis=1).astype(np.float32))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        temporary = kept.with_name(f".{kept.stem}.{os.getpid()}.npz")
        try:
            np.savez(temporary, first=first, signals=result.signals)
            os.replace(temporary, kept)
        finally:
            temporary.unlink(missing_ok=True)
    return result


def to_60_hz(time: np.ndarray, values: np.ndarray, grid: np.ndarray, resampling: str = "anti_aliased") -> np.ndarray:
    """`(T, C)` samples at rising `time` `(T,)` seconds, read at `grid` `(N,)`; NaN in pauses and beyond the ends."""
    out = np.full((len(grid), values.shape[1]), np.nan)
    breaks = np.flatnonzero(np.diff(time) > LONGEST_PAUSE) + 1
    for begin, end in zip(np.r_[0, breaks], np.r_[breaks, len(time)], strict=True):
        clock, signal = time[begin:end], values[begin:end]
        # half a step of slack: the nearest sample of a grid time may lie just inside
        slack = 0.5 * STEP_NS * 1e-9 if resampling == "nearest" else 1e-9
        inside = (grid >= clock[0] - slack) & (grid <= clock[-1] + slack)
        if len(clock) < 4 or not inside.any():
            continue
        if resampling == "nearest":
            right = np.clip(np.searchsorted(clock, grid[inside]), 1, len(clock) - 1)
            nearer = grid[inside] - clock[right - 1] <= clock[right] - grid[inside]
            out[inside] = signal[right - nearer]
            continue
        rate = (len(clock) - 1) / (clock[-1] - clock[0])
        out[inside] = CubicSpline(clock, low_pass(signal, rate))(np.clip(grid[inside], clock[0], clock[-1]))
    return out


def overlap(annotation: Annotation, signals: SessionSignals) -> tuple[int, int]:
    """First frame and number of frames of an annotation, clipped to the recording; 0 frames where it lies outside."""
    first, count = annotation.frames()
    begin = max(first, signals.first)
    return begin, max(0, min(first + count, signals.first + len(signals.signals)) - begin)


def _stray(item: Annotation, signals: SessionSignals, folder: Path) -> str:
    step = STEP_NS * 1e-9
    return (
        f"{folder}: window {item.sample_id} runs from {item.start:.3f} to {item.end:.3f} s, the IMU from "
        f"{signals.first * step:.3f} to {(signals.first + len(signals.signals)) * step:.3f} s; times must be seconds of "
        'TIME_CODE, or of the motion with times="motion"'
    )


def signals_by_device(window: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """`(device, (T, 6))` of a `(T, 18)` window."""
    for index, device in enumerate(DEVICES):
        yield device, window[:, 6 * index : 6 * index + 6]


# -- a whole copy --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NymeriaSource:
    """A Nymeria copy with annotations, and how it is read.

    Args:
        nymeria: the folder of sequences.
        annotations: Parquet, CSV or a folder of them; None for the official files inside the sequences.
        times: clock of the annotations, "timecode" or "motion".
        resampling: "anti_aliased" or "nearest".
        cache: folder for signals at 60 Hz, which spares reading VRS again.
    """

    nymeria: str
    annotations: str | None = None
    times: str = "timecode"
    resampling: str = "anti_aliased"
    cache: str | None = None

    def sessions(self) -> list[Path]:
        """As `find_sessions`."""
        return find_sessions(self.nymeria, self.annotations)

    def read(self, session: str | Path) -> list[Annotation]:
        """As `read_annotations`; `session` is a name in the copy, or its folder."""
        spooled = self.annotations
        if self.annotations is not None and self.cache is not None:
            spooled = str(by_session(self.annotations, self.cache))
        return read_annotations(self.folder(session), spooled, self.times, self.annotations)

    def signals(self, session: str | Path, stream: str) -> SessionSignals:
        """As `read_signals`."""
        return read_signals(self.folder(session), stream, self.resampling, self.cache)

    def folder(self, session: str | Path) -> Path:
        """Folder of a sequence."""
        root = Path(self.nymeria)
        return root if root.name == Path(session).name else root / Path(session).name


def prepare(
    source: NymeriaSource,
    sessions: Sequence[str],
    streams: Sequence[str],
    num_proc: int = 1,
    signals_needed: bool = True,
    strict: bool = True,
    progress: bool = True,
) -> tuple[dict[str, str], dict[str, int]]:
    """Check every annotation against its recording, and put the 60 Hz signals into the cache if they are not there.

    Args:
        source: a copy.
        sessions: names of sequences.
        streams: of "1202-1" and "1202-2".
        num_proc: sequences at a time.
        signals_needed: whether a sequence without VRS files is broken.
        strict: raise for recordings that cannot be read and windows outside of them, rather than report them.
        progress: show a bar.

    Returns:
        Sequence -> why its IMU cannot be read, and sequence -> how many windows lie outside; both empty if strict.

    Raises:
        OSError: a recording cannot be read, and `strict`; or annotations are missing.
        ValueError: bad annotations, or a window lies outside its recording, and `strict`.
    """
    from tqdm import tqdm

    left_out: dict[str, str] = {}
    outside: dict[str, int] = {}
    mend = "to leave such out, pass strict=False (--skip-broken)"
    jobs = [(source, name, tuple(streams), signals_needed) for name in sessions]
    results = run_jobs(_prepare, jobs, num_proc=num_proc)
    for index, (broken, stray) in tqdm(
        results, total=len(jobs), unit="recording", desc="IMU at 60 Hz", disable=not progress
    ):
        if strict and broken:
            raise OSError(f"{broken}; {mend}")
        if strict and stray:
            raise ValueError(f"{stray[0]}; {mend}")
        if broken:
            left_out[sessions[index]] = broken
        if stray:
            outside[sessions[index]] = len(stray)
    return dict(sorted(left_out.items())), dict(sorted(outside.items()))


def _prepare(job: tuple[NymeriaSource, str, tuple[str, ...], bool]) -> tuple[str | None, list[str]]:
    """What is wrong with the IMU, and a message for every window outside of it."""
    source, session, streams, needed = job
    folder = source.folder(session)
    annotations = source.read(session)  # bad annotations are never left out
    if not needed and not has_signals(folder):
        return None, []
    stray: dict[str, str] = {}
    try:
        for stream in streams:
            signals = source.signals(session, stream)
            for item in annotations:
                if not overlap(item, signals)[1]:
                    stray[item.sample_id] = _stray(item, signals, folder)
    except (OSError, ValueError) as error:
        return f"{session}: {error}", []
    return None, list(stray.values())
