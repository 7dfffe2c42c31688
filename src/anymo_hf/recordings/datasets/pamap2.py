"""PAMAP2 (UCI 231): three IMUs at the dominant wrist, the chest and the dominant ankle, 100 Hz."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ..dataset import BrokenCopy, Dataset, Published, TimeStamps
from ..download import Download, Member
from ..imu_recording import ImuRecording
from ..stretches import checked_units, worn_stretches
from ..text_table import read_blocks, read_column

LABELS = {
    1: "lying", 2: "sitting", 3: "standing", 4: "walking", 5: "running", 6: "cycling", 7: "nordic walking",
    12: "ascending stairs", 13: "descending stairs", 16: "vacuum cleaning", 17: "ironing", 24: "rope jumping",
}  # fmt: skip
RATE = 100.0
SUBJECTS = 9
LEFT_HANDED = ("108",)  # the wrist and ankle sensors are on the dominant side
PAPER_SEGMENTS = {
    "right_wrist": "R_Hand", "left_wrist": "R_Hand", "chest": "T8", "right_ankle": "R_Foot", "left_ankle": "R_Foot",
}  # fmt: skip
_COLUMNS = 54
# acceleration of the +-16 g sensor (the +-6 g one saturates) and gyroscope, of hand, chest and ankle
_CHANNELS = [first + offset for first in (3, 20, 37) for offset in (1, 2, 3, 7, 8, 9)]


def read_pamap2(folder: str | Path) -> Iterator[ImuRecording]:
    """Stretches of the 12 protocol activities; m/s^2 and rad/s as stored, clock of the file.

    Radio losses (NaN) up to 0.1 s are interpolated for each sensor, longer ones split. Files of `Optional/` are not read:
    they hold other activities.

    Args:
        folder: the unpacked dataset or its zip, nested as UCI gives it.

    Raises:
        OSError: no `Protocol/subject10*.dat`, or a damaged zip.
        ValueError: another number of columns, a cut line, a sensor without a number, time stamps that go back, or units
            that cannot be.
    """
    with Download(folder) as download:
        for member in download.find(r"Protocol/subject(10[1-9])\.dat", "PAMAP2", "Protocol/subject10*.dat"):
            yield from checked_units(_person(download, member))


def _person(download: Download, member: Member) -> Iterator[ImuRecording]:
    (subject,) = member.groups
    side = "left" if subject in LEFT_HANDED else "right"
    placements = (f"{side}_wrist", "chest", f"{side}_ankle")
    with download.open(member) as file:
        blocks = read_blocks(file, member.source, _COLUMNS, [0, 1, *_CHANNELS])
        cells = ((block[:, 1:2], block[:, 0], block[:, 2:]) for block in blocks)
        for (label,), start, signals in worn_stretches(cells, LABELS, placements, RATE, member.source):
            yield ImuRecording(signals, RATE, LABELS[label], label, subject, "protocol", "pamap2", start, member.source)


DATASET = Dataset(
    "pamap2",
    "PAMAP2",
    "https://archive.ics.uci.edu/dataset/231",
    # on the dominant side
    placements=("right_wrist", "chest", "right_ankle", "left_wrist", "left_ankle"),
    sampling_rate=RATE,
    units=("m/s^2", "rad/s"),
    labels=tuple(LABELS.values()),
    label_ids=tuple(LABELS),
    layout=r"Protocol/subject10\d\.dat|PAMAP2_Dataset\.zip",
    parse=read_pamap2,
    people=SUBJECTS,
    paper_segments=PAPER_SEGMENTS,
    bundle="pamap2",
    published=(
        Published("classes", 12, "classes of the paper's Table 9"),
        Published("subjects", SUBJECTS, "people in its documents"),
    ),
    time_stamps=TimeStamps(r"Protocol/subject10\d\.dat", partial(read_column, column=0, unit=1.0), RATE),
    person_files=(r"Protocol/subject(10\d)\.dat$",) * 2,
    broken=(
        BrokenCopy("a line is cut off", r"columns instead of 54"),
        BrokenCopy("time stamps go back", r"lies before the one above"),
    ),
    note="all people, 5 s; the paper uses the UniMTS test split",
)
