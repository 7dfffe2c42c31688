"""The added losses of the language and contrastive stages beside a model: made, called, trained and kept with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from torch.distributed.fsdp import FSDPModule

from ..modeling.modeling_anymo import AnyMoForConditionalGeneration
from ..simulation.archive.clips import Clip
from .losses import AddedLossContext, EmbeddedPairs, embedding_losses
from .processes import gather_rows
from .settings import TextSettings


class EmbeddingLosses(nn.Module):
    """The losses that `settings.added_losses` names; the same first weights on every process.

    Args:
        settings: of the stage.
        model: whose embeddings they read.
        clips: of the corpus.
        cache: folder for what need not be computed again.
        accelerator: of this run.

    Raises:
        ValueError: a loss with parameters of its own in a run sharded by FSDP.
    """

    def __init__(
        self,
        settings: TextSettings,
        model: AnyMoForConditionalGeneration,
        clips: Sequence[Clip],
        cache: Path,
        accelerator: Accelerator,
    ):
        super().__init__()
        self.weights, self.accelerator = dict(sorted(settings.added_losses.items())), accelerator
        self.losses = nn.ModuleDict()
        if not self.weights:
            return
        torch.manual_seed(settings.seed)
        context, known = AddedLossContext(model.config, clips, cache, accelerator), embedding_losses()
        for name in self.weights:
            self.losses[name] = known[name].make(context)
            if isinstance(model, FSDPModule) and list(self.losses[name].parameters()):
                raise ValueError(f"added_losses: {name} has parameters of its own, which FSDP does not train; use DDP")
        self.to(accelerator.device)

    def __bool__(self) -> bool:
        return bool(self.weights)

    def forward(
        self,
        windows: torch.Tensor,
        texts: torch.Tensor,
        words: Sequence[str],
        clips: np.ndarray,
        rng: np.random.Generator,
    ) -> dict[str, torch.Tensor]:
        """The losses by name; arguments as in `EmbeddedPairs`."""
        gather = partial(gather_rows, accelerator=self.accelerator)
        pairs = EmbeddedPairs(windows, texts, words, clips, gather, rng)
        with self.accelerator.autocast():
            return {name: loss(pairs) for name, loss in self.losses.items()}

    def weighed(self, losses: dict[str, torch.Tensor]) -> torch.Tensor | float:
        """Their weighted sum."""
        return sum(weight * losses[name] for name, weight in self.weights.items())

    def beside(self, model: nn.Module) -> nn.Module:
        """What trains: the model and these, or the model alone, so that its checkpoints stay as they are."""
        return nn.ModuleDict({"model": model, "added": self}) if self else model
