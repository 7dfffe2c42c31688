"""`Recognizer`: a checkpoint and the labels it answers with, on whole recordings, window by window."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..modeling.windows import SMOOTHING, TimelineEntry, WindowAnswer, hop_spans, join_windows
from ..recordings.imu_recording import ImuRecording
from ..refusals import DoubtWarning
from .activity_labels import EVERYDAY, NONE_OF_THESE
from .checkpoint import holds_classifier, load_checkpoint, load_classifier

WINDOW = 5.0  # seconds, the longest window of training
# both were set on simulated windows; `evaluation/none_of_these.py` measures what they do
NEAR_IN_MEANING = 0.5  # cosine of two labels' texts from which one may stand for the other
HANDICAP = 2.0  # temperatures by which another activity must be nearer than the best label


@dataclass(frozen=True, eq=False)
class Recognizer:
    """A checkpoint ready to answer, see `load_recognizer`.

    Args:
        model, processor: of one run, in evaluation mode.
        labels: what it answers with, in the order of the scores.
        texts: unit text embeddings `(texts, dim)` of the labels; None where the checkpoint's own classifier answers.
        others: unit text embeddings of activities that count for the last label, "none of these"; None without it.
        batch_size: windows in a pass; more than 16 are no faster on a CPU (`benchmarks/recognize.py`) and take more memory.
    """

    model: Any
    processor: Any
    labels: tuple[str, ...]
    texts: np.ndarray | None = None
    others: np.ndarray | None = None
    batch_size: int = 16

    def scores(self, embeddings: np.ndarray) -> np.ndarray:
        """Scores `(n, labels)` that sum to one, of unit embeddings `(n, dim)`: softmax of cosine / temperature, or the
        classifier's chances."""
        import torch

        if self.texts is None:
            with torch.inference_mode():
                return self.model.classify(torch.from_numpy(embeddings)).float().softmax(-1).cpu().numpy()
        temperature = self.model.config.contrastive_temperature
        logits = embeddings @ self.texts.T / temperature
        if self.others is not None:
            nearest = (embeddings @ self.others.T).max(1, keepdims=True) / temperature
            logits = np.concatenate([logits, nearest - HANDICAP], axis=1)
        chances = np.exp(logits - logits.max(1, keepdims=True))
        return chances / chances.sum(1, keepdims=True)

    def window_scores(self, windows: Sequence[Mapping[str, np.ndarray]], rate: float) -> np.ndarray:
        """Scores as `scores`, of a classifier that reads raw windows: over the pieces of a long one its mean.

        Args:
            windows: placement -> `(T, 6)` in m/s^2 and rad/s; rate: Hz.
        """
        import torch

        self.model.require_trained()
        pieces = self.processor.pieces(windows, sampling_rate=rate)
        batch = self.processor.window_inputs([piece for one in pieces for piece in one])
        with torch.inference_mode():
            logits = self.model(**batch.to(self.model.device)).logits.float().split([len(one) for one in pieces])
            return torch.stack([part.mean(0) for part in logits]).softmax(-1).cpu().numpy()

    def answers(
        self, recording: ImuRecording, window: float = WINDOW, hop: float | None = None
    ) -> Iterator[WindowAnswer]:
        """Answers about the windows of a recording (see `hop_spans`) as they are worked out; memory does not grow.

        Each window is read by itself, as `AnyMoStream` reads it. One longer than `max_window_seconds` is cut,
        and the embeddings of its pieces are averaged.

        Raises:
            ValueError: a window or hop that cannot be, or what the processor refuses.
        """
        from ..modeling.embedding import embed_windows

        rate, signals = recording.sampling_rate, recording.signals
        spans = hop_spans(len(next(iter(signals.values()))), rate, window, hop)
        for first in range(0, len(spans), self.batch_size):
            part = spans[first : first + self.batch_size]
            cut = [{place: signal[start:end] for place, signal in signals.items()} for start, end in part]
            codes, worn = self.processor.windows(cut, sampling_rate=rate)
            embeddings = embed_windows(self.model, self.processor, codes, worn, self.batch_size).cpu().numpy()
            reads_windows = self.texts is None and self.model.config.classifier_input == "imu"
            found = self.window_scores(cut, rate) if reads_windows else self.scores(embeddings)
            for (start, end), scores, embedding in zip(part, found, embeddings, strict=True):
                yield WindowAnswer(start / rate, end / rate, scores, embedding)


