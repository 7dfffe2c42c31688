"""How likely a language model finds given answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


@torch.inference_mode()
def answer_log_probabilities(model: Any, lines: Sequence[dict[str, list[int]]]) -> torch.Tensor:
    """Of each token of each answer, `(lines, tokens)`, 0 past an answer's end.

    Args:
        model: `AnyMoForConditionalGeneration`.
        lines: `input_ids` and `labels` of `processor.language_example`; they share the prompt, which is read once.
    """
    start = next(place for place, target in enumerate(lines[0]["labels"]) if target >= 0)
    answers = [line["labels"][start:] for line in lines]
    longest = max(map(len, answers))
    targets = torch.full((len(lines), longest), -100)
    for row, answer in enumerate(answers):
        targets[row, : len(answer)] = torch.tensor(answer)
    shared = torch.tensor([lines[0]["input_ids"][:start]], device=model.device)
    targets = targets.to(model.device)
    prompt = model(input_ids=shared, use_cache=True)
    past = prompt.past_key_values
    past.batch_repeat_interleave(len(lines))
    mask = torch.cat([shared.new_ones(len(lines), start), (targets >= 0).long()], 1)
    following = model(input_ids=targets[:, :-1].clamp(min=0), past_key_values=past, attention_mask=mask[:, :-1])
    first = prompt.logits[:, -1:].expand(len(lines), -1, -1)
    logits = torch.cat([first, following.logits], 1).float()
    chosen = torch.log_softmax(logits, -1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    return chosen * (targets >= 0)
