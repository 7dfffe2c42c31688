"""Feature extractor: recordings from any placement, rate and unit to motion codes, with the ST-GCN and PQ-VAE inside."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import BatchFeature, FeatureExtractionMixin
from transformers.utils import cached_file

from .body_segments import resolve_placement
from .configuration_anymo import AnyMoIMUTokenizerConfig, AnyMoPQVAEConfig, AnyMoSTGCNConfig
from .imu_signal import (
    ACCELERATION_UNITS,
    ANGULAR_VELOCITY_UNITS,
    TARGET_RATE,
    ImuWarning,
    resample,
    resolve_unit,
    suspicious_units,
)
from .known_names import did_you_mean
from .modeling_imu_tokenizer import IMU_TOKENIZER_FOLDER as _FOLDER
from .modeling_pqvae import AnyMoPQVAEModel
from .modeling_stgcn import AnyMoSTGCNModel
from .saved_code import IMU_TOKENIZER_CLASSES, add_code, push_saved, without_residue, write_json
from .strict_loading import loading

_AT_ONCE = 64  # recordings in a pass of the encoder
_CONFIG, _WEIGHTS = "config.json", "model.safetensors"
_FILE_ARGUMENTS = (
    "cache_dir", "force_download", "proxies", "token", "revision", "local_files_only", "subfolder", "user_agent",
)  # fmt: skip
# what Auto classes add, and what users write for any checkpoint: it says nothing to a class that is already chosen
_AUTO_ARGUMENTS = ("trust_remote_code", "code_revision", "use_fast", "_from_auto", "_from_pipeline", "_commit_hash")


def split_arguments(kwargs: Mapping[str, Any], own: Sequence[str], where: str) -> tuple[dict, dict]:
    """Arguments of a `from_pretrained`: the class's own, and those that say where files come from.

    Raises:
        ValueError: an argument that is neither.
    """
    unknown = sorted(set(kwargs) - {*own, *_FILE_ARGUMENTS, *_AUTO_ARGUMENTS})
    # `pipeline` hands the model's arguments, such as dtype, to every part
    if unknown and "_from_pipeline" not in kwargs:
        raise ValueError(f"unknown arguments {unknown} of {where}; its own are {', '.join(own)}")
    return (
        {name: kwargs[name] for name in own if name in kwargs},
        {name: kwargs[name] for name in _FILE_ARGUMENTS if name in kwargs},
    )


_SETTINGS = (
    "placements",
    "sampling_rate",
    "acceleration_unit",
    "angular_velocity_unit",
)  # of `read`, for "did you mean"


class AnyMoFeatureExtractor(FeatureExtractionMixin):
    """IMU recordings to code ids (paper §3.2, "Full-Body IMU Tokenization").

    Args:
        stgcn, pqvae: the frozen encoder and tokenizer.
        wrist: the segment a wrist counts as, "forearm" or "hand".

    Attributes:
        name_or_path: the folder or repository it was loaded from; "" when made in memory.

    Raises:
        ValueError: a network is missing, or they do not fit each other.

    A missing gyroscope (three columns) reads as zero angular velocity, the value of a sensor that does not turn.
    """

    model_input_names = ["imu_codes", "imu_code_mask"]
    _warned: frozenset[str] = frozenset()

    def __init__(
        self,
        stgcn: AnyMoSTGCNModel | None = None,
        pqvae: AnyMoPQVAEModel | None = None,
        wrist: str = "forearm",
        **kwargs,
    ):
        if stgcn is None or pqvae is None:
            missing = " and ".join(name for name, part in (("stgcn", stgcn), ("pqvae", pqvae)) if part is None)
            raise ValueError(
                f"AnyMoFeatureExtractor needs {missing}: load a trained one with AnyMoFeatureExtractor.from_pretrained"
                "(folder), or give both networks, AnyMoFeatureExtractor(stgcn, pqvae)"
            )
        resolve_placement("left_wrist", wrist)
        super().__init__(**kwargs)
        self.wrist = wrist
        self.stgcn, self.pqvae = stgcn.eval(), pqvae.eval()
        self.name_or_path = ""
        if self.pqvae.config.input_dim != self.stgcn.config.latent_dim:
            raise ValueError(
                f"pqvae reads latents of width {self.pqvae.config.input_dim}, stgcn gives {self.stgcn.config.latent_dim}"
            )

    def to_dict(self) -> dict[str, Any]:
        """What goes into preprocessor_config.json: settings only, the weights have their own file."""
        return {"feature_extractor_type": type(self).__name__, "sampling_rate": TARGET_RATE, "wrist": self.wrist}

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs) -> list[str]:
        """Writes preprocessor_config.json and `imu_tokenizer/` (configuration and safetensors weights)."""
        folder = Path(save_directory)
        (folder / _FOLDER).mkdir(parents=True, exist_ok=True)
        tensors = {f"stgcn.{name}": tensor for name, tensor in self.stgcn.state_dict().items()}
        tensors |= {f"pqvae.{name}": tensor for name, tensor in self.pqvae.state_dict().items()}
        weights, temporary = folder / _FOLDER / _WEIGHTS, folder / _FOLDER / f".{_WEIGHTS}.tmp"
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, {"format": "pt"})
        os.replace(temporary, weights)
        config = AnyMoIMUTokenizerConfig(self.stgcn.config, self.pqvae.config, architectures=["AnyMoIMUTokenizerModel"])
        for path, content in (
            (folder / _FOLDER / _CONFIG, without_residue(config.to_dict()) | {"auto_map": IMU_TOKENIZER_CLASSES}),
            (folder / "preprocessor_config.json", self.to_dict()),
        ):
            write_json(path, content)
        add_code(folder, "preprocessor_config.json")
        if push_to_hub:
            push_saved(self, folder, kwargs)
        return [str(folder / "preprocessor_config.json"), str(weights)]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, **kwargs) -> AnyMoFeatureExtractor:  # type: ignore[override]
        """Loads what `save_pretrained` wrote, from a folder or a Hub repository.

        Args:
            pretrained_model_name_or_path: the folder or the repository's name.
            kwargs: `wrist` in place of the saved one; the usual Hub arguments, such as `revision` and `token`.

        Raises:
            OSError: a file is missing, cut short or not safetensors.
            ValueError: tensors are missing, unexpected or of another shape; an unknown argument.
        """
        own, hub = split_arguments(kwargs, ("wrist",), "AnyMoFeatureExtractor.from_pretrained")
        with loading(pretrained_model_name_or_path):
            return cls._load(pretrained_model_name_or_path, own, hub)

    @classmethod
    def _load(cls, pretrained_model_name_or_path, own: dict[str, Any], hub: dict[str, Any]) -> AnyMoFeatureExtractor:
        settings, _ = cls.get_feature_extractor_dict(pretrained_model_name_or_path, **hub)
        files = [cached_file(pretrained_model_name_or_path, f"{_FOLDER}/{name}", **hub) for name in (_CONFIG, _WEIGHTS)]
        try:
            config = json.loads(Path(files[0]).read_text())
            tensors = load_file(files[1])
        except (SafetensorError, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise OSError(
                f"{Path(files[1]).parent}: damaged configuration or weights ({error}); save it again"
            ) from error
        if missing := {"stgcn_config", "pqvae_config"} - set(config):
            raise ValueError(f"{files[0]}: keys {sorted(missing)} are missing; save the feature extractor again")
        if stray := sorted(name for name in tensors if not name.startswith(("stgcn.", "pqvae."))):
            raise ValueError(f"{files[1]}: unexpected tensors {stray[:5]}; save the feature extractor again")
        stgcn = AnyMoSTGCNModel(AnyMoSTGCNConfig.from_dict(config["stgcn_config"]))
        pqvae = AnyMoPQVAEModel(AnyMoPQVAEConfig.from_dict(config["pqvae_config"]))
        for prefix, model in (("stgcn.", stgcn), ("pqvae.", pqvae)):
            part = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
            floating = next((t.dtype for t in part.values() if t.dtype in (torch.bfloat16, torch.float16)), None)
            if floating is not None:
                model.to(floating)
            try:
                model.load_state_dict(part, strict=True, assign=True)
            except RuntimeError as error:
                raise ValueError(f"{files[1]}: weights do not fit {files[0]}: {error}") from error
        extractor = cls(stgcn, pqvae, **({"wrist": settings.get("wrist", "forearm")} | own))
        extractor.name_or_path = str(pretrained_model_name_or_path)
        return extractor

    def to(self, *args, **kwargs) -> AnyMoFeatureExtractor:
        """Moves both networks to a device or dtype, as `nn.Module.to`; recordings stay on the CPU until they are encoded."""
        self.stgcn.to(*args, **kwargs)
        self.pqvae.to(*args, **kwargs)
        return self

    @property
    def device(self) -> torch.device:
        """Where recordings are encoded."""
        return self.stgcn.device

    def read(
        self,
        imu: Mapping | Sequence,
        placements: Sequence[str] | None = None,
        sampling_rate: float | None = None,
        acceleration_unit: str = "m/s^2",
        angular_velocity_unit: str = "rad/s",
        **unknown: Any,
    ) -> list[dict[int, np.ndarray]]:
        """Recordings at 60 Hz in m/s^2 and rad/s: for each, segment index -> `(T, 6)`.

        Args:
            imu: placement -> `(T, 6)` or `(T, 3)`, or a list of such; with `placements`, an array or a list of arrays
                `(T, P, 6)` or, for one placement, `(T, 6)`.
            placements: names for the arrays' sensors.
            sampling_rate: Hz, of every recording.
            acceleration_unit: "m/s^2", "g" or "mg", in any usual spelling.
            angular_velocity_unit: "rad/s" or "deg/s", in any usual spelling.

        Warns:
            ImuWarning: once, where the size of a signal says that its unit is another.

        Raises:
            ValueError: an argument of another name, nothing given, wrong shape, NaN or infinite samples, under one second,
                an unknown placement or unit, two sensors on one segment, or an impossible rate.
        """
        if unknown:
            raise ValueError(f"unknown arguments {sorted(unknown)}{did_you_mean(unknown, _SETTINGS)}")
        if sampling_rate is None:
            raise ValueError("sampling_rate is missing: give the rate of the recording in Hz")
        try:
            rate = float(sampling_rate)
        except (TypeError, ValueError) as error:
            raise ValueError(f"sampling_rate must be a number in Hz, got {sampling_rate!r}") from error
        if not 5 <= rate <= 10_000:
            raise ValueError(f"sampling_rate must lie between 5 and 10,000 Hz, got {sampling_rate}")
        acceleration_unit = resolve_unit(acceleration_unit, ACCELERATION_UNITS, "acceleration_unit")
        angular_velocity_unit = resolve_unit(angular_velocity_unit, ANGULAR_VELOCITY_UNITS, "angular_velocity_unit")
        recordings = _as_recordings(imu, placements)
        factors = np.array(
            [ACCELERATION_UNITS[acceleration_unit]] * 3 + [ANGULAR_VELOCITY_UNITS[angular_velocity_unit]] * 3
        )
        worn: list[dict[int, np.ndarray]] = []
        for number, recording in enumerate(recordings):
            nodes: dict[int, np.ndarray] = {}
            for name, signal in recording.items():
                node = resolve_placement(name, self.wrist)
                if node in nodes:
                    raise ValueError(
                        f"recording {number}: {name!r} and another sensor are on the same segment; keep one"
                    )
                values = _check(signal, f"recording {number}, {name!r}", rate) * factors
                self._warn_once(f"recording {number}, {name!r}", values, acceleration_unit, angular_velocity_unit)
                nodes[node] = resample(values, rate)
            if len({len(signal) for signal in nodes.values()}) > 1:
                lengths = {name: len(signal) for name, signal in recording.items()}
                raise ValueError(f"recording {number}: sensors differ in length: {lengths}; cut them to the same span")
            worn.append(nodes)
        return worn

    def _warn_once(self, where: str, values: np.ndarray, *units: str) -> None:
        """One warning of a kind, since windows come by the thousand."""
        for message in suspicious_units(values, *units):
            kind = message.split(" ", 2)[1]
            if kind not in self._warned:
                self._warned |= {kind}
                warnings.warn(f"{message} ({where}; said of the first such window only)", ImuWarning, stacklevel=4)

    def prepare(self, imu, placements=None, **settings) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Recordings to encoder inputs, see `stack_recordings`; the arguments and errors are those of `read`."""
        return stack_recordings(self.read(imu, placements, **settings))

    @torch.no_grad()
    def encode(
        self, imu: torch.Tensor, node_mask: torch.Tensor, frame_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder inputs to `(codes, mask)`, each `(B, 2L)`: `code + size * book`, books interleaved in time."""
        device = self.stgcn.device
        frame_mask = None if frame_mask is None else frame_mask.to(device)
        latents = self.stgcn(imu.to(device, self.stgcn.dtype), node_mask.to(device), frame_mask, return_dict=True)
        assert latents.last_hidden_state is not None and latents.attention_mask is not None
        codes = self.pqvae.encode(latents.last_hidden_state, latents.attention_mask)
        books = torch.arange(codes.shape[-1], device=codes.device) * self.pqvae.config.codebook_size
        mask = latents.attention_mask[..., None].expand_as(codes)
        return ((codes + books) * mask).flatten(1), mask.flatten(1).long()

    def encode_all(self, worn: Sequence[Mapping[int, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor]:
        """What `read` gives to `(codes, mask)` as `encode`, a few recordings at a time, so that any number fits."""
        parts = [
            self.encode(*stack_recordings(worn[begin : begin + _AT_ONCE])) for begin in range(0, len(worn), _AT_ONCE)
        ]
        longest = max(codes.shape[1] for codes, _ in parts)
        codes, mask = (
            torch.cat([torch.nn.functional.pad(part[n], (0, longest - part[n].shape[1])) for part in parts])
            for n in (0, 1)
        )
        return codes, mask

    def __call__(self, imu, placements=None, return_tensors: str | None = None, **settings) -> BatchFeature:
        """Recordings to `imu_codes` and `imu_code_mask` `(B, 2L)` and `imu_placements` (segment indices of each).

        The arguments and errors are those of `read`.
        """
        worn = self.read(imu, placements, **settings)
        codes, mask = self.encode_all(worn)
        features = BatchFeature(
            {"imu_codes": codes.tolist(), "imu_code_mask": mask.tolist()}, tensor_type=return_tensors
        )
        features["imu_placements"] = [sorted(nodes) for nodes in worn]
        return features


def stack_recordings(worn: Sequence[Mapping[int, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What `AnyMoFeatureExtractor.read` gives, padded at the end to one length.

    Returns:
        `imu` `(B, T, 23, 6)`, node mask `(B, 23)` and frame mask `(B, T)`, both bool.
    """
    frames = max(len(signal) for nodes in worn for signal in nodes.values())
    batch = np.zeros((len(worn), frames, 23, 6), dtype=np.float32)
    node_mask = torch.zeros(len(worn), 23, dtype=torch.bool)
    frame_mask = torch.zeros(len(worn), frames, dtype=torch.bool)
    for row, nodes in enumerate(worn):
        for node, signal in nodes.items():
            batch[row, : len(signal), node] = signal
            node_mask[row, node] = True
            frame_mask[row, : len(signal)] = True
    return torch.from_numpy(batch), node_mask, frame_mask


def _as_recordings(imu, placements: Sequence[str] | None) -> list[Mapping[str, np.ndarray]]:
    if isinstance(imu, (Mapping, np.ndarray, torch.Tensor)):
        imu = [imu]
    if imu is None or isinstance(imu, str) or not hasattr(imu, "__len__"):
        raise ValueError(f"imu must map placement -> samples, or be a list of such or an array, got {imu!r}")
    if not len(imu):
        raise ValueError("imu is empty; give at least one recording")
    if isinstance(imu[0], Mapping):
        for number, recording in enumerate(imu):
            if not isinstance(recording, Mapping) or not recording:
                raise ValueError(f"imu: recording {number} is without a sensor; give placement -> samples")
        return list(imu)
    placements = [placements] if isinstance(placements, str) else placements
    if not placements:
        raise ValueError("placements is missing: arrays need the names of their sensors")
    if len(set(placements)) < len(placements):
        raise ValueError(f"placements names a sensor twice: {list(placements)}; each needs its own segment")
    recordings = []
    for array in imu:
        values = np.asarray(array)
        values = values[:, None] if values.ndim == 2 else values
        if values.ndim != 3 or values.shape[1] != len(placements):
            raise ValueError(
                f"imu must be (T, {len(placements)}, 6) for placements {list(placements)}, got {values.shape}"
            )
        recordings.append({name: values[:, i] for i, name in enumerate(placements)})
    return recordings


def _check(signal, where: str, rate: float) -> np.ndarray:
    """A finite `(T, 6)` float64 array of at least a second."""
    try:
        values = np.asarray(signal, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: samples must be numbers in a (T, 6) array ({error})") from error
    if values.ndim != 2 or values.shape[1] not in (3, 6):
        raise ValueError(f"{where}: samples must be (T, 6) or, without a gyroscope, (T, 3), got {values.shape}")
    if len(values) < rate:
        raise ValueError(f"{where}: {len(values)} samples at {rate} Hz are under one second; give a longer recording")
    if not np.isfinite(values).all():
        raise ValueError(f"{where}: NaN or infinite samples; interpolate or cut them out")
    return values if values.shape[1] == 6 else np.pad(values, ((0, 0), (0, 3)))
