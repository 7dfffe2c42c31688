"""AnyMo itself: one space for windows and texts, and a language model that writes captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from ..modeling.prompts import option_key
from ..recordings.imu_recording import ImuRecording
from .answer_likelihood import answer_log_probabilities
from .answer_parsing import read_line
from .captions import generate_captions, read_codes
from .checkpoint import load_checkpoint
from .embeddings import embed_labels, embed_texts, embed_windows
from .interface import Choice, System

CHECKPOINT = "anymo"
_ANSWER_TOKENS = 24


class AnyMo(System):
    """The released model, zero-shot; labels are worded as `TEXT_PROMPTS[text_prompt]`.

    Args:
        model, processor: of one checkpoint, see `load_checkpoint`.
        text_prompt: key of `TEXT_PROMPTS`.
        batch_size: windows of 5 s at a time.
    """

    name, title, requires, licence = "anymo", "AnyMo", "weights", "Apache-2.0"
    rate, shortest_seconds = 60.0, 1.0

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
        read = read_codes(self.processor, recordings)
        return generate_captions(self.model, self.processor, *read, min(self.batch_size, 16))

    def choose(self, recordings: Sequence[ImuRecording], options: Sequence[Sequence[str]]) -> list[Choice]:
        """As `System.choose` (paper §3.3, A.5): log-probabilities are of each option's whole line, summed over its tokens;
        what is written is greedy. A window longer than the processor takes is refused by it."""
        self.check_questions(recordings, options)
        asked = tqdm(
            list(zip(recordings, options, strict=True)), self.title, unit="question", delay=1, leave=False, disable=None
        )
        return [self._choose(*question) for question in asked]

    def _choose(self, recording: ImuRecording, options: Sequence[str]) -> Choice:
        import torch

        model, processor = self.model.eval(), self.processor
        read = processor.feature_extractor(
            recording.signals, sampling_rate=recording.sampling_rate, return_tensors="np"
        )
        codes, places = read["imu_codes"][0], read["imu_placements"][0]
        lines = [
            processor.language_example(codes, places, "multiple_choice", answer=option, candidates=list(options))
            for option in options
        ]
        prompt = processor.generation_inputs(
            imu_codes=[codes], imu_placements=[places], task="multiple_choice", candidates=list(options)
        )
        with torch.inference_mode():
            scores = answer_log_probabilities(model, lines).sum(1).tolist()
            out = model.generate(
                **{name: value.to(model.device) for name, value in prompt.items()}, do_sample=False,
                max_new_tokens=_ANSWER_TOKENS, eos_token_id=processor.tokenizer.eos_token_id,
                pad_token_id=processor.tokenizer.pad_token_id,
            )  # fmt: skip
        new = out[:, prompt["input_ids"].shape[1] :]
        written = processor.tokenizer.batch_decode(new, skip_special_tokens=True)[0].strip()
        keys = [option_key(number, processor.prompt_style.option_keys) for number in range(len(options))]
        return Choice(tuple(scores), written, read_line(written, keys, options))
