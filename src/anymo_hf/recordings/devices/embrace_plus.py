"""Empatica EmbracePlus .avro: one record a file, whole numbers with their scale; g and, where there is one, deg/s.

A watch writes a file every quarter of an hour or so; those of a folder are joined by their clocks. The scale is
`conversionFactor` from schema 6.5 on; before it, the physical range over the digital one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
    acceleration, turning = _signals(path, _record(path), options)
    if acceleration is None:
        raise ValueError(f"{path}: holds no acceleration; give a file of a time when the watch recorded it")
    return _together(acceleration, turning)


def _read_parts(paths: Sequence[Path], options: ReadingOptions) -> Samples:
    """The files of one watch in order of time, each where its clock says.

    Raises:
        ImportError, ValueError: as `_read`; also files of several watches or rates, or two of the same time.
    """
    watches: dict[str, Path] = {}
    parts, notes = [], []
    for path in paths:
        record = _record(path)
        watches.setdefault(str(record.get("deviceSn", "")), path)
        if len(watches) > 1:
            names = " and ".join(f"{file.name} of {watch}" for watch, file in watches.items())
            raise ValueError(f"{path.parent}: files of two watches, {names}; give the folder of one")
        acceleration, turning = _signals(path, record, options)
        if acceleration is None:
            notes.append(f"{path.name} holds no acceleration and was passed over")
        else:
            parts.append(_together(acceleration, turning))
    if not parts:
        raise ValueError(
            f"{paths[0].parent}: no file holds acceleration; give files of a time when the watch recorded it"
        )
    parts.sort(key=lambda part: part.start_time)
    first, widest = parts[0], max(parts, key=lambda part: part.values.shape[1])
    times, values, last = [], [], -np.inf
    for part in parts:
        if part.rate != first.rate:
            raise ValueError(
                f"{part.files[0]}: {part.rate:g} Hz, but {first.files[0].name} has {first.rate:g} Hz; give files of one rate"
            )
        begin = part.start_time - first.start_time
        if begin < last - 1.5 / part.rate:
            raise ValueError(
                f"{part.files[0]}: begins {last - begin:.3f} s before the file before it ends; drop the one that is double"
            )
        begin = max(begin, last + 0.5 / part.rate)  # a clock that is set a little back between two files
        own = np.arange(len(part.values)) / part.rate if part.times is None else part.times
        times.append(begin + own)
        last = float(times[-1][-1])
        lacking = widest.values.shape[1] - part.values.shape[1]
        values.append(np.pad(part.values, ((0, 0), (0, lacking))))
        if lacking:
            notes.append(f"{part.files[0].name} holds no gyroscope; its angular velocity counts as zero")
    said = [note for part in parts for note in part.notes if widest.values.shape[1] == 3 or "no gyroscope" not in note]
    return replace(
        widest, values=np.concatenate(values), times=np.concatenate(times), start_time=first.start_time,
        rows=sum(part.rows for part in parts), files=tuple(part.files[0] for part in parts),
        notes=[f"{len(parts)} files were joined by their clocks", *dict.fromkeys(said), *notes],
        warnings=list(dict.fromkeys(warning for part in parts for warning in part.warnings)),
    )  # fmt: skip


def _record(path: Path) -> Any:
    """The one record of a file."""
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
    return records[0]


def _signals(path: Path, record: Any, options: ReadingOptions) -> tuple[Samples | None, Samples | None]:
    """Acceleration and angular velocity; None for what did not record."""
    return _samples(path, record, "accelerometer", options), _samples(path, record, "gyroscope", options)


def _together(acceleration: Samples, turning: Samples | None) -> Samples:
    """Both side by side, by their clocks where those differ."""
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
    "https://support.empatica.com/hc/en-us/articles/17727336158365-Raw-data-in-the-Empatica-Cloud", _read_parts,
)  # fmt: skip
