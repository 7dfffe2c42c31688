"""ST-GCN encoder over the body graph and its masked cross-view predictive pre-training (paper §3.2, A.3).

Parameter names and shapes are those of the official encoder, so its weights fit tensor for tensor. Activations are kept
as `(node, batch, time, channel)`: the graph product is then one matrix product, and a temporal convolution sees nodes as
batch and time as the last side of a channels-last image, along which kernels run fastest. In eval mode batch norms are
folded into the weights before them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .attention import Attention
from .body_segments import spatial_partitions
from .configuration_anymo import AnyMoSTGCNConfig
from .graph_mixing import Edges, MixedNeighbours, edges_of
from .signal_branch import SignalBranch, SignalMember
from .stgcn_inference import encode, suits
from .strict_loading import StrictLoadingMixin


@dataclass
class AnyMoSTGCNOutput(ModelOutput):
    """Latents of windows.

    Args:
        last_hidden_state (`torch.FloatTensor` of shape `(batch, ceil(frames / 4), latent_dim)`): mean over segments, then,
            where the config has `signal_channels`, what the signal branch makes of the worn sensors.
        attention_mask (`torch.BoolTensor` of shape `(batch, ceil(frames / 4))`): True on real steps.
        hidden_states: with `output_hidden_states`, the normalised input and what each block gives, each
            `(batch, frames, 23, width)`.
    """

    last_hidden_state: torch.Tensor | None = None
    attention_mask: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None


@dataclass
class AnyMoSTGCNPreTrainingOutput(ModelOutput):
    """`loss` (Eq. 3, both directions), `logits` `(2, batch, batch)` of mean cosine similarity over temperature,
    `last_hidden_state` `(2 * batch, steps, dim)`, the latents of both views as the encoder saw them, and, with
    `output_hidden_states`, its `hidden_states`."""

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    last_hidden_state: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None


class SpatialConvolution(nn.Module):
    """Graph convolution over three partitions: a 1x1 convolution per partition, then a sum over neighbours."""

    def __init__(self, in_channels: int, out_channels: int, partitions: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, partitions * out_channels, 1)

    def forward(
        self,
        x: torch.Tensor,
        adjacency: torch.Tensor,
        norm: nn.BatchNorm2d | None = None,
        edges: Edges | None = None,
    ) -> torch.Tensor:
        """`x` `(V, N, T, C)`, `adjacency` `(K, V, V)` indexed [partition, from, to] -> `(V, N, T, C_out)`.

        `norm` in eval mode, when given, is applied to the result. `edges`, when given, are where `adjacency` is not zero.
        """
        nodes, batch, frames, channels = x.shape
        partitions = adjacency.shape[0]
        if type(self.conv) is not nn.Conv2d:  # an adapter, which acts when it is called
            convolved = self.conv(x.permute(1, 3, 2, 0)).unflatten(1, (partitions, -1))
            y = torch.einsum("nkctv,kvw->wntc", convolved, adjacency)
            return (
                y
                if norm is None
                else norm(y.flatten(0, 1).permute(0, 2, 1)[..., None])[..., 0].mT.unflatten(0, (nodes, batch))
            )
        assert self.conv.bias is not None
        weight = self.conv.weight.view(partitions, -1, channels)
        bias = self.conv.bias.view(partitions, -1)
        shift = adjacency.sum(1).t() @ bias  # (V, C_out): every incoming edge carries its partition's bias
        if norm is not None:
            scale, offset = _scale_and_offset(norm)
            weight, shift = weight * scale[:, None], shift * scale + offset
        # neighbours first, weights after: both are linear, and this order needs one pass over all partitions
        if edges is not None:
            mixed = MixedNeighbours.apply(x.reshape(nodes, -1), adjacency, edges).view(nodes, partitions, -1, channels)
            # partitions are the lines of an image, and one convolution over them is their sum
            out = F.conv2d(mixed.permute(0, 3, 1, 2), weight.permute(1, 2, 0)[..., None]).permute(0, 2, 3, 1)
            return out.reshape(nodes, batch, frames, -1) + shift.to(out.dtype)[:, None, None, :]
        mixing = adjacency.transpose(1, 2).reshape(partitions * nodes, nodes)
        mixed = (mixing @ x.reshape(nodes, -1)).view(partitions, -1, channels)
        weight = weight.to(mixed.dtype).transpose(1, 2)  # autocast leaves products in place alone
        # unbind, because the gradient of an index is a tensor of zeros each
        first, *others = zip(mixed.unbind(0), weight.unbind(0), strict=True)
        out = first[0] @ first[1]
        for part in others:
            out.addmm_(*part)
        return out.view(nodes, batch, frames, -1).add_(shift.to(out.dtype)[:, None, None, :])


def _scale_and_offset(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Batch norm in eval mode is `scale * x + offset`, both `(C,)`."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


_EXACT = (torch.float32, torch.float64)  # types whose statistics are worth summing exactly


def _temporal_convolution(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, stride: int) -> torch.Tensor:
    """`x` `(R, T, C)`, `weight` `(C_out, C, kernel, 1)` -> `(R, ceil(T / stride), C_out)`."""
    kernel = weight.shape[2]
    image = x[:, None].permute(0, 3, 1, 2)  # (R, C, 1, T), channels last
    image = F.conv2d(image, weight.transpose(2, 3), bias, (1, stride), (0, (kernel - 1) // 2))
    return image.permute(0, 2, 3, 1).squeeze(1)


class _BatchNorm(torch.autograd.Function):
    """Batch norm of `(rows, C)` by the batch's statistics; returns them, too.

    torch sums a channels-last batch row after row in float32: where most nodes read alike, as hidden ones do, variances
    come out wrong by nearly 1e-4. Here they are summed pairwise.
    """

    @staticmethod
    def forward(ctx, rows, weight, bias, eps):
        mean = rows.mean(0)
        variance = (rows - mean).square_().mean(0)
        deviation = (variance + eps).rsqrt()
        scale = weight * deviation
        ctx.save_for_backward(rows, weight, mean, deviation)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return torch.addcmul(bias - mean * scale, rows, scale), mean, variance

    @staticmethod
    def backward(ctx, gradient, *_):
        rows, weight, mean, deviation = ctx.saved_tensors
        images = (part.contiguous()[None, None].permute(0, 3, 1, 2) for part in (gradient, rows))
        inner, scale, offset = torch.ops.aten.native_batch_norm_backward(
            *images, weight, None, None, mean, deviation, True, ctx.eps, [True, True, True]
        )
        return inner[0, :, 0].t(), scale, offset, None


def _normalised(norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    """Batch norm of `(R, T, C)` over rows and frames; norms of another kind, and on other devices, compute it themselves."""
    own = norm.training and type(norm) is nn.BatchNorm2d and norm.momentum is not None
    if not own or x.device.type != "cpu" or x.dtype not in _EXACT:
        return norm(x[:, None].permute(0, 3, 1, 2)).permute(0, 2, 3, 1).squeeze(1)
    assert norm.momentum is not None
    y, mean, variance = _BatchNorm.apply(x.flatten(0, 1), norm.weight, norm.bias, norm.eps)
    assert norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None
    count = x.shape[0] * x.shape[1]
    with torch.no_grad():
        norm.num_batches_tracked.add_(1)
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / max(count - 1, 1)), norm.momentum)
    return y.view_as(x)


class STGCNBlock(nn.Module):
    """Graph convolution, temporal convolution and a residual path."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, residual: bool, config: AnyMoSTGCNConfig):
        super().__init__()
        kernel = config.temporal_kernel
        self.stride = stride
        self.gcn = SpatialConvolution(in_channels, out_channels, 3)
        self.tcn = nn.Sequential(
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, (kernel, 1), (stride, 1), ((kernel - 1) // 2, 0)),
            nn.BatchNorm2d(out_channels),
            nn.Dropout(config.dropout),
        )
        self.residual: nn.Module | None = None
        self.has_residual = residual
        if residual and (in_channels != out_channels or stride != 1):
            self.residual = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, (stride, 1)), nn.BatchNorm2d(out_channels)
            )

    def forward(
        self, x: torch.Tensor, adjacency: torch.Tensor, mask: torch.Tensor | None, edges: Edges | None = None
    ) -> torch.Tensor:
        """`x` `(V, N, T, C)`, `mask` `(N, T)` float or None -> `(V, N, ceil(T / stride), C_out)`."""
        nodes, batch, frames, _ = x.shape
        layers: Any = self.tcn  # a Sequential tells types of none
        norm, _, convolution, last_norm, dropout = layers
        folded = not self.training
        y = self.gcn(x, adjacency, norm if folded else None, edges).flatten(0, 1)
        y = y.relu_() if folded else _normalised(norm, y).relu_()
        if mask is not None:
            # padding must look like the zeros a convolution sees past the end of a shorter window
            y = y * mask.repeat(nodes, 1)[:, :, None]
        y = _convolved(y, convolution, last_norm, self.stride, folded)
        y = dropout(y)
        shortcut: Any = self.residual
        if shortcut is not None:
            plain = type(shortcut[0]) is nn.Conv2d  # an adapter strides by itself
            short = x.flatten(0, 1)[:, :: self.stride] if plain else x.flatten(0, 1)
            y = y + _convolved(short, shortcut[0], shortcut[1], 1, folded)
        elif self.has_residual:
            y = y + x.flatten(0, 1)
        return y.relu_().view(nodes, batch, -1, y.shape[-1])


