"""Runs across blocks, gaps, and the spans of many clocks against a plain count."""

import numpy as np
import pytest

from anymo_hf.recordings.imu_recording import ImuRecording, unbroken_spans
from anymo_hf.recordings.stretches import checked_units, clean_stream, even_stretches, labelled_runs


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_runs_do_not_show_the_borders_of_blocks(size):
    labels = np.array([0, 0, 5, 5, 5, 2, 2, 5, 5, 0, 5])
    times = np.arange(11) / 10
    blocks = [(labels[i : i + size, None], times[i : i + size], np.c_[times][i : i + size]) for i in range(0, 11, size)]
    runs = list(labelled_runs(blocks, {5, 2}, "x"))
    assert [key for key, _, _ in runs] == [(5,), (2,), (5,), (5,)]
    for (_, clock, values), expected in zip(runs, ([2, 3, 4], [5, 6], [7, 8], [10]), strict=True):
        np.testing.assert_allclose(clock, np.array(expected) / 10)
        np.testing.assert_allclose(values[:, 0], clock)


def test_spans_of_many_clocks_agree_with_a_plain_count():
    random = np.random.default_rng(0)
    clocks = [np.sort(random.choice(np.arange(0, 60, 0.02), 1500, replace=False)) for _ in range(4)]
    spans = unbroken_spans(*clocks, longest=0.1)

    def runs(clock, t):
        after = np.searchsorted(clock, t)
        return 0 < after < len(clock) and clock[after] - clock[after - 1] <= 0.1

    for t in np.arange(0.013, 60, 0.02):
        assert any(first < t < last for first, last in spans) == all(runs(clock, t) for clock in clocks)


def test_stretches_are_never_bridged_and_streams_are_cleaned():
    times = np.r_[0:3:0.02, 3.5:6:0.02]
    values = np.c_[times]
    times[10], values[20] = times[9], np.nan  # a repeated time stamp and a lost sample
    shuffled = np.random.default_rng(0).permutation(len(times))
    stream = clean_stream(times[shuffled], values[shuffled])
    assert (np.diff(stream[0]) > 0).all()
    (first, one), (second, two) = even_stretches({"a": [stream], "b": [(np.empty(0), np.empty((0, 1)))]}, 50.0, 0.1)
    assert (first, second, list(one)) == (0.0, 3.5, ["a"])
    np.testing.assert_allclose(two["a"][:, 0], 3.5 + np.arange(125) / 50, atol=1e-9)


def test_units_are_proved_at_rest_only():
    run = np.zeros((1000, 6))
    run[:, 2] = 14 + 10 * np.sin(np.arange(1000) * 0.5)  # median 14 m/s^2, never calm
    rest = np.tile([0, 0, 9.8, 0, 0, 0], (200, 1))
    many = [ImuRecording({"head": signal}, 50.0, source=name) for signal, name in ((run, "run"), (rest, "rest"))]
    assert len(list(checked_units(many))) == 2 and len(list(checked_units(many[:1]))) == 1
    with pytest.raises(ValueError, match="wrong: the median acceleration at 'head' is 1 "):
        list(checked_units([*many, *(ImuRecording({"head": rest / 9.8}, 50.0, source="wrong") for _ in range(3))]))
    with pytest.raises(ValueError, match="instead of 3.0 to 30.0"):
        list(checked_units([ImuRecording({"head": run * 9.8}, 50.0)]))
