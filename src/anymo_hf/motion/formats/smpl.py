"""Reads SMPL motion into a `BodyMotion`, as the npz of NymeriaPlus has it; `amass.py` reads AMASS with the same body.

**The body.** These files hold joint angles and a shape code (`betas`), not joint positions; those come from the SMPL body
model, which is licensed and not part of this package. Two ways:

- Without it, the joint tree has a *mean skeleton*: the segment origins of `skeleton.py` (Drillis and Contini 1966) at a
  given height. Angles are the file's; bone lengths and so the lever arms of limbs are an average adult's, feet may slide,
  and `betas` are not used. The three spine joints stand at the origins of L5, L3 and T12. The pelvis is put at the
  file's translation, from which SMPL's own pelvis differs by a constant that only the model knows; no sensor feels it.
- With `body_model`, the path of your own copy of the model as .npz, joints are `J_regressor @ (v_template + shapedirs
  betas)`, exact but for the pose-dependent shape, which does not move joints.

**Joints and segments.** The first 22 SMPL joints are used, in any of SMPL, SMPL+H and SMPL-X, whose first 22 agree. SMPL
rests in a T-pose with y up, facing z; in it every segment is the identity. `joint_mapping` spreads the three spine joints
over Xsens's five spine segments; the toes are SMPL's foot joints and the shoulders its collars.

**Up.** The file does not say which axis points up. What its format usually has is compared with the body: where the person
clearly stands along the other axis over the clip, that one is taken, with a note; `up` settles it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ...array_file import ArrayFile
from ...modeling.body_segments import SEGMENT_INDEX
from ..body_motion import BodyMotion
from ..frame_rate import checked_rate, rate_of_time_stamps
from ..joint_mapping import map_joints
from ..joint_names import Joint
from ..motion_report import MotionReport
from ..skeleton import tpose_positions
from . import MotionFormat

SMPL_JOINTS: tuple[str, ...] = (
    "Pelvis", "L_Hip", "R_Hip", "Spine1", "L_Knee", "R_Knee", "Spine2", "L_Ankle", "R_Ankle", "Spine3", "L_Foot",
    "R_Foot", "Neck", "L_Collar", "R_Collar", "Head", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist",
    "R_Wrist",
)  # fmt: skip
SMPL_PARENTS: tuple[int, ...] = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
# Segment whose origin each joint is; the spine's joints only in the mean skeleton
_ORIGINS = (
    "Pelvis", "L_UpperLeg", "R_UpperLeg", "L5", "L_LowerLeg", "R_LowerLeg", "L3", "L_Foot", "R_Foot", "T12", "L_Toe",
    "R_Toe", "Neck", "L_Shoulder", "R_Shoulder", "Head", "L_UpperArm", "R_UpperArm", "L_Forearm", "R_Forearm", "L_Hand",
    "R_Hand",
)  # fmt: skip
_SPINE = ("L5", "L3", "T12")
_Y_TO_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # NymeriaPlus's rule; x stays
_RATES = ("mocap_framerate", "mocap_frame_rate", "fps", "frame_rate")  # as files call it
MEAN_HEIGHT = 1.71  # metres, of the adults that procedural motion draws


def read_smpl(
    path: str | Path,
    *,
    height: float = MEAN_HEIGHT,
    body_model: str | Path | None = None,
    up: str | None = None,
    frame_rate: float | None = None,
) -> BodyMotion:
    """Reads an SMPL npz: `global_orient` `(T, 3)`, `body_pose` `(T, 63 or 69)`, `transl` `(T, 3)`, `timestamps` in µs.

    Args:
        path: the file, as NymeriaPlus has it.
        height: metres, of the mean skeleton; not used with a body model.
        body_model: .npz of the licensed model (`J_regressor`, `v_template`, `shapedirs`).
        up: the world's up axis, "y" or "z". Left out, it is "y" as in NymeriaPlus unless the body stands along z. A y-up
            world's x, y, z become x, -z, y as NymeriaPlus has it.
        frame_rate: frames per second, instead of the time stamps.

    Raises:
        OSError: no such file.
        ValueError: not an npz, missing or misshaped keys, values that are not finite, or time stamps that repeat, run
            backward or leave a gap.
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
    data = SmplArrays(path, "an SMPL file holds global_orient, body_pose, transl and timestamps")
    body = data.get("body_pose")
    if body.ndim != 2 or body.shape[1] not in (63, 69):
        raise ValueError(f"{path}: body_pose must be (T, 69) or (T, 63), got {body.shape}")
    frames = len(body)
    poses = np.concatenate([data.get("global_orient", (frames, 3)), body], axis=1)
    trans = data.get("transl", (frames, 3))
    betas = np.median(np.atleast_2d(data.get("betas")), axis=0) if body_model is not None else np.zeros(0)
    if frame_rate is None and "timestamps" in data.keys:
        rate = _rate(path, data.get("timestamps", (frames,)))
    else:
        rate = data.frame_rate(frame_rate)
    rest = rest_joints(height, body_model, betas)
    return smpl_report(path, poses, trans, rest, rate, up, "y", path.stem, "smpl")


