"""Appendix B's numbers of AnyMo Bench, counted on a Parquet repository: ours or the official one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..annotation.bench_classes import OFFICIAL_CONFIGS, PUBLISHED, space_of
from ..markdown import table
from ..refusals import parse_json

BODY_POSITION = "head+left_wrist+right_wrist"
CHANNELS = tuple(
    f"{device}_{sensor}_{axis}"
    for device in ("head", "left_wrist", "right_wrist")
    for sensor in ("acc", "gyro")
    for axis in "xyz"
)
DEVICE_IDS = {"1202-1": "imu_1202_1", "1202-2": "imu_1202_2"}
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("sample_id", "session_id", "subject_id", "body_position", "device_id")]
    + [("start_time_sec", pa.float64()), ("end_time_sec", pa.float64())]
    + [("start_t_ns_global", pa.int64()), ("end_t_ns_global", pa.int64())]
    + [("label", pa.string()), ("label_id", pa.int32()), ("imu", pa.list_(pa.list_(pa.float32(), len(CHANNELS))))]
)
LEAST_TEST_SUBJECTS, LEAST_TEST_WINDOWS = 2, 10  # below either, the paper calls a label unstable
STEPS_PER_HOUR = 60 * 3600
_CELLS = ("sample_id", "session_id", "subject_id", "device_id", "label", "label_id")


@dataclass
class SplitCount:
    """Rows of one split.

    Args:
        rows, hours: of its windows as stored, long ones cut.
        shortest, longest: steps.
        full: rows of 300 steps.
        subjects: who is in it.
        classes: class -> rows.
        subjects_of: class -> its subjects.
        devices: which IMUs.
    """

    rows: int = 0
    hours: float = 0.0
    shortest: int = 0
    longest: int = 0
    full: int = 0
    subjects: set[str] = field(default_factory=set)
    classes: Counter[str] = field(default_factory=Counter)
    subjects_of: dict[str, set[str]] = field(default_factory=dict)
    devices: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Statistic:
    """One number of a repository; `paper` is the printed one, None where the paper has none."""

    name: str
    value: float
    paper: float | None = None


def check_columns(file: str | Path) -> None:
    """Whether a Parquet file has the Bench's columns and types, in any order, no other ones.

    Raises:
        OSError: it cannot be read.
        ValueError: columns or types differ; names the first.
    """
    try:
        found = pq.read_schema(file)
    except pa.ArrowInvalid as error:
        raise OSError(f"{file}: not a readable Parquet file ({error}); download or build it again") from error
    for name in SCHEMA.names:
        if name not in found.names:
            raise ValueError(f"{file}: no column {name}; it has {', '.join(found.names)}")
        # the names of a list's items differ from writer to writer
        if _plain(found.field(name).type) != _plain(SCHEMA.field(name).type):
            raise ValueError(f"{file}: {name} is {found.field(name).type}, must be {SCHEMA.field(name).type}")
    if more := [name for name in found.names if name not in SCHEMA.names]:
        raise ValueError(f"{file}: {more[0]} is no column of AnyMo Bench")


def _plain(kind: pa.DataType) -> str:
    if pa.types.is_fixed_size_list(kind):
        return f"{_plain(kind.value_type)}[{kind.list_size}]"
    return f"{_plain(kind.value_type)}[]" if pa.types.is_list(kind) else str(kind)


def find_configs(repository: str | Path) -> dict[str, dict[str, list[Path]]]:
    """Config -> split -> its Parquet files, of folders `data/<config>/`.

    Raises:
        OSError: no such file.
    """
    found: dict[str, dict[str, list[Path]]] = {}
    for folder in sorted(path for path in Path(repository).glob("data/*") if path.is_dir()):
        for file in sorted(folder.glob("*.parquet")):
            split = file.name.split("-")[0]
            found.setdefault(folder.name, {}).setdefault(split, []).append(file)
    if not found:
        raise FileNotFoundError(f"{repository}: no data/<config>/<split>-*.parquet; give the folder of a built Bench")
    return found


def count_split(files: Iterable[str | Path], progress: bool = False) -> SplitCount:
    """Counts of a split; a few hundred rows are held at a time.

    Raises:
        OSError, ValueError: as `check_columns`; or a row's label has two ids, or signals are not finite.
    """
    from tqdm import tqdm

    count, ids, steps = SplitCount(), {}, 0
    for file in tqdm(list(files), unit="file", disable=not progress):
        check_columns(file)
        for batch in pq.ParquetFile(file).iter_batches(256, columns=[*_CELLS, "imu"], use_threads=False):
            columns = {name: batch.column(name).to_pylist() for name in _CELLS}
            lengths = pc.list_value_length(batch.column("imu")).to_numpy()
            if not np.isfinite(batch.column("imu").flatten().flatten().to_numpy()).all():
                raise ValueError(f"{file}: imu holds values that are not finite; build it again")
            count.rows += len(lengths)
            steps += int(lengths.sum())
            low = int(lengths.min(initial=10**9))
            count.shortest = min(count.shortest or low, low)
            count.longest = max(count.longest, int(lengths.max(initial=0)))
            count.full += int((lengths == 300).sum())
            count.devices.update(columns["device_id"])
            for label, number, subject in zip(
                columns["label"], columns["label_id"], columns["subject_id"], strict=True
            ):
                if ids.setdefault(label, number) != number:
                    raise ValueError(f"{file}: label {label!r} has the ids {ids[label]} and {number}")
                count.classes[label] += 1
                count.subjects_of.setdefault(label, set()).add(subject)
                count.subjects.add(subject)
    count.hours = steps / STEPS_PER_HOUR
    return count


def unstable_labels(test: SplitCount, labels: Iterable[str]) -> list[str]:
    """Labels with fewer than two test subjects or ten test windows, which the paper leaves out of Fine150."""
    return [
        label for label in labels
        if len(test.subjects_of.get(label, ())) < LEAST_TEST_SUBJECTS or test.classes[label] < LEAST_TEST_WINDOWS
    ]  # fmt: skip


def bench_statistics(repository: str | Path, progress: bool = False) -> dict[str, list[Statistic]]:
    """Appendix B's numbers of every config in a repository.

    Args:
        repository: a folder with `data/<config>/`, ours or a download of the official one.
        progress: show bars.

    Returns:
        Config -> its statistics. Rows are windows as stored; "before cutting" is from `metadata/dataset_info.json`,
        where the builder wrote it.

    Raises:
        OSError, ValueError: as `find_configs` and `count_split`; an unknown config; a subject in train and test.
    """
    result = {}
    info = Path(repository) / "metadata" / "dataset_info.json"
    try:
        summaries = parse_json(info.read_text(encoding="utf-8")).get("summaries", {}) if info.is_file() else {}
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{info}: not the builder's JSON ({error}); build it again, or delete this file") from error
    for config, splits in find_configs(repository).items():
        space = space_of(config)
        counts = {split: count_split(files, progress) for split, files in splits.items()}
        for side in ("train", "test"):
            if side not in counts:
                raise ValueError(f"{repository}: {config} has no files for {side}; build or download it again")
        train, test = counts["train"], counts["test"]
        if both := train.subjects & test.subjects:
            raise ValueError(f"{repository}: {config} has {sorted(both)[0]!r} in train and in test")
        classes = train.classes + test.classes
        sizes, counted = np.array(list(classes.values())), "rows (the paper counts before cutting)"
        fine = space == "fine150"
        published = PUBLISHED[space]
        rows = [
            Statistic("classes that occur", len(sizes), published[0]),
            Statistic("training rows", train.rows, 123_874 if fine else None),
            Statistic("test rows", test.rows, 30_965 if fine else None),
        ]
        official = next((s for name, s in summaries.items() if OFFICIAL_CONFIGS.get(name, ("",))[0] == space), None)
        if official is not None:
            built = [official["train_build_stats"], official["test_build_stats"]]
            used = sum(part.get("rows_used", 0) for part in built)
            rows.append(Statistic("windows before cutting", used, published[1]))
            exact = sum(part.get("rows_exact_window", 0) for part in built)
            rows.append(Statistic("percent of them of 300 steps", 100 * exact / max(used, 1), 83.60))
            if all("timesteps_before_cutting" in part for part in built):
                steps = sum(part["timesteps_before_cutting"] for part in built)
                rows.append(Statistic("hours before cutting", steps / STEPS_PER_HOUR, 211.6))
                rows.append(Statistic("shortest, steps", min(part["shortest"] for part in built), 60))
                rows.append(Statistic("longest, steps", max(part["longest"] for part in built), 1200))
            if all("classes" in part for part in built):
                whole = Counter(built[0]["classes"]) + Counter(built[1]["classes"])
                sizes, counted = np.array(list(whole.values())), "before cutting"
        rows += [
            Statistic("hours of the rows", train.hours + test.hours),
            Statistic("percent of rows of 300 steps", 100 * (train.full + test.full) / (train.rows + test.rows)),
            Statistic("training subjects", len(train.subjects), 157),
            Statistic("test subjects", len(test.subjects), 39),
            Statistic(f"smallest class, {counted}", int(sizes.min()), published[2]),
            Statistic(f"largest class, {counted}", int(sizes.max()), published[3]),
            Statistic(f"median class, {counted}", float(np.median(sizes)), published[4]),
            Statistic(f"mean class, {counted}", float(sizes.mean()), published[5]),
            Statistic("classes missing from a split", len(set(train.classes) ^ set(test.classes)), 0),
            Statistic("classes unstable in test", len(unstable_labels(test, classes)), 0 if fine else None),
        ]
        if "test_cross_device" in counts:
            rows.append(Statistic("cross-device test rows", counts["test_cross_device"].rows))
        result[config] = rows
    return result


def markdown_table(statistics: dict[str, list[Statistic]]) -> str:
    """Every config's numbers beside the paper's, in the column "paper"."""
    cells = [
        [config, row.name, _number(row.value), "" if row.paper is None else f"{row.paper:,.10g}"]
        for config, rows in statistics.items()
        for row in rows
    ]
    return table(["config", "statistic", "here", "paper"], cells, words=2)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}".rstrip("0").rstrip(".")
