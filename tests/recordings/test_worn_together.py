"""Files of one recording: lined up by their clocks, brought to one rate, cut to what they share."""

import numpy as np
import pytest

from anymo_hf.modeling.imu_signal import resample
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.recordings.worn_together import worn_together
from anymo_hf.refusals import DoubtWarning


def recording(place, count, rate=50.0, start=0.0, columns=6, seed=0):
    signal = np.random.default_rng(seed).normal(size=(count, columns))
    return ImuRecording({place: signal}, rate, start_time=start, source=f"{place}.csv")


def test_clocks_line_them_up_and_the_shared_span_is_left():
    one, other = recording("head", 500, start=100.0), recording("waist", 500, start=102.0, seed=1)
    joined = worn_together([one, other])
    assert joined.start_time == 102.0 and joined.sampling_rate == 50
    np.testing.assert_array_equal(joined.signals["head"], one.signals["head"][100:])
    np.testing.assert_array_equal(joined.signals["waist"], other.signals["waist"][:400])
    with pytest.warns(
        DoubtWarning, match="^waist.csv: no time of day was read, so all sensors are taken to begin together"
    ):
        unknown = worn_together([one, recording("waist", 450)])
    np.testing.assert_array_equal(unknown.signals["head"], one.signals["head"][:450])


def test_rates_that_differ_become_sixty_and_a_missing_gyroscope_reads_zero():
    one, other = recording("head", 500), recording("waist", 1000, rate=100.0, columns=3)
    joined = worn_together([one, other])
    assert joined.sampling_rate == 60
    np.testing.assert_array_equal(joined.signals["head"], resample(one.signals["head"], 50))
    np.testing.assert_array_equal(joined.signals["waist"][:, :3], resample(other.signals["waist"], 100))
    assert not joined.signals["waist"][:, 3:].any()


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match="head: two files"):
        worn_together([recording("head", 100), recording("head", 100)])
    with pytest.raises(ValueError, match=r"share -?\d"):
        worn_together([recording("head", 100, start=5.0), recording("waist", 100, start=500.0)])
