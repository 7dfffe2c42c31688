"""USC-HAD: one IMU at the front right hip, 100 Hz, a MATLAB file for each trial."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from ..dataset import BrokenCopy, Dataset, Published
from ..download import Download, Member
from ..imu_recording import ImuRecording
from ..matlab_trial import read_trial
from ..stretches import checked_units

LABELS = (
    "walk forward", "walk left", "walk right", "walk upstairs", "walk downstairs", "run forward", "jump up", "sit",
    "stand", "sleep", "elevator up", "elevator down",
)  # fmt: skip


def read_usc_had(folder: str | Path) -> Iterator[ImuRecording]:
    """Trials at 100 Hz from the front right hip; the activity comes from the file name (fields in files vary).

    Args:
        folder: the unpacked dataset or its zip.

    Raises:
        OSError: no trial below `folder`, an unreadable one, or a damaged zip.
        ValueError: a trial without `sensor_readings`, an activity outside 1 to 12, or units that cannot be.
    """
    with Download(folder) as download:
        members = download.find(r"Subject(\d+)/a(\d+)t(\d+)\.mat", "USC-HAD", "Subject*/a*t*.mat")
        for _, mine in groupby(members, key=lambda member: member.groups[0]):
            yield from checked_units(_trial(download, member) for member in mine)


def _trial(download: Download, member: Member) -> ImuRecording:
    subject, activity, trial = member.groups
    label, session, source = int(activity), f"a{activity}t{trial}", member.source
    if not 1 <= label <= len(LABELS):
        raise ValueError(f"{source}: the name must read a<1..12>t<trial>.mat")
    signals = {"right_hip": read_trial(download, member, "sensor_readings")}
    return ImuRecording(signals, 100.0, LABELS[label - 1], label, subject, session, "usc_had", source=source)


DATASET = Dataset(
    "usc_had",
    "USC-HAD",
    "https://sipi.usc.edu/had/",
    placements=("right_hip",),
    sampling_rate=100.0,
    units=("g", "deg/s"),
    labels=LABELS,
    label_ids=tuple(range(1, 13)),
    layout=r"Subject\d+/a\d+t\d+\.mat",
    parse=read_usc_had,
    people=14,
    paper_segments={"right_hip": "R_UpperLeg"},
    bundle="usc_had",
    published=(
        Published("recordings", 840, "trials in its documents"),
        Published("classes", 12, "classes of the paper's Table 9"),
        Published("subjects", 14, "people in its documents"),
    ),
    person_files=(r"Subject(\d+)/a\d+t\d+\.mat$",) * 2,
    broken=(
        BrokenCopy("a trial is cut off", r"MATLAB file"),
        BrokenCopy("another variable", r"variable 'sensor_readings' is missing"),
    ),
    note="all people, 5 s; the paper uses the UniMTS test split",
)
