"""Sensor Logger (Kelvin Choi): one file a sensor, time in ns since 1970, seconds_elapsed, z, y, x; m/s^2 and rad/s.

Accelerometer.csv holds no gravity; TotalAcceleration.csv does, or Gravity.csv beside it is added. On iPhones the signs are
Apple's unless "Standardise Units & Frames" was on, which Metadata.csv of the recording says.
Layout: https://github.com/tszheichoi/awesome-sensor-logger (UNITS.md, COORDINATES.md).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from .device_format import DeviceFormat, ReadingOptions, Samples
from .table import TableHints, header_holds, read_joined, read_table

_HINTS = TableHints(
    acceleration_unit="m/s^2", angular_velocity_unit="rad/s", time={"time": "ns", "seconds_elapsed": "s"},
    title="Sensor Logger",
)  # fmt: skip


def _read(path: Path, options: ReadingOptions) -> Samples:
    hints = _HINTS
    if options.apple_sign is None:
        apple, note = _says_apple(path.parent)
        hints = replace(hints, apple_sign=apple, notes=(note,) if note else ())
    if re.fullmatch(r"(Watch)?Accelerometer", path.stem, re.I) and options.columns is None:
        total = path.with_name(re.sub("Accelerometer", "TotalAcceleration", path.name, flags=re.I))
        gravity = path.with_name(re.sub("Accelerometer", "Gravity", path.name, flags=re.I))
        if total.is_file():
            samples = read_joined(total, options, hints)
            samples.notes.append(f"{path.name} holds no gravity; {total.name} beside it was read")
            return samples
        if not gravity.is_file():
            raise ValueError(
                f"{path}: Sensor Logger's {path.name} is without gravity, which cannot be repaired; give "
                "TotalAcceleration.csv, or put Gravity.csv of the same recording beside it"
            )
        return _with_gravity(path, gravity, options, hints)
    if re.search("uncalibrated", path.stem, re.I):
        hints = replace(hints, acceleration_unit=None)  # g on an iPhone, m/s^2 on Android
    return read_joined(path, options, hints)


def _with_gravity(path: Path, gravity: Path, options: ReadingOptions, hints: TableHints) -> Samples:
    plain = replace(options, acceleration_unit="m/s^2", apple_sign=bool(hints.apple_sign))
    down = read_table(gravity, plain, replace(hints, notes=()))
    samples = read_joined(path, options, hints)
    times, other = (s.times if s.times is not None else np.arange(len(s.values)) / s.rate for s in (samples, down))
    other = other + (down.start_time - samples.start_time)
    if times[-1] < other[0] or times[0] > other[-1]:
        raise ValueError(f"{path}: {gravity.name} beside it was recorded at another time; give TotalAcceleration.csv")
    samples.values[:, :3] += np.stack([np.interp(times, other, column) for column in down.values[:, :3].T], axis=1)
    samples.files += (gravity,)
    samples.notes.append(f"{path.name} holds no gravity; {gravity.name} beside it was added")
    return samples


def _says_apple(folder: Path) -> tuple[bool, str]:
    """Whether Metadata.csv says that signs are Apple's, and what a user should know of it."""
    path = folder / "Metadata.csv"
    if not path.is_file():
        return False, "no Metadata.csv says which phone it was; of an iPhone give apple_sign=True"
    try:
        row = pd.read_csv(path, dtype=str, nrows=1).iloc[0]
    except (ValueError, IndexError, UnicodeError, pd.errors.ParserError):
        return False, "Metadata.csv is unreadable; of an iPhone give apple_sign=True"
    standard = str(row.get("standardisation", "")).strip().lower() == "true"
    return "ios" in str(row.get("platform", "")).lower() and not standard, ""


FORMAT = DeviceFormat(
    "sensor_logger", "Sensor Logger", header_holds(r"^\"?time\"?,\"?seconds_elapsed\"?,"), _read,
    "https://github.com/tszheichoi/awesome-sensor-logger/blob/main/UNITS.md",
)  # fmt: skip
