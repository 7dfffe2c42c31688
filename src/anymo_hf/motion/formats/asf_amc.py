"""Reads Acclaim motion, a skeleton (.asf) and its motion (.amc) as the CMU database has them, into a `BodyMotion`.

**Kinematics.** A bone starts where its parent ends and reaches `direction` x `length` from there at rest. With
C the rotation of its `axis` (angles about the fixed axes in the order named: XYZ is about x first) and M that of its
degrees of freedom (about the fixed axes in the order of `dof`), it turns by C M C⁻¹ after its parent. The root moves and
turns by `order`, from its `position`. A root `orientation` that is not zero is refused: files do not agree on its sense.

**Segments.** `joint_mapping` says how bones become segments; a bone counts as the joint at its start. One thing differs:
CMU gives the turn of the forearm about its own length to the bone `wrist`, which continues `radius`. The Xsens forearm
turns with the radius bone of the body, that is with the wrist's dial, so it faces as `wrist` here.

**Length.** A file's unit is a metre, centimetre, millimetre or inch divided by the `length` of `:units`, whichever makes
the person 1.2 to 2.3 m tall. CMU's `length 0.45` is 1 / 0.45 inch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ..body_motion import BodyMotion
from ..joint_mapping import UNITS, map_joints
from ..joint_names import Joint, find_joints
from ..motion_report import MotionReport
from . import MotionFormat

_LARGEST = 1e7  # of a number in either file
_DOFS = ("rx", "ry", "rz")


@dataclass(eq=False)
class _Bone(Joint):
    """A bone as the joint at its start; `axis` is C, `dofs` the axes x, y, z of its angles in the file's order."""

    reach: np.ndarray = field(default_factory=lambda: np.zeros(3))  # from its start to its end, at rest
    axis: Rotation = field(default_factory=Rotation.identity)
    dofs: str = ""


@dataclass
class _Skeleton:
    """Bones with parents first (the root is the first); `order` are the root's columns, `length` that of `:units`."""

    bones: list[_Bone]
    order: tuple[str, ...]
    position: np.ndarray
    length: float
    degrees: bool


def read_asf_amc(
    amc: str | Path,
    asf: str | Path | None = None,
    *,
    frame_rate: float = 120.0,
    unit: str | float | None = None,
    up: str | None = None,
) -> BodyMotion:
    """Reads an .amc with its .asf, metres with z up (see the module's first lines).

    Args:
        amc: the motion.
        asf: the skeleton. Left out, it is looked for beside the motion: 07_02.amc belongs to 07_02.asf or 07.asf,
            HDM_bd_squat_012_120.amc to HDM_bd.asf, and a motion of another name to the only .asf of its folder.
        frame_rate: frames per second, which neither file states; most of CMU has 120, some subjects 60.
        unit: "m", "cm", "mm", "inch" (each divided by the file's `length`) or metres per unit; found alone without it.
        up: "y" or "z", the axis that points up; found alone without it.

    Raises:
        OSError: no such file, or no .asf found.
        ValueError: not an ASF or AMC, damaged structure or numbers, bones the skeleton lacks, frames that are cut off,
            missing or out of order, needed bones missing, or an unclear unit or up axis.
    """
    return map_asf_amc(amc, asf, frame_rate=frame_rate, unit=unit, up=up).motion


def map_asf_amc(
    amc: str | Path,
    asf: str | Path | None = None,
    *,
    frame_rate: float = 120.0,
    unit: str | float | None = None,
    up: str | None = None,
) -> MotionReport:
    """As `read_asf_amc`, with what was understood."""
    amc = Path(amc)
    lines = _lines(amc, "AMC")
    asf = Path(asf) if asf is not None else _beside(amc)
    skeleton = _parse_asf(asf)
    angles = _parse_amc(amc, lines, skeleton)
    positions, rotations = _forward_kinematics(skeleton, angles)
    bones = skeleton.bones
    rest = np.zeros((len(bones), 3))
    for index, bone in enumerate(bones[1:], 1):
        rest[index] = rest[bone.parent] + bone.offset
    found = find_joints(asf, bones)
    for side in "LR":
        forearm, hand = found[f"{side}_Forearm"], found.get(f"{side}_Hand", 0)
        twist = bones[hand].parent
        if twist > 0 and bones[twist].parent == forearm and bones[twist].dofs:
            rotations[:, forearm] = rotations[:, twist]
    units = {name: metres / skeleton.length for name, metres in UNITS.items() if name != "cmu"}
    return map_joints(
        amc, bones, found, positions, rotations, rest, frame_rate,
        source="asf/amc", subject=asf.stem, unit=unit, up=up, units=units,
    )  # fmt: skip


