"""Ego4D: columns by name, two sensors in one table, time stamps, COMODO's lists; broken files are refused."""

import json

import numpy as np
import pytest
from support.dataset_files import ego4d as files

from anymo_hf.recordings.datasets.ego4d import LABELS, VIDEOS, read_ego4d, sampled_down


def test_labels_are_the_papers_31_in_the_order_of_the_scenarios():
    assert len(LABELS) == len(set(LABELS.values())) == 31 and list(LABELS) == sorted(LABELS)
    assert sum(VIDEOS.values()) == 1588


def test_columns_are_read_by_name_and_each_sensor_by_its_own_rows(tmp_path):
    seconds = 40 + np.arange(1600) / 400  # rows of the accelerometer and of the gyroscope take turns, 200 Hz each
    even = np.arange(1600) % 2 == 0
    files.write(tmp_path, files.UID[0], seconds, even, ~even)
    files.lists(tmp_path, test=[(files.UID[0], "Cooking")], train=[(files.UID[1], "eating")])
    (only,) = read_ego4d(tmp_path)
    head = only.signals["head"]
    grid = only.start_time + np.arange(len(head)) / 200
    assert only.start_time == pytest.approx(seconds[1]) and only.sampling_rate == 200
    assert len(head) == pytest.approx(799, abs=1)
    np.testing.assert_allclose(
        head, np.stack([grid / 100, 0 * grid, 0 * grid + 9.8, grid / 100, 0 * grid, 0 * grid], 1)
    )
    assert (only.label, only.label_id, only.session) == ("cooking", sorted(LABELS).index("cooking"), files.UID[0])


def test_rows_without_a_time_stamp_are_dropped_and_counted_and_pauses_split(tmp_path):
    seconds = np.arange(1200) / 200
    seconds[600:] += 30
    seconds[100:103] = np.nan
    order = np.random.default_rng(0).permutation(1200)  # the file is not in time order
    files.write(tmp_path, files.UID[0], np.r_[seconds[order], seconds[0]])  # and one stamp stands twice
    files.lists(tmp_path, test=[(files.UID[0], "cooking")])
    with pytest.warns(UserWarning, match=rf"dropped 3 rows without a time stamp: {files.UID[0]} \(3\)"):
        parts = list(read_ego4d(tmp_path))
    assert [round(part.start_time) for part in parts] == [0, 33] and [len(p.signals["head"]) for p in parts] == [
        600,
        600,
    ]


def test_a_fast_sensor_is_low_passed_before_samples_are_dropped():
    clock = np.arange(8000) / 1000
    for frequency, kept in ((20, 1.0), (170, 0.0)):  # 170 Hz would show as 30 Hz at 200
        wave = np.tile(np.sin(2 * np.pi * frequency * clock)[:, None], (1, 3))
        ((start, signal),) = sampled_down([(clock, wave), (clock, wave)], 200.0)
        expected = kept * np.sin(2 * np.pi * frequency * np.arange(1600) / 200)
        assert start == 0 and np.abs(signal[100:-100, 0] - expected[100:-100]).max() < 0.01


def test_without_lists_all_is_given_and_the_metadata_names_single_scenarios_and_people(tmp_path):
    for uid in files.UID[:3]:
        files.write(tmp_path, uid, np.arange(400) / 200)
    jobs = "jobs related to construction/renovation company\n(Director of work, tiler, plumber, Electrician, Handyman, etc)"
    videos = [
        {"video_uid": files.UID[0], "scenarios": [jobs], "fb_participant_id": 17},
        {"video_uid": files.UID[1], "scenarios": ["Cooking", "Eating"], "fb_participant_id": None},
    ]
    (tmp_path / "ego4d.json").write_text(json.dumps({"videos": videos}))
    with pytest.warns(UserWarning, match="split is unknown and all 3 recordings are given"):
        found = list(read_ego4d(tmp_path))
    assert [(r.label, r.subject) for r in found] == [("construction / renovation jobs", "17"), (None, ""), (None, "")]
    (tmp_path / "ego4d.json").write_text("[1]")
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="ego4d.json: no list 'videos'"):
        list(read_ego4d(tmp_path))


