"""ActiGraph .gt3x: a zip with info.txt and log.bin, records of one second with a checksum each; g.

The scale stands in a record of parameters; where that is missing, in info.txt ("Acceleration Scale", counts a g).
Layout: https://github.com/actigraph/GT3X-File-Format
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from ...modeling.imu_signal import STANDARD_GRAVITY
from .actfast_file import read_actfast
from .device_format import DeviceFormat, ReadingOptions, Samples

_UNSCALED = 256.0  # what actfast multiplies counts by where it finds no scale


def _recognise(path: Path, lines: list[str]) -> bool:
    if path.suffix.lower() == ".gt3x":
        return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {"info.txt", "log.bin"} <= set(archive.namelist())


def _read(path: Path, options: ReadingOptions) -> Samples:
    """The samples.

    Raises:
        OSError: a damaged zip, or one without log.bin and info.txt (files of firmware before 3.0 hold others).
        ValueError: as `read_actfast`, or no scale.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if missing := {"info.txt", "log.bin"} - set(archive.namelist()):
                raise OSError(
                    f"{path}: {' and '.join(sorted(missing))} missing in it; download it from the device again"
                )
            if damaged := archive.testzip():
                raise OSError(f"{path}: {damaged} in it is damaged; download it from the device again")
    except zipfile.BadZipFile as error:
        raise OSError(f"{path}: damaged zip ({error}); download it from the device again") from error
    samples, metadata = read_actfast(path, options, "ActiGraph", "info/Sample Rate")
    counts = samples.values / STANDARD_GRAVITY / _UNSCALED
    if np.abs(counts).max() > 16 and np.allclose(counts, np.round(counts), atol=1e-3):
        try:
            scale = float(metadata["info"]["Acceleration Scale"])
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{path}: neither a record nor info.txt says the counts of a g; export it as CSV"
            ) from error
        samples.values = counts / scale * STANDARD_GRAVITY
        samples.notes.append(f"the scale of {scale:g} counts a g is from info.txt")
    return samples


FORMAT = DeviceFormat(
    "actigraph_gt3x", "ActiGraph .gt3x", _recognise, _read, "https://github.com/actigraph/GT3X-File-Format",
)  # fmt: skip
