"""MobiFall's two files a trial, each with a clock of its own."""

import numpy as np
import pytest

from anymo_hf.recordings.catalogue import read_windows
from anymo_hf.recordings.datasets.mobifall import read_mobifall

HEAD = "#timestamp(ns),x,y,z\n#Activity: X\n\n@DATA\n"


def write(folder, kind, code="WAL", step=0.01, seconds=6.0, values=lambda t: (0.0, 9.81, 0.0), head=HEAD):
    path = folder / "sub3" / ("FALLS" if code == "FOL" else "ADL") / code / f"{code}_{kind}_3_1.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(0, seconds, step)
    rows = (", ".join(f"{value:.6f}" for value in values(t)) for t in times)
    path.write_text(head + "".join(f"{int(1e12 + t * 1e9)}, {row}\n" for t, row in zip(times, rows, strict=True)))
    return path


def test_both_clocks_come_to_one(tmp_path):
    write(tmp_path, "acc", step=0.0115)
    write(tmp_path, "gyro", step=0.005, values=lambda t: (t / 6, 0.0, 0.0))
    (window,) = read_windows("mobifall", tmp_path)
    signal = window.signals["right_pocket"]
    assert (window.label, window.subject, window.sampling_rate, len(signal)) == ("walking", "3", 100.0, 500)
    np.testing.assert_allclose(signal[:, 1], 9.81)
    np.testing.assert_allclose(signal[:, 3], np.arange(500) / 600, atol=1e-3)  # interpolated by its own clock


def test_falls_are_read_and_not_judged(tmp_path):
    for kind in ("acc", "gyro"):
        write(tmp_path, kind, "FOL", values=lambda t: (0.0, 9.81, 0.0) if kind == "acc" else (0.0, 0.0, 0.0))  # noqa: B023
    assert [r.label for r in read_mobifall(tmp_path)] == ["falling forward onto the hands"]
    assert not list(read_windows("mobifall", tmp_path))


def test_what_is_wrong_is_named(tmp_path):
    write(tmp_path, "acc")
    with pytest.raises(OSError, match="WAL_gyro_3_1.txt is missing"):
        list(read_mobifall(tmp_path))
    write(tmp_path, "gyro", head="#cut")
    with pytest.raises(ValueError, match=r"WAL_gyro_3_1\.txt: no line @DATA"):
        list(read_mobifall(tmp_path))
    write(tmp_path, "gyro", values=lambda t: (300.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="degrees a second"):
        list(read_mobifall(tmp_path))
