"""Maps the joints of any skeleton onto the 23 segments: shared by the readers of joint-based motion.

**Names.** Joint names are compared without case, separators and prefixes (`mixamorig:`, `Bip01 `, `CC_Base_`);
`_ALIASES` lists the names of each segment. A joint whose name is unknown still moves what hangs from it.

**Spine.** Xsens has five spine segments, a file has as many as it likes. The joints from the pelvis to the chest (the
last joint that both arms hang from) and on to the neck form a line; L5, L3, T12 and T8 sit on it at the share of its
length that the template skeleton gives them. Pelvis and T8 turn as the pelvis and chest joints; L5, L3 and T12 slerp
between the two joints whose bones' middles lie next to their own bone's middle. A missing neck lies halfway from the
chest joint to the head, a missing collar bone turns as T8, a missing hand or toe as the segment before it.

**Which way a segment faces.** A file says how a joint turned since its rest pose, so a constant rotation leads from each
segment's axes to its joint's. There are two ways to find it:

- *The rest pose stands* (T-pose, A-pose or hanging arms: head up, legs down, toes ahead): trunk, head and collar bones
  face along the body's axes; the T-pose long axis of an arm or leg segment is laid on its rest bone by the smallest
  rotation; hands face as forearms; feet as lower legs, turned about the leg to the toes' heading.
- *The rest pose is no pose* (every bone along its own axis, as animation tools export): the pelvis faces along its hips
  and spine, the chest along its shoulders and neck, and a limb's long axis along its bone, all constant in the joint's
  axes. The turn about a limb's long axis comes from the clip: elbows and knees bend about hinges. A foot is level while
  it stands. If the limbs' bones lie along their joints' own axes, every other axis is taken from those too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ..modeling.body_segments import SEGMENT_INDEX, SEGMENTS
from .body_motion import BodyMotion
from .motion_report import MotionReport
from .skeleton import tpose_positions

# Metres per unit. A unit of CMU's ASF files is 1 / 0.45 inch.
UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254, "cmu": 0.0254 / 0.45}


@dataclass
class Joint:
    """One joint: index of its parent (-1 for the root), offset from it at rest, and the end of what has no child."""

    name: str
    parent: int
    offset: np.ndarray
    end_site: np.ndarray | None = None


# ---- names -----------------------------------------------------------------------------------------------------------

# Names without side, lower case, letters and digits only. Earlier names win, then joints nearer to the root.
_ALIASES: dict[str, tuple[str, ...]] = {
    "Pelvis": ("hips", "hip", "pelvis", "root"),
    "Neck": ("neck", "lowerneck", "neck1", "neck01"),
    "Head": ("head", "face"),  # a rig without a head bone has the face's
    "Shoulder": ("shoulder", "clavicle", "collar", "clav"),
    "UpperArm": ("upperarm", "uparm", "arm", "humerus", "shldr", "shoulder"),
    "Forearm": ("forearm", "lowerarm", "lowarm", "radius", "elbow"),
    "Hand": ("hand", "wrist"),
    "UpperLeg": ("upleg", "upperleg", "thigh", "femur", "hip"),
    "LowerLeg": ("lowerleg", "lowleg", "leg", "shin", "calf", "tibia", "knee"),
    "Foot": ("foot", "ankle"),
    "Toe": ("toebase", "toes", "toe", "toe0", "ball"),
}
_CENTRE = ("Pelvis", "Neck", "Head")
_OPTIONAL = ("Neck", "Shoulder", "Hand", "Toe")


def _plain(name: str) -> str:
    name = name.rsplit(":", 1)[-1].lower()
    name = re.sub(r"[^a-z0-9]", "", name)
    return re.sub(r"^(mixamorig\d*|character\d*|bip0*1|ccbase)(?=.)", "", name)


def _sided(core: str, side: str) -> set[str]:
    letter, word = side.lower(), {"L": "left", "R": "right"}[side]
    return {letter + core, word + core, core + letter, core + word}


def find_joints(path: Path, joints: Sequence[Joint]) -> dict[str, int]:
    """Segment name -> joint index, where the file has such a joint.

    Raises:
        ValueError: a needed joint is missing.
    """
    names = [_plain(joint.name) for joint in joints]
    depth = [0] * len(joints)
    for index, joint in enumerate(joints):
        depth[index] = 0 if joint.parent < 0 else depth[joint.parent] + 1

    def first(wanted: set[str], taken: set[int]) -> int | None:
        found = [i for i, name in enumerate(names) if name in wanted and i not in taken]
        return min(found, key=lambda i: (depth[i], i)) if found else None

    found: dict[str, int] = {}
    for base in _CENTRE:
        for core in _ALIASES[base]:
            if base not in found and (index := first({core}, set())) is not None:
                found[base] = index
    found.setdefault("Pelvis", 0)
    for side in ("R", "L"):
        # a "shoulder" is the upper arm where no joint is called so; then the collar is the shoulder
        for base in ("UpperArm", "Shoulder", "Forearm", "Hand", "UpperLeg", "LowerLeg", "Foot", "Toe"):
            for core in _ALIASES[base]:
                index = first(_sided(core, side), set(found.values()))
                if f"{side}_{base}" not in found and index is not None:
                    found[f"{side}_{base}"] = index
    missing = []
    for segment in SEGMENTS:
        base = segment[2:] if segment[1] == "_" else segment
        if base in _ALIASES and segment not in found and base not in _OPTIONAL:
            missing.append(f"{segment} ({', '.join(_ALIASES[base])})")
    if missing:
        raise ValueError(
            f"{path}: no joint found for {'; '.join(missing)}; rename the joints of the file, which are "
            f"{', '.join(joint.name for joint in joints)}"
        )
    for segment, above in (
        [(f"{side}_{a}", f"{side}_{b}") for side in "RL" for a, b in
         (("Forearm", "UpperArm"), ("Hand", "Forearm"), ("LowerLeg", "UpperLeg"), ("Foot", "LowerLeg"), ("Toe", "Foot"))]
        + [(f"{side}_{a}", "Pelvis") for side in "RL" for a in ("UpperArm", "UpperLeg")]
        + [("Head", "Pelvis")]
    ):  # fmt: skip
        if segment in found and found[above] not in _ancestors(joints, found[segment]):
            raise ValueError(
                f"{path}: joint {joints[found[segment]].name!r} ({segment}) does not hang from "
                f"{joints[found[above]].name!r} ({above}); this is not the skeleton of one person"
            )
    return found


def _ancestors(joints: Sequence[Joint], index: int) -> list[int]:
    """The joint itself, its parent and so on to the root."""
    chain = []
    while index >= 0:
        chain.append(index)
        index = joints[index].parent
    return chain


# ---- axes ------------------------------------------------------------------------------------------------------------


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _smallest_rotation(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Matrices `(..., 3, 3)` that turn unit vectors `start` into `end` by the least angle."""
    cosine = np.sum(start * end, -1)[..., None, None]
    axis = np.cross(start, end)
    cross = np.zeros((*axis.shape[:-1], 3, 3))
    cross[..., 2, 1], cross[..., 0, 2], cross[..., 1, 0] = axis[..., 0], axis[..., 1], axis[..., 2]
    cross = cross - np.swapaxes(cross, -1, -2)
    return np.eye(3) + cross + cross @ cross / np.maximum(1 + cosine, 1e-9)


