"""The data set `anymo-synthetic`: windows of simulated motion, as a builder and as a Parquet repository for the Hub.

    python dataset_scripts/anymo_synthetic.py --archive DIR --out REPO --config views

`--archive` is a folder that `anymo simulate` wrote; `--motion` simulates one first. Run it once for each config; the card
is written anew each time from what was counted. `load_dataset("REPO", "views")` then works without this package.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import datasets

from ...interruption import ending_in_words
from ...markdown import table
from ...modeling.body_segments import SEGMENTS
from ...motion.motion_sources import SOURCES
from ...nymeria.sequence import read_captured
from ...refusals import in_words
from ...simulation.archive import Archive, simulate_archive
from ...simulation.archive.manifest import MANIFEST, file_sha256, verify_archive
from ...simulation.archive.rows import ROWS
from .parquet_repository import add_counts, fill_card, one_at_a_time, split_files, write_config
from .window_builder import WindowBuilder

_COMMON = {
    "recording": datasets.Value("string"),
    "subject": datasets.Value("string"),
    "source": datasets.Value("string"),
    "start": datasets.Value("float64"),
    "seconds": datasets.Value("float64"),
    "texts": datasets.List(datasets.Value("string")),
    "labels": datasets.List(datasets.Value("string")),
}
_SIGNAL = datasets.Array2D((None, 6), "float32")
FEATURES = {
    "kinematics": datasets.Features(
        _COMMON
        | {
            "height": datasets.Value("float64"),
            # float32 would round positions too coarsely to be differentiated twice
            "positions": datasets.Array3D((None, 23, 3), "float64"),
            "orientations": datasets.Array3D((None, 23, 4), "float64"),
        }
    ),
    "views": datasets.Features(_COMMON | {"view": datasets.Value("int32")} | dict.fromkeys(SEGMENTS, _SIGNAL)),
    "dense": datasets.Features(
        _COMMON
        | {
            "placement": datasets.Value("int32"),
            "segment": datasets.Value("string"),
            "offset": datasets.List(datasets.Value("float32"), length=3),
            "axes": datasets.Array2D((3, 3), "float32"),
            "imu": _SIGNAL,
        }
    ),
}
_WORDS = {
    "kinematics": "positions (m, z up) and orientations (unit quaternions wxyz, segment to world) of 23 body segments",
    "views": "one virtual IMU for each of 23 body segments, its place and mounting drawn at random, with sensor noise",
    "dense": "every candidate placement, noise-free, a row each, with its lever arm (m) and sensor axes (columns)",
}


@dataclass
class SyntheticConfig(datasets.BuilderConfig):
    """How windows are cut and drawn.

    Args:
        archive: folder of an archive.
        identity: checksum of its manifest, so that a changed archive is not served from a cache.
        seconds: longest window.
        views: views of a window (config `views`).
        seed: of placements and noise (config `views`).
        test_share: share of the subjects whose windows are for testing.
    """

    archive: str = ""
    identity: str = ""
    seconds: float = 5.0
    views: int = 1
    seed: int = 0
    test_share: float = 0.1


class AnymoSynthetic(WindowBuilder):
    """Windows of an archive; train and test have no subject in common."""

    BUILDER_CONFIG_CLASS = SyntheticConfig
    BUILDER_CONFIGS = [SyntheticConfig(name=name, version=datasets.Version("1.0.0")) for name in ROWS]

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=FEATURES[self.config.name])

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        archive = Archive(self.config.archive)
        test = test_subjects({entry.subject for entry in archive.manifest.shards}, self.config.test_share)
        parts: dict[str, list[str]] = {"train": [], "test": []}
        for name in archive.names:
            parts["test" if archive.entry(name).subject in test else "train"].append(name)
        return [datasets.SplitGenerator(name, {"recordings": names}) for name, names in parts.items() if names]

    def _generate_examples(self, recordings: list[str]):
        archive, config = Archive(self.config.archive), self.config
        options: dict[str, Any] = {"seconds": config.seconds}
        if config.name == "views":
            options |= {"views": config.views, "seed": config.seed}
        for name in recordings:
            for number, row in enumerate(ROWS[config.name](archive, name, **options)):
                yield f"{name} {number}", row


def test_subjects(subjects: set[str], share: float) -> set[str]:
    """Subjects of the test split, chosen by the checksums of their names; at least one of two or more."""
    if not 0 <= share < 1:
        raise ValueError(f"test_share must lie between 0 and 1, got {share}")
    if share == 0 or len(subjects) < 2:
        return set()
    ordered = sorted(subjects, key=lambda name: sha256(name.encode()).hexdigest())
    return set(ordered[: min(max(1, round(share * len(subjects))), len(subjects) - 1)])


@one_at_a_time
def write_repository(
    archive: str | Path,
    out: str | Path,
    config: str,
    num_proc: int = 1,
    rows_per_file: int | None = None,
    progress: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """Writes `data/<config>/<split>-00000-of-0000N.parquet` and the card.

    A build that was killed goes on where it was: finished rows are kept in `.<config>.part`.

    Args:
        archive: folder of the kinematics.
        out: the repository; other configs in it stay.
        config: "kinematics", "views" or "dense".
        num_proc: processes that make rows.
        rows_per_file: rows of a Parquet file; without it files hold about 300 MB.
        progress: show a bar.
        options: fields of `SyntheticConfig`.

    Returns:
        What was counted.

    Raises:
        ValueError: an unknown config or a bad option.
        OSError: no archive, or one that is damaged.
    """
    if config not in ROWS:
        raise ValueError(f"config must be one of {', '.join(ROWS)}, got {config!r}")
    archive, out = Path(archive).resolve(), Path(out)
    if problems := verify_archive(archive):  # before anything is written
        raise OSError(f"{archive}: {'; '.join(problems)}")
    files = partial(file_sha256, archive / MANIFEST)
    identity = files()
    settings = {"archive": str(archive), "identity": identity, **options}
    splits = write_config(out, AnymoSynthetic, config, settings, files, _count, num_proc, rows_per_file, progress)
    counts = {"archive_sha256": identity, "splits": splits}
    add_counts(out, config, counts, ROWS, card)
    return counts


def _count(rows: datasets.Dataset) -> dict[str, Any]:
    """Rows, hours of different motion, subjects and hours of each source."""
    table = rows.select_columns(["recording", "subject", "source", "start", "seconds"]).with_format("numpy")[:]
    windows = dict(
        zip(
            zip(table["recording"].tolist(), table["start"].tolist(), table["seconds"].tolist(), strict=True),
            table["source"].tolist(),
            strict=True,
        )
    )
    hours: dict[str, float] = {}
    for (_, _, seconds), source in windows.items():
        hours[source] = hours.get(source, 0.0) + seconds / 3600
    return {
        "windows": len(windows), "hours": sum(hours.values()),
        "recordings": len(set(table["recording"].tolist())), "subjects": len(set(table["subject"].tolist())),
        "hours_by_source": dict(sorted(hours.items())),
    }  # fmt: skip


def licence(source: str) -> str:
    """Title and licence of a source's motion, found by how its name begins, as far as they are known."""
    known = next((SOURCES[name] for name in sorted(SOURCES, reverse=True) if source.lower().startswith(name)), None)
    if known is None:
        return "not told by the motion files; ask their owner before you share this"
    return ". ".join(filter(None, [f"{known.title}: {known.licence}", known.acknowledgement])).rstrip(".")


