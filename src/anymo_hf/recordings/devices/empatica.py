"""Empatica E4: `ACC.csv` without a header; line 1 is the start, line 2 the rate, then 1/64 g."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..imu_recording import STANDARD_GRAVITY
from .device_format import DeviceFormat, ReadingOptions, Samples


def _recognise(path: Path, lines: list[str]) -> bool:
    try:
        start, rate = ([float(cell) for cell in line.split(",")] for line in lines[:2])
    except ValueError:
        return False
    return (
        len(start) == len(rate) == 3 and len({*start}) == len({*rate}) == 1 and start[0] > 1e9 and 1 <= rate[0] <= 256
    )


def _read(path: Path, options: ReadingOptions) -> Samples:
    """The samples; `options.rate` overrules line 2.

    Raises:
        ValueError: a line that is not three numbers, or no line of samples.
    """
    try:
        table = np.loadtxt(path, delimiter=",", ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path}: not three numbers in each line ({error}); export the session again") from error
    if table.shape[1] != 3 or len(table) < 3:
        raise ValueError(f"{path}: {table.shape[1]} columns and {max(0, len(table) - 2)} samples; export it again")
    return Samples(
        table[2:] / 64 * STANDARD_GRAVITY, None, options.rate or float(table[1, 0]),
        "as you said" if options.rate else "line 2 says it", float(table[0, 0]), ("x", "y", "z"),
        acceleration_unit="g", acceleration_unit_found="the E4 writes 1/64 g", first_row=3, files=(path,),
        notes=["the E4 has no gyroscope; angular velocity counts as zero"],
    )  # fmt: skip


FORMAT = DeviceFormat("empatica", "Empatica E4", _recognise, _read)
