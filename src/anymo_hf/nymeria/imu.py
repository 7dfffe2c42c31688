"""Real IMU streams and clocks of Nymeria's Aria devices, read from VRS through an optional package.

`projectaria-tools` is used where it is installed, else `vrs` (module `pyvrs`), each in a process of its own; other
packages of similar names on PyPI are not those. Each device counts its own DEVICE_TIME; the stream of time codes in its VRS
file maps it to TIME_CODE, the clock that all devices and the body motion share. Samples are as recorded, in the sensor's own
axes, without calibration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..refusals import LARGEST_VALUE, refusing
from .vrs_process import VrsProcess

DEVICES: dict[str, str] = {  # where it is worn -> its folder in a sequence
    "head": "recording_head",
    "left_wrist": "recording_lwrist",
    "right_wrist": "recording_rwrist",
}
STREAMS: dict[str, float] = {"1202-1": 1000.0, "1202-2": 800.0}  # right and left IMU of a device -> Hz


@dataclass(frozen=True)
class NymeriaImu:
    """One IMU of one device.

    Args:
        time: `(T,)` seconds of TIME_CODE, rising; `xdata.npz` counts its microseconds on the same clock.
        signals: `(T, 6)` acceleration m/s^2 (gravity included) and angular velocity rad/s.
        sampling_rate: nominal rate of the stream, Hz.
        dropped: samples left out: marked invalid, not finite, of an impossible size, or not later than the sample before.
    """

    time: np.ndarray
    signals: np.ndarray
    sampling_rate: float
    dropped: int


class VrsFile(Protocol):
    """What both packages are asked for."""

    def timecode_ns(self, device_ns: np.ndarray) -> np.ndarray:
        """DEVICE_TIME to TIME_CODE, both `(n,)` nanoseconds.

        Raises:
            ValueError: the file holds no time codes.
        """

    def imu(self, stream: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """DEVICE_TIME ns `(T,)`, signals `(T, 6)` and whether each sample is valid `(T,)`.

        Raises:
            ValueError: the file holds no such stream.
        """

    def device_span_ns(self) -> tuple[int, int]:
        """DEVICE_TIME of the first and the last record."""


def find_vrs(sequence_folder: str | Path, device: str) -> Path | None:
    """`data.vrs` of a device, else `motion.vrs`, else None."""
    if device not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    folder = Path(sequence_folder) / DEVICES[device] / "data"
    return next((folder / name for name in ("data.vrs", "motion.vrs") if (folder / name).is_file()), None)


def vrs_reader() -> str | None:
    """Name of the package that can read VRS here: projectaria-tools, vrs or None."""
    return next((name for name, module in (("projectaria-tools", _aria), ("vrs", _pyvrs)) if module()), None)


def open_vrs(path: str | Path) -> VrsFile:
    """Open a VRS file with whichever package is installed.

    Raises:
        ImportError: neither package is installed.
        OSError: the file is missing or damaged.
    """
    path = Path(path)
    if vrs_reader() is None:
        raise ImportError("reading VRS needs a package: pip install projectaria-tools, or pip install vrs")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the path of a VRS file")
    return VrsProcess(path, "aria" if _aria() else "pyvrs")


def read_nymeria_imu(sequence_folder: str | Path, device: str, stream: str = "1202-1") -> NymeriaImu:
    """One real IMU of a sequence.

    Args:
        sequence_folder: a Nymeria sequence as downloaded.
        device: "head", "left_wrist" or "right_wrist".
        stream: "1202-1" (right IMU, 1000 Hz) or "1202-2" (left IMU, 800 Hz).

    Raises:
        ImportError: no package that reads VRS is installed.
        OSError: the device's recording is missing or damaged.
        ValueError: unknown device or stream, no valid samples or time codes, or readings that are not in m/s^2.
    """
    if stream not in STREAMS:
        raise ValueError(f"stream must be one of {', '.join(STREAMS)}, got {stream!r}")
    path = find_vrs(sequence_folder, device)
    if path is None:
        folder = Path(sequence_folder) / DEVICES[device] / "data"
        raise FileNotFoundError(f"{folder}: neither data.vrs nor motion.vrs; download the group timesync_and_imu")
    with refusing(path, "VRS file", "download it again"):
        return _read_imu(path, stream)


def _read_imu(path: Path, stream: str) -> NymeriaImu:
    file = open_vrs(path)
    device_ns, signals, valid = file.imu(stream)
    kept = valid & (np.abs(signals) <= LARGEST_VALUE).all(axis=1)  # NaN is not less, either
    # a sample is late enough if it comes after every kept one before it
    latest = np.maximum.accumulate(np.where(kept, device_ns, np.iinfo(np.int64).min))
    kept[1:] &= device_ns[1:] > latest[:-1]
    if 2 * kept.sum() < len(kept) or not len(kept):
        raise ValueError(
            f"{path}: stream {stream} has {kept.sum()} valid samples in the order of their times, of {len(kept)}; it cannot "
            "be trusted, download it again"
        )
    signals = signals[kept]
    middle = float(np.median(np.linalg.norm(signals[:, :3], axis=1)))
    if not 7 < middle < 13:
        raise ValueError(
            f"{path}: stream {stream} has a median acceleration of {middle:.3g}; a worn sensor reads about 9.8 m/s^2"
        )
    time = file.timecode_ns(device_ns[kept]) * 1e-9
    return NymeriaImu(time, signals, STREAMS[stream], int(len(kept) - kept.sum()))


# -- packages ------------------------------------------------------------------------------------------------------------


def _aria() -> Any:
    """projectaria_tools.core if it is the real package."""
    try:
        from projectaria_tools import core
        from projectaria_tools.core import data_provider, sensor_data, stream_id  # noqa: F401
    except ImportError:
        return None
    return core if hasattr(core.data_provider, "create_vrs_data_provider") else None


def _pyvrs() -> Any:
    """pyvrs if it is the module of the package `vrs`; the package `pyvrs` is another one."""
    try:
        import pyvrs
    except ImportError:
        return None
    return pyvrs if hasattr(pyvrs, "SyncVRSReader") else None