def _frame(main: np.ndarray, main_axis: int, second: np.ndarray, second_axis: int) -> np.ndarray:
    """Right-handed axes as columns: `main` exactly along one axis, `second` as near to another as that allows."""
    columns = np.empty((3, 3))
    columns[main_axis] = _unit(main)
    columns[second_axis] = _unit(second - np.dot(second, columns[main_axis]) * columns[main_axis])
    third = 3 - main_axis - second_axis
    columns[third] = np.cross(columns[(third + 1) % 3], columns[(third + 2) % 3])
    return columns.T


def nearest_signed_axes(frame: np.ndarray) -> np.ndarray:
    """The right-handed frame along the coordinate axes that is nearest to `frame`."""
    return max(_AXIS_FRAMES, key=lambda candidate: float(np.sum(candidate * frame)))


_AXIS_FRAMES = list(Rotation.create_group("O").as_matrix().round())
_SIGN = {"L": 1.0, "R": -1.0}
_BONES = (("UpperArm", "Forearm"), ("Forearm", "Hand"), ("UpperLeg", "LowerLeg"), ("LowerLeg", "Foot"))


def _t_pose_axis(segment: str) -> np.ndarray:
    """Where a limb segment's long axis points in the T-pose: arms to their side, legs down."""
    return np.array([0, 0, -1.0]) if "Leg" in segment else np.array([0, _SIGN[segment[0]], 0])


