"""The loop of every stage: steps until a step or time limit, checkpoints without pickle, metrics, resume.

Models are not wrapped by DDP, because a step calls several of a model's methods and DDP sees `forward` only; gradients
are averaged over processes once per step instead, and those of a sharded model by FSDP. Checkpoints hold whole tensors,
so a run may go on sharded, plain or the other way round. Every random draw is seeded by (seed, step, process), so a
resumed run goes on as if it had never stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedConfig, PreTrainedModel

from .settings import StageSettings
from .sharding import shard_like, whole_tensor

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.json"
_NORM = "the gradient's norm"
MODEL_FILES = ("config.json", "model.safetensors")  # what save_pretrained leaves of any model
Step = Callable[[int, np.random.Generator], dict[str, torch.Tensor]]


@dataclass
class RunLog:
    """How far a run is: steps and seconds so far, running means of the losses, and their history."""

    step: int = 0
    seconds: float = 0.0
    averages: dict[str, float] = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)


def step_generator(seed: int, step: int, process: int = 0, stream: int = 0) -> np.random.Generator:
    """Random source of one step; draws that all processes share use process 0."""
    return np.random.default_rng([seed, step, process, stream])


def learning_rate_factor(progress: float, warmup: float, final: float) -> float:
    """Linear warm-up over the share `warmup`, then half a cosine down to `final`; `progress` from 0 to 1."""
    if progress < warmup:
        return max(progress / warmup, 0.02)
    along = min(1.0, (progress - warmup) / (1 - warmup))
    return final + (1 - final) * (1 + math.cos(math.pi * along)) / 2


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
def _draft(target: Path) -> Iterator[Path]:
    """A temporary name beside `target`, free before and after, whatever a killed or failed run left there.

    Raises:
        OSError: the disk is full, or the like.
    """
    draft = target.with_name(target.name + ".part")
    _remove(draft)
    try:
        yield draft
    except (OSError, SafetensorError) as error:
        raise OSError(
            f"could not write {target} ({error}); what was there before is kept: make room on the disk and run the "
            "same command again"
        ) from error
    finally:
        _remove(draft)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def replace_folder(target: str | Path, write: Callable[[Path], object]) -> Path:
    """Lets `write` fill a temporary folder, then puts it in the place of `target`; OSError when it cannot."""
    target = Path(target)
    with _draft(target) as draft:
        draft.mkdir(parents=True)
        write(draft)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(draft, target)
    return target


def write_metrics(folder: Path, metrics: dict) -> None:
    """metrics.json, by way of a temporary name."""
    with _draft(folder / METRICS) as draft:
        draft.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        os.replace(draft, folder / METRICS)


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
        metrics = json.loads(path.read_text(encoding="utf-8"))
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
    with _draft(path) as draft:
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
    like = {f"model.{name}": value for name, value in module.state_dict().items()}
    numbered = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    like |= {f"optimizer.{index}": parameter for index, parameter in enumerate(numbered)}
    try:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata() or {}
            tensors = {
                name: shard_like(file.get_tensor(name), like.get(name.rpartition(".")[0], like.get(name)))
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
        raise ValueError(f"{path} does not fit the model: {error}") from error
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, moment = name.split(".", 2)
            state.setdefault(int(index), {})[moment] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    averages, history = (json.loads(notes.get(name, none)) for name, none in (("averages", "{}"), ("history", "[]")))
    return RunLog(int(notes["step"]), float(notes["seconds"]), averages, history)


def average_gradients(parameters: list[nn.Parameter], accelerator: Accelerator) -> None:
    """Mean of the gradients over processes, in one exchange; a process without a gradient counts as zero.

    A parameter that has one nowhere is left without, since a zero would let weight decay and old moments move it.
    """
    if accelerator.num_processes == 1:
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    there = gradients[0].new_tensor([p.grad is not None for p in parameters])
    mean = accelerator.reduce(torch.cat([*(gradient.flatten() for gradient in gradients), there]), "mean")
    *means, there = mean.split([*(p.numel() for p in parameters), len(parameters)])
    for parameter, gradient, share in zip(parameters, means, there.tolist(), strict=True):
        parameter.grad = gradient.view_as(parameter).clone() if share > 0 else None


def mean_losses(losses: dict[str, torch.Tensor], accelerator: Accelerator) -> dict[str, float]:
    """Mean of every loss over processes, so that the log is of the whole batch and all of them stop at a NaN."""
    values = torch.stack([value.detach().to(accelerator.device, torch.float32) for value in losses.values()])
    if accelerator.num_processes > 1:
        values = accelerator.reduce(values, "mean")
    return dict(zip(losses, values.tolist(), strict=True))


def gather_rows(rows: torch.Tensor, accelerator: Accelerator) -> torch.Tensor:
    """Rows of all processes in process order; gradients flow back to the process a row came from."""
    if accelerator.num_processes == 1:
        return rows
    from torch.distributed.nn.functional import all_gather

    return torch.cat(tuple(all_gather(rows.contiguous())))


def local_part(rows, accelerator: Accelerator):
    """This process's equal share of a global batch.

    Raises:
        ValueError: the batch does not divide over the processes.
    """
    count, processes = len(rows), accelerator.num_processes
    if count % processes:
        raise ValueError(f"a batch of {count} does not divide over {processes} processes; change batch_size")
    share = count // processes
    return rows[accelerator.process_index * share : (accelerator.process_index + 1) * share]


def run_steps(
    name: str,
    module: nn.Module,
    step: Step,
    settings: StageSettings,
    folder: Path,
    fingerprint: str,
    accelerator: Accelerator,
    undecayed: Sequence[nn.Parameter] = (),
    batch_of: Callable[[int], str] = lambda number: "",
    edit_gradients: Callable[[], object] = lambda: None,
) -> dict:
    """Trains `module` in place and returns the metrics so far; a stage that had ended is loaded from its checkpoint.

    Args:
        name: shown beside the progress bar.
        module: on the accelerator's device; parameters with `requires_grad` are trained.
        step: makes a batch, computes losses, calls backward, and returns losses to log. It gets the step number and
            the random source that all processes share.
        folder: for the checkpoint; it is continued when there is one.
        fingerprint: from `StageSettings.fingerprint`.
        undecayed: parameters without weight decay.
        batch_of: names what a step reads, for the error about one that went wrong.
        edit_gradients: called when the gradients of all processes are together, before they are clipped.

    Raises:
        OSError: a checkpoint is damaged or cannot be written; the one before it is kept.
        ValueError: a checkpoint of something else, or a loss, gradient or weight that is not finite; the last good
            checkpoint is kept, and no such weight is ever saved.
    """
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    spared = {id(parameter) for parameter in undecayed}
    # groups of neighbours, so that the optimizer numbers parameters in the module's order, as checkpoints do
    groups = [
        {"params": list(part), "weight_decay": 0.0 if free else settings.weight_decay}
        for free, part in groupby(parameters, key=lambda parameter: id(parameter) in spared)
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate)
    sharded = any(isinstance(parameter, DTensor) for parameter in parameters)
    path = folder / CHECKPOINT
    log, done = load_checkpoint(path, module, optimizer, fingerprint), finished_metrics(folder, fingerprint)
    if done and done.get("steps") == log.step:
        accelerator.wait_for_everyone()  # all have seen what is missing, before the main process writes it
        module.eval()
        return done
    started, number, before, averages, history = time.monotonic(), log.step, log.seconds, log.averages, log.history
    saved = number
    bar = tqdm(
        total=settings.steps,
        initial=number,
        desc=name,
        unit="step",
        disable=not accelerator.is_main_process,
        mininterval=1,
    )

    def save(elapsed: float) -> None:
        if accelerator.is_main_process or sharded:
            now = RunLog(number, elapsed, averages, history)
            save_checkpoint(path, module, optimizer, now, fingerprint, accelerator.is_main_process)

    module.train()
    seconds = before
    while True:
        seconds = before + time.monotonic() - started
        progress = number / settings.steps
        if settings.max_minutes is not None:
            progress = max(progress, seconds / (60 * settings.max_minutes))
        if accelerator.num_processes > 1:  # clocks differ: the main process decides for all
            share = torch.tensor([progress], device=accelerator.device, dtype=torch.float64)
            torch.distributed.broadcast(share, 0)
            progress = float(share)
        if progress >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * learning_rate_factor(progress, settings.warmup, settings.final_rate)
        torch.manual_seed(int(step_generator(settings.seed, number, accelerator.process_index, 1).integers(2**62)))
        losses = step(number, step_generator(settings.seed, number))
        if not sharded:  # FSDP has averaged its own
            average_gradients(parameters, accelerator)
        edit_gradients()
        norm = whole_tensor(torch.nn.utils.clip_grad_norm_(parameters, settings.gradient_clip or math.inf))
        values = mean_losses(losses | {_NORM: norm}, accelerator)
        if broken := [f"{key} is {value}" for key, value in values.items() if not math.isfinite(value)]:
            batch = batch_of(number)
            raise ValueError(
                f"{name}: {broken[0]} at step {number + 1}{batch and f' ({batch})'}; "
                + (f"the good state of step {saved} is kept in {path}" if saved else "no checkpoint had been saved")
                + "; lower learning_rate or mend the data, and start in a new folder"
            )
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        number += 1
        del values[_NORM]
        for key, value in values.items():
            averages[key] = value if key not in averages else 0.95 * averages[key] + 0.05 * value
        if number % settings.log_every == 0 or number == 1:
            bar.set_postfix({key: f"{value:.3f}" for key, value in averages.items()}, refresh=False)
            history.append({"step": number, "seconds": round(seconds, 1), **averages})
        bar.update()
        if number % settings.checkpoint_every == 0:
            saved = number
            save(before + time.monotonic() - started)
    bar.close()
    save(seconds)
    accelerator.wait_for_everyone()
    module.eval()
    return {
        "stage": name,
        "fingerprint": fingerprint,
        "steps": number,
        "train_seconds": round(seconds, 1),
        "processes": accelerator.num_processes,
        "device": str(accelerator.device),
        "losses": averages,
        "history": history,
    }
