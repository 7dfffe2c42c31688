"""What a folder holds, found by content and by name; wrong units, rates, labels and broken files are problems."""

import json
import os
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from support.dataset_files import usc_had as usc_had_files
from support.dataset_files import wisdm as wisdm_files

from anymo_hf.recordings.catalogue import DATASETS, checked_datasets
from anymo_hf.recordings.dataset_check import check_datasets, find_datasets


def test_every_dataset_of_the_suite_is_known():
    assert set(DATASETS) <= set(checked_datasets())
    counts = {"recordings", "sessions", "seconds", "classes", "subjects"}
    for known in checked_datasets().values():
        assert {figure.count for figure in known.published} <= counts
        classes = next(figure.value for figure in known.published if figure.count == "classes")
        assert classes == len({*known.labels, *known.other_labels}) or not known.labels


def test_counts_stand_beside_the_published_ones(tmp_path):
    usc_had_files.write(tmp_path / "downloads" / "USC-HAD")
    wisdm_files.write(tmp_path / "wisdm-dataset")
    places = [("usc_had", tmp_path / "downloads"), ("wisdm", tmp_path / "wisdm-dataset")]
    assert sorted(find_datasets(tmp_path)) == places
    had, wisdm = check_datasets(tmp_path)
    assert (had.name, wisdm.name) == ("usc_had", "wisdm") and not had.problems + wisdm.problems
    assert had.counts == {
        "recordings": 24, "windows": 48, "seconds": 240, "sessions": 24, "classes": 12, "subjects": 2
    }  # fmt: skip
    assert [(figure.count, figure.value) for figure in had.incomplete] == [("recordings", 840), ("subjects", 14)]
    assert had.sensors["right_hip"].acceleration == pytest.approx(9.80665)
    assert had.sensors["right_hip"].angular_velocity == pytest.approx(np.deg2rad(30), rel=1e-5)
    assert had.sampling_rate == 100 and had.measured_rates is None
    assert wisdm.measured_rates == pytest.approx((20, 20)) and len(wisdm.missing_classes) == 16
    assert wisdm.classes == {"walking": 1, "jogging": 1}


def test_the_folder_itself_may_be_the_dataset(tmp_path):
    usc_had_files.write(tmp_path, activities=[1])
    (report,) = check_datasets(tmp_path)
    assert (report.name, report.folder, report.counts["classes"]) == ("usc_had", str(tmp_path), 1)


def test_a_folder_of_another_dataset_is_found_by_content_and_told_by_name(tmp_path):
    wisdm_files.write(tmp_path / "PAMAP2_Dataset")
    (tmp_path / "usc_had").mkdir()
    by_name = {report.name: report for report in check_datasets(tmp_path)}
    assert not by_name["wisdm"].problems
    assert "named as PAMAP2 but holds WISDM instead" in by_name["pamap2"].problems[0]
    assert "named as USC-HAD but holds none of its files" in by_name["usc_had"].problems[0]
    assert [report.name for report in check_datasets(tmp_path / "usc_had")] == ["usc_had"]


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        ((0, 9.8, 0, 0, 30, 0), "acceleration at 'right_hip' is 96.1 .*probably scaled twice"),
        ((0, 1 / 9.80665, 0, 0, 30, 0), "is 1 instead of 9.0 to 10.6 m/s.*probably in g; take"),
        ((0, 0.01, 0, 0, 30, 0), "without gravity, or in another unit"),
        ((0, 0.05, 0, 0, 565, 0), "columns of accelerometer and gyroscope are swapped"),
        (
            (0, 1, 0, 0, 3000, 0),
            "99th percentile of the angular velocity at 'right_hip' is 52.4 rad/s, over 40; degrees",
        ),
    ],
)
def test_other_units_and_swapped_channels_are_problems(tmp_path, signal, message):
    usc_had_files.write(tmp_path / "usc_had", signal=signal, activities=[1])
    (report,) = check_datasets(tmp_path)
    assert len(report.problems) == 1 and re.search(message, report.problems[0]), report.problems


def test_a_moving_person_is_judged_by_the_seconds_at_rest(tmp_path):
    place = tmp_path / "usc_had" / "Subject1"
    place.mkdir(parents=True)
    signal = np.tile([0, 1, 0, 0, 30.0, 0], (1000, 1))
    signal[300:, 1] += 0.3 + 0.5 * np.sin(np.arange(700))  # work raises the median over all
    savemat(place / "a1t1.mat", {"sensor_readings": signal})
    (report,) = check_datasets(tmp_path)
    assert not report.problems and report.sensors["right_hip"].acceleration == pytest.approx(9.80665)


def test_time_stamps_of_another_rate_are_a_problem(tmp_path):
    wisdm_files.write(tmp_path / "wisdm", rate=50.0)
    (report,) = check_datasets(tmp_path)
    assert "data_1600_accel_phone.txt: its time stamps say 50 Hz where WISDM has 20" in report.problems[0]


W_HAR = "Time (s),User,Scenerio,Trial,Ax,Ay,Az,GyroX,GyroY,GyroZ\n"  # the last column has no name


