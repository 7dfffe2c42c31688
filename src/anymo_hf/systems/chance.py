"""Even guesses: what a system must beat that looked at nothing."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from ..recordings.imu_recording import ImuRecording
from .interface import System


class Chance(System):
    """Scores between 0 and 1 from a hash of the samples, the label and the seed, so no order matters."""

    name, title, requires, licence = "chance", "Chance", "nothing", "Apache-2.0"
    takes_source = False

    def __init__(self, seed: int = 0):
        self.seed = seed

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> Chance:
        """There is nothing to find."""
        return cls(seed)

    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """As `System.score`."""
        self.check(recordings)
        scores = np.empty((len(recordings), len(labels)))
        for row, recording in enumerate(recordings):
            window = blake2b(str(self.seed).encode(), digest_size=8)
            for place, signal in sorted(recording.signals.items()):
                window.update(place.encode() + np.ascontiguousarray(signal, dtype="<f8").tobytes())
            for column, label in enumerate(labels):
                drawn = window.copy()
                drawn.update(label.encode())
                scores[row, column] = int.from_bytes(drawn.digest()) / 2**64
        return scores
