"""Cross-entropy of the next token, of codes, texts and answers alike (paper §3.3, A.4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from accelerate import Accelerator

from ...modeling.modeling_anymo import AnyMoForConditionalGeneration
from ...modeling.processing_anymo import IGNORED
from ..sharding import run_within


def token_loss(
    model: AnyMoForConditionalGeneration,
    batch: dict[str, torch.Tensor],
    accelerator: Accelerator,
    whole: torch.Tensor | None = None,
) -> torch.Tensor:
    """Cross-entropy per predicted token of the global batch; the mean over processes is exact.

    Args:
        model: plain or sharded.
        batch: from `pad_examples`.
        accelerator: of this run.
        whole: labels of the batch that `batch` is a chunk of; the losses of its chunks add up to that of the batch.
    """
    batch = {name: value.to(accelerator.device) for name, value in batch.items()}
    total = run_within(model, summed_loss, **batch)
    count = ((batch["labels"] if whole is None else whole)[:, 1:] != IGNORED).sum().to(total)
    if accelerator.num_processes > 1:
        count = accelerator.reduce(count, "mean")
    return total / count.clamp_min(1)


def summed_loss(
    model: AnyMoForConditionalGeneration, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Sum over the tokens that `labels` `(batch, length)` asks for; the head reads their positions only."""
    hidden = model.language_model.base_model(
        input_ids=input_ids, attention_mask=attention_mask, use_cache=False
    ).last_hidden_state
    wanted = labels[:, 1:] != IGNORED
    logits = model.get_output_embeddings()(hidden[:, :-1][wanted])
    return F.cross_entropy(logits.float(), labels[:, 1:][wanted], reduction="sum")
