"""Sums over the neighbours of a body graph, whose adjacency is nearly all zeros.

Along a limb neighbours have consecutive numbers, so mixing is a few products with shifted rows and an addition for each
edge that is left: a quarter of the time of a matrix product, 96 % of whose factors would be zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch


@dataclass(frozen=True)
class Edges:
    """Where an adjacency is not zero: for each partition the shift `from - to` of most edges, and the others."""

    shifts: tuple[int, ...]
    others: tuple[tuple[int, int, int], ...]  # (partition, from, to)


def edges_of(adjacency: torch.Tensor) -> Edges:
    """Of `(K, V, V)` on the CPU, indexed [partition, from, to]."""
    return _edges((adjacency != 0).numpy().tobytes(), *adjacency.shape[:2])


@lru_cache(maxsize=8)
def _edges(pattern: bytes, partitions: int, nodes: int) -> Edges:
    filled = torch.frombuffer(bytearray(pattern), dtype=torch.bool).view(partitions, nodes, nodes)
    shifts, others = [], []
    for partition in range(partitions):
        pairs = filled[partition].nonzero().tolist()
        differences = [source - target for source, target in pairs]
        main = max(set(differences), key=differences.count, default=0)
        shifts.append(main)
        others += [(partition, *pair) for pair in pairs if pair[0] - pair[1] != main]
    return Edges(tuple(shifts), tuple(others))


@dataclass
class EdgeWeights:
    """An adjacency by its edges."""

    along: list[torch.Tensor]  # for each partition, of the edges along its shift, (edges, 1)
    single: list[float]  # of each other edge


def weights_of(adjacency: torch.Tensor, edges: Edges) -> list[EdgeWeights]:
    """Of adjacencies `(L, K, V, V)`, one for each."""
    along = [adjacency[:, k].diagonal(-shift, 1, 2)[..., None] for k, shift in enumerate(edges.shifts)]
    single = [adjacency[:, k, source, target] for k, source, target in edges.others]
    singles = torch.stack(single, 1).tolist() if single else [[] for _ in adjacency]
    return [EdgeWeights([band[n] for band in along], singles[n]) for n in range(len(adjacency))]


def _targets(shift: int, nodes: int) -> tuple[int, int]:
    """First target whose source exists, and one past the last."""
    return max(0, -shift), min(nodes, nodes - shift)


def mix(x: torch.Tensor, weights: EdgeWeights, edges: Edges, out: torch.Tensor) -> torch.Tensor:
    """Weighted sums over neighbours, `(V, R)` -> `out` `(V, K, R)`."""
    nodes = len(x)
    for partition, (shift, along) in enumerate(zip(edges.shifts, weights.along, strict=True)):
        first, last = _targets(shift, nodes)
        torch.mul(x[first + shift : last + shift], along, out=out[first:last, partition])
        out[:first, partition] = 0
        out[last:, partition] = 0
    for (partition, source, target), weight in zip(edges.others, weights.single, strict=True):
        out[target, partition].add_(x[source], alpha=weight)
    return out


class MixedNeighbours(torch.autograd.Function):
    """`mix` of `x` `(V, R)` with an adjacency `(K, V, V)` that is zero but for `edges`; only theirs is the gradient."""

    @staticmethod
    def forward(ctx, x, adjacency, edges):
        ctx.save_for_backward(x, adjacency)
        ctx.edges = edges
        weights = weights_of(adjacency.to(x.dtype)[None], edges)[0]
        return mix(x, weights, edges, x.new_empty(len(x), len(edges.shifts), x.shape[1]))

    @staticmethod
    def backward(ctx, gradient):
        x, adjacency = ctx.saved_tensors
        edges, nodes = ctx.edges, len(x)
        weights = weights_of(adjacency.to(x.dtype)[None], edges)[0]
        of_x = torch.zeros_like(x) if ctx.needs_input_grad[0] else None
        of_adjacency = torch.zeros_like(adjacency)
        for partition, (shift, along) in enumerate(zip(edges.shifts, weights.along, strict=True)):
            first, last = _targets(shift, nodes)
            reached, sources = gradient[first:last, partition], x[first + shift : last + shift]
            if of_x is not None:
                of_x[first + shift : last + shift].addcmul_(reached, along)
            dots = torch.bmm(reached[:, None], sources[..., None])[:, 0, 0]
            of_adjacency[partition].diagonal(-shift).copy_(dots)
        for (partition, source, target), weight in zip(edges.others, weights.single, strict=True):
            if of_x is not None:
                of_x[source].add_(gradient[target, partition], alpha=weight)
            of_adjacency[partition, source, target] = torch.dot(gradient[target, partition], x[source])
        return of_x, of_adjacency, None
