"""Maps the joints of any skeleton onto the 23 segments: shared by the readers of joint-based motion.

`joint_names` finds the joints, `joint_axes` which way they face.

**Spine.** Xsens has five spine segments, a file has as many as it likes. The joints from the pelvis to the chest (the
last joint that both arms hang from) and on to the neck form a line; L5, L3, T12 and T8 sit on it at the share of its
length that the template skeleton gives them. Pelvis and T8 turn as the pelvis and chest joints; L5, L3 and T12 slerp
between the two joints whose bones' middles lie next to their own bone's middle. A missing neck lies halfway from the
chest joint to the head, a missing collar bone turns as T8, a missing hand or toe as the segment before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..modeling.body_segments import SEGMENT_INDEX, SEGMENTS
from .body_motion import BodyMotion
from .joint_axes import Rig, standing_axes
from .joint_names import ALIASES, SIDES, Joint, ancestors, plain_name
from .motion_report import MotionReport
from .rotations import slerp, to_quaternions, unit_vectors
from .skeleton import tpose_positions

# Metres per unit. A unit of CMU's ASF files is 1 / 0.45 inch.
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "cmu": 0.0254 / 0.45}


def map_joints(
    path: Path,
    joints: Sequence[Joint],
    found: dict[str, int],
    positions: np.ndarray,
    rotations: np.ndarray,
    rest: np.ndarray,
    frame_rate: float,
    *,
    source: str,
    subject: str | None = None,
    unit: str | float | None = None,
    up: str | None = None,
    units: Mapping[str, float] = UNITS,
) -> MotionReport:
    """Segments in metres with z up, from joints in the file's unit and axes.

    A y-up file's x, y, z become y, z, x. The floor stays where the file has it.

    Args:
        path: the file, for messages and names.
        joints: the skeleton, parents first.
        found: segment name -> joint, as `find_joints` gives it.
        positions: `(T, J, 3)` joints in the file's unit and axes.
        rotations: `(T, J, 3, 3)` joints, rest axes to the file's axes.
        rest: `(J, 3)` joints where no joint is turned.
        frame_rate: frames per second.
        source: name of the format.
        subject: who moves; the file's name without it.
        unit: a key of `units` or metres per unit. Left out, it is the one unit that makes the person 1.2 to 2.3 m tall,
            judged by the length of the legs.
        up: "y" or "z", the axis that points up. Left out, it is the one along which the rest pose stands and the person
            too, in a tenth of the frames at least; where the rest pose is no pose, the one along which the head is above
            the feet on average.
        units: metres per named unit, the likeliest first.

    Raises:
        ValueError: a hand without a joint, or an unclear unit or up axis.
    """
    if up not in (None, "y", "z"):
        raise ValueError(f"up must be 'y' or 'z', got {up!r}")
    notes: tuple[str, ...] = ()
    if not _is_pelvis(joints, found, rest):
        root = joints[found["Pelvis"]].name
        notes = (f"{root} is no pelvis; the pelvis was placed between the hips and turns as {root}",)
        joints, found, positions, rotations, rest = _with_pelvis(joints, found, positions, rotations, rest)
    rig = Rig(joints, found, positions, rotations)
    for side in SIDES:
        if rig.hand(side) is None:
            raise ValueError(f"{path}: no joint or end site found for {side}_Hand ({', '.join(ALIASES['Hand'])})")
    scale, height = _metres_per_unit(path, rig, unit, units)
    body = standing_axes(rest, rig)
    up_axis = _up_axis(path, rig, body, up)
    axes = rig.from_motion(up_axis) if body is None else rig.from_rest_pose(rest, body)
    segment_positions, segment_rotations = _segments(rig, axes, height / scale)
    to_world = np.eye(3) if up_axis[2] else np.eye(3)[[2, 0, 1]]
    segment_positions = scale * segment_positions @ to_world.T
    motion = BodyMotion(
        frame_rate,
        segment_positions,
        to_quaternions(to_world @ segment_rotations),
        [],
        path.stem if subject is None else subject,
        path.stem,
        source,
    )
    names = {segment: joints[index].name for segment, index in found.items()}
    return MotionReport(motion, "xyz"[int(up_axis.argmax())], scale, names, notes)


def _is_pelvis(joints: Sequence[Joint], found: dict[str, int], rest: np.ndarray) -> bool:
    """Whether the joint that stands for the pelvis is called so, or lies near the hips: within 0.15 of the legs' length."""
    index = found["Pelvis"]
    if plain_name(joints[index].name) in ("hips", "hip", "pelvis"):
        return True
    hips = (rest[found["L_UpperLeg"]] + rest[found["R_UpperLeg"]]) / 2
    line = rest[[found[f"L_{base}"] for base in ("UpperLeg", "LowerLeg", "Foot")]]
    leg = np.linalg.norm(np.diff(line, axis=0), axis=-1).sum()
    return bool(np.linalg.norm(rest[index] - hips) <= 0.15 * leg)


