"""From rows to recordings: runs of one label, gaps split, an even grid, units proved."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from .imu_recording import LONGEST_GAP, STANDARD_GRAVITY, ImuRecording, to_grid, unbroken_spans

SHORT_GAP = 0.1  # seconds; radio sensors lose a few samples, which a straight line replaces
SHORTEST = 1.0  # seconds; a shorter stretch is no recording
_ROUNDING = 0.05  # of a sample, by which the last one may fall short: time stamps in whole milliseconds
CALM = 1.0  # m/s^2, standard deviation of the acceleration's magnitude within a second at rest
AT_REST = (9.0, 10.6)  # m/s^2, of the median over the seconds at rest: work and sport raise that over all
_IN_MOTION = (3.0, 30.0)  # m/s^2, of the median where nothing rests: rope jumping only
FASTEST = 40.0  # rad/s, of the 99th percentile

Stream = tuple[np.ndarray, np.ndarray]  # times (T,) in seconds, values (T, C)


def labelled_runs(
    blocks: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
    wanted: Collection[int],
    source: str,
    restarts: bool = False,
) -> Iterator[tuple[tuple[int, ...], np.ndarray, np.ndarray]]:
    """Rows of one key that stand together, `(key, times (T,), values (T, C))`, across the borders of blocks.

    Args:
        blocks: keys `(N, K)`, times `(N,)` in seconds and values `(N, C)` in the order of the file. The last key is the
            label.
        wanted: labels to keep; others only end a run.
        source: for messages.
        restarts: time stamps that go back start a new run rather than being an error.

    Raises:
        ValueError: a key or time stamp that is missing, or time stamps that go back.
    """
    key: tuple[int, ...] = ()
    parts: list[Stream] = []
    before, row = -np.inf, 0
    for keys, times, values in blocks:
        if not (np.isfinite(keys).all() and np.isfinite(times).all()):
            bad = row + int(np.argmin(np.isfinite(keys).all(1) & np.isfinite(times)))
            raise ValueError(f"{source}: row {bad + 1} has no label or time stamp; download the file again")
        back = np.diff(times, prepend=before) < 0
        if back.any() and not restarts:
            bad = row + int(np.argmax(back))
            raise ValueError(f"{source}: the time stamp of row {bad + 1} lies before the one above; download it again")
        starts = np.flatnonzero(np.r_[True, (np.diff(keys, axis=0) != 0).any(1)] | back)
        for first, last in zip(starts, [*starts[1:], len(times)], strict=True):
            here = tuple(int(value) for value in keys[first])
            if here != key or back[first]:
                if parts:
                    yield _joined(key, parts)
                key, parts = here, []
            if here[-1] in wanted:
                parts.append((times[first:last], values[first:last]))
        before, row = times[-1], row + len(times)
    if parts:
        yield _joined(key, parts)


def _joined(key: tuple[int, ...], parts: list[Stream]) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
    return key, np.concatenate([times for times, _ in parts]), np.concatenate([values for _, values in parts])


def clean_stream(times: np.ndarray, values: np.ndarray) -> Stream:
    """The stream in the order of its time stamps, without rows that hold NaN or repeat a time stamp."""
    keep = np.isfinite(values).all(axis=1) & np.isfinite(times)
    order = np.argsort(times[keep], kind="stable")
    times, values = times[keep][order], values[keep][order]
    fresh = np.diff(times, prepend=-np.inf) > 0
    return times[fresh], values[fresh]


def even_stretches(
    streams: Mapping[str, Sequence[Stream]], rate: float, longest: float = LONGEST_GAP
) -> Iterator[tuple[float, dict[str, np.ndarray]]]:
    """Start in seconds and signals `(T, C)` on one even grid, of every stretch of a second in which no stream pauses.

    Args:
        streams: placement -> clean streams, whose columns are put side by side, each interpolated by its own clock.
            A placement with an empty stream is left out.
        rate: Hz.
        longest: seconds; a longer pause splits.
    """
    streams = {name: parts for name, parts in streams.items() if all(len(times) for times, _ in parts)}
    clocks = [times for parts in streams.values() for times, _ in parts]
    for first, last in unbroken_spans(*clocks, longest=longest + 1e-6) if clocks else []:
        count = int((last - first) * rate + _ROUNDING) + 1
        if count >= SHORTEST * rate:
            grid = first + np.arange(count) / rate
            yield (
                first,
                {
                    name: np.concatenate([to_grid(times, values, grid) for times, values in parts], axis=1)
                    for name, parts in streams.items()
                },
            )


def worn_stretches(
    blocks: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
    wanted: Collection[int],
    placements: Sequence[str],
    rate: float,
    source: str,
    restarts: bool = False,
) -> Iterator[tuple[tuple[int, ...], float, dict[str, np.ndarray]]]:
    """Key, start in seconds and signals `(T, 6)` of every labelled stretch of a table with six columns per placement.

    Lost samples (NaN or missing rows) up to 0.1 s are interpolated for each sensor, longer pauses split.

    Args:
        blocks, wanted, source, restarts: as in `labelled_runs`; values `(N, 6 * len(placements))`.
        rate: Hz.

    Raises:
        ValueError: as in `labelled_runs`; time stamps that contradict the rate, or a sensor without a number.
    """
    silent: set[str] | None = None
    for key, times, values in labelled_runs(blocks, wanted, source, restarts):
        check_rate(times, rate, source)
        streams = {
            name: [clean_stream(times, values[:, 6 * unit : 6 * unit + 6])] for unit, name in enumerate(placements)
        }
        empty = {name for name, [(clock, _)] in streams.items() if not len(clock)}
        silent = empty if silent is None else silent & empty
        for start, signals in even_stretches(streams, rate, SHORT_GAP):
            yield key, start, signals
    if silent:
        raise ValueError(
            f"{source}: no number in a column of {', '.join(sorted(silent))}; download the file again, or take it away"
        )


def check_rate(times: np.ndarray, rate: float, source: str, tolerance: float = 0.2) -> None:
    """ValueError where the median step of time stamps in seconds contradicts the rate."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1 / rate
    if not abs(step * rate - 1) <= tolerance:
        raise ValueError(
            f"{source}: time stamps step by {step:g} s where {rate:g} Hz steps by {1 / rate:g} s; another version of "
            "the file, or another unit of time"
        )


