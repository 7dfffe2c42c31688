"""ImageBind (Girdhar et al., CVPR 2023): its IMU and text towers, which were both tied to images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ..modeling.imu_signal import resample
from ..recordings.imu_recording import ImuRecording
from .clip_text import CONTEXT, causal_mask, load_tokenizer
from .imu2clip import stretch
from .interface import System
from .published_weights import PublishedFile, device_of, load_network, mean_of_parts, run_batches, unit

SAMPLES, PATCH, RATE = 2000, 8, 200.0
WEIGHTS = PublishedFile(
    "ImageBind", "CC BY-NC-SA 4.0", "imagebind_huge.pth", "imagebind",
    address="linked from github.com/facebookresearch/ImageBind",
)  # fmt: skip
# 923 of the file's 1,311 tensors: the other towers
SKIPPED = tuple(
    f"modality_{part}.{modality}."
    for part in ("preprocessors", "trunks", "heads", "postprocessors")
    for modality in ("vision", "audio", "thermal", "depth")
)


class _Mlp(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm block; `key` adds one learned key and value."""

    def __init__(self, width: int, heads: int, key: bool):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, add_bias_kv=key, batch_first=True)
        self.norm_1, self.norm_2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.mlp = _Mlp(width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """`x` `(batch, tokens, width)`."""
        y = self.norm_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.norm_2(x))


class Trunk(nn.Module):
    """Blocks, one after the other; `key` as in `Block`."""

    def __init__(self, width: int, layers: int, heads: int, key: bool):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, key) for _ in range(layers))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """`x` `(batch, tokens, width)`."""
        for block in self.blocks:
            x = block(x, mask)
        return x


class _Stem(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.proj = nn.Linear(6 * PATCH, width, bias=False)
        self.norm_layer = nn.LayerNorm(width)


class ImuPreprocessor(nn.Module):
    """Patches of 8 samples as tokens, a class token before them, and a learned position for each."""

    def __init__(self, width: int, samples: int):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, samples // PATCH + 1, width))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.imu_stem = _Stem(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(batch, 6, samples)`; a patch's numbers run over its time within a channel."""
        patches = x.unfold(2, PATCH, PATCH).transpose(1, 2).flatten(2)
        tokens = self.imu_stem.norm_layer(self.imu_stem.proj(patches))
        return torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], 1) + self.pos_embed


class _TextPreprocessor(nn.Module):
    mask: torch.Tensor

    def __init__(self, width: int, vocabulary: int, context: int):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, context, width))
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.register_buffer("mask", causal_mask(context, self.pos_embed.detach()))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.token_embedding(tokens) + self.pos_embed


class _FirstToken(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0]


