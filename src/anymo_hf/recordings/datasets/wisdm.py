"""WISDM 2019 (UCI 507): the phone in the right pocket or the watch on the dominant wrist."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset import BrokenCopy, Dataset, Published, TimeStamps
from ..download import Download, Member
from ..imu_recording import ImuRecording, to_grid, unbroken_spans
from ..stretches import checked_units

LABELS = {
    "A": "walking", "B": "jogging", "C": "stairs", "D": "sitting", "E": "standing", "F": "typing",
    "G": "brushing teeth", "H": "eating soup", "I": "eating chips", "J": "eating pasta", "K": "drinking cup",
    "L": "eating sandwich", "M": "kicking ball", "O": "playing ball", "P": "dribbling ball", "Q": "writing",
    "R": "clapping", "S": "folding clothes",
}  # fmt: skip
RATE = 20.0


def _parse(download: Download, member: Member) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Activity letter -> (seconds, values); broken lines are skipped as the original holds some."""
    rows: dict[str, list[list[float]]] = {}
    bad = total = 0
    with download.open(member) as file:
        text = file.read().decode(errors="replace")
    for line in text.splitlines():
        total += 1
        fields = line.strip().rstrip(";").split(",")
        try:
            letter, numbers = fields[1], [float(value) for value in fields[2:6]]
        except (IndexError, ValueError):
            bad += 1
            continue
        if len(numbers) == 4 and letter in LABELS and np.isfinite(numbers).all():
            rows.setdefault(letter, []).append(numbers)
        else:
            bad += 1
    if total == 0 or bad > 0.05 * total:
        raise ValueError(
            f"{member.source}: {bad} of {total} lines are not 'subject,letter,time,x,y,z;'; download it again"
        )
    out = {}
    for letter, values in rows.items():
        table = np.array(values)
        table = table[np.argsort(table[:, 0], kind="stable")]
        table = table[np.insert(np.diff(table[:, 0]) > 0, 0, True)]
        out[letter] = (table[:, 0] / 1e9, table[:, 1:])
    return out


def read_wisdm(folder: str | Path, device: str = "phone") -> Iterator[ImuRecording]:
    """Unbroken stretches on one 20 Hz grid, accelerometer and gyroscope interpolated by their own time stamps.

    A pause of over a second starts a new recording. Subjects without a gyroscope file are left out with one warning
    that names them.

    Args:
        folder: the unpacked dataset or its zip, nested as UCI gives it.
        device: "phone" in the right pocket or "watch" on the dominant wrist, which is taken for the right one.

    Raises:
        OSError: no `raw/<device>/accel` files below `folder`, no `gyro` file for any of them, or a damaged zip.
        ValueError: a file whose lines are not WISDM's, units that cannot be, or an unknown device.
    """
    if device not in ("phone", "watch"):
        raise ValueError(f"device must be 'phone' or 'watch', got {device!r}")
    placement = "right_pocket" if device == "phone" else "right_wrist"
    with Download(folder) as download:
        files = {
            kind: {
                member.groups[0]: member
                for member in download.find(
                    rf"raw/{device}/{kind}/data_(\d+)_{kind}_{device}\.txt", "WISDM", f"raw/{device}/{kind}/data_*.txt"
                )
            }
            for kind in ("accel", "gyro")
        }
        missing = [subject for subject in files["accel"] if subject not in files["gyro"]]
        if missing:
            warnings.warn(
                f"{folder}: left out {len(missing)} of {len(files['accel'])} subjects, whose {device} gyroscope file is "
                f"missing: {', '.join(missing)}; unpack the dataset again to have them",
                stacklevel=2,
            )
        for subject, member in files["accel"].items():
            if subject in missing:
                continue
            yield from checked_units(_person(download, subject, member, files["gyro"][subject], placement))


def _person(
    download: Download, subject: str, accelerometer: Member, gyroscope: Member, placement: str
) -> Iterator[ImuRecording]:
    acceleration, turning = _parse(download, accelerometer), _parse(download, gyroscope)
    for letter in sorted(set(acceleration) & set(turning)):
        (times, values), (gyro_times, gyro_values) = acceleration[letter], turning[letter]
        for first, last in unbroken_spans(times, gyro_times):
            if last - first < 1:
                continue
            grid = np.arange(int((last - first) * RATE)) / RATE + first
            signal = np.concatenate([to_grid(times, values, grid), to_grid(gyro_times, gyro_values, grid)], axis=1)
            yield ImuRecording(
                {placement: signal}, RATE, LABELS[letter], sorted(LABELS).index(letter), subject, letter, "wisdm", first,
                accelerometer.source,
            )  # fmt: skip


def wisdm_dataset(name: str, title: str, device: str, **facts: Any) -> Dataset:
    """The declaration of one of the two devices."""
    return Dataset(
        name,
        title,
        "https://archive.ics.uci.edu/dataset/507",
        sampling_rate=RATE,
        units=("m/s^2", "rad/s"),
        layout=rf"raw/{device}/accel/data_\d+_accel_{device}\.txt|wisdm-dataset\.zip",
        parse=partial(read_wisdm, device=device),
        people=51,
        published=(
            Published("classes", 18, "classes of the paper's Table 9"),
            Published("subjects", 51, "people in its documents"),
        ),
        time_stamps=TimeStamps(rf"data_\d+_accel_{device}\.txt", _first_times, RATE),
        person_files=(
            rf"raw/{device}/gyro/data_(\d+)_gyro_{device}\.txt$",
            rf"raw/{device}/(?:accel|gyro)/data_(\d+)_",
        ),
        broken=(
            BrokenCopy("other lines", r"lines are not 'subject,letter,time,x,y,z;'"),
            BrokenCopy("a gyroscope file is missing", r"left out .* subjects, whose .* gyroscope file is missing"),
        ),
        **facts,
    )


def _first_times(path: Path) -> np.ndarray:
    with path.open(errors="replace") as file:
        rows = [line.split(",") for line in islice(file, 5000)]
    return np.array([float(row[2]) for row in rows if len(row) == 6 and row[2].strip().isdigit()]) * 1e-9


_OF_PHONE = ("walking", "jogging", "stairs", "kicking ball")  # activities of the legs, which a pocket sees
DATASET = wisdm_dataset(
    "wisdm",
    "WISDM",
    "phone",
    placements=("right_pocket",),
    labels=_OF_PHONE,
    label_ids=tuple(list(LABELS.values()).index(text) for text in _OF_PHONE),
    other_labels=tuple(text for text in LABELS.values() if text not in _OF_PHONE),
    note="4 of 18 activities, pocket phone, 5 s, looked at; the paper's 18-class figures do not compare",
)