def _with_pelvis(
    joints: Sequence[Joint], found: dict[str, int], positions: np.ndarray, rotations: np.ndarray, rest: np.ndarray
) -> tuple[list[Joint], dict[str, int], np.ndarray, np.ndarray, np.ndarray]:
    """The skeleton with a new root between the hips, from which the old one and the legs hang; it turns as the old one.

    The joint that stood for the pelvis must be the root, or nothing above it may matter: what is above is left out.
    """
    old = found["Pelvis"]
    legs = [found["L_UpperLeg"], found["R_UpperLeg"]]
    to_legs = {chain[chain.index(old) - 1] for leg in legs if old in (chain := ancestors(joints, leg)) and leg != old}
    kept = [index for index in range(len(joints)) if old in ancestors(joints, index)]
    place = {index: number for number, index in enumerate(kept, 1)}
    middle = rest[legs].mean(0)
    new = [Joint("between the hips", -1, np.zeros(3))]
    for index in kept:
        joint = joints[index]
        if index == old or index in to_legs:
            new.append(Joint(joint.name, 0, rest[index] - middle, joint.end_site))
        else:
            new.append(Joint(joint.name, place[joint.parent], joint.offset, joint.end_site))
    mapped = {segment: place[index] for segment, index in found.items()} | {"Pelvis": 0}
    return (
        new, mapped, np.concatenate([positions[:, legs].mean(1, keepdims=True), positions[:, kept]], axis=1),
        np.concatenate([rotations[:, [old]], rotations[:, kept]], axis=1), np.concatenate([[middle], rest[kept]]),
    )  # fmt: skip


def _metres_per_unit(path: Path, rig: Rig, unit: str | float | None, units: Mapping[str, float]) -> tuple[float, float]:
    """Metres per file unit and the person's height in metres."""
    leg = 0.0
    for side in SIDES:
        hip, knee, ankle = (rig.point(f"{side}_{base}") for base in ("UpperLeg", "LowerLeg", "Foot"))
        length = np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1)
        leg += float(np.median(length)) / 2
    height = leg / 0.491  # thigh and shank are 0.245 and 0.246 of body height (skeleton.py)
    if unit is None:
        fitting = [metres for metres in units.values() if 1.2 <= height * metres <= 2.3]
        if not fitting:
            raise ValueError(
                f"{path}: the legs are {leg:.4g} units long, which fits no person in {', '.join(units)}; "
                "give unit= (metres per unit) or correct the OFFSETs"
            )
        return fitting[0], height * fitting[0]
    if isinstance(unit, str):
        if unit not in units:
            raise ValueError(f"unit must be one of {', '.join(units)} or metres per unit, got {unit!r}")
        unit = units[unit]
    if not np.isfinite(unit) or not 0.5 <= height * unit <= 2.6:
        raise ValueError(
            f"{path}: with {unit:g} metres per unit the person would be {height * unit:.3g} m tall; give another unit"
        )
    return float(unit), height * float(unit)


def _up_axis(path: Path, rig: Rig, body: np.ndarray | None, up: str | None) -> np.ndarray:
    if up is not None:
        return np.eye(3)["xyz".index(up)]
    feet = (rig.point("L_Foot") + rig.point("R_Foot")) / 2
    line = rig.point("Head") - feet
    pose = unit_vectors(line.mean(0))
    standing = None if body is None else body[:, 2]
    # somebody who lies down for most of a clip still stands in some of it
    if standing is not None and np.mean(unit_vectors(line) @ standing > 0.8) >= 0.1:
        return standing.round()
    for axis in np.eye(3)[[1, 2]]:
        if pose @ axis > 0.8:
            if standing is None or standing @ axis > 0.5:
                return axis
            raise ValueError(
                f"{path}: the rest pose stands along {'xyz'[standing.argmax()]}, the motion along "
                f"{'xyz'[axis.argmax()]}; say which way is up with up='y' or up='z'"
            )
    if standing is None:
        raise ValueError(f"{path}: neither y nor z is clearly up; say which with up='y' or up='z'")
    return standing