class _Scale(nn.Module):
    log_logit_scale: torch.Tensor

    def __init__(self, learned: bool, scale: float):
        super().__init__()
        value = torch.tensor(scale).log()
        if learned:
            self.log_logit_scale = nn.Parameter(value)
        else:
            self.register_buffer("log_logit_scale", value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.log_logit_scale.exp().clamp(max=100)


class _Unit(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(x, dim=-1)


class _TextHead(nn.Module):
    def __init__(self, width: int, dim: int):
        super().__init__()
        self.proj = nn.Sequential(nn.LayerNorm(width, eps=1e-6), nn.Linear(width, dim, bias=False))


class ImageBindTowers(nn.Module):
    """388 tensors: 93 of the IMU tower (19,600,385 values), 295 of the text tower (354,038,570 with its mask)."""

    def __init__(
        self, width: int = 512, layers: int = 6, heads: int = 8, text_width: int = 1024, text_layers: int = 24,
        text_heads: int = 16, dim: int = 1024, vocabulary: int = 49408, samples: int = SAMPLES,
    ):  # fmt: skip
        super().__init__()
        self.samples = samples
        self.modality_preprocessors = nn.ModuleDict({
            "imu": ImuPreprocessor(width, samples), "text": _TextPreprocessor(text_width, vocabulary, CONTEXT),
        })  # fmt: skip
        self.modality_trunks = nn.ModuleDict({
            "imu": Trunk(width, layers, heads, key=True), "text": Trunk(text_width, text_layers, text_heads, key=False),
        })  # fmt: skip
        head = nn.Sequential(
            nn.LayerNorm(width, eps=1e-6), _FirstToken(), nn.Dropout(0.5), nn.Linear(width, dim, bias=False)
        )
        self.modality_heads = nn.ModuleDict({"imu": head, "text": _TextHead(text_width, dim)})
        self.modality_postprocessors = nn.ModuleDict({
            "imu": nn.Sequential(_Unit(), _Scale(False, 5.0)), "text": nn.Sequential(_Unit(), _Scale(True, 1 / 0.07)),
        })  # fmt: skip

    def encode_imu(self, x: torch.Tensor) -> torch.Tensor:
        """`x` `(batch, 6, 2000)` m/s² and rad/s -> `(batch, 1024)`, of length 5.

        Raises:
            ValueError: another number of samples.
        """
        if x.shape[2] != self.samples:
            raise ValueError(
                f"ImageBind takes {self.samples:,} samples, got {x.shape[2]:,}; use fit='stretch' or 'pad'"
            )
        tokens = self.modality_trunks["imu"](self.modality_preprocessors["imu"](x))
        return self.modality_postprocessors["imu"](self.modality_heads["imu"](tokens))

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        """`tokens` `(batch, 77)` -> `(batch, 1024)`, read at the end token, which is the highest number."""
        tokens = tokens.long()
        before: Any = self.modality_preprocessors["text"]
        x = self.modality_trunks["text"](before(tokens), before.mask)
        head: Any = self.modality_heads["text"]
        chosen = x[torch.arange(len(x), device=x.device), tokens.argmax(1)]
        return self.modality_postprocessors["text"](head.proj(chosen))


class ImageBind(System):
    """The released weights, zero-shot; several placements are averaged.

    Its authors publish neither rate nor units of the IMU input. Here: acceleration in m/s² and angular velocity in rad/s
    without normalisation, as in Ego4D's files.

    Args:
        network, tokenizer: see `load`.
        fit: "stretch": the whole window interpolated to 2,000 samples. "pad": at 200 Hz, the first 10 s, and zeros after
            a shorter one.
        batch_size: windows at a time.
    """

    name, title, requires, licence = "imagebind", "ImageBind", "weights", WEIGHTS.licence
    channels = (6,)
    usual = "stretch"

    def __init__(
        self, network: ImageBindTowers, tokenizer: Callable[[Sequence[str]], np.ndarray], fit: str = "stretch",
        batch_size: int = 32,
    ):  # fmt: skip
        if fit not in ("stretch", "pad"):
            raise ValueError(f"fit must be 'stretch' or 'pad', got {fit!r}")
        self.network, self.tokenizer, self.how, self.batch_size = network.eval(), tokenizer, fit, batch_size

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> ImageBind:
        """`source`: imagebind_huge.pth or its folder; nothing in it is random."""
        path = WEIGHTS.find(source)
        return cls(load_network(ImageBindTowers, path, SKIPPED), load_tokenizer(path), cls.usual)  # type: ignore[arg-type]

    def embed_imu(self, recordings: Sequence[ImuRecording]) -> np.ndarray:
        """As `System.embed_imu`."""
        self.check(recordings)
        inputs, owners, samples = [], [], self.network.samples
        for owner, one in enumerate(recordings):
            for _, signal in sorted(one.signals.items()):
                found = np.asarray(signal, dtype=float)
                if self.how == "stretch":
                    found = stretch(found, samples)
                else:
                    found = resample(found, one.sampling_rate, RATE)[:samples]
                    found = np.pad(found, ((0, samples - len(found)), (0, 0)))
                inputs.append(found.T)
                owners.append(owner)
        found = run_batches(self.network.encode_imu, inputs, device_of(self.network), self.batch_size)
        return mean_of_parts(found, owners)

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """As `System.embed_text`; how the paper words its labels is unknown."""
        tokens = list(self.tokenizer(texts))
        return unit(run_batches(self.network.encode_text, tokens, device_of(self.network), self.batch_size))


class ImageBindPadded(ImageBind):
    """The same weights with `fit="pad"`."""

    name, title, usual = "imagebind_padded", "ImageBind, padded input", "pad"
