"""LIMU-BERT (Xu et al., SenSys 2021): a small masked transformer over 6 s of one sensor; frozen, with a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ..modeling.imu_signal import resample
from ..recordings.imu_recording import ImuRecording
from .frozen_features import FrozenFeatures
from .published_weights import PublishedFile, device_of, load_network, run_batches

RATE, SAMPLES = 20.0, 120
GRAVITY = 9.8  # their divisor of acceleration
WEIGHTS = PublishedFile(
    "LIMU-BERT", "MIT", "pretrain_base_uci_20_120.pt", "limu-bert",
    address="the .pt file below saved/pretrain_base_uci_20_120 in github.com/dapowan/LIMU-BERT-Public",
)  # fmt: skip


class _LayerNorm(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.layer_norm(x, x.shape[-1:], self.gamma, self.beta, 1e-12)


class _Embedding(nn.Module):
    def __init__(self, dim: int, samples: int):
        super().__init__()
        self.lin, self.pos_embed, self.norm = nn.Linear(6, dim), nn.Embedding(samples, dim), _LayerNorm(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # one norm, used twice
        return self.norm(self.norm(self.lin(x)) + self.pos_embed.weight[: x.shape[1]])


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.proj_q, self.proj_k, self.proj_v = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.proj_q, self.proj_k, self.proj_v)
        )
        return nn.functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)


class _FeedForward(nn.Module):
    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class _Transformer(nn.Module):
    def __init__(self, dim: int, hidden: int, heads: int, layers: int, samples: int):
        super().__init__()
        self.layers = layers
        self.embed, self.attn, self.proj = _Embedding(dim, samples), _Attention(dim, heads), nn.Linear(dim, dim)
        self.norm1, self.pwff, self.norm2 = _LayerNorm(dim), _FeedForward(dim, hidden), _LayerNorm(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        for _ in range(self.layers):  # the same block each time
            x = self.attn(x)
            x = self.norm1(x + self.proj(x))
            x = self.norm2(x + self.pwff(x))
        return x


class LimuBert(nn.Module):
    """29 tensors of 62,646 values; `fc`, `linear`, `norm` and `decoder` are of its pre-training."""

    def __init__(self, dim: int = 72, hidden: int = 144, heads: int = 4, layers: int = 4, samples: int = SAMPLES):
        super().__init__()
        self.transformer = _Transformer(dim, hidden, heads, layers, samples)
        self.fc, self.linear, self.norm = nn.Linear(dim, dim), nn.Linear(dim, dim), _LayerNorm(dim)
        self.decoder = nn.Linear(dim, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` `(batch, samples, 6)`, acceleration over 9.8 and rad/s -> `(batch, samples, dim)`."""
        return self.transformer(x)


class LimuBertFrozen(FrozenFeatures):
    """The released encoder, mean and maximum over time of each placement, and logistic regression on people's labels.

    Its authors train a GRU on the sequence of embeddings instead. Windows come to 20 Hz; a shorter one than 6 s is held at
    its last sample, of a longer one pieces of 6 s are averaged.
    """

    name, title, licence = "limu_bert", "LIMU-BERT, frozen", WEIGHTS.licence
    rate, channels = RATE, (6,)

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> LimuBertFrozen:
        """`source`: the .pt file, or a folder that holds it under the name in the error."""
        return cls(load_network(LimuBert, WEIGHTS.find(source)), seed=seed)  # type: ignore[arg-type]

    def features(self, recordings: Sequence[ImuRecording]) -> np.ndarray:
        """`(n, placements * 2 * dim)`; a placement that a window lacks is zero."""
        inputs, owners = [], []
        samples = self.network.transformer.embed.pos_embed.num_embeddings
        for row, one in enumerate(recordings):
            for column, place in enumerate(self.placements):
                if place not in one.signals:
                    continue
                signal = resample(np.asarray(one.signals[place], dtype=float), one.sampling_rate, RATE)
                signal = signal / np.array([GRAVITY] * 3 + [1.0] * 3)
                for start in range(0, max(1, len(signal) // samples) * samples, samples):
                    piece = signal[start : start + samples]
                    inputs.append(piece[np.minimum(np.arange(samples), len(piece) - 1)])
                    owners.append((row, column))

        def run(x: torch.Tensor) -> torch.Tensor:
            found = self.network(x)
            return torch.cat([found.mean(1), found.amax(1)], 1)

        found = run_batches(run, inputs, device_of(self.network), self.batch_size)
        sums: Any = np.zeros((len(recordings), len(self.placements), found.shape[1]))
        counts = np.zeros(sums.shape[:2])
        rows, columns = np.array(owners).T
        np.add.at(sums, (rows, columns), found)
        np.add.at(counts, (rows, columns), 1)
        return (sums / np.maximum(counts, 1)[..., None]).reshape(len(recordings), -1)
