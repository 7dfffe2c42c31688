"""Derivative errors: the known motion is what it says, and errors match the operators' own responses."""

import numpy as np
import pytest
from scipy.signal import firwin
from scipy.spatial.transform import Rotation

from anymo_hf.evaluation.derivative_error import derivative_errors, markdown_table, multi_sine


def test_the_analytic_motion_is_its_own_derivative():
    motion, step = multi_sine([0.7, 3.0, 11.0], np.random.default_rng(0)), 1e-4
    times = np.linspace(0, 2, 50)
    position, quaternion, force, turning = motion(times)
    before, after = motion(times - step), motion(times + step)
    body = Rotation.from_quat(quaternion, scalar_first=True)
    second = (after[0] - 2 * position + before[0]) / step**2
    np.testing.assert_allclose(body.apply(force) + [0, 0, -9.80665], second, atol=1e-4)
    turn = Rotation.from_quat(before[1], scalar_first=True).inv() * Rotation.from_quat(after[1], scalar_first=True)
    np.testing.assert_allclose(turn.as_rotvec() / (2 * step), turning, atol=1e-4)


def test_errors_are_those_of_the_operators():
    frequencies = [2.0, 10.0, 35.0, 45.0]
    rows = {row.frequency: row for row in derivative_errors(frequencies)}
    taps = firwin(81, 30.0, window=("kaiser", 5.0), fs=240)  # ten zero crossings on either side
    for frequency in (2.0, 10.0):
        # np.sinc(x) is sin(pi x) / (pi x); a body-frame reading mixes in harmonics, so the tone's own loss is a guide
        low_pass = np.sum(taps * np.cos(2 * np.pi * frequency * np.arange(-40, 41) / 240))
        for method, rate, gain in (("ours", 240, low_pass), ("nearest", 60, 1.0)):
            loss = abs(100 * (1 - np.sinc(frequency / rate) ** 2 * gain))
            assert rows[frequency].acceleration[method] == pytest.approx(loss, rel=0.25)
            loss = abs(100 * (1 - np.sinc(2 * frequency / rate) * gain))
            assert rows[frequency].turning[method] == pytest.approx(loss, rel=0.25)
    assert rows[35.0].alias and rows[45.0].alias and not rows[10.0].alias
    assert rows[45.0].acceleration["ours"] < 1 < 5 < rows[45.0].acceleration["nearest"]
    assert rows[None].acceleration["ours"] < rows[None].acceleration["resampled"]


def test_a_source_that_does_not_divide_hurts_the_nearest_sample_most():
    (row,) = derivative_errors([4.0], source_rate=100.0)
    assert row.acceleration["ours"] < 1 < 50 < row.acceleration["nearest"]


def test_table_and_bad_input():
    errors = derivative_errors([1.0, 40.0])
    table = markdown_table(errors, 240.0).splitlines()
    assert table[2].startswith("| Hz | acc ours |") and table[4].startswith("| 1 | ") and table[5].startswith("| 40 | ")
    with pytest.raises(ValueError, match="at least 60"):
        derivative_errors(source_rate=30.0)
    with pytest.raises(ValueError, match="between 0 and 120"):
        derivative_errors([130.0])
