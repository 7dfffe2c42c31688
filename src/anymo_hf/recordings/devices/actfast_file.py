"""Binary files of actigraphs through the package `actfast`: its arrays as samples, with the checks that it leaves out.

It checks sums and hexadecimals; a file that ends early it reads as far as it goes, which is said here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...modeling.imu_signal import ANGULAR_VELOCITY_UNITS, STANDARD_GRAVITY
from .device_format import ReadingOptions, Samples


def read_actfast(
    path: Path, options: ReadingOptions, title: str, nominal: str, copy: Path | None = None
) -> tuple[Samples, dict[str, Any]]:
    """Samples and metadata of a .cwa, .gt3x or .bin file.

    Args:
        path: the file.
        options: `rate` overrules the file.
        title: of the device, for messages.
        nominal: where the metadata name the rate, parts joined by "/".
        copy: what is read in place of the file.

    Raises:
        ImportError: `actfast` is not installed.
        ValueError: a damaged file, or one without samples.
    """
    try:
        import actfast
    except ImportError as error:
        raise ImportError(f"{path}: {title} files need the extra: pip install 'anymo-hf[devices]'") from error
    try:
        found = actfast.read(str(copy or path))
    except BaseException as error:
        # a panic of the library's Rust code is no Exception, and its class is not to be imported
        if not isinstance(error, ValueError | OSError) and type(error).__name__ != "PanicException":
            raise
        said = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: damaged {title} file ({said}); download it from the device again") from error
    tables = [table for table in found["timeseries"].values() if "acceleration" in table]
    if not tables or len(tables[0]["datetime"]) < 2:
        raise ValueError(f"{path}: no samples of acceleration; download it from the device again")
    table = tables[0]
    values = table["acceleration"].astype(float) * STANDARD_GRAVITY
    turns = "gyroscope" in table and len(table["gyroscope"]) == len(values)
    if turns:
        values = np.hstack([values, table["gyroscope"] * ANGULAR_VELOCITY_UNITS["deg/s"]])
    stamps = table["datetime"]
    times = (stamps - stamps[0]) * 1e-9
    said: Any = found["metadata"]
    for part in nominal.split("/"):
        said = said.get(part, {}) if isinstance(said, dict) else {}
    digits = str(said).split()[0] if said else ""
    rate = float(digits) if digits.replace(".", "", 1).isdigit() else 0.0
    rate = rate or 1 / float(np.median(np.diff(times)))
    notes = [] if turns else [f"{title} files hold no gyroscope here; angular velocity counts as zero"]
    warnings = []
    keep = np.diff(times, prepend=-1.0) > 0  # a block whose clock was set back overlaps the one before it
    keep &= times >= np.maximum.accumulate(times)
    if not keep.all():
        warnings.append(f"{int((~keep).sum())} samples whose time runs backward were left out")
    why, even = "the file's head says it", times[keep]
    if options.rate:
        rate, why, even = options.rate, "as you said", None
    else:  # the device's crystal differs from the nominal rate by up to some percent, which its clock tells
        steps = np.diff(even)
        measured = 1 / float(steps[steps <= 1.5 / rate].mean()) if (steps <= 1.5 / rate).any() else rate
        if abs(measured / rate - 1) > 2e-3:
            notes.append(f"the clock says {measured:.4g} Hz where the head says {rate:g}")
            rate, why = measured, "from the clock of the blocks"
    return Samples(
        values[keep] if even is not None else values, even, rate, why, float(stamps[0]) * 1e-9,
        columns=("x", "y", "z", "gyro x", "gyro y", "gyro z")[: values.shape[1]],
        acceleration_unit="g", acceleration_unit_found=f"{title} files hold it so",
        angular_velocity_unit="deg/s" if turns else "",
        angular_velocity_unit_found=f"{title} files hold it so" if turns else "", time_column="the device's clock",
        rows=len(values), files=(path,), notes=notes, warnings=warnings,
    ), found["metadata"]  # fmt: skip
