"""DSADS: 5 s files in numeric order make one recording; cut files, other units and other widths are refused."""

import zipfile

import numpy as np
import pytest
from support.dataset_files import dsads as files

from anymo_hf.recordings.catalogue import DATASETS, read_windows
from anymo_hf.recordings.datasets.dsads import read_dsads


def test_segments_follow_in_numeric_order_and_a_missing_one_splits(tmp_path):
    files.write(tmp_path, 9, 2, [1, 2, 3, 9, 10])
    files.write(tmp_path, 19, 1, [2])
    ball, first, second = read_dsads(tmp_path)
    assert (ball.label, ball.label_id, ball.subject) == ("playing basketball", 19, "1")
    assert (first.label, first.subject, first.start_time, second.start_time) == ("walking slowly", "2", 0.0, 40.0)
    names = ("chest", "right_wrist", "left_wrist", "right_knee", "left_knee")
    assert tuple(first.signals) == names
    for unit, name in enumerate(names):
        np.testing.assert_allclose(first.signals[name][::125, 3], np.array([1, 2, 3]) + unit / 10)
        np.testing.assert_allclose(first.signals[name][:, unit % 3], 9.81)
    np.testing.assert_allclose(second.signals["chest"][::125, 3], [9, 10])


def test_windows_are_the_files(tmp_path):
    path = files.write(tmp_path, 1, 1, range(1, 5))
    windows = list(read_windows("dsads", tmp_path))
    assert len(windows) == 4 and len(DATASETS["dsads"].labels) == 19
    for window, file in zip(windows, sorted(path.iterdir()), strict=True):
        np.testing.assert_allclose(window.signals["left_knee"], np.loadtxt(file, delimiter=",")[:, 36:42])


def test_zip_and_unpacked_folder_beside_it_are_read_once(tmp_path):
    path = files.write(tmp_path, 1, 1, [1])
    with zipfile.ZipFile(tmp_path / "daily+and+sports+activities.zip", "w") as archive:
        archive.write(path / "s01.txt", "data/a01/p1/s01.txt")
    (unpacked,) = read_dsads(tmp_path)
    (packed,) = read_dsads(tmp_path / "daily+and+sports+activities.zip")
    np.testing.assert_array_equal(unpacked.signals["chest"], packed.signals["chest"])
    files.write(tmp_path / "copy", 1, 1, [1])
    with pytest.raises(ValueError, match="are the same file of DSADS; keep one"):
        list(read_dsads(tmp_path))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (files.segment(1, 124), "124 rows instead of 125; the file is cut off"),
        (files.segment(1)[:, :44], "44 columns instead of 45"),
        (files.segment(1) / 9.81, "median acceleration at 'chest' is 1 "),
        (files.segment(60), "rad/s, over 40; degrees a second"),
        (np.where(np.arange(45) == 4, np.nan, files.segment(1)), "an empty cell in line 1"),
        (np.roll(files.segment(1), -6, axis=1), "median acceleration at 'chest' is 121"),  # magnetometer first
    ],
)
def test_broken_files_are_refused(tmp_path, table, message):
    path = files.write(tmp_path, 1, 1, [])
    np.savetxt(path / "s01.txt", table, delimiter=",")
    with pytest.raises(ValueError, match=message) as caught:
        list(read_dsads(tmp_path))
    assert "a01/p1/s01.txt" in str(caught.value)


def test_another_dataset_is_refused(tmp_path):
    (tmp_path / "s01.txt").write_text("1,2\n")
    with pytest.raises(OSError, match="DSADS"):
        list(read_dsads(tmp_path))
