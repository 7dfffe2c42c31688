"""Small original files of pamap2."""

import numpy as np


def rows(seconds=12.0, activity=2, start=5.0):
    """Rows of a file: every IMU at rest along its own axis, gyroscopes count the placements."""
    count = round(seconds * 100)
    table = np.zeros((count, 54))
    table[:, 0], table[:, 1], table[:, 2] = start + np.arange(count) / 100, activity, np.nan  # heart rate is rarer
    for unit, first in enumerate((3, 20, 37)):
        table[:, first] = 33.4
        table[:, first + 1 + unit] = 9.7  # +-16 g
        table[:, first + 4 : first + 7] = 99.0  # +-6 g: must not be used
        table[:, first + 7] = 0.1 * (unit + 1)
        table[:, first + 10 : first + 13] = 45.0
        table[:, first + 13] = 1.0
    return table


def write(folder, tables, subject=101, where="Protocol"):
    path = folder / "PAMAP2_Dataset" / where / f"subject{subject}.dat"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, np.concatenate(tables), fmt="%.6g")
    return path
