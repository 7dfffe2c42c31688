"""Surface template: candidate sensor placements on the body with their local frames (paper §3.1, A.2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from scipy.sparse import csr_array

from ..modeling.body_segments import PARENTS, SEGMENTS
from ..motion.body_motion import BodyMotion
from ..motion.skeleton import tpose_positions
from .kinematics import rotation_matrices

TEMPLATE_FILE = Path(__file__).with_name("body_template.safetensors")

# Paper Table 5: candidates per segment; 2,374 in all.
CANDIDATE_COUNTS: dict[str, int] = {
    "Pelvis": 108,
    "L5": 59,
    "L3": 35,
    "T12": 90,
    "T8": 105,
    "Neck": 44,
    "Head": 290,
    "R_Shoulder": 42,
    "R_UpperArm": 90,
    "R_Forearm": 127,
    "R_Hand": 145,
    "L_Shoulder": 45,
    "L_UpperArm": 90,
    "L_Forearm": 120,
    "L_Hand": 145,
    "R_UpperLeg": 108,
    "R_LowerLeg": 122,
    "R_Foot": 125,
    "R_Toe": 72,
    "L_UpperLeg": 106,
    "L_LowerLeg": 122,
    "L_Foot": 112,
    "L_Toe": 72,
}


@dataclass(frozen=True)
class SurfaceTemplate:
    """Candidate placements on one body, sorted by segment.

    Args:
        segment: `(P,)` segment index of each candidate, ascending, every segment at least once.
        offset: `(P, 3)` lever arm from the segment origin, segment axes, metres.
        frame: `(P, 3, 3)` sensor axes as columns (tangent, binormal, outward normal) in segment axes.
        height: body height in metres that the offsets belong to.

    Raises:
        ValueError: shapes that do not agree, unsorted or missing segments, frames that are not rotations.
    """

    segment: np.ndarray
    offset: np.ndarray
    frame: np.ndarray
    height: float

    def __post_init__(self) -> None:
        count = len(self.segment)
        if self.segment.shape != (count,) or self.offset.shape != (count, 3) or self.frame.shape != (count, 3, 3):
            raise ValueError(
                "segment, offset and frame must be (P,), (P, 3) and (P, 3, 3), "
                f"got {self.segment.shape}, {self.offset.shape} and {self.frame.shape}"
            )
        if (np.diff(self.segment) < 0).any():
            raise ValueError("segment must be ascending; sort the candidates by segment")
        if not np.array_equal(np.unique(self.segment), np.arange(len(SEGMENTS))):
            raise ValueError(
                f"every segment 0..{len(SEGMENTS) - 1} needs a candidate, got {np.unique(self.segment).tolist()}"
            )
        product = np.swapaxes(self.frame, -1, -2) @ self.frame
        if not np.allclose(product, np.eye(3), atol=1e-4) or (np.linalg.det(self.frame) < 0).any():
            raise ValueError("frame must hold right-handed rotations with orthonormal columns")
        if not np.isfinite(self.offset).all():
            raise ValueError("offset must be finite")
        if not 0.5 <= self.height <= 2.6:
            raise ValueError(f"height must lie between 0.5 and 2.6 m, got {self.height}")

    def scaled(self, height: float) -> SurfaceTemplate:
        """The same body at another height: every lever arm grows with it, frames stay."""
        return SurfaceTemplate(self.segment, self.offset * (height / self.height), self.frame, height)

    def shaped(
        self, generator: np.random.Generator | int, girth: float = 0.08, own_girth: float = 0.03, bone: float = 0.03
    ) -> SurfaceTemplate:
        """The same body with another shape: thicker or thinner, each segment a little longer or shorter.

        Lever arms are stretched along their segment's anatomical axis by a bone factor and across it by a girth factor;
        normals and tangents follow the stretched surface. Left and right get the same factors. Sizes are chosen, near the
        spread of limb girths and lengths among adults of one height. Only candidates move: the skeleton, and so the
        motion, stays.

        Args:
            generator: a generator, or a seed; the same seed gives the same body.
            girth: spread of the logarithm of the girth that all segments share.
            own_girth: spread of each segment's own share of it.
            bone: spread of the logarithm of each segment's length.
        """
        draw = np.random.default_rng(generator).standard_normal((3, len(SEGMENTS)))
        mirror = [
            SEGMENTS.index("R_" + name[2:]) if name.startswith("L_") else row for row, name in enumerate(SEGMENTS)
        ]
        across = np.exp(girth * draw[0, 0] + own_girth * draw[1, mirror])[self.segment, None]
        along = np.exp(bone * draw[2, mirror])[self.segment, None]
        _, counts = self.ranges()
        centres = np.stack([np.bincount(self.segment, column) / counts for column in self.offset.T], axis=-1)
        axis = anatomical_axes(tpose_positions(self.height) + centres)[self.segment]

        def stretched(vectors: np.ndarray, along: np.ndarray, across: np.ndarray) -> np.ndarray:
            lengthwise = np.sum(vectors * axis, axis=-1, keepdims=True) * axis
            return lengthwise * along + (vectors - lengthwise) * across

        normals = stretched(self.frame[..., 2], 1 / along, 1 / across)
        frame = surface_frames(normals, stretched(self.frame[..., 0], along, across))
        return SurfaceTemplate(self.segment, stretched(self.offset, along, across), frame, self.height)

    def ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """First row and number of candidates of each segment, both `(23,)`."""
        counts = np.bincount(self.segment, minlength=len(SEGMENTS))
        return np.cumsum(counts) - counts, counts


def load_template(path: str | Path | None = None) -> SurfaceTemplate:
    """Load the body that ships with the package (CC0 MakeHuman mesh, 1.75 m), or another template file.

    Raises:
        OSError: the file is missing or is no safetensors file.
        ValueError: tensors or metadata are missing or wrong.
    """
    path = Path(path) if path is not None else TEMPLATE_FILE
    if not path.is_file():
        raise OSError(f"no surface template at {path}; build one with `python -m {__package__}.build_template`")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata, names = file.metadata() or {}, set(file.keys())
            missing = {"segment", "offset", "frame"} - names
            if missing or "height" not in metadata:
                raise ValueError(f"{path} lacks {sorted(missing) or 'the metadata entry height'}; rebuild it")
            segment, offset, frame = (file.get_tensor(name) for name in ("segment", "offset", "frame"))
    except SafetensorError as error:
        raise OSError(f"{path} is not a readable safetensors file: {error}") from error
    height = float(metadata["height"])
    stored = SurfaceTemplate(segment.astype(np.int64), offset.astype(np.float64), frame.astype(np.float64), height)
    # float32 frames are rotations to 1e-7 only; square them up in float64.
    exact = surface_frames(stored.frame[..., 2], stored.frame[..., 0])
    return SurfaceTemplate(stored.segment, stored.offset, exact, height)


@dataclass(frozen=True)
class MeshCandidates:
    """Candidates that were found on a posed mesh.

    Args:
        template: the candidates as any template has them.
        vertex: `(P,)` mesh vertex of each candidate, -1 for one that was taken from the fallback.
        axis: `(23, 3)` unit anatomical axis of each segment, segment axes; zeros for a segment without vertices.
    """

    template: SurfaceTemplate
    vertex: np.ndarray
    axis: np.ndarray


def candidates_from_mesh(
    motion: BodyMotion,
    frames: np.ndarray | None = None,
    counts: dict[str, int] | None = None,
    height: float = 1.75,
    fallback: SurfaceTemplate | None = None,
) -> MeshCandidates:
    """Candidate placements on the skinned mesh of a motion, by the top-two rule (paper §3.1, A.2).

    A vertex belongs to a segment if one of the segment's joints is among its two largest nonzero skinning weights, so it
    may belong to two. Lever arms are `mean_t R(t)ᵀ(m(t) − p(t))`; normals (area-weighted over the faces) and axes are
    averaged in segment axes over the same frames. A segment's axis points from its weighted centroid to that of the
    nearest segment below it, or away from the nearest one above it.

    Args:
        motion: a motion with a mesh.
        frames: frames to average over; 16 evenly spaced ones when left out.
        counts: thin each named segment to so many well-spread candidates; a segment with fewer keeps them all.
        height: body height in metres, kept in the template.
        fallback: a template that lends candidates to segments for which the mesh has no joint.

    Raises:
        ValueError: the motion has no mesh, a frame is out of range, or a segment has no vertex and no fallback.
    """
    mesh = motion.mesh
    if mesh is None:
        raise ValueError(f"motion {motion.name!r} has no mesh; load one with its surface, or use load_template()")
    total = len(motion.positions)
    frames = np.unique(np.linspace(0, total - 1, 16).round().astype(int)) if frames is None else np.atleast_1d(frames)
    if not len(frames) or frames.min() < 0 or frames.max() >= total:
        raise ValueError(f"frames must lie in 0..{total - 1}, got {frames.tolist()}")

    weight = _segment_weights(mesh.skin_joints, mesh.skin_weights, mesh.joint_segments)
    found = weight.any(axis=0)
    if not found.all() and fallback is None:
        missing = [SEGMENTS[index] for index in np.flatnonzero(~found)]
        raise ValueError(f"no vertex of the mesh belongs to {', '.join(missing)}; map joints to them or give fallback=")
    posed = mesh.vertices(frames)
    normals = vertex_normals(posed, mesh.faces)
    rotations = rotation_matrices(motion.orientations[frames])

    def local(vectors: np.ndarray, segment: np.ndarray) -> np.ndarray:
        """Mean over frames of world vectors `(n, P, 3)` in the axes of their segments."""
        return np.einsum("tpji,tpj->pi", rotations[:, segment], vectors) / len(frames)

    share = weight / np.where(found, weight.sum(axis=0), 1.0)
    centroids = np.einsum("vs,tvi->tsi", share, posed)
    axes = np.stack([anatomical_axes(frame, found) for frame in centroids])
    axis = local(axes, np.arange(len(SEGMENTS)))
    axis /= np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-12)

    segments, vertices, offsets, directions = [], [], [], []
    for index, name in enumerate(SEGMENTS):
        if not found[index]:
            rows = np.flatnonzero(fallback.segment == index)  # type: ignore[union-attr]
            segments.append(np.full(len(rows), index))
            vertices.append(np.full(len(rows), -1))
            offsets.append(fallback.offset[rows] * (height / fallback.height))  # type: ignore[union-attr]
            directions.append(fallback.frame[rows])  # type: ignore[union-attr]
            continue
        rows = np.flatnonzero(weight[:, index])
        own = np.full(len(rows), index)
        offset = local(posed[:, rows] - motion.positions[frames, None, index], own)
        if counts is not None and counts.get(name, len(rows)) < len(rows):
            chosen = farthest_points(offset, counts[name])
            rows, own, offset = rows[chosen], own[chosen], offset[chosen]
        segments.append(own)
        vertices.append(rows)
        offsets.append(offset)
        directions.append(surface_frames(local(normals[:, rows], own), np.broadcast_to(axis[index], offset.shape)))
    template = SurfaceTemplate(*(np.concatenate(part) for part in (segments, offsets, directions)), height)
    return MeshCandidates(template, np.concatenate(vertices), axis)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Unit normals, each the area-weighted mean over the faces around a vertex.

    Args:
        vertices: `(T, V, 3)` posed vertices.
        faces: `(F, 3)` triangles, counter-clockwise from outside.
        rows: `(P,)` vertices that are asked for; all without it.

    Returns:
        `(T, P, 3)`; z where a vertex has no face.
    """
    count = vertices.shape[1]
    rows = np.arange(count) if rows is None else np.asarray(rows)
    around = csr_array((np.ones(faces.size), (faces.ravel(), np.repeat(np.arange(len(faces)), 3))), (count, len(faces)))
    around = around[rows]
    used = np.unique(around.indices)
    one, two, three = (vertices[:, faces[used, corner]] for corner in range(3))
    # the cross product's length is twice the area
    areas = np.cross(two - one, three - one).transpose(1, 0, 2)
    normals = (around[:, used] @ areas.reshape(len(used), -1)).reshape(len(rows), -1, 3).transpose(1, 0, 2)
    size = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(size > 0, normals / np.where(size > 0, size, 1.0), [0.0, 0.0, 1.0])


