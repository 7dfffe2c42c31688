"""WISDM 2019 (UCI 507): the phone in the right pocket or the watch on the dominant wrist."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..download import Download, Member
from ..imu_recording import ImuRecording, to_grid, unbroken_spans
from ..stretches import proved

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
            yield from proved(_person(download, subject, member, files["gyro"][subject], placement))


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
