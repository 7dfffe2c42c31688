"""TNDA-HAR: 46 columns with and without a header, rows in one field; broken variants are refused."""

import numpy as np
import pytest

from anymo_hf.recordings.datasets.tnda_har import LABELS, read_tnda_har

PREFIXES = ("arm", "leg", "wri", "ank", "bac")
IN_G = np.r_[np.where(np.arange(45) % 9 < 3, 1 / 9.8, 1), 1]
HEADER = [f"{p}_{kind}_{axis}" for p in PREFIXES for kind in ("Acc", "Gyr", "Mag") for axis in "XYZ"] + ["class"]


def _rows(seconds=4.0, label=1):
    table = np.zeros((round(50 * seconds), 46))
    for unit in range(5):
        table[:, 9 * unit + unit % 3] = 9.8
        table[:, 9 * unit + 3] = unit + 0.5
        table[:, 9 * unit + 6 : 9 * unit + 9] = 400.0
    table[:, 45] = label
    return table


def _lines(table):
    return [",".join(f"{value:.6g}" for value in row) for row in table]


def _write(folder, lines, name="Subject01.csv"):
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


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
    lines = _lines(np.concatenate([_rows(), _rows(2, label=0), _rows(label=6)]))
    _write(tmp_path, lines)
    _check(list(read_tnda_har(tmp_path)))
    _write(tmp_path, ["\ufeff" + ",".join(HEADER), *lines])
    _check(list(read_tnda_har(tmp_path)))
    lines[5] = '"' + lines[5].replace(",", ";") + '",,,'
    lines[0] = lines[0].replace(",", ";")
    _write(tmp_path, lines)
    _check(list(read_tnda_har(tmp_path)))
    assert len(LABELS) == 8


def test_a_header_in_another_order_is_followed(tmp_path):
    order = np.r_[36:45, 0:36, 45]
    table = np.concatenate([_rows(), _rows(2, label=0), _rows(label=6)])
    _write(tmp_path, [",".join(np.array(HEADER)[order]), *_lines(table[:, order])])
    _check(list(read_tnda_har(tmp_path)))


def test_subjects_in_numeric_order_and_nan_runs(tmp_path):
    table = _rows(8)
    table[100:104, 18:24] = np.nan  # 0.1 s of the wrist
    table[200:220, 0:6] = np.nan
    _write(tmp_path, _lines(table), "Subject10.csv")
    _write(tmp_path, _lines(_rows()), "Subject9.csv")
    recordings = list(read_tnda_har(tmp_path))
    assert [(r.subject, len(r.signals["upper_back"])) for r in recordings] == [("9", 200), ("10", 200), ("10", 180)]
    np.testing.assert_allclose(recordings[1].signals["right_wrist"][:, 3], 2.5)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (_lines(_rows()[:, :45]), "45 columns instead of 46"),
        ([*_lines(_rows()), "1,2,3"], "line 201: 3 columns instead of 46"),
        ([",".join(HEADER).replace("wri_Gyr_Y", "wri_Tmp_Y"), *_lines(_rows())], r"\['wri_gyr_y'\] are missing"),
        ([",".join(HEADER)], "no row of numbers"),
        (["1;2;3;4", *_lines(_rows())], "line 1: 4 columns"),
        (_lines(_rows())[:9] + [_lines(_rows())[9].replace("9.8", "oops", 1)], "text where numbers belong"),
        (
            _lines(_rows() * IN_G),
            "median acceleration at 'left_ankle' is 1 ",
        ),
        (_lines(_rows() * np.where(np.arange(46) % 9 == 3, 57.3, 1)), "degrees a second"),
        (_lines(np.where(np.arange(46) == 10, np.nan, _rows())), "no number in a column of left_knee"),
    ],
)
def test_broken_files_are_refused(tmp_path, lines, message):
    _write(tmp_path, lines)
    with pytest.raises(ValueError, match=message) as caught:
        list(read_tnda_har(tmp_path))
    assert "Subject01.csv" in str(caught.value)


def test_another_dataset_is_refused(tmp_path):
    with pytest.raises(OSError, match="Subject01.csv"):
        list(read_tnda_har(tmp_path))
