"""Pictures to look at: the body, its candidate placements, a simulated window, a real recording.

Each function writes NAME.png and NAME.html. The page holds the same picture's body as a scene that can be turned with
the mouse; it needs no network.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..modeling.body_segments import PARENTS, SEGMENTS, resolve_placement
from ..modeling.imu_signal import ImuWarning, suspicious_units
from ..motion.body_motion import BodyMotion
from ..motion.procedural import SubjectStyle, simulate_activity
from ..recordings.imu_recording import ImuRecording
from ..simulation.body_surface import HEIGHT, body_surface, motion_height
from ..simulation.kinematics import placement_signals, rotation_matrices, segment_kinematics
from ..simulation.surface import SurfaceTemplate, farthest_points, load_template
from .body import (
    AXIS_COLOURS,
    COLOURS,
    SEGMENT_COLOURS,
    candidate_places,
    dots_geometry,
    draw_sensor,
    draw_skeleton,
    draw_skin,
    draw_worn_body,
    facing,
    fit_view,
    skin_at,
    skin_geometry,
    spread_apart,
    sticks_geometry,
    tpose_motion,
    view,
    worn_site,
)
from .page import new_figure, write_picture
from .signals import ROW, draw_signal_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from trimesh import Trimesh

FRAME_RATE = 60.0
DEFAULT_PLACEMENTS = ("left_wrist", "right_pocket", "head")
_POSES = 6
_FRAMES_PER_SEGMENT = 4
_AXIS_LENGTH = 0.05  # metres
_MARGIN = 1.0  # seconds around a window, so that its ends are differentiated like its middle


def show_body(out: str | Path, height: float | None = None, seed: int | None = None) -> tuple[Path, Path]:
    """The body in the T-pose with its skeleton and the names of the segments.

    Args:
        out: name of the files without ending.
        height: metres; 1.75 when left out.
        seed: draw the height of a simulated person instead.

    Returns:
        Paths of PNG and HTML.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: height and seed are both given, or the height lies outside 0.5 to 2.6 m.
    """
    if height is not None and seed is not None:
        raise ValueError("height and seed both decide how tall the body is; give one of them")
    height = SubjectStyle.draw(np.random.default_rng(seed)).height if seed is not None else height or HEIGHT
    surface, positions = body_surface(height), tpose_motion(height).positions[0]
    share = np.zeros((len(surface.vertices), len(SEGMENTS)))
    np.put_along_axis(share, surface.skin_segments, surface.skin_weights, axis=1)
    tints = _segment_tints()[share[surface.faces].sum(axis=1).argmax(axis=1)]

    title = f"The body and its {len(SEGMENTS)} segments, T-pose, {height:.2f} m"
    figure, box = new_figure(14.0, 8.4, title)
    front, side = box(0.75, 0.7, 8.9, 6.9), box(10.4, 0.7, 3.4, 6.9)
    draw_skin(front, surface.vertices, surface.faces, np.array([1.0, 0, 0]), tints)
    draw_skeleton(front, positions, np.array([1.0, 0, 0]))
    half = 0.565 * height
    fit_view(front, np.array([-half, -0.05]), np.array([half, 1.08 * height]))
    _name_segments(front, positions, height)
    draw_skin(side, surface.vertices, surface.faces, np.array([0, -1.0, 0]), tints)
    draw_skeleton(side, positions, np.array([0, -1.0, 0]))
    fit_view(side, np.array([-0.25, -0.05]), np.array([0.3, 1.08 * height]))
    for axes, side_of, across in (
        (front, "from the front", "to the person's left (m)"),
        (side, "from the right", "forward (m)"),
    ):
        _frame_axes(axes, side_of, across)

    parts = {"skin": skin_geometry(surface.vertices, surface.faces, 0.4)}
    children = np.arange(1, len(SEGMENTS))
    parents = np.array(PARENTS[1:])
    parts["bones"] = sticks_geometry(positions[parents], positions[children], 0.004, "#333333")
    for index, name in enumerate(SEGMENTS):
        parts[name] = dots_geometry(positions[[index]], 0.014, SEGMENT_COLOURS[index])
    legend = {name: SEGMENT_COLOURS[index] for index, name in enumerate(SEGMENTS)}
    return write_picture(out, figure, title, parts, np.array([1.0, -0.3, 0.15]), legend)


def show_placements(out: str | Path, segments: Sequence[str] = (), frames: bool = False) -> tuple[Path, Path]:
    """Where a sensor can sit: candidates coloured by segment, with the axes of some of them.

    Args:
        out: name of the files without ending.
        segments: segment or placement names to show; all when empty.
        frames: draw the sensor axes of well-spread candidates, a few a segment.

    Returns:
        Paths of PNG and HTML.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: unknown segment.
    """
    chosen = sorted({resolve_placement(name) for name in segments}) or list(range(len(SEGMENTS)))
    body, motion = load_template(), tpose_motion(HEIGHT)
    surface = body_surface(body.height)
    points, axes_of = candidate_places(body, motion, 0)
    counts = body.ranges()[1]
    shown = np.isin(body.segment, chosen)
    framed = _spread_rows(body, points, chosen) if frames else np.array([], dtype=int)

    title = f"{int(counts[chosen].sum()):,} candidate placements on {len(chosen)} segment{'s' * (len(chosen) > 1)}"
    figure, box = new_figure(17.3, 7.2, title)
    low, high = points[shown].min(axis=0), points[shown].max(axis=0)
    margin = 0.06 if len(chosen) == len(SEGMENTS) else 0.12
    length = _AXIS_LENGTH * np.clip(np.max(high - low) / 1.2, 0.4, 1.0)
    for edge, sign, name in ((0.8, 1.0, "front"), (7.5, -1.0, "back")):
        picture = box(edge, 0.7, 6.1, 5.6)
        toward = np.array([sign, -0.35 * sign, 0.2])
        right, up, back = view(toward)
        flat = np.stack([points @ right, points @ up], axis=-1)
        fit_view(picture, flat[shown].min(axis=0) - margin, flat[shown].max(axis=0) + margin)
        draw_skin(picture, surface.vertices, surface.faces, toward)
        visible = shown & (axes_of[:, :, 2] @ back > 0.05)
        order = np.flatnonzero(visible)[np.argsort(points[visible] @ back)]
        size = 7.0 if len(chosen) == len(SEGMENTS) else 22.0
        colours = np.array(SEGMENT_COLOURS)[body.segment[order]]
        picture.scatter(*flat[order].T, s=size, c=colours.tolist(), linewidths=0, zorder=2)
        for row in framed[visible[framed]]:
            for axis, colour in enumerate(AXIS_COLOURS.values()):
                tip = points[row] + length * axes_of[row, :, axis]
                picture.plot(*np.stack([flat[row], [tip @ right, tip @ up]]).T, color=colour, linewidth=1.6, zorder=3)
        turned = "the person's left is on the right" if sign > 0 else "the person's left is on the left"
        _frame_axes(picture, f"from the {name}; {turned}", "across the picture (m)", "up the picture (m)")
    _segment_legend(figure, chosen, counts, frames)

    parts = {"skin": skin_geometry(surface.vertices, surface.faces)}
    for index in chosen:
        rows = body.segment == index
        parts[SEGMENTS[index]] = dots_geometry(
            points[rows] + 0.002 * axes_of[rows, :, 2], 0.005, SEGMENT_COLOURS[index]
        )
    parts |= _axes_geometry(points[framed], axes_of[framed], length)
    legend = {f"{SEGMENTS[index]} ({counts[index]})": SEGMENT_COLOURS[index] for index in chosen}
    return write_picture(
        out, figure, title, parts, np.array([1.0, -0.35, 0.2]), legend | (AXIS_COLOURS if frames else {})
    )


def show_window(
    out: str | Path,
    motion: BodyMotion,
    placements: Sequence[str] = DEFAULT_PLACEMENTS,
    start: float = 0.0,
    seconds: float = 5.0,
    title: str = "",
) -> tuple[Path, Path]:
    """A stretch of motion: the body at a few moments with its sensors, and what they feel (rigid, without noise).

    Args:
        out: name of the files without ending.
        motion: any motion; its own mesh is drawn where it has one.
        placements: names of places or segments.
        start: seconds from the first frame.
        seconds: length; cut where the motion ends.
        title: in words; the motion's name without it.

    Returns:
        Paths of PNG and HTML.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: no or unknown placements, or a stretch that the motion does not have.
    """
    names = list(dict.fromkeys(placements))
    if not names:
        raise ValueError("placements is empty; name at least one place, such as left_wrist")
    if not np.isfinite(start) or not 0 <= start < motion.duration - 2 / motion.frame_rate:
        raise ValueError(f"start must lie in the motion's 0 to {motion.duration:.2f} s, got {start:g}")
    if not 0.1 <= seconds <= 600:
        raise ValueError(f"seconds must lie between 0.1 and 600, got {seconds:g}")
    seconds = min(seconds, motion.duration - start)
    body = load_template().scaled(motion_height(motion))
    rng = np.random.default_rng(0)
    sites = {name: worn_site(body, name, rng) for name in names}
    signals = _felt(motion, body, sites, start, seconds)
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}

    moments = start + seconds * (np.arange(_POSES) + 0.5) / _POSES
    moved = _poses_in_a_row(motion, body, list(sites.values()), moments)
    wide, high = moved.limits[1] - moved.limits[0] + 0.1
    tall = float(np.clip(13.2 * high / wide, 1.3, 4.8))
    bottom = 0.75 + ROW * len(names)
    title = f"{title or motion.name or 'motion'}, {start:g} to {start + seconds:g} s"
    figure, box = new_figure(14.6, bottom + tall + 0.95, title)
    picture = box(0.95, bottom + 0.1, 13.35, tall)
    fit_view(picture, moved.limits[0] - [0.05, 0.03], moved.limits[1] + [0.05, 0.12])
    right, up, _ = view(moved.toward)
    for skin, points, hidden, moment in zip(moved.skins, moved.points, moved.hidden, moments, strict=True):
        draw_skin(picture, skin, moved.faces, moved.toward)
        for point, colour, covered in zip(points, colours.values(), hidden, strict=True):
            draw_sensor(picture, np.array([point @ right, point @ up]), colour, covered, 7)
        across = 0.5 * ((skin @ right).max() + (skin @ right).min())
        picture.text(across, (skin @ up).max() + 0.04, f"{moment:.2f} s", ha="center", va="bottom", fontsize=10)
    _frame_axes(picture, "", "", "height (m)")
    picture.set_xticks([])
    picture.spines["bottom"].set_visible(False)
    picture.set_title("a hollow sensor is on the far side", loc="left", fontsize=10, color="#666666")
    draw_signal_rows(box, signals, FRAME_RATE, colours, (0.95, 8.3), 0.65, 6.0, start, list(moments))

    parts = {
        f"body at {moment:.2f} s": skin_geometry(skin, moved.faces)
        for moment, skin in zip(moments, moved.skins, strict=True)
    }
    for place, (name, colour) in enumerate(colours.items()):
        parts[name] = dots_geometry(np.stack([points[place] for points in moved.points]), 0.022, colour)
    parts |= _axes_geometry(np.concatenate(moved.points), np.concatenate(moved.axes), 0.09)
    signals_figure = _signals_alone(signals, FRAME_RATE, colours, start)
    legend = {name.replace("_", " "): colour for name, colour in colours.items()} | AXIS_COLOURS
    return write_picture(out, figure, title, parts, moved.toward + [0, 0, 0.1], legend, signals_figure)


def show_recording(
    out: str | Path, recording: ImuRecording, title: str = "", start: float = 0.0, seconds: float = 30.0
) -> tuple[Path, Path]:
    """What real sensors felt, with units, rate and label, and where on a standing body they sit.

    Args:
        out: name of the files without ending.
        recording: from any reader.
        title: what this is, in words; dataset, person and session without it.
        start: seconds from the first sample.
        seconds: length; cut where the recording ends.

    Returns:
        Paths of PNG and HTML.

    Warns:
        ImuWarning: the size of a signal says that its unit is another.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: unknown placement, or a stretch that the recording does not have.
    """
    rate, length = recording.sampling_rate, len(next(iter(recording.signals.values())))
    duration = length / rate
    for placement, signal in recording.signals.items():
        for message in suspicious_units(signal):
            warnings.warn(f"{message} ({placement!r})", ImuWarning, stacklevel=2)
    if not np.isfinite(start) or not 0 <= start < duration:
        raise ValueError(f"start must lie in the recording's 0 to {duration:.2f} s, got {start:g}")
    if not seconds > 0:
        raise ValueError(f"seconds must be positive, got {seconds:g}")
    first = int(round(start * rate))
    last = int(min(length, max(first + 2, first + round(min(seconds, duration) * rate))))
    signals = {name: np.asarray(signal)[first:last] for name, signal in recording.signals.items()}
    body, motion = load_template(), simulate_activity("standing", 0, 2.0)
    body = body.scaled(motion_height(motion))
    rng = np.random.default_rng(0)
    sites = {name: worn_site(body, name, rng) for name in signals}
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(signals)}
    who = f"{recording.dataset or 'recording'}, person {recording.subject or '?'}, session {recording.session or '?'}"
    title = title or who
    facts = (
        f"label: {recording.label or 'none'}   {rate:g} Hz   {first / rate:.1f} to {last / rate:.1f} s "
        f"of {duration:.1f} s   {len(signals)} sensor{'s' * (len(signals) > 1)}"
    )

    tall = max(ROW * len(signals), 4.6)
    figure, box = new_figure(15.0, tall + 1.7, title)
    figure.text(0.5, 1 - 0.62 / figure.get_figheight(), facts, ha="center", va="top", fontsize=12, color="#444444")
    standing = box(0.8, 0.7, 4.4, tall - 0.25)
    frame = len(motion.positions) // 2
    draw_worn_body(standing, motion, frame, body, sites, colours)
    standing.set_title("where worn; the pose is not known", loc="left", fontsize=11)
    level = 0.65 + (tall - ROW * len(signals)) / 2
    draw_signal_rows(box, signals, rate, colours, (6.3, 11.15), level, 3.6, first / rate)

    (skin,), faces = skin_at(motion, [frame])
    points, axes_of = candidate_places(body, motion, frame)
    rows = list(sites.values())
    parts = {"skin": skin_geometry(skin, faces)}
    for name, row in sites.items():
        parts[name] = dots_geometry(points[[row]], 0.022, colours[name])
    toward = facing(rotation_matrices(motion.orientations[frame, 0]), axes_of[rows, :, 2])
    signals_figure = _signals_alone(signals, rate, colours, first / rate)
    legend = {name.replace("_", " "): colours[name] for name in sites}
    return write_picture(out, figure, title, parts, toward + [0, 0, 0.1], legend, signals_figure, facts)


# -- parts of the pictures -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    """A motion's poses side by side: skins `(n, V, 3)`, sensors `(n, P, 3)` with axes `(n, P, 3, 3)`, picture limits."""

    skins: np.ndarray
    faces: np.ndarray
    points: np.ndarray
    axes: np.ndarray
    hidden: np.ndarray
    toward: np.ndarray
    limits: tuple[np.ndarray, np.ndarray]


