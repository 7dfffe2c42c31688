"""Drawing bodies: the skin, the skeleton and worn sensors, on matplotlib axes and as trimesh geometry.

A picture looks along a direction: `toward` points from the body to the viewer, `right` and `up` span the picture.
Matplotlib and trimesh are imported only where they are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..modeling.body_segments import PARENTS, SEGMENTS, resolve_placement
from ..motion.body_motion import BodyMotion
from ..motion.skeleton import tpose_positions
from ..simulation.body_surface import posed_body
from ..simulation.kinematics import rotation_matrices
from ..simulation.surface import SurfaceTemplate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from trimesh import Scene, Trimesh

# Okabe and Ito's palette, which colour-blind people can tell apart; one colour a device.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#8c8c8c"
AXIS_COLOURS = {"tangent": "#d62728", "binormal": "#2ca02c", "normal": "#1f4fd6"}  # x, y, z of a sensor

# What a simulated person may wear -> the side of the segment it sits on, T-pose axes (x forward, y left, z up).
WORN_SIDES: dict[str, tuple[float, float, float]] = {
    "head": (1, 0, 0.5), "left_ear": (0, 1, 0), "right_ear": (0, -1, 0), "chest": (1, 0, 0), "waist": (1, 0, 0),
    "lower_back": (-1, 0, 0), "left_upper_arm": (0, 0, 1), "right_upper_arm": (0, 0, 1), "left_wrist": (0, 1, 0),
    "right_wrist": (0, -1, 0), "left_pocket": (0.5, 0.5, 1), "right_pocket": (0.5, -0.5, 1), "left_ankle": (0, 0, -1),
    "right_ankle": (0, 0, -1), "left_shoe": (0.5, 0, 1), "right_shoe": (0.5, 0, 1),
}  # fmt: skip

# neighbours differ in hue; a left limb is the lighter one of a pair
_HUES = {
    "Pelvis": "#6a3d9a", "L5": "#cc79a7", "L3": "#8c564b", "T12": "#e69f00", "T8": "#3f6fb5", "Neck": "#b8a200",
    "Head": "#d55e00", "Shoulder": "#c0392b", "UpperArm": "#009e73", "Forearm": "#0072b2", "Hand": "#d43f8d",
    "UpperLeg": "#1b8a5a", "LowerLeg": "#7a68c8", "Foot": "#c46210", "Toe": "#5f8f1f",
}  # fmt: skip


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255


def _mixed(colour: str, white: float) -> str:
    rgb = (1 - white) * _rgb(colour) + white
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in rgb)


SEGMENT_COLOURS: tuple[str, ...] = tuple(
    _mixed(_HUES[name.removeprefix("R_").removeprefix("L_")], 0.45 if name.startswith("L_") else 0.0)
    for name in SEGMENTS
)


# -- where things are ----------------------------------------------------------------------------------------------------


def tpose_motion(height: float) -> BodyMotion:
    """One frame of the T-pose, soles on z = 0, facing x."""
    turns = np.zeros((1, len(SEGMENTS), 4))
    turns[..., 0] = 1
    return BodyMotion(60.0, tpose_positions(height)[None], turns, name="T-pose")


def worn_site(body: SurfaceTemplate, name: str, rng: np.random.Generator) -> int:
    """A candidate of a placement: among the tenth that lies farthest to its side, or any where no side is known."""
    segment = resolve_placement(name)
    start, count = (part[segment] for part in body.ranges())
    if name not in WORN_SIDES:
        return int(start + rng.integers(count))
    offset = body.offset[start : start + count]
    spread = np.maximum(np.ptp(offset, axis=0), 1e-6)
    reach = ((offset - offset.mean(axis=0)) / spread) @ np.array(WORN_SIDES[name], dtype=float)
    best = np.argsort(-reach)[: max(3, count // 10)]
    return int(start + rng.choice(best))


def candidate_places(body: SurfaceTemplate, motion: BodyMotion, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Candidates in the world at one frame: places `(P, 3)` in metres, sensor axes `(P, 3, 3)` as columns."""
    rotations = rotation_matrices(motion.orientations[frame])[body.segment]
    return motion.positions[frame, body.segment] + np.einsum(
        "pij,pj->pi", rotations, body.offset
    ), rotations @ body.frame


