"""What changes between training and use: the same people's windows with the sensor worn or built another way."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..modeling.imu_signal import resample
from ..recordings.imu_recording import ImuRecording

SLOW_RATE = 20.0  # Hz
OTHER_DEVICE = "watch"  # noise preset of the device that is not that of training


def turned(recordings: Sequence[ImuRecording], seed: int) -> list[ImuRecording]:
    """The recordings with each person's devices turned by one random rotation a placement about any axis."""
    from scipy.spatial.transform import Rotation

    out, turns = [], {}
    for recording in recordings:
        signals = {}
        for place, signal in recording.signals.items():
            key = (recording.subject, place)
            if key not in turns:
                turns[key] = Rotation.random(rng=_generator(seed, *key)).as_matrix()
            triples = signal.reshape(len(signal), -1, 3)
            signals[place] = (triples @ turns[key].T).reshape(signal.shape)
        out.append(replace(recording, signals=signals))
    return out


def sampled_slowly(recordings: Sequence[ImuRecording], rate: float = SLOW_RATE) -> list[ImuRecording]:
    """What a device of `rate` Hz reads, brought back to the old rate so that every system can take it.

    A recording that has no more than `rate` stays as it is.
    """
    out = []
    for one in recordings:
        if one.sampling_rate <= rate:
            out.append(one)
            continue
        signals = {
            place: resample(resample(signal, one.sampling_rate, rate), rate, one.sampling_rate, count=len(signal))
            for place, signal in one.signals.items()
        }
        out.append(replace(one, signals=signals))
    return out


def read_by(recordings: Sequence[ImuRecording], seed: int, device: str = OTHER_DEVICE) -> list[ImuRecording]:
    """The recordings with the errors of another device on top: one device drawn a person and placement.

    Noise is drawn by a window's number in the list, so that equal windows have noise of their own.

    Args:
        recordings: of six channels.
        seed: of the draw.
        device: a preset of `simulation.sensor_noise`.

    Raises:
        ValueError: unknown preset, or a recording without a gyroscope.
    """
    import torch

    from ..simulation.sensor_noise import apply_sensors, draw_sensors

    drawn, out = {}, []
    for number, one in enumerate(recordings):
        signals = {}
        for place, signal in one.signals.items():
            if signal.shape[1] != 6:
                raise ValueError(f"{one.dataset}: window {number} has no gyroscope at {place!r}; this shift needs one")
            key = (one.subject, place)
            if key not in drawn:
                drawn[key] = draw_sensors([device], 1, 1, _generator(seed, *key))
            noise = torch.Generator().manual_seed(int(_generator(seed, *key, str(number)).integers(2**31)))
            clean = torch.as_tensor(signal, dtype=torch.float32)[None, :, None]
            signals[place] = apply_sensors(clean, drawn[key], noise, one.sampling_rate)[0, :, 0].double().numpy()
        out.append(replace(one, signals=signals))
    return out


def renamed(recordings: Sequence[ImuRecording], place: str, other: str) -> list[ImuRecording]:
    """Windows of the sensor on `other`, given out as worn on `place`; recordings without `other` are left out."""
    return [replace(one, signals={place: one.signals[other]}) for one in recordings if other in one.signals]


def _generator(seed: int, *words: str) -> np.random.Generator:
    digest = hashlib.blake2b("\0".join([str(seed), *words]).encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))
