"""The authors' checkpoint files: which tensors they hold, under our names; nothing is unpickled.

Every tensor is placed, or left out for a reason of `_LEFT_OUT`.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..refusals import parse_json

# role -> (pattern of official names, reason why they have no place)
_OPTIMISER = (r"optimizer(_state_dict)?\.", "state of the optimiser")
_LEFT_OUT: dict[str, tuple[tuple[str, str], ...]] = {
    "encoder": (
        _OPTIMISER,
        (r"projector_state_dict\.net\.[02]\.(weight|bias)$", "head of an ablation, which this objective never trains"),
    ),
    "pqvae": (
        _OPTIMISER,
        (r"quantizer\.(last|total)_dead_code_replacements$", "counter of refreshed codes for the training log"),
    ),
    "llm": (
        (r".*rotary_emb\.inv_freq$", "follows from the config"),
        (
            r"(projector|imu_pooler|text_pooler|imu_embedding_head|text_embedding_head|imu_residual_norm|"
            r"imu_residual_head)\.|(text_soft_prompt|imu_residual_scale|flat_codebook|token_id_to_code_index)$",
            "not of the language model; read from --contrastive",
        ),
    ),
    "projector": (),
    "contrastive": (
        _OPTIMISER,
        (r"llm\..*rotary_emb\.inv_freq$", "follows from the config"),
        (r"flat_codebook$", "compared with the codebook of --pqvae"),
        (r"token_id_to_code_index$", "compared with the tokenizer"),
    ),
}
# role -> (pattern, our name), the first that fits
_RENAMED: dict[str, tuple[tuple[str, str], ...]] = {
    "encoder": (
        (r"encoder(?:_state_dict)?\.(.+)", r"encoder.\1"),
        (r"predictor(?:_state_dict)?\.(.+)", r"predictor.\1"),
        (r"(.+)", r"encoder.\1"),
    ),
    "pqvae": (),
    "llm": ((r"llm\.(.+)", r"\1"),),
    "projector": ((r"projector(?:_state_dict)?\.(.+)", r"\1"),),
    "contrastive": ((r"((?:imu|text)_pooler\.ffn\.(?:gate|up|down))_proj\.(.+)", r"\1.\2"),),
}
# role -> tensor that tells its files, by our name
_MARKS = {
    "encoder": "data_bn.weight",
    "pqvae": "quantizer.embedding",
    "contrastive": "imu_pooler.latents",
    "llm": "embed_tokens.weight",
    "projector": "0.weight",
}
# what wrappers put into names and no official module is called
_WRAPPERS = ("module", "_orig_mod", "state_dict", "model_state_dict", "pqvae_state_dict")


@dataclass
class OfficialFile:
    """What was read from one file, or from the weight files of a folder.

    Args:
        role: the option that named it.
        path: where it is.
        tensors: by our names; those with a place.
        left_out: the others, by their official names.
        reasons: reason -> how many of `left_out`.
        settings: what the file holds beside tensors.
    """

    role: str
    path: Path
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    left_out: dict[str, torch.Tensor] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """For messages."""
        return f"--{self.role} {self.path}"

    def shape(self, name: str, dimensions: int) -> list[int]:
        """Shape of a tensor that tells a size; ValueError if it is missing or has other dimensions."""
        tensor = self.tensors.get(name)
        if tensor is None or tensor.ndim != dimensions:
            found = "missing" if tensor is None else f"of shape {tuple(tensor.shape)}, not of {dimensions} dimensions"
            raise ValueError(f"{self.label}: tensor {name!r} is {found}; is the file whole and of this layout?")
        return list(tensor.shape)

    def set_aside(self, names: list[str], reason: str) -> None:
        """Moves tensors to those without a place."""
        self.left_out |= {name: self.tensors.pop(name) for name in names}
        if names:
            self.reasons[reason] = self.reasons.get(reason, 0) + len(names)

    def summary(self) -> dict[str, Any]:
        """What the report says."""
        total = len(self.tensors) + len(self.left_out)
        return {"file": self.path.name, "tensors": total, "placed": len(self.tensors), "left_out": dict(self.reasons)}


def _load(path: Path) -> Mapping[str, Any]:
    """Tensors and plain values of a safetensors or torch file, on the CPU; nothing is unpickled."""
    if not path.is_file():
        raise OSError(f"{path}: no such file; name a file of the official release")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        value = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError) as error:
        raise OSError(f"{path} is damaged or cut short ({error}); fetch it again") from error
    except Exception as error:  # bytes that are no checkpoint end the unpickler in any way, such as KeyError
        if isinstance(error, pickle.UnpicklingError) and re.search(r"Unsupported (global|class)|Trying to", str(error)):
            raise ValueError(
                f"{path} holds pickled Python objects, which could run code and are never loaded; save its state dicts "
                "alone, with torch.save or safetensors"
            ) from error
        said = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise OSError(f"{path} is damaged or cut short, or no checkpoint ({said}); fetch it again") from error
    if not isinstance(value, Mapping):
        raise ValueError(f"{path} holds a {type(value).__name__}, needed a state dict or a dict of them")
    return value


def _flatten(value: Any, prefix: str) -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors of nested dicts and lists with dotted names."""
    if isinstance(value, torch.Tensor):
        yield prefix, value
        return
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, item in items:
        yield from _flatten(item, f"{prefix}.{key}" if prefix else str(key))


