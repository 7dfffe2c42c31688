"""Batch normalisation with the statistics of all processes, so that how a batch is spread over them does not matter.

Torch's own works on GPUs only. Here the layers stay what they were, with the same tensors under the same names, and
still read as `nn.BatchNorm1d` and `nn.BatchNorm2d`; only what they compute in training changes.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn


class _GlobalNorm(torch.autograd.Function):
    """Normalises `x` `(N, C, ...)` over all but axis 1 of every process's rows.

    Backward sends the gradient of the sum of all processes' losses, as a gathered row does.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        axes = [axis for axis in range(x.dim()) if axis != 1]
        wide = torch.promote_types(x.dtype, torch.float32)
        totals = torch.cat([x.sum(axes, dtype=wide), x.new_full((1,), x.numel() // x.shape[1], dtype=wide)])
        dist.all_reduce(totals)
        count = totals[-1]
        mean = totals[:-1] / count
        # around the mean, in a second exchange: the difference of two large sums would lose digits
        variance = (x - _along(mean, x)).square().sum(axes, dtype=wide)
        dist.all_reduce(variance)
        variance = variance / count
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt(), count)
        ctx.axes = axes
        ctx.mark_non_differentiable(mean, variance, count)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps), mean, variance, count

    @staticmethod
    def backward(ctx, gradient, *_):
        x, weight, mean, scale, count = ctx.saved_tensors
        normal = (x - _along(mean, x)) * _along(scale, x)
        of_bias, of_weight = gradient.sum(ctx.axes, dtype=mean.dtype), (gradient * normal).sum(ctx.axes)
        of_x = None
        if ctx.needs_input_grad[0]:
            sums = torch.stack([of_bias, of_weight])
            dist.all_reduce(sums)
            shift, slope = sums / count
            of_x = (gradient - _along(shift, x) - normal * _along(slope, x)) * _along(weight * scale, x)
            of_x = of_x.to(x.dtype)
        return of_x, of_weight.to(weight.dtype), of_bias.to(weight.dtype), None


def _along(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """`(C,)` shaped to go with `x` `(N, C, ...)`."""
    return values.view(1, -1, *[1] * (x.dim() - 2))


class _Synchronized(nn.modules.batchnorm._BatchNorm):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        self._check_input_dim(x)
        y, mean, variance, count = _GlobalNorm.apply(x, self.weight, self.bias, self.eps)
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            for running, new in ((self.running_mean, mean), (self.running_var, variance * count / (count - 1))):
                running.mul_(1 - self.momentum).add_(new, alpha=self.momentum)
        return y


class SynchronizedBatchNorm1d(_Synchronized, nn.BatchNorm1d):
    """`nn.BatchNorm1d` over all processes in training."""


class SynchronizedBatchNorm2d(_Synchronized, nn.BatchNorm2d):
    """`nn.BatchNorm2d` over all processes in training."""


def synchronize_norms(module: nn.Module) -> None:
    """Makes every batch normalisation in `module` one of all processes, in place; parameters and buffers stay.

    The layers need affine parameters and running statistics with a fixed momentum, as those of the encoder have.
    """
    for layer in module.modules():
        if type(layer) is nn.BatchNorm1d:
            layer.__class__ = SynchronizedBatchNorm1d
        elif type(layer) is nn.BatchNorm2d:
            layer.__class__ = SynchronizedBatchNorm2d
