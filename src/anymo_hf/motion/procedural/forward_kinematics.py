"""From joint-angle curves to the 23 segments in the world.

The pelvis path follows from the angles: whatever foot point carries weight stays where it is (`Pose.contacts`); seats and
floors give the path directly (`Pose.root`). World x is forward at the start, y left, z up.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from ...modeling.body_segments import PARENTS, SEGMENTS
from ..skeleton import tpose_offsets
from .gait import BALL, HEEL
from .impacts import FROM_PELVIS, foot_transients, hand_transients
from .pose import SIDES, Pose, integrate, rotation

# the elbow bends to 150 degrees (American Academy of Orthopaedic Surgeons 1965); nothing changes below 130
_ELBOW_FREE, _ELBOW_MOST = np.radians(130), np.radians(150)
_SPINE = ("L5", "L3", "T12", "T8")


def pose_to_motion(pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Positions `(T, 23, 3)` in metres and quaternions `(T, 23, 4)` wxyz of a pose.

    Forward kinematics, the pelvis path from the feet that carry the body, then what impacts add.
    """
    style, rate = pose.style, pose.rate
    offsets, hang = tpose_offsets(style.height), _hanging_reference()
    local = _joint_rotations(pose)
    frames = len(pose.time)
    world = np.empty_like(local)
    position = np.zeros((frames, len(SEGMENTS), 3))
    for i, parent in enumerate(PARENTS):
        if parent < 0:
            world[:, i] = local[:, i]
        else:
            world[:, i] = pose.world.get(SEGMENTS[i], world[:, parent] @ local[:, i])
            position[:, i] = position[:, parent] + world[:, parent] @ (hang[parent] @ offsets[i])
    foot_points = []
    for side in SIDES:
        foot = SEGMENTS.index(f"{side}_Foot")
        foot_points += [position[:, foot] + world[:, foot] @ (point * style.height) for point in (HEEL, BALL)]
    points = np.stack(foot_points, 1)  # (T, 4, 3) relative to the pelvis
    if pose.root is not None:
        root = pose.root.copy()
    else:
        assert pose.contacts is not None
        weight = pose.contacts
        total = weight.sum(1, keepdims=True)
        velocity = -np.gradient(points, 1 / rate, axis=0)
        carried = (weight[..., None] * velocity).sum(1)
        mean = carried.sum(0) / np.maximum(total.sum(), 1e-9)
        carried = carried + np.clip(1 - total, 0, 1) * mean * np.array([1, 1, 0])  # flight keeps the mean speed
        root = integrate(carried, rate)
        root[:, 2] -= (root[:, None, 2] + points[..., 2]).min(1).mean()
    if pose.vertical is not None:
        root[:, 2] = pose.vertical + 0.52 * style.height
    position = position + root[:, None] + _steadied(pose, position)
    position += foot_transients(pose)
    position += np.broadcast_to(pose.shift, (frames, 3))[:, None]
    position += hand_transients(pose)
    return position, _matrix_to_quaternion(world @ hang)


def _steadied(pose: Pose, position: np.ndarray) -> np.ndarray:
    """What the spine takes up of a walker's sway, `(T, 23, 3)` metres; `position` is seen from the pelvis.

    The spine has more joints than the four of `SEGMENTS`, which evens out sway without turning the head.
    """
    if pose.sway is None:
        return np.zeros_like(position)
    turn = rotation(2, pose.get("yaw"))
    head = (turn.transpose(0, 2, 1) @ position[:, SEGMENTS.index("Head"), :, None])[..., 0]
    sway = np.zeros_like(head)
    sway[:, :2] = head[:, :2] - head[:, :2].mean(0) + pose.sway
    return -pose.steady * FROM_PELVIS[None, :, None] * (turn @ sway[..., None])[:, None, :, 0]


def _soft_limit(angle: np.ndarray, free: float, most: float) -> np.ndarray:
    """The angle itself up to `free`, then rounded off so that it never reaches `most`, without a corner."""
    beyond = np.maximum(angle - free, 0.0)
    return np.where(angle > free, free + (most - free) * np.tanh(beyond / (most - free)), angle)


def _joint_rotations(pose: Pose) -> np.ndarray:
    """Local rotations `(T, 23, 3, 3)`, arms in the hanging reference."""
    local = np.broadcast_to(np.eye(3), (len(pose.time), len(SEGMENTS), 3, 3)).copy()
    get = pose.get
    index = SEGMENTS.index
    local[:, 0] = (
        rotation(2, get("yaw")) @ rotation(1, get("pelvis_pitch")) @ rotation(0, get("pelvis_roll"))
        @ rotation(2, get("pelvis_twist"))
    )  # fmt: skip
    for segment in _SPINE:
        share = 1 / len(_SPINE)
        local[:, index(segment)] = (
            rotation(1, share * get("trunk_flex"))
            @ rotation(0, share * get("trunk_side"))
            @ rotation(2, share * get("trunk_twist"))
        )
    local[:, index("Neck")] = rotation(1, 0.5 * get("head_pitch")) @ rotation(2, 0.5 * get("head_yaw"))
    local[:, index("Head")] = local[:, index("Neck")]
    for side in SIDES:
        sign = -1.0 if side == "R" else 1.0  # mirrored axes: abduction and outward turns
        a = lambda name, side=side: get(f"{side}_{name}")  # noqa: E731
        s = lambda name, side=side: index(f"{side}_{name}")  # noqa: E731
        local[:, s("Shoulder")] = rotation(0, sign * a("shrug"))
        local[:, s("UpperArm")] = (
            rotation(1, -a("arm_flex")) @ rotation(0, sign * a("arm_abd")) @ rotation(2, -sign * a("arm_twist"))
        )
        local[:, s("Forearm")] = rotation(1, -_soft_limit(a("elbow"), _ELBOW_FREE, _ELBOW_MOST)) @ rotation(
            2, -sign * a("pronation")
        )
        local[:, s("Hand")] = rotation(1, a("wrist"))
        local[:, s("UpperLeg")] = (
            rotation(1, -a("hip")) @ rotation(0, sign * a("hip_abd")) @ rotation(2, sign * a("hip_turn"))
        )
        local[:, s("LowerLeg")] = rotation(1, a("knee"))
        local[:, s("Foot")] = rotation(1, -a("ankle"))
        local[:, s("Toe")] = rotation(1, -a("toe"))
    return local


def _hanging_reference() -> np.ndarray:
    """Rotation per segment from the T-pose to the hanging reference, `(23, 3, 3)`."""
    hang = np.broadcast_to(np.eye(3), (len(SEGMENTS), 3, 3)).copy()
    for i, segment in enumerate(SEGMENTS):
        if segment[2:] in ("UpperArm", "Forearm", "Hand"):
            hang[i] = rotation(0, np.array(np.pi / 2 if segment[0] == "R" else -np.pi / 2))
    return hang


def _matrix_to_quaternion(matrix: np.ndarray) -> np.ndarray:
    """wxyz quaternions, sign-continuous along the first axis."""
    shape = matrix.shape[:-2]
    quaternion = Rotation.from_matrix(matrix.reshape(-1, 3, 3)).as_quat(scalar_first=True).reshape(*shape, 4)
    flips = np.sign(np.sum(quaternion[1:] * quaternion[:-1], axis=-1))
    flips[flips == 0] = 1
    quaternion[1:] *= np.cumprod(flips, axis=0)[..., None]
    return quaternion
