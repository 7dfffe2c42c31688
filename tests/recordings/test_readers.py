"""Readers: small fixtures in each raw format give SI units and right labels; broken variants are refused."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from support.dataset_files import uci_har as uci_har_files

from anymo_hf.recordings.catalogue import DATASETS, read_windows
from anymo_hf.recordings.datasets.openpack import SPLITS, read_openpack
from anymo_hf.recordings.datasets.uci_hapt import read_hapt
from anymo_hf.recordings.datasets.uci_har import read_uci_har
from anymo_hf.recordings.datasets.usc_had import read_usc_had
from anymo_hf.recordings.datasets.utd_mhad import read_utd_mhad
from anymo_hf.recordings.datasets.wisdm import read_wisdm
from anymo_hf.recordings.devices.export import read_export
from anymo_hf.recordings.devices.table import read_csv
from anymo_hf.recordings.imu_recording import ImuRecording, unbroken_spans

G = 9.80665


def test_uci_har_windows_are_in_si_units_with_labels(tmp_path):
    uci_har_files.write(tmp_path)
    first, second, third = read_uci_har(tmp_path)
    assert (first.label, second.label, third.label) == ("stand", "walk", "lay")
    np.testing.assert_allclose(first.signals["waist"][0], [G, 0.25 * G, 0.25 * G, 0.25, 0.25, 0.25])
    assert first.signals["waist"].shape == (128, 6) and first.sampling_rate == 50


def _packed(folder, inner=False):
    """A zip of what is in `folder`, within another zip if asked, in a folder of its own."""
    target = folder.parent / (folder.name + "-packed") / "download.zip"
    target.parent.mkdir()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent))
    if inner:
        outer = target.with_name("outer.zip")
        with zipfile.ZipFile(outer, "w") as archive:
            archive.write(target, "Human Activity/download.zip")
        target.unlink()
        return outer
    return target


def _assert_equal_recordings(first, second):
    first, second = list(first), list(second)
    assert first and len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert (a.label, a.label_id, a.subject, a.session) == (b.label, b.label_id, b.subject, b.session)
        for name in a.signals:
            np.testing.assert_array_equal(a.signals[name], b.signals[name])


def test_downloads_are_read_as_they_come_in_zips_and_zips_within_zips(tmp_path):
    signal = np.tile([1.0, 0, 0, 180.0, 0, 0], (50, 1))
    uci_har_files.write(tmp_path / "uci")
    raw = tmp_path / "hapt" / "RawData"
    raw.mkdir(parents=True)
    for kind in ("acc", "gyro"):
        np.savetxt(raw / f"{kind}_exp01_user01.txt", np.arange(300).reshape(100, 3) / 10000 + [1, 0, 0])
    (raw / "labels.txt").write_text("1 1 4 11 70\n")
    usc = tmp_path / "usc" / "USC-HAD" / "Subject3"
    usc.mkdir(parents=True)
    savemat(usc / "a2t1.mat", {"sensor_readings": signal})
    savemat(usc / "a10t1.mat", {"sensor_readings": signal})
    utd = tmp_path / "utd" / "Inertial"
    utd.mkdir(parents=True)
    savemat(utd / "a22_s1_t1_inertial.mat", {"d_iner": signal})
    readers = {"uci": read_uci_har, "hapt": read_hapt, "usc": read_usc_had, "utd": read_utd_mhad}
    for name, read in readers.items():
        packed = _packed(tmp_path / name, inner=name == "uci")
        _assert_equal_recordings(read(packed), read(tmp_path / name))
        _assert_equal_recordings(read(packed.parent), read(tmp_path / name))
        packed.write_bytes(packed.read_bytes()[: packed.stat().st_size // 2])
        with pytest.raises(OSError, match=packed.name):
            list(read(packed))


def test_uci_har_refuses_missing_folder_cut_rows_and_unequal_files(tmp_path):
    with pytest.raises(OSError, match="Inertial Signals"):
        list(read_uci_har(tmp_path))
    signals = uci_har_files.write(tmp_path)
    np.savetxt(signals / "body_gyro_z_test.txt", np.zeros((2, 128)))
    with pytest.raises(ValueError, match="number of windows"):
        list(read_uci_har(tmp_path))
    (signals / "body_gyro_z_test.txt").write_text("1.0 2.0\n3.0 oops\n")
    with pytest.raises(ValueError, match="body_gyro_z_test.txt"):
        list(read_uci_har(tmp_path))


def test_hapt_cuts_labelled_samples_and_drops_transitions(tmp_path):
    raw = tmp_path / "HAPT Data Set" / "RawData"
    raw.mkdir(parents=True)
    ramp = np.arange(100)[:, None] / 1000 * np.ones(3) + [0, 1, 0]
    np.savetxt(raw / "acc_exp01_user01.txt", ramp)
    np.savetxt(raw / "gyro_exp01_user01.txt", ramp)
    (raw / "labels.txt").write_text("1 1 4 11 70\n1 1 7 71 90\n")
    (only,) = read_hapt(tmp_path)
    assert only.label == "sit" and len(only.signals["waist"]) == 60
    np.testing.assert_allclose(only.signals["waist"][0, [0, 3]], [0.01 * G, 0.01])
    (raw / "labels.txt").write_text("1 1 4 11 170\n")
    with pytest.raises(ValueError, match="lie outside"):
        list(read_hapt(tmp_path))


def test_matlab_trials_convert_g_and_degrees_and_take_labels_from_names(tmp_path):
    signal = np.tile([1.0, 0, 0, 180.0, 0, 0], (50, 1))
    subject = tmp_path / "USC-HAD" / "Subject3"
    subject.mkdir(parents=True)
    savemat(subject / "a10t2.mat", {"sensor_readings": signal})
    savemat(subject / "a2t1.mat", {"sensor_readings": signal})
    second, tenth = read_usc_had(tmp_path)
    assert (second.label, tenth.label, tenth.subject) == ("walk left", "sleep", "3")
    np.testing.assert_allclose(tenth.signals["right_hip"][0], [G, 0, 0, np.pi, 0, 0])
    inertial = tmp_path / "UTD-MHAD" / "Inertial"
    inertial.mkdir(parents=True)
    savemat(inertial / "a21_s1_t1_inertial.mat", {"d_iner": signal})
    savemat(inertial / "a22_s1_t1_inertial.mat", {"d_iner": signal})
    assert [list(r.signals) for r in read_utd_mhad(tmp_path)] == [["right_wrist"], ["right_thigh"]]


def test_matlab_trials_refuse_missing_variable_cut_file_and_foreign_activity(tmp_path):
    subject = tmp_path / "Subject1"
    subject.mkdir()
    savemat(subject / "a1t1.mat", {"other": np.zeros((5, 6))})
    with pytest.raises(ValueError, match="'sensor_readings' is missing"):
        list(read_usc_had(tmp_path))
    (subject / "a1t1.mat").write_bytes(b"MATLAB 5.0 cut")
    with pytest.raises(OSError, match="a1t1.mat"):
        list(read_usc_had(tmp_path))
    (subject / "a1t1.mat").rename(subject / "a13t1.mat")
    with pytest.raises(ValueError, match="a<1..12>"):
        list(read_usc_had(tmp_path))


def test_openpack_keeps_the_true_clock_and_drops_null_and_long_operations(tmp_path):
    user = tmp_path / "U0101"
    (user / "atr" / "atr01").mkdir(parents=True)
    (user / "annotation" / "openpack-operations").mkdir(parents=True)
    clock = 1_648_531_521_000 + 30 * np.arange(2000)  # 33.3 Hz
    seconds = (clock - clock[0]) / 1000
    rows = ["unixtime,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z"]
    rows += [f"{t},{s / 1000},0,1,0,0,90" for t, s in zip(clock, seconds, strict=True)]
    file = user / "atr" / "atr01" / "S0100.csv"
    file.write_text("\n".join(rows))
    times = [f"2022-03-29 14:25:2{second}.000000+09:00" for second in (3, 5)]
    (user / "annotation" / "openpack-operations" / "S0100.csv").write_text(
        f"id,start,end\n100,{times[0]},{times[1]}\n8100,{times[0]},{times[1]}\n"
    )
    (only,) = read_openpack(tmp_path)
    wrist = only.signals["right_wrist"]
    assert only.label == "Picking" and len(wrist) == 60
    np.testing.assert_allclose(np.diff(wrist[:, 0]), G / 30_000, rtol=1e-6)  # acc_x counts true milliseconds
    np.testing.assert_allclose(wrist[:, 5], np.pi / 2)
    _assert_equal_recordings(read_openpack(_packed(tmp_path / "U0101")), [only])
    kept = [row for t, row in zip(clock, rows[1:], strict=True) if not 3200 < t - clock[0] < 4400]
    file.write_text("\n".join([rows[0], *kept]))  # a pause of 1.2 s leaves 1.18 and 0.6 s of the operation
    (part,) = read_openpack(tmp_path)
    np.testing.assert_allclose(part.signals["right_wrist"][:, 0] / G * 1000, 2 + np.arange(35) / 30, atol=1e-6)
    (user / "atr" / "atr02").mkdir()
    other = user / "atr" / "atr02" / "S0100.csv"
    other.write_text("\n".join(rows))
    assert [r.signals["left_wrist"].shape for r in read_openpack(tmp_path)] == [(35, 6)]
    other.write_text(rows[0] + "\n")
    with pytest.raises(ValueError, match="no row below the header"):
        list(read_openpack(tmp_path))
    for cells in (",0,0,1,0,0,90", f"{clock[0] - 1},0,0,1,0,0,90"):
        other.write_text("\n".join([*rows, cells]))
        with pytest.raises(ValueError, match="unixtime is missing in a row or runs backward"):
            list(read_openpack(tmp_path))
    other.write_text("\n".join([*rows[:-1], rows[-1].replace("90", "fast")]))
    with pytest.raises(ValueError, match="atr02/S0100.csv: text where numbers belong.*fast"):
        list(read_openpack(tmp_path))
    file.write_text("unixtime,acc_x\n1,2\n")
    with pytest.raises(ValueError, match="acc_y"):
        list(read_openpack(tmp_path))


def _preprocessed(folder, operations, name="U0101-S0100"):
    """Ten seconds of each operation at 33.3 Hz, in the 42 columns of the preprocessed release."""
    channels = [f"acc_{a}" for a in "xyz"] + [f"gyro_{a}" for a in "xyz"] + [f"quat_{a}" for a in "wxyz"]
    header = ["unixtime", "operation", *(f"atr0{device}/{channel}" for device in range(1, 5) for channel in channels)]
    sensors = ",".join(f"0,{device / 100},1,0,0,{90 * device},0,0,0,0" for device in range(1, 5))
    rows = [f"{1_648_531_521_000 + 30 * i},{operations[i // 333]},{sensors}" for i in range(333 * len(operations))]
    path = folder / "imuWithOperationLabel" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([",".join(header), *rows]))


@pytest.mark.parametrize("operations", [(100, 1000, 8100, 300), (0, 9, 10, 2)])
def test_openpack_preprocessed_with_ids_and_with_counted_operations(tmp_path, operations):
    _preprocessed(tmp_path, operations)
    recordings = list(read_openpack(tmp_path))
    assert [(r.label, r.label_id) for r in recordings] == [
        ("Picking", 100), ("Fill out Order", 1000), ("Assemble Box", 300)
    ]  # fmt: skip
    assert {(r.subject, r.session, r.sampling_rate) for r in recordings} == {("U0101", "S0100", 30.0)}
    for recording in recordings:
        assert list(recording.signals) == ["right_wrist", "left_wrist", "right_upper_arm", "left_upper_arm"]
        for device, signal in enumerate(recording.signals.values(), 1):
            np.testing.assert_allclose(signal, np.tile([0, device / 100 * G, G, 0, 0, device * np.pi / 2], (299, 1)))
    _preprocessed(tmp_path, (100, 150))
    with pytest.raises(ValueError, match="U0101-S0100.csv: operation 150 in row 335 is not one of"):
        list(read_openpack(tmp_path))


def test_openpack_splits_are_those_of_the_challenge(tmp_path):
    sizes = {name: len(sessions) for name, sessions in SPLITS.items()}
    assert sizes == {"train": 44, "val": 7, "test": 4} and len(set().union(*SPLITS.values())) == 55
    for name in ("U0102-S0300", "U0101-S0300", "U0101-S0100", "U0209-S0500"):
        _preprocessed(tmp_path, (100,), name)
    for split, user, session in (("test", "U0102", "S0300"), ("val", "U0101", "S0300"), ("train", "U0101", "S0100")):
        assert [(r.subject, r.session) for r in read_openpack(tmp_path, split)] == [(user, session)]
    assert len(list(read_openpack(tmp_path))) == 4
    (tmp_path / "imuWithOperationLabel" / "U0102-S0300.csv").unlink()
    with pytest.raises(OSError, match="no session of the split test"):
        list(read_openpack(tmp_path, "test"))
    with pytest.raises(ValueError, match="split must be one of train, val, test"):
        list(read_openpack(tmp_path, "validation"))


# what each reader takes for the stored acceleration at rest and for a slow turn
STORED = {
    "uci_har": (1, 0.5),
    "hapt": (1, 0.5),
    "usc_had": (1, 30),
    "utd_mhad": (1, 30),
    "openpack": (1, 30),
    "wisdm": (G, 0.5),
}


def _stored(name, folder, acceleration, turning):
    """A small original of one of the datasets, whose sensors read these numbers along one axis."""
    values = np.tile([0, acceleration, 0, 0, turning, 0], (300, 1))
    if name == "uci_har":
        signals = uci_har_files.write(folder)
        for kind, value in (("total_acc", acceleration), ("body_gyro", turning)):
            for axis in "xyz":
                np.savetxt(signals / f"{kind}_{axis}_test.txt", np.full((3, 128), value * (axis == "y")))
        return read_uci_har(folder)
    if name == "hapt":
        raw = folder / "RawData"
        raw.mkdir(parents=True)
        np.savetxt(raw / "acc_exp01_user01.txt", values[:, :3])
        np.savetxt(raw / "gyro_exp01_user01.txt", values[:, 3:])
        (raw / "labels.txt").write_text("1 1 4 1 300\n")
        return read_hapt(folder)
    if name in ("usc_had", "utd_mhad"):
        file, key = {
            "usc_had": ("Subject1/a1t1.mat", "sensor_readings"), "utd_mhad": ("a1_s1_t1_inertial.mat", "d_iner")
        }[name]  # fmt: skip
        (folder / file).parent.mkdir(parents=True)
        savemat(folder / file, {key: values})
        return {"usc_had": read_usc_had, "utd_mhad": read_utd_mhad}[name](folder)
    if name == "openpack":
        _preprocessed(folder, (100,))
        path = folder / "imuWithOperationLabel" / "U0101-S0100.csv"
        cells = ",".join([f"0,{acceleration},0,0,{turning},0,0,0,0,0"] * 4)
        head, *rows = path.read_text().splitlines()
        path.write_text("\n".join([head, *(",".join(row.split(",")[:2]) + "," + cells for row in rows)]))
        return read_openpack(folder)
    for number, kind in ((acceleration, "accel"), (turning, "gyro")):
        path = folder / "raw" / "phone" / kind / f"data_1600_{kind}_phone.txt"
        path.parent.mkdir(parents=True)
        path.write_text("".join(f"1600,A,{int(i * 5e7)},0,{number},0;\n" for i in range(300)))
    return read_wisdm(folder)


@pytest.mark.parametrize("name", STORED)
def test_other_units_and_swapped_channels_are_refused_by_file(tmp_path, name):
    rest, turning = STORED[name]
    assert all(recording.source for recording in _stored(name, tmp_path / "right", rest, turning))
    per_unit = {1: G, G: 1}[rest]  # to m/s^2
    degree = np.pi / 180 if turning == 30 else 1
    for case, acceleration, turn, message in (
        ("twice", rest * G, turning, r"at '\w+' is 96.* instead of 9.0 to 10.6 m/s\^2; it is probably scaled twice"),
        ("g", rest / G, turning, "is 1 instead of .* probably in g; take the original"),
        ("linear", rest * 0.02, turning, "probably without gravity, or in another unit"),
        ("swapped", 0.5 / per_unit, 9.8 / degree, "the columns of accelerometer and gyroscope are swapped"),
        ("degrees", rest, 60 / degree, "99th percentile of the angular velocity .* is 60 rad/s, over 40; degrees"),
    ):
        folder = tmp_path / case
        with pytest.raises(ValueError, match=f"{folder}.*{message}"):
            list(_stored(name, folder, acceleration, turn))


def _wisdm(folder, text, gyro=None):
    for kind, lines in (("accel", text), ("gyro", gyro or text)):
        path = folder / "raw" / "phone" / kind
        path.mkdir(parents=True, exist_ok=True)
        (path / f"data_1600_{kind}_phone.txt").write_text(lines)


def test_wisdm_aligns_two_clocks_splits_gaps_and_skips_single_broken_lines(tmp_path):
    def lines(offset):
        stamps = [int((offset + i / 20 + (5 if i >= 100 else 0)) * 1e9) for i in range(200)]
        return "".join(f"1600,B,{t},{(t / 1e9 - 100) / 10},0,9.8;\n" for t in stamps)

    shuffled = np.random.default_rng(0).permutation(lines(100.0).splitlines(keepends=True))  # blocks are not in order
    _wisdm(tmp_path, "1600,B,12\n" + "".join(shuffled), lines(100.013))
    recordings = list(read_wisdm(tmp_path))
    assert [r.label for r in recordings] == ["jogging", "jogging"]
    for recording in recordings:
        pocket = recording.signals["right_pocket"]
        np.testing.assert_allclose(pocket[:, 0], pocket[:, 3], atol=1e-6)  # both hold the time itself
    _wisdm(tmp_path, "not,a,wisdm,file\n" * 20)
    with pytest.raises(ValueError, match="of 20 lines"):
        list(read_wisdm(tmp_path))


def test_wisdm_names_the_subjects_without_a_gyroscope_once(tmp_path):
    lines = "".join(f"1600,B,{100 + i / 20:.2f}e9,0,0,9.8;\n" for i in range(100))
    _wisdm(tmp_path, lines)
    for subject in (1601, 1610):
        (tmp_path / "raw" / "phone" / "accel" / f"data_{subject}_accel_phone.txt").write_text(lines)
    with pytest.warns(UserWarning, match="left out 2 of 3 subjects.*missing: 1601, 1610;") as caught:
        assert [r.subject for r in read_wisdm(tmp_path)] == ["1600"]
    assert len(caught) == 1
    (tmp_path / "raw" / "phone" / "gyro" / "data_1600_gyro_phone.txt").unlink()
    with pytest.raises(OSError, match="gyro"):
        list(read_wisdm(tmp_path))


def test_csv_units_names_and_rate_from_time_stamps(tmp_path):
    path = tmp_path / "walk.csv"
    path.write_text("time,Acc_X,acc_y,acc_z\n" + "".join(f"{i * 20},0,0,1\n" for i in range(100)))
    recording = read_csv(path, "left_wrist", acceleration_unit="g")
    assert recording.sampling_rate == pytest.approx(50)
    np.testing.assert_allclose(recording.signals["left_wrist"], np.tile([0, 0, G], (100, 1)))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n", {}, "no acceleration columns"),
        ("acc_x,acc_y,acc_z\n1,2,3\n1,2,\n", {"rate": 50}, "row 3"),
        ("acc_x,acc_y,acc_z\n1,2,3\n1,2,3\n", {}, "give rate="),
        ("acc_x,acc_y,acc_z\n1,2,3\n", {"rate": 50, "acceleration_unit": "furlong"}, "acceleration_unit"),
        ("time,acc_x,acc_y,acc_z\n2,1,2,3\n1,1,2,3\n", {}, r"row 3: 1 lies before 2 of row 2; sort"),
        ("acc_x,acc_y,acc_z\n1,2,3\n", {"rate": 0}, "rate must lie between 1 and 10,000"),
        ("acc_x,acc_y,acc_z\n1,2,3\n", {"rate": 50, "time_column": "clock"}, "time_column= 'clock' is not among"),
        ("time,acc_x,acc_y,acc_z\n2,1,2,3\n", {}, "1 rows are no recording"),
        ("acc_x,acc_y,acc_z\n1,2,3,4\n1,2,3,4\n", {"rate": 50}, "more values than the header"),
    ],
)
def test_broken_csv_is_refused_with_the_mend(tmp_path, text, options, message):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_csv(path, "waist", **options)
    with pytest.raises(OSError, match="nothing.csv"):
        read_csv(tmp_path / "nothing.csv", "waist", rate=50)


def _stamped(path, stamps):
    """A CSV whose x axis counts the rows."""
    path.write_text("time,acc_x,acc_y,acc_z\n" + "".join(f"{stamp},{i},0,1\n" for i, stamp in enumerate(stamps)))
    return path


def _iso(seconds, zone="+02:00"):
    return [f"2024-05-01T12:{int(s) // 60:02d}:{s % 60:06.3f}{zone}" for s in seconds]


def test_csv_date_times_are_time_stamps(tmp_path):
    times = 58.0 + np.arange(200) / 50  # across a full minute
    for stamps in (_iso(times), _iso(times, ""), [stamp.replace("T", " ") for stamp in _iso(times, "Z")]):
        recording = read_csv(_stamped(tmp_path / "walk.csv", stamps), "waist")
        assert recording.sampling_rate == pytest.approx(50)
        np.testing.assert_allclose(recording.signals["waist"][:, 0], np.arange(200), atol=1e-6)


def test_csv_bridges_lost_samples_but_no_pause(tmp_path):
    times = np.arange(300) / 50
    lost = np.delete(times, slice(100, 145))  # 0.92 s
    values = read_csv(_stamped(tmp_path / "lost.csv", lost), "waist").signals["waist"]
    assert len(values) == 300 and values[122, 0] == pytest.approx(99.5, abs=0.1)
    for stamps in (times + 600 * (times >= 2), _iso(times + 600 * (times >= 2))):
        path = _stamped(tmp_path / "pause.csv", stamps)
        with pytest.raises(
            ValueError, match=r"pause for 600 s between rows 101 and 102; cut the file there, or give rate="
        ):
            read_csv(path, "waist")
    assert len(read_csv(path, "waist", rate=50).signals["waist"]) == 300
    with pytest.raises(ValueError, match=r"pause for 1\.02 s between rows 101 and 102"):
        read_csv(_stamped(tmp_path / "a.csv", np.delete(times, slice(100, 150))), "waist")


@pytest.mark.parametrize(
    ("row", "stamp", "message"),
    [
        (7, "0.1", r"row 9: 0\.1 repeats 0\.1 of row 8; drop the double row, or give rate="),
        (7, "0.01", r"row 9: 0\.01 lies before 0\.1 of row 8; sort the rows by time, or cut"),
        (7, "", r"row 9: an empty cell is neither a number nor an ISO date-time.*repair or drop the row"),
        (7, "noon", r"row 9: 'noon' is neither"),
        (7, "inf", r"row 9: 'inf' is neither"),
    ],
)
def test_csv_time_stamps_are_refused_by_row_with_the_mend(tmp_path, row, stamp, message):
    stamps = ["0", "0.001", "0.02", "0.04", "0.06", "0.08", "0.1", "0.12", "0.14"]
    stamps[row] = stamp
    with pytest.raises(ValueError, match=message):
        read_csv(_stamped(tmp_path / "x.csv", stamps), "waist")
    assert len(read_csv(_stamped(tmp_path / "x.csv", stamps), "waist", rate=50).signals["waist"]) == 9


@pytest.mark.parametrize("dates", [False, True])
def test_a_time_stamp_that_repeats_here_and_there_costs_its_row_and_a_warning(tmp_path, dates):
    times = np.arange(400) / 50
    for repeated in ([200], [5, 100, 101, 399]):
        slipped = times.copy()
        slipped[repeated] = slipped[np.array(repeated) - 1]
        if 101 in repeated:
            slipped[101] = slipped[99]
        path = _stamped(tmp_path / "watch.csv", _iso(slipped) if dates else slipped)
        export = read_export(path, "left_wrist")
        (said,) = [text for text in export.warnings if "repeat" in text]
        rows = f"{len(repeated)} rows repeat the time stamp of the row before them (the first is row {repeated[0] + 2})"
        assert said.startswith(rows)
        values = export.only().signals["left_wrist"]
        assert export.sampling_rate == pytest.approx(50, rel=1e-3) and len(values) in (400, 399)
        # a ramp by rows: what is left out is bridged on the even grid
        np.testing.assert_allclose(values[:, 0], np.arange(len(values)), atol=1e-3)
    slipped = times.copy()
    slipped[10:60:10] = slipped[9:59:10]  # more than one of a hundred
    with pytest.raises(ValueError, match="row 12: .* repeats .* of row 11; drop the double row"):
        read_export(_stamped(tmp_path / "bad.csv", _iso(slipped) if dates else slipped), "left_wrist")


def test_csv_date_times_are_refused_by_row(tmp_path):
    stamps = _iso(np.arange(9) / 50)
    for row, bad, message in (
        (4, "01/05/2024 12:00", "row 6: '01/05/2024 12:00' is neither"),
        (4, stamps[3], "row 6: .* repeats .* of row 5"),
        (4, stamps[0], "row 6: .* lies before .* of row 5"),
    ):
        with pytest.raises(ValueError, match=message):
            read_csv(_stamped(tmp_path / "x.csv", [*stamps[:row], bad, *stamps[row + 1 :]]), "waist")


@pytest.mark.parametrize(
    ("rate", "stamps"),
    [
        (400, np.round(np.arange(500) / 0.4)),  # whole milliseconds: the median step alone says 500 or 333 Hz
        (50, np.delete(np.arange(500) / 50, slice(3, None, 9))),  # every ninth sample lost: the mean alone says 44 Hz
        (50, np.arange(500) // 50),  # whole seconds: no step tells the rate
        (50, _iso(np.arange(500) / 52)),  # 4 % off
        (2000, np.arange(500) / 2000),  # seconds, though so small a step looks like no unit
    ],
)
def test_csv_rate_that_fits_its_time_stamps(tmp_path, rate, stamps):
    assert read_csv(_stamped(tmp_path / "x.csv", stamps), "waist", rate=rate).sampling_rate == rate


@pytest.mark.parametrize(
    ("rate", "stamps", "found"),
    [(100, np.arange(500) * 20, "say 50 Hz"), (50, _iso(np.arange(500) / 54), "say 5[0-9.]+ Hz"), (50, range(9), "1000 Hz"),
     (50, np.arange(9) * 0.5, "rise by 0.5")],
)  # fmt: skip
def test_csv_rate_that_contradicts_its_time_stamps(tmp_path, rate, stamps, found):
    with pytest.raises(ValueError, match=f"{found}, rate= says {rate} Hz; correct rate= or leave it out"):
        read_csv(_stamped(tmp_path / "x.csv", stamps), "waist", rate=rate)


def test_spans_are_where_every_clock_runs():
    first = np.array([0.0, 0.5, 1.5, 4.0, 5.0])  # pauses from 1.5 to 4 s
    second = np.array([0.2, 1.0, 2.0, 3.0, 4.0, 4.5, 8.0, 8.5])
    assert unbroken_spans(first) == [(0.0, 1.5), (4.0, 5.0)]
    assert unbroken_spans(first, second) == [(0.2, 1.5), (4.0, 4.5)]


def test_recording_refuses_nan_shapes_and_rates():
    with pytest.raises(ValueError, match="NaN"):
        ImuRecording({"waist": np.full((5, 6), np.nan)}, 50)
    with pytest.raises(ValueError, match=r"\(T, 6\)"):
        ImuRecording({"waist": np.zeros((5, 4))}, 50)
    with pytest.raises(ValueError, match="sampling_rate"):
        ImuRecording({"waist": np.zeros((5, 6))}, 0)
    with pytest.raises(ValueError, match="differ in length"):
        ImuRecording({"waist": np.zeros((5, 6)), "head": np.zeros((6, 6))}, 50)


def test_windows_do_not_overlap_and_drop_the_tail():
    recording = ImuRecording({"waist": np.arange(60.0).reshape(10, 6)}, 2)
    starts = [w.signals["waist"][0, 0] for w in recording.windows(2.0)]
    assert starts == [0.0, 24.0]


@pytest.mark.realdata
@pytest.mark.parametrize("name", sorted(DATASETS))
def test_real_units_are_plausible(name):
    root = os.environ.get("ANYMO_DATA")
    if not root or not (Path(root) / name).exists():
        pytest.skip(f"set ANYMO_DATA to a folder that holds {name}/")
    magnitude, gyro = [], []
    for recording in read_windows(name, Path(root) / name):
        signal = next(iter(recording.signals.values()))
        magnitude.append(np.linalg.norm(signal[:, :3], axis=1).mean())
        gyro.append(np.percentile(np.abs(signal[:, 3:]), 99))
    assert 9.0 < np.median(magnitude) < 12.5 and np.percentile(gyro, 99) < 40
