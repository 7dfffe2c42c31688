"""Cutting recordings into windows and joining the answers into a timeline: the one place. No torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise, repeat
from math import ceil, floor

import numpy as np

from .imu_signal import TARGET_RATE

MAX_WINDOW_SECONDS = 6.0  # training windows last up to 5 s
SMOOTHING = 3  # windows whose mean says what one of them shows


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


def hop_spans(samples: int, rate: float, window: float, hop: float | None = None) -> list[tuple[int, int]]:
    """Start and end of the windows that a recording is answered by; `AnyMoStream` gives the same ones.

    A window of `window` seconds begins every `hop` seconds, halves of a sample rounded up. The last one is shorter where
    the end would else be left out, and is dropped under one second.

    Args:
        samples: of the recording.
        rate: Hz.
        window: seconds, at least 1.
        hop: seconds, at least one sample and at most `window`; None is `window`.

    Raises:
        ValueError: a window or hop outside these bounds.
    """
    hop = window if hop is None else hop
    if not 1 <= window < float("inf"):
        raise ValueError(f"window must be at least 1 second, got {window:g}")
    if not 1 / rate <= hop <= window:
        raise ValueError(
            f"hop must lie between one sample, {1 / rate:.3g} s, and the window, {window:g} s, got {hop:g}"
        )
    size = max(floor(window * rate + 0.5), ceil(rate))
    spans: list[tuple[int, int]] = []
    while (start := floor(len(spans) * hop * rate + 0.5)) + ceil(rate) <= samples:
        if spans and spans[-1][1] == samples:
            break
        spans.append((start, min(start + size, samples)))
    return spans


@dataclass(frozen=True)
class WindowAnswer:
    """What one window of a recording shows.

    Args:
        start, end: seconds since the recording began.
        scores: `(labels,)`, summing to one.
        embedding: unit vector `(projection_dim,)`, float32; None where nobody asks for it.
    """

    start: float
    end: float
    scores: np.ndarray
    embedding: np.ndarray | None = None


@dataclass(frozen=True)
class TimelineEntry:
    """A stretch of a recording with one activity.

    Args:
        start, end: seconds since the recording began.
        activity: one of the labels.
        confidence: mean over the stretch of the activity's smoothed score.
        windows: how many windows it joins.
    """

    start: float
    end: float
    activity: str
    confidence: float
    windows: int = 1


def join_windows(
    answers: Iterable[WindowAnswer], labels: Sequence[str], smoothing: int = SMOOTHING
) -> Iterator[TimelineEntry]:
    """Answers about windows as a timeline, entry by entry as soon as each is known; holds `smoothing` answers at a time.

    The rule: a window's scores become the mean over the `smoothing` windows around it (fewer at the ends), the best label
    is its activity, and neighbours of one activity are one entry. Where windows overlap, each speaks for the time that is
    nearer to its middle than to another's.

    Args:
        answers: in order of time.
        labels: names of the scores.
        smoothing: windows, odd; 1 does not smooth.

    Raises:
        ValueError: an even or impossible `smoothing`.
    """
    if smoothing < 1 or smoothing % 2 == 0:
        raise ValueError(f"smoothing must be an odd number of windows, got {smoothing}")
    entry: TimelineEntry | None = None
    for before, answer, after, scores in _smoothed(answers, smoothing):
        start = answer.start if before is None else _boundary(before, answer)
        end = answer.end if after is None else _boundary(answer, after)
        best = int(scores.argmax())
        confidence = float(scores[best])
        if entry is not None and entry.activity == labels[best]:
            total = entry.confidence * entry.windows + confidence
            entry = replace(entry, end=end, confidence=total / (entry.windows + 1), windows=entry.windows + 1)
            continue
        if entry is not None:
            yield entry
        entry = TimelineEntry(start, end, labels[best], confidence)
    if entry is not None:
        yield entry


def _boundary(first: WindowAnswer, second: WindowAnswer) -> float:
    """Where one window's time ends and the next one's begins: half way between their middles."""
    if second.start >= first.end:
        return second.start
    return (first.start + first.end + second.start + second.end) / 4


def _smoothed(
    answers: Iterable[WindowAnswer], width: int
) -> Iterator[tuple[WindowAnswer | None, WindowAnswer, WindowAnswer | None, np.ndarray]]:
    """Each answer with its neighbours and the mean scores around it."""
    half, around = width // 2, deque[WindowAnswer]()
    place = 0  # of the answer that is next, in `around`
    before: WindowAnswer | None = None
    for answer in chain(answers, repeat(None, max(half, 1))):
        if answer is not None:
            around.append(answer)
        elif place >= len(around):
            return
        if answer is not None and len(around) - place <= max(half, 1):
            continue
        here = around[place]
        after = around[place + 1] if place + 1 < len(around) else None
        near = list(around)[max(0, place - half) : place + half + 1]
        yield before, here, after, np.mean([one.scores for one in near], axis=0)
        before, place = here, place + 1
        if place > half:
            around.popleft()
            place -= 1
