"""UESTC-MMEA-CL: six-axis clips from smart glasses, one headerless CSV of raw counts each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ..dataset import BrokenCopy, Dataset, Published
from ..download import Download, Member
from ..imu_recording import STANDARD_GRAVITY, ImuRecording
from ..stretches import checked_units
from ..text_table import read_blocks
from .comodo_splits import by_lists, chosen_recordings, listed, listed_splits, read_splits

LABELS = (
    "upstairs", "downstairs", "drinking", "fall", "reading", "sweep floor", "cut fruits", "mop floor", "writing",
    "wipe table", "wash hand", "standing", "play phone", "type pc", "eating", "cooking", "pick up phone", "drop trash",
    "fold clothes", "walking", "play card", "brush teeth", "wash dish", "moving sth", "type phone", "chat",
    "open close door", "ride bike", "sit stand", "take drop sth", "shopping", "watch TV",
)  # fmt: skip
RATE = 25.0  # nominal: the files hold no time stamps
CLIPS = {"train": 4552, "val": 652, "test": 1315}  # lines of COMODO's lists
_COUNTS_PER_G, _COUNTS_PER_DEGREE = 16384.0, 16.4  # ranges of 2 g and 2,000 deg/s in 16 bits
# .../data/<folder>/<clip> <frames> <IMU rows> <label>; the folder is right where the label is not
_LINE = re.compile(r"(?:\S*/)?(?P<key>[^/\s]+/[^/\s]+?)(?:\.csv)?\s+\d+\s+\d+\s+(?P<value>\d+)")


def read_mmea(
    folder: str | Path, split: str | None = "test", split_folder: str | Path | None = None
) -> Iterator[ImuRecording]:
    """Whole clips at 25 Hz, from the head; the class is the number of the clip's folder (1 to 32), its id one less.

    Args:
        folder: holds `sensor/<number>_<name>/<clip>.csv`, unpacked or in a zip.
        split: "train", "val", "test" of COMODO's lists, or None for all three. Without the lists every clip is given
            and a warning says so.
        split_folder: where `train.txt`, `val.txt` and `test.txt` lie; default: below `folder`.

    Raises:
        OSError: no clip below `folder`, a damaged zip, or the list asked for is missing.
        ValueError: a folder outside 1 to 32, a file with a header, another width or values that are no 16-bit counts,
            a class whose units are not those counts, or a broken list.
    """
    with Download(folder) as download:
        members = download.find(
            r"(\d+)_([^/]+)/([^/]+)\.csv", "UESTC-MMEA-CL", "sensor/<number>_<name>/<clip>.csv", archives=".*"
        )
        keys = ["{}_{}/{}".format(*member.groups) for member in members]
        lists = Path(split_folder or (folder if Path(folder).is_dir() else Path(folder).parent))
        splits = read_splits(lists, _LINE, {str(number) for number in range(len(LABELS))})
        chosen = chosen_recordings(folder, splits, split, set(keys), "UESTC-MMEA-CL")
        used = [(m, key) for m, key in zip(members, keys, strict=True) if chosen is None or key in chosen]
        for _, clips in itertools.groupby(used, key=lambda pair: pair[0].groups[0]):
            yield from checked_units(_clip(download, member, key) for member, key in clips)


def _clip(download: Download, member: Member, key: str) -> ImuRecording:
    label = int(member.groups[0]) - 1
    if not 0 <= label < len(LABELS):
        raise ValueError(f"{member.source}: its folder must read <1..32>_<name>; unpack the dataset again")
    with download.open(member) as file:
        counts = np.concatenate(list(read_blocks(file, member.source, 6, range(6), ",")))
    if (counts != np.rint(counts)).any() or np.abs(counts).max() > 1 << 15:
        raise ValueError(f"{member.source}: values are no 16-bit counts; was it converted? take the original download")
    acceleration = counts[:, :3] / _COUNTS_PER_G * STANDARD_GRAVITY
    signal = np.concatenate([acceleration, np.deg2rad(counts[:, 3:] / _COUNTS_PER_DEGREE)], axis=1)
    return ImuRecording({"head": signal}, RATE, LABELS[label], label, session=key, dataset="mmea", source=member.source)


DATASET = Dataset(
    "mmea",
    "UESTC-MMEA-CL",
    "https://arxiv.org/abs/2301.10931",
    placements=("head",),
    sampling_rate=RATE,
    units=("1/16384 g", "1/16.4 deg/s"),
    labels=LABELS,
    label_ids=tuple(range(len(LABELS))),
    layout=r"sensor/\d+_[^/]+/[^/]+\.csv",
    parse=partial(read_mmea, split=None),
    parse_split=by_lists(read_mmea),
    splits_of=listed_splits,
    window_seconds=None,
    paper_segments={"head": "Head"},
    broken=(
        BrokenCopy("converted to other units", r"values are no 16-bit counts"),
        BrokenCopy("a folder of no class", r"its folder must read <1..32>_<name>"),
    ),
    note="test split of COMODO's lists where they are there, whole clips",
    published=(
        Published("recordings", sum(CLIPS.values()), listed(CLIPS, "clips")),
        Published("classes", 32, "classes of the paper's Table 9"),
    ),
)
