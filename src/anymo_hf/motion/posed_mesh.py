"""`PosedMesh`: a skinned body surface that a motion carries, posed on demand so that long recordings fit in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PosedMesh:
    """Linear blend skinning of one body over `T` frames.

    Args:
        rest_vertices: `(V, 3)` metres, in the space that `transforms` map from.
        faces: `(F, 3)` vertex indices of triangles, counter-clockwise seen from outside.
        joint_names: names of the `J` joints.
        joint_segments: `(J,)` index of the segment that each joint belongs to, -1 for none.
        skin_joints: `(V, K)` joints that move each vertex.
        skin_weights: `(V, K)` their weights, at least 0; a row sums to 1.
        transforms: `(T, J, 3, 4)` rest space to world (metres, z up), joint pose times inverse bind pose.

    Raises:
        ValueError: shapes that do not agree, indices out of range, bad weights, or values that are not finite.
    """

    rest_vertices: np.ndarray
    faces: np.ndarray
    joint_names: tuple[str, ...]
    joint_segments: np.ndarray
    skin_joints: np.ndarray
    skin_weights: np.ndarray
    transforms: np.ndarray

    def __post_init__(self) -> None:
        vertices, joints = len(self.rest_vertices), len(self.joint_names)
        shapes = {
            "rest_vertices": (self.rest_vertices.shape, (vertices, 3)),
            "faces": (self.faces.shape, (len(self.faces), 3)),
            "joint_segments": (self.joint_segments.shape, (joints,)),
            "skin_joints": (self.skin_joints.shape, (vertices, *self.skin_joints.shape[1:2])),
            "skin_weights": (self.skin_weights.shape, self.skin_joints.shape),
            "transforms": (self.transforms.shape, (len(self.transforms), joints, 3, 4)),
        }
        for name, (found, wanted) in shapes.items():
            if found != wanted:
                raise ValueError(f"{name} must be {wanted}, got {found}")
        for name, indices, limit in (("faces", self.faces, vertices), ("skin_joints", self.skin_joints, joints)):
            if indices.size and not 0 <= indices.min() <= indices.max() < limit:
                raise ValueError(f"{name} must lie in 0..{limit - 1}, got {indices.min()}..{indices.max()}")
        for name in ("rest_vertices", "skin_weights", "transforms"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} must be finite")
        if (self.skin_weights < 0).any() or not np.allclose(self.skin_weights.sum(-1), 1, atol=1e-3):
            raise ValueError("skin_weights must be at least 0 and sum to 1 for every vertex; normalise them")

    def vertices(self, frames: slice | np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """World positions `(n, V, 3)` of the vertices `rows` (all without it) at these frames, metres."""
        rows = np.arange(len(self.rest_vertices)) if rows is None else np.asarray(rows)
        rest = np.concatenate([self.rest_vertices[rows], np.ones((len(rows), 1))], axis=-1)
        transforms, joints, weights = self.transforms[frames], self.skin_joints[rows], self.skin_weights[rows]
        posed = np.zeros((len(transforms), len(rows), 3))
        for influence in range(joints.shape[1]):
            moved = np.einsum("tvij,vj->tvi", transforms[:, joints[:, influence]], rest)
            posed += weights[:, influence, None] * moved
        return posed
