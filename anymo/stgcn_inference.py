"""The ST-GCN encoder for inference on a CPU: the latents of the plain form in `modeling_stgcn.py`, several times as fast.

- A few windows at a time, so that what one layer writes is still in the cache when the next one reads it, and no more
  padding than the longest of them needs.
- Neighbours are mixed edge by edge (`graph_mixing.py`).
- The three partitions lie side by side as three lines of an image, and one convolution over them is their sum.
- Batch norms are folded into the weights once a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from .graph_mixing import Edges, EdgeWeights, edges_of, mix, weights_of

if TYPE_CHECKING:
    from .modeling_stgcn import AnyMoSTGCNModel

_CACHE_BYTES = 3_000_000  # what the mixed neighbours of a chunk of windows may take, for each thread


def suits(model: AnyMoSTGCNModel, imu: torch.Tensor) -> bool:
    """Whether the fast form gives what `model` would: float32 on a CPU, eval mode, no gradient, no hook, no adapter."""
    if (
        not model.fast_inference
        or model.training
        or torch.is_grad_enabled()
        or torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch.is_autocast_enabled("cpu")
        or {imu.device.type, model.A.device.type} != {"cpu"}
        or {imu.dtype, model.A.dtype} != {torch.float32}
    ):
        return False
    blocks: list[Any] = list(model.st_gcn_networks)
    for block in blocks:
        convolutions = [block.gcn.conv, block.tcn[2]] + ([] if block.residual is None else [block.residual[0]])
        norms = [block.tcn[0], block.tcn[3]] + ([] if block.residual is None else [block.residual[1]])
        if any(type(layer) is not nn.Conv2d for layer in convolutions):
            return False
        if any(type(layer) is not nn.BatchNorm2d for layer in norms):
            return False
        if any(part._forward_hooks or part._forward_pre_hooks for part in (block, block.gcn)):
            return False
    return True


@dataclass
class _Block:
    """A block's weights with batch norms folded in; images are channels last."""

    edges: EdgeWeights
    graph: torch.Tensor  # (C_out, C_in, partitions, 1)
    shift: torch.Tensor  # (V, 1, C_out), since each segment has other neighbours
    time: torch.Tensor  # (C_out, C_out, 1, kernel)
    bias: torch.Tensor
    stride: int
    adds_input: bool
    shortcut: tuple[torch.Tensor, torch.Tensor] | None  # a convolution on the residual path, where there is one