def _beside(amc: Path) -> Path:
    """The .asf in the motion's folder that fits its name."""
    here = [path for path in sorted(amc.parent.iterdir()) if path.suffix.lower() == ".asf"]
    words = amc.stem.split("_")
    for stem in ("_".join(words[:count]) for count in range(len(words), 0, -1)):  # the longest name that fits
        for path in here:
            if path.stem.lower() == stem.lower():
                return path
    if len(here) == 1:
        return here[0]
    there = ", ".join(path.name for path in here) or "none"
    raise FileNotFoundError(
        f"{amc}: no .asf for it beside it ({there} there); put {amc.stem.rsplit('_', 1)[0]}.asf there or give asf="
    )


def _lines(path: Path, kind: str) -> list[tuple[int, list[str]]]:
    """`(line number, words)` of every line that is neither empty nor a comment."""
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; give the path of an {kind} file") from None
    lines = [
        (number, words) for number, line in enumerate(text.splitlines(), 1) if (words := line.split("#")[0].split())
    ]
    if not lines or (lines[0][1][0][0] != ":" and not (kind == "AMC" and lines[0][1] == ["1"])):
        wanted = "a keyword such as :version" if kind == "ASF" else ":FULLY-SPECIFIED or frame 1"
        raise ValueError(f"{path}: not an {kind} file; it must start with {wanted}")
    return lines


def _floats(where: str, words: list[str], count: int) -> np.ndarray:
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        raise ValueError(f"{where}: {' '.join(words)!r} must be {count} numbers") from None
    if len(values) != count or not (np.abs(values) < _LARGEST).all():
        raise ValueError(f"{where}: {' '.join(words)!r} must be {count} finite numbers of a body")
    return values


def _turn(order: str, angles: np.ndarray, degrees: bool) -> Rotation:
    """Rotation about the fixed axes in this order."""
    return Rotation.from_euler(order.lower(), angles, degrees=degrees) if order else Rotation.identity()


def _parse_asf(path: Path) -> _Skeleton:
    sections: dict[str, list[tuple[int, list[str]]]] = {}
    current: list[tuple[int, list[str]]] = []
    for number, words in _lines(path, "ASF"):
        if words[0].startswith(":"):
            current = sections.setdefault(words[0][1:].lower(), [])
            words = words[1:]
        if words:
            current.append((number, words))
    for name in ("root", "bonedata", "hierarchy"):
        if not sections.get(name):
            raise ValueError(f"{path}: :{name} is missing or empty; it is no whole ASF file, fetch it again")

    length, degrees = 1.0, True
    for number, words in sections.get("units", []):
        where = f"{path}, line {number}"
        if words[0].lower() == "length":
            length = float(_floats(where, words[1:], 1)[0])
            if not length > 0:
                raise ValueError(f"{where}: length must be above 0, got {words[1]}")
        elif words[0].lower() == "angle":
            if words[1:] not in (["deg"], ["rad"]):
                raise ValueError(f"{where}: angle must be deg or rad, got {' '.join(words[1:])!r}")
            degrees = words[1] == "deg"

    root = {words[0].lower(): (f"{path}, line {number}", words[1:]) for number, words in sections["root"]}
    order = tuple(word.lower() for word in root.get("order", ("", []))[1])
    if sorted(order) not in (sorted(_DOFS), sorted((*_DOFS, "tx", "ty", "tz"))):
        raise ValueError(f"{path}: order of :root must be TX TY TZ RX RY RZ in some order, got {' '.join(order)!r}")
    zeros = (str(path), ["0", "0", "0"])
    where, words = root.get("orientation", zeros)
    if _floats(where, words, 3).any():
        raise ValueError(f"{where}: the root's orientation must be 0 0 0, got {' '.join(words)}; export it so")
    where, words = root.get("position", zeros)
    position = _floats(where, words, 3)

    bones = {"root": _Bone("root", -1, np.zeros(3), dofs="".join(word[1] for word in order if word[0] == "r"))}
    for where, entries in _blocks(path, sections["bonedata"]):
        bone = _parse_bone(where, entries, degrees)
        if bone.name in bones:
            raise ValueError(f"{where}: bone {bone.name!r} is there twice")
        bones[bone.name] = bone

    ordered = [bones["root"]]
    for where, entries in _blocks(path, sections["hierarchy"]):
        for number, words in entries:
            where = f"{path}, line {number}"
            for name in words:
                if name not in bones:
                    raise ValueError(f"{where}: {name!r} of :hierarchy is no bone of :bonedata")
            above = next((index for index, bone in enumerate(ordered) if bone.name == words[0]), None)
            if above is None:
                raise ValueError(f"{where}: {words[0]!r} has no parent yet; :hierarchy must run from the root outward")
            for name in words[1:]:
                bone = bones[name]
                if bone in ordered:
                    raise ValueError(f"{where}: {name!r} hangs from two bones")
                bone.parent, bone.offset = above, ordered[above].reach
                ordered.append(bone)
    loose = [name for name, bone in bones.items() if not any(bone is other for other in ordered)]
    if loose:
        raise ValueError(f"{path}: bones that hang from nothing: {', '.join(loose)}; :hierarchy is cut off")
    for index, bone in enumerate(ordered):
        if not any(other.parent == index for other in ordered):
            bone.end_site = bone.reach
    return _Skeleton(ordered, order, position, length, degrees)


