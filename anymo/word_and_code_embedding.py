"""The input embedding of words and motion codes, alone and inside the wrappers of adapters."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .configuration_anymo import AnyMoConfig


class WordAndCodeEmbedding(nn.Embedding):
    """Input embedding of words and motion codes.

    A word id is looked up in `weight`. A code id (`code_offset` <= id < `code_offset` + books x size) takes its frozen
    codebook vector through a two-layer projector instead, so similar codes start out as similar inputs; rows of
    `weight` at code ids are never read.
    """

    codebook: torch.Tensor

    def __init__(self, vocab_size: int, config: AnyMoConfig, padding_idx: int | None = None):
        hidden = config.text_config.hidden_size
        super().__init__(vocab_size, hidden, padding_idx)
        pqvae = config.pqvae_config
        self.code_offset = config.imu_token_offset
        self.register_buffer("codebook", torch.randn(pqvae.num_codebooks, pqvae.codebook_size, pqvae.code_dim))
        self.imu_projector = nn.Sequential(
            nn.Linear(pqvae.code_dim, config.projector_hidden), nn.GELU(), nn.Linear(config.projector_hidden, hidden)
        )

    @property
    def num_codes(self) -> int:
        """Codes over all books."""
        return self.codebook.shape[0] * self.codebook.shape[1]

    def project_codes(self, codes: torch.Tensor) -> torch.Tensor:
        """Code numbers (`code + size * book`) `(n,)` to vectors `(n, hidden)`."""
        vectors = self.codebook.flatten(0, 1)[codes]
        return self.imu_projector(vectors.to(next(self.imu_projector.parameters()).dtype))

    def is_code(self, input_ids: torch.Tensor) -> torch.Tensor:
        """True at motion codes."""
        return (input_ids >= self.code_offset) & (input_ids < self.code_offset + self.num_codes)

    def put_codes(self, embeds: torch.Tensor, input_ids: torch.Tensor) -> torch.Tensor:
        """`embeds` `(batch, length, hidden)` of `input_ids`, with the projected vectors where codes stand."""
        is_code = self.is_code(input_ids)
        projected = self.project_codes((input_ids - self.code_offset).clamp(0, self.num_codes - 1)[is_code])
        # masked_scatter keeps both gradients; words alone still touch the projector, so that DDP sees every weight
        return embeds.masked_scatter(is_code[..., None], projected.to(embeds.dtype))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Token ids `(batch, length)` to `(batch, length, hidden)`."""
        return self.put_codes(super().forward(input_ids), input_ids)


def own_embedding(module: Any) -> WordAndCodeEmbedding:
    """The embedding that works inside the wrappers of PEFT, if there are any."""
    while not isinstance(module, WordAndCodeEmbedding):
        copies = getattr(module, "modules_to_save", None)
        if copies and module.active_adapters and not module.disable_adapters:
            module = copies[module.active_adapters[0]]
        else:
            module = module.base_layer if hasattr(module, "base_layer") else module.original_module
    return module


def embed_tokens(module: nn.Module, input_ids: torch.Tensor) -> torch.Tensor:
    """What `module`, a `WordAndCodeEmbedding` with or without an adapter, makes of `input_ids`.

    An adapter sees words only: a merge puts what it learned into the table, whose rows no code reads.

    Raises:
        ValueError: `trainable_token_indices` of PEFT that are motion codes.
    """
    if isinstance(module, WordAndCodeEmbedding):
        return module(input_ids)
    embedding = own_embedding(module)
    indices = getattr(getattr(module, "token_adapter", None), "token_indices", {})
    chosen = torch.tensor([index for rows in indices.values() for index in rows], dtype=torch.long)
    if embedding.is_code(chosen).any():
        raise ValueError(
            f"trainable_token_indices {chosen[embedding.is_code(chosen)].tolist()} are motion codes, whose vectors come "
            "from the codebook through imu_projector; train that by modules_to_save=['imu_projector']"
        )
    words = module(input_ids.masked_fill(embedding.is_code(input_ids), 0))
    return embedding.put_codes(words, input_ids)