def _weight_files(folder: Path) -> list[Path]:
    """Weight files of a Hugging Face folder; none is fine, a missing part is not."""
    for pattern in ("model*.safetensors", "pytorch_model*.bin"):
        files = sorted(folder.glob(pattern))
        for index in folder.glob(f"{pattern}.index.json"):
            try:
                named = {folder / name for name in parse_json(index.read_text(encoding="utf-8"))["weight_map"].values()}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise OSError(f"{index} is damaged ({error}); fetch it again") from error
            if missing := sorted(named - set(files)):
                raise OSError(f"--llm {folder}: {missing[0].name} is missing; fetch all parts")
        if files:
            return files
    return []


def read_official(role: str, path: Path) -> OfficialFile:
    """Reads an official file.

    Args:
        role: "encoder", "pqvae", "llm" (a folder), "projector" or "contrastive".
        path: torch or safetensors file, or the folder.

    Raises:
        OSError: no such file, or it is damaged.
        ValueError: it would have to be unpickled, is a file of another role, or holds values that are not finite.
    """
    file = OfficialFile(role, path)
    for part in _weight_files(path) if role == "llm" else [path]:
        content = _load(part)
        file.settings |= {key: value for key, value in content.items() if next(_flatten(value, ""), None) is None}
        for long_name, tensor in _flatten(content, ""):
            name = ".".join(piece for piece in long_name.split(".") if piece not in _WRAPPERS)
            reason = next((why for pattern, why in _LEFT_OUT[role] if re.match(pattern, name)), None)
            if reason is None:
                for pattern, ours in _RENAMED[role]:
                    if match := re.fullmatch(pattern, name):
                        name = match.expand(ours)
                        break
            if name in file.tensors or name in file.left_out:
                raise ValueError(f"{file.label}: tensor {name!r} is there twice")
            file.tensors[name] = tensor
            if reason is not None:
                file.set_aside([name], reason)
    if role != "llm":
        _check_role(file)
    for name, tensor in file.tensors.items():
        file.tensors[name] = exact_float32(f"{file.label}: {name}", tensor)
    return file


def _check_role(file: OfficialFile) -> None:
    """ValueError if the file lacks what its role must have."""

    def marked(role: str) -> bool:
        mark = _MARKS[role]
        if role == "projector":  # its names are too short to stand inside others
            return any(name in (mark, f"projector.{mark}", f"projector_state_dict.{mark}") for name in file.tensors)
        return any(f".{name}".endswith(f".{mark}") for name in file.tensors)

    if marked(file.role):
        return
    for role in _MARKS:
        if marked(role):
            raise ValueError(f"{file.label} looks like a file for --{role}; were the files swapped?")
    raise ValueError(
        f"{file.label}: tensor {_MARKS[file.role]!r} is missing among {len(file.tensors)} tensors"
        f"{', the first is ' + repr(min(file.tensors)) if file.tensors else ''}; give a file of the official layout"
    )


def exact_float32(where: str, tensor: torch.Tensor) -> torch.Tensor:
    """Numbers in float32, others as they are; ValueError where that would change a value."""
    if not tensor.is_floating_point():
        return tensor
    if tensor.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ValueError(f"{where} is {tensor.dtype}, which float32 does not hold exactly; save it as float32")
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{where} holds NaN or infinite values; the checkpoint is unusable")
    return tensor.detach().float().contiguous()


def check_fit(label: str, given: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    """ValueError that names tensors left over, missing, or of another shape."""
    problems = {
        "left over": [name for name in given if name not in expected],
        "missing": [name for name in expected if name not in given],
        "of another shape": [
            f"{name} {tuple(given[name].shape)}, needed {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in given and given[name].shape != tensor.shape
        ],
    }
    if any(problems.values()):
        words = (
            f"{len(names)} {kind}: {'; '.join(sorted(names)[:5])}{'; ...' if len(names) > 5 else ''}"
            for kind, names in problems.items()
            if names
        )
        raise ValueError(f"{label} does not fit the official layout. Tensors {'. '.join(words)}")
