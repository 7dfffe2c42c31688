"""A plain CSV file in: columns by name, units given, rate given or inferred from time stamps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from .imu_recording import STANDARD_GRAVITY, ImuRecording, to_grid

ACCELERATION_UNITS = {"m/s^2": 1.0, "g": STANDARD_GRAVITY, "mg": STANDARD_GRAVITY / 1000}
ANGULAR_VELOCITY_UNITS = {"rad/s": 1.0, "deg/s": np.pi / 180}
_NAMES = (("acc_x", "ax", "accl_x", "accelerometer_x"), ("gyro_x", "gx", "gyr_x", "gyroscope_x"))
_TIME = ("time", "timestamp", "time_s", "seconds", "t", "unixtime", "timestamp_ms", "timestamp_ns")


def _guess(columns: list[str], names: tuple[str, ...]) -> list[str] | None:
    for name in names:
        triple = [name[:-1] + axis for axis in "xyz"]
        if set(triple) <= set(columns):
            return triple
    return None


def read_csv(
    path: str | Path,
    placement: str,
    columns: Sequence[str] | None = None,
    acceleration_unit: str = "m/s^2",
    angular_velocity_unit: str = "rad/s",
    rate: float | None = None,
    time_column: str | None = None,
) -> ImuRecording:
    """One sensor's CSV.

    Args:
        path: file with a header row.
        placement: where the sensor was worn.
        columns: three acceleration columns, or those and three of angular velocity; common names are found alone.
        acceleration_unit: "m/s^2", "g" or "mg".
        angular_velocity_unit: "rad/s" or "deg/s".
        rate: Hz; without it time stamps (seconds, or ms / ns judged by their size) must be there.
        time_column: name of the time stamps.

    Raises:
        OSError: not a readable CSV.
        ValueError: missing columns, text or NaN in them, unknown units, no rate, or time that runs backward.
    """
    path = Path(path)
    for field, unit, known in (
        ("acceleration_unit", acceleration_unit, ACCELERATION_UNITS),
        ("angular_velocity_unit", angular_velocity_unit, ANGULAR_VELOCITY_UNITS),
    ):
        if unit not in known:
            raise ValueError(f"{field} must be one of {', '.join(known)}, got {unit!r}")
    try:
        with warnings.catch_warnings():
            # a row longer than the header would otherwise shift every channel by one
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(path, index_col=False)
    except pd.errors.ParserWarning as error:
        raise ValueError(f"{path}: rows hold more values than the header names; mend the header line") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, FileNotFoundError) as error:
        raise OSError(f"{path}: not a readable CSV ({error})") from error
    table.columns = [str(name).strip() for name in table.columns]
    lowered = {name.lower(): name for name in table.columns}
    if columns is None:
        found = [_guess(list(lowered), names) for names in _NAMES]
        if found[0] is None:
            raise ValueError(f"{path}: no acceleration columns such as acc_x, acc_y, acc_z among {list(table.columns)}")
        columns = [lowered[name] for triple in found if triple for name in triple]
    missing = [name for name in columns if name not in table.columns]
    if missing or len(columns) not in (3, 6):
        raise ValueError(f"{path}: need 3 or 6 columns; {missing or list(columns)} do not fit {list(table.columns)}")
    values = table[list(columns)].apply(pd.to_numeric, errors="coerce").to_numpy(float, copy=True)
    broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(broken):
        raise ValueError(f"{path}: row {broken[0] + 2} holds no finite number in {list(columns)}; repair or drop it")
    values[:, :3] *= ACCELERATION_UNITS[acceleration_unit]
    values[:, 3:] *= ANGULAR_VELOCITY_UNITS[angular_velocity_unit]
    if rate is None:
        clock = time_column or next((lowered[name] for name in _TIME if name in lowered), None)
        if clock is None or clock not in table.columns:
            raise ValueError(f"{path}: give rate=, or time stamps in a column such as {', '.join(_TIME[:4])}")
        times = pd.to_numeric(table[clock], errors="coerce").to_numpy(float)
        if len(times) < 2:
            raise ValueError(f"{path}: {len(times)} rows are no recording; at least one second is needed")
        step = np.median(np.diff(times))
        if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            raise ValueError(f"{path}: time stamps in {clock!r} must be finite and rise in every row")
        # a step of a millisecond or more in seconds, else the unit is ms, us or ns
        scale = next((s for s in (1.0, 1e-3, 1e-6, 1e-9) if 1e-3 <= step * s <= 0.2), None)
        if scale is None:
            raise ValueError(f"{path}: a step of {step} in {clock!r} is no known unit at 5 to 1,000 Hz; give rate=")
        times, rate = (times - times[0]) * scale, 1 / (step * scale)
        values = to_grid(times, values, np.arange(int(times[-1] * rate) + 1) / rate)
    return ImuRecording({placement: values}, float(rate), session=path.stem, dataset="csv")
