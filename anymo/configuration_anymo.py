"""Configurations of encoder, IMU tokenizer and the whole AnyMo model, with `paper`, `small` and `nano` presets."""

from __future__ import annotations

from inspect import signature
from math import isfinite, prod
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from .body_segments import GRAPHS
from .saved_code import add_code, push_saved

CLASSIFIER_INPUTS = ("codes", "imu")
_LARGEST_SIZE = 2**24  # far above any of a model; a library's own words on more name no field
_STRIDES = [1, 1, 1, 1, 2, 1, 1, 2, 1, 1]
_ENCODER_PRESETS: dict[str, dict] = {
    "paper": {},
    "nano": {
        "channels": [16, 16, 16, 16, 16, 16, 16, 48, 48, 48],
        "predictor_heads": 4,
        "predictor_mlp_dim": 96,
        "dropout": 0.0,
    },
    # twice the width of nano for the same work: the first block halves the frame rate
    "small": {
        "channels": [32, 32, 32, 32, 32, 32, 32, 96, 96, 96],
        "strides": [2, 1, 1, 1, 2, 1, 1, 1, 1, 1],
        "predictor_heads": 4,
        "predictor_mlp_dim": 192,
        "dropout": 0.0,
    },
}
_QUANTIZER_PRESETS: dict[str, dict] = {
    "paper": {},
    "nano": {"input_dim": 48, "bottleneck_dim": 32, "codebook_size": 512, "decoder_dim": 48},
    "small": {"input_dim": 96, "bottleneck_dim": 64, "codebook_size": 1024, "decoder_dim": 96},
}


def _preset(presets: dict[str, dict], name: str) -> dict:
    if name not in presets:
        raise ValueError(f"unknown preset {name!r}; known presets: {', '.join(sorted(presets))}")
    return dict(presets[name])


class _ConfigWithCode(PreTrainedConfig):
    """What is saved with one of our configs, a model above all, takes the code along that loads it elsewhere.

    Raises:
        ValueError: a field of a class below holds another kind of value than its signature says.
    """

    def __init__(self, **kwargs):
        _check_kinds(self)
        if not __name__.startswith("transformers_modules."):
            # what they name is registered here; transformers would ask for trust_remote_code to use it
            for name in ("auto_map", "custom_pipelines"):
                kwargs.pop(name, None)
        super().__init__(**kwargs)

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs) -> None:
        """As `PreTrainedConfig.save_pretrained`, with the code; an upload holds it as well."""
        super().save_pretrained(save_directory)
        add_code(save_directory, "config.json")
        if push_to_hub:
            push_saved(self, save_directory, kwargs)


def _check_kinds(config: PreTrainedConfig) -> None:
    """Sizes are whole numbers from 0, of lists from 1; weights and the like are finite numbers."""

    def is_size(value: Any, least: int) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= _LARGEST_SIZE

    for field in signature(type(config).__init__).parameters.values():
        kind, value = str(field.annotation), getattr(config, field.name, None)
        if value is None and "None" in kind or field.kind is field.VAR_KEYWORD:
            continue
        if kind.startswith("int") and not is_size(value, 0):
            raise ValueError(f"{field.name} must be a whole number from 0 to {_LARGEST_SIZE}, got {value!r:.80}")
        if kind.startswith("list[int]") and not (isinstance(value, list) and all(is_size(one, 1) for one in value)):
            raise ValueError(f"{field.name} must be whole numbers from 1 to {_LARGEST_SIZE}, got {value!r:.80}")
        if kind == "float" and (isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value)):
            raise ValueError(f"{field.name} must be a finite number, got {value!r:.80}")


def halving_strides(layers: int, total: int) -> list[int]:
    """Stride of each layer of the signal branch: the first ones halve the frame rate, `total` in all.

    Raises:
        ValueError: `total` is no power of two, or has more factors of two than there are layers.
    """
    halvings = total.bit_length() - 1
    if 2**halvings != total or halvings > layers:
        raise ValueError(
            f"signal_channels: {layers} layers, of which each may halve the frame rate, do not make the graph's stride of "
            f"{total}; give {max(halvings, 1)} or more, or strides whose product is a power of two"
        )
    return [2] * halvings + [1] * (layers - halvings)


