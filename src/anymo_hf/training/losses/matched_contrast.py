"""Contrast of windows and texts with any number of positives: of narrations (paper §3.3, Eq. 5) and of labels (§3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def matched_contrastive_loss(
    imu: torch.Tensor, text: torch.Tensor, positives: torch.Tensor, ignored: torch.Tensor | None, temperature: float
) -> torch.Tensor:
    """-log(sum over positives / sum over all) of exp(cosine / temperature), mean of both directions.

    With the identity for `positives` this is InfoNCE (Eq. 5); with equal labels it is the label loss of §3.3.

    Args:
        imu, text: `(batch, dim)` unit vectors.
        positives: `(batch, batch)` bool, text n belongs to window m; true on the diagonal.
        ignored: `(batch, batch)` bool, pairs left out of both sums; None for none.
        temperature: divides the cosines.
    """
    logits = imu.float() @ text.float().t() / temperature
    if ignored is not None:
        logits = logits.masked_fill(ignored, float("-inf"))
    wanted = logits.masked_fill(~positives, float("-inf"))
    rows = logits.logsumexp(1) - wanted.logsumexp(1)
    columns = logits.logsumexp(0) - wanted.logsumexp(0)
    return (rows.mean() + columns.mean()) / 2


def equal_pairs(texts: Sequence[str]) -> torch.Tensor:
    """`(batch, batch)` bool: equal texts belong to both windows, else one of them would be a false negative."""
    ids = torch.from_numpy(np.unique(np.array(texts), return_inverse=True)[1])
    return ids[:, None] == ids[None, :]
