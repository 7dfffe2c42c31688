"""Soft placements: sensors that ride on the skin of a posed mesh instead of being rigid on a segment."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from ..motion.body_motion import BodyMotion
from .kinematics import rotation_matrices, trajectory_signals
from .surface import surface_frames, vertex_normals

_CHUNK = 2_000_000  # frames times vertices posed at once


def soft_placement_signals(
    motion: BodyMotion,
    vertex: np.ndarray,
    segment: np.ndarray,
    axis: np.ndarray,
    frame_rate: float = 60.0,
) -> np.ndarray:
    """Noise-free IMU signals of sensors that follow single mesh vertices.

    Each sensor sits on its vertex in every frame. Its axes are the tangent, binormal and normal of Eq. 1 with that
    frame's own surface normal and the segment's anatomical axis turned with the segment. The trajectory itself is
    differentiated, by the operators of `segment_kinematics`. Where the skin moves rigidly with the segment this equals
    `placement_signals`.

    Args:
        motion: a motion with a mesh.
        vertex: `(P,)` mesh vertices, such as `MeshCandidates.vertex`.
        segment: `(P,)` segment index of each.
        axis: `(23, 3)` anatomical axes in segment axes, `MeshCandidates.axis`.
        frame_rate: rate of the result, Hz.

    Returns:
        `(T', P, 6)` acceleration m/s² and angular velocity rad/s, sensor axes.

    Raises:
        ValueError: no mesh, shapes that do not agree, or a vertex or segment out of range.
    """
    mesh = motion.mesh
    if mesh is None:
        raise ValueError(f"motion {motion.name!r} has no mesh; soft placements need one, rigid ones do not")
    vertex, segment, axis = np.asarray(vertex), np.asarray(segment), np.asarray(axis)
    count, segments = len(vertex), motion.positions.shape[1]
    if vertex.shape != (count,) or segment.shape != (count,) or axis.shape != (segments, 3):
        raise ValueError(
            f"vertex, segment and axis must be (P,), (P,) and ({segments}, 3), "
            f"got {vertex.shape}, {segment.shape} and {axis.shape}"
        )
    for name, index, limit in (("vertex", vertex, len(mesh.rest_vertices)), ("segment", segment, segments)):
        if count and not 0 <= index.min() <= index.max() < limit:
            raise ValueError(f"{name} must lie in 0..{limit - 1}, got {index.min()}..{index.max()}")

    # only the vertices and the ring of faces around them are posed
    faces = mesh.faces[np.isin(mesh.faces, vertex).any(axis=1)]
    needed = np.unique(np.concatenate([faces.ravel(), vertex]))
    local_faces, rows = np.searchsorted(needed, faces), np.searchsorted(needed, vertex)
    places, turns = [], []
    step = max(1, _CHUNK // max(len(needed), 1))
    for first in range(0, len(motion.positions), step):
        frames = slice(first, first + step)
        posed = mesh.vertices(frames, needed)
        normals = vertex_normals(posed, local_faces, rows)
        axes = np.einsum("tpij,pj->tpi", rotation_matrices(motion.orientations[frames])[:, segment], axis[segment])
        sensor = surface_frames(normals.reshape(-1, 3), axes.reshape(-1, 3))
        places.append(posed[:, rows])
        turns.append(Rotation.from_matrix(sensor).as_quat(scalar_first=True).reshape(-1, count, 4))
    return trajectory_signals(np.concatenate(places), np.concatenate(turns), motion.frame_rate, frame_rate)
