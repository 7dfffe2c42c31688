"""Small original files of w_har."""

import numpy as np

HEADER = "Time (s),User,Scenerio,Trial,Ax,Ay,Az,GyroX,GyroY,GyroZ"


def rows(label, user=1, scenario=1, trial=1, seconds=2.0, swing=4.0, step=1 / 250):
    times = np.arange(round(seconds / step)) * step
    return [
        f"{t:.3f},{user},{scenario},{trial},0,-1,0,{swing * np.sin(9 * t):.5f},0,0.5,{label}" for t in times.tolist()
    ]


def write(folder, lines, header=HEADER):
    path = folder / "datasets" / "raw_data" / "motion_data_22_users.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]) + "\n")
    return path
