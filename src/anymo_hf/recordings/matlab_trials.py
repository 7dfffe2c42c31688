"""USC-HAD and UTD-MHAD: one MATLAB file per trial, one six-axis sensor each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .imu_recording import STANDARD_GRAVITY, ImuRecording, natural_key, require_files

USC_HAD_LABELS = (
    "walk forward", "walk left", "walk right", "walk upstairs", "walk downstairs", "run forward", "jump up", "sit",
    "stand", "sleep", "elevator up", "elevator down",
)  # fmt: skip
UTD_MHAD_LABELS = (
    "right arm swipe to the left", "right arm swipe to the right", "right hand wave", "two hand front clap",
    "right arm throw", "cross arms in the chest", "basketball shoot", "right hand draw x",
    "right hand draw circle (clockwise)", "right hand draw circle (counter clockwise)", "draw triangle",
    "bowling (right hand)", "front boxing", "baseball swing from right", "tennis right hand forehand swing",
    "arm curl (two arms)", "tennis serve", "two hand push", "right hand knock on door", "right hand catch an object",
    "right hand pick up and throw", "jogging in place", "walking in place", "sit to stand", "stand to sit",
    "forward lunge (left foot forward)", "squat (two arms stretch out)",
)  # fmt: skip


def _load(path: Path, key: str) -> np.ndarray:
    """The `(T, 6)` array of a trial in m/s^2 and rad/s; files hold g and degrees a second."""
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except Exception as error:  # scipy raises many kinds for a cut or foreign file
        raise OSError(f"{path}: not a readable MATLAB file ({error}); download it again") from error
    if key not in content:
        raise ValueError(f"{path}: variable {key!r} is missing; found {sorted(k for k in content if k[0] != '_')}")
    signal = np.asarray(content[key], dtype=np.float64)
    if signal.ndim != 2 or signal.shape[1] != 6:
        raise ValueError(f"{path}: {key!r} must be (T, 6), got {signal.shape}")
    return np.concatenate([signal[:, :3] * STANDARD_GRAVITY, np.deg2rad(signal[:, 3:])], axis=1)


def read_usc_had(folder: str | Path) -> Iterator[ImuRecording]:
    """Trials at 100 Hz from the front right hip; the activity comes from the file name (fields in files vary).

    Raises:
        OSError: no trial below `folder`, or an unreadable one.
        ValueError: a trial without `sensor_readings`, or an activity outside 1 to 12.
    """
    paths = require_files(list(Path(folder).rglob("Subject*/a*t*.mat")), folder, "Subject*/a*t*.mat", "USC-HAD")
    for path in sorted(paths, key=natural_key):
        match = re.fullmatch(r"a(\d+)t(\d+)", path.stem)
        if not match or not 1 <= int(match[1]) <= len(USC_HAD_LABELS):
            raise ValueError(f"{path}: the name must read a<1..12>t<trial>.mat")
        activity, subject = int(match[1]), path.parent.name.removeprefix("Subject")
        signals = {"right_hip": _load(path, "sensor_readings")}
        yield ImuRecording(signals, 100.0, USC_HAD_LABELS[activity - 1], activity, subject, path.stem, "usc_had")


def read_utd_mhad(folder: str | Path) -> Iterator[ImuRecording]:
    """Trials at 50 Hz: right wrist for actions 1 to 21, right thigh for 22 to 27.

    Raises:
        OSError: no trial below `folder`, or an unreadable one.
        ValueError: a trial without `d_iner`, or an action outside 1 to 27.
    """
    paths = require_files(
        list(Path(folder).rglob("a*_s*_t*_inertial.mat")), folder, "a*_s*_t*_inertial.mat", "UTD-MHAD"
    )
    for path in sorted(paths, key=natural_key):
        match = re.fullmatch(r"a(\d+)_s(\d+)_t(\d+)_inertial", path.stem)
        if not match or not 1 <= int(match[1]) <= len(UTD_MHAD_LABELS):
            raise ValueError(f"{path}: the name must read a<1..27>_s<subject>_t<trial>_inertial.mat")
        action = int(match[1])
        signals = {"right_wrist" if action <= 21 else "right_thigh": _load(path, "d_iner")}
        yield ImuRecording(signals, 50.0, UTD_MHAD_LABELS[action - 1], action, match[2], match[3], "utd_mhad")
