"""Windows and texts of any number into AnyMo's common space, in batches; and how labels are worded."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ..modeling.embedding import embed_recordings
from ..recordings.imu_recording import ImuRecording

# Wordings of a label (paper E.1, Table 10). The fixed ones leave the learned soft prompt out, and all their words are
# pooled.
TEXT_PROMPTS = {
    "learned": "{label}",
    "bare": "{label}",
    "person": "a person is {label}",
    "imu": "wearable IMU motion of {label}",
    "activity": "the activity is {label}",
}
SECONDS_PER_WINDOW = 5.0  # what the batch size counts in, so that long segments make smaller batches


def label_case_of(processor: Any) -> str:
    """Which letters a processor gives to label texts: "lower" or "own"."""
    return "own" if processor.prompt_style.lower_case == "none" else "lower"


def with_label_case(processor: Any, label_case: str) -> Any:
    """The processor with label texts in lower case ("lower"), or as the dataset spells them ("own": the official code).

    Raises:
        ValueError: another case.
    """
    if label_case not in ("lower", "own"):
        raise ValueError(f"label_case must be 'lower' or 'own', got {label_case!r}")
    if label_case == label_case_of(processor):
        return processor
    changed = copy.copy(processor)
    changed.prompt_style = replace(processor.prompt_style, lower_case="none" if label_case == "own" else "labels")
    return changed


def embed_labels(model: Any, processor: Any, labels: Sequence[str], text_prompt: str = "learned") -> np.ndarray:
    """Unit text embeddings `(labels, dim)` of labels worded as `TEXT_PROMPTS[text_prompt]`."""
    texts = [TEXT_PROMPTS[text_prompt].format(label=label) for label in labels]
    if text_prompt == "learned":
        return embed_texts(model, processor, texts, text_kind="label")
    with without_soft_prompt(model):
        return embed_texts(model, processor, texts, text_kind="label")


@contextmanager
def without_soft_prompt(model: Any) -> Iterator[None]:
    """Texts are embedded without the model's soft prompt inside this block."""
    learned = model.text_soft_prompt
    model.text_soft_prompt = torch.nn.Parameter(learned.detach()[:0], requires_grad=False)
    try:
        yield
    finally:
        model.text_soft_prompt = learned


def embed_texts(
    model: Any, processor: Any, texts: Sequence[str], batch_size: int = 64, text_kind: str = "narration"
) -> np.ndarray:
    """Unit text embeddings `(texts, dim)`; `text_kind` as for the processor, "narration" or "label"."""
    parts = (list(texts[i : i + batch_size]) for i in range(0, len(texts), batch_size))
    batches = (processor(text=part, text_kind=text_kind, return_tensors="pt") for part in parts)
    return embed_batches(model, model.get_text_features, batches)


def embed_windows(
    model: Any, processor: Any, recordings: Sequence[ImuRecording], batch_size: int = 64, title: str = "windows"
) -> np.ndarray:
    """Unit IMU embeddings `(recordings, dim)`, in the order given.

    Args:
        model, processor: as in `evaluate_recognition`.
        recordings: of any rates and lengths.
        batch_size: windows of 5 s in a batch; longer ones count for more.
        title: of the progress bar.
    """
    parts, order = [], []
    with tqdm(total=len(recordings), desc=title, unit="window", delay=1, leave=False, disable=None) as bar:
        for batch in _batches(recordings, batch_size):
            signals, rate = [recordings[i].signals for i in batch], recordings[batch[0]].sampling_rate
            parts.append(embed_recordings(model, processor, signals, rate, batch_size=batch_size).numpy())
            order += batch
            bar.update(len(batch))
    embeddings = np.concatenate(parts)
    return embeddings[np.argsort(order)]


def _batches(recordings: Sequence[ImuRecording], batch_size: int) -> Iterator[list[int]]:
    """Indices of batches of one rate and like length."""

    def key(index: int) -> tuple[float, float]:
        recording = recordings[index]
        return recording.sampling_rate, len(next(iter(recording.signals.values()))) / recording.sampling_rate

    batch: list[int] = []
    for index in sorted(range(len(recordings)), key=key):
        rate, seconds = key(index)
        share = max(seconds / SECONDS_PER_WINDOW, 1.0)
        if batch and (rate != key(batch[0])[0] or (len(batch) + 1) * share > batch_size):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def embed_codes(
    model: Any,
    processor: Any,
    imu_codes: Sequence[np.ndarray],
    imu_placements: Sequence[Sequence[int]],
    batch_size: int = 64,
) -> np.ndarray:
    """Unit IMU embeddings `(windows, dim)` of motion codes.

    Args:
        imu_codes: per window `(2L,)` code indices, `code + size * book`, time-major.
        imu_placements: per window the segment indices of its sensors.
    """
    parts = (slice(start, start + batch_size) for start in range(0, len(imu_codes), batch_size))
    batches = (
        processor(imu_codes=list(imu_codes[part]), imu_placements=list(imu_placements[part]), return_tensors="pt")
        for part in parts
    )
    return embed_batches(model, model.get_imu_features, batches)


@torch.inference_mode()
def embed_batches(model: Any, function: Any, inputs: Iterable[Any]) -> np.ndarray:
    """Unit embeddings `(n, dim)` that `function` of a model gives of batches as `pooler_output`, in evaluation mode."""
    device, was_training = getattr(model, "device", "cpu"), getattr(model, "training", False)
    if hasattr(model, "eval"):
        model.eval()
    parts = []
    for batch in inputs:
        parts.append(function(**{name: value.to(device) for name, value in batch.items()}).pooler_output.float().cpu())
    if was_training:
        model.train()
    return torch.nn.functional.normalize(torch.cat(parts), dim=-1).numpy()
