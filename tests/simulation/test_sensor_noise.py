"""Sensor model: every drawn error has the stated size, acts as stated, and the seed decides all."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from anymo_hf.simulation.noise_estimate import estimate_noise
from anymo_hf.simulation.sensor_noise import (
    PRESETS,
    NoiseModel,
    add_noise,
    apply_sensors,
    draw_sensors,
    noise_models,
    random_walk,
    read_priors,
    white_noise,
)
from anymo_hf.training.settings import check_views


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


def fine(**sizes) -> NoiseModel:
    """A model with these errors only; its steps are too small to see."""
    return NoiseModel(0, 0, bits=24, **sizes)


def test_bias_walk_is_a_random_walk():
    noisy = add_noise(torch.zeros(300, 241, 4, 6), [fine(acc_drift=0.5)], generator())[..., :3].double()
    steps = noisy.diff(dim=1)
    np.testing.assert_allclose(steps.std(), 0.5 / 3600**0.5, rtol=0.02)
    # steps do not know of each other, so the spread grows with the square root of time
    assert (steps[:, 1:] * steps[:, :-1]).mean().abs() < 0.01 * steps.var()
    np.testing.assert_allclose(noisy[:, 240].std() / noisy[:, 60].std(), 2.0, rtol=0.05)


def test_white_noise_has_a_flat_spectrum():
    noise = white_noise((200, 138, 300), generator()).double()
    power = torch.fft.rfft(noise).abs().square().mean(dim=(0, 1)) / 300
    np.testing.assert_allclose(power[1:-1], 1.0, atol=6 / (200 * 138) ** 0.5)
    walk = random_walk((200, 138, 300), generator()).double()
    assert not walk[..., 0].any()
    steps = torch.fft.rfft(walk.diff(dim=-1)).abs().square().mean(dim=(0, 1)) / 299
    np.testing.assert_allclose(steps[1:-1], 1.0, atol=6 / (200 * 138) ** 0.5)


def test_noise_of_placements_axes_and_views_is_independent():
    """At every lag the largest of many correlations is what independent numbers give: five deviations."""
    frames, rows = 300, 138
    for draw in (white_noise, lambda *how: random_walk(*how).diff(dim=-1)):
        noise = draw((1, rows, frames), generator(3))[0].double()
        spectrum = torch.fft.rfft(noise, n=2 * frames)
        for shift in range(1, rows):  # all pairs, all lags
            both = torch.fft.irfft(spectrum * spectrum.roll(shift, 0).conj(), n=2 * frames)
            assert both.abs().max() < 6 * frames**0.5
    # over many windows even two views that share numbers show nothing on average
    pairs = white_noise((4000, 12, 64), generator(4)).double().view(2000, 2, 12, 64)
    together = torch.einsum("npt,nqt->pq", pairs[:, 0], pairs[:, 1]) / (2000 * 64)
    assert together.abs().max() < 5 / (2000 * 64) ** 0.5
    same = torch.einsum("npt,nqt->pq", pairs[:, 0], pairs[:, 0]) / (2000 * 64) - torch.eye(12)
    assert same.abs().max() < 5 * (2 / (2000 * 64)) ** 0.5


def test_what_devices_add_is_white_and_a_walk_and_unknown_to_other_placements():
    """The same of whole readings: placements and axes of a window, and the views of a pair, share no noise."""
    frames, still = 300, torch.zeros(200, 300, 12, 6)
    white = add_noise(still, [NoiseModel(0.01, 0.01, bits=24)], generator(5)).double()
    walk = add_noise(still, [fine(acc_drift=0.5, gyro_drift=0.5)], generator(6)).double()
    for noise, size, count in ((white, 0.01 * 30**0.5, frames), (walk.diff(dim=1), 0.5 / 3600**0.5, frames - 1)):
        power = torch.fft.rfft(noise / size, dim=1).abs().square().mean(dim=(0, 2, 3)) / count
        np.testing.assert_allclose(power[1:-1], 1.0, atol=6 / (200 * 72) ** 0.5)
        rows = (noise / size).flatten(2).transpose(1, 2)  # (windows, 72, frames)
        spectrum = torch.fft.rfft(rows[:4], n=2 * frames)
        for shift in range(1, 72):  # all pairs of a window, all lags
            both = torch.fft.irfft(spectrum * spectrum.roll(shift, 1).conj(), n=2 * frames)
            assert both.abs().max() < 6.5 * frames**0.5
        together = torch.einsum("npt,nqt->pq", rows, rows) / (200 * count) - torch.eye(72)
        assert together.abs().max() < 6 * (2 / (200 * count)) ** 0.5


def test_long_windows_are_drawn_afresh_and_seeds_decide():
    assert white_noise((1, 3, 2**21), generator()).std() == pytest.approx(1, rel=0.01)
    one, same, other = (random_walk((2, 6, 50), generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_gain_mixes_axes_and_lets_the_gyroscope_read_gravity():
    draws = draw_sensors([fine(scale=0.01, cross_axis=0.02, g_sensitivity=0.003)], 500, 8, generator())
    off = draws.gain - torch.eye(6)
    diagonal = torch.eye(6, dtype=torch.bool)
    block = torch.block_diag(torch.ones(3, 3), torch.ones(3, 3)).bool() & ~diagonal
    np.testing.assert_allclose(off[..., diagonal].std(), 0.01, rtol=0.03)
    np.testing.assert_allclose(off[..., block].std(), 0.02, rtol=0.03)
    np.testing.assert_allclose(off[..., 3:, :3].std(), 0.003, rtol=0.03)
    assert not off[..., :3, 3:].any()
    signals = torch.randn(500, 7, 8, 6, generator=generator(3))
    read = apply_sensors(signals, draws, generator())
    torch.testing.assert_close(read, torch.einsum("bpij,btpj->btpi", draws.gain, signals), atol=2e-5, rtol=1e-4)


def test_clock_errors_read_the_signal_at_other_times():
    time = torch.arange(400, dtype=torch.float64) / 60

    def wave(at: torch.Tensor) -> torch.Tensor:
        return torch.sin(2 * torch.pi * 1.3 * at)[..., None].expand(*at.shape, 6)

    clean = wave(time)[None, :, None].expand(20, 400, 3, 6)
    model = fine(clock_offset=0.05, clock_drift=5000.0)
    draws = draw_sensors([model], 20, 3, generator())
    shown = time[None, :, None] * (1 + draws.clock_drift[:, None]) + draws.clock_offset[:, None]
    assert 0.03 < draws.clock_offset.std() < 0.07 and 3e-3 < draws.clock_drift.std() < 7e-3
    read = apply_sensors(clean, draws, generator())
    inner = (shown > 0.1) & (shown < time[-1] - 0.1)
    assert (read - wave(shown))[inner].abs().max() < 1e-3
    jittered = add_noise(clean, [fine(clock_jitter=0.002)], generator())
    slope = 2 * torch.pi * 1.3 * torch.cos(2 * torch.pi * 1.3 * time)
    expected = 0.002 * slope[5:-5].square().mean().sqrt()
    np.testing.assert_allclose((jittered - clean)[:, 5:-5].square().mean().sqrt(), expected, rtol=0.05)
    # one clock a device: all six channels are shifted alike
    assert (jittered[..., 0] - jittered[..., 5]).abs().max() < 3e-5  # a step of the coarser sensor


def test_draws_can_be_kept_and_used_again():
    signals = torch.randn(4, 30, 23, 6, generator=generator(9))
    draws = draw_sensors(tuple(PRESETS), 4, 23, generator(1))
    assert set(draws.model.unique().tolist()) <= set(range(len(PRESETS)))
    one = apply_sensors(signals, draws, generator(2))
    assert torch.equal(one, apply_sensors(signals, draws, generator(2)))
    assert not torch.equal(one, apply_sensors(signals, draws, generator(3)))
    both = generator(5)
    split = apply_sensors(signals, draw_sensors(["watch"], 4, 23, both), both)
    assert torch.equal(split, add_noise(signals, ["watch"], generator(5)))
    numpy = [add_noise(signals, ["phone"], np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert torch.equal(numpy[0], numpy[1]) and not torch.equal(numpy[0], numpy[2])
    with pytest.raises(ValueError, match="draw again"):
        apply_sensors(signals[:2], draws, generator())


def test_presets_keep_a_still_device_near_one_g():
    still = torch.zeros(50, 60, 5, 6)
    still[..., 2] = 9.80665
    for name in PRESETS:
        error = add_noise(still, [name], generator()) - still
        assert error[..., :3].std() < 0.4 and error[..., 3:].std() < 0.03, name


def test_priors_of_real_devices_are_read_from_the_estimates_file(tmp_path):
    rng = np.random.default_rng(0)
    signal = np.round(rng.normal(size=(20_000, 6)) * 0.05 / 0.01) * 0.01
    found = estimate_noise(signal, 50.0)
    path = tmp_path / "sensor_noise.json"
    path.write_text(json.dumps({"estimates": {"watch": asdict(found)}, "failed": {}}))
    (model,) = read_priors(path)
    assert model.acc_density == pytest.approx(0.05 / 25**0.5, rel=0.15) and model.gyro_density == found.gyro_density
    assert 2 * model.acc_range / 2**model.bits == pytest.approx(0.01, rel=0.5)
    assert model.clock_offset == PRESETS["phone"].clock_offset
    assert noise_models(["watch", str(path)]) == (PRESETS["watch"], model)
    views = check_views({"noise": [str(path)]})
    assert views.noise == (model,)
    with pytest.raises(OSError, match="sensor estimate"):
        noise_models([str(tmp_path / "absent.json")])
    for text in ("[]", '{"estimates": {}}', '{"estimates": {"a": {}}}', "no json"):
        path.write_text(text)
        with pytest.raises(ValueError, match="sensor_noise.json"):
            read_priors(path)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="phone, watch"):
        add_noise(torch.zeros(1, 2, 3, 6), ["toaster"], generator())
    with pytest.raises(ValueError, match="empty"):
        add_noise(torch.zeros(1, 2, 3, 6), [], generator())
    with pytest.raises(ValueError, match=r"\(B, T, P, 6\)"):
        add_noise(torch.zeros(2, 3, 6), ["phone"], generator())
    with pytest.raises(ValueError, match="acc_bias"):
        NoiseModel(0.1, 0.1, acc_bias=-1)
