"""Checks a Nymeria download: what of a sequence is usable, what is missing and what is wrong."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ..motion.body_motion import BodyMotion
from ..motion.formats.nymeria_sequence import Repairs, read_arrays, read_skeleton
from .imu import DEVICES, STREAMS, find_vrs, open_vrs, read_nymeria_imu, vrs_reader
from .momentum_glb import read_momentum_glb
from .narration import TEXT_COLUMNS, narration_files, read_narrations
from .sequence import MESH_FILES, SMPL_FILE, find_time_map, fit_mesh, missing_files, read_metadata


@dataclass
class SequenceCheck:
    """What `check_nymeria` found.

    Args:
        name: name of the folder.
        usable: part of the download -> what it holds.
        problems: what is broken, with file and mend; empty if all that is there can be used.
        notes: what a user should know, such as a guessed alignment.
        repairs: what was mended, by the fields of `Repairs` and `NarrationCounts`.
        missing: files of a whole download that the folder lacks.
    """

    name: str
    usable: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    repairs: dict[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def check_nymeria(folder: str | Path, mesh: bool = True, imu: bool = False) -> SequenceCheck:
    """Read every part of a sequence and say what is usable and what is wrong; nothing that is merely missing is a problem.

    Args:
        folder: the sequence.
        mesh: pose the meshes too, which takes a minute for a long recording.
        imu: read all samples of the IMU streams too, which takes minutes.
    """
    folder = Path(folder)
    check = SequenceCheck(folder.name, missing=missing_files(folder))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _check_parts(folder, check, mesh, imu)
    check.notes += [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    return check


def _check_parts(folder: Path, check: SequenceCheck, mesh: bool, imu: bool) -> None:
    def attempt(part: str, read: Callable[[], str]) -> None:
        try:
            check.usable[part] = read()
        except (OSError, ValueError, ImportError) as error:
            check.problems.append(str(error))

    skeleton: list[tuple[BodyMotion, Repairs]] = []

    def skeleton_part() -> str:
        motion, repairs = read_skeleton(folder, strict=True)
        skeleton.append((motion, repairs))
        check.repairs |= {key: value for key, value in vars(repairs).items() if key != "timestamps_us"}
        return f"{len(motion.positions)} frames at {motion.frame_rate:g} Hz, {motion.duration:.1f} s"

    def read_mesh(path: Path) -> str:
        body = read_momentum_glb(path)
        fitted = fit_mesh(skeleton[0][0], body, path) if skeleton else body.mesh
        return (
            f"{len(fitted.rest_vertices)} vertices, {len(fitted.joint_names)} joints, {len(fitted.transforms)} frames"
        )

    def read_words() -> str:
        motion, repairs = skeleton[0]
        start = int(repairs.timestamps_us[0])
        time_map = find_time_map(folder, start)
        narrations, counts = read_narrations(folder, time_map, start, motion.duration, tuple(TEXT_COLUMNS))
        check.repairs |= {f"narrations_{key}": value for key, value in vars(counts).items() if key != "read"}
        return f"{len(narrations)} of {', '.join(narration_files(folder))}, aligned by {time_map.source}"

    def read_imu(device: str, path: Path) -> str:
        if not imu:
            open_vrs(path).timecode_ns(np.zeros(1, np.int64))
            return f"{path.name}, opened"
        streams = {stream: read_nymeria_imu(folder, device, stream) for stream in STREAMS}
        check.repairs |= {f"imu_{device}_{stream}_dropped": signal.dropped for stream, signal in streams.items()}
        return f"{path.name}, " + ", ".join(f"{s} {len(signal.time)} samples" for s, signal in streams.items())

    attempt("metadata", lambda: "subject " + read_metadata(folder).subject)
    attempt("skeleton", skeleton_part)
    for name in MESH_FILES:
        if mesh and (folder / name).is_file():
            attempt(name, partial(read_mesh, folder / name))
    if (folder / SMPL_FILE).is_file():
        attempt(SMPL_FILE, lambda: _smpl_span(folder / SMPL_FILE))
    if narration_files(folder):
        if skeleton:
            attempt("narrations", read_words)
        else:
            check.notes.append("narrations cannot be aligned without the skeleton")
    for device in DEVICES:
        if (path := find_vrs(folder, device)) is not None:
            if vrs_reader() is None:
                check.notes.append(f"{path}: cannot be read without projectaria-tools or vrs; pip install one of them")
            else:
                attempt(f"imu {device}", partial(read_imu, device, path))


def _smpl_span(path: Path) -> str:
    """Frames and seconds of an SMPL file whose arrays agree in length."""
    widths = {"betas": 10, "body_pose": 69, "global_orient": 3, "transl": 3}
    data = read_arrays(path, (*widths, "timestamps"), ())
    frames = len(data["timestamps"])
    for key, width in widths.items():
        if data[key].shape != (frames, width):
            raise ValueError(f"{path}: {key} must be ({frames}, {width}), got {data[key].shape}; download it again")
    return f"{frames} frames, {(float(data['timestamps'][-1]) - float(data['timestamps'][0])) * 1e-6:.1f} s"
