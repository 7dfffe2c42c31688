"""IMU-text retrieval in both directions from motion codes (paper Table 2)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import datasets as hf_datasets
import evaluate
import numpy as np

from ..systems.embeddings import embed_codes, embed_texts
from .metrics import retrieval_scores


@dataclass(frozen=True)
class RetrievalResult:
    """`imu_to_text` and `text_to_imu`: recall_at_1, recall_at_5, recall_at_10 and mrr as fractions."""

    windows: int
    texts: int
    imu_to_text: dict[str, float]
    text_to_imu: dict[str, float]


def evaluate_retrieval(
    model: Any,
    processor: Any,
    imu_codes: Sequence[np.ndarray],
    imu_placements: Sequence[Sequence[int]],
    texts: Sequence[str],
    batch_size: int = 64,
) -> RetrievalResult:
    """Rank texts for every window and windows for every text.

    Args:
        model, processor: as in `evaluate_recognition`; the processor needs no feature extractor.
        imu_codes: per window `(2L,)` code indices, `code + size * book`, time-major.
        imu_placements: per window the segment indices of its sensors.
        texts: the narration of each window; equal strings are merged to one candidate.

    Raises:
        ValueError: no windows, or lists of different length.
    """
    if not len(texts) or not len(texts) == len(imu_codes) == len(imu_placements):
        sizes = (len(imu_codes), len(imu_placements), len(texts))
        raise ValueError(f"imu_codes, imu_placements and texts must be equally long and not empty, got {sizes}")
    candidates = list(dict.fromkeys(texts))
    imu = embed_codes(model, processor, imu_codes, imu_placements, batch_size)
    return score_retrieval(imu @ embed_texts(model, processor, candidates, batch_size).T, candidates, texts)


def score_retrieval(similarity: np.ndarray, candidates: Sequence[str], texts: Sequence[str]) -> RetrievalResult:
    """Both directions from `(windows, candidates)` similarities; `texts` is the true text of each window."""
    positive = np.array(list(texts))[:, None] == np.array(list(candidates))[None, :]
    forward, backward = retrieval_scores(similarity, positive), retrieval_scores(similarity.T, positive.T)
    return RetrievalResult(len(texts), len(candidates), forward, backward)


def sample_per_recording(recordings: Sequence[str], per_recording: int = 5, seed: int = 42) -> list[int]:
    """Sorted indices of `per_recording` windows of every recording (the official 100-window subset: 20 x 5).

    Raises:
        ValueError: a recording has fewer windows.
    """
    generator, chosen = random.Random(seed), []
    for name in dict.fromkeys(recordings):
        own = [index for index, other in enumerate(recordings) if other == name]
        if len(own) < per_recording:
            raise ValueError(f"recording {name!r} has {len(own)} windows, {per_recording} are wanted")
        chosen += generator.sample(own, per_recording)
    return sorted(chosen)


class RetrievalMetric(evaluate.Metric):
    """`evaluate` form of `retrieval_scores`: predictions are rows of candidate scores, references the fitting candidates.

    One query has one row; a reference is the list of indices of every candidate that fits it.
    """

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": hf_datasets.List(hf_datasets.Value("float64")),
                    "references": hf_datasets.List(hf_datasets.Value("int64"))}  # fmt: skip
        return evaluate.MetricInfo(
            description="Recall@1, @5, @10 and mean reciprocal rank of the first fitting candidate, as fractions.",
            citation="arXiv 2605.22715",
            inputs_description="predictions: scores of every candidate; references: indices of those that fit.",
            features=hf_datasets.Features(features),
        )

    def _compute(self, predictions, references) -> dict[str, float]:
        similarity = np.array(predictions)
        positive = np.zeros(similarity.shape, dtype=bool)
        for row, fitting in enumerate(references):
            if any(not 0 <= index < positive.shape[1] for index in fitting):
                raise ValueError(f"query {row}: references {fitting} must lie in 0..{positive.shape[1] - 1}")
            positive[row, fitting] = True
        return retrieval_scores(similarity, positive)
