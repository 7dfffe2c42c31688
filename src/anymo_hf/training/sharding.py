"""Models sharded over processes by FSDP2: wrapping, calls, and whole tensors for checkpoints.

Each decoder layer, the embedding and the head are gathered when they run; everything else once per pass. A plain model
passes through every function here unchanged, so stages read the same for both.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from accelerate import Accelerator
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel

CONFIG = "training/configs/accelerate/fsdp.yaml"
_WITHIN = "_run_within"


def shard_model(model: PreTrainedModel, accelerator: Accelerator) -> PreTrainedModel:
    """Shards a motion-language model in place when the launcher asks for FSDP, else leaves it as it is.

    Weights stay float32 in their shards; with bf16 they are gathered and used as bfloat16, gradients are summed in float32.

    Args:
        model: on the accelerator's device, its weights final: later changes must be made to shards.
        accelerator: started with training/configs/accelerate/fsdp.yaml.

    Raises:
        ValueError: FSDP of version 1, or weights offloaded to the CPU.
    """
    # read from the launcher's variables, because Accelerate itself knows FSDP on accelerators only, not on the CPU
    if accelerator.num_processes == 1 or os.environ.get("ACCELERATE_USE_FSDP", "false").lower() != "true":
        return model
    for name, wanted in (("fsdp_version", "2"), ("fsdp_offload_params", "false")):
        if (found := os.environ.get(name.upper(), wanted).lower()) != wanted:
            raise ValueError(f"fsdp_config: {name} must be {wanted}, got {found}; see {CONFIG}")
    from torch.distributed.device_mesh import init_device_mesh

    half = torch.bfloat16 if accelerator.mixed_precision == "bf16" else None
    options: dict[str, Any] = {
        "mesh": init_device_mesh(accelerator.device.type, (accelerator.num_processes,)),
        "mp_policy": MixedPrecisionPolicy(param_dtype=half, reduce_dtype=torch.float32 if half else None),
    }
    again = os.environ.get("FSDP_RESHARD_AFTER_FORWARD", "true").lower() == "true"
    layers = model.language_model.base_model.layers
    for part in (*layers, model.get_input_embeddings(), model.get_output_embeddings()):
        fully_shard(part, reshard_after_forward=again, **options)
    fully_shard(model, **options)
    setattr(model, _WITHIN, MethodType(lambda self, function, *args, **named: function(self, *args, **named), model))
    register_fsdp_forward_method(model, _WITHIN)
    return model


def run_within(model: PreTrainedModel, function: Callable[..., Any], *args, **named) -> Any:
    """`function(model, ...)` as one forward pass: a sharded model has the weights outside its layers gathered meanwhile."""
    if isinstance(model, FSDPModule):
        return getattr(model, _WITHIN)(function, *args, **named)
    return function(model, *args, **named)


def whole_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """The gathered tensor of a sharded one; every process must call it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shard_like(value: torch.Tensor, reference: torch.Tensor | None) -> torch.Tensor:
    """This process's part of `value`, which every process holds whole, laid out as `reference`."""
    if not isinstance(reference, DTensor) or value.shape != reference.shape:
        return value
    value = value.to(reference.device)
    return distribute_tensor(value, reference.device_mesh, reference.placements, src_data_rank=None)


def own_rows(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows that this process holds, all of a plain tensor, and their numbers; both to be read and written."""
    numbers = torch.arange(len(tensor), device=tensor.device)
    if not isinstance(tensor, DTensor):
        return tensor, numbers
    numbers = distribute_tensor(numbers, tensor.device_mesh, tensor.placements, src_data_rank=None).to_local()
    return tensor.to_local(), numbers


def whole_model(model: PreTrainedModel, accelerator: Accelerator) -> PreTrainedModel:
    """The model to save: itself, or, of a sharded one, a plain copy on the CPU, filled on the main process only."""
    if not isinstance(model, FSDPModule):
        return model
    state = {}
    for name, value in model.state_dict().items():
        value = whole_tensor(value)
        if accelerator.is_main_process:  # one tensor at a time leaves the device
            state[name] = value.cpu()
    kind = next(base for base in type(model).__mro__ if not issubclass(base, FSDPModule))
    if not accelerator.is_main_process:
        return model
    plain = kind(model.config).float()
    plain.load_state_dict(state)
    return plain.eval()
