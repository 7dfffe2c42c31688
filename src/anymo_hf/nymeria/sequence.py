"""Reads a Nymeria or NymeriaPlus sequence folder as downloaded: skeleton, posed mesh, narrations, who moves.

Only `body/xdata.npz` must be there (or `body/xdata.mvnx`); everything else may be missing.

**Worlds.** The skeleton and `xdata_blueman.glb` are in the world of Xsens. `xdata_mhr.glb` is in that of the Aria glasses:
in every frame it is laid on the skeleton by the rigid motion that fits its joints best.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from ..modeling.body_segments import SEGMENT_INDEX
from ..motion.body_motion import BodyMotion
from ..motion.formats import motion_formats
from ..motion.formats.nymeria_sequence import FORMAT, SEQUENCE_NAME, Repairs, read_skeleton
from ..motion.posed_mesh import PosedMesh
from ..motion.read_motion import motion_format, read_motion
from ..refusals import parse_json, refusing
from .imu import find_vrs, vrs_reader
from .momentum_glb import MomentumBody, read_momentum_glb
from .narration import (
    NarrationCounts,
    NymeriaTimeMap,
    narration_files,
    read_narrations,
    time_map_from_first_row,
    time_map_from_vrs,
)

# people that every training stage leaves out, as the paper does
HELD_OUT_SUBJECTS = ("alec_meza", "bradley_herman", "dominique_frye", "justin_ramirez", "kyle_parker")
TIME_MAP_FILE = "narration/time_map.json"  # in a sequence folder
MESH_FILES = ("body/xdata_blueman.glb", "body/xdata_mhr.glb")
SMPL_FILE = "body/xdata_smpl_neutral.npz"
_FIT_TOLERANCE = 0.25  # m between a mesh's joints and the segments' origins, median
# Segments whose first joint in a Momentum body lies at the segment's origin.
_SHARED_JOINTS = tuple(
    f"{side}_{bone}" for side in "RL" for bone in ("UpperArm", "Forearm", "Hand", "UpperLeg", "LowerLeg", "Foot")
)


@dataclass(frozen=True)
class NymeriaMetadata:
    """Who moves and what the script was; None where `metadata.json` does not say."""

    subject: str
    height_cm: float | None = None
    script: str | None = None


@dataclass
class NymeriaSequence:
    """One sequence.

    Args:
        name: name of the folder.
        motion: skeleton, with narrations and mesh where they were read.
        repairs: what was mended; its `timestamps_us` place the frames on the clock of the IMU streams.
        metadata: who moves.
        time_map: how narrations were aligned; None if none was read.
        narration_counts: what became of the rows of the narration files.
        missing: files of a whole download that the folder lacks.
    """

    name: str
    motion: BodyMotion
    repairs: Repairs
    metadata: NymeriaMetadata
    time_map: NymeriaTimeMap | None = None
    narration_counts: NarrationCounts = field(default_factory=NarrationCounts)
    missing: tuple[str, ...] = ()


def read_nymeria(
    folder: str | Path,
    kinds: tuple[str, ...] = ("atomic_action",),
    mesh: bool = True,
    time_map: NymeriaTimeMap | None = None,
    name_seed: int | None = None,
    strict: bool = True,
) -> NymeriaSequence:
    """Read a sequence folder.

    Args:
        folder: the sequence, with `body/`, `narration/`, `recording_head/` and so on.
        kinds: narrations to read: "atomic_action", "motion_narration", "activity_summarization"; `()` for none.
        mesh: read the posed mesh where there is one; it takes about 48 bytes for each joint and frame.
        time_map: clock of the head device; without it, one in the folder (`narration/time_map.json`), else the head's VRS
            file, else the first narration row.
        name_seed: name the wearer "C" of the narrations at random.
        strict: refuse time stamps that drift through their repair.

    Raises:
        OSError: no skeleton, or a file that cannot be read.
        ValueError: a file is damaged, or files of the folder contradict each other; names the file and the mend.
    """
    folder = Path(folder)
    with refusing(folder, "Nymeria sequence", "download it again"):
        return _read_sequence(folder, kinds, mesh, time_map, name_seed, strict)


def _read_sequence(
    folder: Path,
    kinds: tuple[str, ...],
    mesh: bool,
    time_map: NymeriaTimeMap | None,
    name_seed: int | None,
    strict: bool,
) -> NymeriaSequence:
    metadata = read_metadata(folder)
    motion, repairs = read_skeleton(folder, strict)
    motion = replace(motion, subject=metadata.subject, name=folder.name, source="nymeria")
    sequence = NymeriaSequence(folder.name, motion, repairs, metadata, missing=missing_files(folder))
    if mesh and (path := find_mesh(folder)) is not None:
        motion = sequence.motion = replace(motion, mesh=fit_mesh(motion, read_momentum_glb(path), path))
    if set(kinds) & set(narration_files(folder)):
        start = int(repairs.timestamps_us[0])
        sequence.time_map = find_time_map(folder, start) if time_map is None else time_map
        narrations, sequence.narration_counts = read_narrations(
            folder, sequence.time_map, start, motion.duration, kinds, name_seed
        )
        sequence.motion = replace(motion, narrations=narrations)
    return sequence


def read_captured(path: str | Path, **options: Any) -> BodyMotion:
    """As `read_motion`, but a Nymeria sequence comes with its narrations and the subject of its metadata.

    Args:
        path: a motion file, or the folder of a sequence.
        options: such as `up` and `frame_rate`; a format that has no such option goes without, since folders are mixed.

    Raises:
        OSError, ValueError: as `read_motion` or `read_nymeria`.
    """
    if motion_format(path) == FORMAT.name:
        return read_nymeria(path, mesh=False).motion
    known = signature(motion_formats()[motion_format(path)].read).parameters
    return read_motion(path, **{name: value for name, value in options.items() if name in known})


def missing_files(folder: str | Path) -> tuple[str, ...]:
    """Files of a whole download that a sequence folder lacks; of two meshes or recordings one is enough."""
    folder = Path(folder)
    missing = [name for name in ("metadata.json", "body/xdata.npz", SMPL_FILE) if not (folder / name).is_file()]
    if find_mesh(folder) is None:
        missing.append(" or ".join(MESH_FILES))
    have = narration_files(folder)
    missing += [
        f"narration/{name}.csv" for name in ("atomic_action", "motion_narration", "activity_summarization")
        if name not in have
    ]  # fmt: skip
    for device in ("head", "left_wrist", "right_wrist"):
        if find_vrs(folder, device) is None:
            missing.append(f"VRS of {device.replace('_', ' ')}")
    return tuple(missing)


def find_mesh(folder: str | Path) -> Path | None:
    """The mesh of a sequence, blueman before MHR, else None."""
    return next((Path(folder) / name for name in MESH_FILES if (Path(folder) / name).is_file()), None)


def find_time_map(folder: str | Path, start_timecode_us: int) -> NymeriaTimeMap:
    """Clock of the head device: a stored map, unless it was a guess and VRS can be read; the VRS file; the first row.

    Raises:
        OSError, ValueError: as `NymeriaTimeMap.load`, `time_map_from_vrs` and `time_map_from_first_row`.
    """
    folder = Path(folder)
    stored = folder / TIME_MAP_FILE
    vrs = find_vrs(folder, "head") if vrs_reader() else None
    if stored.is_file():
        time_map = NymeriaTimeMap.load(stored, folder.name)
        if time_map.source != "first_row" or vrs is None:
            return time_map
    if vrs is not None:
        return time_map_from_vrs(vrs, folder.name)
    return time_map_from_first_row(folder, folder.name, start_timecode_us)


def read_metadata(folder: str | Path) -> NymeriaMetadata:
    """Subject from the folder's name, else from `metadata.json`, and the facts of that file.

    Raises:
        ValueError: damaged metadata, an impossible height, or nobody named.
    """
    folder = Path(folder).resolve()
    path = folder / "metadata.json"
    record: dict[str, object] = {}
    if path.is_file():
        try:
            record = parse_json(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: not JSON ({error}); download it again") from error
        if not isinstance(record, dict):
            raise ValueError(f"{path}: must hold one object; download it again")
    match = SEQUENCE_NAME.match(folder.name)
    subject = match["subject"] if match else str(record.get("fake_name") or "")
    if not subject:
        raise ValueError(
            f"{folder}: cannot tell who moves; name the folder as downloaded (20230607_s0_james_johnson_act0_e72nhq)"
        )
    height = record.get("participant_height_cm")
    try:
        height_cm = None if height in (None, "") else float(str(height))
    except ValueError:
        height_cm = float("nan")
    if height_cm is not None and not 50 <= height_cm <= 260:
        raise ValueError(f"{path}: participant_height_cm is {height!r}; it must lie between 50 and 260, or be left out")
    script = record.get("script")
    return NymeriaMetadata(subject, height_cm, str(script) if script else None)


def sequence_folders(folder: str | Path) -> list[Path]:
    """The folder itself if it is a sequence, else the sequences in it, sorted by name.

    Raises:
        OSError: no sequence there.
    """
    folder = Path(folder)

    def is_sequence(path: Path) -> bool:
        return (path / "body").is_dir() or (path.is_dir() and SEQUENCE_NAME.match(path.name) is not None)

    if is_sequence(folder):
        return [folder]
    found = sorted(path for path in folder.iterdir() if is_sequence(path)) if folder.is_dir() else []
    if not found:
        raise FileNotFoundError(f"{folder}: no Nymeria sequence; give a sequence folder or the folder that holds them")
    return found


# -- mesh ----------------------------------------------------------------------------------------------------------------


def fit_mesh(motion: BodyMotion, body: MomentumBody, path: str | Path) -> PosedMesh:
    """The mesh in the world of the motion.

    Args:
        motion: the skeleton.
        body: what was read from `path`; a mesh of MHR is laid on the skeleton frame by frame.

    Raises:
        ValueError: other frames than the motion's, or joints that lie elsewhere than its segments.
    """
    frames = len(motion.positions)
    if abs(body.frame_rate - motion.frame_rate) > 0.01 or len(body.mesh.transforms) != frames:
        raise ValueError(
            f"{path}: holds {len(body.mesh.transforms)} frames at {body.frame_rate:g} Hz, the skeleton {frames} at "
            f"{motion.frame_rate:g} Hz; download both again, or read without the mesh"
        )
    of_segment = body.mesh.joint_segments
    shared = [SEGMENT_INDEX[name] for name in _SHARED_JOINTS]
    shared = [segment for segment in shared if (of_segment == segment).any()]
    if len(shared) < 4:
        raise ValueError(f"{path}: fewer than four of its joints lie at segments' origins; read without the mesh")
    joints = body.joint_positions(np.array([int(np.argmax(of_segment == segment)) for segment in shared]))
    origins = motion.positions[:, shared]
    mesh = body.mesh
    if not any(name.startswith("b_") for name in mesh.joint_names):
        turn, shift = _rigid_fit(joints, origins)
        joints = np.einsum("tab,tjb->tja", turn, joints) + shift[:, None]
        transforms = np.empty_like(mesh.transforms)
        for start in range(0, frames, 4096):  # a recording in float64 would take gigabytes
            block = slice(start, start + 4096)
            transforms[block] = turn[block, None] @ mesh.transforms[block]
            transforms[block, ..., 3] += shift[block, None]
        mesh = replace(mesh, transforms=transforms)
    apart = float(np.median(np.linalg.norm(joints - origins, axis=-1)))
    if apart > _FIT_TOLERANCE:
        raise ValueError(
            f"{path}: its joints lie {apart:.2f} m from the skeleton's (median); it belongs to another sequence or world"
        )
    return mesh


def _rigid_fit(points: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation `(T, 3, 3)` and translation `(T, 3)` that lay `points` on `targets` `(T, n, 3)` best (Kabsch)."""
    middle, goal = points.mean(axis=1, keepdims=True), targets.mean(axis=1, keepdims=True)
    left, _, right = np.linalg.svd(np.swapaxes(targets - goal, 1, 2) @ (points - middle))
    sign = np.ones((len(points), 1, 3))
    sign[:, 0, 2] = np.linalg.det(left @ right)
    turn = (left * sign) @ right
    return turn, goal[:, 0] - np.einsum("tab,tb->ta", turn, middle[:, 0])
