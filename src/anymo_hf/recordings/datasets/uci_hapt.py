"""HAPT (UCI 341): the waist phone of UCI-HAR, 50 Hz, as continuous recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..dataset import BrokenCopy, Dataset, Published
from ..download import Download, Member
from ..imu_recording import STANDARD_GRAVITY, ImuRecording
from ..stretches import checked_units
from ..text_table import read_table
from .uci_har import LABELS, LICENCE, RATE


def read_hapt(folder: str | Path) -> Iterator[ImuRecording]:
    """The labelled stretches of the six basic activities (transitions are left out), 50 Hz.

    Args:
        folder: the unpacked dataset or its zip.

    Raises:
        OSError: no `RawData/labels.txt` below `folder`, a recording that is missing, or a damaged zip.
        ValueError: a label row lies outside its recording, accelerometer and gyroscope differ in length, or units that
            cannot be.
    """
    with Download(folder) as download:
        (label_file,) = download.find(r"RawData/labels\.txt", "HAPT", "RawData/labels.txt")
        found = download.find(r"RawData/(acc|gyro)_exp(\d+)_user(\d+)\.txt", "HAPT", "RawData/acc_exp*_user*.txt")
        members = {(kind, int(experiment), int(user)): m for m in found for kind, experiment, user in [m.groups]}
        rows = read_table(download, label_file, 5).astype(int)
        for experiment, user in np.unique(rows[:, :2], axis=0).tolist():
            chosen = rows[(rows[:, 0] == experiment) & (rows[:, 1] == user), 2:]
            yield from checked_units(_experiment(download, members, experiment, user, chosen, label_file.source))


def _experiment(
    download: Download,
    members: dict[tuple[str, int, int], Member],
    experiment: int,
    user: int,
    rows: np.ndarray,
    label_file: str,
) -> Iterator[ImuRecording]:
    """The stretches of `rows`, label and first and last sample."""
    name = f"exp{experiment:02d}_user{user:02d}.txt"
    parts = {}
    for kind in ("acc", "gyro"):
        if (kind, experiment, user) not in members:
            raise OSError(f"{label_file}: its recording {kind}_{name} is missing; unpack HAPT again")
        parts[kind] = read_table(download, members[kind, experiment, user], 3)
    source = members["acc", experiment, user].source
    if len(parts["acc"]) != len(parts["gyro"]):
        raise ValueError(f"{source} has {len(parts['acc'])} rows, gyro_{name} {len(parts['gyro'])}; one is cut off")
    signal = np.concatenate([parts["acc"] * STANDARD_GRAVITY, parts["gyro"]], axis=1)
    for label, start, end in rows:
        if end > len(signal) or start < 1:
            raise ValueError(f"{label_file}: samples {start} to {end} lie outside acc_{name} ({len(signal)} rows)")
        if label <= 6:
            part = {"waist": signal[start - 1 : end]}
            yield ImuRecording(
                part, RATE, LABELS[label - 1], int(label), str(user), str(experiment), "hapt", source=source
            )


DATASET = Dataset(
    "uci_hapt",
    "HAPT",
    "https://archive.ics.uci.edu/dataset/341",
    placements=("waist",),
    sampling_rate=RATE,
    units=("g", "rad/s"),
    labels=LABELS,
    label_ids=tuple(range(1, 7)),
    layout=r"RawData/acc_exp\d+_user\d+\.txt|HAPT Data Set\.zip",
    parse=read_hapt,
    people=30,
    licence="other",
    licence_text=LICENCE,
    published=(
        Published("sessions", 61, "experiments in its documents"),
        Published("classes", 6, "basic activities; six transitions are left out"),
        Published("subjects", 30, "people in its documents"),
    ),
    broken=(
        BrokenCopy("a recording is missing", r"its recording .* is missing"),
        BrokenCopy("accelerometer and gyroscope of other lengths", r"one is cut off"),
        BrokenCopy("labels of another recording", r"lie outside acc_"),
    ),
    note="six basic activities, 5 s; looked at while the motion was made; not in the paper",
)
