"""What a stage leaves on disk: checkpoints without pickle, metrics, models; each written beside its place, then renamed.

Checkpoints hold whole tensors, so a run may go on sharded, plain or the other way round.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedConfig, PreTrainedModel

from ..atomic_write import draft_beside, replacing_folder, write_bytes
from ..refusals import parse_json, refusing
from .sharding import shard_like, whole_tensor

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.json"
MODEL_FILES = ("config.json", "model.safetensors")  # what save_pretrained leaves of any model


@dataclass
class RunLog:
    """How far a run is: steps and seconds so far, running means of the losses, and their history."""

    step: int = 0
    seconds: float = 0.0
    averages: dict[str, float] = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)

    def add(self, losses: dict[str, float], log_every: int) -> None:
        """Counts a step: running means, and an entry of the history at the first and every `log_every`-th step."""
        self.step += 1
        for name, value in losses.items():
            self.averages[name] = value if name not in self.averages else 0.95 * self.averages[name] + 0.05 * value
        if self.step % log_every == 0 or self.step == 1:
            self.history.append({"step": self.step, "seconds": round(self.seconds, 1), **self.averages})


def file_hash(path: str | Path) -> str:
    """Short hash of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def start_hash(start_from: str | None, weights: str = "model.safetensors") -> str:
    """What a fingerprint holds of `StageSettings.start_from`: nothing without one.

    Raises:
        OSError: the folder does not hold the file `weights`.
    """
    if start_from is None:
        return ""
    path = Path(start_from) / weights
    if not path.is_file():
        raise OSError(f"start_from: no {weights} in {start_from}; name the folder of a trained model of this stage")
    return "started from " + file_hash(path)


def same_shape(model: PreTrainedModel, config: PreTrainedConfig, start_from: str) -> None:
    """ValueError when a model to start from has other settings than the preset asks for."""
    own, wanted = model.config.to_dict(), config.to_dict()
    volatile = {"_name_or_path", "architectures", "dtype", "transformers_version"}
    if wrong := sorted(name for name in wanted if name not in volatile and own.get(name) != wanted[name]):
        raise ValueError(
            f"start_from: the model in {start_from} differs from the preset in {wrong}; name one that fits"
        )


@contextmanager
def _in_our_words(target: Path) -> Iterator[None]:
    """A full disk and the like as an OSError that names `target`."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise OSError(
            f"could not write {target} ({error}); what was there before is kept: make room on the disk and run the "
            "same command again"
        ) from error


def replace_folder(target: str | Path, write: Callable[[Path], object]) -> Path:
    """Lets `write` fill a temporary folder, then puts it in the place of `target`; OSError when it cannot."""
    target = Path(target)
    with _in_our_words(target), replacing_folder(target) as draft:
        write(draft)
    return target


def write_metrics(folder: Path, metrics: dict) -> None:
    """metrics.json, whole or not at all."""
    with _in_our_words(folder / METRICS):
        write_bytes(folder / METRICS, (json.dumps(metrics, indent=2) + "\n").encode())


def finished_metrics(folder: str | Path, fingerprint: str, *results: Path) -> dict | None:
    """Metrics of a stage that has already ended with these settings and inputs, else None.

    Args:
        folder: of the stage.
        fingerprint: from `StageSettings.fingerprint`.
        results: files the stage leaves; one that is missing makes the answer None.

    Raises:
        OSError: metrics.json is damaged.
    """
    path = Path(folder) / METRICS
    if not path.is_file() or not all(result.is_file() for result in results):
        return None
    try:
        metrics = parse_json(path.read_text(encoding="utf-8"))
        if not isinstance(metrics, dict):
            raise ValueError(f"it holds a {type(metrics).__name__}")
    except ValueError as error:
        raise OSError(
            f"{path} is damaged ({error}); delete it and run this stage again, which goes on from its checkpoint"
        ) from error
    return metrics if metrics.get("finished") and metrics.get("fingerprint") == fingerprint else None


def save_checkpoint(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, log: RunLog, fingerprint: str, write: bool = True
) -> None:
    """Weights, optimizer moments and the log in one safetensors file, by way of a temporary name.

    Args:
        write: False on processes that only give their part of a sharded model.

    Raises:
        OSError: the disk is full, or the like.
        ValueError: a tensor holds NaN or infinity.
    """
    tensors = {f"model.{name}": value for name, value in module.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    for name, value in tensors.items():
        sharded, value = isinstance(value, DTensor), whole_tensor(value.detach())
        if write:
            # gathered tensors leave the device one by one, or it would have to hold the whole model
            tensors[name] = value.cpu() if sharded else value.contiguous().clone()
    if not write:
        return
    if broken := [n for n, value in tensors.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise ValueError(
            f"after step {log.step}, {', '.join(broken[:3])} hold NaN or infinity ({len(broken)} tensors); they are not "
            f"saved, {path} stays as it was"
        )
    notes = {"step": str(log.step), "seconds": repr(log.seconds), "fingerprint": fingerprint}
    notes |= {"averages": json.dumps(log.averages), "history": json.dumps(log.history)}
    with _in_our_words(path), draft_beside(path) as draft:
        draft.mkdir()  # safetensors writes to a name of its own beside the file, which a killed run leaves behind
        save_file(tensors, draft / path.name, notes)
        os.replace(draft / path.name, path)


def load_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, fingerprint: str) -> RunLog:
    """The log to go on with; an empty one without a checkpoint.

    Raises:
        OSError: the file is damaged.
        ValueError: it belongs to other settings or inputs, or its tensors do not fit.
    """
    if not path.is_file():
        return RunLog()
    with refusing(path, "state of a training", "delete it to start this stage again"):
        return _load_checkpoint(path, module, optimizer, fingerprint)


def _finite(path: Path, name: str, tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        raise OSError(f"{path} is damaged: {name} holds NaN or infinity; delete it to start this stage again")
    return tensor


def _load_checkpoint(path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, fingerprint: str) -> RunLog:
    like = {f"model.{name}": value for name, value in module.state_dict().items()}
    numbered = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    like |= {f"optimizer.{index}": parameter for index, parameter in enumerate(numbered)}
    try:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata() or {}
            tensors = {
                name: shard_like(
                    _finite(path, name, file.get_tensor(name)), like.get(name.rpartition(".")[0], like.get(name))
                )
                for name in file.keys()  # noqa: SIM118
            }
    except SafetensorError as error:
        raise OSError(f"{path} is damaged ({error}); delete it to start this stage again") from error
    if notes.get("fingerprint") != fingerprint:
        raise ValueError(
            f"{path} belongs to other settings or inputs; put the old ones back, or delete {path.parent} to start again"
        )
    try:
        module.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the model: {error}; delete it to start this stage again") from error
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, moment = name.split(".", 2)
            state.setdefault(int(index), {})[moment] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    averages, history = (json.loads(notes.get(name, none)) for name, none in (("averages", "{}"), ("history", "[]")))
    return RunLog(int(notes["step"]), float(notes["seconds"]), averages, history)