# Middles of the trunk bones and their lower ends, as shares of the way from pelvis to neck in the template skeleton.
_TRUNK = ("Pelvis", "L5", "L3", "T12", "T8", "Neck")


def _segments(rig: Rig, axes: dict[int, np.ndarray], height: float) -> tuple[np.ndarray, np.ndarray]:
    """Segment origins `(T, 23, 3)` and rotations `(T, 23, 3, 3)` in file units and axes."""
    found, frames = rig.found, len(rig.positions)
    positions, rotations = np.empty((frames, len(SEGMENTS), 3)), np.empty((frames, len(SEGMENTS), 3, 3))
    oriented = lambda index: rig.rotations[:, index] @ axes[index]  # noqa: E731
    for segment, index in found.items():
        positions[:, SEGMENT_INDEX[segment]] = rig.positions[:, index]
        rotations[:, SEGMENT_INDEX[segment]] = oriented(index)
    template = tpose_positions(1.0) * height
    place = SEGMENT_INDEX

    head = rig.positions[:, found["Head"]]
    chest_rotation = oriented(rig.chest)
    line = [found["Pelvis"], *rig.spine]
    points = [rig.positions[:, index] for index in line]
    if "Neck" not in found:
        positions[:, place["Neck"]] = (points[-1] + head) / 2
        rotations[:, place["Neck"]] = slerp(chest_rotation, oriented(found["Head"]), 0.5)
    points.append(positions[:, place["Neck"]])
    lengths = [float(np.median(np.linalg.norm(b - a, axis=-1))) for a, b in zip(points, points[1:], strict=False)]
    reach = np.concatenate([[0.0], np.cumsum(lengths)]) / max(sum(lengths), 1e-9)
    heights = template[[place[name] for name in _TRUNK], 2]
    ends = (heights - heights[0]) / (heights[-1] - heights[0])
    middles = (reach[:-1] + reach[1:]) / 2
    for number, segment in enumerate(_TRUNK[1:-1], 1):
        below = min(int(np.searchsorted(reach, ends[number], side="right")) - 1, len(lengths) - 1)
        share = (ends[number] - reach[below]) / max(reach[below + 1] - reach[below], 1e-9)
        positions[:, place[segment]] = (1 - share) * points[below] + share * points[below + 1]
        wanted = (ends[number] + ends[number + 1]) / 2
        if segment == "T8" or len(line) == 1 or wanted >= middles[-1]:
            rotations[:, place[segment]] = chest_rotation
            continue
        after = int(np.searchsorted(middles, wanted, side="right"))
        if after == 0:
            rotations[:, place[segment]] = oriented(line[0])
            continue
        share = (wanted - middles[after - 1]) / (middles[after] - middles[after - 1])
        rotations[:, place[segment]] = slerp(oriented(line[after - 1]), oriented(line[after]), share)

    for side in SIDES:
        shoulder, arm = place[f"{side}_Shoulder"], place[f"{side}_UpperArm"]
        if f"{side}_Shoulder" not in found:
            inner = 0.018 / 0.109  # the template's collar bone starts at this share of the way to the arm
            positions[:, shoulder] = positions[:, place["Neck"]] * (1 - inner) + positions[:, arm] * inner
            rotations[:, shoulder] = chest_rotation
        forearm, hand = place[f"{side}_Forearm"], place[f"{side}_Hand"]
        if f"{side}_Hand" not in found:
            positions[:, hand], rotations[:, hand] = rig.hand(side), rotations[:, forearm]
        foot, toe = place[f"{side}_Foot"], place[f"{side}_Toe"]
        if f"{side}_Toe" not in found:
            end = rig.toe(side)
            offset = template[toe] - template[foot]
            positions[:, toe] = positions[:, foot] + rotations[:, foot] @ offset if end is None else end
            rotations[:, toe] = rotations[:, foot]
    return positions, rotations