class AnyMoSTGCNConfig(_ConfigWithCode):
    """ST-GCN encoder and its predictor (paper §3.2, A.3). Defaults are the paper's.

    Args:
        num_nodes: body segments in the graph.
        in_channels: channels per node: acceleration xyz (m/s^2), angular velocity xyz (rad/s).
        channels: width of each of the ten blocks.
        strides: temporal stride of each block.
        temporal_kernel: frames in a temporal convolution, odd.
        dropout: dropout after each temporal convolution.
        predictor_layers, predictor_heads, predictor_mlp_dim: the Transformer that predicts full-view latents.
        predictor_max_length: learned positions; longer inputs interpolate them.
        contrastive_temperature: of the InfoNCE loss (Eq. 3).
        min_visible, max_visible: segments left visible in a masked view.
        graph: of the body's adjacency, "depth" or "official" (see `body_segments.spatial_partitions`).
        signal_channels: width of each layer of a branch of plain convolutions over the worn sensors' own signals, whose
            latents stand beside the graph's (`signal_branch.py`); none in the paper.
        signal_members: of that branch, each with the width and latents of its own.
    """

    model_type = "anymo_stgcn"

    def __init__(
        self,
        num_nodes: int = 23,
        in_channels: int = 6,
        channels: list[int] | None = None,
        strides: list[int] | None = None,
        temporal_kernel: int = 9,
        dropout: float = 0.1,
        predictor_layers: int = 6,
        predictor_heads: int = 8,
        predictor_mlp_dim: int = 1024,
        predictor_max_length: int = 75,
        contrastive_temperature: float = 0.1,
        min_visible: int = 1,
        max_visible: int = 5,
        graph: str = "depth",
        signal_channels: list[int] | None = None,
        signal_members: int = 1,
        **kwargs,
    ):
        self.num_nodes = num_nodes
        self.in_channels = in_channels
        self.channels = list(channels or [64] * 4 + [128] * 3 + [256] * 3)
        self.strides = list(strides or _STRIDES)
        self.temporal_kernel = temporal_kernel
        self.dropout = dropout
        self.predictor_layers = predictor_layers
        self.predictor_heads = predictor_heads
        self.predictor_mlp_dim = predictor_mlp_dim
        self.predictor_max_length = predictor_max_length
        self.contrastive_temperature = contrastive_temperature
        self.min_visible = min_visible
        self.max_visible = max_visible
        self.graph = graph
        self.signal_channels = list(signal_channels or [])
        self.signal_members = signal_members
        if signal_members < 1:
            raise ValueError(f"signal_members must be at least 1, got {signal_members}")
        if graph not in GRAPHS:
            raise ValueError(f"graph must be one of {', '.join(GRAPHS)}, got {graph!r}")
        if len(self.channels) != len(self.strides):
            raise ValueError(f"channels and strides must have one entry per block, got {channels} and {strides}")
        if temporal_kernel % 2 == 0:
            raise ValueError(f"temporal_kernel must be odd, got {temporal_kernel}")
        if not 1 <= min_visible <= max_visible <= num_nodes:
            raise ValueError(f"need 1 <= min_visible <= max_visible <= {num_nodes}, got {min_visible}, {max_visible}")
        if self.signal_channels:
            halving_strides(len(self.signal_channels), prod(self.strides))
            if self.latent_dim % predictor_heads:
                raise ValueError(
                    f"signal_channels: latents of width {self.latent_dim} do not divide over {predictor_heads} "
                    f"predictor_heads; end with another width than {self.signal_channels[-1]}"
                )
        super().__init__(**kwargs)

    @property
    def latent_dim(self) -> int:
        """Width of the latents: of the graph's, and of the signal branch's where there is one."""
        return self.channels[-1] + (self.signal_members * self.signal_channels[-1] if self.signal_channels else 0)

    @classmethod
    def from_preset(cls, name: str, **kwargs) -> AnyMoSTGCNConfig:
        """`paper`, `small` or `nano`; ValueError for another name."""
        return cls(**{**_preset(_ENCODER_PRESETS, name), **kwargs})


