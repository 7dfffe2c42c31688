"""w-HAR: the header that lacks a name, both units of the gyroscope, typed labels; broken variants are refused."""

import numpy as np
import pytest
from support.dataset_files import w_har as files

from anymo_hf.recordings import text_table
from anymo_hf.recordings.datasets.w_har import LABELS, read_w_har


def test_labels_sessions_and_units(tmp_path):
    lines = (
        files.rows("walk") + files.rows("transition") + files.rows("liedown", trial=2) + files.rows("stairsup", user=12)
    )
    for typed in ("jumpundefined", "undefined", "unkown"):
        lines += files.rows(typed, user=12)
    files.write(tmp_path, lines)
    walk, lie, stairs = read_w_har(tmp_path)
    assert [r.label for r in (walk, lie, stairs)] == ["walk", "lie down", "stairs up"]
    assert (lie.session, stairs.subject, stairs.label_id) == ("scenario1-trial2", "12", 5)
    assert walk.sampling_rate == 250 and walk.signals["right_ankle"].shape == (500, 6)
    np.testing.assert_allclose(walk.signals["right_ankle"][0], [0, -9.80665, 0, 0, 0, 0.5])
    assert len(LABELS) == 7


def test_degrees_are_told_by_their_size(tmp_path):
    files.write(tmp_path, files.rows("walk", swing=300.0))
    (walk,) = read_w_har(tmp_path)
    assert np.abs(walk.signals["right_ankle"][:, 3]).max() == pytest.approx(300 * np.pi / 180, rel=1e-3)


def test_a_new_trial_of_the_same_name_and_a_gap_start_new_recordings(tmp_path, monkeypatch):
    monkeypatch.setattr(text_table, "BLOCK_BYTES", 1000)  # borders of blocks must not show
    lines = files.rows("sit", seconds=3)
    files.write(tmp_path, lines[:300] + lines[330:] + files.rows("sit"))
    assert [len(r.signals["right_ankle"]) for r in read_w_har(tmp_path)] == [300, 420, 500]


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        (files.rows("walk"), files.HEADER.replace("Ax,", ""), "columns must be"),
        (["version https://git-lfs.github.com/spec/v1"], "version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (files.rows("walk") + files.rows("flying"), files.HEADER, "unknown activity 'flying'"),
        (files.rows("walk") + ["0.004,1,1,1,0,-1"], files.HEADER, "unknown activity '-1'.*cut off"),
        (files.rows("walk") + ["0.004,1,1,1,0,-1,walk"], files.HEADER, "line 502: 7 columns instead of 11"),
        (
            [r.replace(",-1,", ",-9.8,") for r in files.rows("walk")],
            files.HEADER,
            "median acceleration at 'right_ankle' is 96.1",
        ),
        (files.rows("walk", step=1 / 100), files.HEADER, "time stamps step by 0.01 s where 250 Hz"),
        (
            [r.replace(",-1,", ",nan,") for r in files.rows("walk")],
            files.HEADER,
            "no number in a column of right_ankle",
        ),
        ([r.replace(",-1,", ",oops,") for r in files.rows("walk")], files.HEADER, "text where numbers belong"),
    ],
)
def test_broken_files_are_refused(tmp_path, lines, header, message):
    files.write(tmp_path, lines, header)
    with pytest.raises((ValueError, OSError), match=message) as caught:
        list(read_w_har(tmp_path))
    assert "motion_data_22_users.csv" in str(caught.value)


def test_the_file_with_windows_is_another_file(tmp_path):
    (tmp_path / "motion_data_22_users_with_window.csv").write_text(files.HEADER)
    with pytest.raises(OSError, match="raw_data/motion_data_22_users.csv"):
        list(read_w_har(tmp_path))