def checked_units(recordings: Iterable[ImuRecording]) -> Iterator[ImuRecording]:
    """The recordings of one person, once their units are proved: m/s^2 and rad/s at each placement.

    At rest the acceleration's magnitude is gravity: its median over the calm seconds must lie between 9.0 and 10.6 m/s^2.
    Where a person never rests only the order of magnitude can be asked. The 99th percentile of the angular velocity must
    be under 40 rad/s. One person's data are held in memory, so that nothing wrong is given out before it is found.

    Raises:
        ValueError: other units or swapped channels; names the file that is farthest off.
    """
    held = list(recordings)
    for placement in sorted({name for recording in held for name in recording.signals}):
        worn = [recording for recording in held if placement in recording.signals]
        calm, moving, medians = [], [], []
        for recording in worn:
            magnitude = np.linalg.norm(recording.signals[placement][:, :3], axis=1)
            size = max(1, round(recording.sampling_rate))
            seconds = magnitude[: len(magnitude) // size * size].reshape(-1, size)
            calm.append(np.median(seconds[seconds.std(axis=1) < CALM], axis=1))
            moving.append(magnitude)
            medians.append(float(np.median(magnitude)))
        low, high = AT_REST if any(map(len, calm)) else _IN_MOTION
        middle = float(np.median(np.concatenate(calm if any(map(len, calm)) else moving)))
        if not low <= middle <= high:
            worst = int(np.argmax(np.abs(np.log(np.maximum(medians, 1e-9) / 9.8))))
            raise ValueError(
                f"{worn[worst].source}: the median acceleration at {placement!r} is {middle:.3g} instead of {low} to "
                f"{high} m/s^2; {_likely(middle, worn[worst].signals[placement])}; take the original download"
            )
        turning = [np.abs(r.signals[placement][:, 3:]).ravel() for r in worn if r.signals[placement].shape[1] == 6]
        fastest = [float(np.percentile(values, 99)) for values in turning]
        if turning and (whole := float(np.percentile(np.concatenate(turning), 99))) >= FASTEST:
            raise ValueError(
                f"{worn[int(np.argmax(fastest))].source}: the 99th percentile of the angular velocity at {placement!r} is "
                f"{whole:.3g} rad/s, over {FASTEST:g}; degrees a second, or columns swapped; take the original download"
            )
    yield from held


def _likely(middle: float, signal: np.ndarray) -> str:
    """What an impossible acceleration `middle` probably comes from."""
    if signal.shape[1] == 6 and AT_REST[0] <= np.median(np.linalg.norm(signal[:, 3:], axis=1)) <= AT_REST[1]:
        return "the columns of accelerometer and gyroscope are swapped"
    scales = {"in g": 1 / STANDARD_GRAVITY, "in milli-g": 1000 / STANDARD_GRAVITY, "scaled twice": STANDARD_GRAVITY}
    close = [what for what, scale in scales.items() if 0.8 < middle / STANDARD_GRAVITY / scale < 1.2]
    return f"it is probably {close[0] if close else 'without gravity, or in another unit'}"
