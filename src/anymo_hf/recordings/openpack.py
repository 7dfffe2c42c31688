"""OpenPack: four arm IMUs of packing work, cut into whole operations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from .download import CUT_OFF, Download, Member
from .imu_recording import STANDARD_GRAVITY, ImuRecording, to_grid, unbroken_spans

LABELS = {
    100: "Picking", 200: "Relocate Item Label", 300: "Assemble Box", 400: "Insert Items", 500: "Close Box",
    600: "Attach Box Label", 700: "Scan Label", 800: "Attach Shipping Label", 900: "Put on Back Table",
    1000: "Fill out Order",
}  # fmt: skip
PLACEMENTS = {
    "atr01": "right_wrist",
    "atr02": "left_wrist",
    "atr03": "right_upper_arm",
    "atr04": "left_upper_arm",
}
RATE = 30.0
_COLUMNS = ["unixtime", "acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"]


def _table(download: Download, member: Member, columns: list[str]) -> pd.DataFrame:
    try:
        with download.open(member) as file:
            table = pd.read_csv(file)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, *CUT_OFF) as error:
        raise OSError(f"{member.source}: not a readable CSV ({error}); download it again") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(f"{member.source}: columns {missing} are missing; found {list(table.columns)}")
    return table


def read_openpack(folder: str | Path) -> Iterator[ImuRecording]:
    """Operations of 1 to 30 s, resampled by their time stamps to 30 Hz (the true rate is 30.3 or 33.3 Hz).

    Where a sensor pauses for over a second, an operation falls into several recordings.

    Args:
        folder: the unpacked dataset, its zip, or a folder of one zip a person.

    Raises:
        OSError: no session below `folder`, an unreadable file, or a damaged zip.
        ValueError: missing columns or rows, or time stamps that are missing or run backward.
    """
    with Download(folder) as download:
        sessions = download.find(
            r"([^/]+?)(?:\.zip)?/annotation/openpack-operations/(S\d+)\.csv",
            "OpenPack", "annotation/openpack-operations/S*.csv",
        )  # fmt: skip
        found = download.find(r"([^/]+?)(?:\.zip)?/atr/(atr\d+)/(S\d+)\.csv", "OpenPack", "atr/atr0*/S*.csv")
        sensors = {member.groups: member for member in found}
        for session in sessions:
            yield from _operations(download, session, sensors)


def _operations(download: Download, session: Member, sensors: dict[tuple[str, ...], Member]) -> Iterator[ImuRecording]:
    user, name = session.groups
    operations = _table(download, session, ["id", "start", "end"])
    streams: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    origin = None  # unix milliseconds; times from here keep microseconds in float64
    for device, placement in PLACEMENTS.items():
        member = sensors.get((user, device, name))
        if member is None:
            continue
        values = _table(download, member, _COLUMNS)[_COLUMNS].to_numpy(float)
        if not len(values):
            raise ValueError(f"{member.source}: no row below the header; download the file again")
        if not np.isfinite(values[:, 0]).all() or (np.diff(values[:, 0]) < 0).any():
            raise ValueError(f"{member.source}: unixtime is missing in a row or runs backward; download the file again")
        signal = values[:, 1:] * np.array([STANDARD_GRAVITY] * 3 + [np.pi / 180] * 3)
        origin = values[0, 0] if origin is None else origin
        streams[placement] = ((values[:, 0] - origin) / 1000, signal)
    if not streams:
        raise OSError(f"{session.source}: no atr/atr0*/{name}.csv of {user} beside it; unpack OpenPack again")
    times = [
        pd.to_datetime(operations[c], format="ISO8601").map(lambda t: t.timestamp()) - origin / 1000
        for c in ("start", "end")
    ]
    spans = unbroken_spans(*(clock for clock, _ in streams.values()))
    for number, start, end in zip(operations["id"], *times, strict=True):
        first = max(start, *(clock[0] for clock, _ in streams.values()))
        last = min(end, *(clock[-1] for clock, _ in streams.values()))
        if int(number) not in LABELS or not 1 <= last - first <= 30:
            continue
        for begin, stop in spans:
            begin, stop = max(begin, first), min(stop, last)
            if stop - begin < 1:
                continue
            grid = np.arange(int((stop - begin) * RATE)) / RATE + begin
            signals = {name: to_grid(clock, signal, grid) for name, (clock, signal) in streams.items()}
            yield ImuRecording(signals, RATE, LABELS[int(number)], int(number), user, name, "openpack")