def _blocks(path: Path, lines: list[tuple[int, list[str]]]) -> list[tuple[str, list[tuple[int, list[str]]]]]:
    """What stands between `begin` and `end`, with where it begins."""
    blocks: list[tuple[str, list[tuple[int, list[str]]]]] = []
    inside = False
    for number, words in lines:
        word = words[0].lower()
        if word in ("begin", "end") and len(words) == 1:
            if inside == (word == "begin"):
                raise ValueError(f"{path}, line {number}: {word!r} out of place; begin and end must alternate")
            inside = word == "begin"
            if inside:
                blocks.append((f"{path}, line {number}", []))
        elif not inside:
            raise ValueError(f"{path}, line {number}: {' '.join(words)!r} stands outside begin and end")
        else:
            blocks[-1][1].append((number, words))
    if inside or not blocks:
        raise ValueError(f"{path}: the file ends without 'end'; it is cut off, fetch it again")
    return blocks


def _axis_order(where: str, words: list[str]) -> str:
    order = words[-1].upper() if words else ""
    if sorted(order) != ["X", "Y", "Z"]:
        raise ValueError(f"{where}: axis must name an order such as XYZ, got {' '.join(words)!r}")
    return order


def _parse_bone(where: str, entries: list[tuple[int, list[str]]], degrees: bool) -> _Bone:
    values: dict[str, list[str]] = {}
    limits = 0
    for _, words in entries:
        key = words[0].lower()
        if key.startswith("(") or key == "limits":
            limits += " ".join(words).count("(")
        else:
            values[key] = words[1:]
    for key in ("name", "direction", "length", "axis"):
        if not values.get(key):
            raise ValueError(f"{where}: a bone without {key}; the file is damaged")
    name = values["name"][0]
    where = f"{where}, bone {name!r}"
    dofs = [word.lower() for word in values.get("dof", [])]
    if not set(dofs) <= set(_DOFS) or len(set(dofs)) != len(dofs):
        raise ValueError(f"{where}: dof may hold {', '.join(_DOFS)} once each, got {' '.join(dofs)!r}")
    if limits not in (0, len(dofs)):
        raise ValueError(f"{where}: {limits} limits for {len(dofs)} degrees of freedom; the file is damaged")
    direction = _floats(f"{where}, direction", values["direction"], 3)
    length = float(_floats(f"{where}, length", values["length"], 1)[0])
    size = float(np.linalg.norm(direction))
    if length < 0 or (length and size < 1e-6):
        raise ValueError(f"{where}: length {length:g} along {direction} is no bone")
    axis = _turn(_axis_order(where, values["axis"]), _floats(f"{where}, axis", values["axis"][:-1], 3), degrees)
    reach = direction / max(size, 1e-6) * length
    return _Bone(name, -1, np.zeros(3), None, reach, axis, "".join(dof[1] for dof in dofs))