class _Rig:
    """The joints of one file with the segments they stand for, and the constant rotation from segment to joint axes."""

    def __init__(self, joints: Sequence[Joint], found: dict[str, int], positions: np.ndarray, rotations: np.ndarray):
        self.joints, self.found = joints, found
        self.positions, self.rotations = positions, rotations  # of the clip, file axes
        arms = _ancestors(joints, found["L_UpperArm"]), set(_ancestors(joints, found["R_UpperArm"]))
        self.chest = next(index for index in arms[0] if index in arms[1])
        path = _ancestors(joints, self.chest)
        self.spine = path[: path.index(found["Pelvis"])][::-1] if found["Pelvis"] in path else []
        if not self.spine:  # arms and legs hang from the pelvis
            self.chest = found["Pelvis"]
        self.neck_or_head = found.get("Neck", found["Head"])

    # -- points

    def point(self, segment: str) -> np.ndarray:
        return self.positions[:, self.found[segment]]

    def tip(self, segment: str) -> np.ndarray | None:
        """`(T, 3)` far end of a segment that no mapped joint ends: the mean end of what hangs from its joint."""
        index = self.found[segment]
        below = [
            i for i, joint in enumerate(self.joints) if joint.parent == index and np.linalg.norm(joint.offset) > 1e-6
        ]
        if below:
            return self.positions[:, below].mean(1)
        site = self.joints[index].end_site
        if site is None or np.linalg.norm(site) < 1e-6:
            return None
        return self.positions[:, index] + self.rotations[:, index] @ site

    def hand(self, side: str) -> np.ndarray | None:
        return self.point(f"{side}_Hand") if f"{side}_Hand" in self.found else self.tip(f"{side}_Forearm")

    def toe(self, side: str) -> np.ndarray | None:
        return self.point(f"{side}_Toe") if f"{side}_Toe" in self.found else self.tip(f"{side}_Foot")

    def bone(self, segment: str) -> np.ndarray:
        """`(T, 3)` unit direction of a limb segment in file axes."""
        side, base = segment[0], segment[2:]
        after = dict(_BONES)[base]
        end = self.hand(side) if after == "Hand" else self.point(f"{side}_{after}")
        assert end is not None  # checked when the joints were found
        return _unit(end - self.point(segment))

    def in_joint(self, joint: int, vectors: np.ndarray) -> np.ndarray:
        """Mean over the clip of file-axes vectors `(T, 3)` in a joint's axes."""
        return np.einsum("tji,tj->i", self.rotations[:, joint], vectors) / len(vectors)

    def next_on_line(self, index: int) -> int:
        """The next joint of the line pelvis, spine, neck, head that lies at another place."""
        line = [self.found["Pelvis"], *self.spine, self.neck_or_head, self.found["Head"]]
        for other in line[line.index(index) + 1 :]:
            if np.linalg.norm(self.positions[:, other] - self.positions[:, index], axis=-1).mean() > 1e-6:
                return other
        return index

    # -- the two ways to find axes

    def from_rest_pose(self, rest: np.ndarray, body: np.ndarray) -> dict[int, np.ndarray]:
        """Joint -> axes of its segment, from a standing rest pose with body axes `body` (columns forward, left, up)."""
        axes = {index: body for index in range(len(self.joints))}
        found = self.found
        for side in _SIGN:
            for base, after in _BONES:
                segment = f"{side}_{base}"
                index = found[segment]
                if f"{side}_{after}" in found:
                    direction = _unit(rest[found[f"{side}_{after}"]] - rest[index])
                else:
                    direction = _unit(self.in_joint(index, self.bone(segment)))
                axes[index] = _smallest_rotation(body @ _t_pose_axis(segment), direction) @ body
            if f"{side}_Hand" in found:
                axes[found[f"{side}_Hand"]] = axes[found[f"{side}_Forearm"]]
            foot = found[f"{side}_Foot"]
            toe = self.toe(side)
            shank = axes[found[f"{side}_LowerLeg"]]
            heading = (
                shank.T @ self.in_joint(foot, toe - self.point(f"{side}_Foot")) if toe is not None else np.eye(3)[0]
            )
            turn = _frame(np.array([0, 0, 1.0]), 2, heading, 0)
            axes[foot] = shank @ turn
            if f"{side}_Toe" in found:
                axes[found[f"{side}_Toe"]] = axes[foot]
        return axes

    def from_motion(self, up: np.ndarray) -> dict[int, np.ndarray]:
        """Joint -> axes of its segment, from bones and from how the clip moves (`up`: the file's up axis)."""
        found, axes = self.found, {}
        mean = self.in_joint
        bones = {f"{side}_{base}": self.bone(f"{side}_{base}") for side in _SIGN for base, _ in _BONES}
        local = {segment: _unit(mean(found[segment], bone)) for segment, bone in bones.items()}
        aligned = all(np.abs(direction).max() > 0.998 for direction in local.values())  # within 3.6 degrees
        snap = nearest_signed_axes if aligned else (lambda frame: frame)

        hips = _unit(self.point("L_UpperLeg") - self.point("R_UpperLeg"))
        shoulders = _unit(self.point("L_UpperArm") - self.point("R_UpperArm"))
        line = [found["Pelvis"], *self.spine, self.neck_or_head, found["Head"]]
        for place, index in enumerate(dict.fromkeys(line)):
            left = (
                hips
                if place == 0
                else shoulders
                if index == self.chest or place > len(self.spine)
                else hips + shoulders
            )
            after = self.next_on_line(index)
            if after == index and index == found["Head"]:
                tip = self.tip("Head")
                if tip is None:
                    axes[index] = axes[self.neck_or_head] if self.neck_or_head != index else axes[self.chest]
                    continue
                long = tip - self.positions[:, index]
            else:
                long = self.positions[:, after] - self.positions[:, index]
            axes[index] = snap(_frame(mean(index, left), 1, mean(index, long), 2))

        for side, sign in _SIGN.items():
            if f"{side}_Shoulder" in found:
                index = found[f"{side}_Shoulder"]
                along = _unit(self.point(f"{side}_UpperArm") - self.point(f"{side}_Shoulder"))
                chest_up = self.rotations[:, self.chest] @ axes[self.chest][:, 2]
                axes[index] = snap(_frame(sign * mean(index, along), 1, mean(index, chest_up), 2))
            for upper, lower, parent in (
                ("UpperArm", "Forearm", self.chest),
                ("UpperLeg", "LowerLeg", found["Pelvis"]),
            ):
                pair = f"{side}_{upper}", f"{side}_{lower}"
                hinge = np.cross(bones[pair[0]], bones[pair[1]])  # to the right at elbows, to the left at knees
                straight = np.linalg.norm(hinge, axis=-1).mean() < 0.1
                above = self.rotations[:, parent] @ axes[parent]
                for segment in pair:
                    index = found[segment]
                    if straight:  # never bent: the smallest turn away from the trunk
                        turned = _smallest_rotation(above @ _t_pose_axis(segment), bones[segment]) @ above
                        hinge = turned[..., 1] if upper == "UpperLeg" else -sign * turned[..., 2]
                    if upper == "UpperLeg":
                        frame = _frame(-local[segment], 2, mean(index, hinge), 1)
                    else:
                        frame = _frame(sign * local[segment], 1, -sign * mean(index, hinge), 2)
                    axes[index] = snap(frame)
            if f"{side}_Hand" in found:
                hand, forearm = found[f"{side}_Hand"], found[f"{side}_Forearm"]
                axes[hand] = axes[forearm]
                turned = np.einsum("tji,tjk->ik", self.rotations[:, hand], self.rotations[:, forearm] @ axes[forearm])
                usual = Rotation.from_matrix(turned)  # the nearest rotation to the mean
                if (usual.inv() * Rotation.from_matrix(axes[hand])).magnitude() > np.radians(60):
                    axes[hand] = snap(usual.as_matrix())  # the rig's hand axes are not those of its forearm

            toe = self.toe(side)
            track = self.point(f"{side}_Foot") + (toe if toe is not None else self.point(f"{side}_Foot"))
            speed = np.linalg.norm(np.gradient(track, axis=0), axis=-1) if len(track) > 1 else np.zeros(1)
            stands = speed <= np.quantile(speed, 0.15)
            shank = found[f"{side}_LowerLeg"]
            left = self.rotations[:, shank] @ axes[shank][:, 1]
            for segment in (f"{side}_Foot", f"{side}_Toe"):
                if segment in found:
                    index = found[segment]
                    if segment.endswith("Foot"):
                        across = mean(index, left)
                        if aligned and np.abs(_unit(across)).max() > 0.8:
                            place = np.abs(across).argmax()
                            across = np.eye(3)[place] * np.sign(across[place])
                    level = np.einsum("tji,j->i", self.rotations[stands, index], up)
                    axes[index] = _frame(across, 1, level, 2)
        return axes


