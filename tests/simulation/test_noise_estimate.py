"""Noise estimator: finds the densities, steps and Allan deviations of simulated and directly computed streams."""

import numpy as np
import pytest
import torch

from anymo_hf.simulation.noise_estimate import allan_deviation, bias_instability, estimate_noise, quantisation_step
from anymo_hf.simulation.sensor_noise import NoiseModel, add_noise


def partly_still(white: tuple[float, float], rate: float = 100.0, seconds: int = 60, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(int(rate * seconds)) / rate
    moving = ((time % 10) < 5)[:, None] * 5 * np.sin(2 * np.pi * 3 * time)[:, None]
    return moving + rng.normal(size=(len(time), 6)) * np.repeat(white, 3)


def test_densities_of_a_partly_still_stream_come_back():
    found = estimate_noise(partly_still((0.02, 0.004)), 100.0)
    np.testing.assert_allclose(found.acc_density * 50**0.5, 0.02, rtol=0.1)
    np.testing.assert_allclose(found.gyro_density * 50**0.5, 0.004, rtol=0.1)
    assert found.still and found.acc_step is None and found.acc_instability is None
    assert found.quiet_seconds == pytest.approx(6.0) and 4 <= found.longest_still <= 6


@pytest.mark.parametrize("densities", [(4e-3, 2e-4), (1e-2, 2e-3)])
def test_noise_of_the_sensor_model_comes_back_with_its_step(densities):
    model = NoiseModel(*densities, acc_bias=0.1, acc_range=40.0, gyro_range=35.0, bits=16)
    clean = torch.tensor(partly_still((0.0, 0.0)), dtype=torch.float64)[None, :, None]
    noisy = add_noise(clean, [model], torch.Generator().manual_seed(0), frame_rate=100.0)[0, :, 0].numpy()
    found = estimate_noise(noisy, 100.0)
    # rounding adds step²/12 to the variance of a sample
    for name, density, full_scale in (("acc", densities[0], 40.0), ("gyro", densities[1], 35.0)):
        step = 2 * full_scale / 2**16
        expected = np.sqrt(density**2 + step**2 / 12 / 50)
        np.testing.assert_allclose(getattr(found, f"{name}_density"), expected, rtol=0.12)
        np.testing.assert_allclose(getattr(found, f"{name}_step"), step, rtol=1e-3)
    assert found.model(bits=12) == NoiseModel(found.acc_density, found.gyro_density, bits=12)


def test_smooth_motion_in_every_window_is_called_moving():
    time = np.arange(6000) / 100.0
    swing = 0.3 * np.sin(2 * np.pi * 1.1 * time)[:, None]
    noise = np.random.default_rng(0).normal(size=(6000, 6)) * 1e-3
    found = estimate_noise(swing + noise, 100.0)
    assert not found.still and found.gyro_instability is None
    np.testing.assert_allclose(found.gyro_density * 50**0.5, 1e-3, rtol=0.2)


def test_three_columns_and_several_recordings():
    parts = [partly_still((0.02, 0.004), seed=seed)[:, :3] for seed in range(3)]
    found = estimate_noise(parts, 100.0)
    assert found.gyro_density is None and found.gyro_range is None
    np.testing.assert_allclose(found.acc_density * 50**0.5, 0.02, rtol=0.15)
    with pytest.raises(ValueError, match="gyro_density"):
        found.model()


def test_allan_deviation_is_the_textbook_sum():
    signal = np.random.default_rng(0).normal(size=(200, 2)).cumsum(axis=0)
    times, deviation = allan_deviation(signal, 50.0)
    for row, size in enumerate((times * 50).round().astype(int)):
        means = np.array([signal[start : start + size].mean(axis=0) for start in range(200 - size + 1)])
        pairs = [means[start + size] - means[start] for start in range(len(means) - size)]
        np.testing.assert_allclose(deviation[row], np.sqrt(0.5 * np.mean(np.square(pairs), axis=0)), rtol=1e-9)
    white = np.random.default_rng(1).normal(size=(20000, 3)) * 0.02
    times, deviation = allan_deviation(white, 100.0)
    # white noise: density / sqrt(2 tau), with a density of sigma / sqrt(rate / 2)
    np.testing.assert_allclose(deviation[:6, 0], 0.02 / 50**0.5 / (2 * times[:6]) ** 0.5, rtol=0.05)


def test_bias_instability_needs_a_long_stretch_and_a_minimum():
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(20000, 3)) * 0.02 + (rng.normal(size=(20000, 3)) * 2e-4).cumsum(axis=0)
    found = bias_instability(walk, 100.0)
    times, deviation = allan_deviation(walk, 100.0)
    assert found == pytest.approx(deviation.min() / 0.664) and times[0] < times[deviation[:, 0].argmin()] < times[-1]
    assert bias_instability(walk[:2000], 100.0) is None
    assert bias_instability(np.zeros((20000, 3)), 100.0) is None


@pytest.mark.parametrize(("step", "decimals"), [(9.80665 / 720, None), (0.01, 2), (0.0043, 6)])
def test_steps_are_found_and_smooth_values_have_none(step, decimals):
    rng = np.random.default_rng(0)
    smooth = rng.normal(size=4000) * 30 * step
    values = (smooth / step).round() * step
    found = quantisation_step(values if decimals is None else values.round(decimals))
    assert found == pytest.approx(step, rel=1e-3)
    assert quantisation_step(smooth) is None and quantisation_step(np.zeros(100)) is None


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="10 or more"):
        estimate_noise(np.zeros((50, 6)), 60.0)
    with pytest.raises(ValueError, match=r"\(T, 6\)"):
        estimate_noise(np.zeros((500, 4)), 60.0)
    with pytest.raises(ValueError, match=r"\(T, 6\)"):
        estimate_noise([np.zeros((500, 6)), np.zeros((500, 3))], 60.0)
    with pytest.raises(ValueError, match="10 samples"):
        allan_deviation(np.zeros((5, 3)), 60.0)
