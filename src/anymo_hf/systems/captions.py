"""Captions from motion codes: written by AnyMo's language model (paper Table 3), or selected from sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ..motion.procedural.narration import known_sentences
from ..recordings.imu_recording import ImuRecording
from .answer_likelihood import answer_log_probabilities
from .embeddings import embed_codes, embed_texts

_CODE = re.compile(r"<imu_\w+>")
# set on simulated windows 100 to 300, which the score of 100 windows does not read (training/EXPERIMENTS.md)
_NEAREST = 40  # sentences that the language model is asked about
_LIKELIHOOD = 0.05  # cosine that a nat a token is worth


def read_codes(processor: Any, recordings: Sequence[ImuRecording]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of each recording its motion codes `(2L,)` and its placements' segments, as `generate_captions` takes them.

    Args:
        processor: `AnyMoProcessor` with a feature extractor; it refuses a recording longer than it takes.
    """
    read = processor.feature_extractor
    found = [read(one.signals, sampling_rate=one.sampling_rate, return_tensors="np") for one in recordings]
    return [one["imu_codes"][0] for one in found], [one["imu_placements"][0] for one in found]


@torch.inference_mode()
def generate_captions(
    model: Any,
    processor: Any,
    imu_codes: Sequence[np.ndarray],
    imu_placements: Sequence[Sequence[int]],
    batch_size: int = 16,
    max_new_tokens: int = 64,
) -> list[str]:
    """One greedy caption per window, in the order given; "" for a window that the model has no words for.

    Args:
        model: `AnyMoForConditionalGeneration`; it is put into evaluation mode.
        processor: `AnyMoProcessor`; it needs no feature extractor.
        imu_codes: per window `(2L,)` code indices, `code + size * book`, time-major.
        imu_placements: per window the segment indices of its sensors.
        batch_size: windows at a time; max_new_tokens: the longest caption.

    Raises:
        ValueError: no windows, or lists of different length.
    """
    _check_windows(imu_codes, imu_placements)
    model.eval()
    device, captions = getattr(model, "device", "cpu"), []
    starts = range(0, len(imu_codes), batch_size)
    for start in tqdm(starts, "captions", unit="batch", delay=1, leave=False, disable=None):
        part = slice(start, start + batch_size)
        batch = processor.generation_inputs(
            imu_codes=list(imu_codes[part]), imu_placements=list(imu_placements[part]), task="narration"
        )
        inputs = {name: value.to(device) for name, value in batch.items()}
        output = model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
        new = output[:, inputs["input_ids"].shape[1] :]
        texts = processor.tokenizer.batch_decode(new, skip_special_tokens=True)
        captions += [" ".join(_CODE.sub(" ", text).split()) for text in texts]
    return captions


def select_captions(
    model: Any,
    processor: Any,
    imu_codes: Sequence[np.ndarray],
    imu_placements: Sequence[Sequence[int]],
    sentences: Sequence[str] | None = None,
    batch_size: int = 64,
) -> list[str]:
    """The sentence that fits each window best, in the order given; not in the paper, where captions are written.

    It is the one of greatest cosine with the window plus a share of its mean log-probability a token as the window's
    caption, among those nearest by cosine. It names the right activity more often than what the model writes
    (`anymo evaluate captioning`).

    Args:
        model: `AnyMoForConditionalGeneration`; it is put into evaluation mode.
        processor: `AnyMoProcessor`; it needs no feature extractor.
        imu_codes, imu_placements: as for `generate_captions`.
        sentences: to select from; None takes those of all simulated activities (`known_sentences`).
        batch_size: windows or sentences at a time.

    Raises:
        ValueError: no windows, lists of different length, or no sentences.
    """
    _check_windows(imu_codes, imu_placements)
    texts = list(dict.fromkeys(known_sentences() if sentences is None else sentences))
    if not texts:
        raise ValueError("sentences is empty; give at least one to select from")
    model.eval()
    windows = embed_codes(model, processor, imu_codes, imu_placements, batch_size)
    cosines = windows @ embed_texts(model, processor, texts, batch_size).T
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :_NEAREST]
    captions = []
    bar = tqdm(nearest, "captions", unit="window", delay=1, leave=False, disable=None)
    for codes, places, near, row in zip(imu_codes, imu_placements, bar, cosines, strict=True):
        lines = [processor.language_example(codes, places, "narration", answer=texts[index]) for index in near]
        counts = np.array([sum(target >= 0 for target in line["labels"]) for line in lines])
        likelihood = answer_log_probabilities(model, lines).sum(1).cpu().numpy() / counts
        captions.append(texts[near[(row[near] + _LIKELIHOOD * likelihood).argmax()]])
    return captions


def _check_windows(imu_codes: Sequence[np.ndarray], imu_placements: Sequence[Sequence[int]]) -> None:
    if len(imu_codes) != len(imu_placements) or not len(imu_codes):
        raise ValueError(f"need as many imu_codes as imu_placements: {len(imu_codes)}, {len(imu_placements)}")
