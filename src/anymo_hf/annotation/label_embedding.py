"""Vectors of labels from a sentence encoder, kept on disk label by label."""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .stage_cache import StageCache, key_of

DEFAULT_ENCODER = "Qwen/Qwen3-Embedding-8B"
Encoder = Callable[[Sequence[str]], np.ndarray]  # texts -> (texts, dim)


def sentence_encoder(name: str = DEFAULT_ENCODER, device: str | None = None) -> Encoder:
    """Encoder of a sentence-transformers model: a name on the Hub or a folder. It is loaded with the first texts.

    Raises:
        ImportError: sentence-transformers is not installed.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise ImportError("clustering needs sentence-transformers: pip install sentence-transformers")
    loaded: list[Any] = []

    def encode(texts: Sequence[str]) -> np.ndarray:
        import sentence_transformers  # takes seconds

        if not loaded:
            try:
                loaded.append(sentence_transformers.SentenceTransformer(name, device=device))
            except (OSError, ValueError) as error:
                raise OSError(
                    f"--encoder {name!r}: cannot be loaded ({error}); give a folder or a name on the Hub"
                ) from error
        return np.asarray(loaded[0].encode(list(texts), show_progress_bar=False), np.float32)

    return encode


def embed_labels(labels: Sequence[str], encoder: Encoder, name: str, cache: StageCache, batch: int = 32) -> np.ndarray:
    """Vectors `(labels, dim)` float32; only labels that `cache` lacks are encoded.

    Args:
        labels: texts.
        encoder: makes vectors.
        name: of the encoder, part of the key.
        cache: where vectors are kept.
        batch: labels that are encoded, and saved, at a time.
    """
    from tqdm import tqdm

    keys = [key_of("embedding", name, label) for label in labels]
    new = [row for row, key in enumerate(keys) if cache.get(key) is None]
    for start in tqdm(range(0, len(new), batch), desc="embedding", unit="batch", delay=1, disable=None):
        rows = new[start : start + batch]
        vectors = np.asarray(encoder([labels[row] for row in rows]), np.float32)
        if vectors.ndim != 2 or len(vectors) != len(rows):
            raise ValueError(f"encoder {name}: gave an array {vectors.shape} for {len(rows)} labels")
        for row, vector in zip(rows, vectors, strict=True):
            cache.put(keys[row], {"encoder": name, "label": labels[row], "vector": base64.b64encode(vector).decode()})
    records = [cache.get(key) for key in keys]
    return np.stack([np.frombuffer(base64.b64decode(record["vector"]), np.float32) for record in records if record])
