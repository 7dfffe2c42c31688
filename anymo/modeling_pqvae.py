"""Product-quantized VAE: encoder latents to code ids and back (paper §3.2, Eq. 4, A.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .configuration_anymo import AnyMoPQVAEConfig
from .strict_loading import StrictLoadingMixin


@dataclass
class AnyMoPQVAEOutput(ModelOutput):
    """`loss`, `reconstruction` `(batch, length, input_dim)`, `codes` `(batch, length, books)`, `quantized`; with
    `output_hidden_states` also `hidden_states`: the quantized sequence, and what each block of the decoder gives."""

    loss: torch.Tensor | None = None
    reconstruction: torch.Tensor | None = None
    codes: torch.Tensor | None = None
    quantized: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None


class ProductQuantizer(nn.Module):
    """Nearest code per book; codebooks follow moving averages, dead codes are refreshed (paper A.3)."""

    embedding: torch.Tensor
    embed_avg: torch.Tensor
    cluster_size: torch.Tensor

    def __init__(self, config: AnyMoPQVAEConfig):
        super().__init__()
        self.config = config
        shape = (config.num_codebooks, config.codebook_size, config.code_dim)
        self.register_buffer("embedding", torch.randn(shape))
        self.register_buffer("embed_avg", self.embedding.clone())
        self.register_buffer("cluster_size", torch.ones(shape[:2]))

    def nearest(self, latents: torch.Tensor) -> torch.Tensor:
        """`(rows, bottleneck)` to code ids `(rows, books)`."""
        chunks = latents.float().reshape(len(latents), self.config.num_codebooks, -1).transpose(0, 1)
        books = self.embedding.float()  # of a model in half precision, too, whose sums would pick other codes
        norm = books.square().sum(-1)[:, None]  # |x|^2 is the same for every code
        with torch.autocast(latents.device.type, enabled=False):
            return (norm - 2 * chunks @ books.transpose(1, 2)).argmin(-1).t()

    def lookup(self, codes: torch.Tensor) -> torch.Tensor:
        """Code ids `(..., books)` to vectors `(..., bottleneck)`."""
        books = torch.arange(self.config.num_codebooks, device=codes.device)
        return self.embedding[books, codes].flatten(-2)

    @torch.no_grad()
    def update(self, latents: torch.Tensor, codes: torch.Tensor) -> None:
        """Moving-average step and dead-code refresh; sums are over all processes, draws come from rank 0."""
        config = self.config
        chunks = latents.float().view(len(latents), config.num_codebooks, -1).transpose(0, 1)
        flat = (codes + torch.arange(config.num_codebooks, device=codes.device) * config.codebook_size).t()
        total = config.num_codebooks * config.codebook_size
        counts = torch.zeros(total, device=codes.device).index_add_(
            0, flat.reshape(-1), torch.ones(flat.numel()).to(codes.device)
        )
        sums = torch.zeros(total, config.code_dim, device=codes.device)
        sums.index_add_(0, flat.reshape(-1), chunks.reshape(-1, config.code_dim))
        spread = torch.distributed.is_available() and torch.distributed.is_initialized()
        rows, first = len(latents), 0
        if spread:
            torch.distributed.all_reduce(counts)
            torch.distributed.all_reduce(sums)
            rank = torch.distributed.get_rank()
            held = torch.zeros(torch.distributed.get_world_size(), dtype=torch.long, device=codes.device)
            held[rank] = rows
            torch.distributed.all_reduce(held)
            rows, first = int(held.sum()), int(held[:rank].sum())
        draws = torch.randint(rows, (config.num_codebooks, config.codebook_size), device=codes.device)
        if spread:  # rank 0 draws from the rows of all, and a row comes from the process that holds it
            torch.distributed.broadcast(draws, 0)
        own = (draws >= first) & (draws < first + len(latents))
        place = (draws - first).clamp(0, len(latents) - 1)
        fresh = chunks.gather(1, place[..., None].expand(-1, -1, config.code_dim)) * own[..., None]
        if spread:
            torch.distributed.all_reduce(fresh)
        decay = config.ema_decay
        self.cluster_size.mul_(decay).add_(counts.view_as(self.cluster_size), alpha=1 - decay)
        self.embed_avg.mul_(decay).add_(sums.view_as(self.embed_avg), alpha=1 - decay)
        mean = self.cluster_size.mean(1, keepdim=True)
        dead = self.cluster_size < config.dead_code_threshold * mean
        self.cluster_size.copy_(torch.where(dead, mean.expand_as(dead), self.cluster_size))
        self.embed_avg.copy_(torch.where(dead[..., None], fresh * mean[..., None], self.embed_avg))
        size = self.cluster_size.sum(1, keepdim=True)
        epsilon = config.ema_epsilon
        smoothed = (self.cluster_size + epsilon) / (size + config.codebook_size * epsilon) * size
        self.embedding.copy_(self.embed_avg / smoothed[..., None])

    @torch.no_grad()
    def initialise(self, latents: torch.Tensor, generator: torch.Generator | None = None) -> None:
        """Start the codebooks from random rows of `latents` `(rows, bottleneck)`."""
        config = self.config
        chunks = latents.float().view(len(latents), config.num_codebooks, -1)
        for book in range(config.num_codebooks):
            rows = torch.randint(len(latents), (config.codebook_size,), generator=generator)
            self.embedding[book] = chunks[rows, book]
        self.embed_avg.copy_(self.embedding)
        self.cluster_size.fill_(1.0)


def _masked_group_norm(norm: nn.GroupNorm, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """One-group norm of `x` `(batch, dim, length)` with statistics over real steps; `mask` `(batch, 1, length)`."""
    if mask is None:
        return norm(x)
    count = mask.sum(2, keepdim=True).clamp_min(1) * x.shape[1]
    mean = (x * mask).sum((1, 2), keepdim=True) / count
    variance = ((x - mean).square() * mask).sum((1, 2), keepdim=True) / count
    return (x - mean) * (variance + norm.eps).rsqrt() * norm.weight[:, None] + norm.bias[:, None]


class DecoderBlock(nn.Module):
    """Residual dilated temporal convolution, twice."""

    def __init__(self, dim: int, dilation: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(1, dim)
        self.conv1 = nn.Conv1d(dim, dim, 3, padding=dilation, dilation=dilation)
        self.norm2 = nn.GroupNorm(1, dim)
        self.conv2 = nn.Conv1d(dim, dim, 3, padding=dilation, dilation=dilation)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """`x` `(batch, dim, length)` to the same shape; `mask` `(batch, 1, length)` 1 on real steps, or None."""
        y = x
        for norm, convolution in ((self.norm1, self.conv1), (self.norm2, self.conv2)):
            y = F.gelu(_masked_group_norm(norm, y, mask))
            # padding must look like the zeros a convolution sees past the end of a shorter sequence
            y = convolution(y if mask is None else y * mask)
        return x + y


class TemporalDecoder(nn.Module):
    """Quantized sequence to latents; a padded batch gives what each sequence gives alone."""

    def __init__(self, config: AnyMoPQVAEConfig):
        super().__init__()
        dim = config.decoder_dim
        self.in_norm = nn.LayerNorm(config.bottleneck_dim)
        self.in_proj = nn.Conv1d(config.bottleneck_dim, dim, 1)
        self.blocks = nn.ModuleList(DecoderBlock(dim, dilation) for dilation in config.decoder_dilations)
        self.out_norm = nn.GroupNorm(1, dim)
        self.out_proj = nn.Conv1d(dim, config.input_dim, 1)

    def forward(
        self,
        quantized: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        states: list[torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """`(batch, length, bottleneck)` to `(batch, length, input_dim)`; `attention_mask` `(batch, length)`.

        What each block gives, `(batch, length, decoder_dim)`, is put at the end of `states`, where that is a list.
        """
        mask = None if attention_mask is None else attention_mask[:, None].to(quantized.dtype)
        x = self.in_proj(self.in_norm(quantized).transpose(1, 2))
        for block in self.blocks:
            x = block(x, mask)
            if states is not None:
                states.append(x.transpose(1, 2))
        return self.out_proj(F.gelu(_masked_group_norm(self.out_norm, x, mask))).transpose(1, 2)


class AnyMoPQVAEModel(StrictLoadingMixin, PreTrainedModel):
    """The full-body IMU tokenizer over frozen encoder latents."""

    config_class = AnyMoPQVAEConfig
    base_model_prefix = "pqvae"
    main_input_name = "latents"
    accepts_loss_kwargs = False
    _keep_in_fp32_modules_strict = {"quantizer"}

    def __init__(self, config: AnyMoPQVAEConfig):
        super().__init__(config)
        self.pre_quant = nn.Sequential(
            nn.LayerNorm(config.input_dim), nn.Linear(config.input_dim, config.bottleneck_dim)
        )
        self.quantizer = ProductQuantizer(config)
        self.decoder = TemporalDecoder(config)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Conv1d)):
            init.kaiming_normal_(module.weight, nonlinearity="linear")
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, (nn.LayerNorm, nn.GroupNorm)):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, ProductQuantizer):
            init.normal_(module.embedding)
            init.copy_(module.embed_avg, module.embedding)
            init.ones_(module.cluster_size)

    def project(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents `(..., input_dim)` to `(..., bottleneck)`."""
        return self.pre_quant(latents)

    @can_return_tuple
    def forward(
        self,
        latents: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        return_loss: bool = True,
        output_hidden_states: bool | None = None,
    ) -> AnyMoPQVAEOutput:
        """Quantize and reconstruct `latents` `(batch, length, input_dim)`; the loss is Eq. 4 over real steps."""
        if latents.dim() != 3 or latents.shape[-1] != self.config.input_dim:
            raise ValueError(f"latents must be (batch, length, {self.config.input_dim}), got {tuple(latents.shape)}")
        keep = torch.ones(latents.shape[:2], dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        if keep.shape != latents.shape[:2] or not keep.any():
            raise ValueError(
                f"attention_mask must be {tuple(latents.shape[:2])} with a real step, got {tuple(keep.shape)} "
                f"with {int(keep.sum())}"
            )
        keep = keep.to(latents.device)
        projected = self.project(latents)
        rows = projected[keep]
        row_codes = self.quantizer.nearest(rows)
        codes = torch.zeros(*keep.shape, self.config.num_codebooks, dtype=torch.long, device=latents.device)
        codes[keep] = row_codes
        target = self.quantizer.lookup(codes).to(projected.dtype)
        quantized = (projected + (target - projected).detach()) * keep[..., None]  # straight-through
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        states = [quantized] if wanted else None
        reconstruction = self.decoder(quantized, None if attention_mask is None else keep, states)
        loss = None
        if return_loss:
            gap = (rows - target[keep].detach()).square().view(len(rows), self.config.num_codebooks, -1)
            commitment = gap.mean((0, 2)).sum()
            loss = F.smooth_l1_loss(reconstruction[keep], latents[keep]) + self.config.commitment_weight * commitment
        if self.training:
            self.quantizer.update(rows.detach(), row_codes)
        return AnyMoPQVAEOutput(
            loss=loss, reconstruction=reconstruction, codes=codes, quantized=quantized,
            hidden_states=None if states is None else tuple(states),
        )  # fmt: skip

    @torch.no_grad()
    def encode(self, latents: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Code ids `(batch, length, books)`; masked steps read 0."""
        codes = self.quantizer.nearest(self.project(latents).flatten(0, 1)).view(*latents.shape[:2], -1)
        return codes if attention_mask is None else codes * attention_mask[..., None].long()

    @torch.no_grad()
    def decode(self, codes: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Code ids `(batch, length, books)` to latents `(batch, length, input_dim)`; masked steps are not to be read."""
        return self.decoder(self.quantizer.lookup(codes).to(self.dtype), attention_mask)
