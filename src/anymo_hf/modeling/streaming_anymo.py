"""Live use: samples in as they arrive; codes, label scores and captions out, hop by hop."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import pairwise
from math import ceil, floor, inf
from typing import Any

import numpy as np
import torch

from .embedding import check_same_codebook, embed_windows
from .feature_extraction_anymo import TARGET_RATE, split_arguments
from .imu_signal import ACCELERATION_UNITS, STANDARD_GRAVITY, resolve_unit
from .modeling_anymo import AnyMoForConditionalGeneration, AnyMoModel
from .pipeline_anymo import ImuToTextPipeline
from .processing_anymo import AnyMoProcessor
from .windows import equal_spans

_RATE_TOLERANCE = 0.05


@dataclass(frozen=True, eq=False)
class AnyMoStreamEvent:
    """What one window of a stream shows.

    Attributes:
        start, end: of the window, in seconds: by the time stamps, or without them since the stream began.
        codes: motion codes `(2L,)`, int64, as `imu_codes` of `AnyMoFeatureExtractor`.
        placements: segment indices, as `imu_placements`.
        scores: label -> score, best first, summing to one; empty without labels.
        caption: what the person does; None where captions are off.
        embedding: unit vector `(projection_dim,)`, float32; None where embeddings are off.
        latency: seconds that working this out took.
        skipped: hops before this one that were left out, see `on_lag`.
    """

    start: float
    end: float
    codes: np.ndarray
    placements: tuple[int, ...]
    scores: dict[str, float]
    caption: str | None
    embedding: np.ndarray | None
    latency: float
    skipped: int = 0

    @property
    def label(self) -> str | None:
        """The best label; None without labels."""
        return next(iter(self.scores), None)


class _Sensor:
    """The last samples of one sensor in a ring, with their times, and how many there have been."""

    def __init__(self, capacity: int):
        self.rows, self.times = np.empty((capacity, 6)), np.empty(capacity)
        self.count = 0

    def append(self, rows: np.ndarray, times: np.ndarray | None) -> None:
        """Takes `(n, channels)`, any n."""
        capacity = len(self.times)
        if self.rows.shape[1] != rows.shape[1]:
            self.rows = np.empty((capacity, rows.shape[1]))
        self.count += len(rows)
        kept = min(len(rows), capacity)
        index = np.arange(self.count - kept, self.count) % capacity
        self.rows[index] = rows[len(rows) - kept :]
        if times is not None:
            self.times[index] = times[len(rows) - kept :]

    def time(self, sample: int) -> float:
        """Time stamp of a sample that is still held."""
        return float(self.times[sample % len(self.times)])

    def window(self, start: int, end: int) -> np.ndarray:
        """Samples `(end - start, channels)`, a copy."""
        return self.rows[np.arange(start, end) % len(self.times)]


class AnyMoStream:
    """Samples as they arrive to an `AnyMoStreamEvent` per hop, equal to the offline answer on the same raw samples.

    Hop k is the window of `round(window * rate)` samples from sample `round(k * hop * rate)` on, halves rounded up, so
    hops that are no whole number of samples differ by one and do not drift. However the samples are split into pushes,
    the events are the same. A sensor's memory is one window; with several placements two, since one may arrive ahead
    of another. The n-th samples of all placements are taken as simultaneous.

    The codes are those of the feature extractor on the window's samples, the scores those of
    `pipeline("zero-shot-imu-classification")` and the caption that of `pipeline("imu-to-text")`. One still window is
    worked through when the stream is made, so that whatever does not fit is said then and the first event is no slower
    than others.

    Args:
        model: put in evaluation mode; captions need `AnyMoForConditionalGeneration`.
        processor: with a feature extractor of the same run.
        placements: one name or several, as in `AnyMoFeatureExtractor`; samples are pushed under these names.
        sampling_rate: Hz, of every placement, 5 to 10,000.
        acceleration_unit: "m/s^2", "g" or "mg".
        angular_velocity_unit: "rad/s" or "deg/s".
        window: seconds, at least 1 and at most the processor's `max_window_seconds`, above which pipelines would cut.
        hop: seconds from one window's start to the next's, at least one sample; more than `window` leaves samples out.
        labels: activities to score; their embeddings are worked out once.
        captions: whether to write a caption.
        embeddings: False saves the language model's pass where neither labels nor embeddings are wanted.
        max_new_tokens: length limit of a caption, and with it of its latency.
        on_lag: of several windows that one push completes, "queue" works out all, "skip" the newest only.
        on_gap: where time stamps pause for over `max_gap`, "raise" refuses the push, "reset" drops the window begun and
            goes on behind the pause.
        max_gap: seconds, and at least 2.5 samples. A shorter pause passes as jitter.

    Raises:
        ValueError: an argument that does not fit, model and processor of different runs, or captions without a model
            that writes.
    """

    def __init__(
        self,
        model: AnyMoModel,
        processor: AnyMoProcessor,
        placements: Sequence[str] | str,
        sampling_rate: float,
        acceleration_unit: str = "m/s^2",
        angular_velocity_unit: str = "rad/s",
        window: float = 5.0,
        hop: float = 1.0,
        labels: Sequence[str] = (),
        captions: bool = False,
        embeddings: bool = True,
        max_new_tokens: int = 64,
        on_lag: str = "queue",
        on_gap: str = "raise",
        max_gap: float = 0.1,
    ):
        self.placements = [placements] if isinstance(placements, str) else list(placements)
        if not self.placements or len(set(self.placements)) < len(self.placements):
            raise ValueError(f"placements must name each sensor once, got {self.placements}")
        rate = _number("sampling_rate", sampling_rate, "5 to 10,000 Hz", 5, 10_000)
        window = _number("window", window, "at least 1 second", 1)
        hop = _number("hop", hop, f"at least one sample, {1 / rate:.3g} s", 1 / rate)
        max_gap = _number("max_gap", max_gap, "seconds, 0 or more", 0)
        for field, value, known in (("on_lag", on_lag, ("queue", "skip")), ("on_gap", on_gap, ("raise", "reset"))):
            if value not in known:
                raise ValueError(f"{field} must be {' or '.join(map(repr, known))}, got {value!r}")
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
        self.labels = [labels] if isinstance(labels, str) else list(labels or ())
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels names an activity twice: {self.labels}")
        if captions and not isinstance(model, AnyMoForConditionalGeneration):
            raise ValueError(f"captions need AnyMoForConditionalGeneration, got {type(model).__name__}")
        if processor.feature_extractor is None:
            raise ValueError("a stream needs a processor with a feature extractor")
        check_same_codebook(model, processor)
        self.sampling_rate, self.on_lag, self.on_gap = rate, on_lag, on_gap
        # half a sample up; a window of one second must not round to less, which the feature extractor refuses
        self._size, self._hop = max(floor(window * rate + 0.5), ceil(rate)), hop * rate
        longest = processor.max_window_seconds
        if len(equal_spans(round(self._size * TARGET_RATE / rate), longest)) > 1:
            raise ValueError(
                f"window is {window:g} s, but the processor's max_window_seconds is {longest:g}; shorten it"
            )
        self._max_gap = max(max_gap, 2.5 / rate)
        self._settings: dict[str, Any] = {
            "sampling_rate": rate,
            "acceleration_unit": acceleration_unit,
            "angular_velocity_unit": angular_velocity_unit,
        }
        self.model, self.processor = model.eval(), processor
        self._embeds, self._max_new_tokens = embeddings or bool(self.labels), max_new_tokens
        self._write = ImuToTextPipeline(model=model, processor=processor, device=model.device) if captions else None
        self._texts: torch.Tensor | None = None
        if self.labels:
            with torch.no_grad():
                batch = processor(text=self.labels, text_kind="label", return_tensors="pt").to(model.device)
                self._texts = model.get_text_features(**batch).pooler_output.float().cpu()
        unit = resolve_unit(acceleration_unit, ACCELERATION_UNITS, "acceleration_unit")
        still = np.tile([0, 0, STANDARD_GRAVITY / ACCELERATION_UNITS[unit], 0, 0, 0], (self._size, 1))
        self._answer(dict.fromkeys(self.placements, still))
        self.reset()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs) -> AnyMoStream:
        """A stream of a saved model.

        Args:
            pretrained_model_name_or_path: the folder or the repository's name.
            kwargs: the arguments of the class but for model and processor; `wrist` (see `AnyMoFeatureExtractor`); the
                usual Hub arguments, such as `revision` and `token`.

        Raises:
            OSError: a missing or damaged file.
            ValueError: as the class, or an unknown argument.
        """
        names = list(signature(cls).parameters)[2:]  # without model and processor
        own, hub = split_arguments(kwargs, (*names, "wrist"), "AnyMoStream.from_pretrained")
        if missing := [name for name in ("placements", "sampling_rate") if name not in own]:
            raise ValueError(f"AnyMoStream.from_pretrained: {' and '.join(missing)} missing")
        wrist = {"wrist": own.pop("wrist")} if "wrist" in own else {}
        processor = AnyMoProcessor.from_pretrained(pretrained_model_name_or_path, **wrist, **hub)
        model_class = AnyMoForConditionalGeneration if own.get("captions") else AnyMoModel
        return cls(model_class.from_pretrained(pretrained_model_name_or_path, **hub), processor, **own)

    @property
    def buffer_bytes(self) -> int:
        """Memory of the samples held: it does not grow with the stream."""
        return sum(sensor.rows.nbytes + sensor.times.nbytes for sensor in self._sensors.values())

    def reset(self) -> None:
        """Forgets all samples: the next one begins a new recording, whose channels and time stamps may differ."""
        capacity = self._size * (1 if len(self.placements) == 1 else 2)
        self._sensors = {name: _Sensor(capacity) for name in self.placements}
        self._stamped: bool | None = None
        self._restart()

    def _restart(self) -> None:
        for sensor in self._sensors.values():
            sensor.count = 0
        self._number = self._covered = 0

    def push(
        self, samples: Mapping[str, np.ndarray] | np.ndarray, timestamps: Sequence[float] | np.ndarray | None = None
    ) -> list[AnyMoStreamEvent]:
        """Takes samples and gives the events of the windows that they complete.

        Args:
            samples: placement -> `(n, 6)` or, without a gyroscope, `(n, 3)`, any n; with one placement the array alone
                will do. Placements may come together or one by one, one at most a window ahead of another.
            timestamps: `(n,)` seconds, one for each sample of every placement in this push, where samples can be lost:
                with all pushes or none. They find pauses and a wrong rate, and date the events; samples are taken as
                evenly spaced all the same, and nothing is filled in.

        Raises:
            ValueError: an unknown placement; samples of another shape or other channels than before, NaN or infinite;
                a placement over a window ahead; time stamps that go back, pause (see `on_gap`), or over a window differ
                by more than 5 % (and `max_gap`) from the rate or by more than `max_gap` between placements. The whole
                push is then refused, and the stream is as it was before.
        """
        rows, times, gaps = self._check(samples, timestamps)
        self._stamped = times is not None
        events: list[AnyMoStreamEvent] = []
        for number, (begin, end) in enumerate(pairwise([0, *gaps, max(map(len, rows.values()), default=0)])):
            if number:
                self._restart()
            part = {name: values[begin:end] for name, values in rows.items()}
            events += self._take(part, None if times is None else times[begin:end])
        return events

    def flush(self) -> list[AnyMoStreamEvent]:
        """Ends the recording: one last, shorter window from the next hop on, then `reset`.

        It is left out if it would last under a second, or if no sample in it is new.

        Raises:
            ValueError: no window was complete, and time stamps differ from the rate, as in `push`.
        """
        start, end = self._start(self._number), min(sensor.count for sensor in self._sensors.values())
        whole = end > self._covered and end - start >= self.sampling_rate
        if whole and self._stamped and not self._number:  # later ones end with samples of windows that fitted
            for name, sensor in self._sensors.items():
                taken = sensor.time(end - 1) - sensor.time(start)
                if self._off_rate(taken, end - 1 - start):
                    raise self._wrong_rate(name, sensor.time(end - 1), end - 1 - start, taken)
        events = [self._event(start, end, 0)] if whole else []
        self.reset()
        return events

    # -- samples -----------------------------------------------------------------------------------------------------

    def _start(self, number: int) -> int:
        """First sample of a hop."""
        return floor(number * self._hop + 0.5)

    def _take(self, part: Mapping[str, np.ndarray], times: np.ndarray | None) -> list[AnyMoStreamEvent]:
        """Events of checked samples, worked off window by window, so that no more than one need be held."""
        least = min(sensor.count + len(part.get(name, ())) for name, sensor in self._sensors.items())
        skipped = 0
        while self.on_lag == "skip" and self._start(self._number + 1) + self._size <= least:
            self._number += 1
            skipped += 1
        taken = dict.fromkeys(part, 0)
        events: list[AnyMoStreamEvent] = []
        while True:
            start = self._start(self._number)
            end = start + self._size
            for name, rows in part.items():
                sensor, begin = self._sensors[name], taken[name]
                stop = len(rows) if end > least else min(len(rows), begin + max(0, end - sensor.count))
                sensor.append(rows[begin:stop], None if times is None else times[begin:stop])
                taken[name] = stop
            if end > least:
                return events
            self._number += 1
            self._covered = end
            events.append(self._event(start, end, skipped))
            skipped = 0

    def _check(self, samples, timestamps) -> tuple[dict[str, np.ndarray], np.ndarray | None, list[int]]:
        """Samples as float64, their times, and the rows that follow a gap; changes nothing."""
        if not isinstance(samples, Mapping):
            if len(self.placements) > 1:
                raise ValueError(f"samples must map placement -> (n, 6): this stream has {', '.join(self.placements)}")
            samples = {self.placements[0]: samples}
        rows: dict[str, np.ndarray] = {}
        for name, values in samples.items():
            if name not in self._sensors:
                raise ValueError(f"unknown placement {name!r}; this stream has {', '.join(self.placements)}")
            rows[name] = _samples(name, values)
            before = self._sensors[name].rows.shape[1]
            if self._sensors[name].count and rows[name].shape[1] != before:
                raise ValueError(
                    f"{name!r}: {rows[name].shape[1]} channels after {before}; send the same ones, or reset() first"
                )
        if self._stamped is not None and self._stamped != (timestamps is not None):
            word = "missing" if self._stamped else "new"
            raise ValueError(f"timestamps are {word}: give them with every push or with none, or reset() first")
        times = None if timestamps is None else _times(timestamps, rows)
        for name, values in rows.items():
            if len(broken := np.flatnonzero(~np.isfinite(values).all(axis=1))):
                row = int(broken[0])
                at = (self._sensors[name].count + row) / self.sampling_rate if times is None else times[row]
                which = f" (row {row} of this push)" if len(values) > 1 else ""
                raise ValueError(
                    f"{name!r}: NaN or infinite value at {at:.3f} s{which}; interpolate it, or go on behind it (reset())"
                )
        counts = {name: sensor.count + len(rows.get(name, ())) for name, sensor in self._sensors.items()}
        last, first = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        if counts[first] - counts[last] > self._size:
            lead = (counts[first] - counts[last]) / self.sampling_rate
            raise ValueError(
                f"{first!r} would be {lead:.2f} s ahead of {last!r}, more than a window; push {last!r} too, or reset() "
                "if it is lost"
            )
        if times is None or not len(times):
            return rows, times, []
        gaps = sorted({int(row) for name in rows for row in self._gaps(name, times)})
        if gaps and (len(rows) < len(counts) or len({sensor.count for sensor in self._sensors.values()}) > 1):
            raise ValueError("a pause in one of several placements: on_gap='reset' needs them pushed together; reset()")
        return rows, times, gaps

    def _gaps(self, name: str, times: np.ndarray) -> np.ndarray:
        """Rows of `times` that follow a pause, once they are found in order, at the rate and in step with others."""
        sensor = self._sensors[name]
        before = np.append(sensor.time(sensor.count - 1) if sensor.count else times[0], times[:-1])
        steps = times - before
        if (steps < 0).any():
            row = int(np.argmax(steps < 0))
            raise ValueError(
                f"{name!r}: timestamps go back from {before[row]:.3f} to {times[row]:.3f} s; send samples in order, or "
                "begin a new recording (reset())"
            )
        gaps = np.flatnonzero(steps > self._max_gap)
        if len(gaps) and self.on_gap == "raise":
            raise ValueError(
                f"{name!r}: timestamps (in seconds) pause for {steps[gaps[0]]:.3f} s after {before[gaps[0]]:.3f} s; "
                "begin anew behind it (reset()), or always by on_gap='reset'"
            )
        for number, (begin, end) in enumerate(pairwise([0, *gaps, len(times)])):
            self._check_rate(name, times[begin:end], 0 if number else sensor.count)
        for other, placed in self._sensors.items():
            if not len(gaps) and placed.count > sensor.count:
                ahead = times[0] - placed.time(sensor.count)
                if abs(ahead) > self._max_gap:
                    raise ValueError(
                        f"{name!r} is {ahead:+.3f} s out of step with {other!r} by its timestamps; reset() and begin all "
                        "placements at the same time"
                    )
        return gaps

    def _check_rate(self, name: str, times: np.ndarray, count: int) -> None:
        """Compares each of `times`, the samples from `count` on, with the one a window earlier."""
        sensor, steps = self._sensors[name], self._size - 1
        old = count + np.arange(len(times)) - steps
        held = sensor.times[old % len(sensor.times)]
        earlier = np.where(old < count, held, times[np.maximum(old - count, 0)])
        if len(wrong := np.flatnonzero(self._off_rate(times - earlier, steps) & (old >= 0))):
            raise self._wrong_rate(name, times[wrong[0]], steps, float(times[wrong[0]] - earlier[wrong[0]]))

    def _off_rate(self, taken, steps: int):
        """Whether seconds that `steps` samples took do not fit the rate."""
        expected = steps / self.sampling_rate
        return np.abs(taken - expected) > max(_RATE_TOLERANCE * expected, self._max_gap)

    def _wrong_rate(self, name: str, until: float, steps: int, taken: float) -> ValueError:
        return ValueError(
            f"{name!r}: timestamps (in seconds) up to {until:.3f} s say {steps / taken if taken else inf:.4g} Hz, "
            f"sampling_rate={self.sampling_rate:g} does not; correct it, or begin anew behind lost samples (reset())"
        )

    # -- answers -----------------------------------------------------------------------------------------------------

    def _event(self, start: int, end: int, skipped: int) -> AnyMoStreamEvent:
        began = time.perf_counter()
        codes, placements, scores, caption, embedding = self._answer(
            {name: sensor.window(start, end) for name, sensor in self._sensors.items()}
        )
        first, last = start / self.sampling_rate, end / self.sampling_rate
        if self._stamped:
            sensor = self._sensors[self.placements[0]]
            first, last = sensor.time(start), sensor.time(end - 1) + 1 / self.sampling_rate
        latency = time.perf_counter() - began
        return AnyMoStreamEvent(first, last, codes, placements, scores, caption, embedding, latency, skipped)

    def _answer(self, window: dict[str, np.ndarray]):
        """Codes, segment indices, scores, caption and embedding of one window."""
        ((codes,),), (worn,) = self.processor.windows(window, **self._settings)
        scores: dict[str, float] = {}
        caption = embedding = None
        if self._embeds:
            embedded = embed_windows(self.model, self.processor, [[codes]], [worn]).cpu()
            embedding = embedded[0].numpy()
            if self._texts is not None:
                logits = embedded @ self._texts.t() / self.model.config.contrastive_temperature
                values = dict(zip(self.labels, logits[0].softmax(0).tolist(), strict=True))
                scores = dict(sorted(values.items(), key=lambda item: -item[1]))
        if self._write is not None:
            # step by step: called many times as a whole, a pipeline on a GPU warns that batches would be faster
            prompt = self._write.preprocess({"imu_codes": codes, "imu_placements": worn})
            tokens = self._write.forward(prompt, max_new_tokens=self._max_new_tokens)
            caption = self._write.postprocess(tokens)[0]["generated_text"]
        return codes, tuple(worn), scores, caption, embedding


def _number(field: str, value, range_: str, least: float, most: float = inf) -> float:
    """A finite number in its range, or ValueError."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not least <= number <= most or number == inf:
        raise ValueError(f"{field} must be {range_}, got {value!r}")
    return number


def _samples(name: str, values) -> np.ndarray:
    """`(n, 6)` or `(n, 3)`, float64, or ValueError."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name!r}: samples must be numbers in an (n, 6) array ({error})") from error
    if array.ndim != 2 or array.shape[1] not in (3, 6):
        raise ValueError(
            f"{name!r}: samples must be (n, 6) or, without a gyroscope, (n, 3), got {array.shape}; one sample is one row"
        )
    return array


def _times(timestamps, rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Time stamps `(n,)` of samples that all have n rows, or ValueError."""
    try:
        times = np.asarray(timestamps, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"timestamps must be numbers, in seconds ({error})") from error
    lengths = {name: len(values) for name, values in rows.items()}
    if times.ndim != 1 or any(length != len(times) for length in lengths.values()):
        raise ValueError(f"timestamps must be (n,), one for each sample, got {times.shape} for samples {lengths}")
    if not np.isfinite(times).all():
        raise ValueError(
            f"timestamps: row {int(np.argmin(np.isfinite(times)))} of this push is not finite; drop the row"
        )
    return times
