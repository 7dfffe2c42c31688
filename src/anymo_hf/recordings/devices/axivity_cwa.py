"""Axivity AX3 and AX6 .cwa: sectors of 512 bytes with a clock and a checksum each; g, and for the AX6 deg/s.

Layout: https://github.com/openmovementproject/openmovement/blob/master/Docs/ax3/ax3-technical.md
"""

from __future__ import annotations

from pathlib import Path

from .actfast_file import read_actfast
from .device_format import DeviceFormat, ReadingOptions, Samples


def _recognise(path: Path, lines: list[str]) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"MD\xfc\x03"  # the packet's name and its length, 1,020


def _read(path: Path, options: ReadingOptions) -> Samples:
    samples, _ = read_actfast(path, options, "Axivity", "configuration/sample_rate_hz")
    if rest := path.stat().st_size % 512:
        samples.warnings.append(f"the file is cut off: {rest} bytes of the last sector were left out")
    return samples


FORMAT = DeviceFormat(
    "axivity_cwa", "Axivity .cwa", _recognise, _read,
    "https://github.com/openmovementproject/openmovement/blob/master/Docs/ax3/ax3-technical.md",
)  # fmt: skip
