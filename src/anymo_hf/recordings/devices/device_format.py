"""`DeviceFormat`: what one file of this folder declares about the export of a device or app."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class ReadingOptions:
    """What a user says about a file; None leaves it to the file.

    Args:
        columns: three acceleration columns, or those and three of angular velocity; by name, or by number from 1 on.
        acceleration_unit: "m/s^2", "g" or "mg", in any usual spelling.
        angular_velocity_unit: "rad/s" or "deg/s", in any usual spelling.
        rate: Hz, of evenly spaced samples.
        time_column: name of the time stamps.
        header_row: line of the column names, from 1 on; 0 where there are none.
        separator: between cells, one character.
        decimal: "." or ",".
        apple_sign: acceleration points down at rest (-1 g face up), as Apple's Core Motion gives it.
    """

    columns: Sequence[str] | None = None
    acceleration_unit: str | None = None
    angular_velocity_unit: str | None = None
    rate: float | None = None
    time_column: str | None = None
    header_row: int | None = None
    separator: str | None = None
    decimal: str | None = None
    apple_sign: bool | None = None


@dataclass(frozen=True)
class Gap:
    """Samples that a file lacks.

    Args:
        start: seconds from the first sample to the last one before the gap.
        seconds: from there to the next sample.
        lost: samples that are missing.
        bridged: it was short, so the samples were interpolated; otherwise the recording is cut there.
        row: of the file, the last one before the gap; 0 in a binary file.
    """

    start: float
    seconds: float
    lost: int
    bridged: bool = True
    row: int = 0


@dataclass
class Samples:
    """What a format understood of a file: samples in SI units with their clock, and why they were read so.

    Args:
        values: `(T, 3)` acceleration in m/s^2 with gravity, or `(T, 6)` with angular velocity in rad/s behind it.
        times: `(T,)` rising seconds from the first sample on; None where samples are evenly spaced.
        rate: Hz.
        rate_found: how the rate was found, in words.
        start_time: seconds on the source's own clock at the first sample; 0 where it tells no time.
        columns: names of the columns of `values`.
        left_out: column -> why it is not read.
        acceleration_unit, angular_velocity_unit: of the file ("" without a gyroscope), and why they were taken.
        time_column: the clock's column.
        rows: samples that the file holds.
        first_row: line of the file with the first sample, for messages; 0 in a binary file.
        files: all that were read.
        gaps: those of a file whose samples are already even.
        notes: what a user would want to know.
        warnings: what is probably wrong.
    """

    values: np.ndarray
    times: np.ndarray | None
    rate: float
    rate_found: str
    start_time: float = 0.0
    columns: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    acceleration_unit: str = "m/s^2"
    acceleration_unit_found: str = "the format's own"
    angular_velocity_unit: str = ""
    angular_velocity_unit_found: str = ""
    time_column: str | None = None
    rows: int = 0
    first_row: int = 0
    files: tuple[Path, ...] = ()
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DeviceFormat:
    """The export of one device or app.

    Args:
        name: what a user may ask for, the name of its file.
        title: its usual name, for messages.
        recognise: path and first lines of the file -> whether it is this format. The lines are none for a binary file.
        read: path and what the user says -> the samples.
        source: where the layout is published.
        read_parts: samples of several files of one recording, one after another in time; None where a device writes one.
    """

    name: str
    title: str
    recognise: Callable[[Path, list[str]], bool]
    read: Callable[[Path, ReadingOptions], Samples]
    source: str = ""
    read_parts: Callable[[Sequence[Path], ReadingOptions], Samples] | None = None
