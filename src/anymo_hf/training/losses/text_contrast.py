"""InfoNCE of windows and frozen sentence vectors, as UniMTS, IMU2CLIP and ImageBind have it.

They differ in the directions and in the scale of the logits: UniMTS asks from the window to the text only and starts at
1,000, IMU2CLIP asks both ways and starts at 10, ImageBind asks both ways and keeps 5.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from . import TextObjective

TEXT_DIM = 384  # of the sentence encoder


class TextContrast(nn.Module):
    """A linear layer on either side, and the cross-entropy of cosines over the batch; directions are added up.

    Args:
        width: of what the encoder says of a window.
        directions: 1 from the window to the text, 2 also back.
        scale: first factor of the cosines; learned: it trains with the rest.
        dim: of the common space.

    Raises:
        ValueError: other directions, or a scale that is not positive.
    """

    log_scale: torch.Tensor

    def __init__(
        self, width: int, directions: int = 2, scale: float = 10.0, learned: bool = True, dim: int = 256
    ) -> None:
        super().__init__()
        if directions not in (1, 2) or not scale > 0:
            raise ValueError(f"directions must be 1 or 2 and scale positive, got {directions} and {scale}")
        self.directions = directions
        self.windows, self.texts = nn.Linear(width, dim), nn.Linear(TEXT_DIM, dim, bias=False)
        value = torch.tensor(math.log(scale))
        if learned:
            self.log_scale = nn.Parameter(value)
        else:
            self.register_buffer("log_scale", value)

    def begin(self, vectors: torch.Tensor, generator: torch.Generator) -> None:
        """Nothing to keep."""

    def embed_windows(self, rows: torch.Tensor) -> torch.Tensor:
        """Unit rows `(batch, dim)`."""
        return F.normalize(self.windows(rows).float(), dim=-1)

    def embed_texts(self, vectors: torch.Tensor) -> torch.Tensor:
        """Unit rows `(batch, dim)`."""
        return F.normalize(self.texts(vectors).float(), dim=-1)

    def forward(self, rows: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Loss of a batch; other rows with the same text count as negatives, as in all three."""
        logits = self.log_scale.exp() * self.embed_windows(rows) @ self.embed_texts(vectors).t()
        own = torch.arange(len(logits), device=logits.device)
        loss = F.cross_entropy(logits, own)
        return loss + F.cross_entropy(logits.t(), own) if self.directions == 2 else loss


TEXT_OBJECTIVE = TextObjective("contrast", TextContrast)
