"""GeoTec SP-SW HAR: a phone in the left trouser pocket and a watch on the left wrist, about 100 Hz, 23 people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..dataset import BrokenCopy, Dataset, Published
from ..download import Download, Member
from ..imu_recording import ImuRecording
from ..stretches import checked_units, clean_stream, even_stretches, labelled_runs
from ..text_table import read_blocks, read_header

LABELS = ("seated", "standing up", "walking", "turning", "sitting down")
RATE = 100.0
_NAMES = ("SEATED", "STANDING_UP", "WALKING", "TURNING", "SITTING_DOWN")
_PLACES = {"sp": "left_pocket", "sw": "left_wrist"}
_COLUMNS = ["x_acc", "y_acc", "z_acc", "x_gyro", "y_gyro", "z_gyro", "timestamp", "label"]


def read_geotec(folder: str | Path) -> Iterator[ImuRecording]:
    """Every labelled stretch of phone and watch, one device a recording: their clocks are not compared.

    Args:
        folder: the repository, or its zip.

    Raises:
        OSError: no `DATA/sXX/sXX_YY_sp.csv` below `folder`, or a damaged zip.
        ValueError: other columns, an unknown label, time stamps that go back, or units that cannot be.
    """
    with Download(folder) as download:
        found = download.find(r"s(\d+)/s\d+_(\d+)_(sp|sw)\.csv", "GeoTec SP-SW", "DATA/sXX/sXX_YY_sp.csv")
        people: dict[str, list[Member]] = {}
        for member in found:
            people.setdefault(member.groups[0], []).append(member)
        for members in people.values():
            yield from checked_units(part for member in members for part in _stretches(download, member))


def _stretches(download: Download, member: Member) -> Iterator[ImuRecording]:
    person, session, device = member.groups
    with download.open(member) as file:
        if (names := read_header(file)) != _COLUMNS:
            raise ValueError(f"{member.source}: columns {', '.join(names)} instead of {', '.join(_COLUMNS)}")

        def numbered(line: bytes) -> bytes:
            values, _, name = line.rpartition(b",")
            text = name.decode(errors="replace").strip()
            if text not in _NAMES:
                raise ValueError(f"{member.source}: label {text!r} is none of {', '.join(_NAMES)}; another version")
            return values + b"," + str(_NAMES.index(text)).encode()

        tables = read_blocks(file, member.source, len(_COLUMNS), range(8), ",", fix=numbered, first_line=2)
        blocks = ((table[:, 7:8], table[:, 6] * 1e-3, table[:, :6]) for table in tables)
        for key, times, values in labelled_runs(blocks, range(5), member.source):
            # steps of the time stamps differ by device, so each stream comes to the even grid by its own clock
            for start, signals in even_stretches({_PLACES[device]: [clean_stream(times, values)]}, RATE):
                yield ImuRecording(
                    signals, RATE, LABELS[key[-1]], key[-1], person, f"{session}-{device}", "geotec", start,
                    member.source,
                )  # fmt: skip


DATASET = Dataset(
    "geotec",
    "GeoTec SP-SW HAR",
    "https://github.com/GeoTecINIT/sp-sw-har-dataset",
    placements=("left_pocket", "left_wrist"),
    sampling_rate=RATE,
    units=("m/s^2", "rad/s"),
    labels=LABELS,
    label_ids=tuple(range(5)),
    layout=r"DATA/s\d+/s\d+_\d+_(sp|sw)\.csv",
    parse=read_geotec,
    shortest_seconds=1.0,  # standing up, turning and sitting down last 1.0 to 1.6 s
    people=23,
    licence="cc-by-4.0",
    licence_text="CC BY 4.0; cite Matey-Sanz et al., Data in Brief 2023",
    published=(Published("subjects", 23, "people in its documents"), Published("classes", 5, "activities")),
    broken=(
        BrokenCopy("other columns", r"columns .* instead of"),
        BrokenCopy("another version's labels", r"label .* is none of"),
    ),
    note="stretches of 1 to 5 s, phone and watch apart; not in the paper",
)
