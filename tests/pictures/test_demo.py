"""The demonstration: who is simulated, what they wear, what is near, and that the picture is drawn."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from anymo_hf.modeling.body_segments import SEGMENT_INDEX, resolve_placement
from anymo_hf.motion.procedural import ACTIVITIES, HELD_OUT_SEED, simulate_activity
from anymo_hf.motion.skeleton import tpose_positions
from anymo_hf.pictures import demo
from anymo_hf.pictures.body import candidate_places
from anymo_hf.recordings.imu_recording import ImuRecording

FEW = ("squats", "standing", "walking")


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(demo, "ACTIVITIES", {name: ACTIVITIES[name] for name in FEW})


def test_labels_are_distinct_names():
    labels = demo.activity_labels()
    assert len(set(labels)) == len(labels) == len(ACTIVITIES)
    assert {"walking", "walking up stairs", "sitting"} <= set(labels)


def test_held_out_windows_are_balanced_distinct_and_unseen(tiny_parts, few, monkeypatch):
    drawn = []

    def spy(name, seed, *rest):
        drawn.append((name, seed))
        return simulate_activity(name, seed, *rest)

    monkeypatch.setattr(demo, "simulate_activity", spy)
    found = demo.held_out_windows(tiny_parts[1], 8)
    codes, worn, texts = found.codes, found.placements, found.texts
    assert min(seed for _, seed in drawn) >= HELD_OUT_SEED and len(set(drawn)) == len(drawn)
    made = {simulate_activity(name, seed, 5.0).narrations[0].text: name for name, seed in drawn}
    assert len(set(texts)) == 8
    assert sorted(Counter(made[text] for text in texts).values()) == [2, 3, 3]
    assert len({made[text] for text in texts[:3]}) == 3
    assert all(row.shape == (2 * 75,) for row in codes) and all(1 <= len(set(row)) <= 5 for row in worn)
    # a longer list begins with the shorter one
    again = demo.held_out_windows(tiny_parts[1], 4)
    assert again.texts == texts[:4] and again.placements == worn[:4] and again.activities == found.activities[:4]
    assert [made[text] for text in texts] == found.activities
    assert np.mean([np.mean(a == b) for a, b in zip(again.codes, codes, strict=False)]) > 0.99
    with pytest.raises(ValueError, match="count"):
        demo.held_out_windows(tiny_parts[1], 0)


def test_a_held_out_window_does_not_depend_on_other_activities(tiny_parts, few, monkeypatch):
    def windows(activities):
        with monkeypatch.context() as patch:
            patch.setattr(demo, "ACTIVITIES", {name: ACTIVITIES[name] for name in activities})
            found = demo.held_out_windows(tiny_parts[1], 2 * len(activities))
        return {
            text: (row.tolist(), places)
            for text, row, places in zip(found.texts, found.codes, found.placements, strict=True)
        }

    many, fewer = windows(FEW), windows(FEW[1:])
    assert len(fewer) == 2 * len(FEW) - 2
    for text, (row, places) in fewer.items():
        assert many[text][1] == places
        assert np.mean(np.array(many[text][0]) == np.array(row)) > 0.99  # batches round differently


def test_a_hundred_windows_spread_evenly_over_activities_and_have_their_own_texts(monkeypatch):
    shown = []
    monkeypatch.setattr(demo, "_encode", lambda processor, motions, worn, seed: shown.extend(motions))
    found = demo.held_out_windows(None, 100)
    worn, texts = found.placements, found.texts
    counts = Counter(motion.name for motion in shown)
    # as evenly as 100 windows can be: with more activities than windows, no activity twice
    assert len(counts) == min(100, len(ACTIVITIES)) and set(counts) <= set(ACTIVITIES)
    assert set(counts.values()) <= {max(1, 100 // len(ACTIVITIES)), 100 // len(ACTIVITIES) + 1}
    assert texts == [motion.narrations[0].text for motion in shown] and len(set(texts)) >= 99
    assert 40 <= sum(len(row) == 1 for row in worn) <= 90


def test_a_known_motion_is_nearest_to_itself(tiny_parts, few):
    model, processor = tiny_parts
    worn = [SEGMENT_INDEX["L_Forearm"], SEGMENT_INDEX["Head"]]
    motions = [simulate_activity(name, 0, demo.WINDOW_SECONDS) for name in FEW]
    codes = demo._encode(processor, motions, [worn] * 3, 0)
    own = demo.imu_embeddings(model, processor, codes, [sorted(worn)] * 3)
    np.testing.assert_allclose(np.linalg.norm(own, axis=1), 1, rtol=1e-5)
    found = demo.nearest_motions(model, processor, own, worn, top_k=3, seeds=(0,))
    for row, motion in zip(found, motions, strict=True):
        scores = [score for score, _ in row]
        assert scores == sorted(scores, reverse=True) and scores[0] == pytest.approx(1, abs=1e-4)
        near = {text for score, text in row if score > 1 - 1e-4}
        assert motion.narrations[0].text in near
        assert {text for _, text in row} == {other.narrations[0].text for other in motions}


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


@pytest.mark.parametrize("real", [False, True])
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
