"""Plain convolutions over the signals of worn sensors, beside the graph encoder; not in the paper, and off by default.

A graph block looks through 23 segments, most of them hidden. Convolutions that see a worn sensor's own signal cost little
beside it, and what they learn to tell apart carries over to real recordings better (training/EXPERIMENTS.md).
"""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F
from torch import nn

from .configuration_anymo import AnyMoSTGCNConfig, halving_strides

KERNEL = 9  # frames, as the graph's temporal convolutions have


class SignalMember(nn.Module):
    """Convolution, batch norm and ReLU per layer over a worn sensor.

    Args:
        config: its `signal_channels` are the widths. The first layer adds a learned vector of the segment.
    """

    def __init__(self, config: AnyMoSTGCNConfig):
        super().__init__()
        channels = config.signal_channels
        widths = [config.in_channels, *channels]
        self.strides = halving_strides(len(channels), prod(config.strides))
        self.input_norm = nn.BatchNorm1d(config.in_channels)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], KERNEL, self.strides[i], KERNEL // 2) for i in range(len(channels))
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in channels)
        self.segments = nn.Parameter(torch.zeros(config.num_nodes, channels[0]))

    def states(self, x: torch.Tensor, segment: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """What this member says of sensors, `(rows, channels[-1], ceil(frames / stride))`.

        Args:
            x: `(rows, frames, in_channels)`.
            segment: `(rows,)` index of the one that each sits on.
            mask: `(rows, frames)` 1 on real frames; None for all.
        """
        x = self.input_norm(x.mT)
        place: torch.Tensor | None = self.segments[segment]
        for convolution, norm, stride in zip(self.convolutions, self.norms, self.strides, strict=True):
            if mask is not None:
                x = x * mask[:, None]  # padding must look like the zeros past the end of a shorter window
            x = convolution(x)
            if place is not None:  # in the first layer
                x, place = x + place[:, :, None], None
            x = F.relu(norm(x))
            if mask is not None:
                mask = mask[:, ::stride]
        return x if mask is None else x * mask[:, None]


class SignalBranch(SignalMember):
    """What every member says of each worn sensor, side by side, then the mean over the sensors.

    A member starts and learns on its own, so that what one misses by chance another has; a branch of one is that member.

    Args:
        config: `signal_members` of its `signal_channels`.
    """

    def __init__(self, config: AnyMoSTGCNConfig):
        super().__init__(config)
        self.further = nn.ModuleList(SignalMember(config) for _ in range(config.signal_members - 1))

    @property
    def members(self) -> list[SignalMember]:
        """All of them, this one first."""
        return [self, *(member for member in self.further if isinstance(member, SignalMember))]

    def forward(
        self, imu: torch.Tensor, node_mask: torch.Tensor | None = None, frame_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Latents `(batch, ceil(frames / stride), signal_members * channels[-1])`, 0 at padding.

        Args:
            imu: `(batch, frames, nodes, in_channels)`, m/s^2 and rad/s at 60 Hz, finite in the padding.
            node_mask: `(batch, nodes)` bool, worn sensors; None for all.
            frame_mask: `(batch, frames)` bool, real frames; None for all.
        """
        batch, _, nodes, _ = imu.shape
        if node_mask is None:
            node_mask = imu.new_ones(batch, nodes, dtype=torch.bool)
        dense = torch.compiler.is_compiling() or torch.jit.is_tracing()
        if dense:  # a program of fixed shapes cannot pick rows, so hidden sensors are computed and left out of the mean
            x = imu.transpose(1, 2).flatten(0, 1)
            segment = torch.arange(nodes, device=imu.device).repeat(batch)
            mask = None if frame_mask is None else frame_mask.repeat_interleave(nodes, 0)
        else:
            window, segment = node_mask.nonzero(as_tuple=True)
            x, mask = imu[window, :, segment], None if frame_mask is None else frame_mask[window]
        states = self.sensors(x, segment, None if mask is None else mask.to(x.dtype))
        if dense:
            total = states.unflatten(0, (batch, nodes)).masked_fill(~node_mask[:, :, None, None], 0).sum(1)
        else:
            total = states.new_zeros(batch, *states.shape[1:]).index_add_(0, window, states)
        return (total / node_mask.sum(1)[:, None, None]).mT

    def sensors(self, x: torch.Tensor, segment: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Each sensor by itself, `(rows, signal_members * channels[-1], ceil(frames / stride))`; arguments of `states`."""
        return torch.cat([member.states(x, segment, mask) for member in self.members], 1)
