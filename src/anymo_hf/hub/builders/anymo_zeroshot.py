"""The data set `anymo-zeroshot`: labelled windows of the HAR datasets, one config each, from the user's own copies.

    python dataset_scripts/anymo_zeroshot.py --data DIR --out anymo-zeroshot [--config usc_had] [--num-proc 2]

`--data` holds the downloads, a folder or zip for each; without `--config` every dataset found is built. A config that is
already there, from the same source, is left alone, so a build that was stopped goes on where it was. The card is written
from what was counted. `load_dataset("anymo-zeroshot", "usc_had")` then works without this package, streaming too.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from ...interruption import ending_in_words
from ...markdown import table
from ...modeling.known_names import did_you_mean
from ...recordings.catalogue import DATASETS, in_bundle, read_windows
from ...recordings.dataset_check import find_datasets
from ...recordings.imu_recording import ImuRecording, natural_key
from ...refusals import in_words
from .parquet_repository import (
    add_counts,
    files_identity,
    fill_card,
    list_files,
    one_at_a_time,
    read_json,
    split_files,
    write_config,
)
from .window_builder import WindowBuilder

_SIGNAL = datasets.Array2D((None, 6), "float32")


def features(name: str) -> datasets.Features:
    """Columns of a config. A placement that a window lacks is `(0, 6)`; `placements` names those it has."""
    return datasets.Features(
        {
            "sample_id": datasets.Value("string"),
            "dataset": datasets.Value("string"),
            "subject": datasets.Value("string"),
            "session": datasets.Value("string"),
            "label": datasets.ClassLabel(names=list(DATASETS[name].labels)),
            "original_label": datasets.Value("int64"),
            "sampling_rate": datasets.Value("float64"),
            "start_time": datasets.Value("float64"),
            "placements": datasets.List(datasets.Value("string")),
            **dict.fromkeys(DATASETS[name].placements, _SIGNAL),
        }
    )


@dataclass
class ZeroshotConfig(datasets.BuilderConfig):
    """Where the source is.

    Args:
        source: folder or zip of this one dataset, as it was downloaded.
        identity: of the source's files, so that a changed copy is not served from a cache; found by the builder.
    """

    source: str = ""
    identity: str = ""


class AnymoZeroshot(WindowBuilder):
    """The windows of `read_windows`; splits beside `test` where a dataset's authors or COMODO's lists define them."""

    BUILDER_CONFIG_CLASS = ZeroshotConfig
    BUILDER_CONFIGS = [ZeroshotConfig(name=name, version=datasets.Version("1.0.0")) for name in DATASETS]

    def __init__(self, *args: Any, source: str = "", **kwargs: Any) -> None:
        if not Path(source).exists() or not source:
            raise OSError(f"{source or 'source'}: no such folder or zip; give source=, the download of one dataset")
        kwargs.setdefault("identity", files_identity(source))
        super().__init__(*args, source=str(source), **kwargs)

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=features(self.config.name))

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        name, source = self.config.name, Path(self.config.source)
        parts = people(name, source)
        return [datasets.SplitGenerator(split, {"split": split, "parts": parts}) for split in held_splits(name, source)]

    def _generate_examples(self, split: str, parts: list[list[str]]):
        name, seen = self.config.name, dict[tuple[str, str], int]()
        for recording in part_windows(name, Path(self.config.source), split, parts):
            sitting = recording.subject, recording.session
            number = seen[sitting] = seen.get(sitting, -1) + 1
            row = window_row(name, recording, f"{name}/{split}/{recording.subject}/{recording.session}/{number}")
            yield row["sample_id"], row


def window_row(name: str, recording: ImuRecording, sample_id: str) -> dict[str, Any]:
    """One row; signals `(T, 6)` float32, m/s^2 and rad/s.

    Raises:
        ValueError: a placement that the dataset does not have, or one without a gyroscope.
    """
    for placement, signal in recording.signals.items():
        if placement not in DATASETS[name].placements or signal.shape[1] != 6:
            raise ValueError(
                f"{recording.source or name}: {signal.shape[1]} channels at {placement!r}; {name} has six at "
                f"{', '.join(DATASETS[name].placements)}"
            )
    none = np.zeros((0, 6), np.float32)
    return {
        "sample_id": sample_id,
        "dataset": name,
        "subject": recording.subject,
        "session": recording.session,
        "label": recording.label,
        "original_label": recording.label_id,
        "sampling_rate": recording.sampling_rate,
        "start_time": recording.start_time,
        "placements": [place for place in DATASETS[name].placements if place in recording.signals],
        **{place: np.asarray(recording.signals.get(place, none), np.float32) for place in DATASETS[name].placements},
    }


# -- reading in parts ----------------------------------------------------------------------------------------------------


def people(name: str, source: Path) -> list[list[str]]:
    """The files of each person, relative to `source`, or one empty list: the source is read as a whole.

    Files that are nobody's go with the first person.
    """
    patterns = DATASETS[name].person_files
    if patterns is None or not source.is_dir() or in_bundle(DATASETS[name], source):
        return [[]]
    who, whose = (re.compile(rf"(?:^|/)(?:{pattern})", re.I) for pattern in patterns)
    files = sorted(
        Path(base, file).relative_to(source).as_posix() for base, _, names in os.walk(source) for file in names
    )
    found = sorted({match[1] for file in files if (match := who.search(file))}, key=lambda key: natural_key(Path(key)))
    if len(found) < 2:
        return [[]]
    parts: dict[str, list[str]] = {key: [] for key in found}
    for file in files:
        match = whose.search(file)
        parts[match[1] if match and match[1] in parts else found[0]].append(file)
    return list(parts.values())


def part_windows(name: str, source: Path, split: str, parts: list[list[str]]) -> Iterator[ImuRecording]:
    """Windows of the parts one after the other, each read from a folder of links to its files only."""
    for files in parts:
        if not files:
            yield from split_windows(name, source, split)
            continue
        with tempfile.TemporaryDirectory(prefix="anymo-") as folder:
            for file in files:
                link = Path(folder, file)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to((source / file).absolute())
            try:
                yield from split_windows(name, Path(folder), split)
            except (ValueError, OSError) as error:  # with the place that the user knows
                kind = OSError if isinstance(error, OSError) else ValueError
                raise kind(str(error).replace(folder, str(source))) from error


def split_windows(name: str, source: Path, split: str) -> Iterator[ImuRecording]:
    """`read_windows` for the test split; for the others windows cut alike of other people or sessions."""
    if split == "test":
        yield from read_windows(name, source, segments=None)
        return
    dataset = DATASETS[name]
    yield from dataset.windows(dataset.read(source, split))


def held_splits(name: str, source: Path) -> tuple[str, ...]:
    """Splits that this copy holds: always "test", which is all of it where there is no official split."""
    return ("test",) if in_bundle(DATASETS[name], source) else DATASETS[name].splits(source)


def find_sources(data: str | Path, configs: list[str] | None = None) -> dict[str, Path]:
    """Config -> folder or zip below `data`; all that are found, or those that are asked for.

    A folder named as the config goes before others.

    Raises:
        ValueError: an unknown config, or two copies of one dataset.
        OSError: no such folder, or one of the configs is not there.
    """
    data = Path(data)
    for name in configs or []:
        if name not in DATASETS:
            raise ValueError(f"unknown config {name!r}{did_you_mean(name, DATASETS)}; known: {', '.join(DATASETS)}")
    found: dict[str, list[Path]] = {}
    if configs is None or not all((data / name).is_dir() for name in configs):
        for kind, place in find_datasets(data):
            for name, dataset in DATASETS.items():
                if kind in (name, f"unimts_{dataset.bundle}"):
                    found.setdefault(name, []).append(place)
    sources = {}
    for name in DATASETS:
        if name not in (found if configs is None else configs):
            continue
        own, places = data / name, found.get(name, [])
        if own.is_dir() and (configs is not None or own in places):
            places = [own]
        if not places:
            raise OSError(f"{data}: {DATASETS[name].title} is not there; unpack it into {own}")
        if len(set(places)) > 1:
            raise ValueError(
                f"{data}: {name} lies in {', '.join(map(str, sorted(places)))}; name the one to take {name}"
            )
        sources[name] = places[0]
    return sources


# -- the repository ------------------------------------------------------------------------------------------------------


@one_at_a_time
def write_repository(
    source: str | Path,
    out: str | Path,
    config: str,
    num_proc: int = 1,
    rows_per_file: int | None = None,
    progress: bool = True,
    listed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Writes `data/<config>/<split>-00000-of-0000N.parquet` and the card.

    A build that was killed goes on where it was: what it finished is kept in `.<config>.part`.

    Args:
        source: folder or zip of the dataset, as it was downloaded.
        out: the repository; other configs in it stay.
        config: key of `DATASETS`.
        num_proc: processes that read, a person each, where the dataset has files for each person.
        rows_per_file: rows of a Parquet file; without it files hold about 300 MB.
        progress: show a bar.
        listed: what `list_files` gave before `source` was found, which has been read for that.

    Returns:
        What was counted.

    Raises:
        ValueError: an unknown config, or a source that its reader refuses.
        OSError: no source, one that is damaged or that changed meanwhile, or no room.
    """
    if config not in DATASETS:
        raise ValueError(f"config must be one of {', '.join(DATASETS)}, got {config!r}")
    source, out = Path(source), Path(out)
    read_json(out / "counts.json")  # a damaged file is found before the work
    if not source.exists():
        raise OSError(f"{source}: no such folder or zip")
    identity = files_identity(source, listed=listed)
    settings = {"source": str(source), "identity": identity}
    splits = write_config(
        out,
        AnymoZeroshot,
        config,
        settings,
        partial(files_identity, source),
        partial(_count, config),
        num_proc,
        rows_per_file,
        progress,
        identity,
    )
    counts: dict[str, Any] = {"identity": identity, "splits": splits}
    counts["whole"], counts["beside"] = _compared(config, splits)
    add_counts(out, config, counts, DATASETS, card)
    return counts


