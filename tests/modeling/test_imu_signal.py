"""The one pass-band: simulated motion and recordings come to 60 Hz with the same transfer function."""

import os
from pathlib import Path

import numpy as np
import pytest

from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from anymo_hf.modeling.imu_signal import filter_reach, known_unit, low_pass, rate_ratio, resample, suspicious_units
from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.nymeria.imu_grid import STEP_NS, to_60_hz
from anymo_hf.recordings.catalogue import read_windows
from anymo_hf.simulation.kinematics import segment_kinematics

SECONDS = 6.0
FREQUENCIES = np.arange(1.0, 30.0)


def amplitude(signal, frequency, rate=60.0):
    """Size of a tone in the inner part of a signal, by least squares."""
    times = np.arange(len(signal)) / rate
    waves = np.stack(
        [np.sin(2 * np.pi * frequency * times), np.cos(2 * np.pi * frequency * times), np.ones_like(times)], 1
    )
    inner = slice(45, len(signal) - 45)
    return np.hypot(*np.linalg.lstsq(waves[inner], signal[inner], rcond=None)[0][:2])


def simulated_gain(frequency, rate=240.0):
    """What simulation keeps of a segment that swings along x; its difference operator's own loss is taken out."""
    times = np.arange(int(SECONDS * rate) + 1) / rate
    positions = np.zeros((len(times), 23, 3))
    positions[..., 0] = np.sin(2 * np.pi * frequency * times + 0.3)[:, None] / (2 * np.pi * frequency) ** 2
    still = np.tile([1.0, 0, 0, 0], (len(times), 23, 1))
    force = segment_kinematics(BodyMotion(rate, positions, still)).specific_force[:, 3, 0]
    return amplitude(force, frequency) / np.sinc(frequency / rate) ** 2


def recorded_gain(extractor, frequency, rate):
    """What the feature extractor keeps of a sensor that reads a tone along x."""
    times = np.arange(int(SECONDS * rate)) / rate
    signal = np.zeros((len(times), 6))
    signal[:, 0] = np.sin(2 * np.pi * frequency * times + 0.3)
    (worn,) = extractor.read({"waist": signal}, sampling_rate=rate)
    return amplitude(next(iter(worn.values()))[:, 0], frequency)


@pytest.fixture
def extractor():
    """Reading needs no network."""
    extractor = object.__new__(AnyMoFeatureExtractor)
    extractor.wrist = "forearm"
    return extractor


@pytest.mark.parametrize("rate", [50.0, 100.0, 240.0])
def test_both_ends_have_one_transfer_function(extractor, rate):
    """Within 0.5 %, and 50 Hz recordings as far as they reach: theirs ends at 25 Hz."""
    simulated = np.array([simulated_gain(frequency) for frequency in FREQUENCIES])
    recorded = np.array([recorded_gain(extractor, frequency, rate) for frequency in FREQUENCIES])
    reach = (29 if rate > 60 else 21) >= FREQUENCIES
    np.testing.assert_allclose(recorded[reach], simulated[reach], atol=0.005)
    assert simulated[FREQUENCIES <= 26].min() > 0.98 and 0.5 < simulated[-1] < 0.75


def test_nymeria_streams_have_it_too():
    time = 1000.0 + np.arange(6000) / 1000
    grid = np.arange(60_001, 60_350) * (STEP_NS * 1e-9)
    for frequency in (5.0, 20.0, 28.0):
        read = to_60_hz(time, np.sin(2 * np.pi * frequency * time)[:, None], grid)[:, 0]
        assert amplitude(read, frequency) == pytest.approx(simulated_gain(frequency), abs=0.005)


@pytest.mark.parametrize(("rate", "target"), [(240.0, 60.0), (100.0, 60.0), (119.88, 60.0), (1000.0, 50.0)])
def test_low_pass_and_resample_are_one_filter(rate, target):
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(int(6 * rate), 2)).cumsum(axis=0)
    for ends in ("edge", "antireflect"):
        fine, coarse = low_pass(signal, rate, target, ends), resample(signal, rate, target, ends)
        up, down = rate_ratio(rate, target)
        same = fine[::down], coarse[::up]
        count = min(map(len, same))
        np.testing.assert_allclose(same[0][:count], same[1][:count], atol=3e-3 * np.ptp(signal))
    assert low_pass(signal, target, target) is signal and resample(signal, target, target) is signal