def skin_at(motion: BodyMotion, frames: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The motion's own mesh, or the shipped body, at some frames: `(n, V, 3)` metres and faces `(F, 3)`."""
    chosen = np.asarray(frames)
    if motion.mesh is not None:
        return motion.mesh.vertices(chosen), motion.mesh.faces
    part = BodyMotion(motion.frame_rate, motion.positions[chosen], motion.orientations[chosen])
    mesh = posed_body(part)
    return mesh.vertices(slice(None)), mesh.faces


def view(toward: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right, up and toward as unit vectors, for a viewer who stands upright."""
    back = np.asarray(toward, dtype=float)
    back = back / np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    return right, np.cross(back, right), back


def facing(pelvis: np.ndarray, outward: np.ndarray) -> np.ndarray:
    """Direction to the viewer, from ahead or behind, left or right, that shows most sensors.

    Args:
        pelvis: `(3, 3)` pelvis to world.
        outward: `(N, 3)` outward normals of the sensors.
    """
    ahead = pelvis[:, 0] if abs(pelvis[2, 0]) < 0.7 else pelvis[:, 2]  # one who lies faces up; then the head leads
    heading = np.arctan2(ahead[1], ahead[0])
    views = [heading + np.radians(turn) for turn in (40, -40, 140, -140)]
    directions = [np.array([np.cos(turn), np.sin(turn), 0.0]) for turn in views]
    return max(directions, key=lambda direction: float((outward @ direction > 0).sum()))


def spread_apart(values: Sequence[float], gap: float) -> list[float]:
    """Ascending values moved apart to at least `gap`, around where they were."""
    out = list(values)
    for place in range(1, len(out)):
        out[place] = max(out[place], out[place - 1] + gap)
    shift = (sum(out) - sum(values)) / max(len(out), 1)
    return [value - shift for value in out]


# -- on axes -------------------------------------------------------------------------------------------------------------


def draw_skin(
    axes: Axes, vertices: np.ndarray, faces: np.ndarray, toward: np.ndarray, tints: np.ndarray | None = None
) -> None:
    """A shaded body, seen from `toward`; picture coordinates are `vertices @ right` and `vertices @ up`.

    Args:
        vertices, faces: `(V, 3)` and `(F, 3)`.
        tints: `(F, 3)` colours of the faces; grey without them.
    """
    from matplotlib.collections import PolyCollection

    right, up, back = view(toward)
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    seen = np.flatnonzero(normals @ back > 0)
    order = seen[np.argsort(corners[seen].mean(axis=1) @ back)]
    light = 0.62 + 0.33 * np.clip(normals[order] @ (0.75 * back + 0.55 * up - 0.35 * right), -0.4, 1.0)
    shade = light[:, None] * (np.ones(3) if tints is None else tints[order])
    flat = np.stack([corners[order] @ right, corners[order] @ up], axis=-1)
    axes.add_collection(PolyCollection(flat, facecolors=shade, edgecolors=shade, linewidths=0.3))


def fit_view(axes: Axes, low: np.ndarray, high: np.ndarray) -> None:
    """Limits that hold the box from `low` to `high` (picture x, y) with one scale for both axes."""
    inches = axes.get_window_extent().size / axes.figure.dpi
    scale = float(np.max((high - low) / inches))
    middle, half = (low + high) / 2, scale * inches / 2
    axes.set_xlim(middle[0] - half[0], middle[0] + half[0])
    axes.set_ylim(middle[1] - half[1], middle[1] + half[1])


def draw_worn_body(
    axes: Axes,
    motion: BodyMotion,
    frame: int,
    body: SurfaceTemplate,
    sites: Mapping[str, int],
    colours: Mapping[str, str],
) -> None:
    """A posed body with named sensors, seen from the side that shows most of them, heights from the ground.

    Args:
        sites: placement name -> row of `body`.
        colours: placement name -> colour.
    """
    near = range(max(frame - 30, 0), min(frame + 31, len(motion.positions)), 3)
    # heights count from the lowest point within half a second: stairs and lifts leave the first floor behind
    skins, faces = skin_at(motion, [frame, *near])
    points, frames = candidate_places(body, motion, frame)
    ground = skins[..., 2].min()
    skin, points = skins[0] - [0, 0, ground], points - [0, 0, ground]
    rows = list(sites.values())
    outward = frames[rows, :, 2]
    toward = facing(rotation_matrices(motion.orientations[frame, 0]), outward)
    right, up, _ = view(toward)
    middle = 0.5 * ((skin @ right).max() + (skin @ right).min())
    skin, points = skin - middle * right, points - middle * right
    draw_skin(axes, skin, faces, toward)

    # one scale for both axes; whichever has room to spare shows more of the room
    inches = axes.get_window_extent().size / axes.figure.dpi
    half, high = 0.45 + np.abs(skin @ right).max(), (skin @ up).max() + 0.1
    metres = max(2 * max(half, 0.75) / inches[0], (high + 0.05) / inches[1])
    half, high = metres * inches[0] / 2, metres * inches[1] - 0.05
    places = np.stack([points[rows] @ right, points[rows] @ up], axis=-1)
    for side in (-1, 1):
        chosen = [n for n in range(len(rows)) if (places[n, 0] >= 0) == (side > 0)]
        chosen.sort(key=lambda n: places[n, 1])
        heights = spread_apart([places[n, 1] for n in chosen], 0.15)
        for n, height in zip(chosen, heights, strict=True):
            name, hidden = list(sites)[n], outward[n] @ toward < 0
            colour = colours[name]
            axes.annotate(
                name.replace("_", " ") + ("\n(far side)" if hidden else ""),
                places[n],
                (side * half * 0.98, height),
                ha="right" if side > 0 else "left",
                va="center",
                color=colour,
                weight="bold",
                fontsize=11,
                arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 1.2, "shrinkB": 5},
            )
            draw_sensor(axes, places[n], colour, hidden)
    axes.set_xlim(-half, half)
    axes.set_ylim(-0.05, high)
    axes.set_xticks([-0.5, 0, 0.5])
    axes.set_ylabel("height (m)")
    axes.set_xlabel("width (m)")
    axes.spines[["top", "right"]].set_visible(False)


def draw_sensor(axes: Axes, place: np.ndarray, colour: str, hidden: bool, size: float = 10) -> None:
    """A dot at picture coordinates `(2,)`; hollow where the body hides the sensor."""
    axes.plot(*place, "o", markersize=size, markeredgewidth=size / 5, markeredgecolor=colour,
              markerfacecolor="white" if hidden else colour)  # fmt: skip


def draw_skeleton(axes: Axes, positions: np.ndarray, toward: np.ndarray) -> None:
    """Bones between segment origins `(23, 3)` and a dot in the segment's colour at each origin."""
    right, up, _ = view(toward)
    flat = np.stack([positions @ right, positions @ up], axis=-1)
    for child, parent in list(enumerate(PARENTS))[1:]:
        axes.plot(*flat[[parent, child]].T, color="black", linewidth=1.6, solid_capstyle="round")
    axes.scatter(*flat.T, s=26, c=list(SEGMENT_COLOURS), edgecolors="black", linewidths=0.8, zorder=3)


# -- as geometry ---------------------------------------------------------------------------------------------------------


def skin_geometry(vertices: np.ndarray, faces: np.ndarray, opacity: float = 1.0) -> Trimesh:
    """A matt grey body; below an opacity of 1 what is inside shows through."""
    return _geometry(vertices, faces, "#c4c4c4", opacity)


def dots_geometry(points: np.ndarray, radius: float, colour: str) -> Trimesh:
    """Octahedra of one colour around points `(N, 3)`."""
    corners = np.concatenate([np.eye(3), -np.eye(3)])
    faces = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]])
    vertices = (points[:, None] + radius * corners).reshape(-1, 3)
    # each face with corners of its own, so that the viewer shades it flat
    all_faces = (faces + 6 * np.arange(len(points))[:, None, None]).reshape(-1, 3)
    return _geometry(vertices, all_faces, colour)


