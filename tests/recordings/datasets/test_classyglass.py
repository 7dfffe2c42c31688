"""ClassyGlass's two files a recording, and the numbers of its two label lists."""

import math

import numpy as np
import pytest

from anymo_hf.recordings.catalogue import read_windows
from anymo_hf.recordings.datasets.classyglass import read_classyglass


def write(folder, kind, part="1A", activity="9", unit=None, rows=260, values=(0.0, 1.0, 0.0)):
    unit = unit or {"Accelerometer": "g", "Gyroscope": "deg/s"}[kind]
    path = folder / "Datasets" / f"Dataset_{part}" / "User7" / f"12_activity{activity}_MetaWear_{kind}_50.000Hz.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "elapsed (s)," + ",".join(f"{axis}-axis ({unit})" for axis in "xyz")
    path.write_text(
        "\n".join([head, *(f"{i / 50:.5f},{values[0]},{values[1]},{values[2]}" for i in range(rows))]) + "\n"
    )
    return path


def both(folder, **options):
    return write(folder, "Accelerometer", **options), write(folder, "Gyroscope", values=(90.0, 0.0, 0.0), **options)


def test_units_and_labels_of_both_lists(tmp_path):
    both(tmp_path)
    both(tmp_path, part="2", activity="3")
    both(tmp_path, part="2", activity="6")  # not among the eleven
    both(tmp_path, part="1B", activity="None")
    windows = {w.label: w for w in read_windows("classyglass", tmp_path)}
    assert {label: w.subject for label, w in windows.items()} == {"walking": "1-7", "standing up from sitting": "2-7"}
    np.testing.assert_allclose(
        windows["walking"].signals["head"], [[0, 9.80665, 0, math.pi / 2, 0, 0]] * 250, rtol=1e-6
    )


def test_what_is_wrong_is_named(tmp_path):
    _, gyroscope = both(tmp_path)
    gyroscope.unlink()
    with pytest.raises(OSError, match="gyroscope file is missing"):
        list(read_classyglass(tmp_path))
    write(tmp_path, "Gyroscope", unit="rad/s")
    with pytest.raises(ValueError, match=r"three axes in \(deg/s\)"):
        list(read_classyglass(tmp_path))
    for path in both(tmp_path, part="2", activity="9"):
        assert path.is_file()
    write(tmp_path, "Gyroscope")
    with pytest.raises(ValueError, match="activity 9 is not in the documents of data set 2"):
        list(read_classyglass(tmp_path))
