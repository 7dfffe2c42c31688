"""The data set `anymo-bench`: activity recognition on real IMU data of Nymeria, as a builder and as a Parquet repository.

    python dataset_scripts/anymo_bench.py --nymeria DIR --annotations FILE --out REPO --config fine150

Run it once for each of `fine150` and `core50`. Splits have no subject in common: `train` and `test` use the IMU `1202-1` of
head and wrists, `test_cross_device` the people of `test` with `1202-2`. Columns, windows and metadata files are those of
the official repository, whose config names work here too: `load_dataset("REPO", "AnyMo-Bench-50-USCD")`.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from ...annotation.bench_classes import (
    OFFICIAL_CONFIGS,
    SPACES,
    LabelSpace,
    label_space,
    read_label_space,
    read_members,
    space_of,
)
from ...atomic_write import write_json, write_text
from ...evaluation.bench_statistics import BODY_POSITION, CHANNELS, DEVICE_IDS
from ...interruption import ending_in_words
from ...markdown import table
from ...nymeria.annotated_windows import NymeriaSource, overlap, prepare
from ...nymeria.annotations import Annotation
from ...nymeria.imu_grid import STEP_NS, WINDOW, cut_window
from ...nymeria.sequence import HELD_OUT_SUBJECTS, read_metadata
from ...refusals import in_words, parse_json
from .anymo_180 import LICENCE, add_source_arguments, left_out, list_source, source_files
from .parquet_repository import SplitFiles, fill_card, one_at_a_time, read_json, split_files, with_classes, write_config
from .window_builder import WindowBuilder

ROWS_PER_FILE = 5000
STREAMS = {"train": "1202-1", "test": "1202-1", "test_cross_device": "1202-2"}
_COLUMNS = {
    "sample_id": "string", "session_id": "string", "subject_id": "string", "body_position": "string",
    "device_id": "string", "start_time_sec": "float64", "end_time_sec": "float64", "start_t_ns_global": "int64",
    "end_t_ns_global": "int64", "label": "string", "label_id": "int32",
}  # fmt: skip
FEATURES = datasets.Features(
    {name: datasets.Value(kind) for name, kind in _COLUMNS.items()}
    | {"imu": datasets.List(datasets.List(datasets.Value("float32"), length=len(CHANNELS)))}
)


@dataclass
class BenchConfig(datasets.BuilderConfig):
    """Where windows come from; the first five fields are those of `NymeriaSource`.

    Args:
        labels: official label file of this config; without it the rebuilt classes.
        members: official annotation CSV that tells which labels a Core50 class has; without it, and with `labels`, the
            annotations need the column superclass_50_label.
        split_subjects: `metadata/split_subjects.json` of another repository; without it, 8:2 by `seed`.
        seed: of the split.
        drop_held_out: leave out the five people that all training stages hold out; the official exporter keeps them.
        left_out: sequences that are not read.
    """

    nymeria: str = ""
    annotations: str | None = None
    times: str = "timecode"
    resampling: str = "anti_aliased"
    cache: str | None = None
    labels: str | None = None
    members: str | None = None
    split_subjects: str | None = None
    seed: int = 42
    drop_held_out: bool = False
    left_out: tuple[str, ...] = ()

    def source(self) -> NymeriaSource:
        """The copy."""
        return NymeriaSource(self.nymeria, self.annotations, self.times, self.resampling, self.cache)

    def space(self) -> LabelSpace:
        """The classes."""
        name = space_of(self.name)
        if self.labels is None:
            return label_space(name)
        return read_label_space(self.labels, name, None if self.members is None else read_members(self.members))


class AnymoBench(WindowBuilder):
    """Rows in the order of sequences and times; a window that lies outside its recording is left out."""

    BUILDER_CONFIG_CLASS = BenchConfig
    BUILDER_CONFIGS = [
        BenchConfig(name=name, version=datasets.Version("1.0.0")) for name in (*SPACES, *OFFICIAL_CONFIGS)
    ]

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=FEATURES)

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        parts = split_sessions(self.config)
        streams = dict(STREAMS)
        if self.config.name in OFFICIAL_CONFIGS:
            streams = {"train": "1202-1", "test": "1202-2" if OFFICIAL_CONFIGS[self.config.name][1] else "1202-1"}
        return [
            datasets.SplitGenerator(
                split, {"sessions": parts["train" if split == "train" else "test"], "split": split, "stream": stream}
            )
            for split, stream in streams.items()
        ]

    def _generate_examples(self, sessions: list[str], split: str, stream: str):
        space, source = self.config.space(), self.config.source()
        ids = {label: index for index, label in enumerate(space.labels)}
        for session in sessions:
            signals = source.signals(session, stream)
            for item, name, *_ in eligible(source.read(session), space):
                first, count = overlap(item, signals)
                for offset, length in cut_window(count):
                    begin = (first + offset) * STEP_NS
                    end = begin + length * STEP_NS
                    key = f"{self.config.name}:{split}:{item.sample_id}:{first + offset}:{length}"
                    yield key, {
                        "sample_id": key, "session_id": item.session, "subject_id": item.subject,
                        "body_position": BODY_POSITION, "device_id": DEVICE_IDS[stream], "start_time_sec": begin * 1e-9,
                        "end_time_sec": end * 1e-9, "start_t_ns_global": begin, "end_t_ns_global": end, "label": name,
                        "label_id": ids[name], "imu": np.nan_to_num(signals.window(first + offset, length)),
                    }  # fmt: skip


def eligible(annotations: Iterable[Annotation], space: LabelSpace) -> Iterator[tuple[Annotation, str, int, int]]:
    """Annotations that have a class, with it and with their frames before anything is clipped."""
    for item in annotations:
        name = None if item.label is None else space.class_of(item.label, item.superclass)
        if name is not None:
            yield item, name, *item.frames()


def split_subjects(subjects: Iterable[str], seed: int = 42, test_share: float = 0.2) -> tuple[list[str], list[str]]:
    """Subjects of train and test, each sorted: 196 of them give 157 and 39, as in the paper.

    The paper prints the seed but not how it is used; here sorted names are shuffled by Python's `random` and the first
    fifth is for testing. An official `split_subjects.json` gives the paper's own people.

    Raises:
        ValueError: fewer than two subjects.
    """
    names = sorted(set(subjects))
    if len(names) < 2:
        raise ValueError(f"a split needs two subjects or more with a class of the Bench, got {len(names)}")
    shuffled = list(names)
    random.Random(seed).shuffle(shuffled)
    test = set(shuffled[: max(1, round(test_share * len(names)))])
    return [name for name in names if name not in test], sorted(test)


def read_split(path: str | Path) -> tuple[list[str], list[str]]:
    """Subjects of train and test of a `split_subjects.json`.

    Raises:
        OSError: the file cannot be read.
        ValueError: another format, or a subject on both sides.
    """
    try:
        content = parse_json(Path(path).read_text(encoding="utf-8"))
        train, test = (sorted(map(str, content[f"{side}_subjects"])) for side in ("train", "test"))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: must be JSON with train_subjects and test_subjects ({error!r})") from error
    if both := set(train) & set(test):
        raise ValueError(f"{path}: {sorted(both)[0]!r} is in train and in test")
    return train, test


def split_sessions(config: BenchConfig) -> dict[str, list[str]]:
    """Names of the sequences of "train" and "test".

    Raises:
        OSError, ValueError: as the source; or a side of the split is empty.
    """
    source, space = config.source(), config.space()
    subjects: dict[str, str] = {}
    for folder in source.sessions():
        subject = read_metadata(folder).subject
        if folder.name in config.left_out or (config.drop_held_out and subject in HELD_OUT_SUBJECTS):
            continue
        if any(True for _ in eligible(source.read(folder), space)):
            subjects[folder.name] = subject
    if config.split_subjects is None:
        sides = split_subjects(subjects.values(), config.seed)
    else:
        sides = read_split(config.split_subjects)
    parts = {
        side: [name for name, who in subjects.items() if who in set(people)]
        for side, people in zip(("train", "test"), sides, strict=True)
    }
    for side, names in parts.items():
        if not names:
            raise ValueError(f"{config.nymeria}: no recording of a subject for {side}; check the split and annotations")
    return parts


@one_at_a_time
def write_repository(
    nymeria: str | Path,
    annotations: str | Path | None,
    out: str | Path,
    config: str,
    num_proc: int = 1,
    rows_per_file: int = ROWS_PER_FILE,
    strict: bool = True,
    progress: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """Writes `data/<config>/<split>-*.parquet`, `metadata/` and the card; the other config in the repository stays.

    A build that was killed goes on where it was: signals at 60 Hz are kept in `<out>.signals`, for the other config too, and
    rows in `.<config>.part`.

    Args:
        nymeria, annotations: as `NymeriaSource`.
        out: the repository.
        config: "fine150", "core50" or an official name.
        num_proc: sequences read, and processes that make rows, at a time.
        rows_per_file: rows of a Parquet file.
        strict: refuse sequences whose IMU cannot be read and windows outside their recording, rather than leave them out.
        progress: show bars.
        options: other fields of `BenchConfig`.

    Returns:
        What was counted.

    Raises:
        ValueError: an unknown config, bad annotations or options, or another split than that of the config at hand.
        OSError: sequences, annotations or IMU files are missing.
    """
    name, out = space_of(config), Path(out)
    for key, value in options.items():
        if key in ("labels", "members", "split_subjects") and value is not None:
            options[key] = str(Path(value).resolve())
    named = None if annotations is None else str(Path(annotations).resolve())
    cache = str(out.with_name(out.name + ".signals").resolve())
    settings: dict[str, Any] = {
        "nymeria": str(Path(nymeria).resolve()),
        "annotations": named,
        "cache": cache,
        **options,
    }
    plan = BenchConfig(name=name, **settings)
    source = plan.source()
    listed = list_source(source)
    space, parts = plan.space(), split_sessions(plan)
    names = [session for sessions in parts.values() for session in sessions]
    files = partial(source_files, source, names)
    known = files(listed)
    broken: dict[str, str] = {}
    outside: dict[str, int] = {}
    for side, streams in (("train", ("1202-1",)), ("test", ("1202-1", "1202-2"))):
        lost, stray = prepare(source, parts[side], streams, num_proc, True, strict, progress)
        broken, outside = broken | lost, outside | stray
    settings["left_out"] = tuple(broken)
    if broken and plan.split_subjects is None:
        # the split stays that of all people: otherwise one broken file would move others across
        settings["split_subjects"] = str((out / f".{name}.split.json").resolve())
        write_json(Path(settings["split_subjects"]), _people(source, parts))
    people = _people(source, parts)
    info_path, split_path = out / "metadata" / "dataset_info.json", out / "metadata" / "split_subjects.json"
    summaries = {
        key: value for key, value in read_json(info_path).get("summaries", {}).items()
        if key in OFFICIAL_CONFIGS and (out / "data" / space_of(key)).is_dir() and space_of(key) != name
    }  # fmt: skip
    if summaries and read_json(split_path) != people:
        raise ValueError(
            f"{split_path}: the other config has other people; write both from one source into a new folder"
        )
    try:
        counts = write_config(out, AnymoBench, name, settings, files, _count, num_proc, rows_per_file, progress, known)
    finally:
        (out / f".{name}.split.json").unlink(missing_ok=True)
    kept = {side: [session for session in sessions if session not in broken] for side, sessions in parts.items()}
    built = {side: _build_stats(source, sessions, space) for side, sessions in kept.items()}
    for official, (of, cross) in OFFICIAL_CONFIGS.items():
        if of == name:
            summaries[official] = {
                "benchmark_type": name, "label_column": {"fine150": "activity_label", "core50": "superclass_50_label"}[name],
                "num_classes": len(space.labels), "train_imu_index_within_position": 0,
                "test_imu_index_within_position": int(cross), "train_build_stats": built["train"],
                "test_build_stats": built["test"], "train": counts["train"],
                "test": counts["test_cross_device" if cross else "test"],
            }  # fmt: skip
    write_json(
        out / "metadata" / f"{name}_labels.json", [{"label_id": n, "label": s} for n, s in enumerate(space.labels)]
    )
    if name == "core50" and space.members is not None:
        write_json(out / "metadata" / "core50_members.json", dict(space.members))
    write_json(split_path, people)
    info = {
        "sampling_rate_hz": 60, "window_size_timesteps": WINDOW, "body_position": BODY_POSITION,
        "channel_names": list(CHANNELS), "resampling": plan.resampling, "left_out": broken, "windows_outside": outside,
        "labels_from": "official file" if plan.labels else "rebuilt",
        "split_from": "official file" if options.get("split_subjects") else f"seed {plan.seed}",
        "held_out_people": "dropped" if plan.drop_held_out else "kept", "summaries": summaries,
    }  # fmt: skip
    write_json(info_path, info)
    labels = {
        label_file.name.removesuffix("_labels.json"): [entry["label"] for entry in read_json(label_file)]
        for label_file in (out / "metadata").glob("*_labels.json")
    }
    write_text(out / "README.md", card(info, labels))
    return {"splits": counts, "left_out": broken, "windows_outside": outside, "build": built}


def _people(source: NymeriaSource, parts: dict[str, list[str]]) -> dict[str, list[str]]:
    return {
        f"{side}_subjects": sorted({read_metadata(source.folder(session)).subject for session in sessions})
        for side, sessions in parts.items()
    }


def _build_stats(source: NymeriaSource, sessions: Iterable[str], space: LabelSpace) -> dict[str, Any]:
    """What became of the annotations, by the official exporter's names."""
    stats: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    for session in sessions:
        rows, signals = source.read(session), source.signals(session, "1202-1")
        stats["rows_seen"] += len(rows)
        for item, name, _, wanted in eligible(rows, space):
            _, count = overlap(item, signals)
            stats["rows_clipped"] += int(0 < count < wanted)
            if not count:
                stats["rows_skipped_out_of_bounds"] += 1
                continue
            stats["rows_used"] += 1
            classes[name] += 1
            size = "shorter_than" if count < WINDOW else "exact" if count == WINDOW else "longer_than"
            stats[f"rows_{size}_window"] += 1
            stats["timesteps_before_cutting"] += count
            stats["shortest"] = min(stats["shortest"] or count, count)
            stats["longest"] = max(stats["longest"], count)
    used = stats["rows_used"] + stats["rows_skipped_out_of_bounds"]
    stats["rows_skipped_label_not_in_vocabulary"] = stats["rows_seen"] - used
    return dict(stats) | {"classes": dict(classes.most_common())}


