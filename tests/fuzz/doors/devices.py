"""Exports of devices and apps, a zip of one, and the Space's upload."""

import csv
import zipfile
from pathlib import Path

import numpy as np
from fuzz.door import Door
from support import embrace_plus_files
from support.binary_device_files import BINARY_FILES
from support.device_files import SI, TEXT_FILES, DeviceFile

from anymo_hf.hub.space_answer import Upload, read_upload
from anymo_hf.recordings.devices.device_format import ReadingOptions
from anymo_hf.recordings.devices.export import read_export


def _read(path: Path) -> dict:
    export = read_export(path)
    return {"signals": [part.signals["sensor"] for part in export.stretches], "rate": export.sampling_rate,
            "megaseconds": [1e-6 * part.start_time for part in export.stretches]}  # fmt: skip


def _table(folder: Path) -> Path:
    """A plain table: seconds, m/s^2 and rad/s, at 50 Hz."""
    rows = "".join(
        f"{i / 50:.2f},{SI[0] + i % 3 / 10:.3f},{SI[1]:.3f},{SI[2]:.3f},0.1,{i % 7 / 10:.1f},-0.2\n" for i in range(120)
    )
    path = folder / "walk.csv"
    path.write_text("time (s),acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z\n" + rows)
    return path


def _read_table(path: Path) -> dict:
    recording = read_export(
        path, options=ReadingOptions(acceleration_unit="m/s^2", angular_velocity_unit="rad/s", time_column="time (s)",
                                     columns=("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z"))
    ).only()  # fmt: skip
    return {
        "first": recording.signals["sensor"][0],
        "last": recording.signals["sensor"][-1],
        "start": recording.start_time,
    }


def _plain_table(path: Path) -> dict:
    """By the csv module and `float` alone: the first row, and the last where the clock is even and whole."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [[float(row[name]) for name in ("time (s)", "acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")]
                for row in csv.DictReader(file, strict=True)]  # fmt: skip
    values = np.array(rows)
    even = np.abs(np.diff(values[:, 0]) - 0.02).max() < 1e-9
    return {"first": values[0, 1:]} | ({"last": values[-1, 1:]} if even else {})


def _zipped(folder: Path) -> Path:
    inside = folder.parent / "unpacked"
    inside.mkdir(exist_ok=True)
    TEXT_FILES["sensor_logger"].write(inside)
    path = folder / "walk.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(inside.iterdir()):
            archive.write(file, file.name)
    return path


def _upload(path: Path) -> dict:
    if not path.is_file():  # a browser sends the bytes of a file, and a link to a folder has none
        return {}
    export = read_upload(Upload(path.name, path.read_bytes()), "left_wrist")
    return {"signals": [part.signals["left_wrist"] for part in export.stretches], "rate": export.sampling_rate}


def _door(name: str, known: DeviceFile) -> Door:
    return Door(f"device {name}", known.write, _read)


DOORS = [
    *(_door(name, known) for name, known in (TEXT_FILES | BINARY_FILES).items()),
    Door("device embrace_plus", lambda folder: embrace_plus_files.write(folder, codec="deflate", records=1), _read),
    Door("device table", _table, _read_table, _plain_table),
    Door("device zip", _zipped, _read),
    Door("Space's upload, table", _table, _upload),
    Door("Space's upload, zip", _zipped, _upload),
]
