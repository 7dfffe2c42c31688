"""UCI-HAR (UCI 240) and HAPT (UCI 341): the waist phone, as windows and as continuous recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .imu_recording import STANDARD_GRAVITY, ImuRecording, load_table, require_files

LABELS = ("walk", "walk upstairs", "walk downstairs", "sit", "stand", "lay")  # ids 1 to 6, paper Table 9
RATE = 50.0


def read_uci_har(folder: str | Path, split: str = "test") -> Iterator[ImuRecording]:
    """The official windows of 128 samples at 50 Hz, total acceleration in g, gyroscope in rad/s.

    Raises:
        OSError: no split folder below `folder`.
        ValueError: a file is cut off, has another width, or files disagree in length.
    """
    found = sorted(Path(folder).rglob(f"{split}/Inertial Signals"))
    signals_dir = require_files(found, folder, f"{split}/Inertial Signals", "UCI-HAR")[0]
    tables = [
        load_table(signals_dir / f"{kind}_{axis}_{split}.txt", 128)
        for kind in ("total_acc", "body_gyro")
        for axis in "xyz"
    ]
    labels = load_table(signals_dir.parent / f"y_{split}.txt", 1)[:, 0].astype(int)
    subject_file = signals_dir.parent / f"subject_{split}.txt"
    subjects = load_table(subject_file, 1)[:, 0].astype(int) if subject_file.exists() else None
    counts = {len(table) for table in tables} | {len(labels)}
    if len(counts) > 1:
        raise ValueError(f"{signals_dir}: files differ in number of windows {sorted(counts)}; one of them is cut off")
    windows = np.stack(tables, axis=-1)
    windows[..., :3] *= STANDARD_GRAVITY
    for index, (window, label) in enumerate(zip(windows, labels, strict=True)):
        if not 1 <= label <= 6:
            raise ValueError(f"{signals_dir.parent / f'y_{split}.txt'}: label {label} in row {index + 1} is not 1 to 6")
        who = "" if subjects is None else str(subjects[index])
        yield ImuRecording({"waist": window}, RATE, LABELS[label - 1], int(label), who, f"{split}-{index}", "uci_har")


def read_hapt(folder: str | Path) -> Iterator[ImuRecording]:
    """The labelled stretches of the six basic activities (transitions are left out), 50 Hz.

    Raises:
        OSError: no `RawData/labels.txt` below `folder`.
        ValueError: a label row lies outside its recording, or accelerometer and gyroscope differ in length.
    """
    found = sorted(Path(folder).rglob("RawData/labels.txt"))
    label_file = require_files(found, folder, "RawData/labels.txt", "HAPT")[0]
    rows = load_table(label_file, 5).astype(int)
    order = np.unique(rows[:, :2], axis=0)
    for experiment, user in order:
        name = f"exp{experiment:02d}_user{user:02d}.txt"
        acceleration = load_table(label_file.parent / f"acc_{name}", 3) * STANDARD_GRAVITY
        gyroscope = load_table(label_file.parent / f"gyro_{name}", 3)
        if len(acceleration) != len(gyroscope):
            raise ValueError(f"acc_{name} has {len(acceleration)} rows, gyro_{name} {len(gyroscope)}; one is cut off")
        signal = np.concatenate([acceleration, gyroscope], axis=1)
        chosen = rows[(rows[:, 0] == experiment) & (rows[:, 1] == user)]
        for _, _, label, start, end in chosen:
            if end > len(signal) or start < 1:
                raise ValueError(f"{label_file}: samples {start} to {end} lie outside acc_{name} ({len(signal)} rows)")
            if label <= 6:
                part = {"waist": signal[start - 1 : end]}
                yield ImuRecording(part, RATE, LABELS[label - 1], int(label), str(user), str(experiment), "hapt")
