"""GradCache: the gradient of a contrastive loss over a large batch, holding one chunk's activations at a time.

Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup". Chunks are embedded without a
graph, the loss gives a gradient per embedding, then each chunk is embedded again and that gradient is sent back through
it. Random states are replayed, so dropout falls the same way twice and the gradient is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

Embed = Callable[[], torch.Tensor]


class RandomState:
    """Torch's random state now, for the CPU and the current GPU, to be set again later."""

    def __init__(self) -> None:
        self.cpu = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() and torch.cuda.is_initialized() else None

    def restore(self) -> None:
        """Puts the state back."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda)


def cached_backward(
    groups: Sequence[Sequence[Embed]],
    loss: Callable[..., torch.Tensor],
    backward: Callable[[torch.Tensor], object] = torch.Tensor.backward,
) -> torch.Tensor:
    """Accumulates the gradient of `loss` into the parameters behind the embeddings.

    Args:
        groups: for each argument of `loss`, functions that embed its chunks, `(rows, dim)` each; each is called twice.
        loss: takes one `(all rows, dim)` tensor per group and returns a scalar.
        backward: called on scalars, `accelerator.backward` for instance.

    Returns:
        The loss, detached.
    """
    states: list[list[RandomState]] = []
    rows: list[list[torch.Tensor]] = []
    with torch.no_grad():
        for group in groups:
            states.append([])
            rows.append([])
            for embed in group:
                states[-1].append(RandomState())
                rows[-1].append(embed())
    leaves = [torch.cat(part).detach().requires_grad_() for part in rows]
    value = loss(*leaves)
    backward(value)
    after = RandomState()
    for group, group_states, group_rows, leaf in zip(groups, states, rows, leaves, strict=True):
        if leaf.grad is None:
            continue
        gradients = leaf.grad.split([len(part) for part in group_rows])
        for embed, state, gradient in zip(group, group_states, gradients, strict=True):
            state.restore()
            # already scaled by `backward` above, so this one is plain
            torch.autograd.backward(embed(), gradient)
    after.restore()
    return value.detach()
