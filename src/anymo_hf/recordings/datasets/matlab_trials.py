"""USC-HAD and UTD-MHAD: one MATLAB file per trial, one six-axis sensor each."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from ..download import Download, Member
from ..imu_recording import STANDARD_GRAVITY, ImuRecording
from ..stretches import proved

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


def _load(download: Download, member: Member, key: str) -> np.ndarray:
    """The `(T, 6)` array of a trial in m/s^2 and rad/s; files hold g and degrees a second."""
    from scipy.io import loadmat

    try:
        with download.open(member) as file:
            content = loadmat(io.BytesIO(file.read()))
    except Exception as error:  # scipy raises many kinds for a cut or foreign file
        raise OSError(f"{member.source}: not a readable MATLAB file ({error}); download it again") from error
    if key not in content:
        found = sorted(name for name in content if name[0] != "_")
        raise ValueError(f"{member.source}: variable {key!r} is missing; found {found}")
    signal = np.asarray(content[key], dtype=np.float64)
    if signal.ndim != 2 or signal.shape[1] != 6:
        raise ValueError(f"{member.source}: {key!r} must be (T, 6), got {signal.shape}")
    return np.concatenate([signal[:, :3] * STANDARD_GRAVITY, np.deg2rad(signal[:, 3:])], axis=1)


def read_usc_had(folder: str | Path) -> Iterator[ImuRecording]:
    """Trials at 100 Hz from the front right hip; the activity comes from the file name (fields in files vary).

    Args:
        folder: the unpacked dataset or its zip.

    Raises:
        OSError: no trial below `folder`, an unreadable one, or a damaged zip.
        ValueError: a trial without `sensor_readings`, an activity outside 1 to 12, or units that cannot be.
    """
    with Download(folder) as download:
        members = download.find(r"Subject(\d+)/a(\d+)t(\d+)\.mat", "USC-HAD", "Subject*/a*t*.mat")
        for _, mine in groupby(members, key=lambda member: member.groups[0]):
            yield from proved(_usc_had_trial(download, member) for member in mine)


def _usc_had_trial(download: Download, member: Member) -> ImuRecording:
    subject, activity, trial = member.groups
    label, session, source = int(activity), f"a{activity}t{trial}", member.source
    if not 1 <= label <= len(USC_HAD_LABELS):
        raise ValueError(f"{source}: the name must read a<1..12>t<trial>.mat")
    signals = {"right_hip": _load(download, member, "sensor_readings")}
    return ImuRecording(signals, 100.0, USC_HAD_LABELS[label - 1], label, subject, session, "usc_had", source=source)


def read_utd_mhad(folder: str | Path) -> Iterator[ImuRecording]:
    """Trials at 50 Hz: right wrist for actions 1 to 21, right thigh for 22 to 27.

    Args:
        folder: the unpacked dataset or its `Inertial.zip`.

    Raises:
        OSError: no trial below `folder`, an unreadable one, or a damaged zip.
        ValueError: a trial without `d_iner`, an action outside 1 to 27, or units that cannot be.
    """
    pattern = r"a(\d+)_s(\d+)_t(\d+)_inertial\.mat"
    with Download(folder) as download:
        members = download.find(pattern, "UTD-MHAD", "a*_s*_t*_inertial.mat")
        yield from proved(_utd_mhad_trial(download, member) for member in members)


def _utd_mhad_trial(download: Download, member: Member) -> ImuRecording:
    (action, subject, trial), source = member.groups, member.source
    label = int(action)
    if not 1 <= label <= len(UTD_MHAD_LABELS):
        raise ValueError(f"{source}: the name must read a<1..27>_s<subject>_t<trial>_inertial.mat")
    signals = {"right_wrist" if label <= 21 else "right_thigh": _load(download, member, "d_iner")}
    return ImuRecording(signals, 50.0, UTD_MHAD_LABELS[label - 1], label, subject, trial, "utd_mhad", source=source)
