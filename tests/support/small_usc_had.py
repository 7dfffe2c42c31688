"""A small USC-HAD in its raw format: everyone walks, runs and sits for 11 s."""

from pathlib import Path

import numpy as np
from scipy.io import savemat

ACTIVITIES = {
    1: (1.8, 0.3),
    6: (2.7, 1.2),
    8: (1.0, 0.0),
}  # walking forward, running, sitting: steps a second, size in g


def write_small_usc_had(folder: Path, people: int) -> None:
    """Two windows of 5 s for each person and activity."""
    rng, time = np.random.default_rng(0), np.arange(1100) / 100
    for person in range(1, people + 1):
        for activity, (steps, size) in ACTIVITIES.items():
            signal = rng.normal(0, [0.02] * 3 + [2] * 3, (1100, 6)) + [1, 0, 0, 0, 0, 0]
            signal[:, 0] += size * np.sin(2 * np.pi * steps * rng.uniform(0.9, 1.1) * time)
            path = folder / f"Subject{person}" / f"a{activity}t1.mat"
            path.parent.mkdir(parents=True, exist_ok=True)
            savemat(path, {"sensor_readings": signal})