def _folded_norms(norms: list[Any]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Scale and offset of each batch norm in eval mode; all at once, since they are many and small."""
    variance = torch.cat([norm.running_var + norm.eps for norm in norms])
    mean = torch.cat([norm.running_mean for norm in norms])
    scale = torch.cat([norm.weight for norm in norms]) * variance.rsqrt_()
    offset = torch.cat([norm.bias for norm in norms]) - mean * scale
    widths = [norm.num_features for norm in norms]
    return list(zip(scale.split(widths), offset.split(widths), strict=True))


def _folded_blocks(model: AnyMoSTGCNModel, edges: Edges) -> list[_Block]:
    adjacency = torch.stack(list(model.edge_importance)) * model.A  # (L, K, V, V), [from, to]
    weights = weights_of(adjacency, edges)
    incoming = adjacency.sum(2).mT  # (L, V, K)
    networks: list[Any] = list(model.st_gcn_networks)
    norms: list[nn.BatchNorm2d] = []
    for block in networks:
        norms += [block.tcn[0], block.tcn[3]] + ([] if block.residual is None else [block.residual[1]])
    folded = iter(_folded_norms(norms))
    blocks = []
    for number, block in enumerate(networks):
        conv, temporal, shortcut = block.gcn.conv, block.tcn[2], None
        partitions, channels = len(edges.shifts), conv.in_channels
        scale, offset = next(folded)
        weight = conv.weight.view(partitions, -1, channels) * scale[:, None]
        shift = torch.addcmul(offset, incoming[number] @ conv.bias.view(partitions, -1), scale)
        scale, offset = next(folded)
        time = (temporal.weight * scale[:, None, None, None]).transpose(2, 3)
        if block.residual is not None:
            across = block.residual[0]
            factor, summand = next(folded)
            shortcut = (across.weight * factor[:, None, None, None], torch.addcmul(summand, across.bias, factor))
        blocks.append(
            _Block(
                edges=weights[number],
                graph=weight.permute(1, 2, 0)[..., None].contiguous(memory_format=torch.channels_last),
                shift=shift[:, None],
                time=time.contiguous(memory_format=torch.channels_last),
                bias=torch.addcmul(offset, temporal.bias, scale),
                stride=block.stride,
                adds_input=block.has_residual,
                shortcut=shortcut,
            )
        )
    return blocks


def _convolution(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, stride=1, padding=0) -> torch.Tensor:
    """Images `(R, H, T, C)` -> `(R, H_out, T_out, C_out)`; stride and padding are those of time."""
    image = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, (1, stride), (0, padding))
    return image.permute(0, 2, 3, 1).contiguous()


def _encode_block(
    x: torch.Tensor, block: _Block, edges: Edges, store: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """`x` `(V, N, T, C)`, `mask` `(N, T)` float or None -> `(V, N, ceil(T / stride), C_out)`."""
    nodes, batch, frames, channels = x.shape
    partitions = len(edges.shifts)
    mixed = store[: partitions * x.numel()].view(nodes, partitions, -1)
    mixed = mix(x.view(nodes, -1), block.edges, edges, mixed).view(nodes, partitions, batch * frames, channels)
    y = _convolution(mixed, block.graph, None).squeeze(1).add_(block.shift).relu_().view(nodes, batch, frames, -1)
    if mask is not None:
        y *= mask[..., None]  # padding must look like the zeros a convolution sees past the end of a shorter window
    kernel = block.time.shape[3]
    y = _convolution(y.view(nodes * batch, 1, frames, -1), block.time, block.bias, block.stride, (kernel - 1) // 2)
    if block.shortcut is not None:
        y += _convolution(x.view(nodes * batch, 1, frames, -1), *block.shortcut, block.stride)
    elif block.adds_input:
        y += x.view(nodes * batch, 1, frames, -1)
    return y.relu_().view(nodes, batch, -1, y.shape[-1])


def encode(
    model: AnyMoSTGCNModel, imu: torch.Tensor, node_mask: torch.Tensor | None, frame_mask: torch.Tensor | None
) -> torch.Tensor:
    """The graph's latents `(batch, ceil(frames / 4), channels[-1])`, 0 at padding; checked arguments of the model."""
    batch, frames, nodes, channels = imu.shape
    partitions = model.A.shape[0]
    edges = edges_of(model.A)
    blocks = _folded_blocks(model, edges)
    norm: Any = model.data_bn
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    offset = (norm.bias - norm.running_mean * scale).view(nodes, 1, 1, channels)
    scale = scale.view(nodes, 1, 1, channels)
    lengths = [frames]  # frames that each block sees
    for block in blocks:
        lengths.append(-(-lengths[-1] // block.stride))
    most = max(length * block.graph.shape[1] for length, block in zip(lengths, blocks, strict=False))
    one = nodes * partitions * most
    at_once = min(batch, max(1, torch.get_num_threads() * _CACHE_BYTES // (4 * one)))
    store = imu.new_empty(at_once * one)  # for all blocks: fresh memory has to be found page by page each time
    latents = imu.new_zeros(batch, lengths[-1], blocks[-1].time.shape[0])
    for begin in range(0, batch, at_once):
        rows = slice(begin, begin + at_once)
        x, mask = imu[rows], None
        if frame_mask is not None and not frame_mask[rows].all():
            mask = frame_mask[rows]
            mask = mask[:, : int(mask.sum(1).max())]
            x = x[:, : mask.shape[1]].masked_fill(~mask[:, :, None, None], 0)
            mask = mask.to(x.dtype)
        x = x.permute(2, 0, 1, 3).contiguous().mul_(scale).add_(offset)
        if node_mask is not None:
            x = torch.where(node_mask[rows].t()[:, :, None, None], x, model.mask_token).contiguous()
        for block in blocks:
            x = _encode_block(x, block, edges, store, mask)
            mask = None if mask is None else mask[:, :: block.stride]
        mean = x.mean(0)
        latents[rows, : mean.shape[1]] = mean if mask is None else mean * mask[..., None]
    return latents
