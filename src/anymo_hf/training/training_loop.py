"""The loop of every stage: steps until a step or time limit, checkpoints, metrics, resume.

Models are not wrapped by DDP, because a step calls several of a model's methods and DDP sees `forward` only; gradients
are averaged over processes once per step instead, and those of a sharded model by FSDP. Every random draw is seeded by
(seed, step, process), so a resumed run goes on as if it had never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from torch.distributed.tensor import DTensor

from .checkpoints import CHECKPOINT, RunLog, finished_metrics, load_checkpoint, save_checkpoint
from .processes import average_gradients, mean_losses
from .settings import StageSettings
from .sharding import whole_tensor

_NORM = "the gradient's norm"
Step = Callable[[int, np.random.Generator], dict[str, torch.Tensor]]


def step_generator(seed: int, step: int, process: int = 0, stream: int = 0) -> np.random.Generator:
    """Random source of one step; draws that all processes share use process 0."""
    return np.random.default_rng([seed, step, process, stream])


def learning_rate_factor(progress: float, warmup: float, final: float) -> float:
    """Linear warm-up over the share `warmup`, then half a cosine down to `final`; `progress` from 0 to 1."""
    if progress < warmup:
        return max(progress / warmup, 0.02)
    along = min(1.0, (progress - warmup) / (1 - warmup))
    return final + (1 - final) * (1 + math.cos(math.pi * along)) / 2


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
    optimizer = _optimizer(parameters, undecayed, settings)
    sharded = any(isinstance(parameter, DTensor) for parameter in parameters)
    path = folder / CHECKPOINT
    log, done = load_checkpoint(path, module, optimizer, fingerprint), finished_metrics(folder, fingerprint)
    if done and done.get("steps") == log.step:
        accelerator.wait_for_everyone()  # all have seen what is missing, before the main process writes it
        module.eval()
        return done

    def save() -> None:
        if accelerator.is_main_process or sharded:
            save_checkpoint(path, module, optimizer, log, fingerprint, accelerator.is_main_process)

    module.train()
    started, before, saved = time.monotonic(), log.seconds, log.step
    bar = tqdm(
        total=settings.steps, initial=log.step, desc=name, unit="step", mininterval=1,
        disable=not accelerator.is_main_process,
    )  # fmt: skip
    while True:
        log.seconds = before + time.monotonic() - started
        progress = _progress(log, settings, accelerator)
        if progress >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * learning_rate_factor(progress, settings.warmup, settings.final_rate)
        seed = step_generator(settings.seed, log.step, accelerator.process_index, 1).integers(2**62)
        torch.manual_seed(int(seed))
        losses = step(log.step, step_generator(settings.seed, log.step))
        if not sharded:  # FSDP has averaged its own
            average_gradients(parameters, accelerator)
        edit_gradients()
        norm = whole_tensor(torch.nn.utils.clip_grad_norm_(parameters, settings.gradient_clip or math.inf))
        values = mean_losses(losses | {_NORM: norm}, accelerator)
        if broken := [f"{key} is {value}" for key, value in values.items() if not math.isfinite(value)]:
            batch = batch_of(log.step)
            raise ValueError(
                f"{name}: {broken[0]} at step {log.step + 1}{batch and f' ({batch})'}; "
                + (f"the good state of step {saved} is kept in {path}" if saved else "no checkpoint had been saved")
                + "; lower learning_rate or mend the data, and start in a new folder"
            )
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        del values[_NORM]
        log.add(values, settings.log_every)
        bar.set_postfix({key: f"{value:.3f}" for key, value in log.averages.items()}, refresh=False)
        bar.update()
        if log.step % settings.checkpoint_every == 0:
            log.seconds = before + time.monotonic() - started
            saved = log.step
            save()
    bar.close()
    save()
    accelerator.wait_for_everyone()
    module.eval()
    return {
        "stage": name,
        "fingerprint": fingerprint,
        "steps": log.step,
        "train_seconds": round(log.seconds, 1),
        "processes": accelerator.num_processes,
        "device": str(accelerator.device),
        "losses": log.averages,
        "history": log.history,
    }


def _optimizer(
    parameters: Sequence[nn.Parameter], undecayed: Sequence[nn.Parameter], settings: StageSettings
) -> torch.optim.AdamW:
    spared = {id(parameter) for parameter in undecayed}
    # groups of neighbours, so that the optimizer numbers parameters in the module's order, as checkpoints do
    groups = [
        {"params": list(part), "weight_decay": 0.0 if free else settings.weight_decay}
        for free, part in groupby(parameters, key=lambda parameter: id(parameter) in spared)
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate)


def _progress(log: RunLog, settings: StageSettings, accelerator: Accelerator) -> float:
    """Share of the run that is over, by steps or by time, the same on all processes."""
    progress = log.step / settings.steps
    if settings.max_minutes is not None:
        progress = max(progress, log.seconds / (60 * settings.max_minutes))
    if accelerator.num_processes > 1:  # clocks differ: the main process decides for all
        share = torch.tensor([progress], device=accelerator.device, dtype=torch.float64)
        torch.distributed.broadcast(share, 0)
        progress = float(share)
    return progress
