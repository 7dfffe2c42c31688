"""COMODO's read-out: its student, trained on our corpus and frozen, and a support vector machine on people's windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ..recordings.imu_recording import ImuRecording
from .frozen_features import FrozenFeatures
from .published_weights import device_of, run_batches, unit
from .retrained import COMODOObjective
from .retrained_networks import RATE, SAMPLES
from .trained_windows import check_placements, placements_of, scores_of_labels, side_by_side

STRENGTHS = tuple(10.0**power for power in range(-4, 5))
MOST_WINDOWS = 10_000


class COMODOStudent(FrozenFeatures):
    """Class tokens of every channel, one window one row of length 1; RBF kernel, C chosen by five folds.

    A window of another length than 5 s is interpolated as a whole (paper, appendix B).
    """

    name, title = "comodo_student", "COMODO student, text teacher, re-trained"
    requires, licence = "corpus", "Apache-2.0"
    rate = RATE

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> COMODOStudent:
        """`source`: folder that training wrote, `RUN/comodo_objective/model`."""
        return cls(COMODOObjective.load(source).network.encoder, batch_size=64, seed=seed)

    def features(self, recordings: Sequence[ImuRecording]) -> np.ndarray:
        """`(n, placements * width)`, rows of length 1; a missing placement is zero."""
        series = [torch.from_numpy(one.T.astype(np.float32)) for one in side_by_side(recordings, self.placements, RATE)]
        signals = [
            F.interpolate(one[None], SAMPLES, mode="linear")[0].T.reshape(SAMPLES, -1, 6).numpy() for one in series
        ]
        sensors = [one[:, place] for one in signals for place in range(len(self.placements))]
        with torch.inference_mode():
            rows = run_batches(self.network, sensors, device_of(self.network), self.batch_size)
        return unit(rows.reshape(len(recordings), -1))

    def fit(
        self, recordings: Sequence[ImuRecording], labels: Sequence[str], groups: Sequence[str] | None = None
    ) -> None:
        """As `System.fit`; of more than 10,000 windows so many are drawn, of each label its share."""
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC
        from sklearn.utils import resample

        self.check_training(recordings, labels, groups)
        if len(recordings) > MOST_WINDOWS:
            rows = np.arange(len(recordings))
            drawn = resample(rows, replace=False, n_samples=MOST_WINDOWS, stratify=labels, random_state=self.seed)
            recordings, labels = [recordings[row] for row in drawn], [labels[row] for row in drawn]
        self.placements = placements_of(recordings)
        truth = np.array(labels)
        folds = min(5, int(np.unique(truth, return_counts=True)[1].min()))
        machine = make_pipeline(StandardScaler(), SVC(random_state=self.seed))
        if folds > 1:
            machine = GridSearchCV(machine, {"svc__C": STRENGTHS}, cv=folds)
        self.classifier = machine.fit(self.features(recordings), truth)

    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """As `System.score`: signed distances, one against the rest; lowest for a label that training did not hold."""
        self.check(recordings)
        check_placements(self.title, self.placements, recordings)
        found = self.classifier.decision_function(self.features(recordings))
        if found.ndim == 1:  # two classes
            found = np.stack([-found, found], 1)
        return scores_of_labels(found, self.classifier.classes_, labels, unseen=-1e3)
