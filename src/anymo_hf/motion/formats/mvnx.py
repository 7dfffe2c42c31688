"""Reads Xsens MVNX files (versions 3 and 4, plain or `.xz`/`.gz`): 23 segments and the trackers worn on them.

**Axes.** `BodyMotion` wants the identity in the T-pose (x forward, y left, z up, palms down). Not every export writes
that: MVN Studio 4.3 gives arms and hands in axes that are the identity in the anatomical pose (arms down, palms ahead).
The pose frames before the motion say which it is: of "identity", "npose" and "tpose", the first whose arms are spread
and legs straight by its *positions*. A segment's orientation in it, rounded to the nearest quarter turns and seen from
the heading of the hips, is how its axes stand in the T-pose; the inverse is taken off every frame. The type's name does
not decide, as an "npose" may hold a T-pose. Then the long axes of arms and legs must lie where the template has them,
or the file is refused: with axes of other kinds every lever arm would be wrong.

**Time.** Frames are counted by `index` at the file's frameRate. `ms` (or `time`) is checked against them.

**Safety.** Entities and anything outside the file are refused; frames are parsed one at a time.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

import numpy as np
from scipy.spatial.transform import Rotation

from ...modeling.body_segments import SEGMENT_INDEX, SEGMENTS
from ...refusals import LARGEST_VALUE
from ..body_motion import BodyMotion
from ..motion_report import MotionReport
from ..rotations import continuous_quaternions, nearest_signed_axes
from ..skeleton import tpose_offsets
from . import MotionFormat


@dataclass
class MvnxRecording:
    """An Xsens recording: the body and the `N` trackers worn on it, all over the same `T` frames.

    Args:
        motion: the 23 segments.
        tracker_names: as in the file.
        tracker_segments: `(N,)` index of the segment each one sits on.
        orientation: `(T, N, 4)` unit quaternions wxyz, sensor to world.
        acceleration: `(T, N, 3)` m/s², specific force in sensor axes (9.81 up at rest); version 3.
        angular_velocity: `(T, N, 3)` rad/s, sensor axes; version 3.
        free_acceleration: `(T, N, 3)` m/s², world axes, without gravity; version 4.
        magnetic_field: `(T, N, 3)` sensor axes, in Xsens's unit (1 is the field at the place of calibration).
        start_time: Unix time of the first frame, seconds, where the file gives it.
        repairs: what was mended or dropped, with counts.

    What the file does not hold is None.
    """

    motion: BodyMotion
    tracker_names: tuple[str, ...] = ()
    tracker_segments: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    orientation: np.ndarray | None = None
    acceleration: np.ndarray | None = None
    angular_velocity: np.ndarray | None = None
    free_acceleration: np.ndarray | None = None
    magnetic_field: np.ndarray | None = None
    start_time: float | None = None
    repairs: list[str] = field(default_factory=list)


_SEGMENT_OF = {
    segment.replace("R_", "Right").replace("L_", "Left").lower(): index for segment, index in SEGMENT_INDEX.items()
}
# element of a frame -> numbers for each segment or sensor
_SEGMENT_FIELDS = {"orientation": 4, "position": 3}
_SENSOR_FIELDS = {
    "sensorOrientation": 4,
    "sensorAcceleration": 3,
    "sensorAngularVelocity": 3,
    "sensorFreeAcceleration": 3,
    "sensorMagneticField": 3,
}
_POSES = ("identity", "npose", "tpose")
_LONGEST_TEXT = 1_000_000  # characters in one element; a frame's longest has some 2,000
_LIMBS = [
    (SEGMENT_INDEX[f"{side}_{a}"], SEGMENT_INDEX[f"{side}_{b}"])
    for side in "RL"
    for a, b in (("UpperArm", "Forearm"), ("Forearm", "Hand"), ("UpperLeg", "LowerLeg"), ("LowerLeg", "Foot"))
]


class _Content:
    """Takes the XML's events and keeps what is wanted; numbers of a frame go to flat arrays as soon as it ends."""

    def __init__(self, path: Path):
        self.path = path
        self.subject: dict[str, str] = {}
        self.segments: list[str] = []
        self.sensors: list[str] = []
        self.poses: dict[str, dict[str, np.ndarray]] = {}
        self.numbers = {name: array("d") for name in [*_SEGMENT_FIELDS, *_SENSOR_FIELDS]}
        self.frames: list[dict[str, str]] = []  # index, ms and time of the normal frames
        self._open: list[str] = []
        self._frame: dict[str, str] | None = None
        self._values: dict[str, np.ndarray] = {}
        self._text: list[str] = []
        self._length = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rsplit(":", 1)[-1]
        if not self._open and name != "mvnx":
            raise ValueError(f"{self.path}: not an MVNX file; its outer element is <{name}>, not <mvnx>")
        if not self._open and attributes.get("version", "4") not in ("3", "4"):
            raise ValueError(f"{self.path}: MVNX version {attributes['version']}; export it as version 3 or 4")
        above = self._open[-1] if self._open else ""
        if name == "subject":
            if self.subject:
                raise ValueError(f"{self.path}: more than one <subject>; export each person to a file of their own")
            self.subject = {"frameRate": "", **attributes}
        elif name == "segment" and above == "segments":
            self.segments.append(attributes.get("label", ""))
        elif name == "sensor" and above == "sensors":
            self.sensors.append(attributes.get("label", ""))
        elif name == "frame":
            self._frame, self._values = attributes, {}
        self._open.append(name)
        self._text, self._length = [], 0

    def characters(self, text: str) -> None:
        if self._frame is not None and self._open[-1] in self.numbers:
            self._text.append(text)
            self._length += len(text)
            if self._length > _LONGEST_TEXT:
                raise ValueError(f"{self.path}: <{self._open[-1]}> is longer than any frame; this is no recording")

    def end(self, name: str) -> None:
        name = name.rsplit(":", 1)[-1]
        self._open.pop()
        if self._frame is None:
            return
        if name in self.numbers:
            self._values[name] = self._parsed(name)
        elif name == "frame":
            frame, kind = self._frame, self._frame.get("type", "normal")
            self._frame = None
            if kind != "normal":
                self.poses.setdefault(kind, self._values)
                return
            self.frames.append({name: frame[name] for name in ("index", "ms", "time") if name in frame})
            for wanted, numbers in self.numbers.items():
                count = len(self.frames) - 1
                if wanted in self._values:
                    if wanted not in _SEGMENT_FIELDS and count and not numbers:
                        raise ValueError(f"{self.path}, {_named(frame)}: <{wanted}> is missing in the frames before")
                    numbers.frombytes(self._values[wanted].tobytes())
                elif wanted in _SEGMENT_FIELDS or numbers:
                    raise ValueError(f"{self.path}, {_named(frame)}: <{wanted}> is missing; export it for every frame")

    def _parsed(self, name: str) -> np.ndarray:
        of = self.segments if name in _SEGMENT_FIELDS else self.sensors
        wanted = len(of) * (_SEGMENT_FIELDS | _SENSOR_FIELDS)[name]
        words = "".join(self._text).split()
        where = f"{self.path}, {_named(self._frame or {})}: <{name}>"
        if len(words) != wanted:
            raise ValueError(
                f"{where} has {len(words)} numbers, not {wanted} for the file's {len(of)} "
                f"{'segments' if of is self.segments else 'sensors'}; the file is damaged, export it again"
            )
        try:
            values = np.fromiter(map(float, words), np.float64, len(words))
        except ValueError:
            raise ValueError(f"{where} holds something that is not a number; export the file again") from None
        if not np.isfinite(values).all():
            raise ValueError(f"{where} holds NaN or infinity; remove or repair this frame")
        if values.size and np.abs(values).max() > LARGEST_VALUE:
            raise ValueError(
                f"{where} holds {np.abs(values).max():g}, which no body and no sensor reach; remove or repair this frame"
            )
        return values


