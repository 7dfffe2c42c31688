"""Latents of sparse views told apart by activity: a softmax over all the corpus's activities; not in the paper."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from ...simulation.archive.clips import Clip
from . import AddedLoss, AddedLossContext, EncodedViews


class ActivityClassification(nn.Module):
    """Cross-entropy of a linear head on the mean and the maximum of the latents over time.

    `semantic` tells a window's words from those of its batch; this one from every activity that there is.

    Args:
        dim: of the latents.
        clips: whose `activity` is learned; windows of clips without one are left out.

    Raises:
        ValueError: fewer than two activities among the clips.
    """

    def __init__(self, dim: int, clips: Sequence[Clip]):
        super().__init__()
        names = list(dict.fromkeys(clip.activity for clip in clips if clip.activity))
        if len(names) < 2:
            raise ValueError(f"added_losses: activity needs two activities or more, the corpus has {len(names)}")
        number = {name: index for index, name in enumerate(names)}
        self.classes = [number[clip.activity] if clip.activity else -1 for clip in clips]
        self.head = nn.Linear(2 * dim, len(names))

    def forward(self, views: EncodedViews) -> torch.Tensor:
        """Mean over the views; zero when no window of the batch has an activity."""
        target = torch.tensor([self.classes[row] for row in views.clips], device=views.latents.device)
        if not (target >= 0).any():
            return 0.0 * self.head.weight.sum()
        pooled = torch.cat([views.latents.mean(2), views.latents.amax(2)], -1)
        losses = [F.cross_entropy(views.gather(self.head(rows)).float(), target, ignore_index=-1) for rows in pooled]
        return torch.stack(losses).mean()


def _make(context: AddedLossContext) -> ActivityClassification:
    return ActivityClassification(context.config.latent_dim, context.clips)


ADDED_LOSS = AddedLoss("activity", _make)
