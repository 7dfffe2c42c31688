"""Small original files of usc_had."""

import numpy as np
from scipy.io import savemat


def write(folder, subjects=(1, 2), signal=(0, 1, 0, 0, 30, 0), activities=range(1, 13)):
    for subject in subjects:
        place = folder / f"Subject{subject}"
        place.mkdir(parents=True, exist_ok=True)
        for activity in activities:
            savemat(place / f"a{activity}t1.mat", {"sensor_readings": np.tile(np.array(signal, float), (1000, 1))})
