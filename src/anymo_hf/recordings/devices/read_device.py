"""Reads a recording as a device or app exported it: each file of this folder with a `FORMAT` is tried, the table last."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterable
from pathlib import Path

from ...modeling.imu_signal import ImuWarning
from ...modeling.known_names import did_you_mean
from ..imu_recording import ImuRecording
from .device_format import DeviceFormat, ReadingOptions

GENERAL = "table"  # fits any table, so it is asked last
ZIP = "zipped"  # files of one recording, packed
_FIRST_BYTES, _FIRST_LINES = 1 << 15, 160


def device_formats(folders: Iterable[str | Path] | None = None, package: str = __package__) -> dict[str, DeviceFormat]:
    """Every format by name, in the order in which they are asked: by name, the general table last.

    Args:
        folders: where the modules of `package` lie; default: all that the package has.
        package: the modules with a `FORMAT`.
    """
    found = {}
    folders = folders or importlib.import_module(package).__path__
    for module in pkgutil.iter_modules([str(folder) for folder in folders]):
        declared = getattr(importlib.import_module(f"{package}.{module.name}"), "FORMAT", None)
        if declared is not None:
            found[declared.name] = declared
    return dict(sorted(found.items(), key=lambda item: (item[0] == GENERAL, item[0])))


def recognise_device(path: str | Path) -> DeviceFormat:
    """The format of a file, by its name and first lines.

    Raises:
        OSError: no such file.
        ValueError: no format fits.
    """
    path = Path(path)
    if path.is_dir():
        raise OSError(f"{path} is a folder; give the export of a device")
    if not path.is_file():
        raise OSError(f"{path}: no such file; give the export of a device")
    if not path.stat().st_size:
        raise OSError(f"{path}: the file is empty; export it again")
    lines = first_lines(path)
    formats = device_formats()
    for known in formats.values():
        if known.recognise(path, lines):
            return known
    titles = ", ".join(known.title for known in formats.values())
    raise ValueError(f"{path}: no known export; known are {titles}")


def first_lines(path: Path) -> list[str]:
    """Up to 160 lines of a text file; none of a binary one. UTF-8, UTF-16 with its mark, or Latin-1."""
    with path.open("rb") as file:
        head = file.read(_FIRST_BYTES)
    return decoded(head).splitlines()[:_FIRST_LINES]


def decoded(data: bytes) -> str:
    """Text of bytes in UTF-8, UTF-16 with its mark, or else Latin-1; "" where zero bytes say that it is no text."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data[: len(data) // 2 * 2].decode("utf-16", errors="replace")
    if b"\0" in data:
        return ""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # a character that the end of `data` cut in two is no other encoding
        return data[: error.start].decode("utf-8-sig") if error.start > len(data) - 4 else data.decode("latin-1")


def read_device(
    path: str | Path, placement: str, device: str | None = None, options: ReadingOptions | None = None
) -> ImuRecording:
    """One sensor's export, whole; `read_export` also tells what was understood, and gives a file with gaps in parts.

    Args:
        path: the file.
        placement: where the sensor was worn.
        device: name of its format; default: recognised.
        options: what the file does not say, or says wrongly.

    Warns:
        ImuWarning: what is probably wrong, or was guessed.

    Raises:
        OSError: no such file, or not a readable one.
        ValueError: an unknown format, what its reader refuses, or a gap of over a second.
    """
    from .export import read_export

    export = read_export(path, placement, device, options)
    for message in export.warnings:
        warnings.warn(f"{path}: {message}", ImuWarning, stacklevel=2)
    return export.only()


def named_device(name: str) -> DeviceFormat:
    """The format of a name.

    Raises:
        ValueError: no such format.
    """
    formats = device_formats()
    if name not in formats:
        raise ValueError(f"device must be one of {', '.join(formats)}, got {name!r}{did_you_mean(name, formats)}")
    return formats[name]
