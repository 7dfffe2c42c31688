"""Cutting recordings into windows: the one place where it is done. No torch."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, floor

from .imu_signal import TARGET_RATE

MAX_WINDOW_SECONDS = 6.0  # training windows last up to 5 s


def equal_spans(frames: int, max_seconds: float | None = MAX_WINDOW_SECONDS) -> list[tuple[int, int]]:
    """Start and end frames of the fewest equal consecutive pieces that last at most `max_seconds` at 60 Hz.

    A recording to be answered as a whole is cut this way, since no part of it is left out; None never cuts.
    """
    most = frames if max_seconds is None else floor(max_seconds * TARGET_RATE + 1e-6)
    count = ceil(frames / most)
    return list(pairwise(frames * number // count for number in range(count + 1)))


def consecutive_spans(samples: int, size: int, shortest: int | None = None) -> list[tuple[int, int]]:
    """Start and end of consecutive windows of `size` samples that do not overlap.

    Labelled stretches become test windows this way, since all windows then have one length.

    Args:
        samples: of the recording.
        size: of a window.
        shortest: keeps the last, shorter window from so many samples on; None drops it.
    """
    least = size if shortest is None else shortest
    return [(start, min(start + size, samples)) for start in range(0, samples - least + 1, size)]
