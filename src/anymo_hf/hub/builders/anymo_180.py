"""The data set `anymo-180`: narrated, labelled windows of Nymeria, as a builder and as a Parquet repository for the Hub.

    python dataset_scripts/anymo_180.py --nymeria DIR --annotations FILE --out REPO

DIR is a Nymeria copy (`anymo make-mini-nymeria` writes a small one), FILE what the label pipeline wrote. Windows keep their
lengths. Signals of head and wrists stand beside them where a recording has all three VRS files. The five people that
every training stage holds out are the split `test`. `load_dataset("REPO")` then works without this package.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.compute as pc

from ...atomic_write import write_json, write_text
from ...interruption import ending_in_words
from ...markdown import table
from ...motion.activity_labels import anymo180
from ...nymeria.annotated_windows import NymeriaSource, overlap, prepare
from ...nymeria.annotations import CLOCKS
from ...nymeria.imu import DEVICES
from ...nymeria.imu_grid import has_signals, signals_by_device
from ...nymeria.sequence import HELD_OUT_SUBJECTS, read_metadata
from ...refusals import in_words
from .parquet_repository import (
    files_identity,
    fill_card,
    list_files,
    one_at_a_time,
    split_files,
    with_classes,
    write_config,
)
from .window_builder import WindowBuilder

STREAM = "1202-1"
LICENCE = "Nymeria is CC BY-NC 4.0 (Project Aria, Meta); windows made from it are too."
FEATURES = datasets.Features(
    {
        "sample_id": datasets.Value("string"),
        "session_id": datasets.Value("string"),
        "subject_id": datasets.Value("string"),
        "start_time_sec": datasets.Value("float64"),
        "end_time_sec": datasets.Value("float64"),
        "narration": datasets.Value("string"),
        "augmentations": datasets.List(datasets.Value("string")),
        "label": datasets.Value("string"),
        "label_id": datasets.Value("int32"),
    }
    | {device: datasets.Array2D((None, 6), "float32") for device in DEVICES}
)


@dataclass
class AnyMo180Config(datasets.BuilderConfig):
    """Where windows come from; the first five fields are those of `NymeriaSource`.

    Args:
        left_out: sequences that are not read.

    A window that lies outside its recording is left out; `write_repository` looks for those first.
    """

    nymeria: str = ""
    annotations: str | None = None
    times: str = "timecode"
    resampling: str = "anti_aliased"
    cache: str | None = None
    left_out: tuple[str, ...] = ()

    def source(self) -> NymeriaSource:
        """The copy."""
        return NymeriaSource(self.nymeria, self.annotations, self.times, self.resampling, self.cache)


class AnyMo180(WindowBuilder):
    """Windows in the order of sequences and times."""

    BUILDER_CONFIG_CLASS = AnyMo180Config
    BUILDER_CONFIGS = [AnyMo180Config(name="default", version=datasets.Version("1.0.0"))]

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=FEATURES)

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        parts: dict[str, list[str]] = {"train": [], "test": []}
        for folder in self.config.source().sessions():
            if folder.name not in self.config.left_out:
                held_out = read_metadata(folder).subject in HELD_OUT_SUBJECTS
                parts["test" if held_out else "train"].append(folder.name)
        return [datasets.SplitGenerator(name, {"sessions": names}) for name, names in parts.items() if names]

    def _generate_examples(self, sessions: list[str]):
        source = self.config.source()
        ids = {label: index for index, label in enumerate(anymo180())}
        for session in sessions:
            folder = source.folder(session)
            signals = source.signals(session, STREAM) if has_signals(folder) else None
            for item in source.read(session):
                # without VRS a window has no rows rather than no value: then every row has the same columns
                window = np.zeros((0, 18), np.float32)
                if signals is not None:
                    first, count = overlap(item, signals)
                    if not count:
                        continue  # `prepare` has told
                    window = np.nan_to_num(signals.window(first, count))
                yield item.sample_id, {
                    "sample_id": item.sample_id, "session_id": item.session, "subject_id": item.subject,
                    "start_time_sec": item.start, "end_time_sec": item.end, "narration": item.narration,
                    "augmentations": list(item.augmentations), "label": item.label,
                    "label_id": -1 if item.label is None else ids[item.label], **dict(signals_by_device(window)),
                }  # fmt: skip


@one_at_a_time
def write_repository(
    nymeria: str | Path,
    annotations: str | Path | None,
    out: str | Path,
    num_proc: int = 1,
    rows_per_file: int | None = None,
    times: str = "timecode",
    resampling: str = "anti_aliased",
    strict: bool = True,
    progress: bool = True,
) -> dict[str, Any]:
    """Writes `data/default/<split>-*.parquet`, `metadata/labels.json`, `counts.json` and the card.

    A build that was killed goes on where it was: signals at 60 Hz are kept in `<out>.signals`, rows in `.default.part`.

    Args:
        nymeria, annotations, times, resampling: as `NymeriaSource`.
        out: the repository.
        num_proc: sequences read, and processes that make rows, at a time.
        rows_per_file: rows of a Parquet file; without it files hold about 300 MB.
        strict: refuse sequences whose IMU cannot be read and windows outside their recording, rather than leave them out.
        progress: show bars.

    Returns:
        What was counted.

    Raises:
        ValueError: bad annotations or options.
        OSError: sequences, annotations or IMU files are missing.
    """
    out = Path(out)
    cache = str(out.with_name(out.name + ".signals").resolve())
    named = None if annotations is None else str(Path(annotations).resolve())
    source = NymeriaSource(str(Path(nymeria).resolve()), named, times, resampling, cache)
    listed = list_source(source)
    names = [folder.name for folder in source.sessions()]
    files = partial(source_files, source, names)
    known = files(listed)
    left_out, outside = prepare(source, names, (STREAM,), num_proc, False, strict, progress)
    counts: dict[str, Any] = {"left_out": left_out, "windows_outside": outside}
    counts["splits"] = write_config(
        out, AnyMo180, "default", vars(source) | {"left_out": tuple(left_out)}, files, _count, num_proc,
        rows_per_file, progress, known,
    )  # fmt: skip
    write_json(out / "counts.json", counts)
    write_json(
        out / "metadata" / "labels.json", [{"label_id": n, "label": label} for n, label in enumerate(anymo180())]
    )
    write_text(out / "README.md", card(counts))
    return counts


def list_source(source: NymeriaSource) -> dict[str, str]:
    """As `list_files`, of annotations and sequences; a folder that is not there has none, which its reader tells."""
    return list_files(source.nymeria, *_tables(source))


def source_files(source: NymeriaSource, sessions: list[str], listed: Mapping[str, str] | None = None) -> str:
    """As `files_identity`, of annotations and sequences."""
    return files_identity(*_tables(source), *(source.folder(name) for name in sessions), listed=listed)


def _tables(source: NymeriaSource) -> list[str]:
    return [] if source.annotations is None else [source.annotations]


def _count(rows: datasets.Dataset) -> dict[str, Any]:
    table = rows.select_columns(["session_id", "subject_id", "start_time_sec", "end_time_sec", "label"])
    sessions, subjects, labels, seconds, signals = set(), set(), Counter(), 0.0, 0
    for batch in table.with_format("arrow").iter(4096):
        sessions.update(batch["session_id"].to_pylist())
        subjects.update(batch["subject_id"].to_pylist())
        labels.update(batch["label"].to_pylist())
        seconds += float(np.sum(batch["end_time_sec"].to_numpy() - batch["start_time_sec"].to_numpy()))
    for batch in rows.select_columns(["head"]).with_format("arrow").iter(256):
        lengths = (pc.list_value_length(chunk.storage) for chunk in batch["head"].chunks)
        signals += sum(int(np.sum(length.to_numpy() > 0)) for length in lengths)
    unlabelled = labels.pop(None, 0)
    return {
        "hours": seconds / 3600, "recordings": len(sessions), "subjects": len(subjects),
        "rows_with_signals": signals, "unlabelled": unlabelled, "labels": dict(labels.most_common()),
    }  # fmt: skip


def card(counts: dict[str, Any]) -> str:
    """README.md; every number but those of the column "paper" is from `counts`."""
    splits = counts["splits"]
    total: Counter[str] = Counter()
    for part in splits.values():
        total.update(part["labels"])
    rows = [
        [split, f"{part['rows']:,}", f"{part['hours']:.3f}", f"{part['recordings']:,}", f"{part['subjects']:,}",
         f"{part['rows_with_signals']:,}", f"{part['unlabelled']:,}"]
        for split, part in splits.items()
    ]  # fmt: skip
    labels = [[f"{n}", label, f"{total[label]:,}", f"{count:,}"] for n, (label, count) in enumerate(anymo180().items())]
    return fill_card(
        "anymo_180", "AnyMo-180", "cc-by-nc-4.0", ["motion", "nymeria"],
        {"default": split_files("default", splits)}, {"default": with_classes(FEATURES, list(anymo180()))},
        "Narrated, labelled windows of Nymeria with real IMU data of head and wrists. Times are TIME_CODE seconds. Signals "
        "are at 60 Hz: acceleration with gravity (m/s²), then angular velocity (rad/s), of the IMU `1202-1` in its own "
        "axes; zero where the stream pauses, no rows where a recording has no VRS files. `label_id` counts the table below "
        "from zero and is -1 without a label. The split `test` holds the five people that training stages leave out.",
        [
            table(["split", "windows", "hours", "recordings", "subjects", "with signals", "unlabelled"], rows),
            *left_out(counts), "", f"### Labels ({len(total)} of {len(anymo180())} occur)", "",
            table(["id", "label", "windows here", "paper, Table 7"], labels, words=2),
        ],
        [LICENCE], ("zero-shot-classification", "feature-extraction"),
    )  # fmt: skip


def left_out(counts: dict[str, Any]) -> list[str]:
    """What `prepare` found broken, in Markdown."""
    lines = []
    if counts["left_out"]:
        lines += ["", f"Left out, because their IMU cannot be read: {', '.join(counts['left_out'])}."]
    if counts["windows_outside"]:
        lost = sum(counts["windows_outside"].values())
        lines += ["", f"Left out, because they lie outside their recording: {lost} windows."]
    return lines


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that say what to read, for both data sets of Nymeria."""
    parser.add_argument("--nymeria", type=Path, required=True, help="folder of sequences")
    parser.add_argument("--annotations", type=Path, help="Parquet, CSV or a folder; without it the official files")
    parser.add_argument("--out", type=Path, required=True, help="the repository")
    parser.add_argument("--times", choices=CLOCKS, default="timecode", help="clock of the annotations")
    parser.add_argument("--nearest", action="store_true", help="take the nearest sample, as the official exporter does")
    parser.add_argument("--skip-broken", action="store_true", help="leave out what cannot be read, and say so")
    parser.add_argument("--num-proc", type=int, default=1)


@ending_in_words("anymo_180")
def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; `arguments` default to those of the process."""
    parser = argparse.ArgumentParser(description="Write anymo-180 as a Parquet repository for the Hub.")
    add_source_arguments(parser)
    args = parser.parse_args(arguments)
    try:
        counts = write_repository(
            args.nymeria, args.annotations, args.out, args.num_proc, times=args.times,
            resampling="nearest" if args.nearest else "anti_aliased", strict=not args.skip_broken,
        )  # fmt: skip
    except (ValueError, OSError, ImportError) as error:
        parser.exit(2, f"anymo_180: {in_words(error)}\n")
    for split, part in counts["splits"].items():
        print(f"default/{split}: {part['rows']} windows, {part['hours']:.3f} hours, {part['subjects']} subjects")
    print(f"written: {args.out}; 60 Hz signals are kept in {args.out}.signals for the next build")
