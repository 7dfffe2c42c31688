"""Shifts of the setup: a turn keeps lengths and angles, a slow device keeps slow motion, another device adds its errors."""

import numpy as np
import pytest

from anymo_hf.evaluation.shifts import read_by, renamed, sampled_slowly, turned
from anymo_hf.recordings.imu_recording import ImuRecording


@pytest.fixture
def recordings():
    rng = np.random.default_rng(0)
    return [
        ImuRecording({"waist": rng.normal(size=(60, 6))}, 50.0, label, subject=person, dataset="toy")
        for person in "abcdefgh"
        for label in ("walk", "sit", "stand")
        for _ in range(3)
    ]


def test_one_turn_a_person_keeps_lengths_and_angles(recordings):
    other = turned(recordings, seed=1)
    for before, after in zip(recordings, other, strict=True):
        one, two = before.signals["waist"], after.signals["waist"]
        np.testing.assert_allclose(one[:, :3] @ one[:, 3:].T, two[:, :3] @ two[:, 3:].T, atol=1e-9)
        assert np.abs(one - two).max() > 0.1
    turn = [np.linalg.lstsq(b.signals["waist"][:, :3], a.signals["waist"][:, :3], rcond=None)[0]
            for b, a in zip(recordings, other, strict=True)]  # fmt: skip
    np.testing.assert_allclose(turn[0], turn[8])
    assert np.abs(turn[0] - turn[9]).max() > 0.1
    again, third = turned(recordings, seed=1), turned(recordings, seed=2)
    np.testing.assert_array_equal(other[0].signals["waist"], again[0].signals["waist"])
    assert np.abs(other[0].signals["waist"] - third[0].signals["waist"]).max() > 0.1


def test_a_slow_device_keeps_what_is_below_half_its_rate_and_no_more():
    time = np.arange(500) / 100
    slow, fast = np.sin(2 * np.pi * 2 * time), np.sin(2 * np.pi * 17 * time)
    given = ImuRecording({"waist": np.stack([slow, fast, slow + fast, slow, fast, slow], 1)}, 100.0)
    (seen,) = sampled_slowly([given])
    middle = seen.signals["waist"][100:-100]
    assert seen.sampling_rate == 100.0 and middle.shape == (300, 6)
    np.testing.assert_allclose(middle[:, 0], slow[100:-100], atol=0.02)
    np.testing.assert_allclose(middle[:, 1], 0, atol=0.02)
    np.testing.assert_allclose(middle[:, 2], slow[100:-100], atol=0.03)
    already = ImuRecording({"waist": np.ones((40, 6))}, 20.0)
    assert sampled_slowly([already])[0] is already


def test_another_device_has_one_bias_a_person(recordings):
    still = [ImuRecording({"waist": np.tile([0, 0, 9.8, 0, 0, 0], (500, 1))}, 50.0, subject=p) for p in "aab"]
    seen = [one.signals["waist"] for one in read_by(still, seed=0)]
    bias = [signal.mean(0) - [0, 0, 9.8, 0, 0, 0] for signal in seen]
    assert 0.01 < np.abs(bias[0][:3]).max() < 1.0
    np.testing.assert_allclose(bias[0], bias[1], atol=0.03)
    assert np.abs(bias[0] - bias[2]).max() > 0.03
    assert 1e-4 < seen[0][:, :3].std(0).max() < 0.2 and not np.array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(read_by(still, seed=0)[2].signals["waist"], seen[2])
    with pytest.raises(ValueError, match="no gyroscope at 'waist'"):
        read_by([ImuRecording({"waist": np.ones((60, 3))}, 50.0)], 0)


def test_another_place_is_given_out_as_the_old_one():
    one = ImuRecording({"left_wrist": np.ones((5, 6)), "right_wrist": np.zeros((5, 6))}, 50.0)
    (seen,) = renamed([one, ImuRecording({"left_wrist": np.ones((5, 6))}, 50.0)], "left_wrist", "right_wrist")
    assert list(seen.signals) == ["left_wrist"] and not seen.signals["left_wrist"].any()
