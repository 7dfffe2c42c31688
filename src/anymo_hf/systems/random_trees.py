"""Extremely randomised trees as arrays: grown by scikit-learn, saved as tensors, asked without unpickling anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

TREES = 200


@dataclass(frozen=True)
class RandomTrees:
    """Nodes of all trees, one after another; children come after their parents.

    Args:
        roots: `(trees,)` int64, node of each tree's root.
        column: `(nodes,)` int64, which column decides.
        threshold: `(nodes,)` float64; a value up to it goes left.
        children: `(nodes, 2)` int64, left and right; a leaf is its own child.
        chances: `(nodes, classes)` float32, shares of the classes among the training rows of a node.
    """

    roots: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    children: np.ndarray
    chances: np.ndarray

    def predict_proba(self, table: np.ndarray) -> np.ndarray:
        """Mean over the trees, `(n, classes)`, of rows `(n, columns)`."""
        values = np.asarray(table, dtype=np.float32)  # as scikit-learn compares them
        nodes = np.repeat(self.roots[None], len(values), axis=0)
        rows = np.arange(len(values))[:, None]
        while True:
            right = values[rows, self.column[nodes]] > self.threshold[nodes]
            below = self.children[nodes, right.astype(np.int64)]
            if (below == nodes).all():
                return self.chances[nodes].mean(1, dtype=np.float64)
            nodes = below

    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays by name; `from_arrays` takes them back."""
        return {field.name: np.ascontiguousarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], columns: int, classes: int) -> RandomTrees:
        """What `arrays` gave.

        Args:
            arrays: by name.
            columns, classes: of the tables and answers that they must fit.

        Raises:
            ValueError: an array is missing, or they are no trees of such tables.
        """
        if missing := [field.name for field in fields(cls) if field.name not in arrays]:
            raise ValueError(f"of its trees {', '.join(missing)} is missing")
        made = cls(**{field.name: arrays[field.name] for field in fields(cls)})
        nodes = len(made.column)
        shapes = (made.column.shape, made.threshold.shape, made.children.shape, made.chances.shape)
        whole = all(array.dtype.kind == "i" for array in (made.roots, made.column, made.children))
        if not whole or made.roots.ndim != 1 or not len(made.roots) or shapes != (
            (nodes,), (nodes,), (nodes, 2), (nodes, classes)
        ):  # fmt: skip
            raise ValueError("the arrays of its trees do not go together")
        own, below = np.arange(nodes)[:, None], made.children
        leaf = (below == own).all(1, keepdims=True)
        inside = [(array >= 0).all() and (array < most).all() for array, most in
                  ((made.roots, nodes), (made.column, columns), (below, nodes))]  # fmt: skip
        if not all(inside) or not (leaf | (below > own)).all():
            raise ValueError("its trees lead to nodes or columns that are not there")
        return made


def grow_trees(table: np.ndarray, target: np.ndarray, seed: int, trees: int = TREES) -> RandomTrees:
    """scikit-learn's `ExtraTreesClassifier` on rows `(n, columns)` of classes 0, 1, ... that all occur."""
    from sklearn.ensemble import ExtraTreesClassifier

    grown = [one.tree_ for one in ExtraTreesClassifier(trees, random_state=seed).fit(table, target).estimators_]
    starts = np.cumsum([0, *(one.node_count for one in grown)])
    own = np.arange(starts[-1])
    parts = zip(grown, starts, strict=False)
    children = np.concatenate([np.stack([one.children_left, one.children_right], 1) + start for one, start in parts])
    leaf = np.concatenate([one.children_left < 0 for one in grown])
    children[leaf] = own[leaf, None]
    counts = np.concatenate([one.value[:, 0] for one in grown])
    return RandomTrees(
        starts[:-1].astype(np.int64),
        np.where(leaf, 0, np.concatenate([one.feature for one in grown])).astype(np.int64),
        np.concatenate([one.threshold for one in grown]),
        children.astype(np.int64),
        (counts / counts.sum(1, keepdims=True)).astype(np.float32),
    )
