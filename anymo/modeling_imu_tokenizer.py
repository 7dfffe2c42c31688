"""The IMU tokenizer as one model: raw windows to continuous latents and codes, with gradients (paper §3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_anymo import AnyMoIMUTokenizerConfig
from .modeling_pqvae import AnyMoPQVAEModel
from .modeling_stgcn import AnyMoSTGCNModel
from .strict_loading import StrictLoadingMixin

IMU_TOKENIZER_FOLDER = "imu_tokenizer"


@dataclass
class AnyMoIMUTokenizerOutput(ModelOutput):
    """What becomes of windows; `L` is `ceil(frames / 4)`.

    Args:
        last_hidden_state (`torch.FloatTensor` of shape `(batch, L, latent_dim)`): continuous latents of the encoder.
        quantized (`torch.FloatTensor` of shape `(batch, L, bottleneck_dim)`): code vectors, whose gradient passes straight
            through to the latents; 0 at padding.
        codes (`torch.LongTensor` of shape `(batch, L, num_codebooks)`): 0 at padding.
        attention_mask (`torch.BoolTensor` of shape `(batch, L)`): True on real steps.
        hidden_states: as `AnyMoSTGCNOutput.hidden_states`, with `output_hidden_states`.
    """

    last_hidden_state: torch.Tensor | None = None
    quantized: torch.Tensor | None = None
    codes: torch.Tensor | None = None
    attention_mask: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None


class AnyMoIMUTokenizerModel(StrictLoadingMixin, PreTrainedModel):
    """Encoder and quantizer, which a release holds in `imu_tokenizer/`.

    AutoModel.from_pretrained("anymo", subfolder="imu_tokenizer")(imu, node_mask).last_hidden_state
    """

    config_class = AnyMoIMUTokenizerConfig
    base_model_prefix = "imu_tokenizer"
    main_input_name = "imu"
    accepts_loss_kwargs = False
    _keep_in_fp32_modules_strict = {"quantizer"}

    def __init__(self, config: AnyMoIMUTokenizerConfig):
        super().__init__(config)
        self.stgcn = AnyMoSTGCNModel(config.stgcn_config)
        self.pqvae = AnyMoPQVAEModel(config.pqvae_config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        imu: torch.Tensor,
        node_mask: torch.Tensor | None = None,
        frame_mask: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> AnyMoIMUTokenizerOutput:
        """Windows to latents and codes; arguments and errors are those of `AnyMoSTGCNModel`."""
        encoded = self.stgcn(imu, node_mask, frame_mask, output_hidden_states=output_hidden_states, return_dict=True)
        keep = encoded.attention_mask
        projected = self.pqvae.project(encoded.last_hidden_state)
        codes = self.pqvae.quantizer.nearest(projected.flatten(0, 1)).view(*keep.shape, -1) * keep[..., None]
        target = self.pqvae.quantizer.lookup(codes).to(projected.dtype)
        quantized = (projected + (target - projected).detach()) * keep[..., None]
        return AnyMoIMUTokenizerOutput(
            last_hidden_state=encoded.last_hidden_state,
            quantized=quantized,
            codes=codes,
            attention_mask=keep,
            hidden_states=encoded.hidden_states,
        )
