"""Reads any known motion file: the format is told by the name or, where that says nothing, by the first bytes."""

from __future__ import annotations

import inspect
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..modeling.body_segments import SEGMENT_INDEX
from ..nymeria.sequence import read_nymeria
from .body_motion import BodyMotion
from .formats.amass import read_amass, read_smpl
from .formats.asf_amc import map_asf_amc
from .formats.bvh import map_bvh
from .formats.mvnx import MvnxRecording, read_mvnx

FORMATS = {
    "bvh": "BVH (.bvh)",
    "mvnx": "Xsens MVNX (.mvnx, .mvnx.xz, .mvnx.gz)",
    "asf/amc": "Acclaim motion (.amc with its .asf)",
    "amass": "AMASS (.npz with poses and trans)",
    "smpl": "SMPL (.npz with global_orient and body_pose)",
    "nymeria": "Nymeria (a sequence folder with body/xdata.npz or body/xdata.mvnx)",
}
_SUFFIXES = {".bvh": "bvh", ".mvnx": "mvnx", ".mvnx.xz": "mvnx", ".mvnx.gz": "mvnx", ".amc": "asf/amc"}
_SEQUENCE = ("body/xdata.npz", "body/xdata.mvnx")  # either makes a folder a Nymeria sequence


def _sequence_motion(path: Path, mesh: bool = False) -> BodyMotion:
    return read_nymeria(path, mesh=mesh).motion


_READERS: dict[str, Callable[..., Any]] = {
    "bvh": map_bvh, "mvnx": read_mvnx, "asf/amc": map_asf_amc, "amass": read_amass, "smpl": read_smpl,
    "nymeria": _sequence_motion,
}  # fmt: skip


@dataclass
class MotionReport:
    """A motion and what was understood of its file.

    Args:
        motion: the body motion.
        format: a key of `FORMATS`.
        up: the axis that points up in the file.
        metres_per_unit: of the file's lengths.
        joints: segment -> joint of the file it was read from; other segments were derived from their neighbours.
        recording: trackers and repairs, of an MVNX.
    """

    motion: BodyMotion
    format: str
    up: str
    metres_per_unit: float
    joints: dict[str, str] = field(default_factory=dict)
    recording: MvnxRecording | None = None

    @property
    def height(self) -> float:
        """The person's height in metres, from thighs and shanks at 0.491 of it (`skeleton.py`)."""
        points = self.motion.positions[
            :, [SEGMENT_INDEX[f"{s}_{b}"] for s in "LR" for b in ("UpperLeg", "LowerLeg", "Foot")]
        ]
        bones = np.linalg.norm(np.diff(points.reshape(len(points), 2, 3, 3), axis=2), axis=-1).sum(-1)
        return float(np.median(bones) / 0.491)


def read_motion(path: str | Path, **options: Any) -> BodyMotion:
    """Reads a motion file of any of `FORMATS`.

    Args:
        path: the file, or the folder of a Nymeria sequence.
        **options: of the format's own reader (`read_bvh`, `read_mvnx`, `read_asf_amc`, `read_amass`, `read_smpl`; `mesh` of
            `read_nymeria`, which is left out unless it is True).

    Raises:
        OSError: no such file.
        ValueError: an unknown format, an option its reader does not have, or what the reader refuses.
    """
    return inspect_motion(path, **options).motion


def inspect_motion(path: str | Path, **options: Any) -> MotionReport:
    """As `read_motion`, with what was understood."""
    path = Path(path)
    kind = motion_format(path)
    reader = _READERS[kind]
    known = [name for name in inspect.signature(reader).parameters if name not in ("path", "amc")]
    for name in options:
        if name not in known:
            raise ValueError(
                f"{path}: {name}= is no option of {FORMATS[kind]}, which has {', '.join(known) or 'none'}; leave it out"
            )
    read = reader(path, **options)
    if isinstance(read, MvnxRecording):
        return MotionReport(read.motion, kind, "z", 1.0, recording=read)
    if isinstance(read, BodyMotion):
        return MotionReport(read, kind, options.get("up", "y" if kind == "smpl" else "z"), 1.0)
    return MotionReport(read.motion, kind, read.up, read.metres_per_unit, read.joints)


def motion_format(path: str | Path) -> str:
    """The key of `FORMATS` that a file has.

    Raises:
        OSError: no such file.
        ValueError: none of them.
    """
    path = Path(path)
    name = path.name.lower()
    known = f"known are {'; '.join(FORMATS.values())}"
    if path.is_dir() and any((path / name).is_file() for name in _SEQUENCE):
        return "nymeria"
    if path.is_dir():
        raise ValueError(f"{path}: a folder, not a motion file; give one of its files")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {known}")
    for suffix, kind in _SUFFIXES.items():
        if name.endswith(suffix):
            return kind
    if name.endswith(".asf"):
        raise ValueError(f"{path}: an .asf holds a skeleton without motion; give its .amc")
    with open(path, "rb") as stream:
        head = stream.read(2000)
    if head.startswith(b"PK"):
        names = _npz_names(path)
        if "poses" in names:
            return "amass"
        if {"body_pose", "global_orient"} & names:
            return "smpl"
        raise ValueError(f"{path}: holds {', '.join(sorted(names)) or 'nothing'}, no motion; {known}")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").upper().startswith(b"HIERARCHY"):
        return "bvh"
    if b"<mvnx" in head:
        return "mvnx"
    if b":FULLY-SPECIFIED" in head.upper():
        return "asf/amc"
    raise ValueError(f"{path}: not a motion file; {known}")


def _npz_names(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a whole npz file ({error}); fetch it again") from None


def motion_files(folder: str | Path) -> list[Path]:
    """Motion files in a folder and below it, told by name, numbers in their order (walk_2 before walk_10).

    An .npz counts if it holds motion; a Nymeria sequence counts once, as its folder.

    Raises:
        OSError: no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: no such folder; give the folder that holds the motion files")
    sequences = {path.parents[1] for name in _SEQUENCE for path in folder.rglob(name)}
    files = (path for path in folder.rglob("*") if path.is_file() and _is_motion(path))
    return sorted([*sequences, *(path for path in files if not sequences & set(path.parents))], key=_numerically)


def _is_motion(path: Path) -> bool:
    name = path.name.lower()
    if name.endswith(".npz"):
        try:
            return bool({"poses", "body_pose"} & _npz_names(path))
        except ValueError:
            return True  # damaged: whoever reads it is told so
    return name.endswith(tuple(_SUFFIXES))


def _numerically(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", str(path).lower())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]
