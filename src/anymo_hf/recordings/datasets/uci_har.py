"""UCI-HAR (UCI 240) and HAPT (UCI 341): the waist phone, as windows and as continuous recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..download import Download, Member
from ..imu_recording import STANDARD_GRAVITY, ImuRecording
from ..stretches import proved
from ..text_table import read_table

LABELS = ("walk", "walk upstairs", "walk downstairs", "sit", "stand", "lay")  # ids 1 to 6, paper Table 9
RATE = 50.0
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
    yield from proved(
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
            yield from proved(_experiment(download, members, experiment, user, chosen, label_file.source))


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
