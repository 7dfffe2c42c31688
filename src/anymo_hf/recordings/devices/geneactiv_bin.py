"""GENEActiv .bin: text lines on the device, then pages of 300 samples in hexadecimals; g by the gains in its head.

Layout: GENEActiv PC software instruction manual (Activinsights), "Format of .bin files".
"""

from __future__ import annotations

from pathlib import Path

from .actfast_file import read_actfast
from .device_format import DeviceFormat, ReadingOptions, Samples

_PAGE = 300  # samples


def _recognise(path: Path, lines: list[str]) -> bool:
    return bool(lines) and lines[0].startswith("Device Identity") and any("GENEActiv" in line for line in lines[:5])


def _read(path: Path, options: ReadingOptions) -> Samples:
    samples, _ = read_actfast(path, options, "GENEActiv", "Configuration Info/Measurement Frequency")
    if samples.rows % _PAGE:
        samples.warnings.append(f"the file is cut off: its last page holds {samples.rows % _PAGE} of {_PAGE} samples")
    return samples


FORMAT = DeviceFormat("geneactiv_bin", "GENEActiv .bin", _recognise, _read, "https://activinsights.com/support")
