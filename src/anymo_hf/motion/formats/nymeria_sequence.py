"""Reads the skeleton of a Nymeria sequence folder: `body/xdata.npz`, or `body/xdata.mvnx` where that is all there is.

Narrations, meshes and IMU data of a sequence are read by `anymo_hf.nymeria`.

**Repairs** are those of the official loader, and are counted: a step between time stamps that is off by over 1 ms becomes
1/240 s, and the clock may drift by 10 ms through that; where any quaternion's norm is below 0.1, those below 0.5 take the
value of the frame before.

**Axes.** A `BodyMotion` is the identity in the T-pose. Xsens files hold reference poses to check that by; where arms are
the identity when they hang (older MVN exports), each segment is turned by its orientation in the file's T-pose. Limbs must
then lie along their segments' long axes, else the file is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ...array_file import ArrayFile
from ...modeling.body_segments import SEGMENT_INDEX, SEGMENTS
from ..body_motion import BodyMotion
from ..motion_report import MotionReport
from ..rotations import nearest_signed_axes
from . import MotionFormat
from .mvnx import read_mvnx

SEQUENCE_NAME = re.compile(r"^\d{8}_s\d+_(?P<subject>.+?)_act\d+_")  # of a folder as downloaded
_STEP_TOLERANCE = 1000  # us
_DRIFT_TOLERANCE = 10_000  # us
# Segment, next one down the limb, long axis in the T-pose.
_LONG_AXES = tuple(
    (f"{side}_{bone}", f"{side}_{tip}", axis)
    for side, sign in (("R", -1.0), ("L", 1.0))
    for bone, tip, axis in (
        ("UpperArm", "Forearm", (0.0, sign, 0.0)),
        ("Forearm", "Hand", (0.0, sign, 0.0)),
        ("UpperLeg", "LowerLeg", (0.0, 0.0, -1.0)),
        ("LowerLeg", "Foot", (0.0, 0.0, -1.0)),
    )
)


@dataclass(frozen=True)
class Repairs:
    """What was mended in `xdata.npz`.

    Args:
        timestamps_us: `(T,)` TIME_CODE microseconds of the frames after the repair.
        time_steps: steps between frames that were replaced; the frames around them may not be evenly spaced.
        backward_steps: how many of those stood still or ran backward.
        drift_us: last time stamp after the repair minus before, microseconds.
        quaternions: segment orientations that took the value of the frame before.
        quaternion_frames: in how many frames.
        turned_segments: segments whose axes were turned to be the identity in the T-pose.
    """

    timestamps_us: np.ndarray
    time_steps: int = 0
    backward_steps: int = 0
    drift_us: int = 0
    quaternions: int = 0
    quaternion_frames: int = 0
    turned_segments: int = 0


def read_xdata(path: str | Path, strict: bool = True) -> tuple[BodyMotion, Repairs]:
    """Skeleton of `body/xdata.npz`, repaired as the official loader does.

    Args:
        path: the NPZ file.
        strict: refuse time stamps whose repair moves the last frame by over 10 ms.

    Returns:
        The motion and what was mended.

    Raises:
        OSError: the file cannot be read.
        ValueError: damaged, keys missing or misshaped, wrong units of time, drift, or axes that cannot be made out.
    """
    path = Path(path)
    keys = ("timestamps_us", "frameRate", "frameCount", "segmentCount", "segment_tXYZ", "segment_qWXYZ")
    poses = tuple(f"{pose}_segment_{part}" for pose in ("identity", "tpose") for part in ("tXYZ", "qWXYZ"))
    data = read_arrays(path, keys, poses)
    frames, rate, segments = (float(np.ravel(data[key])[0]) for key in ("frameCount", "frameRate", "segmentCount"))
    if segments != len(SEGMENTS):
        raise ValueError(f"{path}: segmentCount is {segments:g}; a body of {len(SEGMENTS)} segments is needed")
    if not 10 <= rate <= 1000:
        raise ValueError(f"{path}: frameRate is {rate:g}; it must be frames per second, 240 in Nymeria")
    count = len(data["timestamps_us"])
    if count != frames or count < 2:
        raise ValueError(f"{path}: frameCount is {frames:g}, but timestamps_us holds {count}; download it again")
    shapes = {"timestamps_us": (count,), "segment_tXYZ": (count, 69), "segment_qWXYZ": (count, 92)}
    for key, shape in shapes.items():
        if data[key].shape != shape:
            raise ValueError(f"{path}: {key} must be {shape}, got {data[key].shape}; download it again")
    times, steps, backward, drift = _repair_times(path, data["timestamps_us"], rate, strict)
    positions = data["segment_tXYZ"].reshape(count, len(SEGMENTS), 3).astype(float)
    orientations = data["segment_qWXYZ"].reshape(count, len(SEGMENTS), 4).astype(float)
    for key, values in (("segment_tXYZ", positions), ("segment_qWXYZ", orientations)):
        if not np.isfinite(values).all():
            frame = int(np.argmin(np.isfinite(values).all(axis=(1, 2))))
            raise ValueError(f"{path}: {key} holds values that are not finite, first in frame {frame}; cut them out")
    orientations, replaced = _repair_quaternions(orientations)
    if np.linalg.norm(orientations, axis=-1).min() < 0.5:
        raise ValueError(f"{path}: segment_qWXYZ holds quaternions of norm below 0.5; download it again")
    orientations, turned = _turn_to_tpose(path, data, positions, orientations)
    motion = BodyMotion(rate, positions, orientations, name=path.stem, source="nymeria")
    return motion, Repairs(
        times, steps, backward, drift, int(replaced.sum()), int(replaced.any(axis=1).sum()), turned
    )  # fmt: skip


def read_skeleton(folder: str | Path, strict: bool = True) -> tuple[BodyMotion, Repairs]:
    """Skeleton of a sequence folder, from `body/xdata.npz` or else `body/xdata.mvnx`, and what was mended.

    Raises:
        OSError: neither is there, or it cannot be read.
        ValueError: as `read_xdata` or `read_mvnx`.
    """
    folder = Path(folder)
    path, mvnx = folder / "body" / "xdata.npz", folder / "body" / "xdata.mvnx"
    if path.is_file():
        return read_xdata(path, strict)
    if not mvnx.is_file():
        raise FileNotFoundError(f"{path}: missing, and so is xdata.mvnx; download the group body or body_raw")
    motion = read_mvnx(mvnx).motion
    # an export's own clock is not TIME_CODE, so narrations need a time map that starts at zero
    times = np.rint(np.arange(len(motion.positions)) * (1e6 / motion.frame_rate)).astype(np.int64)
    return motion, Repairs(times)


def read_arrays(path: Path, keys: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Arrays of numbers of an NPZ, `keys` and those of `optional` that are there; nothing is unpickled.

    Raises:
        OSError: no such file.
        ValueError: a key is missing, or the file is damaged.
    """
    file = ArrayFile(path, "download it again")
    if missing := [key for key in keys if key not in file]:
        raise ValueError(f"{path}: lacks {', '.join(missing)}; is it body/xdata.npz of Nymeria? Download it again")
    data = {key: file[key] for key in (*keys, *optional) if key in file}
    for key, array in data.items():
        if array.dtype.kind not in "iuf" or array.size == 0:
            raise ValueError(f"{path}: {key} must hold numbers, got {array.dtype} of shape {array.shape}")
    return data