def _convolved(
    x: torch.Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d, stride: int, folded: bool
) -> torch.Tensor:
    """Convolution over time of `(R, T, C)`, then batch norm, which eval mode folds into the weights."""
    if type(convolution) is not nn.Conv2d:  # an adapter, which acts when it is called
        image = convolution(x.mT[..., None])
        return norm(image)[..., 0].mT if folded else _normalised(norm, image[..., 0].mT)
    weight, bias = convolution.weight, convolution.bias
    assert bias is not None
    if folded:
        scale, offset = _scale_and_offset(norm)
        weight, bias = weight * scale[:, None, None, None], bias * scale + offset
    single = weight.shape[2] == 1
    y = F.linear(x, weight.flatten(1), bias) if single else _temporal_convolution(x, weight, bias, stride)
    return y if folded else _normalised(norm, y)


class AnyMoSTGCNPreTrainedModel(StrictLoadingMixin, PreTrainedModel):
    """Weight initialisation and loading shared by the encoder's models."""

    config_class = AnyMoSTGCNConfig
    base_model_prefix = "encoder"
    main_input_name = "imu"
    accepts_loss_kwargs = False

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Conv1d, nn.Conv2d)):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, Attention):
            init.normal_(module.in_proj_weight, std=0.02)
            init.zeros_(module.in_proj_bias)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            assert module.running_mean is not None and module.running_var is not None
            assert module.num_batches_tracked is not None
            init.ones_(module.weight)
            init.zeros_(module.bias)
            init.zeros_(module.running_mean)
            init.ones_(module.running_var)
            init.zeros_(module.num_batches_tracked)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, AnyMoSTGCNModel):
            init.copy_(module.A, torch.from_numpy(spatial_partitions(module.config.graph)))
            init.zeros_(module.mask_token)
            for importance in module.edge_importance:
                init.ones_(importance)
        elif isinstance(module, SignalMember):
            init.zeros_(module.segments)
        elif isinstance(module, LatentPredictor):
            init.normal_(module.pos_embed, std=0.02)


