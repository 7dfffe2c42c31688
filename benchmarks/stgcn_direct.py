"""The ST-GCN encoder in its direct form: what ours is compared with for equality and speed.

Written as such networks usually are: activations are `(batch, channel, time, node)`; a 1x1 convolution makes one set of
features per partition, an einsum with A sums over neighbours, and a 9x1 convolution runs over time. Parameter names are
the encoder's, so one state dict fits both.
"""

from __future__ import annotations

import torch
from torch import nn

from anymo_hf.modeling.body_segments import spatial_partitions
from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining, AnyMoSTGCNOutput


class DirectGraphConvolution(nn.Module):
    """1x1 convolution to every partition, then a weighted sum over neighbours."""

    def __init__(self, in_channels: int, out_channels: int, partitions: int):
        super().__init__()
        self.partitions = partitions
        self.conv = nn.Conv2d(in_channels, partitions * out_channels, 1)

    def forward(self, x: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        """`(N, C, T, V)` and `(K, V, V)` -> `(N, C_out, T, V)`."""
        x = self.conv(x)
        batch, channels, frames, nodes = x.shape
        x = x.view(batch, self.partitions, channels // self.partitions, frames, nodes)
        return torch.einsum("nkctv,kvw->nctw", x, adjacency).contiguous()


class DirectBlock(nn.Module):
    """Graph convolution, temporal convolution, residual."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, residual: bool, config: AnyMoSTGCNConfig):
        super().__init__()
        kernel = config.temporal_kernel
        self.gcn = DirectGraphConvolution(in_channels, out_channels, 3)
        self.tcn = nn.Sequential(
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, (kernel, 1), (stride, 1), ((kernel - 1) // 2, 0)),
            nn.BatchNorm2d(out_channels),
            nn.Dropout(config.dropout),
        )
        self.residual: nn.Module | None = nn.Identity() if residual else None
        if residual and (in_channels != out_channels or stride != 1):
            self.residual = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, (stride, 1)), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: torch.Tensor, adjacency: torch.Tensor) -> torch.Tensor:
        """`(N, C, T, V)` -> `(N, C_out, ceil(T / stride), V)`."""
        out = self.tcn(self.gcn(x, adjacency))
        return torch.relu(out if self.residual is None else out + self.residual(x))


class DirectSTGCN(nn.Module):
    """The encoder; windows of one length only, so there is no frame mask."""

    A: torch.Tensor

    def __init__(self, config: AnyMoSTGCNConfig):
        super().__init__()
        self.config = config
        self.register_buffer("A", spatial_partitions())
        self.data_bn = nn.BatchNorm1d(config.in_channels * config.num_nodes)
        self.mask_token = nn.Parameter(torch.zeros(config.in_channels))
        widths = [config.in_channels, *config.channels]
        self.st_gcn_networks = nn.ModuleList(
            DirectBlock(widths[i], widths[i + 1], stride, i > 0, config) for i, stride in enumerate(config.strides)
        )
        self.edge_importance = nn.ParameterList(nn.Parameter(torch.ones_like(self.A)) for _ in config.strides)

    def forward(
        self, imu: torch.Tensor, node_mask: torch.Tensor | None = None, frame_mask: torch.Tensor | None = None
    ) -> AnyMoSTGCNOutput:
        """`(batch, frames, 23, 6)` and `(batch, 23)` -> latents `(batch, ceil(frames / 4), latent_dim)`."""
        if frame_mask is not None:
            raise ValueError("the direct form takes windows of one length: leave out frame_mask")
        batch, frames, nodes, channels = imu.shape
        x = imu.permute(0, 2, 3, 1).reshape(batch, nodes * channels, frames)
        x = self.data_bn(x).view(batch, nodes, channels, frames).permute(0, 2, 3, 1).contiguous()
        if node_mask is not None:
            x = torch.where(node_mask[:, None, None, :], x, self.mask_token[:, None, None])
        for block, importance in zip(self.st_gcn_networks, self.edge_importance, strict=True):
            x = block(x, self.A * importance)
        latents = x.mean(3).transpose(1, 2)
        keep = torch.ones(latents.shape[:2], dtype=torch.bool, device=latents.device)
        return AnyMoSTGCNOutput(last_hidden_state=latents, attention_mask=keep)


def direct_twin(model: AnyMoSTGCNForPreTraining) -> AnyMoSTGCNForPreTraining:
    """A copy of a pre-training model that encodes by the direct form; same weights, statistics and mode."""
    twin = AnyMoSTGCNForPreTraining(model.config)
    twin.encoder = DirectSTGCN(model.config)
    twin.load_state_dict(model.state_dict())
    return twin.to(model.device).train(model.training)
