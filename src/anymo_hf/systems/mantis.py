"""MantisV2 and Mantis-8M (Feofanov et al. 2025): a time-series encoder for each channel; frozen, fine-tuned or untrained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from ..recordings.imu_recording import ImuRecording
from .frozen_features import FrozenFeatures
from .interface import System
from .published_weights import PublishedFile, default_device, device_of, load_network, run_batches
from .trained_windows import check_placements, placements_of, scores_of_labels, side_by_side

SAMPLES = 512
SCALES = tuple(10.0**power for power in range(-4, 5))
V2_WEIGHTS = PublishedFile("MantisV2", "Apache-2.0", "model.safetensors", "mantis-v2", "paris-noah/MantisV2")
V1_WEIGHTS = PublishedFile("Mantis-8M", "Apache-2.0", "model.safetensors", "mantis-8m", "paris-noah/Mantis-8M")


class _Convolution(nn.Module):
    def __init__(self, dim: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv1d(1, dim, kernel, padding=kernel // 2)


class _ScalarEncoder(nn.Module):
    def __init__(self, scale: float, dim: int):
        super().__init__()
        self.scale = scale
        self.w, self.b = nn.Parameter(torch.rand(1, dim)), nn.Parameter(torch.rand(1, dim))
        self.layer_norm = nn.LayerNorm(dim, eps=1e-15)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer_norm(x * self.w + self.scale * self.b)


class _MultiScaleEncoder(nn.Module):
    """A number at nine scales, weighted by how near it lies to each."""

    scales: torch.Tensor

    def __init__(self, dim: int):
        super().__init__()
        self.register_buffer("scales", torch.tensor(SCALES))
        self.encoders = nn.ModuleList(_ScalarEncoder(scale, dim) for scale in SCALES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(batch, patches, 1)` -> `(batch, patches, dim)`."""
        near = (1 / torch.log(x.abs() / self.scales + 1.1)).abs()
        near = near / near.sum(2, keepdim=True)
        return (torch.stack([encoder(x) for encoder in self.encoders], 2) * near[..., None]).sum(2)


class _LinearEncoder(nn.Module):
    def __init__(self, inputs: int, dim: int):
        super().__init__()
        self.linear, self.layer_norm = nn.Linear(inputs, dim), nn.LayerNorm(dim, eps=1e-15)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer_norm(self.linear(x))


