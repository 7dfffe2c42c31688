"""Harmonic profiles: known sine waves come out with their amplitude at their harmonic, in any orientation."""

import numpy as np
from scipy.spatial.transform import Rotation

from anymo_hf.evaluation.signal_comparison import HARMONICS, compare, harmonic_profile, simulated_signals


def test_a_known_walk_has_its_amplitudes_in_any_orientation():
    time = np.arange(600) / 60
    signal = np.zeros((2, 600, 6))
    signal[..., 2] = 9.81 + 3 * np.sin(2 * np.pi * 1.8 * time)  # along gravity, twice a stride
    signal[..., 0] = 1.2 * np.sin(2 * np.pi * 0.9 * time)  # across, once a stride
    signal[..., 5] = 0.7 * np.sin(2 * np.pi * 2.7 * time)  # about gravity, three times
    turn = Rotation.random(rng=np.random.default_rng(0)).as_matrix()
    signal[1] = np.concatenate([signal[1, :, :3] @ turn.T, signal[1, :, 3:] @ turn.T], axis=1)
    step, profile = harmonic_profile(signal, 60.0)
    np.testing.assert_allclose(step, 1.8, atol=0.03)
    for part, order, peak in ((0, 2, 3.0), (1, 1, 1.2), (2, 3, 0.7)):
        np.testing.assert_allclose(profile[:, part, HARMONICS.index(order)], peak / 2**0.5, rtol=0.03)
    np.testing.assert_allclose(profile[0], profile[1], atol=0.02)


def test_harmonics_beyond_half_the_rate_are_not_claimed():
    signal = np.zeros((1, 100, 6))
    signal[..., 2] = 9.81 + np.sin(2 * np.pi * 3.0 * np.arange(100) / 10)
    assert np.isnan(harmonic_profile(signal, 10.0)[1][0, 0, -1])


def test_simulated_people_wear_one_sensor_and_missing_data_is_left_out(tmp_path):
    assert simulated_signals("walking", "waist", people=2, frames=120).shape == (2, 120, 6)
    assert list(compare(tmp_path)) == []