def _count(rows: datasets.Dataset) -> dict[str, int]:
    table = rows.select_columns(["start_t_ns_global", "end_t_ns_global"]).with_format("numpy")
    lengths = [
        (batch["end_t_ns_global"] - batch["start_t_ns_global"]) // STEP_NS for batch in table.iter(8192)
    ] or [np.zeros(0, np.int64)]  # fmt: skip
    steps = np.concatenate(lengths)
    return {
        "min_timesteps": int(steps.min(initial=WINDOW)), "max_timesteps": int(steps.max(initial=0)),
        "total_timesteps": int(steps.sum()),
    }  # fmt: skip


def config_files(summaries: dict[str, Any]) -> dict[str, dict[str, SplitFiles]]:
    """Config -> split -> files, for our names and the official ones; both name the same files."""
    files: dict[str, dict[str, SplitFiles]] = {}
    for official, (name, cross) in OFFICIAL_CONFIGS.items():
        if official in summaries:
            test = "test_cross_device" if cross else "test"
            own = split_files(name, {"train": summaries[official]["train"], test: summaries[official]["test"]})
            files[name] = files.get(name, {}) | own
            files[official] = {"train": own["train"], "test": own[test]}
    return {name: files[name] for name in (*SPACES, *OFFICIAL_CONFIGS) if name in files}


