"""AnyMo itself: one space for windows and texts, and a language model that writes captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..recordings.imu_recording import ImuRecording
from .captions import generate_captions
from .checkpoint import load_checkpoint
from .embeddings import embed_labels, embed_texts, embed_windows
from .interface import System

CHECKPOINT = "anymo"


class AnyMo(System):
    """The released model, zero-shot; labels are worded as `TEXT_PROMPTS[text_prompt]`.

    Args:
        model, processor: of one checkpoint, see `load_checkpoint`.
        text_prompt: key of `TEXT_PROMPTS`.
        batch_size: windows of 5 s at a time.
    """

    name, title, requires, licence = "anymo", "AnyMo", "weights", "Apache-2.0"
    rate = 60.0

    def __init__(self, model: Any, processor: Any, text_prompt: str = "learned", batch_size: int = 64):
        self.model, self.processor = model, processor
        self.text_prompt, self.batch_size = text_prompt, batch_size

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> AnyMo:
        """From a folder or a name on the Hub; the default is the folder `anymo`. Nothing in it is random."""
        try:
            return cls(*load_checkpoint(source or CHECKPOINT))
        except OSError as error:
            raise OSError(
                f"{cls.title} ({cls.licence}) needs its checkpoint, model.safetensors and the files beside it: {error}"
            ) from error

    def embed_imu(self, recordings: Sequence[ImuRecording]) -> np.ndarray:
        """As `System.embed_imu`; windows longer than the processor takes are cut and averaged."""
        self.check(recordings)
        return embed_windows(self.model, self.processor, recordings, self.batch_size)

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """As `System.embed_text`; texts are taken as names of activities."""
        return embed_labels(self.model, self.processor, texts, self.text_prompt)

    def embed_sentences(self, texts: Sequence[str]) -> np.ndarray:
        """As `System.embed_sentences`; texts are taken as narrations."""
        return embed_texts(self.model, self.processor, list(texts), self.batch_size)

    def caption(self, recordings: Sequence[ImuRecording]) -> list[str]:
        """As `System.caption`, by greedy decoding."""
        self.check(recordings)
        read = self.processor.feature_extractor
        found = [read(one.signals, sampling_rate=one.sampling_rate, return_tensors="np") for one in recordings]
        codes, places = ([item[name][0] for item in found] for name in ("imu_codes", "imu_placements"))
        return generate_captions(self.model, self.processor, codes, places, min(self.batch_size, 16))
