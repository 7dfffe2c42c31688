"""A short slice of a day of live use, and proof that a stream that bridges, repeats or leaves out would be found out."""

import numpy as np
import pytest

from anymo_hf import AnyMoStream
from benchmarks import stream_endurance as endurance


def same(event, answer):
    return event.codes.tolist() == [answer]


@pytest.fixture
def make(tiny_parts):
    return endurance.stream_maker(*tiny_parts, cheap=True)


def day(make, hours=1.0, seed=3):
    return endurance.endure(make, lambda *_: endurance.checksum, same, hours, seed)


@pytest.mark.slow
def test_every_event_is_a_window_of_a_sound_stretch_and_none_is_missing(make):
    told = day(make)
    assert told["wrong"] == [] and told["counts"]["events"] == told["counts"]["windows of sound stretches"] > 500
    for name in endurance.FAULTS:
        assert told["counts"][name] > 0, name
    for name in ("late or twice", "not a number", "pause", "other rate"):
        assert told["counts"][f"refused: {name}"] > 0, name


@pytest.mark.slow
def test_the_models_answers_are_those_of_the_whole_recording(tiny_parts):
    make = endurance.stream_maker(*tiny_parts, cheap=False)
    told = endurance.endure(make, endurance.offline(*tiny_parts), endurance.same_answer, 0.02, 1)
    assert told["wrong"] == [] and told["counts"]["events"] > 10


def bridged(stream):
    stream._gaps = lambda name, times: np.empty(0, int)


def twice(stream):
    answer, push = [], stream.push

    def again(samples, times):
        answer[:] = push(samples, times)
        return answer * 2

    stream.push = again


def through_nan(stream):
    push = stream.push
    stream.push = lambda samples, times: push({name: np.nan_to_num(rows) for name, rows in samples.items()}, times)


@pytest.mark.parametrize("harm", [bridged, twice, through_nan])
def test_a_stream_that_hides_a_fault_is_found_out(make, harm):
    def harmed(placements, rate, on_gap) -> AnyMoStream:
        stream = make(placements, rate, on_gap)
        harm(stream)
        return stream

    assert day(harmed, 0.5)["wrong_count"] > 0