def _standing_axes(rest: np.ndarray, rig: _Rig) -> np.ndarray | None:
    """Body axes (columns forward, left, up) of a rest pose that stands, or None where it does not."""
    found = rig.found
    left = rest[found["L_UpperLeg"]] - rest[found["R_UpperLeg"]]
    trunk = _unit(rest[found["Head"]] - rest[found["Pelvis"]])
    for up in np.eye(3)[[1, 2]]:
        if np.linalg.norm(left) < 1e-9 or abs(_unit(left) @ up) > 0.3 or trunk @ up < 0.85:
            continue
        body = _frame(up, 2, left, 1)
        straight = True
        for side, sign in _SIGN.items():
            names = [found.get(f"{side}_{base}") for base in ("UpperArm", "Forearm", "Hand")]
            arm = [_unit(rest[b] - rest[a]) for a, b in zip(names, names[1:], strict=False) if b is not None]
            names = [found[f"{side}_{base}"] for base in ("UpperLeg", "LowerLeg", "Foot")]
            leg = [_unit(rest[b] - rest[a]) for a, b in zip(names, names[1:], strict=False)]
            toe = found.get(f"{side}_Toe")
            site = rig.joints[found[f"{side}_Foot"]].end_site
            ahead = rest[toe] - rest[names[-1]] if toe is not None else site
            straight &= all(bone @ up < -0.7 for bone in leg)
            straight &= all(bone @ (sign * body[:, 1]) > -0.3 and bone @ up < 0.5 for bone in arm)
            straight &= len(arm) < 2 or arm[0] @ arm[1] > 0.85
            straight &= ahead is None or np.linalg.norm(ahead) < 1e-9 or _unit(ahead) @ body[:, 0] > 0.5
        if straight:
            return body
    return None