class AnyMoPQVAEConfig(_ConfigWithCode):
    """Product-quantized VAE over encoder latents (paper §3.2, Eq. 4, A.3). Defaults are the paper's.

    Args:
        input_dim: width of the latents.
        bottleneck_dim: width before quantization, split evenly over the books.
        num_codebooks, codebook_size: product books and entries in each.
        ema_decay, ema_epsilon: of the codebook's moving averages.
        commitment_weight: weight of the commitment loss.
        dead_code_threshold: entries used less than this share of the mean are refreshed.
        decoder_dim, decoder_dilations: the temporal convolution decoder.
    """

    model_type = "anymo_pqvae"

    def __init__(
        self,
        input_dim: int = 256,
        bottleneck_dim: int = 128,
        num_codebooks: int = 2,
        codebook_size: int = 2048,
        ema_decay: float = 0.99,
        ema_epsilon: float = 1e-5,
        commitment_weight: float = 0.25,
        dead_code_threshold: float = 0.2,
        decoder_dim: int = 256,
        decoder_dilations: list[int] | None = None,
        **kwargs,
    ):
        self.input_dim = input_dim
        self.bottleneck_dim = bottleneck_dim
        self.num_codebooks = num_codebooks
        self.codebook_size = codebook_size
        self.ema_decay = ema_decay
        self.ema_epsilon = ema_epsilon
        self.commitment_weight = commitment_weight
        self.dead_code_threshold = dead_code_threshold
        self.decoder_dim = decoder_dim
        self.decoder_dilations = list(decoder_dilations or [1, 2, 4])
        if bottleneck_dim % num_codebooks:
            raise ValueError(f"bottleneck_dim {bottleneck_dim} must divide evenly into {num_codebooks} codebooks")
        super().__init__(**kwargs)

    @property
    def code_dim(self) -> int:
        """Width of one code vector."""
        return self.bottleneck_dim // self.num_codebooks

    @classmethod
    def from_preset(cls, name: str, **kwargs) -> AnyMoPQVAEConfig:
        """`paper`, `small` or `nano`; ValueError for another name."""
        return cls(**{**_preset(_QUANTIZER_PRESETS, name), **kwargs})


class AnyMoIMUTokenizerConfig(_ConfigWithCode):
    """Encoder and quantizer together, as `imu_tokenizer/` of a release holds them.

    Args:
        stgcn_config, pqvae_config: of the two; defaults are the paper's.
    """

    model_type = "anymo_imu_tokenizer"
    sub_configs = {"stgcn_config": AnyMoSTGCNConfig, "pqvae_config": AnyMoPQVAEConfig}

    def __init__(
        self,
        stgcn_config: AnyMoSTGCNConfig | dict | None = None,
        pqvae_config: AnyMoPQVAEConfig | dict | None = None,
        **kwargs,
    ):
        self.stgcn_config = _sub_config(AnyMoSTGCNConfig, stgcn_config)
        self.pqvae_config = _sub_config(AnyMoPQVAEConfig, pqvae_config)
        super().__init__(**kwargs)


def _sub_config(kind: type, value: PreTrainedConfig | dict | None) -> Any:
    return kind(**(value or {})) if value is None or isinstance(value, dict) else value


_NANO_TEXT = {
    "vocab_size": 4096,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "tie_word_embeddings": False,
}
# Qwen2.5-0.5B's shapes. Its tokenizer ends at 151,665 tokens (its table of 151,936 rows is padded), and there
# `AnyMoTokenizer.from_text_tokenizer` adds <imu_bos>, 4,096 codes and <imu_eos>.
_PAPER_TEXT = {
    "vocab_size": 151_665 + 4_098,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32_768,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
    "tie_word_embeddings": False,
}
_MODEL_PRESETS: dict[str, dict] = {
    "paper": {},
    "nano": {
        "text_model_name": None,
        "pooler_latents": 16,
        "pooler_heads": 4,
        "projection_dim": 128,
        "projector_hidden": 128,
    },
}
_MODEL_PRESETS["small"] = _MODEL_PRESETS["nano"]


def check_classifier_input(value: str) -> None:
    """ValueError for what no sequence classifier reads."""
    if value not in CLASSIFIER_INPUTS:
        raise ValueError(f"classifier_input must be one of {', '.join(CLASSIFIER_INPUTS)}, got {value!r}")


