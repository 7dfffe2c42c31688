"""The small Nymeria is read by the true reader, and its IMUs agree with the motion they come from."""

import csv

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from anymo_hf.annotation.bench_classes import label_space
from anymo_hf.modeling.body_segments import SEGMENT_INDEX
from anymo_hf.motion.procedural import ACTIVITIES as ALL_ACTIVITIES
from anymo_hf.motion.procedural import SubjectStyle
from anymo_hf.nymeria import imu as nymeria_imu
from anymo_hf.nymeria.imu import DEVICES, read_nymeria_imu
from anymo_hf.nymeria.mini_nymeria import ACTIVITIES, _motion, write_mini_nymeria
from anymo_hf.nymeria.narration import time_map_from_first_row
from anymo_hf.nymeria.sequence import read_nymeria, sequence_folders
from anymo_hf.nymeria.sequence_check import check_nymeria
from anymo_hf.simulation.kinematics import segment_kinematics

needs_vrs = pytest.mark.skipif(nymeria_imu._pyvrs() is None, reason="needs vrs: pip install vrs")


@pytest.fixture(autouse=True)
def light_reader(monkeypatch):
    """`vrs` rather than projectaria-tools, which prints."""
    monkeypatch.setattr(nymeria_imu, "_aria", lambda: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mini") / "nymeria"
    write_mini_nymeria(folder, people=2, sessions=1, seconds=15, progress=False)
    return folder


@pytest.mark.slow
@needs_vrs
def test_every_sequence_is_sound(folder):
    folders = sequence_folders(folder)
    assert [path.name.split("_act")[0] for path in folders] == ["20230601_s0_ada_alder", "20230601_s0_bruno_alder"]
    for path in folders:
        check = check_nymeria(path, imu=True)
        assert check.problems == [] and check.notes == []
        assert not any(check.repairs.values()), check.repairs
        assert set(check.usable) == {"metadata", "skeleton", "narrations", *(f"imu {device}" for device in DEVICES)}


@needs_vrs
def test_annotations_are_the_narrations(folder):
    table = pd.read_parquet(folder / "annotations.parquet")
    for path in sequence_folders(folder):
        sequence = read_nymeria(path)
        rows = table[table.session_id == path.name]
        start = sequence.repairs.timestamps_us[0] * 1e-6
        assert len(rows) == len(sequence.motion.narrations) == 2
        for row, narration in zip(rows.itertuples(), sequence.motion.narrations, strict=True):
            assert row.start_time_sec - start == pytest.approx(narration.start, abs=1e-4)
            assert row.end_time_sec - start == pytest.approx(narration.end, abs=1e-4)
            assert narration.text.count("C ") == 1 and len(row.augmentations) == 5
            assert row.subject_id == sequence.metadata.subject
        guess = pytest.warns(UserWarning, match="a guess")
        with guess:
            first_row = time_map_from_first_row(path, path.name, int(sequence.repairs.timestamps_us[0]))
        assert first_row.timecode_seconds(0.0) == pytest.approx(sequence.time_map.timecode_seconds(0.0), abs=1e-3)


@pytest.mark.slow
@needs_vrs
def test_gyroscopes_turn_as_their_segments(folder):
    path = sequence_folders(folder)[0]
    sequence = read_nymeria(path)
    turning = segment_kinematics(sequence.motion, 240.0).angular_velocity
    clock = sequence.repairs.timestamps_us * 1e-6
    for device, segment in (("head", "Head"), ("left_wrist", "L_Forearm"), ("right_wrist", "R_Forearm")):
        truth = np.linalg.norm(turning[:, SEGMENT_INDEX[segment]], axis=1)
        spread = []
        for stream in ("1202-1", "1202-2"):
            imu = read_nymeria_imu(path, device, stream)
            turn = np.linalg.norm(imu.signals[:, 3:], axis=1)
            calm = imu.signals[turn < np.median(turn), :3]  # where the segment hardly turns, gravity is what is felt
            assert np.median(np.linalg.norm(calm, axis=1)) == pytest.approx(9.81, abs=0.4)
            here = np.interp(clock, imu.time, np.linalg.norm(imu.signals[:, 3:], axis=1))
            inside = (clock > imu.time[0] + 0.1) & (clock < imu.time[-1] - 0.1)
            assert np.corrcoef(here[inside], truth[inside])[0, 1] > 0.97
            spread.append(np.std(np.diff(imu.signals[:, 3:], n=3, axis=0)) / np.sqrt(imu.sampling_rate))
        assert spread[1] > 1.3 * spread[0]  # the second unit is the noisier one


def test_same_seed_same_bytes(folder, tmp_path):
    write_mini_nymeria(tmp_path / "again", people=1, sessions=1, seconds=15, progress=False)
    files = [path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*") if path.is_file()]
    assert len(files) == 7
    for name in files:
        if name.name != "annotations.parquet":
            assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_labels_belong_to_the_bench():
    kept = set(label_space("fine150").labels)
    assert {ALL_ACTIVITIES[name].label for name in ACTIVITIES} <= kept


def test_csv_counts_the_heads_clock(folder):
    path = sequence_folders(folder)[0]
    with (path / "narration" / "atomic_action.csv").open() as file:
        rows = list(csv.DictReader(file))
    with np.load(path / "body" / "xdata.npz") as data:
        start = data["timestamps_us"][0] * 1e-6
    assert abs(float(rows[0]["start_time"]) - start) > 10
    assert float(rows[1]["start_time"]) == pytest.approx(float(rows[0]["end_time"]), abs=2e-6)


def test_refuses_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="seconds in 6..3600"):
        write_mini_nymeria(tmp_path / "a", seconds=2)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").touch()
    with pytest.raises(OSError, match="holds files already"):
        write_mini_nymeria(tmp_path / "b")


def test_activities_flow_into_each_other_without_a_jump():
    style = SubjectStyle.draw(np.random.default_rng([0, 0]))
    _, quaternions, narrations = _motion(0, 40.0, 0, 0, style)
    assert len(narrations) > 4
    frames = (
        Rotation.from_quat(quaternions.reshape(-1, 4), scalar_first=True)
        .as_matrix()
        .reshape(*quaternions.shape[:2], 3, 3)
    )
    step = Rotation.from_matrix((frames[:-1].swapaxes(-1, -2) @ frames[1:]).reshape(-1, 3, 3)).magnitude()
    assert step.max() * 240 < 25  # rad/s; a fade that changes its way round turns by hundreds
