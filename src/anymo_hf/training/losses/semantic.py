"""Latents of sparse views against frozen sentence vectors of what the person does; not in the paper, no weight there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import nn

from ...modeling.prompts import normalize_text
from ...simulation.archive.clips import Clip
from ..sentence_vectors import shared_vectors
from . import AddedLoss, AddedLossContext, EncodedViews
from .matched_contrast import matched_contrastive_loss

TEMPERATURE = 0.05  # that of the contrastive stage (paper A.4)


class SemanticContrast(nn.Module):
    """InfoNCE of projected mean latents and a text of each window; windows of one label are positives of each other.

    Args:
        dim: of the latents.
        clips: whose label phrases and narrations are read; windows of clips without words are left out.
        cache: folder for the sentence vectors.
        accelerator: of this run.
    """

    vectors: torch.Tensor

    def __init__(self, dim: int, clips: Sequence[Clip], cache: Path, accelerator: Accelerator):
        super().__init__()
        texts = [tuple(map(normalize_text, (*clip.label_phrases, *clip.narrations))) for clip in clips]
        known = list(dict.fromkeys(text for words in texts for text in words))
        if not known:
            raise ValueError("added_losses: semantic needs labels or narrations, the corpus has none")
        number = {text: index for index, text in enumerate(known)}
        self.texts = [[number[text] for text in words] for words in texts]
        # a clip without a label is a positive of itself and of windows with the same text only
        names = [clip.activity or f" {index}" for index, clip in enumerate(clips)]
        order = {name: index for index, name in enumerate(dict.fromkeys(names))}
        self.labels = [order[name] for name in names]
        # made again from the texts, so checkpoints need not hold them
        self.register_buffer("vectors", shared_vectors(known, cache, accelerator), persistent=False)
        self.projector = nn.Linear(dim, self.vectors.shape[1])

    def forward(self, views: EncodedViews) -> torch.Tensor:
        """Mean over the views; zero when no window of the batch has words."""
        device = views.latents.device
        rows = [row for row, clip in enumerate(views.clips) if self.texts[clip]]
        drawn = [int(views.rng.choice(self.texts[views.clips[row]])) for row in rows]
        if not rows:
            return 0.0 * self.projector.weight.sum()
        text = torch.tensor(drawn, device=device)
        label = torch.tensor([self.labels[views.clips[row]] for row in rows], device=device)
        positives = (label[:, None] == label) | (text[:, None] == text)
        losses = []
        for latents in views.latents:
            own = F.normalize(self.projector(latents.mean(1)).float(), dim=-1)
            windows = views.gather(own)[rows]
            losses.append(matched_contrastive_loss(windows, self.vectors[text], positives, None, TEMPERATURE))
        return torch.stack(losses).mean()


def _make(context: AddedLossContext) -> SemanticContrast:
    return SemanticContrast(context.config.latent_dim, context.clips, context.cache, context.accelerator)


ADDED_LOSS = AddedLoss("semantic", _make)
