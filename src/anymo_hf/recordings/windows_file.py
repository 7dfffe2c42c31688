"""One Parquet file a dataset with the windows that every compared system reads: same people, labels, placements and units.

`write_windows` makes it once from the original download; `read_windows_file` gives it back as `ImuRecording`s, in the order
of the file. A file carries the hash of what it holds, so that results can say of which windows they are.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..atomic_write import replacing
from ..refusals import refusing
from ..thread_room import WITHOUT_THREADS
from .catalogue import DATASETS, in_bundle, known_dataset, read_windows
from .dataset import Dataset
from .datasets.unimts_bundle import unimts_labels
from .imu_recording import ImuRecording

SPLITS = ("all", "paper", "people")
TEST_SHARE = 0.3  # of the people, in the split "people"
_VERSION = "1"
_BLOCK = 512  # windows of a row group
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("subject", "session", "label")]
    + [("label_id", pa.int64()), ("paper_split", pa.string()), ("people_split", pa.string())]
    + [("sampling_rate", pa.float64()), ("start_time", pa.float64())]
    + [("placements", pa.list_(pa.string())), ("channels", pa.int32()), ("samples", pa.int32())]
    + [("signals", pa.list_(pa.float32()))]
)


@dataclass(frozen=True)
class WindowsFile:
    """The windows of one dataset.

    Args:
        dataset: key of `DATASETS`.
        recordings: the windows; sample k of one is at `start_time + k / sampling_rate` seconds on the source's clock.
        paper_split: of each, "train", "validation" or "test" by the paper's protocol, "" where it leaves the window out.
        people_split: of each, "train" or "test" by people, "" where nobody is named.
        segments: how sensors are named, see `read_windows`.
        note: what differs from the paper's windows.
        sha256: of all that the rows hold.
        synonyms: of each class in the order of its id, UniMTS's words for it joined by spaces; empty where its bundle did
            not give the windows.
    """

    dataset: str
    recordings: tuple[ImuRecording, ...]
    paper_split: tuple[str, ...]
    people_split: tuple[str, ...]
    segments: str
    note: str
    sha256: str
    synonyms: tuple[str, ...] = ()

    def rows(self, split: str, part: str = "test") -> np.ndarray:
        """Rows of a part of a split: "all" (every window is "test", none "train"), "paper" or "people".

        Raises:
            ValueError: unknown split, or no window in it.
        """
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
        if split == "all":
            found = np.arange(len(self.recordings) if part == "test" else 0)
        else:
            found = np.flatnonzero(np.array(getattr(self, f"{split}_split")) == part)
        if not len(found):
            why = {
                "all": "everything is for testing",
                "paper": "this copy lacks it",
                "people": "it names one person, or none",
            }
            raise ValueError(f"{self.dataset}: no {part} windows in the split {split!r} ({why[split]})")
        return found


def write_windows(name: str, folder: str | Path, out: str | Path, segments: str = "worn") -> Path:
    """Reads a download and writes `out/NAME.parquet`, whole or not at all.

    All official splits that the copy holds are written. Where a copy has nothing of the paper's test, as one session of
    OpenPack, everything counts as its test and the note says so.

    Args:
        name: key of `DATASETS`.
        folder: the original download.
        out: folder of windows files.
        segments: how sensors are named, see `read_windows`.

    Raises:
        OSError, ValueError: as `read_windows`; or no labelled window.
    """
    dataset = known_dataset(name)
    recordings, splits = [], []
    for split in ("test",) if in_bundle(dataset, folder) else dataset.splits(folder):
        for window in read_windows(name, folder, segments, split=split):
            recordings.append(window)
            splits.append(_official_split(dataset, window, split))
    if not recordings:
        raise ValueError(f"{folder}: no labelled window found")
    note = dataset.note
    if "test" not in splits:
        splits = ["test"] * len(splits)
        note = f"{note}; nothing of the paper's test is in this copy, so all of it is tested".lstrip("; ")
    people = _people_split([one.subject for one in recordings])
    columns: dict[str, list] = {field: [] for field in SCHEMA.names}
    for one, split, part in zip(recordings, splits, people, strict=True):
        values = list(one.signals.values())
        if len({signal.shape[1] for signal in values}) > 1:
            raise ValueError(f"{one.source}: placements of one window differ in their channels; split it by placement")
        row = (
            one.subject, one.session, one.label, one.label_id, split, part, one.sampling_rate, one.start_time,
            list(one.signals), values[0].shape[1], len(values[0]), np.stack(values).astype(np.float32).reshape(-1),
        )  # fmt: skip
        for field, value in zip(SCHEMA.names, row, strict=True):
            columns[field].append(value)
    table = pa.table(columns, schema=SCHEMA)
    synonyms = unimts_labels(folder, dataset.bundle) if dataset.bundle and in_bundle(dataset, folder) else ()
    facts = {
        "anymo_windows": _VERSION, "dataset": name, "segments": segments, "note": note, "sha256": _sha256(table),
        "synonyms": json.dumps(synonyms),
    }  # fmt: skip
    path = Path(out) / f"{name}.parquet"
    with replacing(path) as draft:
        pq.write_table(table.replace_schema_metadata(facts), draft, compression="zstd", row_group_size=_BLOCK)
    return path


def read_windows_file(path: str | Path) -> WindowsFile:
    """What `write_windows` wrote.

    Raises:
        OSError: no such file.
        ValueError: no Parquet, other columns, an unknown dataset, or rows that are not those that were written.
    """
    with refusing(path, "windows file", "write it again with anymo evaluate windows"):
        return _read_windows_file(path)


def _read_windows_file(path: str | Path) -> WindowsFile:
    table = pq.read_table(path, **WITHOUT_THREADS)
    facts = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    again = "write it again with anymo evaluate windows"
    if facts.get("anymo_windows") != _VERSION or table.schema.names != SCHEMA.names:
        raise ValueError(f"{path}: not a windows file of this version; {again}")
    if facts["dataset"] not in DATASETS:
        raise ValueError(f"{path}: unknown dataset {facts['dataset']!r}; known: {', '.join(DATASETS)}")
    if _sha256(table) != facts["sha256"]:
        raise ValueError(f"{path}: its rows are not those that were written; {again}")
    recordings = tuple(_recordings(table, facts["dataset"], str(path)))
    splits = (tuple(table.column(name).to_pylist()) for name in ("paper_split", "people_split"))
    synonyms = tuple(json.loads(facts.get("synonyms", "[]")))
    return WindowsFile(
        facts["dataset"], recordings, *splits, facts["segments"], facts["note"], facts["sha256"], synonyms
    )


def load_windows(name: str, data: str | Path, segments: str = "worn") -> WindowsFile:
    """The windows of a dataset from `data/NAME.parquet`, or from the download `data/NAME/` without keeping a file.

    Raises:
        OSError: neither is there.
        ValueError: the file names its sensors by other `segments`; or as `read_windows_file` and `write_windows`.
    """
    import tempfile

    path, folder = Path(data) / f"{name}.parquet", Path(data) / name
    if path.is_file():
        found = read_windows_file(path)
        if found.dataset != name:
            raise ValueError(f"{path}: holds windows of {found.dataset}; give it that name")
        if found.segments != segments:
            raise ValueError(f"{path}: sensors named by segments={found.segments!r}, asked {segments!r}; write it so")
        return found
    if not folder.is_dir():
        raise OSError(f"{data} holds neither {name}.parquet nor the folder {name}; unpack the dataset there")
    with tempfile.TemporaryDirectory() as draft:
        return read_windows_file(write_windows(name, folder, draft, segments))


def available(data: str | Path, names: Sequence[str]) -> list[str]:
    """Those of the names that a folder holds as a windows file or as a download, in the order given."""
    return [name for name in names if (Path(data) / f"{name}.parquet").is_file() or (Path(data) / name).is_dir()]


def describe(windows: WindowsFile) -> str:
    """One line: how many windows, people, placements and seconds, and the parts of both splits."""
    people = {one.subject for one in windows.recordings} - {""}
    places = sorted({place for one in windows.recordings for place in one.signals})
    hours = sum(len(next(iter(one.signals.values()))) / one.sampling_rate for one in windows.recordings) / 3600

    def parts(splits: Sequence[str]) -> str:
        return ", ".join(f"{count} {name or 'left out'}" for name, count in sorted(Counter(splits).items()))

    return (
        f"{windows.dataset}: {len(windows.recordings)} windows of {len(people)} people, {hours:.1f} h, "
        f"{', '.join(places)}; paper: {parts(windows.paper_split)}; people: {parts(windows.people_split)}"
    )


def _official_split(dataset: Dataset, window: ImuRecording, split: str) -> str:
    return split if dataset.paper_split is None else dataset.paper_split(window)


def _people_split(subjects: Sequence[str]) -> list[str]:
    """Of each window "test" (30 % of the people, the same at every call) or "train"; "" for all without two named people."""
    people = sorted(set(subjects))
    if "" in people or len(people) < 2:
        return [""] * len(subjects)
    shuffled = np.random.default_rng(0).permutation(people)
    tested = set(shuffled[: min(max(round(TEST_SHARE * len(people)), 1), len(people) - 1)])
    return ["test" if subject in tested else "train" for subject in subjects]


def _recordings(table: pa.Table, dataset: str, path: str) -> Iterator[ImuRecording]:
    names = [name for name in SCHEMA.names if name not in ("signals", "paper_split", "people_split")]
    cells = {name: table.column(name).to_pylist() for name in names}
    signals = (part for chunk in table.column("signals").chunks for part in _split(chunk))
    for row, flat in enumerate(signals):
        one = {name: values[row] for name, values in cells.items()}
        shaped = flat.reshape(len(one["placements"]), one["samples"], one["channels"]).astype(float)
        yield ImuRecording(
            dict(zip(one["placements"], shaped, strict=True)), one["sampling_rate"], one["label"], one["label_id"],
            one["subject"], one["session"], dataset, one["start_time"], f"{path} [{row}]",
        )  # fmt: skip


def _split(chunk: pa.ListArray) -> list[np.ndarray]:
    return np.split(chunk.flatten().to_numpy(), (chunk.offsets.to_numpy() - chunk.offsets[0].as_py())[1:-1])


def _sha256(table: pa.Table) -> str:
    digest = hashlib.sha256()
    for name in SCHEMA.names[:-1]:
        digest.update(json.dumps(table.column(name).to_pylist()).encode())
    for chunk in table.column("signals").chunks:
        digest.update(np.ascontiguousarray(chunk.flatten().to_numpy()).tobytes())
    return digest.hexdigest()
