"""Real IMU streams and clocks of Nymeria's Aria devices, read from VRS through an optional package.

`projectaria-tools` is used where it is installed, else `vrs` (module `pyvrs`); other packages of similar names on PyPI are
not those. Each device counts its own DEVICE_TIME; the stream of time codes in its VRS file maps it to TIME_CODE, the clock
that all devices and the body motion share. Samples are as recorded, in the sensor's own axes, without calibration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..refusals import refusing

DEVICES: dict[str, str] = {  # where it is worn -> its folder in a sequence
    "head": "recording_head",
    "left_wrist": "recording_lwrist",
    "right_wrist": "recording_rwrist",
}
STREAMS: dict[str, float] = {"1202-1": 1000.0, "1202-2": 800.0}  # right and left IMU of a device -> Hz
_TIME_TYPE = "285-"  # VRS stream type of clock readings


@dataclass(frozen=True)
class NymeriaImu:
    """One IMU of one device.

    Args:
        time: `(T,)` seconds of TIME_CODE, rising; `xdata.npz` counts its microseconds on the same clock.
        signals: `(T, 6)` acceleration m/s^2 (gravity included) and angular velocity rad/s.
        sampling_rate: nominal rate of the stream, Hz.
        dropped: samples left out: marked invalid, not finite, or not later than the sample before.
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
    return _AriaFile(path) if _aria() else _PyvrsFile(path)


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
    kept = valid & np.isfinite(signals).all(axis=1)
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


class _AriaFile:
    def __init__(self, path: Path) -> None:
        self._core, self._path = _aria(), path
        try:
            self._provider = self._core.data_provider.create_vrs_data_provider(str(path))
        except RuntimeError as error:
            raise OSError(f"{path}: not a readable VRS file ({error}); download it again") from error
        if self._provider is None:
            raise OSError(f"{path}: not a readable VRS file; download it again")

    def timecode_ns(self, device_ns: np.ndarray) -> np.ndarray:
        convert = self._provider.convert_from_device_time_to_timecode_ns
        result = np.array([convert(int(time)) for time in device_ns], np.int64)
        if (result == -1).any():
            raise _no_timecode(self._path)
        return result

    def device_span_ns(self) -> tuple[int, int]:
        domain = self._core.sensor_data.TimeDomain.DEVICE_TIME
        return (
            self._provider.get_first_time_ns_all_streams(domain), self._provider.get_last_time_ns_all_streams(domain)
        )  # fmt: skip

    def imu(self, stream: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        identifier = self._core.stream_id.StreamId(stream)
        if not self._provider.check_stream_is_active(identifier):
            raise _no_stream(self._path, stream)
        count = self._provider.get_num_data(identifier)
        time, signals, valid = np.empty(count, np.int64), np.empty((count, 6)), np.empty(count, bool)
        for row in range(count):
            sample = self._provider.get_imu_data_by_index(identifier, row)
            time[row] = sample.capture_timestamp_ns
            signals[row, :3], signals[row, 3:] = sample.accel_msec2, sample.gyro_radsec
            valid[row] = sample.accel_valid and sample.gyro_valid
        return time, signals, valid


class _PyvrsFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._reader = _pyvrs().SyncVRSReader(str(path))
        except (RuntimeError, ValueError, OSError) as error:
            raise OSError(f"{path}: not a readable VRS file ({error}); download it again") from error

    def _records(self, stream: str, kind: str) -> Any:
        return self._reader.filtered_by_fields(stream_ids=stream, record_types=kind)

    def device_span_ns(self) -> tuple[int, int]:
        return int(self._reader.min_timestamp * 1e9), int(self._reader.max_timestamp * 1e9)

    def timecode_ns(self, device_ns: np.ndarray) -> np.ndarray:
        device_ns = np.asarray(device_ns, np.int64)
        for stream in sorted(name for name in self._reader.stream_ids if name.startswith(_TIME_TYPE)):
            configuration = self._records(stream, "configuration")
            if not len(configuration) or configuration[0].metadata_blocks[0]["mode"].upper() != "TIMECODE":
                continue
            blocks = [record.metadata_blocks[0] for record in self._records(stream, "data")]
            readings = np.array([(block["monotonic_timestamp_ns"], block["real_timestamp_ns"]) for block in blocks])
            if len(readings):
                device, shift = readings[:, 0], readings[:, 1] - readings[:, 0]
                # the difference of the clocks is interpolated and stays as it is at both ends, as Aria's own tool does
                near = np.clip(device_ns, device[0], device[-1]) - device[0]
                return device_ns + shift[0] + np.rint(np.interp(near, device - device[0], shift - shift[0])).astype(int)
        raise _no_timecode(self._path)

    def imu(self, stream: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if stream not in self._reader.stream_ids:
            raise _no_stream(self._path, stream)
        blocks = [record.metadata_blocks[0] for record in self._records(stream, "data")]
        time = np.array([block["capture_timestamp_ns"] for block in blocks], np.int64)
        signals = np.array([[*block["accelerometer"], *block["gyroscope"]] for block in blocks], float).reshape(-1, 6)
        valid = np.array([bool(block["accelerometer_valid"] and block["gyroscope_valid"]) for block in blocks], bool)
        return time, signals, valid


def _no_timecode(path: Path) -> ValueError:
    return ValueError(
        f"{path}: holds no time codes, so its clock cannot be aligned; download data.vrs or motion.vrs again"
    )


def _no_stream(path: Path, stream: str) -> ValueError:
    return ValueError(f"{path}: holds no stream {stream}; download data.vrs or motion.vrs again")
