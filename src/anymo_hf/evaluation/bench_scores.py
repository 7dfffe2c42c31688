"""AnyMo Bench by any system (paper Table 8): unseen people, and unseen people with the device that training never saw.

Read from the folder that `anymo_bench.py` builds, from a download of the official Parquet, or from a simulated Bench. Rows
have up to 300 steps of 60 Hz; how a window becomes as long as a system wants is the system's own affair: DeepConvLSTM fills
with zeros and cuts, MantisV2 and COMODO interpolate (paper, appendix B).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ..annotation.bench_classes import OFFICIAL_CONFIGS, SPACES
from ..modeling.known_names import did_you_mean
from ..recordings.imu_recording import ImuRecording
from ..refusals import refusing
from ..systems.interface import System, known_system, load_system
from .bench_statistics import check_columns, find_configs
from .metrics import among_best, people_interval, recognition_scores
from .recognition import stratified_subset
from .simulated_bench import CONFIG, PLACES
from .system_results import add_rows, open_results, windows_hash

RATE, LONGEST = 60.0, 300
TITLES = {"fine150": "Fine150", "core50": "Core50", CONFIG: "Simulated"}
UNSEEN, CROSS = "Unseen Subject", "Unseen Subject + Cross Device"


@dataclass(frozen=True)
class Setting:
    """One setting of the Bench.

    Args:
        name: as the paper calls it, such as "Fine150 / Unseen Subject".
        train, test: Parquet files.
        simulated: whether the people are.
    """

    name: str
    train: tuple[Path, ...]
    test: tuple[Path, ...]
    simulated: bool = False


def bench_settings(repository: str | Path) -> list[Setting]:
    """The settings that a repository holds, ours or the official one.

    Raises:
        OSError: it holds none.
        ValueError: a config without its training or test files, or one of another name.
    """
    found = []
    for config, splits in find_configs(repository).items():
        if config not in (*SPACES, *OFFICIAL_CONFIGS, CONFIG):
            raise ValueError(f"{repository}: data/{config} is no config of AnyMo Bench")
        space, second = OFFICIAL_CONFIGS.get(config, (config, None))
        for split in ("train", "test"):
            if split not in splits:
                raise ValueError(f"{repository}: {config} has no files for {split}; build or download it again")
        train, test = tuple(splits["train"]), tuple(splits["test"])
        found.append(Setting(f"{TITLES[space]} / {CROSS if second else UNSEEN}", train, test, space == CONFIG))
        if "test_cross_device" in splits:
            crossed = tuple(splits["test_cross_device"])
            found.append(Setting(f"{TITLES[space]} / {CROSS}", train, crossed, space == CONFIG))
    return found


def read_bench(files: Sequence[Path]) -> tuple[list[ImuRecording], list[int]]:
    """Windows of Parquet files as recordings of head and wrists, and their label ids; a place that is all zero is left out.

    Raises:
        OSError, ValueError: as `check_columns`; or a window without samples.
    """
    recordings: list[ImuRecording] = []
    for file in files:
        with refusing(file, "Parquet file", "download or build it again"):
            recordings += _read_rows(file)
    return recordings, [int(one.label_id) for one in recordings if one.label_id is not None]


def _read_rows(file: Path) -> Iterator[ImuRecording]:
    check_columns(file)
    for batch in pq.ParquetFile(file).iter_batches(256, use_threads=False):
        rows = batch.to_pydict()
        for number, imu in enumerate(rows["imu"]):
            values = np.asarray(imu, dtype=float)
            if values.ndim != 2 or not len(values):
                raise ValueError(f"{file}: {rows['sample_id'][number]} has no samples; build it again")
            if not (np.isfinite(values).all() and np.isfinite(rows["start_time_sec"][number] or 0)):
                raise ValueError(f"{file}: {rows['sample_id'][number]} holds no finite numbers; build it again")
            for name in ("label", "label_id", "start_time_sec"):
                if rows[name][number] is None:
                    raise ValueError(f"{file}: {rows['sample_id'][number]} has no {name}; build it again")
            parts = {place: values[:, 6 * k : 6 * k + 6] for k, place in enumerate(PLACES)}
            worn = {place: part for place, part in parts.items() if part.any()} or parts
            yield ImuRecording(
                worn, RATE, rows["label"][number], rows["label_id"][number], rows["subject_id"][number],
                rows["session_id"][number], "anymo_bench", rows["start_time_sec"][number], str(file),
            )  # fmt: skip


def evaluate_bench(
    name: str,
    repository: str | Path,
    out: str | Path,
    source: str | None = None,
    settings: Sequence[str] | None = None,
    max_train: int | None = None,
    max_test: int | None = None,
    seed: int = 0,
) -> Iterator[str]:
    """Scores a system at every setting and adds rows to `out/bench/NAME.json`; yields lines to print.

    A system that learns is fitted once for the settings of one training split. Settings that are done stay. Windows under
    the system's `shortest_seconds` are left out and counted.

    Args:
        name: of the system; source, seed: as `System.load`.
        repository: as `bench_settings`.
        settings: names of the settings; None takes all.
        max_train, max_test: at most so many windows, each class by its share; None takes all.

    Raises:
        ValueError: unknown system or setting; a system that refuses the windows; a results file of other weights or
            windows.
        OSError: no Bench there, or what the system requires is missing.
    """
    known_system(name)
    there = bench_settings(repository)
    if unknown := sorted(set(settings or ()) - {one.name for one in there}):
        names = [one.name for one in there]
        raise ValueError(
            f"{repository} has no setting {', '.join(unknown)}{did_you_mean(unknown, names)}; it has {', '.join(names)}"
        )
    system = load_system(name, source, seed)
    path, results = open_results(out, "bench", system)
    asked = {"max_train": max_train, "max_test": max_test, "seed": seed}
    held: tuple[Path, ...] = ()  # files of the training split that was read
    fitted: tuple[Path, ...] = ()
    train_hash, labels, trained_on = "", (), 0
    brief = f"under the {system.shortest_seconds or 0:g} s that {system.title} needs"
    for setting in (one for one in there if settings is None or one.name in settings):
        key = {"setting": setting.name, "simulated": setting.simulated, **asked}
        if held != setting.train:
            train, train_ids = read_bench(setting.train)
            names = {number: str(one.label) for one, number in zip(train, train_ids, strict=True)}
            labels, held = tuple(names[number] for number in sorted(names)), setting.train
            train_hash = windows_hash(train)
        test, ids = read_bench(setting.test)
        windows = {"train_sha256": train_hash, "test_sha256": windows_hash(test)}
        done = [row for row in results.rows if key.items() <= row.items()]
        if any({name: row.get(name) for name in windows} != windows for row in done):
            raise ValueError(f"{path} has rows of other windows of {setting.name}; move it away or give another --out")
        if done:
            yield f"{setting.name}: done before"
            continue
        if system.can("fit") and fitted != setting.train:
            usable = [row for row, one in enumerate(train) if not system.too_short(one)]
            if len(usable) < len(train):
                yield f"{setting.name}: {len(train) - len(usable)} training windows {brief} left out"
            if not usable:
                raise ValueError(f"{setting.name}: every training window is {brief}; score another system")
            drawn = stratified_subset(np.array([train_ids[row] for row in usable]), max_train, seed)
            chosen = [usable[row] for row in drawn]
            system = load_system(name, source, seed)
            system.fit([train[row] for row in chosen], [names[train_ids[row]] for row in chosen])
            trained_on, fitted = len(chosen), setting.train
        known = [row for row, one in enumerate(test) if one.label in labels]
        if not known:
            raise ValueError(f"{setting.name}: no test window has a class of training; build the Bench again")
        long_enough = [row for row in known if not system.too_short(test[row])]
        if len(long_enough) < len(known):
            yield f"{setting.name}: {len(known) - len(long_enough)} test windows {brief} left out"
        if not long_enough:
            raise ValueError(f"{setting.name}: every test window is {brief}; score another system")
        kept = [
            long_enough[row] for row in stratified_subset(np.array([ids[row] for row in long_enough]), max_test, seed)
        ]
        row = key | bench_row(system, [test[row] for row in kept], labels)
        row |= windows | {
            "trained_on": trained_on,
            "unknown_classes": len(test) - len(known),
            "too_short": len(known) - len(long_enough),
            "report": system.report(),
        }
        results = add_rows(path, results, [row], tuple(key))
        yield (
            f"{setting.name}: Acc@1 {row['accuracy_at_1']:.1f}, Acc@5 {row['accuracy_at_5']:.1f}, macro-F1 "
            f"{row['macro_f1']:.1f} ({row['windows']} windows of {row['people']} people, chance {row['chance']:.1f})"
        )
    yield f"results: {path}"


def bench_row(system: System, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> dict[str, Any]:
    """Acc@1, Acc@5 and macro-F1 in percent of one system on test windows."""
    truth = np.array([list(labels).index(str(one.label)) for one in recordings])
    scores = system.score(recordings, labels)
    unread = np.isnan(scores).any(1)
    scores = np.where(unread[:, None], 0.0, scores)
    found = recognition_scores(scores, truth, unread)
    five = among_best(scores, truth, 5) & ~unread
    people = np.array([one.subject for one in recordings])
    interval = people_interval((scores.argmax(1) == truth) & ~unread, people)
    return {
        "accuracy_at_1": 100 * found["accuracy"], "accuracy_at_5": 100 * float(five.mean()),
        "macro_f1": 100 * found["macro_f1"], "windows": len(truth), "people": len(set(people) - {""}),
        "classes": len(labels), "chance": 100 / len(labels),
        "interval": None if interval is None else [100 * value for value in interval],
        "invalid_rate": 100 * float(unread.mean()),
    }  # fmt: skip
