"""A released network as it is, and logistic regression on what it says of people's windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..recordings.imu_recording import ImuRecording
from .interface import System
from .trained_windows import check_placements, placements_of, scores_of_labels


class FrozenFeatures(System):
    """A subclass gives its class attributes, `load` and `features`.

    Args:
        network: a `torch.nn.Module`; it is put in evaluation mode and never trained.
        batch_size: inputs of the network at a time.
        seed: of the logistic regression.
    """

    requires, fewest_labels = "weights", 2

    def __init__(self, network: Any, batch_size: int = 256, seed: int = 0):
        self.network, self.batch_size, self.seed = network.eval(), batch_size, seed
        self.placements: tuple[str, ...] = ()

    def features(self, recordings: Sequence[ImuRecording]) -> np.ndarray:
        """`(n, features)` of windows with the placements of `fit`."""
        raise NotImplementedError

    def fit(
        self, recordings: Sequence[ImuRecording], labels: Sequence[str], groups: Sequence[str] | None = None
    ) -> None:
        """As `System.fit`; the network stays as it is."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.check_training(recordings, labels, groups)
        self.placements = placements_of(recordings)
        self.classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=self.seed))
        self.classifier.fit(self.features(recordings), np.array(labels))

    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """As `System.score`: chances, 0 for a label that training did not hold.

        Raises:
            ValueError: also where a window has a placement that training did not have.
        """
        self.check(recordings)
        check_placements(self.title, self.placements, recordings)
        found = self.classifier.predict_proba(self.features(recordings))
        return scores_of_labels(found, self.classifier.classes_, labels)
