"""What processes of one run tell each other: gradients, losses, rows of a batch, and each one's share of it."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from torch import nn


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
