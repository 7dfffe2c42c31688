"""UniMTS (Zhang et al., NeurIPS 2024): a graph encoder of joint accelerations beside CLIP's text tower."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from ..modeling.body_segments import SEGMENTS, resolve_placement, spatial_partitions
from ..modeling.configuration_anymo import AnyMoSTGCNConfig
from ..modeling.imu_signal import resample
from ..modeling.modeling_stgcn import STGCNBlock
from ..recordings.imu_recording import ImuRecording
from .clip_text import ClipTextTower, load_tokenizer
from .interface import System
from .published_weights import PublishedFile, device_of, load_network, mean_of_parts, run_batches, unit

RATE, SAMPLES = 20.0, 200
# its 22 joints: left leg, right leg, spine and head, left arm, right arm; each hangs on the one given
PARENTS = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 12, 11, 14, 15, 16, 11, 18, 19, 20)
NODES = {
    "Pelvis": 0, "L_UpperLeg": 1, "L_LowerLeg": 2, "L_Foot": 3, "L_Toe": 4, "R_UpperLeg": 5, "R_LowerLeg": 6, "R_Foot": 7,
    "R_Toe": 8, "L5": 9, "L3": 10, "T12": 11, "T8": 11, "Neck": 12, "Head": 13, "L_Shoulder": 14, "L_UpperArm": 15,
    "L_Forearm": 16, "L_Hand": 17, "R_Shoulder": 18, "R_UpperArm": 19, "R_Forearm": 20, "R_Hand": 21,
}  # fmt: skip
WIDTHS = (64, 64, 64, 64, 128, 128, 128, 256, 256, 512)
STRIDES = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)
WEIGHTS = PublishedFile(
    "UniMTS", "Apache-2.0 (its Hub page)", "UniMTS.pth", "unimts", "xiyuanz/UniMTS", "checkpoint/UniMTS.pth"
)


class GraphEncoder(nn.Module):
    """Ten ST-GCN blocks over 22 joints, averaged over time and joints; 177 tensors at the published widths."""

    A: torch.Tensor

    def __init__(self, widths: Sequence[int] = WIDTHS):
        super().__init__()
        graph = torch.tensor(spatial_partitions("official", PARENTS))
        self.register_buffer("A", graph)
        self.data_bn = nn.BatchNorm1d(3 * len(PARENTS))
        sizes = [3, *widths]
        block = AnyMoSTGCNConfig(dropout=0.0)
        self.st_gcn_networks = nn.ModuleList(
            STGCNBlock(sizes[row], sizes[row + 1], stride, row > 0, block) for row, stride in enumerate(STRIDES)
        )
        self.edge_importance = nn.ParameterList(nn.Parameter(torch.ones_like(graph)) for _ in STRIDES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` `(batch, 200, 22, 3)` m/s² with gravity, zero where no sensor is -> `(batch, 512)`."""
        batch, samples, nodes, channels = x.shape
        x = self.data_bn(x.reshape(batch, samples, -1).transpose(1, 2)).transpose(1, 2)
        x = x.reshape(batch, samples, nodes, channels).permute(2, 0, 1, 3).contiguous()
        for block, importance in zip(self.st_gcn_networks, self.edge_importance, strict=True):
            x = block(x, self.A * importance, None)
        return x.mean((0, 2))


class UniMTSNetwork(nn.Module):
    """`acc`, the encoder, and the text tower at the root, as in its checkpoint of 327 tensors."""

    def __init__(self, encoder: GraphEncoder | None = None, text: ClipTextTower | None = None):
        super().__init__()
        self.acc = encoder or GraphEncoder()
        tower = text or ClipTextTower()
        # the checkpoint has no prefix before the tower's names
        for name, value in tower.named_parameters(recurse=False):
            self.register_parameter(name, value)
        for name, module in tower.named_children():
            self.add_module(name, module)

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        """As `ClipTextTower.forward`."""
        return ClipTextTower.forward(self, tokens)  # type: ignore[arg-type]


class UniMTS(System):
    """The released weights, zero-shot, from accelerometers alone.

    Args:
        network, tokenizer: see `load`.
        variant: "faithful": to 20 Hz by a Fourier transform over the window, a shorter window wrapped around to 10 s, of a
            longer one the first 10 s. "mended": to 20 Hz by this package's low-pass, whose ends do not wrap, and a longer
            window in pieces of 10 s whose embeddings are averaged.
        batch_size: windows at a time.
    """

    name, title, requires, licence = "unimts", "UniMTS", "weights", WEIGHTS.licence
    rate, reads = RATE, 3
    usual = "faithful"

    def __init__(
        self,
        network: Any,
        tokenizer: Callable[[Sequence[str]], np.ndarray],
        variant: str = "faithful",
        batch_size: int = 64,
    ):
        if variant not in ("faithful", "mended"):
            raise ValueError(f"variant must be 'faithful' or 'mended', got {variant!r}")
        self.network, self.tokenizer, self.variant, self.batch_size = network.eval(), tokenizer, variant, batch_size

    @classmethod
    def load(cls, source: str | None = None, seed: int = 0) -> UniMTS:
        """`source`: UniMTS.pth, its folder or Hub id; nothing in it is random."""
        path = WEIGHTS.find(source)
        return cls(load_network(UniMTSNetwork, path), load_tokenizer(path), cls.usual)

    def embed_imu(self, recordings: Sequence[ImuRecording]) -> np.ndarray:
        """As `System.embed_imu`.

        Raises:
            ValueError: also where two placements of a window are one of its 22 joints.
        """
        self.check(recordings)
        inputs, owners = [], []
        for owner, one in enumerate(recordings):
            for piece in self._pieces(one, owner):
                inputs.append(piece)
                owners.append(owner)
        found = run_batches(self.network.acc, inputs, device_of(self.network), self.batch_size)
        return mean_of_parts(found, owners)

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """As `System.embed_text`; its own evaluation gives bare labels, synonyms joined by spaces."""
        tokens = self.tokenizer(texts)
        return unit(run_batches(self.network.encode_text, list(tokens), device_of(self.network), self.batch_size))

    def _pieces(self, recording: ImuRecording, number: int) -> list[np.ndarray]:
        """Inputs `(200, 22, 3)`."""
        from scipy.signal import resample as fourier_resample

        count = int(len(next(iter(recording.signals.values()))) * RATE / recording.sampling_rate)
        if count < 1:
            raise ValueError(f"{self.title}: window {number} is shorter than a sample at {RATE:g} Hz")
        worn: dict[int, str] = {}
        whole = np.zeros((count, len(PARENTS), 3))
        for place, signal in recording.signals.items():
            node = NODES[SEGMENTS[resolve_placement(place, wrist="hand")]]
            if node in worn:
                raise ValueError(
                    f"{self.title}: window {number}: {worn[node]!r} and {place!r} are one joint to it; leave one out"
                )
            worn[node] = place
            acceleration = np.asarray(signal[:, :3], dtype=float)
            if self.variant == "faithful":
                whole[:, node] = fourier_resample(acceleration, count)
            else:
                whole[:, node] = resample(acceleration, recording.sampling_rate, RATE, count=count)
        pieces = range(0, max(1, count // SAMPLES) * SAMPLES, SAMPLES)
        if self.variant == "faithful":
            pieces = pieces[:1]
        wrapped = np.arange(SAMPLES)
        return [whole[start : start + SAMPLES][wrapped % min(SAMPLES, count)] for start in pieces]


class UniMTSMended(UniMTS):
    """The same weights with `variant="mended"`."""

    name, title, usual = "unimts_mended", "UniMTS, mended input", "mended"
