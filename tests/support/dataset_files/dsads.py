"""Small original files of dsads."""

import numpy as np


def segment(number, rows=125):
    table = np.zeros((rows, 45))
    for unit in range(5):
        table[:, 9 * unit + unit % 3] = 9.81
        table[:, 9 * unit + 3] = number + unit / 10  # the gyroscope tells the segment and the unit
        table[:, 9 * unit + 6 : 9 * unit + 9] = 70.0  # magnetometer: must not be used
    return table


def write(folder, activity, person, segments):
    path = folder / "data" / f"a{activity:02d}" / f"p{person}"
    path.mkdir(parents=True, exist_ok=True)
    for number in segments:
        np.savetxt(path / f"s{number:02d}.txt", segment(number), fmt="%.6g", delimiter=",")
    return path