class TokenGenerator(nn.Module):
    """A series to tokens, one a patch: of its differences, of itself, and of each patch's mean and deviation."""

    def __init__(self, dim: int, patches: int, kernel: int, scalar_dim: int = 32):
        super().__init__()
        self.patches = patches
        self.convs = nn.ModuleList(_Convolution(dim, kernel) for _ in range(2))
        self.layer_norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.scalar_encoders = nn.ModuleList(_MultiScaleEncoder(scalar_dim) for _ in range(2))
        self.linear_encoder = _LinearEncoder(2 * scalar_dim + 2 * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` `(batch, samples)` -> `(batch, patches, dim)`."""
        if x.shape[1] % self.patches:
            raise ValueError(
                f"Mantis takes a multiple of {self.patches} samples, got {x.shape[1]}; resample to {SAMPLES}"
            )
        patched = x.view(len(x), self.patches, -1)
        moments = patched.mean(2, keepdim=True), patched.std(2, keepdim=True)
        parts: list[torch.Tensor] = []
        difference = nn.functional.pad(x.diff(dim=1), (0, 1))
        for series, layer, norm in zip((difference, x), self.convs, self.layer_norms, strict=True):
            scaled = (series - series.mean(1, keepdim=True)) / (series.std(1, keepdim=True) + 1e-5)
            convolution: Any = layer
            found = norm(convolution.conv(scaled[:, None]).transpose(1, 2))
            parts.append(found.view(len(x), self.patches, -1, found.shape[2]).mean(2))
        parts += [encoder(moment) for encoder, moment in zip(self.scalar_encoders, moments, strict=True)]
        return self.linear_encoder(torch.cat(parts, 2))


class _RMSNorm(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-8) * self.scale


def rotary(queries: torch.Tensor, keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotary positions with xPos for `(batch, heads, tokens, size)`: neighbouring numbers are turned as pairs.

    The decay of xPos is laid out in halves and not in pairs, as in the published model.
    """
    tokens, size = queries.shape[2:]
    position = torch.arange(tokens, device=queries.device, dtype=queries.dtype)
    even = torch.arange(0, size, 2, device=queries.device, dtype=queries.dtype)
    angle = (position[:, None] / 10_000 ** (even / size)).repeat_interleave(2, 1)
    power = (position - (tokens - 1) // 2)[:, None] / 512
    decay = ((even + 0.4 * size) / (1.4 * size)) ** power
    decay = torch.cat([decay, decay], 1)

    def turned(x: torch.Tensor) -> torch.Tensor:
        crossed = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
        return x * angle.cos() + crossed * angle.sin()

    return turned(queries) * decay, turned(keys) / decay


class _RotaryAttention(nn.Module):
    def __init__(self, dim: int, heads: int, size: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.wQKV, self.wO = nn.Linear(dim, 3 * heads * size), nn.Linear(heads * size, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, _ = x.shape
        # within each of query, key and value the number within a head comes before the head
        query, key, value = self.wQKV(x).view(batch, tokens, 3, -1, self.heads).permute(2, 0, 4, 1, 3)
        query, key = rotary(query, key)
        found = nn.functional.scaled_dot_product_attention(
            query, key, value, dropout_p=self.dropout if self.training else 0.0
        )
        return self.wO(found.transpose(1, 2).flatten(2))


class _SwiGLU(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, value = x.chunk(2, -1)
        return nn.functional.silu(gate) * value


class _LayerV2(nn.Module):
    def __init__(self, dim: int, heads: int, size: int, hidden: int, dropout: float):
        super().__init__()
        self.norm1, self.norm2 = _RMSNorm(dim), _RMSNorm(dim)
        self.attention = _RotaryAttention(dim, heads, size, dropout)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * hidden), _SwiGLU(), nn.Linear(hidden, dim), nn.Dropout(dropout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _AttentionV1(nn.Module):
    def __init__(self, dim: int, heads: int, size: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.to_qkv = nn.Linear(dim, 3 * heads * size, bias=False)
        self.to_out = nn.Sequential(nn.Linear(heads * size, dim), nn.Dropout(dropout))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, _ = x.shape
        query, key, value = self.to_qkv(x).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        found = nn.functional.scaled_dot_product_attention(
            query, key, value, dropout_p=self.dropout if self.training else 0.0
        )
        return self.to_out(found.transpose(1, 2).flatten(2))


class _FeedForwardV1(nn.Module):
    def __init__(self, dim: int, hidden: int, dropout: float):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim), nn.Dropout(dropout)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class _PreNorm(nn.Module):
    def __init__(self, dim: int, inner: nn.Module):
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(dim), inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.fn(self.norm(x))


class _LayerV1(nn.ModuleList):
    def __init__(self, dim: int, heads: int, size: int, hidden: int, dropout: float):
        super().__init__([
            _PreNorm(dim, _AttentionV1(dim, heads, size, dropout)),
            _PreNorm(dim, _FeedForwardV1(dim, hidden, dropout)),
        ])  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self[1](self[0](x))


class _Positions(nn.Module):
    pe: torch.Tensor

    def __init__(self, dim: int, count: int):
        super().__init__()
        angle = torch.arange(count)[:, None] * torch.exp(torch.arange(0, dim, 2) * (-np.log(10_000.0) / dim))
        self.register_buffer("pe", torch.stack([angle.sin(), angle.cos()], 2).view(count, 1, dim))


class _Layers(nn.Module):
    def __init__(self, layers: Sequence[nn.Module]):
        super().__init__()
        self.layers = nn.ModuleList(layers)


class _TransformerUnit(nn.Module):
    def __init__(self, dim: int, layers: Sequence[nn.Module], positions: int = 0):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(dim))
        self.transformer = _Layers(layers)
        if positions:
            self.pos_encoder = _Positions(dim, positions)


class Mantis(nn.Module):
    """One channel to an embedding.

    Args:
        version: 2 (151 tensors of 4,188,690 values) or 1 (158 tensors, 8,112,402), which is Mantis-8M.
        dim, layers, heads, head_size, hidden, patches: the defaults, None among them, are the published ones.
    """

    def __init__(
        self, version: int = 2, dim: int = 256, layers: int = 6, heads: int = 8, head_size: int | None = None,
        hidden: int = 512, patches: int = 32, dropout: float = 0.1,
    ):  # fmt: skip
        super().__init__()
        if version not in (1, 2):
            raise ValueError(f"version must be 1 or 2, got {version}")
        self.version, self.dim = version, dim
        kernel = 41 if version == 2 else SAMPLES // patches + 1
        self.tokgen_unit = TokenGenerator(dim, patches, kernel)
        size = head_size or (dim // heads if version == 2 else 128)
        kind = _LayerV2 if version == 2 else _LayerV1
        parts = [kind(dim, heads, size, hidden, dropout) for _ in range(layers)]
        self.transf_unit = _TransformerUnit(dim, parts, 0 if version == 2 else patches + 1)
        self.prj = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim))  # of pre-training, not used here

    def forward(self, x: torch.Tensor, layer: int | None = None, combined: bool = False) -> torch.Tensor:
        """`x` `(batch, samples)` -> `(batch, dim)`, twice as wide if `combined`.

        Args:
            layer: the block whose output is read, from 0; None for the last.
            combined: the class token and the mean of the others, instead of the class token.
        """
        tokens, unit = self.tokgen_unit(x), self.transf_unit
        own = unit.cls_token.expand(len(x), 1, -1)
        last = self.version == 2
        tokens = torch.cat([tokens, own] if last else [own, tokens], 1)
        if not last:
            tokens = tokens + unit.pos_encoder.pe[: tokens.shape[1], 0]
        blocks = unit.transformer.layers
        for block in blocks if layer is None else blocks[: layer + 1]:
            tokens = block(tokens)
        chosen = tokens[:, -1] if last else tokens[:, 0]
        if not combined:
            return chosen
        return torch.cat([chosen, (tokens[:, :-1] if last else tokens[:, 1:]).mean(1)], 1)


def load_mantis(path: Path, version: int) -> Mantis:
    """Published weights; Mantis-8M's older name of the transformer is understood. Errors as `load_network`."""

    def renamed(name: str) -> str:
        return "transf_unit." + name.removeprefix("vit_unit.") if name.startswith("vit_unit.") else name

    return load_network(lambda: Mantis(version), path, rename=renamed)  # type: ignore[return-value]


def channel_inputs(recordings: Sequence[ImuRecording], placements: Sequence[str]) -> np.ndarray:
    """Windows `(n, 6 * placements, 512)`, each interpolated as a whole as its authors do; a missing channel is zero."""
    found = []
    for one in recordings:
        (signal,) = side_by_side([one], placements, one.sampling_rate)
        series = torch.from_numpy(np.ascontiguousarray(signal.T, dtype=np.float32))
        found.append(F.interpolate(series[None], SAMPLES, mode="linear")[0].numpy())
    return np.stack(found)


class MantisV2Frozen(FrozenFeatures):
    """MantisV2's features of each channel side by side, and logistic regression; without labels it knows no words.

    The features are those that its authors advise without fine-tuning: the third block, class token and mean.
    """

    name, title, licence = "mantis_v2", "MantisV2, frozen", V2_WEIGHTS.licence
    layer: int | None = 2
    combined = True

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> MantisV2Frozen:
        """`source`: model.safetensors, its folder or Hub id."""
        return cls(load_mantis(V2_WEIGHTS.find(source), 2), seed=seed)

    def features(self, recordings: Sequence[ImuRecording]) -> np.ndarray:
        """`(n, channels * width)`; placements as in `fit`."""
        windows = channel_inputs(recordings, self.placements)

        def run(x: torch.Tensor) -> torch.Tensor:
            return self.network(x, self.layer, self.combined)

        flat = list(windows.reshape(-1, SAMPLES))
        return run_batches(run, flat, device_of(self.network), self.batch_size).reshape(len(windows), -1)


class Mantis8MFrozen(MantisV2Frozen):
    """Mantis-8M's class token of each channel, and logistic regression."""

    name, title, licence = "mantis_8m", "Mantis-8M, frozen", V1_WEIGHTS.licence
    layer, combined = None, False

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> Mantis8MFrozen:
        """`source`: model.safetensors, its folder or Hub id."""
        return cls(load_mantis(V1_WEIGHTS.find(source), 1), seed=seed)


@dataclass(frozen=True)
class MantisTraining:
    """How all of it is trained: its package's defaults but for the epochs, which the paper's Bench gives.

    Args:
        epochs: passes through the training windows; warm_up: of them, with a rising rate, before a cosine.
        presentations: windows shown, in whole epochs, at least one, so that a laptop is done in minutes; None: all
            `epochs`.
        head: "batch_norm" (package 1.1) or "layer_norm" (before) in front of the linear layer.
    """

    epochs: int = 100
    warm_up: int = 10
    presentations: int | None = 3_000
    batch_size: int = 32
    learning_rate: float = 2e-4
    weight_decay: float = 0.05
    head: str = "batch_norm"

    def __post_init__(self) -> None:
        if self.head not in ("batch_norm", "layer_norm"):
            raise ValueError(f"head must be 'batch_norm' or 'layer_norm', got {self.head!r}")


BENCH = MantisTraining(presentations=None, batch_size=256)


class MantisV2FineTuned(System):
    """MantisV2 and a classifier on its class tokens, all of it trained; scores are log-probabilities.

    Attributes:
        recipe: how `load` has it trained.
        source: file of the weights it begins with; None where they are random.
    """

    recipe: ClassVar[MantisTraining] = MantisTraining()
    name, title, requires, licence = (
        "mantis_v2_finetuned",
        "MantisV2, fine-tuned in minutes",
        "weights",
        V2_WEIGHTS.licence,
    )

    def __init__(self, make: Callable[[], Mantis], training: MantisTraining | None = None, seed: int = 0):
        self.make, self.training, self.seed = make, training or MantisTraining(), seed
        self.source: str | None = None
        self.placements: tuple[str, ...] = ()
        self.epochs = 0

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> MantisV2FineTuned:
        """`source`: model.safetensors, its folder or Hub id; each `fit` begins with those weights."""
        path = V2_WEIGHTS.find(source)
        load_mantis(path, 2)  # a wrong file should show now
        made = cls(lambda: load_mantis(path, 2), cls.recipe, seed)
        made.source = str(path)
        return made

    def fit(
        self, recordings: Sequence[ImuRecording], labels: Sequence[str], groups: Sequence[str] | None = None
    ) -> None:
        """As `System.fit`; nobody is held out, the last epoch is kept."""
        self.check_training(recordings, labels, groups)
        training, placements = self.training, placements_of(recordings)
        windows = torch.from_numpy(channel_inputs(recordings, placements))
        self.classes = sorted(set(map(str, labels)))
        truth = torch.tensor([self.classes.index(str(label)) for label in labels])
        epochs = training.epochs
        if training.presentations is not None:
            epochs = min(epochs, max(1, training.presentations // len(windows)))
        shuffle = torch.Generator().manual_seed(self.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = self.make().requires_grad_(True).train()
            width = windows.shape[1] * network.dim
            norm: nn.Module = nn.BatchNorm1d(width) if training.head == "batch_norm" else nn.LayerNorm(width)
            device = device_of(network)
            head = nn.Sequential(norm, nn.Linear(width, len(self.classes))).to(device)
            weights = [*network.parameters(), *head.parameters()]
            optimiser = torch.optim.AdamW(
                weights, training.learning_rate, (0.9, 0.999), weight_decay=training.weight_decay
            )
            steps = epochs * -(-len(windows) // training.batch_size)
            warm_up = max(1, round(steps * training.warm_up / max(training.epochs, 1)))

            def rate(step: int) -> float:
                if step < warm_up:
                    return (step + 1) / warm_up
                return 0.5 * (1 + np.cos(np.pi * (step - warm_up) / max(1, steps - warm_up)))

            schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
            for _ in tqdm(range(epochs), self.title, unit="epoch", delay=1, leave=False, disable=None):
                for rows in torch.randperm(len(windows), generator=shuffle).split(training.batch_size):
                    if len(rows) > 1 or len(windows) == 1:  # batch norm has no deviation of one window
                        logits = head(self._embed(network, windows[rows].to(device)))
                        loss = nn.functional.cross_entropy(logits, truth[rows].to(device))
                        optimiser.zero_grad()
                        loss.backward()
                        optimiser.step()
                    schedule.step()
        self.network, self.head, self.placements, self.epochs = network.eval(), head.eval(), placements, epochs

    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """As `System.score`.

        Raises:
            ValueError: also where a window has a placement that training did not have.
        """
        self.check(recordings)
        check_placements(self.title, self.placements, recordings)
        windows = list(channel_inputs(recordings, self.placements))

        def run(x: torch.Tensor) -> torch.Tensor:
            return self.head(self._embed(self.network, x)).log_softmax(1)

        found = run_batches(run, windows, device_of(self.network), 32)
        return scores_of_labels(found, self.classes, labels, unseen=-1e3)

    def report(self) -> dict[str, Any]:
        """How often it saw each window of training."""
        return {"epochs": self.epochs}

    @staticmethod
    def _embed(network: Mantis, windows: torch.Tensor) -> torch.Tensor:
        batch, channels, samples = windows.shape
        return network(windows.reshape(-1, samples)).reshape(batch, channels * network.dim)


class MantisV2Bench(MantisV2FineTuned):
    """MantisV2 with all the epochs of the paper's Bench, for a GPU."""

    name, title, recipe, wants_gpu = "mantis_v2_bench", "MantisV2", BENCH, True


class MantisV2Scratch(MantisV2FineTuned):
    """MantisV2's architecture from random weights: what its pre-training is worth shows beside the fine-tuned one."""

    name, title, requires, licence = "mantis_v2_scratch", "MantisV2 architecture, untrained", "training", "Apache-2.0"
    takes_source = False

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> MantisV2Scratch:
        """There is nothing to find."""
        return cls(lambda: Mantis(2).to(default_device()), seed=seed)
