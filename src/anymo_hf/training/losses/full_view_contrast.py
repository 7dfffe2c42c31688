"""The paper's ablation of masked cross-view prediction: full views contrasted with each other (A.8)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from ...modeling.configuration_anymo import AnyMoSTGCNConfig
from ...modeling.modeling_stgcn import AnyMoSTGCNModel, AnyMoSTGCNPreTrainedModel, AnyMoSTGCNPreTrainingOutput
from . import EncoderObjective


class FullViewContrast(AnyMoSTGCNPreTrainedModel):
    """Encodes and projects two full views of the same windows; InfoNCE of the sequences, both with gradient.

    The projector is a two-layer perceptron over every latent step. It is thrown away after training, so `save_pretrained`
    saves the encoder only; `from_pretrained` starts with a new projector.
    """

    _optional_parts = ("projector.",)

    def __init__(self, config: AnyMoSTGCNConfig):
        super().__init__(config)
        dim = config.latent_dim
        self.encoder = AnyMoSTGCNModel(config)
        self.projector = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim))
        self.post_init()

    def forward(
        self,
        imu_a: torch.Tensor,
        imu_b: torch.Tensor,
        gather: Callable[[torch.Tensor], torch.Tensor] | None = None,
        first_row: int = 0,
    ) -> AnyMoSTGCNPreTrainingOutput:
        """Two views `(batch, frames, 23, 6)` of the same windows; `loss` sums both directions, as Eq. 3 does.

        `gather` and `first_row` as in `AnyMoSTGCNForPreTraining.forward`, but `gather` must let gradients through.
        """
        encoded = self.encoder(torch.cat([imu_a, imu_b])).last_hidden_state
        latents = self.projector(encoded)
        # the mean cosine over time is a product of whole sequences
        own = (F.normalize(latents, dim=-1) / latents.shape[1] ** 0.5).flatten(1).chunk(2)
        first, second = own if gather is None else (gather(part) for part in own)
        logits = torch.stack([own[0] @ second.t(), own[1] @ first.t()]) / self.config.contrastive_temperature
        labels = torch.arange(first_row, first_row + len(imu_a), device=logits.device)
        loss = F.cross_entropy(logits[0], labels) + F.cross_entropy(logits[1], labels)
        return AnyMoSTGCNPreTrainingOutput(loss=loss, logits=logits, last_hidden_state=encoded)

    def save_pretrained(self, save_directory, **kwargs) -> None:
        """Saves the encoder only; the arguments are those of `PreTrainedModel.save_pretrained`."""
        self.encoder.save_pretrained(save_directory, **kwargs)


OBJECTIVE = EncoderObjective("full_view", FullViewContrast, sparse=False)
