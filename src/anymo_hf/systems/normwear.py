"""NormWear (Luo et al. 2024): wavelet images of channels, a masked auto-encoder, and a head that answers in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..modeling.imu_signal import resample
from ..recordings.imu_recording import ImuRecording
from .interface import System
from .published_weights import (
    FOLDER,
    PublishedFile,
    default_device,
    device_of,
    load_network,
    run_batches,
    weights_folder,
)

RATE = 65.0
LOWEST, LARGEST = 0.1, 64  # scales of the wavelet: 0.1, 1.1, … 64.1
PATCH, GRID = (9, 5), (43, 13)  # samples and scales of a patch; patches of a pre-training window
QUESTION = "What is the current activity?"
ANSWER = "The person is {}."
TEXT_MODEL = "muzammil-eds/tinyllama-2.5T-Clinical-v2"
TEXT_LICENCE = "not published with NormWear, see the model's page; TinyLlama, which it grew from, is Apache-2.0"
ENCODER = PublishedFile(
    "NormWear", "Apache-2.0", "normwear_pretrain_ckpt.pth", "normwear",
    hub_id="mosaic-laboratory/normwear",
    address="release v1.0.0-alpha of github.com/Mobile-Sensing-and-UbiComp-Laboratory/NormWear",
)  # fmt: skip
HEAD = PublishedFile(
    "NormWear's zero-shot head", "Apache-2.0", "normwear_msitf_zeroshot_last_checkpoint-5.pth", "normwear",
    hub_id="mosaic-laboratory/normwear",
    address="release v1.0.0-alpha of github.com/Mobile-Sensing-and-UbiComp-Laboratory/NormWear",
    named="the folder of both files",
)  # fmt: skip
# of the auto-encoder's 261 tensors, those of its decoder
SKIPPED = ("mask_token", "decoder_", "temporal_recon.", "spatial_recon.")


def wavelet_image(signals: torch.Tensor) -> torch.Tensor:
    """Ricker wavelets at 65 scales of signals, their first and their second differences.

    This is the published variant in torch: the one by SciPy needs functions that SciPy dropped, and has other ends.

    Args:
        signals: `(n, samples)`.

    Returns:
        `(n, 3, samples - 1, 65)`, for an odd number of samples one column fewer.
    """
    first = signals.diff(dim=1)
    second = first.diff(dim=1)
    stacked = torch.stack([signals[:, 2:], first[:, 1:], second], 1)
    rows, maps, count = stacked.shape
    scales = torch.arange(LOWEST, LARGEST + 1, 1.0, device=signals.device, dtype=signals.dtype)
    length = min(10 * LARGEST, count)
    squared = (torch.arange(length, device=signals.device, dtype=signals.dtype) - (length - 1) / 2) ** 2
    part = squared[None] / scales[:, None] ** 2
    wavelets = 2 / (torch.sqrt(3 * scales) * np.pi**0.25)[:, None] * (1 - part) * torch.exp(-part / 2)
    found = nn.functional.conv1d(stacked.view(rows * maps, 1, count), wavelets[:, None], padding=length // 2)
    return found.view(rows, maps, len(scales), -1).transpose(2, 3)


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class _Mlp(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class _Block(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn, self.mlp = _Attention(dim, heads), _Mlp(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _EncoderLayer(nn.Module):
    def __init__(self, dim: int, heads: int, fuse: bool):
        super().__init__()
        self.variate_encoder = _Block(dim, heads)
        self.cls_fusion = _Block(dim, heads) if fuse else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(batch, channels, tokens, dim)`: within each channel, then across channels between their first tokens."""
        x = self.variate_encoder(x.flatten(0, 1)).view_as(x)
        if self.cls_fusion is None:
            return x
        return torch.cat([self.cls_fusion(x[:, :, 0])[:, :, None], x[:, :, 1:]], 2)


class _PatchEmbedding(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, PATCH, PATCH)


