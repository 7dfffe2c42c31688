"""A VRS file in a process of its own: a damaged one ends the compiled readers by a signal, and would end us with them.

`VrsProcess` starts this file as a program, which loads nothing of the package, and asks it: a line of JSON each way, with
the bytes of arrays behind it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np

_TIME_TYPE = "285-"  # VRS stream type of clock readings
_KINDS = {"OSError": OSError, "ValueError": ValueError}


class VrsProcess:
    """A VRS file as `VrsFile` has it.

    Args:
        path: the file.
        package: "aria" or "pyvrs".

    Raises:
        OSError: it cannot be read, or its reader ended; from every method.
        ValueError: what is asked for is not in it; from every method.
    """

    def __init__(self, path: Path, package: str) -> None:
        self._path = path
        # a group of its own: Ctrl-C is for us to hear, and it ends with our end of its input
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, package, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, process_group=0,
        )  # fmt: skip
        self._answer()

    def imu(self, stream: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `VrsFile.imu`."""
        time, signals, valid = self._ask("imu", stream)
        return time, signals, valid

    def timecode_ns(self, device_ns: np.ndarray) -> np.ndarray:
        """As `VrsFile.timecode_ns`."""
        (times,) = self._ask("timecode_ns", np.asarray(device_ns, np.int64))
        return times

    def device_span_ns(self) -> tuple[int, int]:
        """As `VrsFile.device_span_ns`."""
        (span,) = self._ask("device_span_ns")
        return int(span[0]), int(span[1])

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for file in filter(None, (self._process.stdin, self._process.stdout)):
            with contextlib.suppress(OSError):  # what was still to be sent
                file.close()

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self.close()

    def _ask(self, name: str, *given: Any) -> list[np.ndarray]:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, which the answer tells
            _send(self._process.stdin, {"ask": name}, given)
        return self._answer()

    def _answer(self) -> list[np.ndarray]:
        assert self._process.stdout is not None
        try:
            told, arrays = _receive(self._process.stdout)
        except (EOFError, ValueError) as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
            ended = self._process.poll()  # minus the signal's number
            raise OSError(
                f"{self._path}: not a readable VRS file (its reader ended with {ended}); download it again"
            ) from error
        if "error" in told:
            raise _KINDS[told["error"]](told["said"])
        return arrays


def _send(file: IO[bytes], told: dict[str, Any], given: Any) -> None:
    texts = [one for one in given if isinstance(one, str)]
    arrays = [one for one in given if not isinstance(one, str)]
    kinds = [[array.dtype.str, array.shape] for array in arrays]
    file.write(json.dumps(told | {"texts": texts, "arrays": kinds}).encode() + b"\n")
    for array in arrays:
        file.write(array.tobytes())
    file.flush()


def _receive(file: IO[bytes]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """A line and its arrays.

    Raises:
        EOFError: the other side has ended; ValueError in the middle of something.
    """
    line = file.readline()
    if not line:
        raise EOFError
    told, arrays = json.loads(line), []
    for kind, shape in told["arrays"]:
        content = file.read(np.dtype(kind).itemsize * math.prod(shape))
        arrays.append(np.frombuffer(content, kind).reshape(shape).copy())
    return told, arrays


# -- in the process ------------------------------------------------------------------------------------------------------


class AriaFile:
    def __init__(self, path: Path) -> None:
        from projectaria_tools import core
        from projectaria_tools.core import data_provider, sensor_data, stream_id  # noqa: F401

        self._core, self._path = core, path
        try:
            self._provider = core.data_provider.create_vrs_data_provider(str(path))
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


class PyvrsFile:
    def __init__(self, path: Path) -> None:
        import pyvrs

        self._path = path
        try:
            self._reader = pyvrs.SyncVRSReader(str(path))
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


def _serve(package: str, path: Path) -> None:
    """Answers until the input ends."""
    # what a library prints must not stand between the answers; it would break into progress bars, too
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    made: Any = None
    asked: dict[str, Any] = {"ask": ""}
    arrays: list[np.ndarray] = []
    while True:
        try:
            if made is None:
                made, answer = AriaFile(path) if package == "aria" else PyvrsFile(path), ()
            else:
                answer = getattr(made, asked["ask"])(*asked["texts"], *arrays)
            _send(out, {}, [np.asarray(answer)] if asked["ask"] in ("timecode_ns", "device_span_ns") else answer)
        except Exception as error:
            ours = type(error).__name__ in _KINDS and str(path) in str(error)
            said = str(error) if ours else f"{path}: not a readable VRS file ({error!r}); download it again"
            _send(out, {"error": type(error).__name__ if ours else "OSError", "said": said[:1000]}, ())
        try:
            asked, arrays = _receive(sys.stdin.buffer)
        except EOFError:
            return


if __name__ == "__main__":
    _serve(sys.argv[1], Path(sys.argv[2]))