def card(info: dict[str, Any], labels: dict[str, list[str]]) -> str:
    """README.md; every number is from `info`, the content of `metadata/dataset_info.json`.

    `labels` are the classes of each label space, in the order of `label_id`.
    """
    files = config_files(info["summaries"])
    classes = {
        "official file": "official",
        "rebuilt": "rebuilt from the paper's numbers, may differ from the official lists",
    }
    rows = []
    for official, entry in info["summaries"].items():
        cross = bool(entry["test_imu_index_within_position"])
        for side in ("train", "test"):
            part = entry[side]
            split = "test_cross_device" if cross and side == "test" else side
            rows.append(
                [entry["benchmark_type"], f"{official} ({side})", split, f"{entry['num_classes']}", f"{part['rows']:,}",
                 f"{part['total_timesteps'] / 216_000:.3f}", f"{part['min_timesteps']}", f"{part['max_timesteps']}"]
            )  # fmt: skip
    head = ["config", "official name", "split", "classes", "rows", "hours", "shortest", "longest"]
    lines = [
        table(head, rows, words=3), "",
        f"Resampling to 60 Hz: {info['resampling'].replace('_', '-')}. Classes: {classes[info['labels_from']]}.",
        *left_out(info), "", "`anymo bench statistics REPO` counts more, beside the paper's numbers.",
        "", "### What differs from the official release", "", *(f"- {line}" for line in official_differences(info)),
    ]  # fmt: skip
    return fill_card(
        "anymo_bench", "AnyMo Bench", "cc-by-nc-4.0", ["human-activity-recognition", "nymeria"],
        files, {name: with_classes(FEATURES, labels[space_of(name)]) for name in files},
        "Activity recognition on real IMU data of Nymeria. A row is a window of at most 300 steps at 60 Hz: `imu` is "
        "`[T, 18]`, of head, left wrist and right wrist the acceleration with gravity (m/s²) and the angular velocity "
        "(rad/s) in sensor axes. Longer windows are cut into pieces of 300 and the tail is dropped, nothing is padded, and "
        "gaps are zero. Times are TIME_CODE. Splits have no subject in common (`metadata/split_subjects.json`); "
        "`test_cross_device` has the people of `test` with the other IMU of each device.",
        lines, [LICENCE], ("zero-shot-classification",),
    )  # fmt: skip