def _repair_times(path: Path, times: np.ndarray, rate: float, strict: bool) -> tuple[np.ndarray, int, int, int]:
    """Repaired time stamps, steps replaced, those at most zero, drift in microseconds."""
    if not np.isfinite(times).all():
        raise ValueError(f"{path}: timestamps_us holds values that are not finite; download it again")
    times = np.rint(times).astype(np.int64)
    steps, nominal = np.diff(times), 1e6 / rate
    middle = float(np.median(steps))
    if abs(middle - nominal) > max(_STEP_TOLERANCE, 0.2 * nominal):
        raise ValueError(
            f"{path}: timestamps_us rise by {middle:g} from frame to frame, but frameRate {rate:g} means {nominal:.1f} "
            "microseconds; correct the unit or the rate"
        )
    wrong = np.abs(steps - nominal) > _STEP_TOLERANCE
    mended = times[0] + np.concatenate([[0], np.cumsum(np.where(wrong, int(nominal), steps))])
    drift = int(mended[-1] - times[-1])
    if strict and abs(drift) > _DRIFT_TOLERANCE:
        worst = int(np.argmax(np.abs(steps - nominal)))
        raise ValueError(
            f"{path}: timestamps_us drift by {drift / 1000:.1f} ms once {wrong.sum()} irregular steps are evened out (the "
            f"largest, {steps[worst] / 1000:.1f} ms, follows frame {worst}); cut the recording there, or pass strict=False"
        )
    return mended, int(wrong.sum()), int((steps <= 0).sum()), drift