class AnyMoConfig(_ConfigWithCode):
    """The whole model (paper §3.3, A.4). Defaults are the paper's.

    Args:
        stgcn_config, pqvae_config: the IMU tokenizer this model reads codes from.
        text_config: any causal language model's config; Qwen2 by default.
        text_model_name: a record of the checkpoint that words and language weights came from, None where they are
            trained from scratch; nothing is loaded by it.
        pooler_latents, pooler_heads: of the latent-attention poolers.
        projection_dim: width of the embeddings.
        projector_hidden: hidden width of the code projector.
        norm_eps: added to the mean square in the RMS norms of poolers and IMU branch.
        soft_prompt_length: learned vectors before a text.
        imu_residual_scale: weight of the averaged code embedding in the IMU branch.
        contrastive_temperature: divides the cosines of the contrastive losses and of zero-shot scores.
        lm_loss_weight, narration_loss_weight, label_loss_weight: loss weights.
        classifier_input: what `AnyMoForSequenceClassification` reads: "codes", prompts with motion codes, or "imu", raw
            windows, with an encoder of its own that can be trained.
        imu_token_offset: id of the first code token.
        imu_bos_token_id, imu_eos_token_id: the tokens before and after the codes. By default the three stand as
            `AnyMoTokenizer` lays them out, last in the vocabulary: bos, all codes, eos.
    """

    model_type = "anymo"
    sub_configs = {"stgcn_config": AnyMoSTGCNConfig, "pqvae_config": AnyMoPQVAEConfig, "text_config": AutoConfig}

    def __init__(
        self,
        stgcn_config: AnyMoSTGCNConfig | dict | None = None,
        pqvae_config: AnyMoPQVAEConfig | dict | None = None,
        text_config: PreTrainedConfig | dict | None = None,
        text_model_name: str | None = "Qwen/Qwen2.5-0.5B",
        pooler_latents: int = 128,
        pooler_heads: int = 8,
        projection_dim: int = 896,
        projector_hidden: int = 512,
        soft_prompt_length: int = 8,
        imu_residual_scale: float = 0.5,
        contrastive_temperature: float = 0.05,
        lm_loss_weight: float = 1.0,
        narration_loss_weight: float = 2.0,
        label_loss_weight: float = 2.0,
        imu_token_offset: int | None = None,
        imu_bos_token_id: int | None = None,
        imu_eos_token_id: int | None = None,
        norm_eps: float = 1e-6,
        classifier_input: str = "codes",
        **kwargs,
    ):
        check_classifier_input(classifier_input)
        if text_config is None:
            text_config = dict(_PAPER_TEXT)
        if isinstance(text_config, dict):
            values = dict(text_config)
            text_config = AutoConfig.for_model(values.pop("model_type", "qwen2"), **values)
        self.stgcn_config = _sub_config(AnyMoSTGCNConfig, stgcn_config)
        self.pqvae_config = _sub_config(AnyMoPQVAEConfig, pqvae_config)
        self.text_config = text_config
        self.classifier_input = classifier_input
        self.text_model_name = text_model_name
        self.pooler_latents = pooler_latents
        self.pooler_heads = pooler_heads
        self.norm_eps = norm_eps
        self.projection_dim = projection_dim
        self.projector_hidden = projector_hidden
        self.soft_prompt_length = soft_prompt_length
        self.imu_residual_scale = imu_residual_scale
        self.contrastive_temperature = contrastive_temperature
        self.lm_loss_weight = lm_loss_weight
        self.narration_loss_weight = narration_loss_weight
        self.label_loss_weight = label_loss_weight
        codes = self.pqvae_config.num_codebooks * self.pqvae_config.codebook_size
        self.imu_token_offset = text_config.vocab_size - codes - 1 if imu_token_offset is None else imu_token_offset
        self.imu_bos_token_id = self.imu_token_offset - 1 if imu_bos_token_id is None else imu_bos_token_id
        self.imu_eos_token_id = self.imu_token_offset + codes if imu_eos_token_id is None else imu_eos_token_id
        kwargs.setdefault("tie_word_embeddings", False)
        super().__init__(**kwargs)

    def imu_tokenizer_config(self) -> AnyMoIMUTokenizerConfig:
        """Of the IMU tokenizer that this model reads codes from."""
        return AnyMoIMUTokenizerConfig(self.stgcn_config, self.pqvae_config)

    @classmethod
    def from_preset(cls, name: str, **kwargs) -> AnyMoConfig:
        """`paper`, `small` or `nano`; ValueError for another name."""
        values = _preset(_MODEL_PRESETS, name)
        values["stgcn_config"] = AnyMoSTGCNConfig.from_preset(name)
        values["pqvae_config"] = AnyMoPQVAEConfig.from_preset(name)
        values["text_config"] = dict(_PAPER_TEXT if name == "paper" else _NANO_TEXT)
        return cls(**{**values, **kwargs})