def anatomical_axes(centroids: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """Unit axis of each segment `(23, 3)`: to the nearest child's centroid, or for a leaf away from its parent.

    Args:
        centroids: `(23, 3)` metres.
        known: `(23,)` which segments have one; others are stepped over, and their axis is 0.
    """
    known = np.ones(len(SEGMENTS), dtype=bool) if known is None else known
    # the nearest known segment above each
    above = list(PARENTS)
    for index in range(len(SEGMENTS)):
        while above[index] >= 0 and not known[above[index]]:
            above[index] = PARENTS[above[index]]
    axes = np.zeros_like(centroids)
    for index in np.flatnonzero(known):
        below = [
            centroids[child] - centroids[index] for child, top in enumerate(above) if known[child] and top == index
        ]
        if below:
            axes[index] = min(below, key=np.linalg.norm)
        elif above[index] >= 0:
            axes[index] = centroids[index] - centroids[above[index]]
    return axes / np.maximum(np.linalg.norm(axes, axis=-1, keepdims=True), 1e-12)


def surface_frames(normals: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Right-handed sensor frames from surface normals and an anatomical axis (paper Eq. 1).

    Args:
        normals: `(P, 3)` outward normals.
        axes: `(P, 3)` anatomical axis of each candidate's segment.

    Returns:
        `(P, 3, 3)` with columns tangent, binormal = normal x tangent, normal.
    """
    normals = normals / np.linalg.norm(normals, axis=-1, keepdims=True)
    axes = axes / np.linalg.norm(axes, axis=-1, keepdims=True)
    tangents = _in_plane(axes, normals)
    # A normal along the axis (a finger tip) leaves no direction: fall back to the least aligned body axis.
    lost = np.linalg.norm(tangents, axis=-1) < 1e-3
    tangents[lost] = _in_plane(np.eye(3)[np.argmin(np.abs(normals[lost]), axis=-1)], normals[lost])
    tangents /= np.linalg.norm(tangents, axis=-1, keepdims=True)
    return np.stack([tangents, np.cross(normals, tangents), normals], axis=-1)


def farthest_points(points: np.ndarray, count: int) -> np.ndarray:
    """Rows of `count` well-spread points: each next one lies farthest from all chosen before.

    The first is the point nearest to the centroid, so the result depends on the points only.

    Raises:
        ValueError: fewer points than asked for.
    """
    if not 0 < count <= len(points):
        raise ValueError(f"cannot choose {count} of {len(points)} points")
    chosen = [int(np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=-1)))]
    distance = np.linalg.norm(points - points[chosen[0]], axis=-1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=-1))
        # Two vertices at one place must not be chosen as the same row twice.
        distance[chosen] = -1.0
    return np.array(chosen)


def _in_plane(vectors: np.ndarray, normals: np.ndarray) -> np.ndarray:
    return vectors - np.sum(vectors * normals, axis=-1, keepdims=True) * normals


def _segment_weights(joints: np.ndarray, weights: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """`(V, 23)`: the skinning weight of each segment among every vertex's two largest nonzero influences."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :2]
    segment = segments[np.take_along_axis(joints, order, axis=1)]
    weight = np.where(segment >= 0, np.take_along_axis(weights, order, axis=1), 0.0)
    table = np.zeros((len(joints), len(SEGMENTS)))
    np.add.at(table, (np.arange(len(joints))[:, None], np.maximum(segment, 0)), weight)
    return table