def test_the_lists_choose_and_what_is_missing_is_counted(tmp_path):
    for uid in files.UID[:2]:
        files.write(tmp_path, uid, np.arange(400) / 200)
    files.lists(tmp_path, test=[(files.UID[0], "farmer"), (files.UID[3], "baker")], train=[(files.UID[1], "bike")])
    with pytest.warns(UserWarning, match=f"1 of 2 recordings of the Ego4D lists are not there: {files.UID[3]}"):
        assert [r.label for r in read_ego4d(tmp_path)] == ["farmer"]
    assert [r.label for r in read_ego4d(tmp_path, "train")] == ["bike"]
    with pytest.warns(UserWarning):
        assert [r.label for r in read_ego4d(tmp_path, None)] == ["farmer", "bike"]
    with pytest.raises(OSError, match=r"val\.txt of Ego4D is missing"):
        list(read_ego4d(tmp_path, "val"))
    with pytest.raises(ValueError, match="split must be one of"):
        list(read_ego4d(tmp_path, "holdout"))
    files.lists(tmp_path, train=[(files.UID[0], "bike")])
    with pytest.raises(ValueError, match=rf"{files.UID[0]} stands in train\.txt too"):
        list(read_ego4d(tmp_path))
    files.lists(tmp_path, train=[(files.UID[1], "bike"), (files.UID[2], "eating"), (files.UID[3], "juggling")])
    with pytest.raises(ValueError, match=r"train\.txt, line 3: .*'juggling', which is no known class"):
        list(read_ego4d(tmp_path))


@pytest.mark.filterwarnings("ignore:.*split is unknown")
def test_videos_without_a_sensor_or_in_other_units_are_left_out_and_named(tmp_path):
    clock = np.arange(400) / 200
    files.write(tmp_path, files.UID[0], clock)
    files.write(tmp_path, files.UID[1], clock, gyro=np.zeros(400, bool))
    path = files.write(tmp_path, files.UID[2], clock)
    path.write_text(path.read_text().replace("9.8", "1.0"))
    with pytest.warns(
        UserWarning, match=rf"left out 2 of 3 .*{files.UID[1]}.csv: gyro columns are empty; .*{files.UID[2]}.csv.*m/s"
    ):
        assert [r.session for r in read_ego4d(tmp_path)] == [files.UID[0]]
    (tmp_path / "v2" / "imu" / f"{files.UID[0]}.csv").unlink()
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="no recording can be used; the first: .*gyro"):
        list(read_ego4d(tmp_path))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda t: t.replace("accl_y", "acc_y"), ValueError, r"columns \['accl_y'\] are missing"),
        (lambda t: t.replace("9.8", "high", 3), ValueError, "text stands where numbers belong"),
        (lambda t: "", OSError, "not a readable CSV"),
        (lambda t: t.splitlines()[0] + "\n", ValueError, "no row below the header"),
        (lambda t: "\x00\x01\xff", ValueError, "are missing"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*split is unknown")
def test_broken_tables_are_refused(tmp_path, change, error, message):
    path = files.write(tmp_path, files.UID[0], np.arange(400) / 200)
    path.write_text(change(path.read_text()))
    with pytest.raises(error, match=message) as caught:
        list(read_ego4d(tmp_path))
    assert str(path) in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*split is unknown")
def test_other_time_units_and_mostly_empty_stamps_are_refused(tmp_path):
    with pytest.raises(OSError, match="no imu/<video_uid>.csv found"):
        list(read_ego4d(tmp_path))
    for factor in (1e-3, 1e6):  # seconds, nanoseconds
        files.write(tmp_path, files.UID[0], factor * np.arange(400) / 200)
        with pytest.raises(ValueError, match="expected milliseconds"):
            list(read_ego4d(tmp_path))
    clock = np.arange(400) / 200
    clock[50:300] = np.nan
    files.write(tmp_path, files.UID[0], clock)
    with pytest.raises(ValueError, match="empty in 250 of 400 rows"):
        list(read_ego4d(tmp_path))