@pytest.mark.parametrize(
    ("name", "rate", "header", "row"),
    [
        ("pamap2", 100, "", lambda i: f"{8.38 + i / 100:.2f} 0 NaN " + "1.5 " * 51),
        ("opportunity", 30, "", lambda i: f"{round(i * 1000 / 30)} " + "NaN " * 242 + "0 " * 7),
        ("w_har", 250, W_HAR, lambda i: f"{i * 0.004:.3f},1,1,1,0,0,1,0,0,0,walk"),
        ("realworld", 50, "id,attr_time,attr_x,attr_y,attr_z\n", lambda i: f"{i},{1435993000000 + 20 * i},0,9.8,0"),
        ("openpack", 33.33, "unixtime,acc_x\n", lambda i: f"{1648531521000 + 30 * i},0"),
    ],
)
def test_time_stamps_of_each_format_give_its_rate(tmp_path, name, rate, header, row):
    path = tmp_path / "file"
    path.write_text(header + "".join(row(i) + "\n" for i in range(300)))
    assert 1 / np.median(np.diff(DATASETS[name].time_stamps.read(path))) == pytest.approx(rate, rel=0.02)


def test_a_broken_file_ends_its_dataset_only_and_is_named(tmp_path):
    usc_had_files.write(tmp_path / "usc_had")
    (tmp_path / "usc_had" / "Subject2" / "a5t1.mat").write_bytes(b"MATLAB 5.0 cut")
    wisdm_files.write(tmp_path / "wisdm")
    had, wisdm = check_datasets(tmp_path)
    assert "a5t1.mat: no MATLAB file of level 5" in had.problems[0] and had.counts["recordings"] == 12
    assert not wisdm.problems


def test_readers_warnings_are_notes(tmp_path):
    wisdm_files.write(tmp_path / "wisdm", subjects=(1600, 1601))
    (tmp_path / "wisdm" / "raw" / "phone" / "gyro" / "data_1601_gyro_phone.txt").unlink()
    (report,) = check_datasets(tmp_path)
    assert not report.problems and "left out 1 of 2 subjects" in report.notes[0]


def test_unlabelled_recordings_are_counted(tmp_path):
    folder = tmp_path / "ego4d_data" / "v2" / "imu"
    folder.mkdir(parents=True)
    rows = [f"{5 * i},0,9.8,0,0,0.1,0" for i in range(1200)]
    names = "canonical_timestamp_ms,accl_x,accl_y,accl_z,gyro_x,gyro_y,gyro_z"
    (folder / "00000000-1111-2222-3333-444444444444.csv").write_text("\n".join([names, *rows]))
    (report,) = check_datasets(tmp_path)
    assert not report.problems and report.measured_rates == pytest.approx((200, 200))
    assert "split is unknown" in report.notes[0] and "1 of 1 recordings have no label" in report.notes[1]
    assert {figure.count for figure in report.incomplete} == {"sessions", "classes"}


def test_labels_that_the_dataset_lacks_are_a_problem(tmp_path, monkeypatch):
    usc_had_files.write(tmp_path / "usc_had", activities=[1, 2])
    monkeypatch.setitem(DATASETS, "usc_had", replace(DATASETS["usc_had"], labels=("walk forward",)))
    (report,) = check_datasets(tmp_path)
    assert r"labels ['walk left'] are not among USC-HAD's 1 classes" in report.problems[0]


def test_a_zip_is_found_and_an_unpacked_copy_goes_first(tmp_path):
    usc_had_files.write(tmp_path / "loose", activities=[1])
    with zipfile.ZipFile(tmp_path / "USC-HAD.zip", "w") as archive:
        archive.write(tmp_path / "loose" / "Subject1" / "a1t1.mat", "USC-HAD/Subject1/a1t1.mat")
    assert find_datasets(tmp_path) == [("usc_had", tmp_path / "loose")]
    for path in sorted((tmp_path / "loose").rglob("*.mat")):
        path.unlink()
    assert find_datasets(tmp_path) == [("usc_had", tmp_path / "USC-HAD.zip")]
    (report,) = check_datasets(tmp_path)
    assert not report.problems and report.counts["recordings"] == 1
    (tmp_path / "USC-HAD.zip").write_bytes(b"PK cut")
    assert find_datasets(tmp_path) == []


def test_the_bundle_is_found_by_its_datasets(tmp_path):
    folder = tmp_path / "UniMTS_data" / "w-HAR"
    folder.mkdir(parents=True)
    names = {str(i): [f"activity {i}"] for i in range(7)}
    (folder / "w-HAR.json").write_text(json.dumps({"label_dictionary": names}))
    for split, labels in (("train", [0, 1, 2]), ("test", [6])):
        np.save(folder / f"X_{split}.npy", np.tile([0, 1.0, 0, 0, 30, 0], (len(labels), 500, 1)))
        np.save(folder / f"y_{split}.npy", np.array(labels))
    (report,) = check_datasets(tmp_path)
    assert report.name == "unimts_w_har" and not report.problems
    assert (report.counts["recordings"], report.counts["seconds"], report.counts["classes"]) == (4, 8, 4)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(OSError, match="no such folder"):
        check_datasets(tmp_path / "nowhere")


@pytest.mark.realdata
@pytest.mark.slow
def test_real_sets_are_what_they_claim():
    found = {report.name: report for report in check_datasets(Path(os.environ["ANYMO_DATA"]))}
    if not found:
        pytest.skip("ANYMO_DATA holds no known dataset")
    assert not {name: report.problems for name, report in found.items() if report.problems}