def _poses_in_a_row(motion: BodyMotion, body: SurfaceTemplate, rows: Sequence[int], moments: np.ndarray) -> _Row:
    """Poses at `moments` from left to right, the lowest point of all on z = 0."""
    frames = np.clip(np.round(moments * motion.frame_rate).astype(int), 0, len(motion.positions) - 1)
    skins, faces = skin_at(motion, frames)
    found = [candidate_places(body, motion, frame) for frame in frames]
    points = np.stack([places[rows] for places, _ in found])
    axes = np.stack([turned[rows] for _, turned in found])
    middle = len(frames) // 2
    toward = facing(rotation_matrices(motion.orientations[frames[middle], 0]), axes[middle, :, :, 2])
    right, up, back = view(toward)
    spans = np.stack([(skins @ right).min(axis=1), (skins @ right).max(axis=1)], axis=1)
    lefts = np.cumsum(np.concatenate([[0.0], np.diff(spans, axis=1)[:-1, 0] + 0.2]))
    shift = (lefts - spans[:, 0])[:, None] * right - np.mean(skins @ back, axis=1)[:, None] * back
    shift[:, 2] -= skins[..., 2].min()
    skins, points = skins + shift[:, None], points + shift[:, None]
    low = np.array([0.0, 0.0])
    high = np.array([(skins @ right).max(), (skins @ up).max()])
    return _Row(skins, faces, points, axes, axes[..., 2] @ back < 0, toward, (low, high))


