"""The network behind `AnyMoClassifier(method="full")`: the encoder and convolutions beside it, trained on raw windows.

A window is seen by the checkpoint's encoder, as a graph of worn segments, and by convolutions over what the device reads
and what does not change as it turns. The means and deviations over time of both are the features of one linear layer. In
training every window is cut at random and worn turned at random; nothing is frozen. The encoder costs most, so it takes
part in every fourth step only; in the others its features are dropped, as by a dropout of branches, and both learn to
answer alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..modeling.collator_anymo import turn_devices
from ..modeling.feature_extraction_anymo import stack_recordings
from ..modeling.modeling_stgcn import AnyMoSTGCNModel

INVARIANT, ALL = 5, 11  # channels of a sensor: unmoved as the device turns, and with the six that it reads
_WIDTHS, _KERNEL = (48, 64, 96), 9
_ENCODER_EVERY = 4  # steps
_CLIP = 5.0  # standard deviations of a channel
_AT_ONCE = 64


@dataclass(frozen=True)
class NetworkSettings:
    """How a network is trained.

    Args:
        steps, batch_size: of AdamW, the rate rising and falling once.
        encoder_rate, rate: highest learning rates of the pre-trained encoder and of the rest.
        degrees: training windows are worn turned by up to so many; 180 is any rotation.
        invariant: the convolutions see only what does not change as the device turns.
        frames: a training window is cut to at most so many (60 Hz), at a random place.
        dropout, smoothing: of the features and of the labels.
    """

    steps: int = 400
    batch_size: int = 32
    encoder_rate: float = 1e-3
    rate: float = 2e-3
    degrees: float = 15.0
    invariant: bool = False
    frames: int = 150
    dropout: float = 0.3
    smoothing: float = 0.05


def signal_channels(signals: torch.Tensor, frame_mask: torch.Tensor, invariant: bool) -> torch.Tensor:
    """What the convolutions see, `(B, T, P * 5)`, or `(B, T, P * 11)` with the device's own axes.

    Of each sensor: lengths of acceleration and angular velocity, acceleration along and across gravity, turning about it.
    Gravity is the window's mean acceleration.

    Args:
        signals: `(B, T, P, 6)`, m/s^2 and rad/s.
        frame_mask: `(B, T)`, True on real frames.
        invariant: without the six channels of the device.
    """
    real = frame_mask[:, :, None, None].to(signals.dtype)
    force, turn = signals[..., :3], signals[..., 3:]
    up = F.normalize((force * real).sum(1, keepdim=True), dim=-1)
    along = (force * up).sum(-1, keepdim=True)
    parts = [
        force.norm(dim=-1, keepdim=True), turn.norm(dim=-1, keepdim=True), along,
        (force - along * up).norm(dim=-1, keepdim=True), (turn * up).sum(-1, keepdim=True),
    ]  # fmt: skip
    return torch.cat(parts if invariant else [signals, *parts], -1).flatten(2)


class WindowNetwork(nn.Module):
    """Scores of classes from raw windows.

    Args:
        encoder: pre-trained; a copy of it learns.
        nodes: segments that are worn.
        classes: how many.
        settings: of which `invariant` and `dropout` count here.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, encoder: AnyMoSTGCNModel, nodes: Sequence[int], classes: int, settings: NetworkSettings):
        super().__init__()
        self.nodes, self.invariant = list(nodes), settings.invariant
        channels = len(self.nodes) * (INVARIANT if settings.invariant else ALL)
        self.encoder = copy.deepcopy(encoder).requires_grad_(True)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))
        widths = (channels, *_WIDTHS)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], _KERNEL, 2 if i < 2 else 1, _KERNEL // 2) for i in range(len(_WIDTHS))
        )
        # over the batch, not over a window's time, which would let its padding count
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in _WIDTHS)
        latent = self.encoder.config.latent_dim
        self.scale = nn.BatchNorm1d(2 * latent)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(2 * latent + 2 * _WIDTHS[-1], classes)

    def train(self, mode: bool = True) -> WindowNetwork:
        """As `nn.Module.train`; the encoder keeps the statistics of its batch norms, which few windows would spoil."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(
        self, imu: torch.Tensor, node_mask: torch.Tensor, frame_mask: torch.Tensor, encoded: bool = True
    ) -> torch.Tensor:
        """Scores `(B, classes)`.

        Args:
            imu, node_mask, frame_mask: as in `AnyMoSTGCNModel`.
            encoded: False leaves the encoder's features out.
        """
        if encoded:
            out = self.encoder(imu, node_mask, frame_mask, return_dict=True)
            features = [self.scale(_mean_and_deviation(out.last_hidden_state, out.attention_mask))]
        else:
            features = [imu.new_zeros(len(imu), self.scale.num_features)]
        signals = signal_channels(imu[:, :, self.nodes], frame_mask, self.invariant)
        real = frame_mask
        x = ((signals - self.mean) / self.deviation).clamp(-_CLIP, _CLIP) * real[..., None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.gelu(norm(convolution(x.mT))).mT
            real = real[:, :: convolution.stride[0]]
            x = x * real[..., None]
        features.append(_mean_and_deviation(x, real))
        return self.head(self.dropout(torch.cat(features, 1)))


def _mean_and_deviation(x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Over real steps of `(B, L, C)`, side by side."""
    weight = real[..., None].to(x.dtype)
    count = weight.sum(1)
    mean = (x * weight).sum(1) / count
    variance = ((x - mean[:, None]).square() * weight).sum(1) / count
    return torch.cat([mean, (variance + 1e-6).sqrt()], 1)


