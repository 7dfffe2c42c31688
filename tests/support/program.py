"""Runs the program `anymo` in this process and reads what it says."""

import numpy as np

COLUMNS = "acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z"


def write_csv(path, rows, header=COLUMNS):
    """A CSV file with one line of names."""
    np.savetxt(path, rows, delimiter=",", header=header, comments="")
    return path


def samples(count=250, columns=6):
    """Noise around gravity, m/s^2 and rad/s."""
    rows = np.random.default_rng(0).normal(size=(count, columns))
    rows[:, 2] += 9.81
    return rows


def refused(result, *parts):
    """Exit code 2, nothing on standard output, one line that names what is wrong."""
    code, out, err = result
    assert code == 2 and not out, (code, out, err)
    assert err.startswith("anymo: ") and err.count("\n") == 1 and err.endswith("\n"), err
    for part in parts:
        assert part in err, err