class SmplArrays:
    """The arrays of an npz, checked as they are asked for; nothing is unpickled."""

    def __init__(self, path: Path, wanted: str):
        self.path, self.wanted = path, wanted
        self.file = ArrayFile(path, f"{wanted}, fetch it again")
        self.keys = self.file.names

    def get(self, name: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """The array in float64."""
        if name not in self.keys:
            raise ValueError(
                f"{self.path}: {name} is missing; {self.wanted}, this one {', '.join(self.keys) or 'none'}"
            )
        try:
            values = np.asarray(self.file[name], dtype=np.float64)
        except (ValueError, TypeError) as error:
            if str(self.path) in str(error):
                raise
            raise ValueError(f"{self.path}: {name} cannot be read as numbers ({error}); fetch it again") from None
        if shape is not None and values.shape != shape:
            raise ValueError(f"{self.path}: {name} must be {shape}, got {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"{self.path}: {name} holds NaN or infinity; remove or repair these frames")
        return values

    def frame_rate(self, given: float | None) -> float:
        """Frames per second: the given one, else what the file says under any of its usual names."""
        key = next((name for name in _RATES if name in self.keys), None)
        if given is None and key is None:
            raise ValueError(
                f"{self.path}: does not say its frame rate ({', '.join(_RATES)}); give frame_rate= (--frame-rate)"
            )
        if given is not None or key is None:
            return checked_rate(self.path, given, 0.0)
        rate = self.get(key)
        if rate.size != 1 or not 1 <= float(rate.reshape(())) <= 1000:
            raise ValueError(f"{self.path}: {key} must be frames per second, from 1 to 1000, got {rate}")
        return float(rate.reshape(()))


def _rate(path: Path, microseconds: np.ndarray) -> float:
    """Frames per second of nearly even time stamps."""
    if len(microseconds) < 2:
        raise ValueError(f"{path}: one time stamp gives no rate; give frame_rate=")
    step = np.diff(microseconds)
    usual = float(np.median(step))
    bad = (step <= 0) | (step > 1.5 * usual)
    if bad.any():
        at = int(bad.argmax())
        raise ValueError(
            f"{path}: timestamps {at} and {at + 1} are {step[at]:.0f} µs apart, where {usual:.0f} is usual "
            f"({int(bad.sum())} such); cut the file there, or give frame_rate= if the frames are even"
        )
    rate = 1e6 * len(step) / float(microseconds[-1] - microseconds[0])
    if not 1 <= rate <= 1000:
        raise ValueError(f"{path}: timestamps give {rate:.4g} frames per second; they must be in microseconds")
    return rate_of_time_stamps(rate)


def rest_joints(height: float, body_model: str | Path | None, betas: np.ndarray) -> np.ndarray:
    """`(22, 3)` metres in SMPL's rest axes (x left, y up, z forward)."""
    if body_model is None:
        world = tpose_positions(height)[[SEGMENT_INDEX[segment] for segment in _ORIGINS]]
        return (world - world[0])[:, [1, 2, 0]]  # the pelvis at the file's translation
    model = Path(body_model)
    if model.suffix.lower() != ".npz":
        raise ValueError(f"{model}: the body model must be the .npz one; a .pkl would have to be unpickled")
    data = SmplArrays(model, "a body model holds J_regressor, v_template and shapedirs")
    template = data.get("v_template")
    regressor, shapes = data.get("J_regressor"), data.get("shapedirs")
    vertices = len(template)
    if template.shape != (vertices, 3) or shapes.shape[:2] != (vertices, 3) or shapes.ndim != 3:
        raise ValueError(
            f"{model}: v_template is {template.shape}, shapedirs {shapes.shape}; they must be (V, 3), (V, 3, n)"
        )
    if regressor.ndim != 2 or regressor.shape[1] != vertices or len(regressor) < len(SMPL_JOINTS):
        raise ValueError(f"{model}: J_regressor must be (22 or more, {vertices}), got {regressor.shape}")
    used = min(len(betas), shapes.shape[2])
    return regressor[: len(SMPL_JOINTS)] @ (template + shapes[:, :, :used] @ betas[:used])


def smpl_report(
    path: Path,
    poses: np.ndarray,
    trans: np.ndarray,
    rest: np.ndarray,
    rate: float,
    up: str | None,
    usual_up: str,
    subject: str,
    source: str,
) -> MotionReport:
    """The motion of `(T, 66 or more)` axis-angle poses and `(T, 3)` metres.

    Args:
        path: for messages and names.
        poses, trans: of the file.
        rest: `(22, 3)` joints as `rest_joints` gives them.
        rate: frames per second.
        up: the world's up axis, or None to compare `usual_up` with the body.
        usual_up: of the format.
        subject, source: of the motion.

    Raises:
        ValueError: no frame, angles that are no radians, or another axis than y and z.
    """
    if not len(poses):
        raise ValueError(f"{path}: holds no frame")
    largest = float(np.abs(poses[:, : 3 * len(SMPL_JOINTS)]).max())
    if largest > 20:
        raise ValueError(f"{path}: a joint is turned by {largest:.3g}; angles must be axis-angle vectors in radians")
    if up not in (None, "y", "z"):
        raise ValueError(f"up must be 'y' or 'z', got {up!r}")
    joints = [
        Joint(name, parent, rest[index] - (rest[parent] if parent >= 0 else 0))
        for index, (name, parent) in enumerate(zip(SMPL_JOINTS, SMPL_PARENTS, strict=True))
    ]
    found = {segment: index for index, segment in enumerate(_ORIGINS) if segment not in _SPINE}
    turns = Rotation.from_rotvec(poses[:, : 3 * len(joints)].reshape(-1, 3)).as_matrix().reshape(len(poses), -1, 3, 3)
    positions = np.empty((len(poses), len(joints), 3))
    rotations = np.empty_like(turns)
    for index, joint in enumerate(joints):
        if joint.parent < 0:
            positions[:, index], rotations[:, index] = trans + joint.offset, turns[:, index]
        else:
            above = rotations[:, joint.parent]
            positions[:, index] = positions[:, joint.parent] + above @ joint.offset
            rotations[:, index] = above @ turns[:, index]
    seen = _up_axis(positions, usual_up) if up is None else up
    notes = () if up is not None or seen == usual_up else (
        f"the body stands along {seen}, where {usual_up} is usual, so {seen} was taken as up; give up= (--up) to decide",
    )  # fmt: skip
    if seen == "y":
        positions, rotations = positions @ _Y_TO_Z_UP.T, _Y_TO_Z_UP @ rotations
    report = map_joints(
        path, joints, found, positions, rotations, rest, rate, source=source, subject=subject, unit=1.0, up="z"
    )
    return MotionReport(report.motion, seen, 1.0, notes=notes)


def _up_axis(positions: np.ndarray, usual: str) -> str:
    """ "y" or "z", along which a body of `(T, 22, 3)` joints stands; the usual one where that is not clear.

    Somebody who lies along an axis is told from somebody who stands along it by the floor, which is at zero.
    """
    feet = positions[:, [SMPL_JOINTS.index("L_Ankle"), SMPL_JOINTS.index("R_Ankle")]].mean(1)
    trunk = (positions[:, SMPL_JOINTS.index("Head")] - feet).mean(0)
    trunk = trunk / max(float(np.linalg.norm(trunk)), 1e-9)
    other = "z" if usual == "y" else "y"
    here, there = "xyz".index(usual), "xyz".index(other)
    if trunk[there] < 0.8:
        return usual
    # lying: all of the body is near the floor of the usual axis, and the feet are not near that of the other
    lies = positions[..., here].min() > -0.5 and positions[..., here].max() < 0.7
    stands = abs(float(positions[..., there].min())) < 0.5
    return usual if lies and not stands else other


FORMAT = MotionFormat(
    "smpl", "SMPL (.npz with global_orient and body_pose)", _report,
    holds=lambda arrays: bool({"global_orient", "body_pose"} & arrays) and "poses" not in arrays,
)  # fmt: skip
