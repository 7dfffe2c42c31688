"""What the language stages draw for a batch: windows, crops, narrations and instructions, and the texts they read."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..modeling.processing_anymo import AnyMoProcessor
from ..modeling.prompts import normalize_text
from ..motion.activity_labels import anymo180, label_names
from ..motion.procedural import EVERYDAY
from ..simulation.archive.clips import Clip
from .coded_views import CodedViews
from .collators import LabelPhrases, multiple_choice
from .corpus import WORDS, MotionCorpus, corpus_texts, read_texts
from .settings import ContrastiveSettings, ResidualSettings, TextSettings

TEXTS = "texts.txt"


def stage_texts(root: Path, corpus: MotionCorpus) -> list[str]:
    """Texts of the corpus, the names of AnyMo-180, and `root/texts.txt`, where there is one."""
    extra = read_texts(root / TEXTS) if (root / TEXTS).is_file() else []
    names = [name for label in anymo180() for name in (label, *label_names(label))]
    return corpus_texts(corpus.clips, [*names, *extra])


def teacher_texts(texts: list[str], corpus: MotionCorpus, count: int, seed: int) -> list[str]:
    """All label phrases, filled up to `count` with other texts; a warning says where there are under half as many."""
    labels = corpus_texts([replace(clip, narrations=()) for clip in corpus.clips])
    rest = sorted(set(texts) - set(labels))
    if 2 * (len(labels) + len(rest)) < count:
        warnings.warn(
            f"teacher_texts asks for {count:,} texts, and there are {len(labels) + len(rest):,}; put more, one a line, into "
            f"{TEXTS} of the run (python training/action_texts.py writes some)",
            stacklevel=2,
        )
    order = np.random.default_rng(seed).permutation(len(rest))
    return labels + [rest[int(index)] for index in order[: max(0, count - len(labels))]]


def crop_length(settings: TextSettings | ResidualSettings, rng: np.random.Generator) -> int:
    """Most latent steps of this batch's windows, between `shortest_crop` and all of `latents`."""
    return int(rng.integers(max(1, round(settings.shortest_crop * settings.latents)), settings.latents + 1))


def draw_narration(narrations: Sequence[str], augmented_share: float | None, rng: np.random.Generator) -> str:
    """One narration of a clip, evenly; or the first, and this share of the time one of the others."""
    if augmented_share is None:
        return narrations[int(rng.integers(len(narrations)))]
    others = len(narrations) - 1
    augmented, index = rng.random() < augmented_share, int(rng.integers(max(1, others)))
    return narrations[1 + index if augmented and others else 0]


def draw_worded(
    views: CodedViews, clips: Sequence[Clip], count: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[str]]:
    """View rows `(count,)` of clips with words, and a text of each: a narration, or without one a name of its label.

    Raises:
        ValueError: no clip has words.
    """
    words = [clips[clip].narrations or clips[clip].label_phrases for clip in views.clip]
    worded = [row for row, texts in enumerate(words) if texts]
    if not worded:
        raise ValueError(f"added_losses need clips with narrations or labels, the corpus has none; {WORDS}")
    rows = rng.choice(worded, count, replace=len(worded) < count)
    return rows, [normalize_text(words[row][int(rng.integers(len(words[row])))]) for row in rows]


class ActivityBatches:
    """Draws windows activity by activity, so that a batch is as varied as it can be.

    Args:
        rows: clip of each window.
        clips: of the corpus; those without an activity or a narration are left out.

    Raises:
        ValueError: fewer than two activities.
    """

    def __init__(self, rows: Sequence[int] | np.ndarray, clips: Sequence[Clip]):
        groups: dict[str, list[int]] = {}
        for row, clip in enumerate(rows):
            if clips[clip].activity and clips[clip].narrations:
                groups.setdefault(clips[clip].activity, []).append(row)
        self.by_activity = {name: np.array(rows) for name, rows in sorted(groups.items())}
        self.names = list(self.by_activity)
        if len(self.names) < 2:
            raise ValueError(
                "contrastive tuning needs clips of two or more named activities with narrations, the corpus has "
                f"{self.names}; {WORDS}"
            )

    def draw(self, count: int, rng: np.random.Generator, everyday_share: float = 0.0) -> np.ndarray:
        """Windows, this share of them of `EVERYDAY` activities; none comes twice before all of its part have come."""
        everyday = [name for name in self.names if name in EVERYDAY]
        often = round(everyday_share * count) if everyday else 0
        chosen = [*_in_turn(everyday, often, rng), *_in_turn(self.names, count - often, rng)]
        return np.array([rng.choice(self.by_activity[name]) for name in chosen])


def _in_turn(names: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """`count` names, in a new random order every time all have come."""
    turns = -(-count // max(1, len(names)))
    return [names[int(index)] for _ in range(turns) for index in rng.permutation(len(names))][:count]


def draw_instructions(
    processor: AnyMoProcessor,
    views: CodedViews,
    clips: Sequence[Clip],
    batches: ActivityBatches,
    phrases: LabelPhrases,
    settings: ContrastiveSettings,
    rng: np.random.Generator,
) -> list[dict[str, list[int]]]:
    """Narration examples, and among them multiple choice at even distances, as many as their share says."""
    examples, share = [], settings.multiple_choice_share
    for number, row in enumerate(batches.draw(settings.lm_batch_size, rng)):
        clip = clips[views.clip[row]]
        codes, worn = views.tokens(row, settings.latents, rng), views.worn(row)
        if int((number + 1) * share) > int(number * share):
            answer, options = multiple_choice(batches.names, clip.activity, phrases, settings.candidates, rng)
            examples.append(processor.language_example(codes, worn, "multiple_choice", answer, options))
        else:
            answer = draw_narration(clip.narrations, settings.augmented_share, rng)
            examples.append(processor.language_example(codes, worn, "narration", answer))
    return examples
