"""Which pairs of windows and texts belong together, for the one contrastive loss of narrations (Eq. 5) and labels (§3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...modeling.modeling_anymo import matched_contrastive_loss

__all__ = ["equal_pairs", "matched_contrastive_loss"]


def equal_pairs(texts: Sequence[str]) -> torch.Tensor:
    """`(batch, batch)` bool: equal texts belong to both windows, else one of them would be a false negative."""
    ids = torch.from_numpy(np.unique(np.array(texts), return_inverse=True)[1])
    return ids[:, None] == ids[None, :]
