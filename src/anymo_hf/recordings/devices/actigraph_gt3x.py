"""ActiGraph .gt3x: a zip with info.txt and log.bin, records of one second with a checksum each; g.

The scale stands in a record of parameters; where that is missing, in info.txt ("Acceleration Scale", counts a g).
Layout: https://github.com/actigraph/GT3X-File-Format
"""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ...modeling.imu_signal import STANDARD_GRAVITY
from ..download import most_unpacked
from .actfast_file import read_actfast
from .device_format import DeviceFormat, ReadingOptions, Samples

_LONGEST_INFO, _LONGEST_LOG = 1 << 20, 1 << 32  # bytes; a month at 100 Hz has 1.2 GB
# by these times actfast asks for memory at once, up to four gigabytes, and where there is less it ends the process
_SPAN = re.compile(rb"^(?:Start Date|Last Sample Time):[^\n]*\n?", re.M)
_RATE, _FASTEST = re.compile(rb"Sample Rate:\s*(\d+)"), 1000
_ONE_SECOND = b"Start Date: 637433053000000000\nLast Sample Time: 637433053010000000\n"
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
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "recording.gt3x"
        _copy(path, copy)
        samples, metadata = read_actfast(path, options, "ActiGraph", "info/Sample Rate", copy)
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


def _copy(path: Path, copy: Path) -> None:
    """A zip of the two parts alone, checked, whose span is said to be a second; the samples have clocks of their own."""
    try:
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as whole:
            if missing := {"info.txt", "log.bin"} - set(archive.namelist()):
                raise OSError(
                    f"{path}: {' and '.join(sorted(missing))} missing in it; download it from the device again"
                )
            for name, most in (("info.txt", _LONGEST_INFO), ("log.bin", min(_LONGEST_LOG, most_unpacked(path)))):
                if archive.getinfo(name).file_size > most:
                    raise OSError(
                        f"{path}: {name} in it would be over {most:,} bytes; download it from the device again"
                    )
            info = _SPAN.sub(b"", archive.read("info.txt"))
            if not all(1 <= int(rate[:20]) <= _FASTEST for rate in _RATE.findall(info)):  # memory is taken by it, too
                raise OSError(f"{path}: info.txt in it says 0 Hz or over {_FASTEST}; download it from the device again")
            whole.writestr("info.txt", _ONE_SECOND + info)
            with archive.open("log.bin") as log, whole.open("log.bin", "w", force_zip64=True) as kept:
                shutil.copyfileobj(log, kept, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise OSError(f"{path}: damaged zip ({error}); download it from the device again") from error


FORMAT = DeviceFormat(
    "actigraph_gt3x", "ActiGraph .gt3x", _recognise, _read, "https://github.com/actigraph/GT3X-File-Format",
)  # fmt: skip