def sticks_geometry(starts: np.ndarray, ends: np.ndarray, radius: float, colour: str) -> Trimesh:
    """Straight sticks of one colour between points `(N, 3)`, square in section."""
    along = ends - starts
    aside = np.cross(along, np.eye(3)[np.argmin(np.abs(along), axis=1)])
    aside *= radius / np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-12)
    other = np.cross(along, aside)
    other *= radius / np.maximum(np.linalg.norm(other, axis=1, keepdims=True), 1e-12)
    ring = np.stack([aside, other, -aside, -other], axis=1)
    vertices = np.concatenate([starts[:, None] + ring, ends[:, None] + ring], axis=1).reshape(-1, 3)
    sides = [[n, (n + 1) % 4, 4 + (n + 1) % 4] for n in range(4)] + [[n, 4 + (n + 1) % 4, 4 + n] for n in range(4)]
    faces = np.array([*sides, [2, 1, 0], [3, 2, 0], [4, 5, 6], [4, 6, 7]])
    return _geometry(vertices, (faces + 8 * np.arange(len(starts))[:, None, None]).reshape(-1, 3), colour)


def _geometry(vertices: np.ndarray, faces: np.ndarray, colour: str, opacity: float = 1.0) -> Trimesh:
    import trimesh
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import PBRMaterial

    material = PBRMaterial(
        baseColorFactor=[*_rgb(colour), opacity],
        alphaMode="OPAQUE" if opacity == 1 else "BLEND",
        metallicFactor=0.0,
        roughnessFactor=0.9,
    )
    return trimesh.Trimesh(vertices, faces, process=False, visual=TextureVisuals(material=material))


def scene_of(parts: Mapping[str, Trimesh], toward: Sequence[float] | np.ndarray) -> Scene:
    """A scene of named parts (metres, z up) with a camera that looks at all of them from `toward`."""
    import trimesh

    # glTF and its viewer have y up: x, y, z become y, z, x, and one who faces x faces the viewer
    upright = np.eye(4)[[1, 2, 0, 3]]
    scene = trimesh.Scene()
    for name, part in parts.items():
        scene.add_geometry(part.copy().apply_transform(upright), node_name=name, geom_name=name)
    low, high = scene.bounds
    right, up, back = (axis[[1, 2, 0]] for axis in view(toward))
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, up, back], axis=1)
    scene.camera.fov = (50.0, 40.0)
    distance = 0.62 * np.linalg.norm(high - low) / np.tan(np.radians(20))
    pose[:3, 3] = (low + high) / 2 + distance * back
    scene.camera_transform = pose
    return scene