# ---- from joints to segments ------------------------------------------------------------------------------------------


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
    rig = _Rig(joints, found, positions, rotations)
    for side in _SIGN:
        if rig.hand(side) is None:
            raise ValueError(f"{path}: no joint or end site found for {side}_Hand ({', '.join(_ALIASES['Hand'])})")
    scale, height = _metres_per_unit(path, rig, unit, units)
    body = _standing_axes(rest, rig)
    up_axis = _up_axis(path, rig, body, up)
    axes = rig.from_motion(up_axis) if body is None else rig.from_rest_pose(rest, body)
    segment_positions, segment_rotations = _segments(rig, axes, height / scale)
    to_world = np.eye(3) if up_axis[2] else np.eye(3)[[2, 0, 1]]
    segment_positions = scale * segment_positions @ to_world.T
    motion = BodyMotion(
        frame_rate,
        segment_positions,
        _quaternions(to_world @ segment_rotations),
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
    if _plain(joints[index].name) in ("hips", "hip", "pelvis"):
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
    to_legs = {chain[chain.index(old) - 1] for leg in legs if old in (chain := _ancestors(joints, leg)) and leg != old}
    kept = [index for index in range(len(joints)) if old in _ancestors(joints, index)]
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


def _metres_per_unit(
    path: Path, rig: _Rig, unit: str | float | None, units: Mapping[str, float]
) -> tuple[float, float]:
    """Metres per file unit and the person's height in metres."""
    leg = 0.0
    for side in _SIGN:
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


def _up_axis(path: Path, rig: _Rig, body: np.ndarray | None, up: str | None) -> np.ndarray:
    if up is not None:
        return np.eye(3)["xyz".index(up)]
    feet = (rig.point("L_Foot") + rig.point("R_Foot")) / 2
    line = rig.point("Head") - feet
    pose = _unit(line.mean(0))
    standing = None if body is None else body[:, 2]
    # somebody who lies down for most of a clip still stands in some of it
    if standing is not None and np.mean(_unit(line) @ standing > 0.8) >= 0.1:
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


def _segments(rig: _Rig, axes: dict[int, np.ndarray], height: float) -> tuple[np.ndarray, np.ndarray]:
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
        rotations[:, place["Neck"]] = _slerp(chest_rotation, oriented(found["Head"]), 0.5)
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
        rotations[:, place[segment]] = _slerp(oriented(line[after - 1]), oriented(line[after]), share)

    for side in _SIGN:
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


def _slerp(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    start = Rotation.from_matrix(first)
    step = start.inv() * Rotation.from_matrix(second)
    return (start * Rotation.from_rotvec(share * step.as_rotvec())).as_matrix()


def _quaternions(rotations: np.ndarray) -> np.ndarray:
    """wxyz quaternions of `(T, S, 3, 3)`; neighbouring frames lie on the same side."""
    quaternions = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat(scalar_first=True)
    return continuous_quaternions(quaternions.reshape(*rotations.shape[:2], 4))


def continuous_quaternions(quaternions: np.ndarray) -> np.ndarray:
    """`(T, S, 4)` quaternions with neighbouring frames on the same side."""
    flips = np.where(np.sum(quaternions[1:] * quaternions[:-1], axis=-1) < 0, -1.0, 1.0)
    signs = np.concatenate([np.ones((1, quaternions.shape[1])), np.cumprod(flips, axis=0)])
    return quaternions * signs[..., None]
