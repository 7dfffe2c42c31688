"""MobiFall v2: a phone in a trouser pocket, accelerometer near 87 Hz and gyroscope at 200 Hz with clocks of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..dataset import BrokenCopy, Dataset, Published
from ..download import Download, Member
from ..imu_recording import ImuRecording
from ..stretches import Stream, checked_units, clean_stream, even_stretches
from ..text_table import read_blocks

RATE = 100.0
PLACE = "right_pocket"  # the documents leave the side open
ACTIVITIES = {
    "STD": "standing", "WAL": "walking", "JOG": "jogging", "JUM": "jumping", "STU": "walking upstairs",
    "STN": "walking downstairs", "SCH": "sitting down on a chair", "CSI": "getting into a car",
    "CSO": "getting out of a car",
}  # fmt: skip
FALLS = {
    "FOL": "falling forward onto the hands", "FKL": "falling forward onto the knees", "BSC": "falling back off a chair",
    "SDL": "falling sideways",
}  # fmt: skip
_CODES = [*ACTIVITIES, *FALLS]


def read_mobifall(folder: str | Path) -> Iterator[ImuRecording]:
    """Every trial, accelerometer and gyroscope interpolated to one clock of 100 Hz; pauses split.

    Args:
        folder: the unpacked dataset or its zip.

    Raises:
        OSError: no `subX/ADL/WAL/WAL_acc_X_1.txt` below `folder`, a gyroscope that is missing, or a damaged zip.
        ValueError: a file without `@DATA` or with other columns, or units that cannot be.
    """
    pattern = r"sub\d+/(?:ADL|FALLS)/[A-Z]+/([A-Z]{3})_(acc|gyro)_(\d+)_(\d+)\.txt"
    with Download(folder) as download:
        found = download.find(pattern, "MobiFall", "subX/ADL/WAL/WAL_acc_X_1.txt")
        trials = {(m.groups[2], m.groups[0].upper(), m.groups[3], m.groups[1].lower()): m for m in found}
        for person in dict.fromkeys(key[0] for key in trials):
            own = [key for key in trials if key[0] == person and key[3] == "acc" and key[1] in _CODES]
            yield from checked_units(part for key in own for part in _trial(download, trials, key))


def _trial(
    download: Download, trials: dict[tuple[str, str, str, str], Member], key: tuple[str, str, str, str]
) -> Iterator[ImuRecording]:
    person, code, number, _ = key
    member, other = trials[key], trials.get((person, code, number, "gyro"))
    if other is None:
        raise OSError(f"{member.source}: its gyroscope {code}_gyro_{person}_{number}.txt is missing; unpack it again")
    label, streams = {**ACTIVITIES, **FALLS}[code], [_stream(download, part) for part in (member, other)]
    for start, signals in even_stretches({PLACE: streams}, RATE):
        yield ImuRecording(
            signals, RATE, label, _CODES.index(code) + 1, person, f"{code}-{number}", "mobifall", start, member.source
        )


def _stream(download: Download, member: Member) -> Stream:
    with download.open(member) as file:
        number = 1
        while line := file.readline():
            number += 1
            if line.strip().upper() == b"@DATA":
                break
        else:
            raise ValueError(f"{member.source}: no line @DATA; the file is cut off or another version")
        table = np.concatenate(list(read_blocks(file, member.source, 4, range(4), ",", first_line=number)))
    return clean_stream(table[:, 0] * 1e-9, table[:, 1:])


DATASET = Dataset(
    "mobifall",
    "MobiFall v2",
    "https://bmi.hmu.gr/the-mobifall-and-mobiact-datasets-2/",
    placements=(PLACE,),
    sampling_rate=RATE,
    units=("m/s^2", "rad/s"),
    labels=tuple(ACTIVITIES.values()),
    label_ids=tuple(range(1, len(ACTIVITIES) + 1)),
    layout=r"sub\d+/(ADL|FALLS)/[A-Z]+/[A-Z]{3}_(acc|gyro)_\d+_\d+\.txt",
    parse=read_mobifall,
    shortest_seconds=2.0,
    other_labels=tuple(FALLS.values()),
    published=(Published("classes", 13, "nine daily activities and four kinds of falls"),),
    broken=(
        BrokenCopy("a gyroscope file is missing", r"its gyroscope .* is missing"),
        BrokenCopy("no line of data", r"no line @DATA"),
    ),
    note="nine daily activities, 2 to 5 s, falls left out; the side of the pocket is not known; not in the paper",
)