def official_differences(info: dict[str, Any]) -> list[str]:
    """Where these rows follow another rule than the official ones, or the same by choice; from `dataset_info.json`."""
    people = ", ".join(HELD_OUT_SUBJECTS)
    lines = [
        "`sample_id` is made of config, split, annotation, first step and length; the official rule is not published."
    ]
    if info["split_from"] == "official file":
        lines.append("The people of train and test are those of a given `split_subjects.json`.")
    else:
        lines.append(
            f"The people of train and test are drawn 8:2 with {info['split_from']}: the official seed is published, how it "
            "is used is not, so people may lie on other sides. `--split-subjects` takes the official file."
        )
    if info["held_out_people"] == "kept":
        lines.append(
            f"The five people that training holds out ({people}) are kept, as the official exporter keeps them; "
            "`--drop-held-out` leaves them out."
        )
    else:
        lines.append(
            f"The five people that training holds out ({people}) are left out; the official exporter keeps them."
        )
    if info["resampling"] != "nearest":
        lines.append(
            "Signals are low-passed before 60 Hz; the official exporter takes the nearest sample (`--nearest`)."
        )
    if info["labels_from"] == "rebuilt":
        lines.append(
            "The members of the classes are rebuilt from published totals, which many other choices meet as well."
        )
    return lines