def _felt(
    motion: BodyMotion, body: SurfaceTemplate, sites: Mapping[str, int], start: float, seconds: float
) -> dict[str, np.ndarray]:
    """Noise-free signals `(T, 6)` of each site at 60 Hz over the stretch."""
    first = max(int((start - _MARGIN) * motion.frame_rate), 0)
    last = int(np.ceil((start + seconds + _MARGIN) * motion.frame_rate)) + 1
    part = BodyMotion(motion.frame_rate, motion.positions[first:last], motion.orientations[first:last])
    rows = list(sites.values())
    signals = placement_signals(
        segment_kinematics(part, FRAME_RATE), body.segment[rows], body.offset[rows], body.frame[rows]
    )
    begin = int(round((start - first / motion.frame_rate) * FRAME_RATE))
    signals = signals[begin : begin + max(int(round(seconds * FRAME_RATE)), 2)]
    return {name: signals[:, place] for place, name in enumerate(sites)}


def _signals_alone(signals: Mapping[str, np.ndarray], rate: float, colours: Mapping[str, str], start: float) -> Figure:
    figure, box = new_figure(14.6, ROW * len(signals) + 0.75)
    draw_signal_rows(box, signals, rate, colours, (0.95, 8.3), 0.65, 6.0, start)
    return figure


