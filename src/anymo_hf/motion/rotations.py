"""Rotations of bones: between directions, from pairs of axes, between one another, and as continuous quaternions."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Vectors `(..., n)` of length 1; zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def smallest_rotation(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Matrices `(..., 3, 3)` that turn unit vectors `start` into `end` by the least angle."""
    cosine = np.sum(start * end, -1)[..., None, None]
    axis = np.cross(start, end)
    cross = np.zeros((*axis.shape[:-1], 3, 3))
    cross[..., 2, 1], cross[..., 0, 2], cross[..., 1, 0] = axis[..., 0], axis[..., 1], axis[..., 2]
    cross = cross - np.swapaxes(cross, -1, -2)
    return np.eye(3) + cross + cross @ cross / np.maximum(1 + cosine, 1e-9)


def frame_of(main: np.ndarray, main_axis: int, second: np.ndarray, second_axis: int) -> np.ndarray:
    """Right-handed axes as columns: `main` exactly along one axis, `second` as near to another as that allows."""
    columns = np.empty((3, 3))
    columns[main_axis] = unit_vectors(main)
    columns[second_axis] = unit_vectors(second - np.dot(second, columns[main_axis]) * columns[main_axis])
    third = 3 - main_axis - second_axis
    columns[third] = np.cross(columns[(third + 1) % 3], columns[(third + 2) % 3])
    return columns.T


_AXIS_FRAMES = list(Rotation.create_group("O").as_matrix().round())


def nearest_signed_axes(frame: np.ndarray) -> np.ndarray:
    """The right-handed frame along the coordinate axes that is nearest to `frame`."""
    return max(_AXIS_FRAMES, key=lambda candidate: float(np.sum(candidate * frame)))


def slerp(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Rotations `(T, 3, 3)` that lie `share` of the way from the first to the second, frame by frame."""
    start = Rotation.from_matrix(first)
    step = start.inv() * Rotation.from_matrix(second)
    return (start * Rotation.from_rotvec(share * step.as_rotvec())).as_matrix()


def to_quaternions(rotations: np.ndarray) -> np.ndarray:
    """wxyz quaternions of `(T, S, 3, 3)`; neighbouring frames lie on the same side."""
    quaternions = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat(scalar_first=True)
    return continuous_quaternions(quaternions.reshape(*rotations.shape[:2], 4))


def continuous_quaternions(quaternions: np.ndarray) -> np.ndarray:
    """`(T, S, 4)` quaternions with neighbouring frames on the same side."""
    flips = np.where(np.sum(quaternions[1:] * quaternions[:-1], axis=-1) < 0, -1.0, 1.0)
    signs = np.concatenate([np.ones((1, quaternions.shape[1])), np.cumprod(flips, axis=0)])
    return quaternions * signs[..., None]
