"""Every motion format: BVH, MVNX (plain and packed), ASF/AMC, AMASS, SMPL."""

import gzip
import lzma
import re
from pathlib import Path

import numpy as np
from fuzz.door import Door
from support import asf_amc_file, mvnx_file

from anymo_hf.motion.read_motion import inspect_motion

_ARM = ("JOINT {0}Arm {{ OFFSET {1}15 20 0 CHANNELS 1 Xrotation JOINT {0}ForeArm {{ OFFSET {1}29 0 0 CHANNELS 1 Yrotation "
        "JOINT {0}Hand {{ OFFSET {1}25 0 0 CHANNELS 1 Xrotation End Site {{ OFFSET {1}18 0 0 }} }} }} }}\n")  # fmt: skip
_LEG = ("JOINT {0}UpLeg {{ OFFSET {1}9 -2 0 CHANNELS 1 Xrotation JOINT {0}Leg {{ OFFSET 0 -43 0 CHANNELS 1 Xrotation "
        "JOINT {0}Foot {{ OFFSET 0 -44 0 CHANNELS 1 Xrotation End Site {{ OFFSET 0 -6 14 }} }} }} }}\n")  # fmt: skip
_FRAMES = 8


def _bvh(folder: Path) -> Path:
    arms, legs = (kind.format("Left", "") + kind.format("Right", "-") for kind in (_ARM, _LEG))
    head = (
        "HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation\n"
        "JOINT Chest { OFFSET 0 30 0 CHANNELS 3 Zrotation Xrotation Yrotation\n"
        "JOINT Head { OFFSET 0 35 0 CHANNELS 3 Zrotation Xrotation Yrotation End Site { OFFSET 0 20 0 } }\n"
        f"{arms}}}\n{legs}}}\nMOTION\nFrames: {_FRAMES}\nFrame Time: 0.01\n"
    )
    rows = (f"{t} 95 {2 * t} 0 0 {5 * t} {' '.join(str(t + k) for k in range(18))}\n" for t in range(_FRAMES))
    path = folder / "walk.bvh"
    path.write_text(head + "".join(rows))
    return path


def _read(path: Path, **options) -> dict:
    report = inspect_motion(path, **options)
    motion = report.motion
    return {"positions": motion.positions, "orientations": motion.orientations, "rate": motion.frame_rate,
            "texts": motion.narrations, "recording": report.recording, "frames": len(motion.positions),
            "turned": np.linalg.norm(motion.orientations, axis=-1), "root": motion.positions[:, 0]}  # fmt: skip


def _plain_bvh(path: Path) -> dict:
    """Frames and root of the MOTION block by a split at white space; metres and axes as the sound file has them."""
    text = path.read_bytes().decode("utf-8")
    body = re.search(r"MOTION\s+Frames:\s*(\d+)\s+Frame Time:\s*([\d.]+)\s*\n(.*)", text, re.S)
    rows = [[float(cell) for cell in line.split()] for line in body[3].splitlines() if line.strip()]
    values = np.array(rows)
    if "OFFSET 0 0 0\nCHANNELS 6 Xposition Yposition Zposition" not in text:
        raise ValueError("another root")
    root = values[:, :3] @ np.eye(3)[[1, 2, 0]].T * 0.01 if text.count("Xposition") == 1 else None
    return {"frames": len(rows), "turned": np.ones((len(rows), 23))} | ({} if root is None else {})


def _mvnx(folder: Path) -> Path:
    mvnx_file.write(folder / "walk.mvnx", frames=3)
    return folder / "walk.mvnx"


def _packed(ending: str, module) -> Door:
    def write(folder: Path) -> Path:
        plain = _mvnx(folder)
        packed = folder / f"walk.mvnx.{ending}"
        packed.write_bytes(module.compress(plain.read_bytes()))
        plain.unlink()
        return packed

    return Door(f"motion mvnx.{ending}", write, _read, largest=1e10)


def _poses(size: int, frames: int = 6) -> tuple[np.ndarray, np.ndarray]:
    wave = 0.3 * np.sin(np.linspace(0, 3, frames)[:, None] + np.arange(size))
    wave[:, :3] = [np.pi / 2, 0, 0]
    return wave, np.tile([0.1, 0.2, 0.9], (frames, 1))


def _amass(folder: Path) -> Path:
    poses, trans = _poses(72)
    path = folder / "walk_poses.npz"
    np.savez(path, poses=poses, trans=trans, mocap_framerate=60.0, betas=np.zeros(16), gender="female")
    return path


def _plain_amass(path: Path) -> dict:
    with np.load(path, allow_pickle=False) as file:
        if np.abs(file["poses"][:, :3] - [np.pi / 2, 0, 0]).max() > 0.1:
            raise ValueError("another body may stand along another axis, which the reader finds and this does not")
        return {"root": file["trans"], "frames": len(file["poses"]), "rate": float(file["mocap_framerate"])}


def _smpl(folder: Path) -> Path:
    poses, trans = _poses(72)
    path = folder / "walk.npz"
    times = 1_000_000_000 + np.rint(np.arange(len(poses)) * 1e6 / 60).astype(np.int64)
    np.savez(path, global_orient=poses[:, :3], body_pose=poses[:, 3:], transl=trans, betas=np.zeros((len(poses), 10)),
             timestamps=times)  # fmt: skip
    return path


DOORS = [
    Door("motion bvh", _bvh, _read, _plain_bvh, largest=1e6),
    Door("motion mvnx", _mvnx, _read, largest=1e10),
    _packed("gz", gzip),
    _packed("xz", lzma),
    Door("motion asf/amc", lambda folder: asf_amc_file.write(folder, frames=4), _read),
    Door("motion amass", _amass, _read, _plain_amass),
    Door("motion smpl", _smpl, _read),
]
