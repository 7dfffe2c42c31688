"""The encoder gives the latents, loss and gradients of its textbook form, at paper size and at nano size.

The textbook form: activations are `(batch, channel, time, node)`; a 1x1 convolution makes one set of features per
partition, an einsum with A sums over neighbours, and a 9x1 convolution runs over time. Parameter names are the encoder's,
so one state dict fits both.
"""

import copy

import pytest
import torch
from torch import nn

from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining, AnyMoSTGCNModel, AnyMoSTGCNOutput


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
        self.register_buffer("A", torch.zeros(3, config.num_nodes, config.num_nodes))
        self.data_bn = nn.BatchNorm1d(config.in_channels * config.num_nodes)
        self.mask_token = nn.Parameter(torch.zeros(config.in_channels))
        widths = [config.in_channels, *config.channels]
        self.st_gcn_networks = nn.ModuleList(
            DirectBlock(widths[i], widths[i + 1], stride, i > 0, config) for i, stride in enumerate(config.strides)
        )
        self.edge_importance = nn.ParameterList(nn.Parameter(torch.ones_like(self.A)) for _ in config.strides)

    def forward(
        self,
        imu: torch.Tensor,
        node_mask: torch.Tensor | None = None,
        frame_mask: torch.Tensor | None = None,
        *_,
        **flags,
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


def paired_models(preset):
    """Ours and the direct form; dropout is off, statistics and mask token are as trained ones might be."""
    torch.manual_seed(0)
    model = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig.from_preset(preset, dropout=0.0))
    with torch.no_grad():
        model.encoder.mask_token.normal_()
        for module in model.encoder.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        for importance in model.encoder.edge_importance:
            importance.uniform_(0.5, 1.5)
    return model, direct_twin(model)


def test_direct_form_holds_the_same_tensors():
    config = AnyMoSTGCNConfig.from_preset("paper")
    with torch.device("meta"):
        states = [form(config).state_dict() for form in (AnyMoSTGCNModel, DirectSTGCN)]
    shapes = [{name: tuple(value.shape) for name, value in state.items()} for state in states]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("preset", [pytest.param("paper", marks=pytest.mark.slow), "nano"])
def test_latents_loss_and_gradients_equal_the_direct_form(preset):
    ours, direct = paired_models(preset)
    first, second = torch.randn(2, 2, 100, 23, 6, generator=torch.Generator().manual_seed(1))
    visible = torch.zeros(2, 23, dtype=torch.bool)
    visible[0, [3, 13]], visible[1, 6] = True, True
    with torch.no_grad():
        for training in (False, True):
            latents = [model.train(training).encoder(first, visible).last_hidden_state for model in (ours, direct)]
            torch.testing.assert_close(*latents, atol=1e-4, rtol=0)
    # in float32 a rounding flips units near zero, so gradients are compared in float64
    gradients = []
    for model in (ours, direct):
        exact = copy.deepcopy(model).double()
        loss = exact(first.double(), second.double(), visible, visible).loss
        loss.backward()
        gradients.append((loss.detach(), {name: value.grad for name, value in exact.named_parameters()}))
    torch.testing.assert_close(gradients[0][0], gradients[1][0], atol=1e-10, rtol=1e-10)
    floor = 1e-6 * max(value.norm() for value in gradients[1][1].values())  # biases before a batch norm have none
    for name, value in gradients[1][1].items():
        assert (gradients[0][1][name] - value).norm() <= 1e-8 * value.norm().clamp_min(floor), name
    # running statistics have moved alike, too
    expected = dict(direct.named_buffers())
    for name, value in ours.named_buffers():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=1e-4)
