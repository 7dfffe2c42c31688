"""Windows told apart by the words of every activity of the corpus: the words, and the loss; not in the paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import nn

from ..modeling.prompts import normalize_text
from ..motion.procedural import broader_activities
from ..simulation.archive.clips import Clip
from .collators import LabelPhrases
from .corpus import WORDS
from .sentence_vectors import shared_vectors


class ActivityWords:
    """Activities of a corpus, and its texts by number.

    Args:
        clips: whose activities, label phrases and narrations are read.
        broader: the words of a procedural activity's wider one count as neither right nor wrong.

    Attributes:
        names: sorted activities.
        activity: `(clips,)` number of each clip's activity, -1 without one.
        texts: every phrase and narration once, normalised.
        phrases: of each activity, numbers of its phrases in `texts`.
        narrations: of each clip, numbers of its narrations in `texts`.
        unsaid: `(activities, activities)` bool, pairs of a wider and a narrower one, which are not to be told apart.

    Raises:
        ValueError: fewer than two named activities.
    """

    def __init__(self, clips: Sequence[Clip], broader: bool):
        phrases = LabelPhrases(clips, broader_activities() if broader else {})
        self.names = sorted(phrases.phrases)
        if len(self.names) < 2:
            raise ValueError(f"the corpus names {len(self.names)} activities, two are needed to tell apart; {WORDS}")
        number = {name: index for index, name in enumerate(self.names)}
        self.activity = np.array([number.get(clip.activity, -1) for clip in clips])
        narrations = [[normalize_text(text) for text in clip.narrations] for clip in clips]
        self.texts = sorted({text for words in (*phrases.phrases.values(), *narrations) for text in words})
        index = {text: row for row, text in enumerate(self.texts)}
        self.phrases = [np.array([index[text] for text in phrases.phrases[name]]) for name in self.names]
        self.narrations = [np.array([index[text] for text in words]) for words in narrations]
        self.unsaid = torch.zeros(len(self.names), len(self.names), dtype=torch.bool)
        for narrower, wider in phrases.broader.items():
            self.unsaid[number[narrower], number[wider]] = self.unsaid[number[wider], number[narrower]] = True

    def draw(self, rng: np.random.Generator) -> torch.Tensor:
        """A phrase of every activity, `(activities,)` numbers in `texts`."""
        return torch.from_numpy(np.array([rng.choice(words) for words in self.phrases]))


class ActivityContrast(nn.Module):
    """Cross-entropy of windows against a sentence vector of every activity.

    Args:
        words: of the corpus.
        width: of what is said of a window at each step.
        temperature: divides the cosines.
        cache: folder for the sentence vectors.
        accelerator: of this run.
    """

    vectors: torch.Tensor
    unsaid: torch.Tensor

    def __init__(self, words: ActivityWords, width: int, temperature: float, cache: Path, accelerator: Accelerator):
        super().__init__()
        self.words, self.temperature = words, temperature
        # made again from the words, so checkpoints need not hold them
        self.register_buffer("vectors", shared_vectors(words.texts, cache, accelerator), persistent=False)
        self.register_buffer("unsaid", words.unsaid, persistent=False)
        self.norm, self.head = nn.BatchNorm1d(2 * width), nn.Linear(2 * width, self.vectors.shape[1])

    def forward(
        self, states: torch.Tensor, mask: torch.Tensor | None, clips: np.ndarray, rng: np.random.Generator
    ) -> torch.Tensor:
        """Mean over the windows.

        Args:
            states: `(rows, steps, width)`; their mean and maximum over time are read.
            mask: `(rows, steps)` True on real steps; None for all.
            clips: `(rows,)` corpus clip of each; all have an activity.
            rng: that all processes share.
        """
        kind = self.norm.weight.dtype
        states = states.to(kind)
        if mask is None:
            mean, most = states.mean(1), states.amax(1)
        else:
            mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            most = states.masked_fill(~mask[..., None], -torch.inf).amax(1)
        said = F.normalize(self.head(self.norm(torch.cat([mean, most], -1))).to(kind), dim=-1)
        spoken = self.vectors[self.words.draw(rng).to(said.device)].to(kind)
        scores = said @ spoken.t() / self.temperature
        target = torch.from_numpy(self.words.activity[clips]).to(said.device)
        return F.cross_entropy(scores.masked_fill(self.unsaid[target], -torch.inf), target)