def load_recognizer(
    model: str = "anymo",
    labels: Sequence[str] | None = None,
    none_of_these: bool = False,
    wrist: str | None = None,
) -> Recognizer:
    """A checkpoint and its labels.

    A checkpoint with a trained classifier answers with the labels that it learned, never with others. Any other one
    compares a window with the names of `labels`.

    Args:
        model: folder, Hub name, or "anymo" for the installed one.
        labels: candidates; None is `EVERYDAY`.
        none_of_these: one more label, "none of these". The rule: of all simulated activities that mean something else than
            every label (text cosine below `NEAR_IN_MEANING`) the nearest one to the window takes part in the label's name,
            its cosine less `HANDICAP` temperatures.
        wrist: "forearm" or "hand"; None keeps the checkpoint's.

    Raises:
        OSError: as `load_checkpoint`.
        ValueError: labels for a checkpoint that has its own, or one twice.
    """
    if holds_classifier(model):
        if labels is not None or none_of_these:
            raise ValueError(
                f"--model {model!r} is a tuned classifier and answers with the labels that it learned; leave --labels and "
                "--none out, or take another model"
            )
        loaded, processor = load_classifier(model, wrist)
        names = loaded.config.id2label
        return Recognizer(loaded, processor, tuple(names[number] for number in range(len(names))))
    loaded, processor = load_checkpoint(model, wrist)
    return zero_shot_recognizer(loaded, processor, labels, none_of_these)


def zero_shot_recognizer(
    model: Any, processor: Any, labels: Sequence[str] | None = None, none_of_these: bool = False
) -> Recognizer:
    """As `load_recognizer`, of a model and a processor that are loaded."""
    from .embeddings import embed_labels

    chosen = list(EVERYDAY if labels is None else labels)
    if len(set(chosen)) < len(chosen) or not chosen:
        raise ValueError(f"labels must name each activity once and at least one, got {chosen}")
    if len(chosen) == 1 and not none_of_these:
        warnings.warn(
            f"one label only: every window is called {chosen[0]!r}; give others beside it, or none_of_these=True",
            DoubtWarning,
            stacklevel=3,
        )
    texts, others = embed_labels(model, processor, chosen), None
    if none_of_these:
        from ..motion.procedural import ACTIVITIES
        from ..motion.procedural.narration import label_phrases

        if NONE_OF_THESE in chosen:
            raise ValueError(f"labels may not hold {NONE_OF_THESE!r}; it is added")
        others = embed_labels(model, processor, [label_phrases(name)[0] for name in ACTIVITIES])
        others = others[(others @ texts.T).max(1) < NEAR_IN_MEANING]
        if not len(others):
            raise ValueError("none of these: every known activity is near in meaning to a label; give fewer labels")
        chosen.append(NONE_OF_THESE)
    return Recognizer(model, processor, tuple(chosen), texts, others)


def recognize(
    recognizer: Recognizer,
    stretches: Sequence[ImuRecording],
    window: float = WINDOW,
    hop: float | None = None,
    smoothing: int = SMOOTHING,
    seen: Callable[[WindowAnswer], None] = lambda answer: None,
) -> Iterator[TimelineEntry]:
    """The timeline of a recording, entry by entry as soon as each is known; the rule is that of `join_windows`.

    Args:
        recognizer: who answers.
        stretches: a recording's unbroken parts on one clock, in order of time; a timeline does not bridge what is between.
            Those under a second are passed over.
        window, hop: seconds, see `hop_spans`.
        smoothing: windows, odd.
        seen: called with every window's answer.

    Raises:
        ValueError: no stretch lasts a second, or as `Recognizer.answers` and `join_windows`.
    """
    long = [part for part in stretches if len(next(iter(part.signals.values()))) >= part.sampling_rate]
    if not long:
        count, rate = len(next(iter(stretches[0].signals.values()))), stretches[0].sampling_rate
        raise ValueError(
            f"{stretches[0].source or 'the recording'}: {count} samples at {rate:g} Hz are under one second; give a longer "
            "recording"
        )
    for part in long:
        offset = part.start_time - stretches[0].start_time
        yield from join_windows(
            _told(recognizer.answers(part, window, hop), offset, seen), recognizer.labels, smoothing
        )


def _told(
    answers: Iterator[WindowAnswer], offset: float, seen: Callable[[WindowAnswer], None]
) -> Iterator[WindowAnswer]:
    for answer in answers:
        moved = replace(answer, start=answer.start + offset, end=answer.end + offset)
        seen(moved)
        yield moved


def count_windows(stretches: Sequence[ImuRecording], window: float = WINDOW, hop: float | None = None) -> int:
    """How many windows `recognize` answers."""
    return sum(
        len(hop_spans(len(next(iter(part.signals.values()))), part.sampling_rate, window, hop)) for part in stretches
    )


def activity_seconds(entries: Sequence[TimelineEntry]) -> dict[str, float]:
    """Activity -> seconds of a timeline, the longest first."""
    total: dict[str, float] = {}
    for entry in entries:
        total[entry.activity] = total.get(entry.activity, 0.0) + entry.end - entry.start
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def mean_scores(answers: Sequence[WindowAnswer], labels: Sequence[str]) -> dict[str, float]:
    """Label -> mean score over windows, best first."""
    mean = np.mean([answer.scores for answer in answers], axis=0)
    return {labels[index]: float(mean[index]) for index in np.argsort(-mean)}
