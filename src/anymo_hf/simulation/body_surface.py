"""The body to look at: a closed skin that any motion of the 23 segments can carry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from ..modeling.body_segments import PARENTS, SEGMENTS
from ..motion.body_motion import BodyMotion
from ..motion.posed_mesh import PosedMesh
from ..motion.skeleton import tpose_offsets, tpose_positions
from .kinematics import rotation_matrices

SURFACE_FILE = Path(__file__).with_name("body_surface.safetensors")
HEIGHT = 1.75  # metres, of the bodies that ship
_TENSORS = ("vertices", "faces", "skin_segments", "skin_weights")


@dataclass(frozen=True)
class BodySurface:
    """A skin in the T-pose, soles on z = 0, x forward, y left, z up.

    Args:
        vertices: `(V, 3)` metres.
        faces: `(F, 3)` vertex indices, counter-clockwise seen from outside.
        skin_segments: `(V, 4)` segments that move each vertex, the strongest first.
        skin_weights: `(V, 4)` their shares; a row sums to 1.
        height: body height, metres.
    """

    vertices: np.ndarray
    faces: np.ndarray
    skin_segments: np.ndarray
    skin_weights: np.ndarray
    height: float


def body_surface(height: float = HEIGHT, path: str | Path | None = None) -> BodySurface:
    """The skin that ships with the package (CC0 MakeHuman mesh) or another file's, at a body height.

    Raises:
        OSError: the file is missing or is no safetensors file.
        ValueError: tensors or metadata are missing, or a height outside 0.5 to 2.6 m.
    """
    if not 0.5 <= height <= 2.6:
        raise ValueError(f"height must lie between 0.5 and 2.6 m, got {height}")
    stored = _read(Path(path) if path is not None else SURFACE_FILE)
    return BodySurface(
        stored.vertices * (height / stored.height), stored.faces, stored.skin_segments, stored.skin_weights, height
    )


def posed_body(motion: BodyMotion) -> PosedMesh:
    """The skin over a motion: each segment carries its share, and bones of other lengths stretch it along the bone.

    The body is as tall as the motion's bones say (`motion_height`). Joints are the 23 segments in order; rest space is
    the T-pose of that height.

    Returns:
        A mesh with as many frames as `motion`.
    """
    height = motion_height(motion)
    surface, rest = body_surface(height), tpose_positions(height)
    # world = p + R S (rest - origin): the segment's pose times its inverse T-pose, S the bone's stretch
    linear = rotation_matrices(motion.orientations) * _stretch(motion, height)[:, None]
    shift = motion.positions - np.einsum("tsij,sj->tsi", linear, rest)
    return PosedMesh(
        surface.vertices,
        surface.faces,
        SEGMENTS,
        np.arange(len(SEGMENTS)),
        surface.skin_segments,
        surface.skin_weights,
        np.concatenate([linear, shift[..., None]], axis=-1),
    )


def motion_height(motion: BodyMotion) -> float:
    """Body height in metres whose skeleton has as much bone as this motion's first frame."""
    children, parents = np.arange(1, len(SEGMENTS)), np.array(PARENTS[1:])
    bones = np.linalg.norm(motion.positions[0, children] - motion.positions[0, parents], axis=-1)
    return float(np.clip(bones.sum() / np.linalg.norm(tpose_offsets(1.0)[1:], axis=-1).sum(), 0.5, 2.6))


def _stretch(motion: BodyMotion, height: float) -> np.ndarray:
    """How much longer each segment is along its axes than at that height, `(23, 3)`, from its children's places."""
    scale = np.ones((len(SEGMENTS), 3))
    offsets = tpose_offsets(height)
    for child, parent in reversed(list(enumerate(PARENTS))[1:]):  # of several children along one axis the first decides
        axis = int(np.argmax(np.abs(offsets[child])))
        length = np.linalg.norm(motion.positions[0, child] - motion.positions[0, parent])
        scale[parent, axis] = np.clip(length / np.linalg.norm(offsets[child]), 0.5, 2.0)
    return scale


@cache
def _read(path: Path) -> BodySurface:
    if not path.is_file():
        raise OSError(f"no body surface at {path}; build one with `python -m {__package__}.build_template`")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata, missing = file.metadata() or {}, set(_TENSORS) - set(file.keys())
            if missing or "height" not in metadata:
                raise ValueError(f"{path} lacks {sorted(missing) or 'the metadata entry height'}; rebuild it")
            vertices, faces, segments, weights = (file.get_tensor(name) for name in _TENSORS)
    except SafetensorError as error:
        raise OSError(f"{path} is not a readable safetensors file: {error}") from error
    weights = weights.astype(np.float64)
    return BodySurface(
        vertices.astype(np.float64),
        faces.astype(np.int64),
        segments.astype(np.int64),
        weights / weights.sum(axis=1, keepdims=True),  # stored in half precision
        float(metadata["height"]),
    )
