"""Encoders of the compared methods, small, as they are trained on our corpus: 5 s at 60 Hz in, one row a window out.

Each reads what its method can read of a window: the graphs all worn sensors, the others one sensor. Windows that are shorter
are wrapped around to 5 s, longer ones cut; several sensors of one window are then averaged by `mean_of_parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..modeling.body_segments import SEGMENTS
from ..modeling.configuration_anymo import AnyMoSTGCNConfig
from ..modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from .imagebind import ImuPreprocessor, Trunk
from .imu2clip import IMU2CLIPEncoder
from .mantis import SAMPLES as MANTIS_SAMPLES
from .mantis import Mantis
from .unimts import NODES, PARENTS, WIDTHS, GraphEncoder

RATE, SAMPLES = 60.0, 300


class JointGraph(nn.Module):
    """UniMTS's graph of 22 joints on accelerations at 20 Hz.

    Args:
        share: of the published widths.
    """

    one_sensor = False
    low_pass: torch.Tensor
    nodes: torch.Tensor

    def __init__(self, share: float = 0.25):
        from scipy.signal import firwin

        super().__init__()
        widths = [round(share * width) for width in WIDTHS]
        self.graph, self.width = GraphEncoder(widths), widths[-1]
        # the low-pass of modeling.imu_signal from 60 to 20 Hz
        taps = torch.tensor(firwin(61, 1 / 3, window=("kaiser", 5.0)), dtype=torch.float32)
        self.register_buffer("low_pass", taps.view(1, 1, -1))
        members = torch.zeros(len(PARENTS), len(SEGMENTS))
        for column, segment in enumerate(SEGMENTS):
            members[NODES[segment], column] = 1.0
        self.register_buffer("nodes", members)

    def forward(self, windows: torch.Tensor, worn: torch.Tensor) -> torch.Tensor:
        """`windows` `(batch, samples, 23, 6)` and `worn` `(batch, 23)` bool -> `(batch, width)`.

        Two worn segments that are one joint to it are averaged.
        """
        weight = self.nodes * worn[:, None].to(windows)  # (batch, 22, 23)
        weight = weight / weight.sum(2, keepdim=True).clamp_min(1.0)
        joints = torch.einsum("bns,btsc->bnct", weight, windows[..., :3])
        rows = F.pad(joints.flatten(0, 2)[:, None], (30, 30), mode="replicate")
        slow = F.conv1d(rows, self.low_pass, stride=3)[:, 0]
        return self.graph(slow.view(*joints.shape[:3], -1).permute(0, 3, 1, 2))


class ConvolutionGRU(nn.Module):
    """IMU2CLIP's convolutions and GRU, which walks over time.

    Args:
        dim: of the GRU (published: 512).
    """

    one_sensor = True

    def __init__(self, dim: int = 960):
        super().__init__()
        self.layers, self.width = IMU2CLIPEncoder("fixed", dim=dim), dim

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """`windows` `(batch, samples, 6)` -> `(batch, width)`."""
        return self.layers(windows.transpose(1, 2))


class PatchTransformer(nn.Module):
    """ImageBind's IMU tower: patches of eight samples, an extra key and value, the class token read.

    Args:
        width, layers, heads: published: 512, 6 and 8.
    """

    one_sensor = True

    def __init__(self, width: int = 256, layers: int = 4, heads: int = 8):
        super().__init__()
        self.width = width
        self.tokens, self.trunk = ImuPreprocessor(width, SAMPLES), Trunk(width, layers, heads, key=True)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        nn.init.trunc_normal_(self.tokens.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.tokens.cls_token, std=0.02)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """`windows` `(batch, 300, 6)` -> `(batch, width)`.

        Raises:
            ValueError: another number of samples, which has no positions.
        """
        if windows.shape[1] != SAMPLES:
            raise ValueError(f"the patch transformer takes {SAMPLES} frames, got {windows.shape[1]}; set frames: [300]")
        return self.norm(self.trunk(self.tokens(windows.transpose(1, 2))))[:, 0]


class ChannelTransformer(nn.Module):
    """COMODO's student: MantisV2 on every channel, its class tokens side by side.

    Args:
        dim, layers, heads, hidden: of `Mantis`.
    """

    one_sensor = True

    def __init__(self, dim: int = 128, layers: int = 3, heads: int = 4, hidden: int = 256):
        super().__init__()
        self.mantis, self.width = Mantis(2, dim, layers, heads, hidden=hidden), 6 * dim
        self.mantis.prj = nn.Identity()  # of Mantis's own pre-training

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """`windows` `(batch, samples, 6)` -> `(batch, width)`."""
        series = F.interpolate(windows.transpose(1, 2), MANTIS_SAMPLES, mode="linear")
        return self.mantis(series.reshape(-1, MANTIS_SAMPLES)).reshape(len(windows), -1)


class SurfaceGraph(nn.Module):
    """AnyMo's own encoder, which learns by masked cross-view prediction (Eq. 3) beside the text objective.

    Args:
        preset: of `AnyMoSTGCNConfig`.
    """

    one_sensor = False

    def __init__(self, preset: str = "nano"):
        super().__init__()
        config = AnyMoSTGCNConfig.from_preset(preset)
        self.pretraining, self.width = AnyMoSTGCNForPreTraining(config), config.latent_dim

    def forward(self, windows: torch.Tensor, worn: torch.Tensor) -> torch.Tensor:
        """`windows` `(batch, samples, 23, 6)` and `worn` `(batch, 23)` bool -> mean latents `(batch, width)`."""
        return self.pretraining.encoder(windows, worn).last_hidden_state.mean(1)

    def learn(self, views: torch.Tensor, worn: torch.Tensor, **parts: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean latents `(2, batch, width)` and the loss of two `views` of the same windows with their `worn` sensors.

        `parts` are `gather` and `first_row` of `AnyMoSTGCNForPreTraining.forward`.
        """
        found = self.pretraining(*views, *worn, **parts)
        return found.last_hidden_state.mean(1).unflatten(0, (2, -1)), found.loss


