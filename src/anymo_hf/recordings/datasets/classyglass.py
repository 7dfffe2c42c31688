"""ClassyGlass: smart glasses with the sensor on the right temple, 62 people, the files of 50 Hz."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..dataset import BrokenCopy, Dataset, Published
from ..download import Download, Member
from ..imu_recording import STANDARD_GRAVITY, ImuRecording
from ..stretches import Stream, checked_units, clean_stream, even_stretches
from ..text_table import read_blocks, read_header

RATE = 50.0
LABELS = (
    "sitting and reading a book", "sitting and writing in a notebook", "typing on a computer", "browsing on a computer",
    "sitting and moving the head and body", "sitting and moving the chair", "standing up from sitting", "standing",
    "walking", "running", "taking the stairs",
)  # fmt: skip
OTHER = (
    "sitting and putting the glasses on and off", "standing and putting the glasses on and off",
    "sitting and picking up items from the floor", "standing and picking up items from the floor", "using a computer",
    "timed up and go",
)  # fmt: skip
_TEXTS = (*LABELS, *OTHER)
# number in a file's name -> number of its text; in data set 2 numbers mean other things
_FIRST = {**{number: number for number in range(1, 13)}, 13: 13, 14: 14, 15: 15}
_SECOND = {1: 1, 2: 16, 3: 7, 4: 9, 5: 15, 6: 17}


def read_classyglass(folder: str | Path) -> Iterator[ImuRecording]:
    """Every recording with an activity, accelerometer and gyroscope on one clock of 50 Hz; pauses split.

    Args:
        folder: the repository with `Datasets/`, or its zip.

    Raises:
        OSError: no accelerometer file below `folder`, a gyroscope that is missing, or a damaged zip.
        ValueError: other columns, an unknown activity, or units that cannot be.
    """
    name = r"(\d+)_activity(\d+)_MetaWear_(Accelerometer|Gyroscope)_50\.000Hz\.csv"
    pattern = rf"Dataset_(1A|1B|2)/(?:SensorData/)?User(\d+)/{name}"
    with Download(folder) as download:
        found = download.find(pattern, "ClassyGlass", "Datasets/Dataset_1A/User1/*_Accelerometer_50.000Hz.csv")
        files = {member.groups: member for member in found}
        for person in dict.fromkeys(groups[:2] for groups in files):
            own = [groups for groups in files if groups[:2] == person and groups[4] == "Accelerometer"]
            yield from checked_units(part for groups in own for part in _recording(download, files, groups))


def _recording(
    download: Download, files: dict[tuple[str, ...], Member], groups: tuple[str, ...]
) -> Iterator[ImuRecording]:
    part, user, session, activity, _ = groups
    member, other = files[groups], files.get((*groups[:4], "Gyroscope"))
    if other is None:
        raise OSError(f"{member.source}: its gyroscope file is missing; download the recording again")
    numbers = _SECOND if part == "2" else _FIRST
    if int(activity) not in numbers:
        raise ValueError(f"{member.source}: activity {activity} is not in the documents of data set {part}")
    label = numbers[int(activity)]
    streams = [_stream(download, member, "(g)", STANDARD_GRAVITY), _stream(download, other, "(deg/s)", np.pi / 180)]
    # data sets 1A and 1B share people and their numbers
    person = f"{part[0]}-{user}"
    for start, signals in even_stretches({"head": streams}, RATE):
        yield ImuRecording(
            signals, RATE, _TEXTS[label - 1], label, person, f"{part}-{session}", "classyglass", start, member.source
        )


def _stream(download: Download, member: Member, unit: str, scale: float) -> Stream:
    with download.open(member) as file:
        names = read_header(file)
        if len(names) != 4 or not all(unit in name for name in names[1:]):
            raise ValueError(f"{member.source}: columns {', '.join(names)}; wanted a time and three axes in {unit}")
        table = np.concatenate(list(read_blocks(file, member.source, 4, range(4), ",", first_line=2)))
    return clean_stream(table[:, 0], table[:, 1:] * scale)


DATASET = Dataset(
    "classyglass",
    "ClassyGlass",
    "https://github.com/MU-Smart/ClassyGlass",
    placements=("head",),
    sampling_rate=RATE,
    units=("g", "deg/s"),
    labels=LABELS,
    label_ids=tuple(range(1, len(LABELS) + 1)),
    layout=r"Dataset_(1A|1B|2)/(SensorData/)?User\d+/\d+_activity\w+_MetaWear_(Accelerometer|Gyroscope)_[\d.]+Hz\.csv",
    parse=read_classyglass,
    shortest_seconds=2.0,
    other_labels=OTHER,
    people=62,
    licence="cc-by-4.0",
    licence_text="CC BY 4.0",
    published=(
        Published("subjects", 62, "people in its documents"),
        Published("classes", 17, "activities of its three parts"),
    ),
    broken=(
        BrokenCopy("a gyroscope file is missing", r"its gyroscope file is missing"),
        BrokenCopy("an activity of another list", r"activity \d+ is not in the documents"),
        BrokenCopy("other columns", r"columns .*wanted a time and three axes"),
    ),
    note="eleven activities, 2 to 5 s, files of 50 Hz; data set 2 where its activities are the same; not in the paper",
)
