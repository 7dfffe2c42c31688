"""A random forest on plain statistics of the signals: the yardstick of few labels (DESIGN 6, table C)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..recordings.imu_recording import ImuRecording
from .interface import System
from .signal_statistics import signal_statistics, statistics_count
from .trained_windows import check_placements, placements_of, scores_of_labels

TREES = 300


def window_features(recordings: Sequence[ImuRecording], placements: Sequence[str]) -> np.ndarray:
    """`signal_statistics` of each placement side by side, `(n, 180 * placements)`.

    NaN where a window lacks a placement. Without a gyroscope its channels are zero.
    """
    width = statistics_count()
    features = np.full((len(recordings), len(placements), width), np.nan)
    for column, place in enumerate(placements):
        rates = np.array([one.sampling_rate if place in one.signals else np.nan for one in recordings])
        for rate in np.unique(rates[~np.isnan(rates)]):
            rows = np.flatnonzero(rates == rate)
            windows = [np.asarray(recordings[row].signals[place], dtype=float) for row in rows]
            six = [np.pad(window, ((0, 0), (0, 6 - window.shape[1]))) for window in windows]
            features[rows, column] = signal_statistics(six, float(rate))
    return features.reshape(len(recordings), -1)


class FeatureForest(System):
    """300 trees on `window_features`; a label that training did not hold scores 0."""

    name, title, requires, licence = "feature_forest", "Feature forest", "training", "Apache-2.0"
    takes_source = False

    def __init__(self, seed: int = 0):
        from sklearn.ensemble import RandomForestClassifier

        self.forest = RandomForestClassifier(TREES, random_state=seed)
        self.placements: tuple[str, ...] = ()

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> FeatureForest:
        """Raises ImportError where scikit-learn is missing."""
        return cls(seed)

    def fit(
        self, recordings: Sequence[ImuRecording], labels: Sequence[str], groups: Sequence[str] | None = None
    ) -> None:
        """As `System.fit`."""
        self.check_training(recordings, labels, groups)
        self.placements = placements_of(recordings)
        self.forest.fit(window_features(recordings, self.placements), np.array(labels))

    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """As `System.score`: the share of trees.

        Raises:
            ValueError: also where a window has a placement that training did not have.
        """
        self.check(recordings)
        check_placements(self.title, self.placements, recordings)
        found = self.forest.predict_proba(window_features(recordings, self.placements))
        return scores_of_labels(found, self.forest.classes_, labels)
