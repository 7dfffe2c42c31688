"""IMU2CLIP (Moon et al., EMNLP 2023): convolutions and a GRU beside CLIP ViT-B/32's text tower."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..modeling.imu_signal import low_pass, resample
from ..recordings.imu_recording import ImuRecording
from .clip_text import ClipTextTower, load_tokenizer
from .interface import System
from .published_weights import (
    PublishedFile,
    build,
    default_device,
    device_of,
    fill,
    load_network,
    mean_of_parts,
    read_tensors,
    run_batches,
    unit,
)  # fmt: skip

RATE, SAMPLES = 200.0, 1000
LAYOUTS = ("released", "fixed")
WEIGHTS = PublishedFile(
    "IMU2CLIP", "CC BY-NC 4.0 (its code)", "imu2clip.safetensors", "imu2clip",
    address="its authors published none: train it with github.com/facebookresearch/imu2clip and save its state dict",
)  # fmt: skip
TEXT_WEIGHTS = PublishedFile(
    "CLIP ViT-B/32's text tower", "MIT", "model.safetensors", "clip-vit-base-patch32", "openai/clip-vit-base-patch32",
    named="",
)  # fmt: skip


class _Convolution(nn.Module):
    """Convolution over time with dilation 2, then the maximum of every three."""

    def __init__(self, channels: int, width: int, kernel: int):
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(channels, width, kernel, dilation=2, bias=False), nn.MaxPool1d(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(batch, channels, time)`."""
        return self.net(x)


