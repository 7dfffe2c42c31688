"""RealWorld (HAR) 2016, University of Mannheim: seven phones on the body, 50 Hz, zips within zips."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ..dataset import BrokenCopy, Dataset, Published, TimeStamps
from ..download import Download, Member
from ..imu_recording import ImuRecording
from ..stretches import Stream, check_rate, checked_units, clean_stream, even_stretches
from ..text_table import read_blocks, read_column, read_header

LABELS = {
    "lying": "lying", "jumping": "jumping", "standing": "standing", "walking": "walking", "sitting": "sitting",
    "climbingdown": "climbing down", "climbingup": "climbing up", "running": "running",
}  # fmt: skip
RATE = 50.0
SUBJECTS = 15
# Name in the files -> placement. The dataset names no side; left is what UniMTS and the paper take.
PLACEMENTS = {
    "chest": "chest", "forearm": "left_forearm", "head": "head", "shin": "left_shin", "thigh": "left_thigh",
    "upperarm": "left_upper_arm", "waist": "waist",
}  # fmt: skip
PAPER_SEGMENTS = {
    "chest": "L_Shoulder", "left_forearm": "L_Forearm", "head": "Head", "left_shin": "L_Foot",
    "left_thigh": "L_UpperLeg", "left_upper_arm": "L_UpperArm", "waist": "L5",
}  # fmt: skip
_NAMES = ("attr_time", "attr_x", "attr_y", "attr_z")
# acc_walking_chest.csv or Gyroscope_walking_chest.csv; parts carry a number somewhere behind the activity
_FILE = rf"proband(\d+)(?:\.zip)?/(.*/)?(acc|gyr|gyroscope)_({'|'.join(LABELS)})([a-z0-9_]*)\.csv"
_ARCHIVES = r"(?:^|/)(?!(?:mic|gps|lig|mag|mi|microphone)_)[^/]*"  # sound and light are most of the bytes


def read_realworld(folder: str | Path) -> Iterator[ImuRecording]:
    """Stretches in which every phone that was worn runs, accelerometer and gyroscope put on one 50 Hz grid.

    Each sensor is interpolated by its own time stamps (m/s^2, rad/s; seconds since 1970); a pause of over a second in any
    of them splits. Phones are synchronous only to about 0.1 s. A phone without a gyroscope file, or that runs for less
    than half of the others' time, is left out of that sitting with a warning. Numbered parts are sittings of their own.

    Args:
        folder: holds `proband1/data/acc_walking_csv.zip` and so on, packed or not, or the zip of all.

    Raises:
        OSError: no accelerometer file, or a damaged zip.
        ValueError: missing columns, text, a cut line, time stamps in another unit, or units that cannot be.
    """
    with Download(folder) as download:
        wanted = "proband*/data/acc_*_csv.zip or proband*/.../acc_*.csv"
        files: dict[int, dict[tuple[int, int], dict[str, dict[str, Member]]]] = {}
        members = download.find(_FILE, "RealWorld", wanted, _ARCHIVES, every_level=True)
        for member in sorted(members, key=lambda member: len(member.chain)):  # unpacked before packed
            subject, where, kind, activity, rest = (text.lower() for text in member.groups)
            places = [token for token in rest.split("_") if token in PLACEMENTS]
            if not places:
                raise ValueError(f"{member.source}: the name holds none of the positions {', '.join(PLACEMENTS)}")
            # parts are numbered in the name of the file or of the zip or folder that holds it
            part = re.findall(r"\d+", rest) + re.findall(r"(?:^|[_/])(\d+)_csv(?:\.zip)?/", where)
            sitting = (list(LABELS).index(activity), int(part[0]) if part else 0)
            phone = files.setdefault(int(subject), {}).setdefault(sitting, {}).setdefault(places[-1], {})
            twice = phone.setdefault(kind[:3], member)
            if twice is not member and len(twice.chain) == len(member.chain):
                raise ValueError(f"{twice.source} and {member.source} are the same file of RealWorld; keep one")
        for person, sittings in sorted(files.items()):
            yield from checked_units(_person(download, person, sittings))


def _person(download: Download, subject: int, sittings: dict) -> Iterator[ImuRecording]:
    for (number, part), phones in sorted(sittings.items()):
        activity = list(LABELS)[number]
        where = f"{download.path}: proband{subject}, {activity}{f' part {part}' if part else ''}"
        streams: dict[str, list[Stream]] = {}
        for place in sorted(phones):
            members = phones[place]
            if set(members) != {"acc", "gyr"}:
                missing = "gyroscope" if "acc" in members else "accelerometer"
                warnings.warn(f"{where}: left out the {place} phone, whose {missing} file is missing", stacklevel=2)
                continue
            streams[PLACEMENTS[place]] = [_stream(download, members[kind]) for kind in ("acc", "gyr")]
        streams = _together(streams, where)
        sources = [member.source for members in phones.values() for member in members.values()]
        for start, signals in even_stretches(streams, RATE):
            yield ImuRecording(
                signals, RATE, LABELS[activity], number, str(subject), f"{activity}{part or ''}", "realworld", start,
                f"{min(sources)} and the files beside it",
            )  # fmt: skip


def _stream(download: Download, member: Member) -> Stream:
    with download.open(member) as file:
        header = read_header(file)
        missing = [name for name in _NAMES if name not in header]
        if missing:
            raise ValueError(f"{member.source}: columns {missing} are missing; found {header}")
        use = [header.index(name) for name in _NAMES]
        if use != sorted(use):
            raise ValueError(f"{member.source}: columns stand in another order than {list(_NAMES)}: {header}")
        table = np.concatenate(list(read_blocks(file, member.source, len(header), use, ",", first_line=2)))
    times, values = clean_stream(table[:, 0] / 1000, table[:, 1:])
    if len(times) < 0.95 * len(np.unique(table[:, 0])):
        raise ValueError(f"{member.source}: over 5 % of the rows hold no number; download the file again")
    check_rate(times, RATE, member.source, tolerance=0.5)
    return times, values


def _together(streams: dict[str, list[Stream]], where: str) -> dict[str, list[Stream]]:
    """Without phones that run for under half of the sitting, whose borders are the medians of all phones."""
    if not streams:
        return streams
    first = {name: max(times[0] for times, _ in parts) for name, parts in streams.items()}
    last = {name: min(times[-1] for times, _ in parts) for name, parts in streams.items()}
    begin, end = np.median(list(first.values())), np.median(list(last.values()))
    away = [name for name in streams if min(last[name], end) - max(first[name], begin) < (end - begin) / 2]
    if away:
        warnings.warn(f"{where}: left out {', '.join(away)}, which ran for under half of the sitting", stacklevel=2)
    return {name: parts for name, parts in streams.items() if name not in away}


DATASET = Dataset(
    "realworld",
    "RealWorld",
    "https://sensor.informatik.uni-mannheim.de/",
    placements=tuple(PLACEMENTS.values()),
    sampling_rate=RATE,
    units=("m/s^2", "rad/s"),
    labels=tuple(LABELS.values()),
    label_ids=tuple(range(len(LABELS))),
    layout=r"proband\d+/data/acc_\w+_csv\.zip"
    r"|acc_[a-z]+_(\d+_)?(chest|forearm|head|shin|thigh|upperarm|waist)(_\d+)?\.csv",
    parse=read_realworld,
    people=SUBJECTS,
    paper_segments=PAPER_SEGMENTS,
    bundle="realworld",
    published=(
        Published("classes", 8, "classes of the paper's Table 9"),
        Published("subjects", SUBJECTS, "people in its documents"),
    ),
    time_stamps=TimeStamps(
        r"acc_[a-z]+_[a-z_0-9]+\.csv", partial(read_column, column="attr_time", unit=1e-3, delimiter=","), RATE
    ),
    person_files=(r"proband(\d+)(?:\.zip$|/)",) * 2,
    broken=(
        BrokenCopy("a recording stands twice", r"are the same file of RealWorld"),
        BrokenCopy("other columns", r"columns .* are missing; found"),
        BrokenCopy("columns in another order", r"columns stand in another order"),
    ),
    note="all people, 5 s; the paper uses the UniMTS test split",
)
