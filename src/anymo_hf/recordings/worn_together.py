"""Sensors that one person wore at the same time, from their files to one recording."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..modeling.imu_signal import TARGET_RATE, resample
from ..refusals import DoubtWarning
from .imu_recording import ImuRecording


def worn_together(recordings: Sequence[ImuRecording]) -> ImuRecording:
    """One recording of the span that all sensors share.

    Clocks that every file tells (`start_time`) line them up to the sample; where one file tells none, all are taken to begin
    together, with a warning. Sensors of different rates are brought to 60 Hz, the rate that the model works at; one rate
    stays.

    Warns:
        DoubtWarning: a file tells no time of day.

    Raises:
        ValueError: a placement twice, or files that share less than a second.
    """
    places = [place for recording in recordings for place in recording.signals]
    if len(set(places)) < len(places):
        twice = sorted({place for place in places if places.count(place) > 1})
        raise ValueError(f"{', '.join(twice)}: two files are of one placement; give each sensor its own")
    rates = {recording.sampling_rate for recording in recordings}
    rate = rates.pop() if len(rates) == 1 else TARGET_RATE
    told = all(recording.start_time for recording in recordings)
    if not told and len(recordings) > 1:
        silent = ", ".join(one.source or "/".join(one.signals) for one in recordings if not one.start_time)
        warnings.warn(
            f"{silent}: no time of day was read, so all sensors are taken to begin together; leave rate= out where a file "
            "tells one",
            DoubtWarning,
            stacklevel=2,
        )
    begin = max(recording.start_time for recording in recordings) if told else 0.0
    signals = {}
    for recording in recordings:
        skip = round((begin - recording.start_time) * rate) if told else 0
        for place, signal in recording.signals.items():
            signals[place] = (
                signal if recording.sampling_rate == rate else resample(signal, recording.sampling_rate, rate)
            )[skip:]
    length = min(len(signal) for signal in signals.values())
    files = ", ".join(recording.source for recording in recordings)
    if length < rate:
        raise ValueError(
            f"{files}: by their clocks these files share {length / rate:.1f} s; give files of one recording"
        )
    wide = max(signal.shape[1] for signal in signals.values())
    signals = {
        place: np.pad(signal[:length], ((0, 0), (0, wide - signal.shape[1]))) for place, signal in signals.items()
    }
    return replace(recordings[0], signals=signals, sampling_rate=rate, start_time=begin, source=files)
