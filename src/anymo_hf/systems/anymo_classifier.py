"""`AnyMoClassifier` as a compared system: linear or full, for a device worn as in training or turned (robust)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from ..recordings.imu_recording import ImuRecording
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
        self.classifiers: dict[float, AnyMoClassifier] = {}

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> AnyMoLinear:
        """`source`: the released checkpoint (default "anymo"); it is read at the first `fit`."""
        return cls(source or "anymo", seed)

    def fit(
        self, recordings: Sequence[ImuRecording], labels: Sequence[str], groups: Sequence[str] | None = None
    ) -> None:
        """As `System.fit`; one rate is one classifier."""
        everyone = self.check_training(recordings, labels, groups)
        self.classifiers = {}
        order = sorted(range(len(recordings)), key=lambda row: recordings[row].sampling_rate)
        for rate, rows in groupby(order, key=lambda row: recordings[row].sampling_rate):
            chosen = list(rows)
            people = [everyone[row] for row in chosen]
            made = AnyMoClassifier(
                self.source, sampling_rate=rate, method=self.method, robust=self.robust, random_state=self.seed
            )
            made.memory = self.memory
            windows = [_six_channels(recordings[row]) for row in chosen]
            self.classifiers[rate] = made.fit(windows, [str(labels[row]) for row in chosen], people)

    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """As `System.score`: chances.

        Raises:
            ValueError: also where a window has a rate or placements that training did not have.
        """
        self.check(recordings)
        if not self.classifiers:
            raise ValueError(f"{self.title} has not learned yet; call fit first")
        scores = np.zeros((len(recordings), len(labels)))
        rates = np.array([one.sampling_rate for one in recordings])
        if new := set(rates) - set(self.classifiers):
            raise ValueError(
                f"{self.title} learned from {sorted(self.classifiers)} Hz and cannot take {sorted(new)} Hz"
            )
        for rate, classifier in self.classifiers.items():
            rows = np.flatnonzero(rates == rate)
            if not len(rows):
                continue
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


def _six_channels(recording: ImuRecording) -> dict[str, np.ndarray]:
    """Placement -> `(T, 6)`; without a gyroscope its channels are zero."""
    return {
        place: np.pad(np.asarray(signal, dtype=float), ((0, 0), (0, 6 - signal.shape[1])))
        for place, signal in recording.signals.items()
    }
