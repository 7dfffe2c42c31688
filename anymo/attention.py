"""Multi-head attention whose layers are called as modules, as adapters need it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    """Multi-head attention with the parameters of `torch.nn.MultiheadAttention`.

    That class reads `out_proj.weight` without calling the layer, so an adapter on it would do nothing until it is merged.

    Raises:
        ValueError: the width does not divide over the heads.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        if heads < 1 or dim % heads:
            raise ValueError(
                f"attention of width {dim} does not divide over {heads} heads; give a number that divides it"
            )
        self.heads = heads
        self.out_proj = nn.Linear(dim, dim)
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, padding: torch.Tensor | None = None
    ) -> torch.Tensor:
        """`query` `(batch, n, dim)`, `key` and `value` `(batch, m, dim)`, `padding` `(batch, m)` True where nothing is."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = (
            F.linear(x, weight, bias).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        mask = None if padding is None else ~padding[:, None, None]
        out = F.scaled_dot_product_attention(q, k, v, mask)
        return self.out_proj(out.transpose(1, 2).flatten(2))
