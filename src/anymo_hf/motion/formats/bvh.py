"""Reads a BVH motion-capture file of any common skeleton into a `BodyMotion`.

`joint_mapping` says how joints become segments: names, spine, axes and units. A first frame that holds another pose
before a jump, the rest pose or a T-pose, is left out (as in conversions of CMU's clips).
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ..body_motion import BodyMotion
from ..frame_rate import checked_rate, rate_of_frame_time
from ..joint_mapping import UNITS, map_joints
from ..joint_names import Joint, find_joints
from ..motion_report import MotionReport
from . import MotionFormat

__all__ = ["UNITS", "map_bvh", "read_bvh"]


@dataclass
class _Joint(Joint):
    """A joint with channels; `first_column` is where they lie in a line of MOTION."""

    channels: tuple[str, ...] = ()
    first_column: int = 0


_LARGEST = 1e7  # of a number in MOTION: 10 km in millimetres
_CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")


def _parse(path: Path) -> tuple[list[_Joint], np.ndarray, float]:
    """Joints, `(frames, channels)` numbers and frames per second."""
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; give the path of a BVH file") from None
    cut = re.search(r"^[ \t]*MOTION[ \t]*$", text, re.MULTILINE)
    if not text.lstrip()[:9].upper().startswith("HIERARCHY") or cut is None:
        raise ValueError(f"{path}: not a BVH file; it must start with HIERARCHY and hold a line MOTION")
    joints = _parse_hierarchy(path, text[: cut.start()])
    columns = sum(len(joint.channels) for joint in joints)
    head = re.match(r"\s*Frames\s*:\s*(\S+)\s*\n\s*Frame\s+Time\s*:\s*(\S+)[ \t]*\n?", text[cut.end() :], re.IGNORECASE)
    if head is None:
        raise ValueError(f"{path}: after MOTION there must be the lines 'Frames: N' and 'Frame Time: seconds'")
    try:
        frames, frame_time = int(head[1]), float(head[2])
    except ValueError:
        raise ValueError(f"{path}: Frames {head[1]!r} and Frame Time {head[2]!r} must be numbers") from None
    if frames < 1:
        raise ValueError(f"{path}: Frames is {frames}; a motion needs at least one")
    if not 1e-4 <= frame_time <= 1:
        raise ValueError(
            f"{path}: Frame Time is {head[2]}; it must be the seconds between frames, from 0.0001 to 1 "
            "(0.0333333 for 30 frames per second)"
        )
    rate = rate_of_frame_time(head[2])
    numbers = _parse_numbers(path, text, cut.end() + head.end(), frames, columns)
    turns = [
        joint.first_column + place
        for joint in joints[1:]
        for place, channel in enumerate(joint.channels)
        if channel.endswith("rotation")
    ]
    if frames > 1 and turns and (np.abs(numbers[0, turns]) < 1e-3).all() and np.abs(numbers[1, turns]).max() > 5:
        numbers = numbers[1:]
    return joints, numbers, rate


def _parse_hierarchy(path: Path, text: str) -> list[_Joint]:
    joints: list[_Joint] = []
    open_blocks: list[int] = []  # joint indices; -1 for an end site
    pending: int | None = None
    columns = 0

    def fail(line: int, why: str) -> ValueError:
        return ValueError(f"{path}, line {line}: {why}")

    for number, line in enumerate(text.split("\n"), 1):
        words = line.replace("{", " { ").replace("}", " } ").split()
        while words:
            word = words.pop(0)
            key = word.upper()
            if key == "HIERARCHY" and not joints:
                continue
            if key in ("ROOT", "JOINT"):
                if not words or words[0] == "{":
                    raise fail(number, f"{word} has no name")
                if (key == "ROOT") == bool(joints):
                    raise fail(number, "one ROOT must come first, and only one body can be read; export one body")
                if key == "JOINT" and (not open_blocks or open_blocks[-1] < 0):
                    raise fail(number, "JOINT stands outside the braces of its parent joint")
                cut = words.index("{") if "{" in words else len(words)
                name, words = " ".join(words[:cut]), words[cut:]
                joints.append(_Joint(name, open_blocks[-1] if open_blocks else -1, np.zeros(3)))
                pending = len(joints) - 1
            elif key == "END":  # End Site
                if not open_blocks or open_blocks[-1] < 0:
                    raise fail(number, "End Site stands outside the braces of a joint")
                words = words[words.index("{") :] if "{" in words else []
                pending = -1
            elif key == "{":
                if pending is None:
                    raise fail(number, "'{' without a joint before it")
                open_blocks.append(pending)
                pending = None
            elif key == "}":
                if not open_blocks:
                    raise fail(number, "'}' without '{'")
                open_blocks.pop()
            elif key == "OFFSET":
                try:
                    offset = np.array([float(value) for value in words[:3]])
                except ValueError:
                    raise fail(number, f"OFFSET needs three numbers, got {' '.join(words[:3])!r}") from None
                if not open_blocks or offset.shape != (3,) or not np.isfinite(offset).all():
                    raise fail(number, f"OFFSET needs three finite numbers inside a joint, got {' '.join(words[:3])!r}")
                words = words[3:]
                if open_blocks[-1] >= 0:
                    joints[open_blocks[-1]].offset = offset
                else:
                    joints[open_blocks[-2]].end_site = offset
            elif key == "CHANNELS":
                count = int(words[0]) if words and words[0].isdigit() else -1
                names = tuple(words[1 : 1 + count]) if count >= 0 else ()
                known = {name.lower(): name for name in _CHANNELS}
                channels = tuple(known.get(name.lower(), "") for name in names)
                if len(channels) != count or "" in channels or len(set(channels)) != count:
                    raise fail(
                        number, f"CHANNELS needs a count and as many of {', '.join(_CHANNELS)}; got {line.strip()!r}"
                    )
                if not open_blocks or open_blocks[-1] < 0:
                    raise fail(number, "CHANNELS stands outside a joint")
                joint = joints[open_blocks[-1]]
                joint.channels, joint.first_column = channels, columns
                columns += count
                words = words[1 + count :]
            else:
                raise fail(number, f"unexpected {word!r}; expected ROOT, JOINT, End Site, OFFSET, CHANNELS or braces")
    if not joints:
        raise ValueError(f"{path}: HIERARCHY has no ROOT")
    if open_blocks or pending is not None:
        raise ValueError(f"{path}: HIERARCHY ends with {len(open_blocks)} '}}' missing")
    if not columns:
        raise ValueError(f"{path}: no joint has CHANNELS, so nothing moves")
    return joints


def _parse_numbers(path: Path, text: str, start: int, frames: int, columns: int) -> np.ndarray:
    body = text[start:]
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            values = np.fromstring(body, sep=" ")
        except (ValueError, DeprecationWarning):  # text that is no number: looked for below
            values = np.zeros(0)
    if len(values) == frames * columns and (np.abs(values) < _LARGEST).all():
        return values.reshape(frames, columns)
    first_line = text.count("\n", 0, start) + 1
    rows = 0
    for number, line in enumerate(body.split("\n"), first_line):
        words = line.split()
        if not words:
            continue
        for word in words:
            try:
                value = float(word)
            except ValueError:
                raise ValueError(f"{path}, line {number}: {word!r} is not a number") from None
            if not abs(value) < _LARGEST:
                raise ValueError(
                    f"{path}, line {number}: {word!r} is no length or angle of a body; repair or remove this frame"
                )
        if len(words) != columns:
            raise ValueError(
                f"{path}, line {number}: {len(words)} numbers where HIERARCHY has {columns} channels; "
                "the file is cut off or damaged"
            )
        rows += 1
    raise ValueError(f"{path}: Frames says {frames} but MOTION has {rows} lines; the file is cut off or damaged")


def _forward_kinematics(joints: list[_Joint], numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World positions `(T, J, 3)` in file units and rotations `(T, J, 3, 3)` of the joints, in the file's axes."""
    frames = len(numbers)
    positions, rotations = np.empty((frames, len(joints), 3)), np.empty((frames, len(joints), 3, 3))
    for index, joint in enumerate(joints):
        local, order, angles = np.tile(joint.offset, (frames, 1)), "", []
        for place, channel in enumerate(joint.channels):
            column = numbers[:, joint.first_column + place]
            if channel.endswith("position"):
                local[:, "XYZ".index(channel[0])] = column
            else:
                order += channel[0]
                angles.append(column)
        turn = np.broadcast_to(np.eye(3), (frames, 3, 3))
        if order:  # in the order written, each about the axes the ones before have turned
            turn = Rotation.from_euler(order, np.stack(angles, 1), degrees=True).as_matrix()
        if joint.parent < 0:
            positions[:, index], rotations[:, index] = local, turn
        else:
            above = rotations[:, joint.parent]
            positions[:, index] = positions[:, joint.parent] + (above @ local[..., None])[..., 0]
            rotations[:, index] = above @ turn
    return positions, rotations


