"""Losses, one a file. Stages find them here: a new one is one new file, and settings name it.

A file that declares `OBJECTIVE` is a way to pre-train the encoder (`objective: NAME`). One that declares `ADDED_LOSS` is a
loss beside it, one that declares `EMBEDDING_LOSS` a loss beside those of the language and contrastive stages; both are
switched on by `added_losses: {NAME: weight}` of such a stage. One that declares `TEXT_OBJECTIVE` aligns windows with frozen
sentence vectors, as the compared systems do that are trained on our corpus. The other files hold the paper's losses of the
language and contrastive stages.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch
    from accelerate import Accelerator
    from torch import nn

    from ...modeling.configuration_anymo import AnyMoConfig, AnyMoSTGCNConfig
    from ...simulation.archive.clips import Clip


@dataclass(frozen=True)
class EncoderObjective:
    """A way to pre-train the encoder.

    Args:
        name: as in the setting `objective`.
        model: a `PreTrainedModel` made from an `AnyMoSTGCNConfig`, with the encoder as `encoder`. Its forward takes two
            views `(batch, frames, 23, 6)`, for `sparse` two masks `(batch, 23)` of visible segments, `gather` and
            `first_row`, as `AnyMoSTGCNForPreTraining` does, and gives its output. `save_pretrained` saves what the next
            stage reads.
        sparse: it takes masks.
    """

    name: str
    model: type
    sparse: bool


@dataclass(frozen=True)
class AddedLossContext:
    """What an added loss may read once, before the first step.

    Args:
        config: of the encoder, or of the motion-language model (its embeddings have `projection_dim`).
        clips: words of the corpus's clips.
        cache: folder for what need not be computed again.
        accelerator: of this run.
    """

    config: AnyMoSTGCNConfig | AnyMoConfig
    clips: Sequence[Clip]
    cache: Path
    accelerator: Accelerator


@dataclass(frozen=True)
class EncodedViews:
    """What an added loss of the encoder stage reads in a step.

    Args:
        latents: `(views, own, steps, dim)` of this process's windows, as the objective encoded them.
        clips: `(batch,)` corpus clips of the windows of all processes.
        gather: rows of this process to those of all of them; gradients flow back.
        rng: random source that all processes share.
    """

    latents: torch.Tensor
    clips: np.ndarray
    gather: Callable[[torch.Tensor], torch.Tensor]
    rng: np.random.Generator


@dataclass(frozen=True)
class EmbeddedPairs:
    """What an added loss of the language and contrastive stages reads in a step: windows, and a text of each.

    Args:
        windows, texts: `(own, projection_dim)` unit embeddings of this process's windows and of their texts.
        words: those texts, normalised, of the windows of all processes: narrations, or where a clip of the language stage
            has none a name of its label.
        clips: `(batch,)` corpus clips of the windows of all processes.
        gather: rows of this process to those of all of them; gradients flow back.
        rng: random source that all processes share.
    """

    windows: torch.Tensor
    texts: torch.Tensor
    words: Sequence[str]
    clips: np.ndarray
    gather: Callable[[torch.Tensor], torch.Tensor]
    rng: np.random.Generator


@dataclass(frozen=True)
class AddedLoss:
    """A loss beside the ones that a stage has anyway.

    Args:
        name: as in the setting `added_losses`; the log calls it so too.
        make: an `nn.Module` whose forward turns `EncodedViews` (of an `ADDED_LOSS`) or `EmbeddedPairs` (of an
            `EMBEDDING_LOSS`) into a scalar, the loss of the whole batch. Its parameters train with the model and are kept
            in checkpoints, but not in the saved model.
    """

    name: str
    make: Callable[[AddedLossContext], nn.Module]


@dataclass(frozen=True)
class TextObjective:
    """How a compared system ties windows to frozen sentence vectors.

    Args:
        name: as in the setting `objective` of `training/configs/systems/`.
        make: an `nn.Module` from the width of what an encoder says of a window, and options by name. Its forward turns such
            rows `(batch, width)` and the unit sentence vector of each `(batch, 384)` into a scalar. `embed_windows` and
            `embed_texts` put either into the common space; `begin(vectors, generator)` shows it sentence vectors of the
            corpus before the first step.
    """

    name: str
    make: Callable[..., nn.Module]


def encoder_objectives() -> dict[str, EncoderObjective]:
    """Every objective by name."""
    return _declared("OBJECTIVE")


def added_losses() -> dict[str, AddedLoss]:
    """Every added loss of the encoder stage by name."""
    return _declared("ADDED_LOSS")


def embedding_losses() -> dict[str, AddedLoss]:
    """Every added loss of the language and contrastive stages by name."""
    return _declared("EMBEDDING_LOSS")


def text_objectives() -> dict[str, TextObjective]:
    """Every objective of a compared system by name."""
    return _declared("TEXT_OBJECTIVE")


def _declared(attribute: str) -> dict[str, Any]:
    modules = (import_module(f"{__name__}.{item.name}") for item in pkgutil.iter_modules(__path__))
    return {
        getattr(module, attribute).name: getattr(module, attribute) for module in modules if hasattr(module, attribute)
    }