def _frame_axes(axes: Axes, title: str, across: str, upward: str = "height (m)") -> None:
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(across)
    axes.set_ylabel(upward)
    axes.spines[["top", "right"]].set_visible(False)


def _segment_tints() -> np.ndarray:
    """Pale colours of the segments `(23, 3)`."""
    rgb = np.array([[int(colour[place : place + 2], 16) for place in (1, 3, 5)] for colour in SEGMENT_COLOURS]) / 255
    return 0.45 * rgb + 0.55


def _name_segments(axes: Axes, positions: np.ndarray, height: float) -> None:
    """Segment names beside the body of the front view: arms above and below, legs outside, the trunk in a column."""
    ends = _far_ends(positions, height)
    middles = (positions + ends) / 2
    trunk = [index for index, name in enumerate(SEGMENTS) if name in ("Pelvis", "L5", "L3", "T12", "T8")]
    levels = spread_apart([middles[index, 2] for index in trunk], 0.06 * height)
    # shares of the height by which a name stands outside and above the middle of its segment
    away = {
        "Shoulder": (0.12, 0.13), "UpperArm": (0, 0.075), "Forearm": (0, 0.05), "Hand": (0, 0.1), "Foot": (0, 0.025),
        "Toe": (0, 0.005),
    }  # fmt: skip
    for index, name in enumerate(SEGMENTS):
        y, z = middles[index, 1:]
        side = -1 if name.startswith("R_") else 1
        out, up = (part * height for part in away.get(name[2:], (0, 0)))
        if index in trunk:
            place, across = (-0.34 * height, levels[trunk.index(index)] - 0.1 * height), "right"
        elif name == "Head":
            place, across = (-0.16 * height, z + 0.08 * height), "right"
        elif name == "Neck":
            place, across = (0.16 * height, z + 0.15 * height), "left"
        elif name[2:] in ("UpperLeg", "LowerLeg", "Foot", "Toe"):
            place, across = (side * 0.17 * height, z + up), "left" if side > 0 else "right"
        else:
            place, across = (y + side * out, z + up), "center"
        axes.annotate(
            name,
            (y, z),
            place,
            ha=across,
            va="center",
            fontsize=11,
            color="black",
            bbox={
                "boxstyle": "round,pad=0.15",
                "facecolor": "white",
                "edgecolor": SEGMENT_COLOURS[index],
                "linewidth": 1.5,
            },
            arrowprops={"arrowstyle": "-", "color": SEGMENT_COLOURS[index], "linewidth": 1.2},
            zorder=4,
        )


