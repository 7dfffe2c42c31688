"""A zip with the files of one recording, as phone apps share them; `read_export` unpacks it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from .device_format import DeviceFormat, ReadingOptions, Samples


def _recognise(path: Path, lines: list[str]) -> bool:
    return path.suffix.lower() == ".zip" and zipfile.is_zipfile(path)


def _read(path: Path, options: ReadingOptions) -> Samples:
    raise ValueError(f"{path}: a zip is read by read_export")


FORMAT = DeviceFormat("zipped", "a zip of one recording", _recognise, _read)
