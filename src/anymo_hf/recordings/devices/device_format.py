"""`DeviceFormat`: what one file of this folder declares about the export of a device or app."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..imu_recording import ImuRecording


@dataclass(frozen=True)
class ReadingOptions:
    """What a user says about a file; None leaves it to the file.

    Args:
        columns: three acceleration columns, or those and three of angular velocity.
        acceleration_unit: "m/s^2", "g" or "mg".
        angular_velocity_unit: "rad/s" or "deg/s".
        rate: Hz, of evenly spaced samples.
        time_column: name of the time stamps.
    """

    columns: Sequence[str] | None = None
    acceleration_unit: str | None = None
    angular_velocity_unit: str | None = None
    rate: float | None = None
    time_column: str | None = None


@dataclass(frozen=True)
class DeviceFormat:
    """The export of one device or app.

    Args:
        name: what a user may ask for, the name of its file.
        title: its usual name, for messages.
        recognise: path and first lines of the file -> whether it is this format. The lines are "" for a binary file.
        read: path, placement and what the user says -> the recording, in m/s^2 and rad/s.
    """

    name: str
    title: str
    recognise: Callable[[Path, list[str]], bool]
    read: Callable[[Path, str, ReadingOptions], ImuRecording]
