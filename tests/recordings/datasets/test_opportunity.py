"""OPPORTUNITY: 250 columns, integer units, the Challenge split; the Challenge release and broken files are refused."""

import numpy as np
import pytest
from support.dataset_files import opportunity as files

from anymo_hf.recordings.datasets.opportunity import LABELS, TRAINING_SESSIONS, read_opportunity


def test_units_placements_labels_and_split(tmp_path):
    table = files.rows()
    table[90:, 243] = 4
    files.write(tmp_path, table)
    files.write(tmp_path, files.rows(locomotion=5), "S1-Drill")
    stand, sit = read_opportunity(tmp_path)
    assert (stand.label, sit.label, sit.label_id, stand.subject, stand.session) == ("stand", "sit", 4, "2", "ADL4")
    assert sit.start_time == pytest.approx(3.0, abs=0.001) and len(sit.signals["upper_back"]) == 90
    names = ("upper_back", "right_upper_arm", "right_forearm", "left_upper_arm", "left_forearm")
    assert tuple(stand.signals) == names
    for unit, name in enumerate(names):
        expected = np.zeros(6)
        expected[unit % 3], expected[3] = 9.8, 0.1 * (unit + 1)
        np.testing.assert_allclose(stand.signals[name][11], expected)
    assert [r.label for r in read_opportunity(tmp_path, "train")] == ["lie"]
    assert [r.subject for r in read_opportunity(tmp_path, "all")] == ["1", "2", "2"]
    assert len(TRAINING_SESSIONS) == 14 and len(LABELS) == 4


def test_gaps_over_a_tenth_of_a_second_split(tmp_path):
    table = files.rows(9)
    table[100:102, 63:69] = np.nan  # two samples of one arm, 100 ms
    table[150:153, 76:82] = np.nan  # three samples
    files.write(tmp_path, np.delete(table, slice(200, 210), axis=0))
    parts = list(read_opportunity(tmp_path))
    assert [len(part.signals["left_forearm"]) for part in parts] == [150, 47, 60]


def test_subjects_of_the_split_that_are_missing(tmp_path):
    files.write(tmp_path, files.rows(), "S1-ADL1")
    with pytest.raises(OSError, match="no file of the test split"):
        list(read_opportunity(tmp_path))
    with pytest.raises(ValueError, match="split must be"):
        list(read_opportunity(tmp_path, "dev"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: np.nan_to_num(t[:, :116]), "116 columns instead of 250; this is the Opportunity Challenge release"),
        (lambda t: t[:, :249], "249 columns instead of 250"),
        (lambda t: t * np.where(np.isin(np.arange(250), range(50, 53)), 0.001, 1), "'right_upper_arm' is 0.0098"),
        (lambda t: np.roll(t, 3, axis=1), "row 1 has no label or time stamp"),
        (lambda t: t[::-1], "lies before the one above"),
    ],
)
def test_broken_files_are_refused(tmp_path, change, message):
    files.write(tmp_path, change(files.rows()))
    with pytest.raises(ValueError, match=message) as caught:
        list(read_opportunity(tmp_path))
    assert "S2-ADL4.dat" in str(caught.value)


def test_a_line_that_is_cut_off_is_refused(tmp_path):
    path = files.write(tmp_path, files.rows())
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match="line 180: 24[0-9] columns"):
        list(read_opportunity(tmp_path))