def _parse_amc(path: Path, lines: list[tuple[int, list[str]]], skeleton: _Skeleton) -> dict[str, np.ndarray]:
    """Bone -> `(T, columns)` numbers of the bones that move; angles in radians, the root's columns as in `order`."""
    degrees = skeleton.degrees
    counts = {bone.name: len(bone.dofs) for bone in skeleton.bones} | {"root": len(skeleton.order)}
    frames: list[dict[str, list[float]]] = []
    start = 0

    def fail(line: int, why: str) -> ValueError:
        frame = f" (frame {start + len(frames) - 1})" if frames else ""
        return ValueError(f"{path}, line {line}{frame}: {why}")

    for number, words in lines:
        name = words[0]
        if name.startswith(":"):
            if name.upper() in (":DEGREES", ":RADIANS"):
                degrees = name.upper() == ":DEGREES"
            continue
        if len(words) == 1 and name.lstrip("-").isdigit():
            index = int(name)
            if not frames:
                start = index
            elif index != start + len(frames):
                raise fail(number, f"frame {index} follows it; frames must run forward without gaps")
            _check_whole(path, frames, start)
            frames.append({})
            continue
        if not frames:
            raise fail(number, f"{' '.join(words)!r} stands before the first frame")
        if name not in counts:
            raise fail(number, f"the skeleton has no bone {name!r}; give the .asf that belongs to this motion")
        if len(words) != 1 + counts[name]:
            raise fail(
                number,
                f"{name!r} has {len(words) - 1} numbers, the skeleton gives it {counts[name]}; "
                "the file is cut off or belongs to another .asf",
            )
        try:
            frames[-1][name] = [float(word) for word in words[1:]]
        except ValueError:
            raise fail(number, f"{' '.join(words)!r} holds something that is not a number") from None
    if not frames:
        raise ValueError(f"{path}: holds no frame; fetch it again")
    _check_whole(path, frames, start)
    if "root" not in frames[0]:
        raise ValueError(f"{path}: frames have no root; the file is damaged")
    angles = {}
    for name in frames[0]:
        values = np.array([frame[name] for frame in frames])
        bad = ~(np.abs(values) < _LARGEST).all(1)
        if bad.any():
            raise ValueError(
                f"{path}: {name!r} in frame {start + int(bad.argmax())} is no length or angle of a body; "
                "repair or remove this frame"
            )
        turns = [place for place, column in enumerate(skeleton.order) if column[0] == "r"]
        if name == "root":
            values[:, turns] = np.radians(values[:, turns]) if degrees else values[:, turns]
        else:
            values = np.radians(values) if degrees else values
        angles[name] = values
    return angles


def _check_whole(path: Path, frames: list[dict[str, list[float]]], start: int) -> None:
    """Refuses a last frame whose bones are not those of the first."""
    if len(frames) > 1 and frames[-1].keys() != frames[0].keys():
        lost = [name for name in frames[0] if name not in frames[-1]]
        new = [name for name in frames[-1] if name not in frames[0]]
        raise ValueError(
            f"{path}: frame {start + len(frames) - 1} {'lacks' if lost else 'adds'} {', '.join(lost or new)}, unlike "
            f"frame {start}; the file is cut off or damaged"
        )


def _forward_kinematics(skeleton: _Skeleton, angles: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Starts of the bones `(T, B, 3)` in file units and their rotations `(T, B, 3, 3)`, in the file's axes."""
    root, bones = angles["root"], skeleton.bones
    frames = len(root)
    positions, rotations = np.empty((frames, len(bones), 3)), np.empty((frames, len(bones), 3, 3))
    positions[:, 0] = skeleton.position
    for place, column in enumerate(skeleton.order):
        if column[0] == "t":
            positions[:, 0, "xyz".index(column[1])] += root[:, place]
    turns = root[:, [place for place, column in enumerate(skeleton.order) if column[0] == "r"]]
    rotations[:, 0] = _turn(bones[0].dofs, turns, False).as_matrix()
    for index, bone in enumerate(bones[1:], 1):
        above = rotations[:, bone.parent]
        positions[:, index] = positions[:, bone.parent] + above @ bone.offset
        turn = np.eye(3)
        if bone.dofs and bone.name in angles:
            turn = (bone.axis * _turn(bone.dofs, angles[bone.name], False) * bone.axis.inv()).as_matrix()
        rotations[:, index] = above @ turn
    return positions, rotations


def _read(
    path: str | Path,
    asf: str | Path | None = None,
    frame_rate: float = 120.0,
    unit: str | float | None = None,
    up: str | None = None,
) -> MotionReport:
    return map_asf_amc(path, asf, frame_rate=frame_rate, unit=unit, up=up)


FORMAT = MotionFormat(
    "asf/amc", "Acclaim motion (.amc with its .asf)", _read, suffixes=(".amc",),
    starts=lambda head: b":FULLY-SPECIFIED" in head.upper(),
    mistaken={".asf": "an .asf holds a skeleton without motion; give its .amc"},
)  # fmt: skip