def train_network(
    encoder: AnyMoSTGCNModel,
    windows: Sequence[Mapping[int, np.ndarray]],
    target: np.ndarray,
    classes: int,
    settings: NetworkSettings,
    seed: int,
    step_done: Callable[[], None] = lambda: None,
) -> WindowNetwork:
    """A network that has learned, in evaluation mode; the same seed gives the same on as many threads.

    Args:
        encoder: to start from.
        windows: n as `AnyMoFeatureExtractor.read` gives them, worn on the same segments.
        target: `(n,)` numbers of classes.
        classes: how many.
        settings: how.
        seed: of the first weights, the order of windows, their cuts and turns, and dropout.
        step_done: called after each step.
    """
    nodes = sorted(windows[0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        network = WindowNetwork(encoder, nodes, classes, settings)
        _set_scale(network, windows)
        own = list(network.encoder.parameters())
        others = [value for name, value in network.named_parameters() if not name.startswith("encoder.")]
        rates = [settings.encoder_rate, settings.rate]
        optimiser = torch.optim.AdamW(
            [{"params": part, "lr": rate} for part, rate in zip((own, others), rates, strict=True)], weight_decay=0.02
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, settings.steps)
        truth, order = torch.from_numpy(target), torch.empty(0, dtype=torch.long)
        network.train()
        for step in range(settings.steps):
            while len(order) < settings.batch_size:
                order = torch.cat([order, torch.randperm(len(windows), generator=generator)])
            rows, order = order[: settings.batch_size], order[settings.batch_size :]
            shown = [_cut(windows[row], settings.frames, generator) for row in rows.tolist()]
            imu, node_mask, frame_mask = stack_recordings(shown)
            imu = turn_devices(imu, node_mask, settings.degrees, generator)
            scores = network(imu, node_mask, frame_mask, encoded=step % _ENCODER_EVERY == 0)
            loss = F.cross_entropy(scores, truth[rows], label_smoothing=settings.smoothing)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            step_done()
    return network.eval()


@torch.inference_mode()
def class_scores(network: WindowNetwork, windows: Sequence[Mapping[int, np.ndarray]]) -> np.ndarray:
    """Log chances `(n, classes)` of windows as in `train_network`, whole and as they are worn."""
    parts = [
        network(*stack_recordings(windows[start : start + _AT_ONCE])).log_softmax(1)
        for start in range(0, len(windows), _AT_ONCE)
    ]
    return torch.cat(parts).double().numpy()


def _set_scale(network: WindowNetwork, windows: Sequence[Mapping[int, np.ndarray]]) -> None:
    """Mean and deviation of each channel over the training windows."""
    count, total, square = 0, 0.0, 0.0
    for start in range(0, len(windows), _AT_ONCE):
        imu, _, frame_mask = stack_recordings(windows[start : start + _AT_ONCE])
        channels = signal_channels(imu[:, :, network.nodes].double(), frame_mask, network.invariant)[frame_mask]
        count, total, square = count + len(channels), total + channels.sum(0), square + channels.square().sum(0)
    mean = total / count
    network.mean.copy_(mean)
    network.deviation.copy_((square / count - mean.square()).clamp_min(0).sqrt() + 1e-3)


def _cut(window: Mapping[int, np.ndarray], frames: int, generator: torch.Generator) -> dict[int, np.ndarray]:
    length = len(next(iter(window.values())))
    start = int(torch.randint(max(1, length - frames + 1), (1,), generator=generator))
    return {node: signal[start : start + frames] for node, signal in window.items()}