class NormWearEncoder(nn.Module):
    """The auto-encoder's encoder, 128,118,528 values at the published width with its position table."""

    def __init__(self, dim: int = 768, layers: int = 12, heads: int = 12):
        super().__init__()
        self.patch_embed = _PatchEmbedding(dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, GRID[0] * GRID[1] + 1, dim), requires_grad=False)
        self.encoder_blocks = nn.ModuleList(_EncoderLayer(dim, heads, layer % 2 == 0) for layer in range(layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` `(batch, channels, samples)` at 65 Hz -> `(batch, channels, patches + 1, dim)`.

        Raises:
            ValueError: under eleven samples.
        """
        batch, channels, samples = x.shape
        if samples < PATCH[0] + 2:
            raise ValueError(f"NormWear needs {PATCH[0] + 2} samples at {RATE:g} Hz, got {samples}")
        patches = self.patch_embed.proj(wavelet_image(x.reshape(-1, samples)))  # (n, dim, time, scale)
        grid = tuple(patches.shape[2:])
        place = self.pos_embed[:, 1:]
        if grid != GRID:
            table = place.unflatten(1, GRID).permute(0, 3, 1, 2)
            place = nn.functional.interpolate(table, grid, mode="bicubic").permute(0, 2, 3, 1).flatten(1, 2)
        tokens = patches.flatten(2).transpose(1, 2) + place
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        tokens = torch.cat([first, tokens], 1).unflatten(0, (batch, channels))
        for block in self.encoder_blocks:
            tokens = block(tokens)
        return self.norm(tokens)


class _Latent(nn.Module):
    def __init__(self, hidden: int, dim: int):
        super().__init__()
        self.mu = nn.Linear(hidden, dim)
        self.var = nn.Sequential(nn.Linear(hidden, dim), nn.Softplus())  # of training only

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mu(x)


class _FeedForward(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.fc_liner = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), _Latent(4 * dim, dim))
        self.LayerNorm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.fc_liner(self.LayerNorm(x))


class ZeroShotHead(nn.Module):
    """Sums tokens by relevance to a question, importance and recency; 16 tensors of 57,695,746 values as published."""

    def __init__(self, dim: int = 768, text_dim: int = 2048):
        super().__init__()
        self.cd = nn.Sequential(nn.Linear(dim, 2), nn.Sigmoid())
        self.k, self.v, self.q = nn.Linear(dim, text_dim), nn.Linear(dim, text_dim), nn.Linear(text_dim, text_dim)
        self.out_fc = _FeedForward(text_dim)

    def forward(self, tokens: torch.Tensor, question: torch.Tensor) -> torch.Tensor:
        """`tokens` `(batch, channels, patches, dim)`, `question` `(text_dim,)` -> `(batch, text_dim)`."""
        patches = tokens.shape[2]
        age = torch.arange(patches - 1, -1, -1, device=tokens.device, dtype=tokens.dtype)
        recency = (0.997**age).repeat(tokens.shape[1])
        tokens = tokens.flatten(1, 2)
        relevance = nn.functional.cosine_similarity(self.k(tokens), self.q(question), dim=-1).softmax(1)
        # softmax of (log p + 0.577) / 0.5, whose constant cancels
        importance = (self.cd(tokens).log() / 0.5).softmax(2)[..., 1]
        weight = (relevance + 0.5 * importance + 0.2 * recency).softmax(1)
        return self.out_fc((self.v(tokens) * weight[..., None]).sum(1))


class NormWear(System):
    """The released encoder and zero-shot head; the score of a label is minus the L1 distance to its sentence.

    Args:
        encoder, head: see `load`.
        encode_text: sentences to `(n, text_dim)`.
        normalise: "faithful", m/s² and rad/s as they are, since the published inference normalises nothing; "mended",
            each channel without its trend and over its mean size, as its training signals were.
        batch_size: windows at a time.
    """

    name, title, requires, licence = "normwear", "NormWear", "weights", "Apache-2.0"
    rate, shortest_seconds = RATE, 0.2
    usual = "faithful"

    def __init__(
        self, encoder: NormWearEncoder, head: ZeroShotHead, encode_text: Callable[[Sequence[str]], np.ndarray],
        normalise: str = "faithful", batch_size: int = 8,
    ):  # fmt: skip
        if normalise not in ("faithful", "mended"):
            raise ValueError(f"normalise must be 'faithful' or 'mended', got {normalise!r}")
        self.encoder, self.head, self.encode_text = encoder.eval(), head.eval(), encode_text
        self.normalise, self.batch_size = normalise, batch_size

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> NormWear:
        """`source`: folder of both files, or one of them, and of the folder of the text model, see `load_text_encoder`."""
        if source and Path(source).is_file():
            source = str(Path(source).parent)
        encoder = load_network(NormWearEncoder, ENCODER.find(source), SKIPPED)
        head = load_network(ZeroShotHead, HEAD.find(source))
        return cls(encoder, head, load_text_encoder(source), cls.usual)  # type: ignore[arg-type]

    def score(self, recordings: Sequence[ImuRecording], labels: Sequence[str]) -> np.ndarray:
        """As `System.score`; labels stand in "The person is …."."""
        self.check(recordings)
        found = self.answers(recordings)
        options = self.encode_text([ANSWER.format(label) for label in labels])
        return -np.stack([np.abs(found - option).sum(1) for option in options], 1)

    def answers(self, recordings: Sequence[ImuRecording]) -> np.ndarray:
        """What the head answers to the question of the activity, `(n, text_dim)`."""
        device = device_of(self.encoder)
        question = torch.from_numpy(self.encode_text([QUESTION])[0]).float().to(device)

        def run(x: torch.Tensor) -> torch.Tensor:
            return self.head(self.encoder(x), question)

        return run_batches(run, [self._input(one) for one in recordings], device, self.batch_size)

    def _input(self, recording: ImuRecording) -> np.ndarray:
        """`(channels, samples)`, placements in alphabetical order."""
        from scipy.signal import detrend

        signals = [signal for _, signal in sorted(recording.signals.items())]
        whole = resample(np.concatenate(signals, 1).astype(float), recording.sampling_rate, RATE)
        if self.normalise == "mended":
            whole = detrend(whole, axis=0)
            whole = whole / np.maximum(np.abs(whole).mean(0), 1e-6)
        return whole.T


class NormWearMended(NormWear):
    """The same weights with `normalise="mended"`."""

    name, title, usual = "normwear_mended", "NormWear, normalised input", "mended"


def load_text_encoder(source: str | None = None) -> Callable[[Sequence[str]], np.ndarray]:
    """Sentences to the mean of a language model's last hidden states, on the GPU where there is one.

    The model is the folder `tinyllama-2.5T-Clinical-v2` in `source` or in `weights/normwear`, else what was fetched from the
    Hub before.

    Args:
        source: as `NormWear.load`.

    Raises:
        OSError: it is in none of these places.
    """
    from transformers import AutoModel, AutoTokenizer

    place = weights_folder() / ENCODER.folder / TEXT_MODEL.split("/")[1]
    folders = [*([] if source is None else [Path(source) / place.name]), place]
    name = str(next((folder for folder in folders if folder.is_dir()), TEXT_MODEL))
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=True)
        model: Any = AutoModel.from_pretrained(name, local_files_only=True).eval().to(default_device())
    except (OSError, ValueError) as error:
        raise OSError(
            f"NormWear needs the text model {TEXT_MODEL} (1.1 billion values; licence {TEXT_LICENCE}); fetch it from the "
            f"Hub once, or put its folder at {place}; {FOLDER} names another folder"
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token

    @torch.inference_mode()
    def encode(texts: Sequence[str]) -> np.ndarray:
        inputs = tokenizer(list(texts), padding=True, return_tensors="pt").to(model.device)
        states = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"][..., None].to(states.dtype)
        return ((states * mask).sum(1) / mask.sum(1)).float().cpu().numpy()

    return encode
