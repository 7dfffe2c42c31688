"""UCI-HAR (UCI 240): the waist phone, 50 Hz, as windows of 2.56 s."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..dataset import BrokenCopy, Dataset, Published
from ..download import Download
from ..imu_recording import STANDARD_GRAVITY, ImuRecording
from ..stretches import checked_units
from ..text_table import read_table

LABELS = ("walk", "walk upstairs", "walk downstairs", "sit", "stand", "lay")  # ids 1 to 6, paper Table 9
RATE = 50.0
LICENCE = "its README: cite it, no commercial use; see the source for what else it says today"
_SIGNALS = [f"{kind}_{axis}" for kind in ("total_acc", "body_gyro") for axis in "xyz"]


def read_uci_har(folder: str | Path, split: str = "test") -> Iterator[ImuRecording]:
    """The official windows of 128 samples at 50 Hz, total acceleration in g, gyroscope in rad/s.

    Args:
        folder: the unpacked dataset or its zip, nested as UCI gives it.
        split: "train" or "test".

    Raises:
        OSError: a file of the split is missing below `folder`, or a damaged zip.
        ValueError: a file is cut off, has another width, files disagree in length, or units that cannot be.
    """
    with Download(folder) as download:
        found = download.find(
            rf"{split}/(?:Inertial Signals/)?(total_acc_[xyz]|body_gyro_[xyz]|y|subject)_{split}\.txt",
            "UCI-HAR", f"{split}/Inertial Signals",
        )  # fmt: skip
        members = {member.groups[0]: member for member in found}
        missing = [name for name in (*_SIGNALS, "y") if name not in members]
        if missing:
            raise OSError(f"{found[0].source}: no {missing[0]}_{split}.txt beside it; unpack UCI-HAR again")
        tables = [read_table(download, members[name], 128) for name in _SIGNALS]
        labels = read_table(download, members["y"], 1)[:, 0].astype(int)
        # the list of people is left out of some copies
        subjects = read_table(download, members["subject"], 1)[:, 0].astype(int) if "subject" in members else None
    source = members[_SIGNALS[0]].source
    counts = {len(part) for part in (*tables, labels, *([] if subjects is None else [subjects]))}
    if len(counts) > 1:
        raise ValueError(
            f"{source}: it and its neighbours differ in number of windows {sorted(counts)}; one of them is cut off"
        )
    windows = np.stack(tables, axis=-1)
    windows[..., :3] *= STANDARD_GRAVITY
    strange = np.flatnonzero((labels < 1) | (labels > 6))
    if len(strange):
        raise ValueError(f"{members['y'].source}: label {labels[strange[0]]} in row {strange[0] + 1} is not 1 to 6")
    people = [""] * len(labels) if subjects is None else subjects.astype(str)
    yield from checked_units(
        ImuRecording(
            {"waist": window},
            RATE,
            LABELS[label - 1],
            int(label),
            str(who),
            f"{split}-{index}",
            "uci_har",
            source=source,
        )
        for index, (window, label, who) in enumerate(zip(windows, labels, people, strict=True))
    )


def _parse(folder: str | Path) -> Iterator[ImuRecording]:
    """Both splits, as far as they are there."""
    with Download(folder) as download:
        found = download.find(r"(train|test)/y_(?:train|test)\.txt", "UCI-HAR", "test/y_test.txt")
    for split in sorted({member.groups[0] for member in found}, reverse=True):
        yield from read_uci_har(folder, split)


def _splits(folder: Path) -> tuple[str, ...]:
    return ("train", "test") if next(folder.rglob("train/Inertial Signals"), None) else ("test",)


DATASET = Dataset(
    "uci_har",
    "UCI-HAR",
    "https://archive.ics.uci.edu/dataset/240",
    placements=("waist",),
    sampling_rate=RATE,
    units=("g", "rad/s"),
    labels=LABELS,
    label_ids=tuple(range(1, 7)),
    layout=r"(train|test)/Inertial Signals/total_acc_x_(train|test)\.txt|UCI HAR Dataset\.zip",
    parse=_parse,
    parse_split=read_uci_har,
    splits_of=_splits,
    window_seconds=None,
    people=9,
    licence="other",
    licence_text=LICENCE,
    paper_segments={"waist": "L5"},
    bundle="uci_har",
    published=(
        Published("recordings", 10_299, "windows in its documents: 7,352 train, 2,947 test"),
        Published("classes", 6, "classes of the paper's Table 9"),
        Published("subjects", 30, "people in its documents"),
    ),
    broken=(
        BrokenCopy("a signal is missing", r"no .*_test.txt beside it"),
        BrokenCopy("a signal is cut off", r"differ in number of windows"),
        BrokenCopy("unknown labels", r"label .* is not 1 to 6"),
    ),
    note="official test split; people of HAPT, whose signals were looked at while the motion was made",
)