def test_the_filter_sees_no_further_than_it_says():
    signal = np.zeros(2400)
    signal[1200] = 1.0
    for rate in (50.0, 100.0, 240.0):
        seen = np.flatnonzero(resample(signal, rate)) / 60.0
        reach = filter_reach(rate)
        assert 1200 / rate - reach - 1e-9 <= seen.min() and seen.max() <= 1200 / rate + reach + 1e-9


def test_ends_rest_or_keep_their_speed():
    rest, walk = np.full((200, 1), 9.8), np.arange(200.0)[:, None]
    np.testing.assert_allclose(resample(rest, 100.0), 9.8, rtol=1e-12)
    straight = resample(walk, 100.0, ends="antireflect")[:, 0]
    np.testing.assert_allclose(np.diff(straight), 100 / 60, rtol=0.005)


@pytest.mark.parametrize("rate", [59.98, 60.0001, 60.01])
def test_a_clock_just_beside_the_target_changes_nothing_but_the_length(rate):
    signal = np.random.default_rng(0).normal(size=(30_000, 6))
    out = resample(signal, rate)
    assert len(out) == round(30_000 * 60 / rate)
    shared = min(len(out), len(signal))
    np.testing.assert_array_equal(out[:shared], signal[:shared])


def test_bad_rates_are_refused():
    for rate in (0.0, 4.0, np.nan, 20_000.0):
        with pytest.raises(ValueError, match="5 and 10,000"):
            resample(np.zeros((100, 6)), rate)


@pytest.mark.parametrize(
    ("written", "unit"),
    [("m/s²", "m/s^2"), ("M/S2", "m/s^2"), ("m/s/s", "m/s^2"), ("m·s⁻²", "m/s^2"), ("G", "g"), ("mg", "mg"),
     ("DPS", "deg/s"), ("°/s", "deg/s"), ("rad/sec", "rad/s"), ("furlong", None), ("uT", None)],
)  # fmt: skip
def test_usual_spellings_of_a_unit_are_known(written, unit):
    assert known_unit(written) == unit


def test_the_size_of_a_signal_tells_a_wrong_unit():
    still = np.tile([0, 0, 9.81, 0, 0, 1.0], (100, 1))
    assert suspicious_units(still) == []
    assert "fits g" in suspicious_units(still / 9.81)[0]
    time = np.arange(300) / 60
    walk = np.stack([0 * time, 0 * time, 9.81 + 3 * np.sin(12 * time), np.sin(6 * time), np.cos(6 * time), 0 * time], 1)
    assert suspicious_units(walk) == suspicious_units(walk, angular_velocity_unit="deg/s") == []
    small = walk * np.repeat([1, np.pi / 180], 3)  # rad/s that were read as deg/s
    (said,) = suspicious_units(small, angular_velocity_unit="deg/s")
    assert "angular_velocity_unit='deg/s' right? The size fits rad/s" in said and suspicious_units(small) == []
    small[:, :3] = [0, 0, 9.81]  # a sensor on a table
    assert suspicious_units(small, angular_velocity_unit="deg/s") == []
    assert "raw counts" in suspicious_units(still * np.r_[[1670] * 3, [1] * 3])[0]
    assert "gravity removed" in suspicious_units(still * np.r_[[0.05] * 3, [1] * 3])[0]
    assert "fits deg/s" in suspicious_units(still * np.r_[[1] * 3, [200] * 3])[0]
    spoiled = still.copy()
    spoiled[7, 1] = 1e6  # one sample, which no median shows
    (said,) = suspicious_units(spoiled)
    assert "reaches 1e+06 m/s^2 at sample 7" in said and "damaged" in said
    spoiled[7, 1] = 200  # 20 g, as a landing at the shin
    assert suspicious_units(spoiled) == []


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name", ["classyglass", "geotec", "mobifall", "openpack", "uci_hapt", "usc_had", "utd_mhad", "wisdm"]
)
def test_no_real_window_in_right_units_is_taken_for_one_in_wrong_units(name):
    root = Path(os.environ["ANYMO_DATA"])
    if not (root / name).exists():
        pytest.skip(f"ANYMO_DATA holds no {name}")
    doubted, seen = 0, 0
    for number, window in enumerate(read_windows(name, root / name)):
        for signal in window.signals.values() if number % 5 == 0 else ():
            doubted += any("stays under" in said for said in suspicious_units(signal, angular_velocity_unit="deg/s"))
            seen += signal.shape[1] == 6
    assert seen > 100 and doubted == 0
