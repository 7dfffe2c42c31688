"""COMODO's loss with a text teacher: a window lies to a queue of teacher vectors as its text does."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from . import TextObjective
from .text_contrast import TEXT_DIM


def _projection(width: int, hidden: int, dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.GELU(), nn.Linear(hidden, dim))


class TextQueue(nn.Module):
    """Cross-entropy of two softmaxes over the queue and the batch: that of the texts teaches that of the windows.

    The teacher's projection is random and never trained, as COMODO's; it is part of the weights, or the space would be lost.

    Args:
        width: of what the encoder says of a window.
        size: of the queue (COMODO: 16,384, which is more than our corpus has texts).
        hidden, dim: of both projections.
        teacher_temperature, student_temperature: of the two softmaxes.

    Raises:
        ValueError: a temperature that is not positive.
    """

    queue: torch.Tensor

    def __init__(
        self, width: int, size: int = 2048, hidden: int = 512, dim: int = 128, teacher_temperature: float = 0.1,
        student_temperature: float = 0.05,
    ) -> None:  # fmt: skip
        super().__init__()
        if min(teacher_temperature, student_temperature) <= 0:
            raise ValueError("teacher_temperature and student_temperature must be positive")
        self.temperatures = teacher_temperature, student_temperature
        self.student = _projection(width, hidden, dim)
        self.teacher = _projection(TEXT_DIM, hidden, dim).requires_grad_(False)
        self.register_buffer("queue", torch.zeros(size, dim))

    def begin(self, vectors: torch.Tensor, generator: torch.Generator) -> None:
        """Fills the queue with texts of the corpus."""
        rows = torch.randint(len(vectors), (len(self.queue),), generator=generator)
        self.queue = self.embed_texts(vectors[rows]).to(self.queue)

    def embed_windows(self, rows: torch.Tensor) -> torch.Tensor:
        """Unit rows `(batch, dim)`."""
        return F.normalize(self.student(rows).float(), dim=-1)

    @torch.no_grad()
    def embed_texts(self, vectors: torch.Tensor) -> torch.Tensor:
        """Unit rows `(batch, dim)`."""
        # COMODO's teacher vectors are not of unit length: at length one the biases would drown them
        return F.normalize(self.teacher.eval()(TEXT_DIM**0.5 * vectors).float(), dim=-1)

    def forward(self, rows: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Loss of a batch, whose texts then take the place of the oldest in the queue."""
        teacher, student = self.embed_texts(vectors), self.embed_windows(rows)
        known = torch.cat([self.queue, teacher])
        wanted = (teacher @ known.t() / self.temperatures[0]).softmax(1)
        found = (student @ known.t() / self.temperatures[1]).log_softmax(1)
        if self.training:
            self.queue = known[len(known) - len(self.queue) :]
        return -(wanted * found).sum(1).mean()


TEXT_OBJECTIVE = TextObjective("queue", TextQueue)