def is_written(source: str | Path, out: str | Path, config: str) -> bool:
    """Whether the repository holds this config, made by this version from these files."""
    known = read_json(Path(out) / "counts.json").get(config, {})
    return (Path(out) / "data" / config).is_dir() and known.get("identity") == files_identity(source)


def _count(config: str, rows: datasets.Dataset) -> dict[str, Any]:
    columns = ["subject", "session", "label", "sampling_rate"]
    table = rows.select_columns(columns).with_format("numpy")[:]
    subjects, sessions, labels = (table[name].tolist() for name in columns[:3])
    seconds = 0.0
    for batch in rows.select_columns(["sampling_rate", *DATASETS[config].placements]).with_format("arrow").iter(1000):
        lengths = np.max([_lengths(batch.column(place)) for place in DATASETS[config].placements], axis=0)
        seconds += float((lengths / batch.column("sampling_rate").to_numpy()).sum())
    names = rows.features["label"].names
    whole = DATASETS[config].window_seconds is None  # rows are then the recordings
    return {
        "hours": seconds / 3600,
        "recordings": rows.num_rows if whole else len(set(zip(subjects, sessions, labels, strict=True))),
        "sessions": 0 if whole else len(set(zip(subjects, sessions, strict=True))),
        "subjects": sorted(set(subjects) - {""}, key=lambda text: natural_key(Path(text))),
        "classes": [names[index] for index in sorted(set(labels))],
    }  # fmt: skip


