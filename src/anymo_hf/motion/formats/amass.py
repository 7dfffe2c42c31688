"""Reads AMASS npz files into a `BodyMotion`; the body, its joints and its up axis are as in `smpl.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..body_motion import BodyMotion
from ..motion_report import MotionReport
from . import MotionFormat
from .smpl import MEAN_HEIGHT, SmplArrays, rest_joints, smpl_report

_POSE_SIZES = (72, 156, 165)  # SMPL, SMPL+H, SMPL-X


def read_amass(
    path: str | Path,
    *,
    height: float = MEAN_HEIGHT,
    body_model: str | Path | None = None,
    up: str | None = None,
    frame_rate: float | None = None,
) -> BodyMotion:
    """Reads an AMASS npz: `poses` `(T, 72, 156 or 165)` radians, `trans` `(T, 3)` metres, `mocap_framerate`.

    SMPL-X files may hold `root_orient` `(T, 3)` and `pose_body` `(T, 63)` in place of `poses`.

    Args:
        path: the file; its folder's name is the subject.
        height: metres, of the mean skeleton; not used with a body model.
        body_model: .npz of the licensed model (`J_regressor`, `v_template`, `shapedirs`), the gender the file names.
        up: the world's up axis, "y" or "z". Left out, it is "z" as in AMASS unless the body stands along y.
        frame_rate: frames per second, where the file does not say them or says them wrong.

    Raises:
        OSError: no such file.
        ValueError: not an npz, missing or misshaped keys, values that are not finite, or an impossible rate.
    """
    return _report(path, height, body_model, up, frame_rate).motion


def _report(
    path: str | Path,
    height: float = MEAN_HEIGHT,
    body_model: str | Path | None = None,
    up: str | None = None,
    frame_rate: float | None = None,
) -> MotionReport:
    path = Path(path)
    data = SmplArrays(path, "an AMASS file holds poses (or root_orient and pose_body), trans and mocap_framerate")
    if "poses" not in data.keys and "pose_body" in data.keys:
        body = data.get("pose_body")
        if body.ndim != 2 or body.shape[1] not in (63, 69):
            raise ValueError(f"{path}: pose_body must be (T, 63) or (T, 69), got {body.shape}")
        poses = np.concatenate([data.get("root_orient", (len(body), 3)), body], axis=1)
    else:
        poses = data.get("poses")
        if poses.ndim != 2 or poses.shape[1] not in _POSE_SIZES:
            raise ValueError(f"{path}: poses must be (T, {' or '.join(map(str, _POSE_SIZES))}), got {poses.shape}")
    trans = data.get("trans", (len(poses), 3))
    rate = data.frame_rate(frame_rate)
    betas = data.get("betas").reshape(-1) if body_model is not None else np.zeros(0)
    rest = rest_joints(height, body_model, betas)
    return smpl_report(path, poses, trans, rest, rate, up, "z", path.resolve().parent.name, "amass")


FORMAT = MotionFormat(
    "amass", "AMASS (.npz with poses and trans, or root_orient and pose_body)", _report,
    holds=lambda arrays: "poses" in arrays or "pose_body" in arrays,
)  # fmt: skip
