"""Small original files of uci_har."""

import numpy as np


def write(folder, windows=3, width=128):
    signals = folder / "UCI HAR Dataset" / "test" / "Inertial Signals"
    signals.mkdir(parents=True)
    for kind in ("total_acc", "body_gyro"):
        for axis in "xyz":
            value = 1.0 if (kind, axis) == ("total_acc", "x") else 0.25
            np.savetxt(signals / f"{kind}_{axis}_test.txt", np.full((windows, width), value))
    np.savetxt(signals.parent / "y_test.txt", np.array([5, 1, 6])[:windows], fmt="%d")
    return signals
