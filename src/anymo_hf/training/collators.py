"""Token batches of the language stages: padding, motion and text examples, label phrases and their positives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ..modeling.known_names import did_you_mean
from ..modeling.processing_anymo import IGNORED, AnyMoProcessor
from ..modeling.prompts import normalize_text
from ..motion.procedural import ACTIVITIES
from ..simulation.archive.clips import Clip


def pad_examples(examples: Sequence[dict[str, list[int]]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """`input_ids`, `attention_mask`, `labels`, each `(batch, longest)`, padded on the right."""
    longest = max(len(example["input_ids"]) for example in examples)
    ids = torch.full((len(examples), longest), pad_token_id)
    labels = torch.full((len(examples), longest), IGNORED)
    mask = torch.zeros(len(examples), longest, dtype=torch.long)
    for row, example in enumerate(examples):
        count = len(example["input_ids"])
        ids[row, :count] = torch.tensor(example["input_ids"])
        labels[row, :count] = torch.tensor(example["labels"])
        mask[row, :count] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def text_examples(processor: AnyMoProcessor, texts: Sequence[str]) -> list[dict[str, list[int]]]:
    """Plain next-token examples of texts, each ended by the end-of-sequence token."""
    tokenizer = processor.tokenizer
    rows = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    return [{"input_ids": [end, *row, end], "labels": [IGNORED, *row, end]} for row in rows]


class LabelPhrases:
    """Names of activities, and which name fits which activity.

    Args:
        clips: their activities and phrases.
        broader: activity -> wider activity; phrases of the wider one also name the narrower.

    Raises:
        ValueError: `broader` names an activity that neither the clips nor `ACTIVITIES` have.
    """

    def __init__(self, clips: Sequence[Clip], broader: Mapping[str, str] | None = None):
        own: dict[str, list[str]] = {}
        for clip in clips:
            if clip.activity:  # clips of one activity may have different phrases: captured ones have fewer
                own.setdefault(clip.activity, []).extend(normalize_text(text) for text in clip.label_phrases)
        pairs = dict(broader or {})
        if unknown := sorted({*pairs, *pairs.values()} - set(own) - set(ACTIVITIES)):
            hint = did_you_mean(unknown, {*own, *ACTIVITIES})
            raise ValueError(f"broader: unknown activities {unknown}{hint}; known: {', '.join(sorted(ACTIVITIES))}")
        # a small corpus may lack one side of a pair; that pair then has nothing to say
        self.broader = {name: wider for name, wider in pairs.items() if name in own and wider in own}
        self.phrases = {name: list(dict.fromkeys(texts)) for name, texts in own.items()}
        self.accepted = {
            name: set(texts) | set(self.phrases.get(self.broader.get(name, ""), ()))
            for name, texts in self.phrases.items()
        }

    def draw(self, activity: str, rng: np.random.Generator) -> str:
        """A phrase for an activity; every fourth time one of its wider activity."""
        wider = self.broader.get(activity)
        pool = self.phrases[wider if wider and rng.random() < 0.25 else activity]
        return pool[int(rng.integers(len(pool)))]

    def relations(self, activities: Sequence[str], phrases: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """`(batch, batch)` bool each: phrase n is one of window m; and: the pair is ignored, a narrower name."""
        positives = torch.tensor([[phrase in self.accepted[name] for phrase in phrases] for name in activities])
        narrower = torch.tensor(
            [[self.broader.get(other) == name for other in activities] for name in activities], dtype=torch.bool
        )
        return positives, narrower & ~positives


def multiple_choice(
    activities: Sequence[str], answer: str, phrases: LabelPhrases, count: int, rng: np.random.Generator
) -> tuple[str, list[str]]:
    """The right phrase and `count` shuffled options, none of the others fitting the answer's activity."""
    right = phrases.draw(answer, rng)
    options = [right]
    for index in rng.permutation(len(activities)):
        if len(options) >= count:
            break
        name = activities[int(index)]
        phrase = phrases.draw(name, rng)
        if phrase not in phrases.accepted[answer] and phrase not in options and phrases.broader.get(name) != answer:
            options.append(phrase)
    return right, [options[int(index)] for index in rng.permutation(len(options))]
