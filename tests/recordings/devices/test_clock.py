"""Clocks that jitter: the samples lie evenly between pauses, and the doubt is said."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anymo_hf.recordings.devices.clock import check_rate, even_clock
from anymo_hf.recordings.devices.device_format import ReadingOptions
from anymo_hf.recordings.devices.export import read_export


def arrivals(times, spread, seed=0):
    """When samples of these seconds arrive, in whole ms: late by up to `spread` seconds, none before the one before."""
    late = np.random.default_rng(seed).uniform(0, spread, len(times))
    return pd.Series(np.round(1000 * np.maximum.accumulate(times + late)).astype(int))


@pytest.mark.parametrize("spread", [0.014, 0.016])
def test_jittering_stamps_give_the_true_rate_and_even_samples(spread):
    times = np.arange(900) / 102
    column = arrivals(times, spread)
    repeats = int((np.diff(column) == 0).sum())
    found = even_clock("x.csv: time stamps in 't'", column, 2)
    assert found.rate == pytest.approx(102, rel=0.005)
    assert len(found.times) == 900 and not found.repeats
    np.testing.assert_allclose(found.times, times, atol=spread)
    np.testing.assert_allclose(np.diff(found.times), 1 / 102, rtol=0.005)
    assert "jitter" in found.doubt and (f"{repeats} rows repeat" in found.doubt) == (repeats > 0)


def test_a_pause_of_a_jittering_clock_stays_where_it_is():
    times = np.arange(900) / 100
    times[300:] += 0.5
    times[600:] += 3.0
    found = even_clock("x.csv: time stamps in 't'", arrivals(times, 0.015), 2)
    assert found.rate == pytest.approx(100, rel=0.005)
    assert np.flatnonzero(np.diff(found.times) > 0.1).tolist() == [299, 599]
    np.testing.assert_allclose(found.times, times, atol=0.016)


def test_lost_samples_and_rounding_are_no_jitter():
    even = np.arange(1000) / 400
    for times in (np.round(1000 * even), np.delete(np.round(even * 8000), slice(3, None, 9))):
        found = even_clock("x.csv: time stamps in 't'", pd.Series(times.astype(int)), 2)
        assert not found.doubt and found.rate in (pytest.approx(400, rel=0.01), pytest.approx(50, rel=0.01))


def test_repeats_on_an_even_clock_are_refused_and_counted():
    stamps = np.arange(400) * 20
    stamps[10:60:10] -= 20
    with pytest.raises(
        ValueError, match="row 12: 180 repeats 180 of row 11; drop the double row, one of 5, or give rate="
    ):
        even_clock("x.csv: time stamps in 't'", pd.Series(stamps), 2)


def test_a_real_phone_whose_stamps_jitter_is_read():
    export = read_export(Path(__file__).parents[2] / "data" / "walk_left_pocket.csv", "left_pocket")
    assert export.sampling_rate == pytest.approx(102.4, abs=0.2)  # 879 samples in 8.58 s
    assert export.samples == 879 and any("jitter" in said for said in export.warnings)


def test_a_lone_triple_of_g_must_hold_gravity(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "tag.csv"

    def write(values):
        rows = [f"{i / 50},{x},{y},{z}" for i, (x, y, z) in enumerate(values)]
        path.write_text("\n".join(["time,gx,gy,gz", *rows]))

    for size in (0.6, 3):  # the first has the size of 1 g
        write(size * rng.normal(size=(200, 3)))
        with pytest.raises(ValueError, match="hold no gravity and are a gyroscope's by their names.*columns="):
            read_export(path)
    write(rng.normal(size=(200, 3)) * 0.1 + [0, 0, 1])
    export = read_export(path)
    assert export.acceleration_unit == "g" and any("taken for an accelerometer" in said for said in export.warnings)


@pytest.mark.parametrize("unit", [1.0, 1e3, 1e9])
@pytest.mark.parametrize("clock", ["even", "jittery", "packets"])
def test_a_rate_in_place_of_stamps_that_pause_is_doubted(clock, unit):
    times = np.arange(500) / 50
    if clock == "jittery":
        times += np.random.default_rng(0).uniform(0, 0.008, 500)
    if clock == "packets":
        times = np.repeat(times[::10], 10)  # ten samples share a stamp
    assert not check_rate("t", pd.Series(times * unit), 50).doubt
    times[100:] += 0.5
    assert not check_rate("t", pd.Series(times * unit), 50).doubt  # some samples are lost
    times[300:] += 60
    doubt = check_rate("t", pd.Series(times * unit), 50).doubt
    assert re.search(r"pause once, for up to 60(\.\d)? s, which rate= closes; leave it out", doubt)


def test_a_file_with_a_pause_read_at_a_rate_of_ones_own_says_so(tmp_path):
    times = np.arange(500) / 50
    times[300:] += 60
    rows = [f"{time},{0.1},{0.2},9.8" for time in times]
    (tmp_path / "walk.csv").write_text("\n".join(["time,acc_x,acc_y,acc_z", *rows]))
    export = read_export(tmp_path / "walk.csv", options=ReadingOptions(rate=50))
    assert any("time stamps pause once" in said for said in export.warnings)
    assert not any("pause" in said for said in read_export(tmp_path / "walk.csv").warnings)
