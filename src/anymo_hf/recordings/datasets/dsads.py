"""DSADS, Daily and Sports Activities (UCI 256): five IMUs at torso, wrists and knees, 25 Hz, 5 s files."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from ..dataset import BrokenCopy, Dataset, Published
from ..download import Download, Member
from ..imu_recording import ImuRecording
from ..stretches import checked_units
from ..text_table import read_blocks

LABELS = dict(
    enumerate(
        (
            "sitting", "standing", "lying on back", "lying on right side", "ascending stairs", "descending stairs",
            "standing in an elevator still", "moving around in an elevator", "walking slowly",
            "walking on a treadmill in flat positions", "walking on a treadmill in inclined positions",
            "running on a treadmill fast", "exercising on a stepper", "exercising on a cross trainer",
            "cycling on an exercise bike in horizontal positions", "cycling on an exercise bike in vertical positions",
            "rowing", "jumping", "playing basketball",
        ),
        start=1,
    )
)  # fmt: skip
RATE = 25.0
SUBJECTS = 8
FILES = 9120
PLACEMENTS = ("chest", "right_wrist", "left_wrist", "right_knee", "left_knee")  # nine columns each
PAPER_SEGMENTS = {
    "chest": "T8", "right_wrist": "R_Hand", "left_wrist": "L_Hand", "right_knee": "R_LowerLeg",
    "left_knee": "L_LowerLeg",
}  # fmt: skip
_ROWS, _COLUMNS = 125, 45


def read_dsads(folder: str | Path) -> Iterator[ImuRecording]:
    """Five minutes of an activity at a time: segments s01 to s60 follow one another without a gap. m/s^2 and rad/s.

    A missing segment splits. Cut to 5 s, the recordings are the files again.

    Args:
        folder: the unpacked dataset or its zip.

    Raises:
        OSError: no `a*/p*/s*.txt`, or a damaged zip.
        ValueError: a file that is not 125 rows of 45 numbers, or units that cannot be.
    """
    with Download(folder) as download:
        members = download.find(r"a(0[1-9]|1\d)/p([1-8])/s(\d\d)\.txt", "DSADS", "a01/p1/s01.txt")
        for _, mine in groupby(sorted(members, key=lambda m: (m.groups[1], m.groups)), key=lambda m: m.groups[1]):
            yield from checked_units(_person(download, list(mine)))


def _person(download: Download, members: list[Member]) -> Iterator[ImuRecording]:
    def run(numbered: tuple[int, Member]) -> tuple[str, int]:
        """Equal for segments of one activity whose numbers follow one another."""
        return numbered[1].groups[0], int(numbered[1].groups[2]) - numbered[0]

    for (activity, _), group in groupby(enumerate(members), key=run):
        segments = [member for _, member in group]
        values = np.concatenate([_segment(download, member) for member in segments])
        signals = {name: values[:, 6 * i : 6 * i + 6] for i, name in enumerate(PLACEMENTS)}
        _, subject, first = segments[0].groups
        start = (int(first) - 1) * _ROWS / RATE
        label = int(activity)
        yield ImuRecording(
            signals, RATE, LABELS[label], label, subject, f"s{first}", "dsads", start, segments[0].source
        )


def _segment(download: Download, member: Member) -> np.ndarray:
    use = [9 * unit + channel for unit in range(len(PLACEMENTS)) for channel in range(6)]
    with download.open(member) as file:
        values = np.concatenate(list(read_blocks(file, member.source, _COLUMNS, use, ",")))
    if len(values) != _ROWS:
        raise ValueError(f"{member.source}: {len(values)} rows instead of {_ROWS}; the file is cut off")
    if not np.isfinite(values).all():
        raise ValueError(f"{member.source}: an empty cell in line {int(np.argmin(np.isfinite(values).all(1))) + 1}")
    return values


DATASET = Dataset(
    "dsads",
    "DSADS",
    "https://archive.ics.uci.edu/dataset/256",
    placements=PLACEMENTS,
    sampling_rate=RATE,
    units=("m/s^2", "rad/s"),
    labels=tuple(LABELS.values()),
    label_ids=tuple(LABELS),
    layout=r"a\d\d/p[1-8]/s\d\d\.txt",
    parse=read_dsads,
    people=SUBJECTS,
    paper_segments=PAPER_SEGMENTS,
    bundle="dsads",
    published=(
        Published("seconds", 5 * FILES, f"{FILES:,} files of 5 s in its documents"),
        Published("classes", 19, "classes of the paper's Table 9"),
        Published("subjects", SUBJECTS, "people in its documents"),
    ),
    person_files=(r"a\d\d/p([1-8])/s\d\d\.txt$",) * 2,
    broken=(
        BrokenCopy("a segment is cut off", r"\d+ rows instead of 125"),
        BrokenCopy("an empty cell", r"an empty cell in line"),
    ),
    note="all people, 5 s; the paper uses the UniMTS test split",
)
