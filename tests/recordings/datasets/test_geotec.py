"""GeoTec's phone and watch in its own layout."""

import numpy as np
import pytest

from anymo_hf.recordings.catalogue import read_windows
from anymo_hf.recordings.datasets.geotec import read_geotec

HEADER = "x_acc,y_acc,z_acc,x_gyro,y_gyro,z_gyro,timestamp,label\n"


def write(folder, device="sp", label="WALKING", rows=300, gravity=9.81):
    path = folder / "DATA" / "s01" / f"s01_02_{device}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"0,{gravity},0.1,0.{i % 10},0,0,{1600000000000 + 10 * i},{label if i < 250 else 'SEATED'}" for i in range(rows)
    ]
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return path


def test_each_device_gives_its_stretches(tmp_path):
    write(tmp_path)
    write(tmp_path, "sw", "TURNING")
    windows = list(read_windows("geotec", tmp_path))
    assert [(list(w.signals), w.label, w.subject) for w in windows] == [
        (["left_pocket"], "walking", "01"), (["left_wrist"], "turning", "01")]  # fmt: skip
    np.testing.assert_allclose(
        windows[0].signals["left_pocket"][:3], [[0, 9.81, 0.1, x / 10, 0, 0] for x in range(3)], atol=1e-4
    )


def test_what_is_wrong_is_named(tmp_path):
    path = write(tmp_path, label="FLYING")
    with pytest.raises(ValueError, match=r"s01_02_sp\.csv: label 'FLYING'"):
        list(read_geotec(tmp_path))
    write(tmp_path, gravity=1.0)
    with pytest.raises(ValueError, match="in g"):
        list(read_geotec(tmp_path))
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="columns a, b instead of"):
        list(read_geotec(tmp_path))
    path.unlink()
    with pytest.raises(OSError, match="no DATA/sXX"):
        list(read_geotec(tmp_path))
