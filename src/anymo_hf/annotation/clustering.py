"""Frequent labels in clusters of like meaning (paper A.4: frequency of at least five, cosine of at least 0.85)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

MIN_FREQUENCY = 5
THRESHOLD = 0.85


def frequent_labels(counts: Mapping[str, int], least: int = MIN_FREQUENCY) -> list[str]:
    """Labels that occur often enough, most frequent first, then by name."""
    return sorted(
        (label for label, count in counts.items() if count >= least), key=lambda label: (-counts[label], label)
    )


def cluster_vectors(vectors: np.ndarray, threshold: float = THRESHOLD) -> list[list[int]]:
    """Rows in clusters: each joins the most similar head of a cluster at or above the threshold, or becomes a head.

    The paper gives the threshold, not the method. Heads keep a cluster together: linking any two similar rows would chain
    "walking" over "walking with a cup" to "holding a cup".

    Args:
        vectors: `(labels, dim)`, the most frequent label first; any length above zero.
        threshold: least cosine between a member and its head.

    Returns:
        Row numbers of each cluster, its head first, in the order of the heads.

    Raises:
        ValueError: not a matrix, a row of zeros or without finite numbers, or a threshold outside (0, 1].
    """
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2:
        raise ValueError(f"vectors must be (labels, dim), got {vectors.shape}")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must lie above 0 and at most at 1, got {threshold}")
    lengths = np.linalg.norm(vectors, axis=1)
    if len(broken := np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))):
        raise ValueError(f"the vector of label {broken[0] + 1} is zero or not finite; the encoder is broken")
    units = vectors / lengths[:, None]
    heads = np.empty_like(units)
    clusters: list[list[int]] = []
    for row, unit in enumerate(units):
        cosines = heads[: len(clusters)] @ unit
        best = int(cosines.argmax()) if len(cosines) else -1
        if best >= 0 and cosines[best] >= threshold - 1e-9:
            clusters[best].append(row)
        else:
            heads[len(clusters)] = unit
            clusters.append([row])
    return clusters
