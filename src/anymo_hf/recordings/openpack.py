"""OpenPack: four arm IMUs of packing work, cut into whole operations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from .imu_recording import STANDARD_GRAVITY, ImuRecording, require_files, to_grid, unbroken_spans

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


def _table(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, FileNotFoundError) as error:
        raise OSError(f"{path}: not a readable CSV ({error}); download it again") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(f"{path}: columns {missing} are missing; found {list(table.columns)}")
    return table


def read_openpack(folder: str | Path) -> Iterator[ImuRecording]:
    """Operations of 1 to 30 s, resampled by their time stamps to 30 Hz (the true rate is 30.3 or 33.3 Hz).

    Where a sensor pauses for over a second, an operation falls into several recordings.

    Raises:
        OSError: no session below `folder`, or an unreadable file.
        ValueError: missing columns or rows, or time stamps that are missing or run backward.
    """
    paths = sorted(Path(folder).rglob("annotation/openpack-operations/S*.csv"))
    for path in require_files(paths, folder, "annotation/openpack-operations/S*.csv", "OpenPack"):
        user = path.parents[2]
        operations = _table(path, ["id", "start", "end"])
        streams: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        origin = None  # unix milliseconds; times from here keep microseconds in float64
        for device, placement in PLACEMENTS.items():
            file = user / "atr" / device / path.name
            if not file.exists():
                continue
            values = _table(file, _COLUMNS)[_COLUMNS].to_numpy(float)
            if not len(values):
                raise ValueError(f"{file}: no row below the header; download the file again")
            if not np.isfinite(values[:, 0]).all() or (np.diff(values[:, 0]) < 0).any():
                raise ValueError(f"{file}: unixtime is missing in a row or runs backward; download the file again")
            signal = values[:, 1:] * np.array([STANDARD_GRAVITY] * 3 + [np.pi / 180] * 3)
            origin = values[0, 0] if origin is None else origin
            streams[placement] = ((values[:, 0] - origin) / 1000, signal)
        if not streams:
            raise OSError(f"{user}: no atr/atr0*/{path.name} beside {path}")
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
                yield ImuRecording(signals, RATE, LABELS[int(number)], int(number), user.name, path.stem, "openpack")
