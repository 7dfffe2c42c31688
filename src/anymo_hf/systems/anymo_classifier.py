"""`AnyMoClassifier` as a compared system: linear or full, for a device worn as in training or turned (robust)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..recordings.imu_recording import ImuRecording
from .anymo import CHECKPOINT
from .checkpoint import check_checkpoint
from .classifier import AnyMoClassifier
from .interface import System
from .trained_windows import scores_of_labels


class AnyMoLinear(System):
    """Logistic regression on statistics and the frozen encoder's latents; a label that training did not hold scores 0."""

    name, title, requires, licence = "anymo_linear", "AnyMo, linear", "training", "Apache-2.0"
    method, robust = "linear", False
    shortest_seconds, fewest_labels = 1.0, 2

    def __init__(self, source: str, seed: int):
        self.source, self.seed = source, seed
        self.classifiers: dict[tuple[float, tuple[str, ...]], AnyMoClassifier] = {}

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> AnyMoLinear:
        """`source`: a checkpoint (default "anymo"), read at the first `fit`; OSError where it is not there or not whole."""
        try:
            check_checkpoint(source or CHECKPOINT)
        except OSError as error:
            raise OSError(f"{cls.title} ({cls.licence}) needs a checkpoint: {error}") from error
        return cls(source or CHECKPOINT, seed)

    def fit(
        self, recordings: Sequence[ImuRecording], labels: Sequence[str], groups: Sequence[str] | None = None
    ) -> None:
        """As `System.fit`; windows of one rate and the same placements are one classifier.

        Raises:
            ValueError: also where windows of a rate and placements all have one label.
        """
        everyone = self.check_training(recordings, labels, groups)
        self.classifiers = {}
        for (rate, places), rows in _alike(recordings).items():
            made = AnyMoClassifier(
                self.source, sampling_rate=rate, method=self.method, robust=self.robust, random_state=self.seed
            )
            made.memory = self.memory
            windows = [_six_channels(recordings[row]) for row in rows]
            try:
                made.fit(windows, [str(labels[row]) for row in rows], [everyone[row] for row in rows])
            except ValueError as error:
                raise ValueError(f"{self.title}: {_in_words(rate, places)}: {error}") from error
            self.classifiers[rate, places] = made

    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """As `System.score`: chances.

        Raises:
            ValueError: also where a window has a rate or placements that training did not have.
        """
        self.check(recordings)
        if not self.classifiers:
            raise ValueError(f"{self.title} has not learned yet; call fit first")
        scores, asked = np.zeros((len(recordings), len(labels))), _alike(recordings)
        if new := [kind for kind in asked if kind not in self.classifiers]:
            learned = "; ".join(_in_words(*kind) for kind in self.classifiers)
            raise ValueError(f"{self.title} learned from {learned}, and cannot take {_in_words(*new[0])}")
        for kind, rows in asked.items():
            classifier = self.classifiers[kind]
            found = classifier.predict_proba([_six_channels(recordings[row]) for row in rows])
            scores[rows] = scores_of_labels(found, classifier.classes_, labels)
        return scores


class AnyMoRobust(AnyMoLinear):
    """The same with `robust=True`: for people whose device will be worn turned another way."""

    name, title = "anymo_robust", "AnyMo, robust"
    robust = True


class AnyMoFull(AnyMoLinear):
    """Networks trained end to end beside the linear scores."""

    name, title = "anymo_full", "AnyMo, full"
    method = "full"


class AnyMoFullRobust(AnyMoFull):
    """The same with `robust=True`."""

    name, title = "anymo_full_robust", "AnyMo, full and robust"
    robust = True


def _alike(recordings: Sequence[ImuRecording]) -> dict[tuple[float, tuple[str, ...]], list[int]]:
    """Rows of the recordings of one rate and the same placements."""
    found: dict[tuple[float, tuple[str, ...]], list[int]] = {}
    for row, recording in enumerate(recordings):
        found.setdefault((recording.sampling_rate, tuple(sorted(recording.signals))), []).append(row)
    return dict(sorted(found.items()))


def _in_words(rate: float, places: Sequence[str]) -> str:
    return f"{', '.join(places)} at {rate:g} Hz"


def _six_channels(recording: ImuRecording) -> dict[str, np.ndarray]:
    """Placement -> `(T, 6)`; without a gyroscope its channels are zero."""
    return {
        place: np.pad(np.asarray(signal, dtype=float), ((0, 0), (0, 6 - signal.shape[1])))
        for place, signal in recording.signals.items()
    }