def _named(frame: dict[str, str]) -> str:
    kind = frame.get("type", "normal")
    return f"frame index {frame.get('index', '?')}" if kind == "normal" else f"the {kind} frame"


def _parse(path: Path) -> _Content:
    content = _Content(path)

    def refuse(*_: Any) -> Any:
        raise ValueError(f"{path}: declares or uses XML entities, which no MVNX needs; it was not read further")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = content.start, content.end
    parser.CharacterDataHandler = content.characters
    parser.EntityDeclHandler = parser.SkippedEntityHandler = parser.ExternalEntityRefHandler = refuse
    try:
        with _opened(path) as stream:
            parser.ParseFile(stream)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; give the path of an MVNX file") from None
    except expat.ExpatError as error:
        raise ValueError(
            f"{path}: not a whole MVNX file ({error}; {len(content.frames)} frames were whole); fetch or export it again"
        ) from None
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: damaged or cut-off compression ({error}); fetch the file again") from None
    return content


def _opened(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".xz":
        return lzma.open(path, "rb")
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else open(path, "rb")  # type: ignore[return-value]


def read_mvnx(path: str | Path) -> MvnxRecording:
    """Reads an MVNX file (see the module's first lines for axes and time).

    Args:
        path: `.mvnx`, or the same packed as `.mvnx.xz` or `.mvnx.gz`. Segments are found by name.

    Returns:
        The recording; `repairs` counts frames of a repeated index that were dropped, `ms` that were ten times too big
        or uneven, trackers on no segment, and segments whose axes were turned.

    Raises:
        OSError: no such file.
        ValueError: not an MVNX, cut off, entities, missing segments or fields, wrong counts, values that are not
            finite, quaternions of norm under 0.5, missing or backward frames, or a frameRate that `ms` contradicts.
    """
    path = Path(path)
    content = _parse(path)
    segments = _segment_columns(path, content)
    rate = _frame_rate(path, content)
    if not content.frames:
        raise ValueError(f"{path}: holds no frame of type normal; export the motion, not only the calibration")
    repairs: list[str] = []
    keep, start = _checked_times(path, content, rate, repairs)
    orientations = _numbers(content, "orientation")[keep][:, segments]
    _check_quaternions(path, content, keep, orientations, SEGMENTS)
    positions = _numbers(content, "position")[keep][:, segments]
    orientations = _t_pose_axes(path, content, segments, positions, orientations, repairs)
    stem = path.name.split(".mvnx")[0]
    subject = content.subject.get("label") or stem
    motion = BodyMotion(rate, positions, continuous_quaternions(orientations), [], subject, stem, "mvnx")

    worn = [number for number, label in enumerate(content.sensors) if label.lower() in _SEGMENT_OF]
    if len(worn) < len(content.sensors):
        others = [label for label in content.sensors if label.lower() not in _SEGMENT_OF]
        repairs.append(f"{len(others)} trackers on no body segment were left out: {', '.join(others)}")
    read = {name: _numbers(content, name)[keep][:, worn] if content.numbers[name] else None for name in _SENSOR_FIELDS}
    turned = read["sensorOrientation"]
    if turned is not None:
        _check_quaternions(path, content, keep, turned, [content.sensors[number] for number in worn])
        turned = continuous_quaternions(turned / np.linalg.norm(turned, axis=-1, keepdims=True))
    acceleration = read["sensorAcceleration"]
    if acceleration is not None:
        size = float(np.median(np.linalg.norm(acceleration, axis=-1)))
        if not 7 < size < 13:
            raise ValueError(
                f"{path}: the median of |sensorAcceleration| is {size:.3g}, where m/s² with gravity has about 9.8; "
                "export the trackers' acceleration in m/s²"
            )
    return MvnxRecording(
        motion,
        tuple(content.sensors[number] for number in worn),
        np.array([_SEGMENT_OF[content.sensors[number].lower()] for number in worn], int),
        turned,
        acceleration,
        read["sensorAngularVelocity"],
        read["sensorFreeAcceleration"],
        read["sensorMagneticField"],
        start,
        repairs,
    )


def _segment_columns(path: Path, content: _Content) -> list[int]:
    """Where each of `SEGMENTS` lies in the file."""
    order = {_SEGMENT_OF.get(label.lower(), -1): number for number, label in reversed([*enumerate(content.segments)])}
    missing = [name for index, name in enumerate(SEGMENTS) if index not in order]
    if missing:
        raise ValueError(
            f"{path}: no segment for {', '.join(missing)}; the file has {', '.join(content.segments) or 'none'}; "
            "export the full body"
        )
    return [order[index] for index in range(len(SEGMENTS))]


def _frame_rate(path: Path, content: _Content) -> float:
    text = content.subject.get("frameRate", "")
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 1 <= rate <= 10_000:
        raise ValueError(f"{path}: frameRate of <subject> is {text!r}; it must be frames per second, such as 240")
    return rate


def _numbers(content: _Content, name: str) -> np.ndarray:
    """`(frames, segments or sensors, 3 or 4)`; the content forgets them, as a long recording fills the memory."""
    return np.frombuffer(content.numbers.pop(name)).reshape(
        len(content.frames), -1, (_SEGMENT_FIELDS | _SENSOR_FIELDS)[name]
    )


def _checked_times(path: Path, content: _Content, rate: float, repairs: list[str]) -> tuple[np.ndarray, float | None]:
    """Rows of the frames to keep, and the Unix time of the first in seconds."""

    def column(name: str) -> np.ndarray | None:
        if not all(frame.get(name) for frame in content.frames):
            return None
        try:
            return np.array([int(frame[name]) for frame in content.frames])
        except (ValueError, OverflowError):
            raise ValueError(f"{path}: {name} of a frame is no whole number; export the file again") from None

    index = column("index")
    if index is None:
        raise ValueError(f"{path}: a frame has no index; export the file again")
    step = np.diff(index)
    if (step < 0).any():
        at = int((step < 0).argmax())
        raise ValueError(
            f"{path}: frame index {index[at + 1]} follows {index[at]}; frames must run forward, export the file again"
        )
    if (step > 1).any():
        at = int((step > 1).argmax())
        raise ValueError(
            f"{path}: frames {index[at] + 1} to {index[at + 1] - 1} are missing ({int((step > 1).sum())} such gaps); "
            "a gap cannot be bridged, export the parts before and after it to files of their own"
        )
    keep = np.flatnonzero(np.concatenate([[1], step]) > 0)
    if len(keep) < len(index):
        repairs.append(f"{len(index) - len(keep)} frames that repeat an index were dropped")

    clocks = {name: ticks for name in ("ms", "time") if (ticks := column(name)) is not None and np.ptp(ticks) > 0}
    if not clocks:
        return keep, None
    unix = "ms" in clocks
    clock = clocks["ms" if unix else "time"][keep].astype(np.float64)
    start = float(clock[0]) / 1e3
    if len(keep) > 1:
        slope = float(np.median((clock[1:] - clock[0]) / np.arange(1, len(keep)))) * rate / 1e3
        if 9.5 < slope < 10.5:
            repairs.append(f"ms is ten times too big in {len(keep)} frames; times were taken from index and frameRate")
            clock, start = clock / 10, start / 10
        elif not abs(slope - 1) < 0.05 + rate / 1e3 / len(keep):  # a short file's whole milliseconds are coarse
            raise ValueError(
                f"{path}: frameRate says {rate:g} frames per second, the frames' ms say {rate / max(slope, 1e-9):.4g}; "
                "correct frameRate in <subject>"
            )
        late = np.abs(np.diff(clock) - 1e3 / rate) > 2 + 0.5e3 / rate
        if late.any():
            repairs.append(f"ms is uneven at {int(late.sum())} frames; times were taken from index and frameRate")
    return keep, start if unix and start > 0 else None


def _check_quaternions(path: Path, content: _Content, keep: np.ndarray, values: np.ndarray, names: Any) -> None:
    norms = np.linalg.norm(values, axis=-1)
    if (norms < 0.5).any():
        frame, place = np.argwhere(norms < 0.5)[0]
        raise ValueError(
            f"{path}, {_named(content.frames[keep[frame]])}: the orientation of {names[place]} has norm "
            f"{norms[frame, place]:.3g}, not 1 ({int((norms < 0.5).sum())} such); remove or repair these frames"
        )


def _t_pose_axes(
    path: Path,
    content: _Content,
    segments: list[int],
    positions: np.ndarray,
    orientations: np.ndarray,
    repairs: list[str],
) -> np.ndarray:
    """Orientations that are the identity in the T-pose."""
    turns = Rotation.identity(len(SEGMENTS))
    for kind in _POSES:
        pose = content.poses.get(kind, {})
        if "orientation" not in pose or "position" not in pose:
            continue
        quaternions, points = pose["orientation"].reshape(-1, 4)[segments], pose["position"].reshape(-1, 3)[segments]
        if (np.linalg.norm(quaternions, axis=-1) < 0.5).any():
            continue
        heading = _t_pose_heading(points)
        if heading is None:
            continue
        standing = (heading.inv() * Rotation.from_quat(quaternions, scalar_first=True)).as_matrix()
        snapped = np.stack([nearest_signed_axes(frame) for frame in standing])
        turns = Rotation.from_matrix(snapped)
        turned = [name for name, angle in zip(SEGMENTS, turns.magnitude(), strict=True) if angle > 0.1]
        if turned:
            repairs.append(
                f"axes of {len(turned)} segments ({', '.join(turned)}) were turned to those of the T-pose, "
                f"as the {kind} frame shows them"
            )
        break
    for segment in np.flatnonzero(turns.magnitude() > 0.1):
        turned_back = Rotation.from_quat(orientations[:, segment], scalar_first=True) * turns[segment].inv()
        orientations[:, segment] = turned_back.as_quat(scalar_first=True)
    some = slice(None, None, max(1, len(positions) // 500))
    template = tpose_offsets(1.7)
    for near, far in _LIMBS:
        turn = Rotation.from_quat(orientations[some, near], scalar_first=True)
        bone = turn.inv().apply(positions[some, far] - positions[some, near]).sum(0)
        cosine = bone @ template[far] / max(float(np.linalg.norm(bone) * np.linalg.norm(template[far])), 1e-9)
        if not cosine > 0.9:
            raise ValueError(
                f"{path}: the axes of {SEGMENTS[near]} are not those of the T-pose (its long axis is "
                f"{np.degrees(np.arccos(np.clip(cosine, -1, 1))):.0f} degrees off) and no pose frame tells how to turn "
                "them; export the file with its identity or T-pose frame"
            )
    return orientations


def _t_pose_heading(points: np.ndarray) -> Rotation | None:
    """The turn about z to where a T-pose faces, or None where `(23, 3)` positions are no T-pose."""
    left = points[SEGMENT_INDEX["L_UpperLeg"]] - points[SEGMENT_INDEX["R_UpperLeg"]]
    heading = Rotation.from_euler("z", np.arctan2(-left[0], left[1]))
    template = tpose_offsets(1.7)
    for near, far in _LIMBS:
        bone = heading.inv().apply(points[far] - points[near])
        if not bone @ template[far] > 0.94 * np.linalg.norm(bone) * np.linalg.norm(template[far]) > 0:
            return None
    return heading


def _read(path: str | Path) -> MotionReport:
    recording = read_mvnx(path)
    return MotionReport(recording.motion, recording=recording)


FORMAT = MotionFormat(
    "mvnx", "Xsens MVNX (.mvnx, .mvnx.xz, .mvnx.gz)", _read, suffixes=(".mvnx", ".mvnx.xz", ".mvnx.gz"),
    starts=lambda head: b"<mvnx" in head,
)  # fmt: skip
