"""The demonstration: who is simulated, what they wear, what is near, and that the picture is drawn."""

import numpy as np
import pytest
from PIL import Image

from anymo_hf.modeling.body_segments import SEGMENT_INDEX, resolve_placement
from anymo_hf.motion.procedural import ACTIVITIES, HELD_OUT_SEED
from anymo_hf.motion.skeleton import tpose_positions
from anymo_hf.pictures import demo
from anymo_hf.pictures.body import candidate_places
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.systems import activity_labels, known_motions

FEW = ("squats", "standing", "walking")


@pytest.fixture
def few(monkeypatch):
    for module in (demo, activity_labels, known_motions):
        monkeypatch.setattr(module, "ACTIVITIES", {name: ACTIVITIES[name] for name in FEW})


def test_worn_signals_feel_gravity_at_rest_and_repeat():
    worn = ["left_wrist", "right_pocket", "head"]
    recording = demo.simulated_recording(activity="standing", placements=worn)
    for signal in recording.signals.values():
        assert signal.shape == (300, 6)
        assert np.linalg.norm(signal[:, :3], axis=1).mean() == pytest.approx(9.81, abs=0.6)
    again = demo.simulated_recording(activity="standing", placements=worn)
    assert all(np.array_equal(recording.signals[name], again.signals[name]) for name in worn)
    assert recording.label == "standing" and recording.label in recording.labels


def test_a_wearer_is_as_tall_as_the_motion_and_wears_a_watch_at_the_hand():
    recording = demo.simulated_recording(HELD_OUT_SEED + 3, "walking", ["left_wrist", "right_wrist"])
    elbow, hand = SEGMENT_INDEX["L_Forearm"], SEGMENT_INDEX["L_Hand"]
    motion, body = recording.motion, recording.body
    forearm = np.linalg.norm(motion.positions[0, hand] - motion.positions[0, elbow])
    still = tpose_positions(body.height)
    assert forearm == pytest.approx(np.linalg.norm(still[hand] - still[elbow]), rel=0.02)
    for name, row in recording.sites.items():
        assert body.segment[row] == resolve_placement(name)
        assert np.linalg.norm(body.offset[row]) > 0.7 * forearm
    # where the picture puts the watch is by the hand in every frame
    for frame in (0, 100, 299):
        place = candidate_places(body, motion, frame)[0][recording.sites["left_wrist"]]
        assert np.linalg.norm(place - motion.positions[frame, hand]) < 0.12


def test_three_random_devices_on_three_segments():
    setups = [demo.simulated_recording(HELD_OUT_SEED + number).signals for number in range(12)]
    assert all(len({resolve_placement(name) for name in setup}) == 3 for setup in setups)
    assert len({tuple(sorted(setup)) for setup in setups}) > 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((HELD_OUT_SEED - 1,), "at least"),
        ((HELD_OUT_SEED, "flying"), "unknown activity"),
        ((HELD_OUT_SEED, "walking", []), "placements is empty"),
        ((HELD_OUT_SEED, "walking", ["head", "left_ear"]), "two sensors"),
    ],
)
def test_what_cannot_be_simulated(arguments, message):
    with pytest.raises(ValueError, match=message):
        demo.simulated_recording(*arguments)


def test_a_real_recording_comes_from_the_folder(tmp_path, monkeypatch):
    windows = [
        ImuRecording({"right_pocket": np.full((100, 6), n, float)}, 20.0, label, subject="7", session="A")
        for n, label in enumerate(["walking"] * 20 + ["jogging"])
    ]
    monkeypatch.setattr(demo, "read_windows", lambda name, folder: iter(windows))
    with pytest.raises(OSError, match="none of the folders"):
        demo.real_recording(tmp_path)
    (tmp_path / "wisdm").mkdir()
    chosen = [demo.real_recording(tmp_path, seed) for seed in range(20)]
    assert 4 <= sum(item.label == "jogging" for item in chosen) <= 16  # classes first, then windows
    assert (
        demo.real_recording(tmp_path / "wisdm", 3).signals["right_pocket"][0, 0]
        == chosen[3].signals["right_pocket"][0, 0]
    )
    assert chosen[0].labels == ("walking", "jogging", "stairs", "kicking ball")
    with pytest.raises(OSError, match="no such folder"):
        demo.real_recording(tmp_path / "none")


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_demo_answers_and_draws(tiny_parts, few, tmp_path, real):
    if real:  # without a gyroscope and without a known pose
        body = demo.load_template()
        recording = demo.DemoRecording(
            {"right_pocket": np.random.default_rng(0).normal(size=(100, 3))}, 20.0, "walking",
            labels=("walking", "jogging"), title="a phone", sites={"right_pocket": int(body.ranges()[0][15])},
        )  # fmt: skip
    else:
        recording = demo.simulated_recording(activity="squats", placements=["left_wrist", "right_ankle", "chest"])
    result = demo.run_demo(*tiny_parts, recording, tmp_path / "new" / "demo.png")
    assert sum(score for score, _ in result.activities) == pytest.approx(1, abs=1e-5)
    assert {label for _, label in result.activities} == set(recording.labels)
    report = result.report()
    assert f"true activity: {recording.label}" in report and str(result.picture) in report
    with Image.open(result.picture) as image:
        pixels = np.asarray(image.convert("L"))
    assert min(pixels.shape) > 500 and 0.02 < (pixels < 250).mean() < 0.6
