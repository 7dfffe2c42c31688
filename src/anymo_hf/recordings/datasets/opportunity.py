"""OPPORTUNITY (UCI 226): five IMUs at the back and both arms in a kitchen, 30 Hz, modes of locomotion."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ..dataset import BrokenCopy, Dataset, Published, TimeStamps
from ..download import Download, Member
from ..imu_recording import ImuRecording
from ..stretches import checked_units, worn_stretches
from ..text_table import read_blocks, read_column

LABELS = {1: "stand", 2: "walk", 4: "sit", 5: "lie"}  # column Locomotion; 0 is none
RATE = 30.0
SUBJECTS = 4
PLACEMENTS = {  # placement -> its first column, zero based
    "upper_back": 37, "right_upper_arm": 50, "right_forearm": 63, "left_upper_arm": 76, "left_forearm": 89,
}  # fmt: skip
PAPER_SEGMENTS = {
    "upper_back": "L3", "right_upper_arm": "R_UpperArm", "right_forearm": "R_Forearm", "left_upper_arm": "L_UpperArm",
    "left_forearm": "L_Forearm",
}  # fmt: skip
TEST_SESSIONS = (("2", "ADL4"), ("2", "ADL5"), ("3", "ADL4"), ("3", "ADL5"))  # of the Opportunity Challenge
TRAINING_SESSIONS = tuple(
    (subject, session)
    for subject in "123"
    for session in ("Drill", "ADL1", "ADL2", "ADL3", "ADL4", "ADL5")
    if (subject, session) not in TEST_SESSIONS
)
_COLUMNS, _LOCOMOTION = 250, 243
_CHALLENGE = "this is the Opportunity Challenge release; use OpportunityUCIDataset, whose rows have 250"
# stored as 1000/9.8 of m/s^2 and 1000 times rad/s
_FACTORS = np.tile(np.repeat([9.8 / 1000, 1 / 1000], 3), len(PLACEMENTS))


def read_opportunity(folder: str | Path, split: str = "test") -> Iterator[ImuRecording]:
    """Stretches of the four modes of locomotion, clock of the file.

    Lost samples up to 0.1 s are interpolated for each sensor, longer pauses split.

    Args:
        folder: the unpacked dataset or its zip.
        split: "test" or "train" of the Opportunity Challenge, or "all" (with subject 4, who is in neither).

    Raises:
        OSError: no file of the split, or a damaged zip.
        ValueError: an unknown split, another number of columns (116 are the Challenge release), a cut line, time stamps
            that go back, or units that cannot be.
    """
    if split not in ("train", "test", "all"):
        raise ValueError(f"split must be 'train', 'test' or 'all', got {split!r}")
    sessions = {"train": TRAINING_SESSIONS, "test": TEST_SESSIONS}.get(split)
    with Download(folder) as download:
        members = download.find(r"S([1-4])-(ADL[1-5]|Drill)\.dat", "OPPORTUNITY", "S*-ADL*.dat")
        members = [member for member in members if sessions is None or member.groups in sessions]
        if not members:
            raise OSError(f"{folder}: no file of the {split} split ({sessions}); unpack all 24 files, or name another")
        for subject in "1234":
            mine = [member for member in members if member.groups[0] == subject]
            yield from checked_units(recording for member in mine for recording in _session(download, member))


def _session(download: Download, member: Member) -> Iterator[ImuRecording]:
    subject, session = member.groups
    channels = [first + offset for first in PLACEMENTS.values() for offset in range(6)]
    with download.open(member) as file:
        blocks = read_blocks(
            file, member.source, _COLUMNS, [0, *channels, _LOCOMOTION], foreign={116: _CHALLENGE, 114: _CHALLENGE}
        )
        cells = ((block[:, -1:], block[:, 0] / 1000, block[:, 1:-1] * _FACTORS) for block in blocks)
        for (label,), start, signals in worn_stretches(cells, LABELS, tuple(PLACEMENTS), RATE, member.source):
            yield ImuRecording(
                signals, RATE, LABELS[label], label, subject, session, "opportunity", start, member.source
            )


def _parse_split(folder: str | Path, split: str) -> Iterator[ImuRecording]:
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    return read_opportunity(folder, split)


def _splits(folder: Path) -> tuple[str, ...]:
    with Download(folder) as download:
        members = download.find(r"S([1-4])-(ADL[1-5]|Drill)\.dat", "OPPORTUNITY", "S*-ADL*.dat")
    return ("train", "test") if any(member.groups in TRAINING_SESSIONS for member in members) else ("test",)


DATASET = Dataset(
    "opportunity",
    "OPPORTUNITY",
    "https://archive.ics.uci.edu/dataset/226",
    placements=tuple(PLACEMENTS),
    sampling_rate=RATE,
    units=("mg", "mrad/s"),
    labels=tuple(LABELS.values()),
    label_ids=tuple(LABELS),
    layout=r"S[1-4]-(ADL[1-5]|Drill)\.dat|OpportunityUCIDataset\.zip",
    parse=partial(read_opportunity, split="all"),
    parse_split=_parse_split,
    splits_of=_splits,
    shortest_seconds=2.0,
    people=2,
    paper_segments=PAPER_SEGMENTS,
    bundle="opportunity",
    published=(
        Published("sessions", 24, "files in its documents"),
        Published("classes", 4, "classes of the paper's Table 9"),
        Published("subjects", SUBJECTS, "people in its documents"),
    ),
    # the Challenge leaves out a person and what is only theirs
    published_splits=(
        Published("sessions", len(TRAINING_SESSIONS + TEST_SESSIONS), "files of the Challenge's splits"),
        Published("subjects", len({person for person, _ in TRAINING_SESSIONS + TEST_SESSIONS}), "people in them"),
    ),
    time_stamps=TimeStamps(r"S[1-4]-(ADL[1-5]|Drill)\.dat", partial(read_column, column=0, unit=1e-3), RATE),
    broken=(
        BrokenCopy("a line is cut off", r"columns instead of 250"),
        BrokenCopy("time stamps go back", r"lies before the one above"),
    ),
    note="Challenge test sessions, 5 s, shorter stretches from 2 s; the paper uses the UniMTS split",
)
