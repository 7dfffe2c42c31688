"""Small original files of ego_exo4d."""

import numpy as np
from support import nymeria_recordings

FIRST_NS = 86_400_000_000_000 + 333_333  # a day after boot: float32 seconds would step by 8 ms


def take(folder, name, signal, stream="1202-1"):
    path = folder / "takes" / name / "aria01_noimagestreams.vrs"
    nymeria_recordings.write_imu_vrs(path, {stream: signal}, time_codes=False, first_ns=FIRST_NS)
    return path


def still(count, rate=1000.0):
    """Gravity on y, and a slow swing of a known phase on the gyroscope's x."""
    signal = np.zeros((count, 6))
    signal[:, 1] = 9.8
    signal[:, 3] = np.sin(2 * np.pi * np.arange(count) / rate)
    return signal


def lists(folder, **rows):
    for name, lines in rows.items():
        (folder / f"{name}.txt").write_text("".join(f"{take}\t{label}\n" for take, label in lines))
