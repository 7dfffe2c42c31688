"""int8 weights for the layers of the language model: a quarter of their bytes, and faster on a CPU.

    model = AutoModelForCausalLM.from_pretrained("anymo", quantization_config=AnyMoInt8Config())
    model.save_pretrained("anymo-int8")  # safetensors, int8; from_pretrained("anymo-int8") needs no argument

Word and code embeddings, the head over the vocabulary, poolers and projections keep their precision.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING, AUTO_QUANTIZER_MAPPING
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

METHOD = "anymo_int8"


class Int8Linear(nn.Module):
    """A linear layer with int8 weights, one scale per output, for inference.

    On a CPU the inputs become int8 as well, one scale per row, and the product is one of integers; elsewhere the weights
    are widened for it.
    """

    weight: torch.Tensor
    weight_scale: torch.Tensor

    def __init__(self, in_features: int, out_features: int, bias: bool, dtype: torch.dtype | None = None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.register_buffer("weight", torch.zeros(out_features, in_features, dtype=torch.int8))
        self.register_buffer("weight_scale", torch.ones(out_features, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(out_features, dtype=dtype)) if bias else None

    @classmethod
    @torch.no_grad()
    def from_linear(cls, layer: nn.Linear) -> Int8Linear:
        """Rounds the weights of `layer`; the largest of each output becomes 127."""
        out = cls(layer.in_features, layer.out_features, layer.bias is not None, layer.weight.dtype).to(
            layer.weight.device
        )
        scale = layer.weight.abs().amax(1).clamp_min(torch.finfo(layer.weight.dtype).tiny) / 127
        out.weight.copy_((layer.weight.float() / scale.float()[:, None]).round().clamp(-127, 127))
        out.weight_scale.copy_(scale)
        if out.bias is not None:
            out.bias.copy_(layer.bias)
        return out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(..., in_features)` to `(..., out_features)`."""
        if x.device.type == "cpu":
            rows = x.reshape(-1, self.in_features).float()
            scale = rows.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
            product = torch._int_mm((rows / scale).round().to(torch.int8), self.weight.t())
            y = (product * scale * self.weight_scale).view(*x.shape[:-1], -1).to(x.dtype)
        else:
            y = F.linear(x, self.weight.to(x.dtype)) * self.weight_scale
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """Sizes, as `nn.Linear` prints them."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class AnyMoInt8Config(QuantizationConfigMixin):
    """Asks `from_pretrained` for int8 layers; a saved int8 model carries it in its config.json."""

    def __init__(self, **kwargs):
        if unknown := sorted(set(kwargs) - {"quant_method"}):
            raise ValueError(f"unknown arguments {unknown} of AnyMoInt8Config; it has none")
        self.quant_method = METHOD


class AnyMoInt8Quantizer(HfQuantizer):
    """Puts `Int8Linear` in the layers of the language model, from a float checkpoint or from one saved in int8."""

    requires_calibration = False

    def _process_model_before_weight_loading(self, model, **kwargs):
        if self.pre_quantized:
            _replace(
                model, lambda old: Int8Linear(old.in_features, old.out_features, old.bias is not None, old.weight.dtype)
            )

    def _process_model_after_weight_loading(self, model, **kwargs):
        if not self.pre_quantized:
            _replace(model, Int8Linear.from_linear)

    def is_serializable(self) -> bool:
        """int8 weights are plain tensors."""
        return True

    @property
    def is_trainable(self) -> bool:
        """Rounding has no gradient."""
        return False


def _replace(model: nn.Module, make) -> None:
    language_model = getattr(model, "language_model", None)
    if language_model is None:
        raise ValueError(f"AnyMoInt8Config is for models with a language_model, got {type(model).__name__}")
    layers = language_model.base_model.layers
    for name, module in list(layers.named_modules()):
        if type(module) is nn.Linear:
            parent, _, last = name.rpartition(".")
            setattr(layers.get_submodule(parent), last, make(module))


# the package and a copy of this file that came with a checkpoint may both be loaded
AUTO_QUANTIZATION_CONFIG_MAPPING.setdefault(METHOD, AnyMoInt8Config)
AUTO_QUANTIZER_MAPPING.setdefault(METHOD, AnyMoInt8Quantizer)