def card(counts: dict[str, Any]) -> str:
    """README.md; every number is from `counts`."""
    parts = [part for entry in counts.values() for part in entry["splits"].values()]
    sources = sorted({source for part in parts for source in part["hours_by_source"]})
    rows = [
        [name, split, f"{part['rows']:,}", f"{part['windows']:,}", f"{part['hours']:.3f}", f"{part['recordings']:,}",
         f"{part['subjects']:,}"]
        for name, entry in counts.items() for split, part in entry["splits"].items()
    ]  # fmt: skip
    return fill_card(
        "anymo_synthetic", "AnyMo synthetic IMU", "apache-2.0" if sources == ["procedural"] else "other",
        ["motion", "simulation"], {name: split_files(name, entry["splits"]) for name, entry in counts.items()}, FEATURES,
        "Virtual IMU data at 60 Hz, simulated from body motion: acceleration with gravity (m/s², at rest 9.81 along up), "
        "then angular velocity (rad/s), in sensor axes. Every row is a window of one recording: a narration's span where "
        "there are narrations, cut to the longest length. Splits have no subject in common; a recording that names nobody "
        "counts as a subject of its own.",
        [
            *(f"- `{name}`: {_WORDS[name]}." for name in counts), "",
            table(["config", "split", "rows", "windows", "hours", "recordings", "subjects"], rows, words=2),
        ],
        [table(["source of motion", "licence"], [[name, licence(name)] for name in sources], words=2)],
        ("feature-extraction",), "views",
    )  # fmt: skip


@ending_in_words("anymo_synthetic")
def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; `arguments` default to those of the process."""
    parser = argparse.ArgumentParser(description="Write anymo-synthetic as a Parquet repository for the Hub.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--archive", type=Path, help="folder that `anymo simulate` wrote")
    source.add_argument("--motion", type=Path, help="folder of motion files; simulated first, into OUT.archive")
    parser.add_argument("--out", type=Path, required=True, help="the repository")
    parser.add_argument("--config", choices=list(ROWS), required=True)
    parser.add_argument("--num-proc", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0, help="longest window")
    parser.add_argument("--views", type=int, default=1, help="views of each window")
    parser.add_argument("--seed", type=int, default=0, help="of placements and noise")
    parser.add_argument("--test-share", type=float, default=0.1, help="share of the subjects")
    args = parser.parse_args(arguments)
    try:
        archive = args.archive
        if archive is None:
            archive = args.out.with_name(args.out.name + ".archive")
            simulate_archive(archive, args.motion, num_proc=args.num_proc, read=read_captured)
        counts = write_repository(
            archive, args.out, args.config, args.num_proc,
            seconds=args.seconds, views=args.views, seed=args.seed, test_share=args.test_share,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        parser.exit(2, f"anymo_synthetic: {in_words(error)}\n")
    for split, part in counts["splits"].items():
        print(f"{args.config}/{split}: {part['rows']} rows, {part['hours']:.3f} hours, {part['subjects']} subjects")
    print(f"written: {args.out}")
