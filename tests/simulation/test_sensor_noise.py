"""Sensor noise: the drawn errors have the stated sizes, and the estimator finds them again."""

import numpy as np
import pytest
import torch

from anymo_hf.simulation.sensor_noise import PRESETS, NoiseModel, add_noise, estimate_noise


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_white_noise_has_the_stated_density():
    model = NoiseModel(acc_density=0.01, gyro_density=0.002)
    noisy = add_noise(torch.zeros(8, 300, 23, 6), [model], generator())
    expected = np.array([0.01] * 3 + [0.002] * 3) * 30**0.5
    np.testing.assert_allclose(noisy.std(dim=(0, 1, 2)).numpy(), expected, rtol=0.03)


def test_bias_and_scale_are_constant_within_a_window():
    signals = torch.ones(400, 5, 4, 6)
    noisy = add_noise(signals, [NoiseModel(0, 0, acc_bias=0.2, gyro_bias=0.01, scale=0.0, bits=24)], generator())
    assert noisy.std(dim=1).max() < 1e-5
    np.testing.assert_allclose(noisy[:, 0, :, :3].std(), 0.2, rtol=0.05)
    np.testing.assert_allclose(noisy[:, 0, :, 3:].std(), 0.01, rtol=0.05)
    scaled = add_noise(10 * signals, [NoiseModel(0, 0, scale=0.02, bits=24)], generator())
    np.testing.assert_allclose((scaled / 10 - 1).std(), 0.02, rtol=0.05)


def test_drift_grows_over_the_window_by_the_stated_amount():
    model = NoiseModel(0, 0, acc_drift=0.5, gyro_drift=0.1, bits=24)
    noisy = add_noise(torch.zeros(400, 361, 4, 6), [model], generator())
    assert noisy[:, 0].abs().max() < 1e-4
    # 360 steps at 60 Hz are a tenth of a minute: a random walk reaches sqrt(0.1) of its one-minute spread.
    np.testing.assert_allclose(noisy[:, -1, :, :3].std(), 0.5 * 0.1**0.5, rtol=0.05)
    np.testing.assert_allclose(noisy[:, -1, :, 3:].std(), 0.1 * 0.1**0.5, rtol=0.05)


def test_range_saturates_and_readings_are_quantised():
    model = NoiseModel(0, 0, acc_range=20.0, gyro_range=2.0, bits=4)
    noisy = add_noise(torch.linspace(-50, 50, 201)[None, :, None, None].expand(1, 201, 1, 6), [model], generator())
    assert noisy[..., :3].abs().max() == 20.0 and noisy[..., 3:].abs().max() == 2.0
    steps = noisy[..., :3] / 2.5
    torch.testing.assert_close(steps, steps.round())


def test_same_seed_same_bytes_and_input_is_left_alone():
    signals = torch.randn(2, 30, 23, 6, generator=generator(9))
    before = signals.clone()
    one = add_noise(signals, tuple(PRESETS), generator(4))
    assert torch.equal(one, add_noise(signals, tuple(PRESETS), generator(4)))
    assert not torch.equal(one, add_noise(signals, tuple(PRESETS), generator(5)))
    assert torch.equal(signals, before)


def test_estimator_recovers_the_noise_of_a_partly_still_stream():
    rng = np.random.default_rng(0)
    rate, seconds = 100.0, 60
    time = np.arange(int(rate * seconds)) / rate
    moving = ((time % 10) < 5)[:, None] * 5 * np.sin(2 * np.pi * 3 * time)[:, None]
    white = rng.normal(size=(len(time), 6)) * ([0.02] * 3 + [0.004] * 3)
    model = estimate_noise(moving + white, rate)
    np.testing.assert_allclose(model.acc_density * (rate / 2) ** 0.5, 0.02, rtol=0.1)
    np.testing.assert_allclose(model.gyro_density * (rate / 2) ** 0.5, 0.004, rtol=0.1)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="phone, watch"):
        add_noise(torch.zeros(1, 2, 3, 6), ["toaster"], generator())
    with pytest.raises(ValueError, match="empty"):
        add_noise(torch.zeros(1, 2, 3, 6), [], generator())
    with pytest.raises(ValueError, match=r"\(B, T, P, 6\)"):
        add_noise(torch.zeros(2, 3, 6), ["phone"], generator())
    with pytest.raises(ValueError, match="acc_bias"):
        NoiseModel(0.1, 0.1, acc_bias=-1)
    with pytest.raises(ValueError, match="10 or more"):
        estimate_noise(np.zeros((50, 6)), 60.0)
