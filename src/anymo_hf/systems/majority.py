"""Always the most frequent class of the training windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..recordings.imu_recording import ImuRecording
from .interface import System


class Majority(System):
    """The score of a label is its share among the training windows, whatever the window shows."""

    name, title, requires, licence = "majority", "Majority class", "training", "Apache-2.0"
    takes_source = False

    def __init__(self) -> None:
        self.shares: dict[str, float] | None = None

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> Majority:
        """There is nothing to find."""
        return cls()

    def fit(
        self, recordings: Sequence[ImuRecording], labels: Sequence[str], groups: Sequence[str] | None = None
    ) -> None:
        """As `System.fit`."""
        self.check_training(recordings, labels, groups)
        self.shares = {label: count / len(labels) for label, count in Counter(labels).items()}

    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """As `System.score`; 0 for a label that training did not hold."""
        self.check(recordings)
        if self.shares is None:
            raise ValueError(f"{self.title} has not learned yet; call fit first")
        return np.tile([self.shares.get(label, 0.0) for label in labels], (len(recordings), 1))