def _lengths(column: Any) -> np.ndarray:
    """Samples of each row of a chunked column of `Array2D`."""
    chunks = [getattr(chunk, "storage", chunk) for chunk in column.chunks]
    return np.concatenate([chunk.value_lengths().to_numpy() for chunk in chunks])


def _compared(config: str, splits: dict[str, Any]) -> tuple[bool, list[str]]:
    """Whether nothing is missing of what was published, and a line for each figure: ours, then the published one."""
    info = DATASETS[config]
    union = {key: {item for part in splits.values() for item in part[key]} for key in ("subjects", "classes")}
    ours = {key: len(items) for key, items in union.items()} | {
        key: sum(part[key] for part in splits.values()) for key in ("recordings", "sessions")
    }
    ours["seconds"] = round(3600 * sum(part["hours"] for part in splits.values()))
    figures = info.published_splits or info.published
    published = [(figure.count, figure.value, figure.meaning) for figure in figures]
    # a class is one of this config, which may leave some out; what is 0 here is not said by the source
    published = [row for row in published if row[0] != "classes" and ours[row[0]]]
    published.append(("classes", len(info.labels), "classes of this suite"))
    lines = [f"{name} {ours[name]:,} of {value:,.0f} ({meaning})" for name, value, meaning in published]
    return all(ours[name] >= value for name, value, _ in published), lines


