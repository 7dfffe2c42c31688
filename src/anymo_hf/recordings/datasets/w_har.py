"""w-HAR: one IMU at the right ankle, 250 Hz, all people in one CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from ..dataset import BrokenCopy, Dataset, Published, TimeStamps
from ..download import Download, Member
from ..imu_recording import STANDARD_GRAVITY, ImuRecording
from ..stretches import checked_units, worn_stretches
from ..text_table import read_blocks, read_column, read_header

LABELS = {
    "walk": "walk", "sit": "sit", "stand": "stand", "jump": "jump", "liedown": "lie down", "stairsup": "stairs up",
    "stairsdown": "stairs down",
}  # fmt: skip
RATE = 250.0
SUBJECTS = 22
PLACEMENT = "right_ankle"
PAPER_SEGMENTS = {PLACEMENT: "R_Foot"}
_IDS = {name.encode(): number for number, name in enumerate(LABELS)}
_DROPPED = (b"transition", b"undefined", b"jumpundefined", b"unkown", b"unknown")
_HEADER = ["Time (s)", "User", "Scenerio", "Trial", "Ax", "Ay", "Az", "GyroX", "GyroY", "GyroZ"]  # as spelt
_DEGREES_FROM = 20.0  # an ankle's 95th percentile stays under 10 rad/s and lies far above 20 deg/s


def read_w_har(folder: str | Path) -> Iterator[ImuRecording]:
    """Stretches of the seven activities; transitions and undefined rows are left out.

    The documents give rad/s, other readers take degrees a second: the size of the values decides, once for the file.
    The file is read twice in blocks and one person at a time is held.

    Args:
        folder: holds `motion_data_22_users.csv`, or a zip of the repository.

    Raises:
        OSError: no such file, only its Git LFS pointer, or a damaged zip.
        ValueError: other columns, an unknown activity, a cut line or units that cannot be.
    """
    with Download(folder) as download:
        pattern = r"motion_data_22_users\.csv"
        (member,) = download.find(pattern, "w-HAR", "datasets/raw_data/motion_data_22_users.csv")
        sample = np.concatenate([block[::50, 7:10] for block in _blocks(download, member)])
        high = np.nanpercentile(np.abs(sample), 95) if np.isfinite(sample).any() else 0.0
        factors = np.repeat([STANDARD_GRAVITY, np.pi / 180 if high > _DEGREES_FROM else 1.0], 3)
        stretches = _stretches(download, member, factors)
        for _, mine in groupby(stretches, key=lambda recording: recording.subject):
            yield from checked_units(mine)


def _blocks(download: Download, member: Member) -> Iterator[np.ndarray]:
    """`(rows, 11)`: the ten named columns and the activity's id, -1 for those left out."""

    def number_label(line: bytes) -> bytes:
        numbers, _, label = line.rpartition(b",")
        label = label.strip().strip(b'"').lower()
        if label not in _IDS and label not in _DROPPED:
            raise ValueError(
                f"{member.source}: unknown activity {label.decode(errors='replace')[:40]!r}; known are "
                f"{', '.join(LABELS)}; cut off, or another version of the file"
            )
        return numbers + b",%d" % _IDS.get(label, -1)

    with download.open(member) as file:
        header = read_header(file)
        if header[0].startswith("version https://git-lfs"):
            raise OSError(f"{member.source}: a Git LFS pointer, not the data; run git lfs pull, or download the file")
        if header[: len(_HEADER)] != _HEADER or len(header) > len(_HEADER) + 1:
            raise ValueError(f"{member.source}: columns must be {_HEADER} and the unnamed activity, found {header}")
        yield from read_blocks(file, member.source, 11, range(11), ",", number_label, first_line=2)


def _stretches(download: Download, member: Member, factors: np.ndarray) -> Iterator[ImuRecording]:
    texts = list(LABELS.values())
    cells = ((block[:, [1, 2, 3, 10]], block[:, 0], block[:, 4:10] * factors) for block in _blocks(download, member))
    for (user, scenario, trial, label), start, signals in worn_stretches(
        cells, range(len(LABELS)), [PLACEMENT], RATE, member.source, restarts=True
    ):
        session, source = f"scenario{scenario}-trial{trial}", f"{member.source}, user {user}"
        yield ImuRecording(signals, RATE, texts[label], label, str(user), session, "w_har", start, source)


DATASET = Dataset(
    "w_har",
    "w-HAR",
    "https://github.com/gmbhat/human-activity-recognition",
    placements=(PLACEMENT,),
    sampling_rate=RATE,
    units=("g", "rad/s or deg/s"),
    labels=tuple(LABELS.values()),
    label_ids=tuple(range(len(LABELS))),
    layout=r"motion_data_22_users\.csv",
    parse=read_w_har,
    shortest_seconds=2.0,
    people=SUBJECTS,
    paper_segments=PAPER_SEGMENTS,
    bundle="w_har",
    published=(
        Published("classes", 7, "classes of the paper's Table 9"),
        Published("subjects", SUBJECTS, "people in its documents"),
    ),
    time_stamps=TimeStamps(
        r"motion_data_22_users\.csv", partial(read_column, column="Time (s)", unit=1.0, delimiter=","), RATE
    ),
    broken=(
        BrokenCopy("a Git LFS pointer", r"a Git LFS pointer, not the data"),
        BrokenCopy("other columns", r"columns must be"),
        BrokenCopy("an unknown activity", r"unknown activity"),
    ),
    note="all people, 5 s, shorter stretches from 2 s; the paper uses the UniMTS split",
)
