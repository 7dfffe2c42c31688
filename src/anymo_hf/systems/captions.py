"""Captions from motion codes by AnyMo's language model (paper Table 3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

_CODE = re.compile(r"<imu_\w+>")


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
    if len(imu_codes) != len(imu_placements) or not len(imu_codes):
        raise ValueError(f"need as many imu_codes as imu_placements: {len(imu_codes)}, {len(imu_placements)}")
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