def read_bvh(
    path: str | Path, *, unit: str | float | None = None, up: str | None = None, frame_rate: float | None = None
) -> BodyMotion:
    """Reads a BVH file, metres with z up (see `joint_mapping` for names, spine and axes).

    Args:
        path: the file. Joints may have 0, 3 or 6 channels in any order; position channels replace the OFFSET.
        unit: a key of `UNITS` or metres per unit. Left out, it is the one unit that makes the person 1.2 to 2.3 m tall,
            judged by the length of the legs.
        up: "y" or "z", the axis that points up. Left out, it is the one along which the rest pose stands, or, where the
            rest pose is no pose, the one along which the head is above the feet on average.
        frame_rate: frames per second, where the file's Frame Time is wrong.

    Raises:
        OSError: no such file.
        ValueError: not a BVH, damaged numbers or structure, needed joints missing, or an unclear unit or up axis.
    """
    return map_bvh(path, unit=unit, up=up, frame_rate=frame_rate).motion


def map_bvh(
    path: str | Path, *, unit: str | float | None = None, up: str | None = None, frame_rate: float | None = None
) -> MotionReport:
    """As `read_bvh`, with what was understood."""
    path = Path(path)
    joints, numbers, rate = _parse(path)
    found = find_joints(path, joints)
    positions, rotations = _forward_kinematics(joints, numbers)
    if _starts_apart(positions):
        numbers, positions, rotations = numbers[1:], positions[1:], rotations[1:]
    rest = _rest_positions(joints, numbers)
    rate = checked_rate(path, frame_rate, rate)
    return map_joints(path, joints, found, positions, rotations, rest, rate, source="bvh", unit=unit, up=up)