def _repair_quaternions(quaternions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quaternions `(T, 23, 4)` and which were replaced `(T, 23)`."""
    norm = np.linalg.norm(quaternions, axis=-1)
    broken = norm < 0.5
    if not (norm < 0.1).any():
        return quaternions, np.zeros_like(broken)
    mended = quaternions.copy()
    mended[0, broken[0]] = (1.0, 0.0, 0.0, 0.0)
    whole = ~broken
    whole[0] = True
    source = np.maximum.accumulate(np.where(whole, np.arange(len(norm))[:, None], 0), axis=0)
    return np.take_along_axis(mended, source[..., None], axis=0), broken


def _turn_to_tpose(
    path: Path, data: Mapping[str, np.ndarray], positions: np.ndarray, orientations: np.ndarray
) -> tuple[np.ndarray, int]:
    """Orientations that are the identity in the T-pose, and how many segments had to be turned for it."""
    turns = Rotation.identity(len(SEGMENTS))
    for pose in ("identity", "tpose"):
        if f"{pose}_segment_tXYZ" not in data or f"{pose}_segment_qWXYZ" not in data:
            continue
        joints, quaternions = data[f"{pose}_segment_tXYZ"], data[f"{pose}_segment_qWXYZ"]
        if joints.size != 69 or quaternions.size != 92:
            raise ValueError(f"{path}: {pose}_segment_tXYZ and _qWXYZ must hold 69 and 92 numbers; download it again")
        joints, quaternions = joints.reshape(23, 3), quaternions.reshape(23, 4)
        arms = [joints[SEGMENT_INDEX[f"{s}_Hand"]] - joints[SEGMENT_INDEX[f"{s}_UpperArm"]] for s in "RL"]
        stretched = all(np.abs(arm[1]) > 0.9 * np.linalg.norm(arm) > 0 for arm in arms)
        if stretched and np.linalg.norm(quaternions, axis=-1).min() > 0.5:
            # a calibrated T-pose is off by some degrees, the axes it shows are not
            frames = Rotation.from_quat(quaternions, scalar_first=True).as_matrix()
            turns = Rotation.from_matrix(np.stack([nearest_signed_axes(frame) for frame in frames]))
            break
    turned = int((turns.magnitude() > 1e-6).sum())
    if turned:
        whole = Rotation.from_quat(orientations.reshape(-1, 4), scalar_first=True)
        every = Rotation.from_quat(np.tile(turns.inv().as_quat(), (len(orientations), 1)))
        orientations = (whole * every).as_quat(scalar_first=True).reshape(orientations.shape)
    sample = slice(None, None, max(1, len(positions) // 500))
    for segment, tip, axis in _LONG_AXES:
        row = SEGMENT_INDEX[segment]
        bone = positions[sample, SEGMENT_INDEX[tip]] - positions[sample, row]
        rotation = Rotation.from_quat(orientations[sample, row], scalar_first=True)
        cosine = (rotation.inv().apply(bone) @ np.array(axis)) / np.maximum(np.linalg.norm(bone, axis=1), 1e-9)
        angle = float(np.degrees(np.arccos(np.clip(np.median(cosine), -1, 1))))
        if angle > 30:
            raise ValueError(
                f"{path}: segment_qWXYZ of {segment} is {angle:.0f} degrees off the line to {tip} in segment_tXYZ; the "
                "orientations must be the identity in the T-pose, or the file must hold tpose_segment_tXYZ and _qWXYZ"
            )
    return orientations, turned


def _read(path: str | Path) -> MotionReport:
    path = Path(path).resolve()
    motion, _ = read_skeleton(path)
    named = SEQUENCE_NAME.match(path.name)
    subject = named["subject"] if named else path.name
    return MotionReport(replace(motion, subject=subject, name=path.name, source="nymeria"))


FORMAT = MotionFormat(
    "nymeria", "Nymeria (a sequence folder with body/xdata.npz or body/xdata.mvnx)", _read,
    folder_files=("body/xdata.npz", "body/xdata.mvnx"),
)  # fmt: skip
