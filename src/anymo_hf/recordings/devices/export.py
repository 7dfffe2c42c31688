"""`read_export`: a device's file as recordings, with everything that was understood of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...modeling.imu_signal import suspicious_units
from ...refusals import refusing
from ..imu_recording import ImuRecording
from .clock import find_gaps, to_stretches
from .companions import export_files, recording_file, unpacked
from .device_format import DeviceFormat, Gap, ReadingOptions, Samples


@dataclass(frozen=True)
class DeviceExport:
    """What was understood of a file.

    Args:
        file: what was given.
        device: name of its format, and `title` for messages.
        stretches: a recording for every stretch without a gap of over a second.
        rows: samples that the file holds.
        columns, left_out, acceleration_unit, acceleration_unit_found, angular_velocity_unit, angular_velocity_unit_found,
        time_column, rate_found, files, notes: as in `Samples`.
        sampling_rate: Hz.
        gaps: where samples are missing.
        median_acceleration: m/s^2; near 9.8 where all is right.
        warnings: what is probably wrong.
    """

    file: Path
    device: str
    title: str
    stretches: tuple[ImuRecording, ...]
    rows: int
    columns: tuple[str, ...]
    left_out: dict[str, str]
    acceleration_unit: str
    acceleration_unit_found: str
    angular_velocity_unit: str
    angular_velocity_unit_found: str
    time_column: str | None
    sampling_rate: float
    rate_found: str
    median_acceleration: float
    files: tuple[Path, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    @property
    def samples(self) -> int:
        """Samples on the even grid, those interpolated over short gaps included."""
        return sum(len(next(iter(part.signals.values()))) for part in self.stretches)

    def only(self) -> ImuRecording:
        """The recording of a file without a long gap.

        Raises:
            ValueError: gaps of over a second, over which nothing is interpolated.
        """
        if len(self.stretches) == 1:
            return self.stretches[0]
        gap = next(gap for gap in self.gaps if not gap.bridged)
        clock = f"time stamps in {self.time_column!r}" if self.time_column else "samples"
        rows = f" between rows {gap.row} and {gap.row + 1}" if gap.row else f" after {gap.start:.4g} s"
        raise ValueError(
            f"{self.file}: {clock} pause for {gap.seconds:.4g} s{rows}; cut the file there, or give rate= if its samples "
            "are evenly spaced all the same"
        )


def read_export(
    path: str | Path, placement: str = "sensor", device: str | None = None, options: ReadingOptions | None = None
) -> DeviceExport:
    """A file, or the folder or zip of one recording.

    Args:
        path: the file.
        placement: where the sensor was worn.
        device: name of its format; default: recognised.
        options: what the file does not say, or says wrongly.

    Raises:
        OSError: no such file, or not a readable one.
        ValueError: an unknown format, or what its reader refuses.
    """
    with refusing(path, "export", "export it again"):
        return _read(Path(path), placement, device, options)


def _read(path: Path, placement: str, device: str | None, options: ReadingOptions | None) -> DeviceExport:
    from .read_device import ZIP, named_device, recognise_device

    if path.is_dir():
        return replace(_of_folder(path, placement, device, options), file=path)
    known = recognise_device(path) if device is None else named_device(device)
    if known.name == ZIP:
        with unpacked(path) as folder:
            export = _of_folder(folder, placement, device, options)
        stretches = tuple(replace(part, source=str(path), session=path.stem) for part in export.stretches)
        files = tuple(path / file.name for file in export.files)
        return replace(export, file=path, stretches=stretches, files=files)
    return _understood(path, known, known.read(path, options or ReadingOptions()), placement)


def _of_folder(folder: Path, placement: str, device: str | None, options: ReadingOptions | None) -> DeviceExport:
    """The one recording below a folder: a file, or all files of a device that writes many in a row."""
    from .read_device import named_device, recognise_device

    files = export_files(folder)
    many = len(files) > 1 and len({file.suffix.lower() for file in files}) == 1
    known = (recognise_device(files[0]) if device is None else named_device(device)) if many else None
    if known is None or known.read_parts is None:
        return read_export(recording_file(folder), placement, device, options)
    if stray := [file for file in files if device is None and recognise_device(file).name != known.name]:
        raise ValueError(f"{stray[0]}: no file of {known.title}, as {files[0].name} is; take it out of the folder")
    return _understood(folder, known, known.read_parts(files, options or ReadingOptions()), placement)


def _understood(path: Path, known: DeviceFormat, samples: Samples, placement: str) -> DeviceExport:
    """Samples as recordings between long gaps.

    Raises:
        ValueError: too few samples, or an impossible rate.
    """
    from .read_device import GENERAL

    if len(samples.values) < 2:
        raise ValueError(f"{path}: {len(samples.values)} samples are no recording; at least one second is needed")
    if not 1 <= samples.rate <= 10_000:
        raise ValueError(f"{path}: {samples.rate:.4g} Hz ({samples.rate_found}) lies outside 1 to 10,000; give rate=")
    if samples.times is None:
        gaps, parts = [], [(0.0, samples.values)]
    else:
        gaps = find_gaps(samples.times, samples.rate, samples.first_row)
        parts = to_stretches(samples.times, samples.values, samples.rate)
    if not parts:
        raise ValueError(f"{path}: every sample stands alone between gaps of over a second; give rate=")
    warnings = [*samples.warnings]
    kind = "csv" if known.name == GENERAL else known.name
    if len(gaps) and len(parts) == 1 or any(gap.bridged for gap in gaps):
        lost = sum(gap.lost for gap in gaps if gap.bridged)
        samples.notes.append(f"{lost} lost samples in short gaps were interpolated")
    if len(parts) > 1:
        warnings.append(f"{len(parts) - 1} gaps of over a second cut the recording into {len(parts)} stretches")
    every = np.concatenate([values for _, values in parts])
    turning = samples.angular_velocity_unit or "rad/s"
    warnings += suspicious_units(every, samples.acceleration_unit, turning)
    stretches = tuple(
        ImuRecording({placement: values}, float(samples.rate), session=path.stem, dataset=kind,
                     start_time=samples.start_time + start, source=str(path))
        for start, values in parts
    )  # fmt: skip
    return DeviceExport(
        path, known.name, known.title, stretches, samples.rows or len(samples.values), samples.columns, samples.left_out,
        samples.acceleration_unit, samples.acceleration_unit_found, samples.angular_velocity_unit,
        samples.angular_velocity_unit_found, samples.time_column, float(samples.rate), samples.rate_found,
        float(np.median(np.linalg.norm(every[:, :3], axis=1))), samples.files or (path,), tuple(gaps),
        tuple(samples.notes), tuple(warnings),
    )  # fmt: skip