def _check_node_mask(mask: torch.Tensor, batch: int, nodes: int) -> torch.Tensor:
    """`(batch, nodes)` bool with a visible sensor in every row."""
    if mask.shape != (batch, nodes):
        raise ValueError(f"node_mask must be ({batch}, {nodes}), got {tuple(mask.shape)}")
    mask = mask.bool()
    if not (seen := mask.any(1)).all():
        rows = (~seen).nonzero().flatten().tolist()
        raise ValueError(f"node_mask: windows {rows} have no visible sensor; mark at least one segment True")
    return mask


def _check_frame_mask(mask: torch.Tensor, batch: int, frames: int) -> torch.Tensor:
    """`(batch, frames)` bool, real frames first in every row."""
    if mask.shape != (batch, frames):
        raise ValueError(f"frame_mask must be ({batch}, {frames}), got {tuple(mask.shape)}")
    mask = mask.bool()
    # strides count from the first frame, so padding in front would shift every latent
    fine = mask[:, 0] & ~(mask[:, 1:] & ~mask[:, :-1]).any(1)
    if not fine.all():
        rows = (~fine).nonzero().flatten().tolist()
        raise ValueError(f"frame_mask: windows {rows} are empty or padded before real frames; pad at the end")
    return mask


class AnyMoSTGCNModel(AnyMoSTGCNPreTrainedModel):
    """The graph encoder G of paper §3.2: IMU of up to 23 segments to time-preserving latents.

    It also loads from a pre-training checkpoint, whose predictor it leaves out.

    Attributes:
        fast_inference: in float32 on a CPU without gradients, compute by `stgcn_inference.py`, which agrees to rounding;
            False for the plain form everywhere.
        fast_training: on a CPU in training, sum over neighbours edge by edge, which agrees to rounding.
    """

    fast_inference = True
    fast_training = True
    _optional_parts = ("predictor.",)
    A: torch.Tensor

    def __init__(self, config: AnyMoSTGCNConfig):
        super().__init__(config)
        self.register_buffer("A", torch.tensor(spatial_partitions(config.graph), dtype=torch.get_default_dtype()))
        self.data_bn = nn.BatchNorm1d(config.in_channels * config.num_nodes)
        self.mask_token = nn.Parameter(torch.zeros(config.in_channels))
        widths = [config.in_channels, *config.channels]
        self.st_gcn_networks = nn.ModuleList(
            STGCNBlock(widths[i], widths[i + 1], stride, i > 0, config) for i, stride in enumerate(config.strides)
        )
        self.edge_importance = nn.ParameterList(nn.Parameter(torch.ones_like(self.A)) for _ in config.strides)
        self.signal_branch = SignalBranch(config) if config.signal_channels else None
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        imu: torch.Tensor,
        node_mask: torch.Tensor | None = None,
        frame_mask: torch.Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> AnyMoSTGCNOutput:
        """Encode windows.

        Args:
            imu (`torch.FloatTensor` of shape `(batch, frames, 23, 6)`): m/s^2 and rad/s in each sensor's own frame, 60 Hz.
            node_mask (`(batch, 23)` bool): True where a sensor is worn; the rest becomes the mask token.
            frame_mask (`(batch, frames)` bool): True on real frames, padding at the end. Latents of a padded window
                equal those of the window alone in eval mode; batch statistics in train mode include padded frames,
                which read zero whatever was in them.
            output_hidden_states: also what every block gives.

        Raises:
            ValueError: wrong shape, a window without a visible sensor or frame, or padding before real frames.
        """
        batch, frames, nodes, channels = imu.shape if imu.dim() == 4 else (0, 0, 0, 0)
        if (nodes, channels) != (self.config.num_nodes, self.config.in_channels) or frames == 0:
            expected = f"(batch, frames, {self.config.num_nodes}, {self.config.in_channels})"
            raise ValueError(f"imu must be {expected}, got {tuple(imu.shape)}")
        if frame_mask is not None:
            frame_mask = _check_frame_mask(frame_mask, batch, frames)
        if node_mask is not None:
            node_mask = _check_node_mask(node_mask, batch, nodes)
        wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        states: list[torch.Tensor] | None = [] if wanted else None
        if states is None and suits(self, imu):
            latents = encode(self, imu, node_mask, frame_mask)
        else:
            latents = self._plain_form(imu, node_mask, frame_mask, states)
        if self.signal_branch is not None:
            if frame_mask is not None:
                imu = imu.masked_fill(~frame_mask[:, :, None, None], 0)
            latents = torch.cat([latents, self.signal_branch(imu, node_mask, frame_mask)], -1)
        if frame_mask is None:
            keep = torch.ones(latents.shape[:2], dtype=torch.bool, device=latents.device)
        else:
            keep = frame_mask[:, :: math.prod(self.config.strides)]
        hidden_states = None if states is None else tuple(states)
        return AnyMoSTGCNOutput(last_hidden_state=latents, attention_mask=keep, hidden_states=hidden_states)

    def _mixes_by_edges(self, x: torch.Tensor) -> bool:
        """In training on a CPU in float32: bfloat16 has faster products, and a program to be compiled keeps products."""
        slower = x.device.type != "cpu" or torch.is_autocast_enabled("cpu") or x.dtype not in _EXACT
        return self.fast_training and self.training and not slower and not torch.compiler.is_compiling()

    def _plain_form(
        self,
        imu: torch.Tensor,
        node_mask: torch.Tensor | None,
        frame_mask: torch.Tensor | None,
        states: list[torch.Tensor] | None,
    ) -> torch.Tensor:
        """The graph's latents `(batch, ceil(frames / 4), channels[-1])`, 0 at padding; hidden states go to `states`."""
        batch, frames, nodes, channels = imu.shape
        if frame_mask is not None:
            imu = imu.masked_fill(~frame_mask[:, :, None, None], 0)  # a NaN in the padding must not spread
        x = self.data_bn(imu.reshape(batch, frames, -1).transpose(1, 2)).transpose(1, 2)
        x = x.reshape(batch, frames, nodes, channels)
        if node_mask is not None:
            x = torch.where(node_mask[:, None, :, None], x, self.mask_token)
        mask = None if frame_mask is None else frame_mask.to(x.dtype)
        if states is not None:
            states.append(x)
        x = x.permute(2, 0, 1, 3).contiguous()
        edges = edges_of(self.A) if self._mixes_by_edges(x) else None
        for block, importance in zip(self.st_gcn_networks, self.edge_importance, strict=True):
            x = block(x, self.A * importance, mask, edges)
            if states is not None:
                states.append(x.permute(1, 2, 0, 3))
            if mask is not None:
                mask = mask[:, :: block.stride]
        latents = x.mean(0)
        return latents if mask is None else latents * mask[..., None]


