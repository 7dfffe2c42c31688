"""Search in a library of simulated motions: which known motions a recording is like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..motion.procedural import ACTIVITIES, simulate_activity
from .embeddings import embed_codes
from .held_out_windows import WINDOW_SECONDS, encode_motions

LIBRARY_SEEDS = (0, 1, 2)  # people that training draws, too


def nearest_motions(
    model: Any,
    processor: Any,
    embeddings: np.ndarray,
    worn: Sequence[int],
    top_k: int = 5,
    seeds: Sequence[int] = LIBRARY_SEEDS,
) -> list[list[tuple[float, str]]]:
    """The known motions nearest to each recording.

    Known are simulated motions of every activity by the people `seeds`, as sensors on the same segments feel them.

    Args:
        model, processor: as in `evaluate_recognition`.
        embeddings: `(recordings, dim)` unit IMU embeddings.
        worn: segment indices of the recordings' sensors.
        top_k: how many for each; motions with the same sentence count once.
        seeds: people of the library.

    Returns:
        Per recording `(cosine, narration)`, best first.
    """
    return known_motions(model, processor, worn, seeds).nearest(embeddings, top_k)


@dataclass(frozen=True, eq=False)
class KnownMotions:
    """Sentences about simulated motions, and their unit IMU embeddings `(motions, dim)` as some segments feel them."""

    texts: tuple[str, ...]
    embeddings: np.ndarray

    def nearest(self, embeddings: np.ndarray, top_k: int = 5) -> list[list[tuple[float, str]]]:
        """As `nearest_motions`."""
        found = []
        for row in np.asarray(embeddings) @ self.embeddings.T:
            best: dict[str, float] = {}
            for index in np.argsort(-row, kind="stable"):
                best.setdefault(self.texts[index], float(row[index]))
            found.append([(score, text) for text, score in best.items()][:top_k])
        return found


def known_motions(
    model: Any, processor: Any, worn: Sequence[int], seeds: Sequence[int] = LIBRARY_SEEDS
) -> KnownMotions:
    """The library of `nearest_motions`, which takes seconds to make, for recordings with sensors on `worn`."""
    motions = [simulate_activity(name, seed, WINDOW_SECONDS) for seed in seeds for name in sorted(ACTIVITIES)]
    placements = [sorted(worn)] * len(motions)
    embeddings = embed_codes(model, processor, encode_motions(processor, motions, placements, seeds[0]), placements)
    return KnownMotions(tuple(motion.narrations[0].text for motion in motions), embeddings)
