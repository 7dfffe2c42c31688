"""TNDA-HAR: 46 columns with and without a header, rows in one field; broken variants are refused."""

import numpy as np
import pytest
from support.dataset_files import tnda_har as files

from anymo_hf.recordings.datasets.tnda_har import LABELS, read_tnda_har

PREFIXES = ("arm", "leg", "wri", "ank", "bac")
IN_G = np.r_[np.where(np.arange(45) % 9 < 3, 1 / 9.8, 1), 1]
HEADER = [f"{p}_{kind}_{axis}" for p in PREFIXES for kind in ("Acc", "Gyr", "Mag") for axis in "XYZ"] + ["class"]


def _check(recordings):
    sit, cycle = recordings
    assert (sit.label, cycle.label, cycle.label_id, cycle.start_time) == ("sitting", "riding", 6, 6.0)
    names = ("right_forearm", "left_knee", "right_wrist", "left_ankle", "upper_back")
    assert tuple(sit.signals) == names
    for unit, name in enumerate(names):
        expected = np.zeros(6)
        expected[unit % 3], expected[3] = 9.8, unit + 0.5
        np.testing.assert_allclose(sit.signals[name], np.tile(expected, (200, 1)))


def test_with_and_without_header_and_with_rows_in_one_field(tmp_path):
    lines = files.lines(np.concatenate([files.rows(), files.rows(2, label=0), files.rows(label=6)]))
    files.write(tmp_path, lines)
    _check(list(read_tnda_har(tmp_path)))
    files.write(tmp_path, ["\ufeff" + ",".join(HEADER), *lines])
    _check(list(read_tnda_har(tmp_path)))
    lines[5] = '"' + lines[5].replace(",", ";") + '",,,'
    lines[0] = lines[0].replace(",", ";")
    files.write(tmp_path, lines)
    _check(list(read_tnda_har(tmp_path)))
    assert len(LABELS) == 8


def test_a_header_in_another_order_is_followed(tmp_path):
    order = np.r_[36:45, 0:36, 45]
    table = np.concatenate([files.rows(), files.rows(2, label=0), files.rows(label=6)])
    files.write(tmp_path, [",".join(np.array(HEADER)[order]), *files.lines(table[:, order])])
    _check(list(read_tnda_har(tmp_path)))


def test_subjects_in_numeric_order_and_nan_runs(tmp_path):
    table = files.rows(8)
    table[100:104, 18:24] = np.nan  # 0.1 s of the wrist
    table[200:220, 0:6] = np.nan
    files.write(tmp_path, files.lines(table), "Subject10.csv")
    files.write(tmp_path, files.lines(files.rows()), "Subject9.csv")
    recordings = list(read_tnda_har(tmp_path))
    assert [(r.subject, len(r.signals["upper_back"])) for r in recordings] == [("9", 200), ("10", 200), ("10", 180)]
    np.testing.assert_allclose(recordings[1].signals["right_wrist"][:, 3], 2.5)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (files.lines(files.rows()[:, :45]), "45 columns instead of 46"),
        ([*files.lines(files.rows()), "1,2,3"], "line 201: 3 columns instead of 46"),
        (
            [",".join(HEADER).replace("wri_Gyr_Y", "wri_Tmp_Y"), *files.lines(files.rows())],
            r"\['wri_gyr_y'\] are missing",
        ),
        ([",".join(HEADER)], "no row of numbers"),
        (["1;2;3;4", *files.lines(files.rows())], "line 1: 4 columns"),
        (
            files.lines(files.rows())[:9] + [files.lines(files.rows())[9].replace("9.8", "oops", 1)],
            "text where numbers belong",
        ),
        (
            files.lines(files.rows() * IN_G),
            "median acceleration at 'left_ankle' is 1 ",
        ),
        (files.lines(files.rows() * np.where(np.arange(46) % 9 == 3, 57.3, 1)), "degrees a second"),
        (files.lines(np.where(np.arange(46) == 10, np.nan, files.rows())), "no number in a column of left_knee"),
    ],
)
def test_broken_files_are_refused(tmp_path, lines, message):
    files.write(tmp_path, lines)
    with pytest.raises(ValueError, match=message) as caught:
        list(read_tnda_har(tmp_path))
    assert "Subject01.csv" in str(caught.value)


def test_another_dataset_is_refused(tmp_path):
    with pytest.raises(OSError, match="Subject01.csv"):
        list(read_tnda_har(tmp_path))