class PredictorBlock(nn.Module):
    """Pre-norm Transformer block."""

    def __init__(self, dim: int, heads: int, mlp_dim: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        # index 2 is the official dropout's place; kept so that names agree
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_dim), nn.GELU(), nn.Identity(), nn.Linear(mlp_dim, dim))

    def forward(self, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        """`x` `(batch, length, dim)`, `padding` True where nothing is."""
        y = self.norm1(x)
        x = x + self.attn(y, y, y, padding)
        return x + self.mlp(self.norm2(x))


class LatentPredictor(nn.Module):
    """Six-layer Transformer from masked-view latents to the other view's full latents (paper §3.2)."""

    def __init__(self, config: AnyMoSTGCNConfig):
        super().__init__()
        dim = config.latent_dim
        self.pos_embed = nn.Parameter(torch.zeros(1, config.predictor_max_length, dim))
        self.blocks = nn.ModuleList(
            PredictorBlock(dim, config.predictor_heads, config.predictor_mlp_dim)
            for _ in range(config.predictor_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, dim)

    def forward(self, latents: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """`(batch, length, dim)` to the same shape."""
        length = latents.shape[1]
        positions: torch.Tensor = self.pos_embed
        if length > positions.shape[1]:
            positions = F.interpolate(positions.transpose(1, 2), length, mode="linear", align_corners=True).transpose(
                1, 2
            )
        x = latents + positions[:, :length]
        for block in self.blocks:
            x = block(x, ~attention_mask)
        return self.head(self.norm(x))


class AnyMoSTGCNForPreTraining(AnyMoSTGCNPreTrainedModel):
    """Masked cross-view predictive contrastive learning (paper §3.2, Eq. 3)."""

    main_input_name = "imu_a"

    def __init__(self, config: AnyMoSTGCNConfig):
        super().__init__(config)
        self.encoder = AnyMoSTGCNModel(config)
        self.predictor = LatentPredictor(config)
        self.post_init()

    def sample_visible(self, batch: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Random visible segments, `(batch, 23)` bool with `min_visible` to `max_visible` True in each row."""
        config = self.config
        count = torch.randint(config.min_visible, config.max_visible + 1, (batch, 1), generator=generator)
        order = torch.rand(batch, config.num_nodes, generator=generator).argsort(1).argsort(1)
        return (order < count).to(self.device)

    @can_return_tuple
    def forward(
        self,
        imu_a: torch.Tensor,
        imu_b: torch.Tensor,
        visible_a: torch.Tensor | None = None,
        visible_b: torch.Tensor | None = None,
        frame_mask: torch.Tensor | None = None,
        gather: Callable[[torch.Tensor], torch.Tensor] | None = None,
        first_row: int = 0,
        return_loss: bool = True,
        output_hidden_states: bool | None = None,
    ) -> AnyMoSTGCNPreTrainingOutput:
        """Two views `(batch, frames, 23, 6)` of the same windows; visible sets are drawn when not given.

        Over several processes, `gather` returns the rows of all of them and `first_row` is where this one's begin. Then
        `logits` is `(2, batch, all rows)`, and the mean of all losses is the loss of the whole batch. `return_loss` makes
        `Trainer.evaluate` report it.
        """
        batch = imu_a.shape[0]
        visible_a = self.sample_visible(batch) if visible_a is None else visible_a
        visible_b = self.sample_visible(batch) if visible_b is None else visible_b
        both = torch.cat([imu_a, imu_b])
        frames = None if frame_mask is None else torch.cat([frame_mask, frame_mask])
        # Stop-gradient targets. They leave running statistics alone: after pre-training only sparse views are encoded.
        with torch.no_grad(), frozen_statistics(self.encoder):
            target = self.encoder(both, None, frames, False, return_dict=True).last_hidden_state
        masked = self.encoder(both, torch.cat([visible_a, visible_b]), frames, output_hidden_states, return_dict=True)
        predicted = self.predictor(masked.last_hidden_state, masked.attention_mask)
        weight = masked.attention_mask[:batch].to(predicted.dtype)
        # a prediction is told from the targets of the whole batch; they take no gradient, so none has to travel back
        first, second, shown = (
            part if gather is None else gather(part) for part in (target[:batch], target[batch:], weight)
        )
        logits = torch.stack(
            [
                sequence_similarity(predicted[:batch], second, weight, shown),
                sequence_similarity(predicted[batch:], first, weight, shown),
            ]
        )
        logits = logits / self.config.contrastive_temperature
        loss = None
        if return_loss:
            labels = torch.arange(first_row, first_row + batch, device=logits.device)
            loss = F.cross_entropy(logits[0], labels) + F.cross_entropy(logits[1], labels)
        return AnyMoSTGCNPreTrainingOutput(
            loss=loss, logits=logits, last_hidden_state=masked.last_hidden_state, hidden_states=masked.hidden_states
        )


@contextmanager
def frozen_statistics(module: nn.Module) -> Iterator[None]:
    """Batch normalisation inside uses the batch as usual but does not learn running statistics from it."""
    layers = [layer for layer in module.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def sequence_similarity(
    predicted: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, target_weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean cosine over time of every prediction with every target (paper §3.2), `(batch, targets)`.

    Args:
        predicted, target: `(batch, length, dim)` and `(targets, length, dim)`.
        weight: `(batch, length)` 1 on real steps; a pair is compared on the steps both have.
        target_weight: `(targets, length)` of the targets, when they are not the same windows.
    """
    target_weight = weight if target_weight is None else target_weight
    with torch.autocast(predicted.device.type, enabled=False):  # bf16 would round a cosine by 0.004, a logit by 0.04
        kind = torch.promote_types(predicted.dtype, torch.float32)
        predicted, target, weight, target_weight = (x.to(kind) for x in (predicted, target, weight, target_weight))
        predicted = F.normalize(predicted, dim=-1) * weight[..., None]
        target = F.normalize(target, dim=-1) * target_weight[..., None]
        shared = weight @ target_weight.t()
        return predicted.flatten(1) @ target.flatten(1).t() / shared.clamp_min(1)
