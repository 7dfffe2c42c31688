"""A MATLAB file that holds one trial of one six-axis sensor in g and degrees a second."""

from __future__ import annotations

import numpy as np

from .download import Download, Member
from .imu_recording import STANDARD_GRAVITY
from .matlab_file import read_matlab


def read_trial(download: Download, member: Member, key: str) -> np.ndarray:
    """The `(T, 6)` array of a trial in m/s^2 and rad/s; files hold g and degrees a second."""
    with download.open(member) as file:
        content = read_matlab(file.read())
    if key not in content:
        raise ValueError(f"{member.source}: variable {key!r} is missing; found {sorted(content)}")
    signal = np.asarray(content[key], dtype=np.float64)
    if signal.ndim != 2 or signal.shape[1] != 6:
        raise ValueError(f"{member.source}: {key!r} must be (T, 6), got {signal.shape}")
    return np.concatenate([signal[:, :3] * STANDARD_GRAVITY, np.deg2rad(signal[:, 3:])], axis=1)