def _far_ends(positions: np.ndarray, height: float) -> np.ndarray:
    """Where each segment ends `(23, 3)`: at its first child, or a little on from where it came."""
    ends = positions.copy()
    for index in reversed(range(len(SEGMENTS))):
        children = [child for child, parent in enumerate(PARENTS) if parent == index]
        if children:
            ends[index] = positions[children[0]]
        else:
            on = positions[index] - positions[PARENTS[index]]
            ends[index] = positions[index] + 0.08 * height * on / np.linalg.norm(on)
    return ends


def _spread_rows(body: SurfaceTemplate, points: np.ndarray, segments: Sequence[int]) -> np.ndarray:
    """Rows of a few well-spread candidates of each segment; of a single segment more."""
    starts, counts = body.ranges()
    each = _FRAMES_PER_SEGMENT if len(segments) > 3 else 24
    return np.concatenate(
        [
            starts[index]
            + farthest_points(points[starts[index] : starts[index] + counts[index]], min(each, counts[index]))
            for index in segments
        ]
    )


def _segment_legend(figure: Figure, segments: Sequence[int], counts: np.ndarray, frames: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", linestyle="", color=SEGMENT_COLOURS[index], markersize=8,
               label=f"{SEGMENTS[index]}  {counts[index]}")
        for index in segments
    ]  # fmt: skip
    left, top = 14.2 / figure.get_figwidth(), 0.86
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(left, top), frameon=False, title="segment, candidates",
        fontsize=10, labelspacing=0.35, alignment="left",
    )  # fmt: skip
    if frames:
        axes = [Line2D([], [], color=colour, linewidth=2, label=name) for name, colour in AXIS_COLOURS.items()]
        figure.legend(
            handles=axes, loc="upper left", bbox_to_anchor=(16.0 / figure.get_figwidth(), top), frameon=False,
            title="sensor axes", fontsize=10, alignment="left",
        )  # fmt: skip


def _axes_geometry(points: np.ndarray, axes: np.ndarray, length: float) -> dict[str, Trimesh]:
    """Sticks along tangent, binormal and normal from points `(N, 3)` with axes `(N, 3, 3)`."""
    if not len(points):
        return {}
    return {
        name: sticks_geometry(points, points + length * axes[:, :, axis], 0.03 * length, colour)
        for axis, (name, colour) in enumerate(AXIS_COLOURS.items())
    }