def card(counts: dict[str, Any]) -> str:
    """README.md; every number is from `counts`, but those of the published figures."""
    rows = [
        [name, split, f"{part['rows']:,}", f"{part['hours']:.3f}", f"{len(part['subjects']) or 'not told'}",
         f"{len(part['classes'])}", ", ".join(DATASETS[name].placements)]
        for name, entry in counts.items() for split, part in entry["splits"].items()
    ]  # fmt: skip
    head = ["config", "split", "windows", "hours", "subjects", "classes", "placements"]
    lines = [table(head, rows, words=len(head)), "", "Counted here, beside the published figure:", ""]
    for name, entry in counts.items():
        lines.append(f"- `{name}` ({'whole' if entry['whole'] else 'partial'}): {'; '.join(entry['beside'])}")
    licences = {DATASETS[name].licence for name in counts}
    sources = [[name, f"{DATASETS[name].title}, {DATASETS[name].url}", DATASETS[name].licence_text] for name in counts]
    return fill_card(
        "anymo_zeroshot", "AnyMo zero-shot suite", licences.pop() if len(licences) == 1 else "other",
        ["human-activity-recognition", "zero-shot"],
        {name: split_files(name, entry["splits"]) for name, entry in counts.items()},
        {name: features(name) for name in counts},
        "Labelled windows of public datasets of human activity recognition, read from their original downloads and cut as "
        "the evaluation of AnyMo cuts them. A column for each placement holds acceleration with gravity (m/s², at rest 9.81 "
        "along up), then angular velocity (rad/s), in the sensor's own axes at the dataset's own rate; a placement that a "
        "window lacks is empty, and `placements` names those it has. `label` is the class text, `original_label` the number "
        "in the dataset's own documents. Split `test` is what the zero-shot evaluation uses; others are there where an "
        "official split is.",
        lines,
        [table(["config", "source", "licence"], sources, words=3)],
        ("zero-shot-classification",),
    )  # fmt: skip


@ending_in_words("anymo_zeroshot")
def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; `arguments` default to those of the process."""
    parser = argparse.ArgumentParser(description="Write anymo-zeroshot as a Parquet repository for the Hub.")
    parser.add_argument("--data", type=Path, required=True, help="holds the downloads, a folder or zip for each")
    parser.add_argument("--out", type=Path, required=True, help="the repository")
    parser.add_argument("--config", nargs="+", choices=list(DATASETS), help="only these; default: all that are found")
    parser.add_argument("--num-proc", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="build what is already there, too")
    args = parser.parse_args(arguments)
    failed = []
    try:
        listed = list_files(args.data)
        sources = find_sources(args.data, args.config)
        if not sources:
            raise OSError(f"{args.data}: none of the datasets found; anymo data check DIR says what is looked for")
        for number, (name, source) in enumerate(sources.items(), 1):
            if not args.again and is_written(source, args.out, name):
                print(f"[{number}/{len(sources)}] {name}: already there")
                continue
            print(f"[{number}/{len(sources)}] {name}: reading {source}", flush=True)
            try:
                counts = write_repository(source, args.out, name, args.num_proc, listed=listed)
            except (ValueError, OSError) as error:  # the others can still be built
                failed.append(f"{name}: {in_words(error)}")
                print(f"  refused: {in_words(error)}")
                continue
            for split, part in counts["splits"].items():
                print(
                    f"  {split}: {part['rows']:,} windows, {part['hours']:.3f} hours, {len(part['subjects'])} subjects"
                )
            print(f"  {'whole' if counts['whole'] else 'partial'}: {'; '.join(counts['beside'])}")
    except (ValueError, OSError) as error:
        parser.exit(2, f"anymo_zeroshot: {in_words(error)}\n")
    if failed:
        parser.exit(2, f"anymo_zeroshot: {'; '.join(failed)}\n")
    print(f"written: {args.out}")