@ending_in_words("anymo_bench")
def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; `arguments` default to those of the process."""
    parser = argparse.ArgumentParser(description="Write anymo-bench as a Parquet repository for the Hub.")
    add_source_arguments(parser)
    parser.add_argument("--config", choices=[*SPACES, *OFFICIAL_CONFIGS], required=True)
    parser.add_argument("--labels", type=Path, help="official label file of the config; default: rebuilt classes")
    parser.add_argument("--members", type=Path, help="official annotation CSV that maps labels to Core50 classes")
    parser.add_argument("--split-subjects", type=Path, help="split_subjects.json of another repository")
    parser.add_argument("--seed", type=int, default=42, help="of the split")
    parser.add_argument(
        "--drop-held-out", action="store_true",
        help="leave out the five people that training holds out; the official exporter keeps them",
    )  # fmt: skip
    args = parser.parse_args(arguments)
    try:
        counts = write_repository(
            args.nymeria, args.annotations, args.out, args.config, args.num_proc, strict=not args.skip_broken,
            times=args.times, resampling="nearest" if args.nearest else "anti_aliased", labels=args.labels,
            members=args.members, split_subjects=args.split_subjects, seed=args.seed, drop_held_out=args.drop_held_out,
        )  # fmt: skip
    except (ValueError, OSError, ImportError) as error:
        parser.exit(2, f"anymo_bench: {in_words(error)}\n")
    for split, part in counts["splits"].items():
        print(f"{space_of(args.config)}/{split}: {part['rows']} rows, {part['total_timesteps'] / 216_000:.3f} hours")
    print(f"written: {args.out}; 60 Hz signals are kept in {args.out}.signals for the next build")
