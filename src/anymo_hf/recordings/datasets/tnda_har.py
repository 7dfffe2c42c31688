"""TNDA-HAR (IEEE DataPort 10.21227/4epb-pg26): five IMUs at elbow, knee, wrist, ankle and back, 50 Hz."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..dataset import BrokenCopy, Dataset, Published
from ..download import Download, Member
from ..imu_recording import ImuRecording
from ..stretches import checked_units, worn_stretches
from ..text_table import read_blocks

LABELS = {
    1: "sitting", 2: "standing", 3: "lying down", 4: "ascending stairs", 5: "descending stairs", 6: "riding",
    7: "walking", 8: "jogging",
}  # fmt: skip
RATE = 50.0
PLACEMENTS = {  # prefix of the columns, in their order -> placement: the elbow's and the knee's sensors are below them
    "arm": "right_forearm", "leg": "left_knee", "wri": "right_wrist", "ank": "left_ankle", "bac": "upper_back",
}  # fmt: skip
PAPER_SEGMENTS = {
    "right_forearm": "R_Forearm", "left_knee": "L_LowerLeg", "right_wrist": "R_Hand", "left_ankle": "L_Foot",
    "upper_back": "T8",
}  # fmt: skip
# A wrist lies between forearm and hand, an ankle between shank and foot; forearm and shank carry a sensor of their own.
WORN_SEGMENTS = {"right_wrist": "R_Hand", "left_ankle": "L_Foot"}
_COLUMNS = 46
_DEFAULT = [9 * unit + channel for unit in range(5) for channel in range(6)] + [45]  # acc, gyr, mag; class last


def read_tnda_har(folder: str | Path) -> Iterator[ImuRecording]:
    """Stretches of the eight activities; other classes are left out. m/s^2 and rad/s as stored.

    There are no time stamps: a row is 1/50 s, and NaN up to 0.1 s is interpolated for each sensor, a longer run splits.

    Args:
        folder: holds `Subject01.csv` and so on, or a zip of them. A header is optional; rows whose numbers stand in one
            field, separated by `;`, are read too.

    Raises:
        OSError: no `Subject*.csv`, or a damaged zip.
        ValueError: another number of columns, a header without a needed one, text, or units that cannot be.
    """
    with Download(folder) as download:
        for member in download.find(r"Subject(\d+)\.csv", "TNDA-HAR", "Subject01.csv"):
            yield from checked_units(_person(download, member))


def _one_field(line: bytes) -> bytes:
    """The row with commas, where it came as `"1;2;3",,,`."""
    return line.rstrip(b", ").strip(b'"').replace(b";", b",") if b";" in line else line.rstrip(b", ")


def _person(download: Download, member: Member) -> Iterator[ImuRecording]:
    subject = str(int(member.groups[0]))
    with download.open(member) as file:
        names = _one_field(file.readline().removeprefix(b"\xef\xbb\xbf").strip()).decode(errors="replace").split(",")
    header = any(not _is_number(name) for name in names)
    use = _by_name([name.strip().strip('"').lower() for name in names], member.source) if header else _DEFAULT
    order = np.argsort(np.argsort(use))  # read_blocks gives columns as they stand in the file
    with download.open(member) as file:
        if header:
            file.readline()
        blocks = read_blocks(file, member.source, _COLUMNS, sorted(use), ",", _one_field, first_line=2 if header else 1)
        cells = _cells(blocks, order)
        for (label,), start, signals in worn_stretches(cells, LABELS, tuple(PLACEMENTS.values()), RATE, member.source):
            yield ImuRecording(signals, RATE, LABELS[label], label, subject, "", "tnda_har", start, member.source)


def _cells(blocks: Iterator[np.ndarray], order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    row = 0
    for block in blocks:
        block = block[:, order]
        yield block[:, -1:], (row + np.arange(len(block))) / RATE, block[:, :-1]
        row += len(block)


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def _by_name(names: list[str], source: str) -> list[int]:
    wanted = [f"{unit}_{kind}_{axis}" for unit in PLACEMENTS for kind in ("acc", "gyr") for axis in "xyz"] + ["class"]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(
            f"{source}: columns {missing[:6]} are missing from the header {names[:6]}...; download it again"
        )
    return [names.index(name) for name in wanted]


DATASET = Dataset(
    "tnda_har",
    "TNDA-HAR",
    "https://doi.org/10.21227/4epb-pg26",
    placements=tuple(PLACEMENTS.values()),
    sampling_rate=RATE,
    units=("m/s^2", "rad/s"),
    labels=tuple(LABELS.values()),
    label_ids=tuple(LABELS),
    layout=r"Subject\d+\.csv",
    parse=read_tnda_har,
    paper_segments=PAPER_SEGMENTS,
    worn_segments=WORN_SEGMENTS,
    bundle="tnda_har",
    published=(
        Published("classes", 8, "classes of the paper's Table 9"),
        Published("subjects", 23, "people by a survey; its file names may go to 50"),
    ),
    person_files=(r"Subject(\d+)\.csv$",) * 2,
    broken=(BrokenCopy("other columns", r"columns .* are missing from the header"),),
    note="all people, 5 s; the paper uses the UniMTS test split",
)