class IMU2CLIPEncoder(nn.Module):
    """Six channels to 512 dimensions; 11 tensors of 850,892 values.

    Args:
        layout: "released": the GRU walks over the 32 channels and reads the 32 time steps as features, since the
            published code does not transpose; it takes 978 to 1,004 samples. "fixed": it walks over time, of any length.
        width, dim: of the convolutions and the embedding.
    """

    def __init__(self, layout: str = "released", width: int = 32, dim: int = 512):
        super().__init__()
        if layout not in LAYOUTS:
            raise ValueError(f"layout must be 'released' or 'fixed', got {layout!r}")
        self.layout, self.width = layout, width
        self.net = nn.Sequential(
            nn.GroupNorm(2, 6),
            _Convolution(6, width, 10),
            _Convolution(width, width, 5),
            _Convolution(width, width, 5),
            nn.GroupNorm(4, width),
            nn.GRU(width, dim, batch_first=True),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` `(batch, 6, samples)` m/s² and rad/s -> `(batch, dim)`.

        Raises:
            ValueError: a length that the layout does not take.
        """
        samples = x.shape[2]
        steps = (((samples - 18) // 3 - 8) // 3 - 8) // 3
        if steps < 1 or self.layout == "released" and steps != self.width:
            raise ValueError(
                f"IMU2CLIP, layout {self.layout!r}, cannot take {samples} samples: "
                + ("it needs 978 to 1,004; resample to 1,000" if self.layout == "released" else "it needs 141")
            )
        x = self.net[:5](x)
        return self.net[5](x if self.layout == "released" else x.transpose(1, 2))[1][0]


def clip_text_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of `ClipTextTower` from those of transformers' `CLIPModel`; the image tower is left out.

    Raises:
        ValueError: a tensor of the text tower is missing.
    """
    names = {
        "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
        "text_model.embeddings.position_embedding.weight": "positional_embedding",
        "text_model.final_layer_norm.weight": "ln_final.weight",
        "text_model.final_layer_norm.bias": "ln_final.bias",
        "logit_scale": "logit_scale",
    }
    parts = {
        "self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
    }  # fmt: skip
    found: dict[str, torch.Tensor] = {}
    try:
        for theirs, ours in names.items():
            found[ours] = tensors[theirs]
        found["text_projection"] = tensors["text_projection.weight"].T.contiguous()
        layer = 0
        while f"text_model.encoder.layers.{layer}.layer_norm1.weight" in tensors:
            theirs, ours = f"text_model.encoder.layers.{layer}.", f"transformer.resblocks.{layer}."
            for kind in ("weight", "bias"):
                joined = [tensors[f"{theirs}self_attn.{name}_proj.{kind}"] for name in "qkv"]
                found[f"{ours}attn.in_proj_{kind}"] = torch.cat(joined)
                for part, name in parts.items():
                    found[f"{ours}{name}.{kind}"] = tensors[f"{theirs}{part}.{kind}"]
            layer += 1
    except KeyError as error:
        raise ValueError(
            f"CLIP's text tower lacks the tensor {error.args[0]!r}; fetch {TEXT_WEIGHTS.hub_id} again"
        ) from error
    return found


def load_clip_text(path: Path) -> ClipTextTower:
    """ViT-B/32's text tower from transformers' file; errors as `fill`."""
    network = build(ClipTextTower)
    fill(network, clip_text_tensors(read_tensors(path)), path)
    return network.eval().requires_grad_(False).to(default_device())  # type: ignore[return-value]


class IMU2CLIP(System):
    """An IMU2CLIP encoder that you trained, zero-shot; several placements are averaged.

    Args:
        encoder, text, tokenizer: see `load`.
        batch_size: windows at a time.

    A window comes to 1,000 samples as a whole with layout "released" (5 s at 200 Hz), to 200 Hz with "fixed".
    """

    name, title, requires, licence = "imu2clip", "IMU2CLIP", "weights", WEIGHTS.licence
    rate, channels = RATE, (6,)
    usual = "released"

    def __init__(
        self,
        encoder: IMU2CLIPEncoder,
        text: nn.Module,
        tokenizer: Callable[[Sequence[str]], np.ndarray],
        batch_size: int = 64,
    ):
        self.encoder, self.text = encoder.eval(), text.eval()
        self.tokenizer, self.batch_size = tokenizer, batch_size

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> IMU2CLIP:
        """`source`: file or folder of the encoder; CLIP's text tower is sought in its own folder and the Hub's cache."""
        path = WEIGHTS.find(source)
        text = TEXT_WEIGHTS.find()
        encoder = load_network(
            lambda: IMU2CLIPEncoder(cls.usual), path, rename=lambda name: name.removeprefix("imu_encoder.")
        )
        return cls(encoder, load_clip_text(text), load_tokenizer(text))  # type: ignore[arg-type]

    def embed_imu(self, recordings: Sequence[ImuRecording]) -> np.ndarray:
        """As `System.embed_imu`."""
        self.check(recordings)
        inputs, owners = [], []
        for owner, one in enumerate(recordings):
            for _, signal in sorted(one.signals.items()):
                found = resample(np.asarray(signal, dtype=float), one.sampling_rate, RATE)
                if self.encoder.layout == "released":
                    found = stretch(found, SAMPLES)
                inputs.append(found.T)
                owners.append(owner)
        return mean_of_parts(run_batches(self.encoder, inputs, device_of(self.encoder), self.batch_size), owners)

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """As `System.embed_text`; its own evaluation gives bare labels."""
        return unit(run_batches(self.text, list(self.tokenizer(texts)), device_of(self.text), self.batch_size))


class IMU2CLIPFixed(IMU2CLIP):
    """An encoder trained with `layout="fixed"`."""

    name, title, usual = "imu2clip_fixed", "IMU2CLIP, GRU over time", "fixed"
    shortest_seconds = 0.705  # 141 samples


_FASTEST = 10_000.0  # Hz, the most that `resample` takes


def stretch(signal: np.ndarray, count: int) -> np.ndarray:
    """`(T, C)` to `(count, C)` by linear interpolation, ends upon ends; to fewer samples behind a low-pass."""
    if len(signal) > count:  # rates that stand for the two lengths
        signal = low_pass(signal, _FASTEST, _FASTEST * count / len(signal))
    at = np.linspace(0, len(signal) - 1, count)
    return np.stack([np.interp(at, np.arange(len(signal)), column) for column in signal.T], 1)
