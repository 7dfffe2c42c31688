"""Statistics of windows: each against a direct computation, and unchanged by turning the device where that is said."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from anymo_hf.systems.signal_statistics import invariant_columns, signal_statistics, slow_columns, statistics_count


@pytest.fixture
def windows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 200, 6)) + [0, 3, 9, 0, 0, 0]


def test_means_spreads_and_percentiles_of_the_channels(windows):
    table = signal_statistics(windows, 50)
    assert table.shape == (4, statistics_count())
    np.testing.assert_allclose(table[:, :6], windows.mean(1))
    np.testing.assert_allclose(table[:, 11:17], windows.std(1))
    np.testing.assert_allclose(table[:, 44:50], np.median(windows, axis=1))
    np.testing.assert_allclose(table[:, -15], [np.corrcoef(w[:, 0], w[:, 1])[0, 1] for w in windows])


def test_the_strongest_frequency_is_that_of_a_sine():
    time = np.arange(500) / 50
    window = np.zeros((1, 500, 6))
    window[0, :, 2] = 9.8 + np.sin(2 * np.pi * 3.2 * time)
    row = signal_statistics(window, 50)[0]
    assert row[11 * 14 + 2] == pytest.approx(3.2)


def test_turning_the_device_changes_only_what_is_not_invariant(windows):
    turn = Rotation.random(rng=1).as_matrix()
    turned = np.concatenate([windows[..., :3] @ turn.T, windows[..., 3:] @ turn.T], 2)
    before, after = signal_statistics(windows, 50), signal_statistics(turned, 50)
    fixed = invariant_columns()
    np.testing.assert_allclose(before[:, fixed], after[:, fixed], rtol=1e-7, atol=1e-7)
    assert (np.abs(before - after)[:, ~fixed].max(0) > 1e-3).mean() > 0.8


def test_windows_of_several_lengths_are_read_each_by_itself(windows):
    ragged = [windows[0], windows[1, :120], windows[2]]
    table = signal_statistics(ragged, 50)
    for row, window in zip(table, ragged, strict=True):
        np.testing.assert_allclose(row, signal_statistics(window[None], 50)[0])


def test_a_window_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(n, T, 6\)"):
        signal_statistics(np.zeros((2, 100, 3)), 50)


def test_energy_lies_in_the_band_of_a_sine():
    time = np.arange(500) / 100
    window = np.random.default_rng(0).normal(0, 0.01, (1, 500, 6)) + [0, 0, 9.8, 0, 0, 0]
    window[0, :, 2] += 2 * np.sin(2 * np.pi * 1.8 * time)
    energy = signal_statistics(window, 100)[0, 11 * 7 : 11 * 14].reshape(7, 11)
    assert energy[:, 2].argmax() == 1 and energy[:, 8].argmax() == 1  # 1 to 2 Hz, in the channel and along gravity
    assert np.isfinite(signal_statistics(np.zeros((1, 100, 6)), 50)).all()


def test_slow_columns_leave_out_the_energy_of_fast_bands_only(windows):
    """A hum of 22 Hz, an exact bin of four seconds, moves the left-out energies of the device's channels, no others."""
    hum = windows + np.sin(2 * np.pi * 22 * np.arange(200) / 50)[None, :, None]
    moved = np.abs(signal_statistics(hum, 50) - signal_statistics(windows, 50)).max(0)
    device = np.concatenate([np.tile(np.arange(11) < 6, 15), np.zeros(15, bool)])
    energy = np.arange(len(device)) // 11
    energy = (energy >= 7) & (energy < 14) & device
    kept = slow_columns(10)
    assert (~kept).sum() == 2 * 11
    assert moved[energy & kept].max() < 1e-4
    assert moved[11 * 13 : 11 * 13 + 6].min() > 0.1 and not kept[11 * 13 : 11 * 14].any()
