"""A frozen sentence encoder teaches how texts lie to each other; not in the paper, weight 0 there."""

from __future__ import annotations

from collections.abc import Sequence
from operator import methodcaller
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from ...modeling.modeling_anymo import AnyMoModel
from ...modeling.processing_anymo import AnyMoProcessor
from ..processes import gather_rows
from ..sentence_vectors import shared_vectors
from ..sharding import run_within


class SentenceTeacher:
    """Texts and their frozen vectors.

    Args:
        texts: that are read.
        cache: folder for the vectors.
        accelerator: of this run.
    """

    def __init__(self, texts: Sequence[str], cache: Path, accelerator: Accelerator):
        self.texts, self.accelerator = texts, accelerator
        self.vectors = shared_vectors(texts, cache, accelerator)

    def loss(self, model: AnyMoModel, processor: AnyMoProcessor, rows: np.ndarray) -> torch.Tensor:
        """`relational_loss` of texts `rows`, this process's share, over the rows of all processes."""
        batch = processor(text=[self.texts[index] for index in rows], return_tensors="pt").to(self.accelerator.device)
        features = run_within(model, methodcaller("get_text_features", **batch)).pooler_output
        student = gather_rows(features, self.accelerator)
        target = self.vectors[torch.as_tensor(rows, device=self.vectors.device)]
        return relational_loss(student, gather_rows(target, self.accelerator))


def relational_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of two cosine matrices, over pairs of different rows; rows are unit vectors."""
    gap = student.float() @ student.float().t() - teacher @ teacher.t()
    count = len(gap)
    return gap.square().fill_diagonal_(0).sum() / max(1, count * (count - 1))