ENCODERS: dict[str, Callable[..., Any]] = {
    "joint_graph": JointGraph,
    "convolution_gru": ConvolutionGRU,
    "patch_transformer": PatchTransformer,
    "channel_transformer": ChannelTransformer,
    "surface_graph": SurfaceGraph,
}


class AlignedNetwork(nn.Module):
    """An encoder and the objective that ties it to sentence vectors; `settings` says what to build it from.

    Args:
        encoder: key of `ENCODERS`; encoder_options: its arguments.
        objective: name of a `TEXT_OBJECTIVE`; options: its arguments.

    Raises:
        ValueError: unknown names or arguments.
    """

    def __init__(
        self, encoder: str, objective: str, options: Mapping[str, Any] | None = None,
        encoder_options: Mapping[str, Any] | None = None,
    ):  # fmt: skip
        from ..training.losses import text_objectives

        super().__init__()
        known = text_objectives()
        if encoder not in ENCODERS or objective not in known:
            raise ValueError(
                f"encoder must be one of {', '.join(ENCODERS)} and objective of {', '.join(known)}, got {encoder!r} and "
                f"{objective!r}"
            )
        self.settings = {
            "encoder": encoder, "objective": objective, "options": dict(options or {}),
            "encoder_options": dict(encoder_options or {}),
        }  # fmt: skip
        try:
            self.encoder = ENCODERS[encoder](**self.settings["encoder_options"])
            self.objective = known[objective].make(self.encoder.width, **self.settings["options"])
        except TypeError as error:
            raise ValueError(f"options or encoder_options: {error}") from error

    def encode(self, windows: torch.Tensor, worn: torch.Tensor) -> torch.Tensor:
        """What the encoder says `(batch, width)` of `windows` `(batch, samples, 23, 6)` with sensors `worn` `(batch, 23)`.

        One that reads one sensor takes the first worn one.
        """
        if not self.encoder.one_sensor:
            return self.encoder(windows, worn)
        first = worn.to(torch.uint8).argmax(1)
        return self.encoder(windows[torch.arange(len(windows), device=windows.device), :, first])
