"""Empatica EmbracePlus .avro: one record a file, whole numbers with their scale; g and, where there is one, deg/s.

The scale is `conversionFactor` from schema 6.5 on; before it, the physical range over the digital one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...modeling.imu_signal import ACCELERATION_UNITS, ANGULAR_VELOCITY_UNITS, resolve_unit
from .companions import join
from .device_format import DeviceFormat, ReadingOptions, Samples

_AGAIN = "download it from Empatica's cloud again"
_HEAD = 1 << 17  # bytes in which the schema stands


def _recognise(path: Path, lines: list[str]) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return head.startswith(b"Obj\x01") and b'"rawData"' in head and b'"accelerometer"' in head


def _read(path: Path, options: ReadingOptions) -> Samples:
    """The samples; `rate` and `angular_velocity_unit` overrule the file.

    Raises:
        ImportError: `fastavro` is not installed.
        ValueError: a damaged file, not one record in it, or one without acceleration.
    """
    try:
        import fastavro
    except ImportError as error:
        raise ImportError(f"{path}: EmbracePlus files need the extra: pip install 'anymo-hf[devices]'") from error
    try:
        with path.open("rb") as file:
            records: list[Any] = list(fastavro.reader(file))
    except Exception as error:  # a damaged byte may lead to any error of the package
        raise ValueError(f"{path}: damaged Avro file ({type(error).__name__}: {error}); {_AGAIN}") from error
    if len(records) != 1:
        raise ValueError(f"{path}: holds {len(records)} records where the EmbracePlus writes one; {_AGAIN}")
    acceleration = _samples(path, records[0], "accelerometer", options)
    if acceleration is None:
        raise ValueError(f"{path}: holds no acceleration; give a file of a time when the watch recorded it")
    turning = _samples(path, records[0], "gyroscope", options)
    if turning is None:
        acceleration.notes.append("the file holds no gyroscope; angular velocity counts as zero")
        return acceleration
    late = abs(turning.start_time - acceleration.start_time) * acceleration.rate
    if len(turning.values) != len(acceleration.values) or turning.rate != acceleration.rate or late > 0.5:
        return join(acceleration, turning)
    acceleration.values = np.hstack([acceleration.values, turning.values])
    acceleration.columns += turning.columns
    acceleration.angular_velocity_unit = turning.angular_velocity_unit
    acceleration.angular_velocity_unit_found = turning.angular_velocity_unit_found
    return acceleration


def _samples(path: Path, record: Any, name: str, options: ReadingOptions) -> Samples | None:
    """One sensor in SI units; None where it did not record."""
    where = f"{path}: rawData.{name}"
    try:
        stream, version = record["rawData"][name], record["schemaVersion"]
        axes = [np.asarray(stream[axis], float) for axis in "xyz"]
        start, rate = stream["timestampStart"] * 1e-6, float(stream["samplingFrequency"])
        scale = _scale(stream["imuParams"], (version["major"], version["minor"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where} has no {error}; this schema is not known, export the recording as CSV") from error
    if len({len(axis) for axis in axes}) > 1:
        raise ValueError(f"{where}: x, y and z are not equally long; {_AGAIN}")
    if not len(axes[0]):
        return None
    if not (rate > 0 and np.isfinite(scale) and scale > 0):
        raise ValueError(f"{where}: {rate:g} Hz and a scale of {scale:g} a count are impossible; {_AGAIN}")
    turns = name == "gyroscope"
    unit = resolve_unit(options.angular_velocity_unit or "deg/s", ANGULAR_VELOCITY_UNITS, "angular_velocity_unit")
    size = ANGULAR_VELOCITY_UNITS[unit] if turns else ACCELERATION_UNITS["g"]
    found = "as you said" if turns and options.angular_velocity_unit else "the EmbracePlus writes it so"
    units = {"angular_velocity_unit": unit, "angular_velocity_unit_found": found} if turns else {}
    return Samples(
        np.stack(axes, axis=1) * (scale * size), None, options.rate or rate,
        "as you said" if options.rate else "the file says it", start, tuple(f"{name} {axis}" for axis in "xyz"),
        acceleration_unit="g", acceleration_unit_found=found, time_column=f"{name} timestampStart",
        rows=len(axes[0]), files=(path,), **units,
    )  # fmt: skip


def _scale(params: dict[str, float], version: tuple[int, int]) -> float:
    """Physical units of a count."""
    if version >= (6, 5):
        return float(params["conversionFactor"])
    digital = params["digitalMax"] - params["digitalMin"]
    return (params["physicalMax"] - params["physicalMin"]) / digital if digital else 0.0


FORMAT = DeviceFormat(
    "embrace_plus", "Empatica EmbracePlus .avro", _recognise, _read,
    "https://support.empatica.com/hc/en-us/articles/17727336158365-Raw-data-in-the-Empatica-Cloud",
)  # fmt: skip
