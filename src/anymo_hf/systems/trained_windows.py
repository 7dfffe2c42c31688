"""What systems that learn from labelled windows share: placements side by side, one rate, scores of asked labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from ..modeling.imu_signal import resample
from ..recordings.imu_recording import ImuRecording


def placements_of(recordings: Sequence[ImuRecording]) -> tuple[str, ...]:
    """Every placement that a window has, in alphabetical order."""
    return tuple(sorted({place for one in recordings for place in one.signals}))


def check_placements(title: str, placements: Sequence[str], recordings: Sequence[ImuRecording]) -> None:
    """Whether a system that learned from `placements` can be asked about windows.

    Raises:
        ValueError: it has not learned, or a window has a placement that training did not have.
    """
    if not placements:
        raise ValueError(f"{title} has not learned yet; call fit first")
    if new := {place for one in recordings for place in one.signals} - set(placements):
        raise ValueError(f"{title} learned from {list(placements)} and cannot take {sorted(new)}")


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Numbers below 1e-38 count as zero meanwhile, in this thread.

    Gradients through hundreds of recurrent steps fade to such numbers, with which many processors are much slower.
    """
    import torch

    tiny = torch.full((1,), 1e-30)
    before = bool(tiny * 1e-15 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def side_by_side(recordings: Sequence[ImuRecording], placements: Sequence[str], rate: float) -> list[np.ndarray]:
    """Windows `(T, 6 * placements)` at `rate` Hz, low-passed; zero where a placement or its gyroscope is missing."""
    found = []
    for one in recordings:
        count = len(next(iter(one.signals.values())))
        whole = np.zeros((count, len(placements), 6))
        for column, place in enumerate(placements):
            if place in one.signals:
                whole[:, column, : one.signals[place].shape[1]] = one.signals[place]
        found.append(resample(whole.reshape(count, -1), one.sampling_rate, rate))
    return found


def scores_of_labels(
    found: np.ndarray, classes: Sequence[str] | np.ndarray, labels: Sequence[str], unseen: float = 0.0
) -> np.ndarray:
    """Columns `(n, labels)` of scores `(n, classes)`; `unseen` for a label that training did not hold."""
    column = {label: number for number, label in enumerate(classes)}
    scores = np.full((len(found), len(labels)), unseen)
    for number, label in enumerate(labels):
        if label in column:
            scores[:, number] = found[:, column[label]]
    return scores