def _starts_apart(positions: np.ndarray) -> bool:
    """Whether the first frame of joints `(T, J, 3)` is another pose, from which the body jumps into the motion.

    Exporters put a T-pose there. Seen from the root, a joint then moves by a tenth of the body's size at once, and five
    times as far as in any of the next second's frames.
    """
    if len(positions) < 4:
        return False
    seen = positions[:60] - positions[:60, :1]
    steps = np.linalg.norm(np.diff(seen, axis=0), axis=-1).max(1)
    size = float(np.linalg.norm(np.ptp(positions[0], axis=0)))
    return bool(steps[0] > 0.1 * size and steps[0] > 5 * steps[1:].max())


def _rest_positions(joints: list[_Joint], numbers: np.ndarray) -> np.ndarray:
    """`(J, 3)` joints where no joint is turned; position channels count with their median, as they replace OFFSET."""
    rest = np.zeros((len(joints), 3))
    for index, joint in enumerate(joints):
        rest[index] = joint.offset
        for place, channel in enumerate(joint.channels):
            if channel.endswith("position"):
                rest[index, "XYZ".index(channel[0])] = np.median(numbers[:, joint.first_column + place])
        if joint.parent >= 0:
            rest[index] += rest[joint.parent]
    return rest


FORMAT = MotionFormat(
    "bvh", "BVH (.bvh)", map_bvh, suffixes=(".bvh",),
    starts=lambda head: head.lstrip(b"\xef\xbb\xbf \t\r\n").upper().startswith(b"HIERARCHY"),
)  # fmt: skip
