"""Systems of table B on windows of any rate, length and setup."""

from pathlib import Path

import numpy as np
import pytest
import torch

from anymo_hf.modeling.body_segments import SEGMENT_INDEX
from anymo_hf.modeling.imu_signal import resample
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.systems.interface import load_system
from anymo_hf.systems.retrained import body_windows
from anymo_hf.systems.retrained_networks import JointGraph
from anymo_hf.systems.unimts import NODES


def recording(count, rate=60.0, places=("left_wrist",), seed=0):
    rng = np.random.default_rng(seed)
    return ImuRecording({place: rng.normal(size=(count, 6)) for place in places}, rate, "walking")


def test_a_window_is_cut_in_pieces_and_a_short_one_wrapped_around():
    long, short = recording(650), recording(70)
    found = body_windows("X", [long, short], 300, 300)
    assert found.signals.shape == (3, 300, 23, 6) and found.owners.tolist() == [0, 0, 1]
    wrist = SEGMENT_INDEX["L_Forearm"]
    assert found.worn.sum() == 3 and found.worn[:, wrist].all()
    signal = long.signals["left_wrist"]
    np.testing.assert_allclose(found.signals[:2, :, wrist].reshape(600, 6), signal[:600], rtol=1e-6)
    np.testing.assert_allclose(
        found.signals[2, :, wrist], np.tile(short.signals["left_wrist"], (5, 1))[:300], rtol=1e-6
    )
    assert not np.delete(found.signals, wrist, axis=2).any()
    with pytest.raises(ValueError, match="X: window 0: 'left_forearm' and 'left_wrist' are one segment, L_Forearm"):
        body_windows("X", [recording(60, places=("left_wrist", "left_forearm"))], 300, 300)


def test_the_joint_graph_reads_accelerations_at_20_hz_on_its_22_joints(monkeypatch):
    encoder, seen = JointGraph(1 / 16), []
    monkeypatch.setattr(encoder.graph, "forward", lambda x: seen.append(x) or x[:, 0, 0])
    windows = torch.randn(2, 90, 23, 6)
    worn = torch.zeros(2, 23, dtype=torch.bool)
    worn[0, [SEGMENT_INDEX["T8"], SEGMENT_INDEX["T12"]]] = True
    worn[1, SEGMENT_INDEX["R_Foot"]] = True
    encoder(windows, worn)
    (joints,) = seen
    assert joints.shape == (2, 30, 22, 3)
    foot = resample(windows[1, :, SEGMENT_INDEX["R_Foot"], :3].double().numpy(), 60, 20)
    np.testing.assert_allclose(joints[1, :, NODES["R_Foot"]], foot, atol=1e-4)
    both = windows[0, :, [SEGMENT_INDEX["T8"], SEGMENT_INDEX["T12"]], :3].double().mean(1).numpy()
    np.testing.assert_allclose(joints[0, :, NODES["T8"]], resample(both, 60, 20), atol=1e-4)
    assert not joints[1, :, : NODES["R_Foot"]].any() and not joints[0, :, NODES["R_Foot"]].any()


def test_the_student_of_comodo_sees_whole_windows_of_any_length(small_system):
    student = small_system("comodo_student")
    student.placements = ("waist",)
    steps = np.linspace(0, 1, 900)[:, None] * np.ones(6)
    long, short = (ImuRecording({"waist": part}, 60.0) for part in (steps, steps[::6]))
    np.testing.assert_allclose(student.features([long]), student.features([short]), atol=1e-2)
    first = ImuRecording({"waist": steps[:300]}, 60.0)
    assert abs(student.features([long]) - student.features([first])).max() > 1e-3


def test_the_folder_of_another_model_is_no_damaged_one(tmp_path):
    with pytest.raises(
        ValueError, match="holds weights of anymo, not of unimts_objective; give the folder of unimts_o"
    ):
        load_system("unimts_objective", str(Path(__file__).parents[2] / "anymo"))
    for content in ("{}", "[1]", '{"system": "unimts_objective"}'):
        (tmp_path / "model.safetensors").touch()
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(OSError, match="config.json is missing or damaged .*; train unimts_objective again"):
            load_system("unimts_objective", str(tmp_path))


def test_one_sensor_systems_average_the_placements(small_system):
    system = small_system("imu2clip_objective")
    both = recording(300, places=("left_wrist", "right_ankle"))
    parts = [ImuRecording({place: signal}, 60.0, "walking") for place, signal in both.signals.items()]
    apart = system.embed_imu(parts)
    mean = apart.mean(0) / np.linalg.norm(apart.mean(0))
    np.testing.assert_allclose(system.embed_imu([both])[0], mean, atol=1e-5)


def test_a_forest_learns_from_the_windows_whose_texts_are_nearest(small_system):
    forest = small_system("imugpt_objective")
    chosen = forest._examples(["7", "12"])
    assert chosen[0][0] == 7 and chosen[1][0] == 12 and len(chosen[0]) == 5
