"""Reads the skinned, moving body of a GLB that Momentum wrote (`xdata_blueman.glb`, `xdata_mhr.glb`), without pymomentum.

A Momentum GLB is glTF 2.0 plus the extension `FB_momentum`: model parameters for every frame, a linear transform from
them to seven numbers for each joint (translation in cm, Euler angles in rad, log2 of a scale), and skin with up to eight
influences. Its inverse bind pose is that of zero parameters, not glTF's `inverseBindMatrices`.

Joint names are matched with `SEGMENT_JOINTS` by their longest prefix. A joint that no prefix fits (the root of the world,
helper joints) belongs to no segment, -1, as in the paper's candidate rule. Blend shapes are not applied.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from ..modeling.body_segments import SEGMENT_INDEX
from ..motion.posed_mesh import PosedMesh
from ..refusals import LARGEST_VALUE, parse_json, refusing

_MIDDLE: dict[str, tuple[str, ...]] = {
    "Pelvis": ("p_pelvis", "p_l_glut", "p_r_glut", "p_l_rect", "p_r_rect", "root"),
    "L5": ("b_spine0", "c_spine0"),
    "L3": ("b_spine1", "c_spine1"),
    "T12": ("b_spine2", "c_spine2"),
    "T8": ("b_spine3", "p_sternum", "p_navel", "c_spine3"),
    "Neck": ("b_neck0", "p_neck_twist", "c_neck"),
    "Head": (
        "b_head", "b_l_eye", "b_r_eye", "b_jaw", "b_teeth", "b_tongue",
        "c_head", "l_eye", "r_eye", "c_jaw", "c_teeth", "c_tongue",
    ),
}  # fmt: skip
_SIDED: dict[str, tuple[str, ...]] = {  # % is l or r
    "Shoulder": ("b_%_shoulder", "p_%_delt", "p_%_scap", "%_clavicle"),
    "UpperArm": ("b_%_arm", "p_%_arm_twist", "%_uparm"),
    "Forearm": ("b_%_forearm", "p_%_forearm_twist", "b_%_wrist_twist", "%_lowarm", "%_wrist_twist"),
    "Hand": (
        "b_%_wrist", "b_%_index", "b_%_middle", "b_%_ring", "b_%_pinky", "b_%_thumb",
        "%_wrist", "%_index", "%_middle", "%_ring", "%_pinky", "%_thumb",
    ),
    "UpperLeg": ("b_%_upleg", "p_%_upleg_twist", "%_upleg"),
    "LowerLeg": ("b_%_leg", "p_%_leg_twist", "%_lowleg"),
    "Foot": (
        "b_%_foot_twist", "b_%_foot", "b_%_talocrural", "b_%_subtalar", "b_%_transversetarsal",
        "%_foot", "%_talocrural", "%_subtalar", "%_transversetarsal",
    ),
    "Toe": ("b_%_ball", "%_ball"),
}  # fmt: skip
# Segment -> prefixes of the joints that belong to it: blueman's names (b_, p_), then MHR's.
SEGMENT_JOINTS: dict[str, tuple[str, ...]] = _MIDDLE | {
    f"{side.upper()}_{bone}": tuple(prefix.replace("%", side) for prefix in prefixes)
    for side in "rl"
    for bone, prefixes in _SIDED.items()
}

# glTF componentType -> numpy type and what a normalised integer is divided by; type -> components
_COMPONENTS = {5120: ("<i1", 127), 5121: ("<u1", 255), 5122: ("<i2", 32767), 5123: ("<u2", 65535), 5125: ("<u4", 0)}
_COMPONENTS |= {5126: ("<f4", 0)}
_TYPES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_CHANNELS = ("tx", "ty", "tz", "rx", "ry", "rz", "sc")
_CM = 100.0  # a Momentum file is in metres, its parameters are in centimetres
_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
_BLOCK = 4096  # frames posed at once
_MEND = "download the file again"


@dataclass(frozen=True)
class MomentumBody:
    """The body of a Momentum GLB.

    Args:
        mesh: skin and pose of every frame, metres, z up. `transforms` is float32, as exact as the file's parameters.
        frame_rate: frames per second.
        rest_joints: `(J, 3)` joint origins in the rest pose; `mesh.transforms` takes them to the world.
    """

    mesh: PosedMesh
    frame_rate: float
    rest_joints: np.ndarray

    def joint_positions(self, joints: np.ndarray) -> np.ndarray:
        """World positions `(T, n, 3)` of these joints in every frame, metres."""
        transforms = self.mesh.transforms[:, joints]
        return np.einsum("tjab,jb->tja", transforms[..., :3], self.rest_joints[joints]) + transforms[..., 3]


def joint_segment(name: str) -> int:
    """Index of the segment that a joint of blueman or MHR belongs to, -1 for none."""
    best, segment = 0, -1
    for candidate, prefixes in SEGMENT_JOINTS.items():
        for prefix in prefixes:
            if name.startswith(prefix) and len(prefix) > best:
                best, segment = len(prefix), SEGMENT_INDEX[candidate]
    return segment


def read_momentum_glb(path: str | Path) -> MomentumBody:
    """Read mesh, skin and motion.

    Raises:
        OSError: the file cannot be read.
        ValueError: not a whole GLB 2.0, no FB_momentum motion in it, or parts that do not fit together; names the part.
    """
    path = Path(path)
    with refusing(path, "GLB file", _MEND):
        return _read_glb(path)


def _read_glb(path: Path) -> MomentumBody:
    glb = _Glb(path)
    try:
        return _read_body(glb)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise glb.error(f"its JSON chunk is not built as glTF with FB_momentum ({error!r}); {_MEND}") from error


def _read_body(glb: _Glb) -> MomentumBody:
    extension = (glb.json.get("extensions") or {}).get("FB_momentum")
    if not isinstance(extension, dict):
        raise glb.error("has no FB_momentum extension; give a GLB that Momentum wrote, such as body/xdata_mhr.glb")
    joints = _read_joints(glb)
    parameters, identity = _joint_parameters(glb, extension, joints)
    rate = extension.get("fps", 120.0)  # 120 is Momentum's own default
    if not isinstance(rate, int | float) or not 1 <= rate <= 10_000:
        raise glb.error(f"FB_momentum.fps must be frames per second, got {rate!r}")
    vertices, faces, skin_joints, skin_weights = _read_skin(glb, joints)
    transforms, rest_joints = _pose(joints, parameters, identity)
    for what, values in (("vertices", vertices), ("joints", rest_joints), ("poses", transforms)):
        if not (np.abs(values) <= LARGEST_VALUE).all():  # NaN is not less, either
            raise glb.error(f"its {what} hold values that are not finite or over {LARGEST_VALUE:g} m; {_MEND}")
    segments = np.array([joint_segment(name) for name in joints.names])
    if (segments < 0).all():
        raise glb.error(f"none of its joints ({', '.join(joints.names[:5])}, ...) is named as in blueman or MHR")
    try:
        mesh = PosedMesh(
            vertices @ _Z_UP.T, faces, tuple(joints.names), segments, skin_joints, skin_weights, transforms
        )
    except ValueError as error:
        raise glb.error(str(error)) from error
    return MomentumBody(mesh, float(rate), rest_joints)


# -- container ---------------------------------------------------------------------------------------------------------


class _Glb:
    """A GLB 2.0 file: its JSON document, its binary chunk, and accessors checked against both."""

    def __init__(self, path: Path) -> None:
        self.path = path
        data = path.read_bytes()
        if data[:4] != b"glTF" or len(data) < 12:
            raise self.error("is no GLB; it must start with the bytes glTF")
        _, version, length = struct.unpack_from("<4sII", data)
        if version != 2:
            raise self.error(f"is GLB version {version}; only version 2 can be read")
        if length != len(data):
            raise self.error(f"should have {length} bytes and has {len(data)}; {_MEND}")
        chunks: dict[int, bytes] = {}
        offset = 12
        while offset < length:
            if offset + 8 > length:
                raise self.error(f"the chunk header at byte {offset} is cut off; {_MEND}")
            size, kind = struct.unpack_from("<II", data, offset)
            if offset + 8 + size > length:
                raise self.error(f"the chunk at byte {offset} claims {size} bytes past the end of the file; {_MEND}")
            if not chunks and kind != 0x4E4F534A:
                raise self.error("its first chunk is not JSON")
            chunks.setdefault(kind, data[offset + 8 : offset + 8 + size])
            offset += 8 + size
        try:
            self.json: dict[str, Any] = parse_json(chunks.get(0x4E4F534A, b""))
        except ValueError as error:
            raise self.error(f"its JSON chunk is damaged ({error}); {_MEND}") from error
        if not isinstance(self.json, dict):
            raise self.error("its JSON chunk must hold an object")
        self.binary = chunks.get(0x004E4942, b"")

    def error(self, why: str) -> ValueError:
        return ValueError(f"{self.path}: {why}" if ";" in why else f"{self.path}: {why}; {_MEND}")

    def item(self, kind: str, index: Any) -> dict[str, Any]:
        """Entry of a list such as "nodes", with the index checked."""
        items = self.json.get(kind) or []
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(items):
            raise self.error(f"{kind}[{index!r}] is asked for, but there are {len(items)} {kind}")
        return items[index]

    def accessor(self, index: Any, what: str) -> np.ndarray:
        """Values `(count, components)`; normalised integers become floats."""
        accessor = self.item("accessors", index)
        where = f"{what} (accessor {index})"
        component, divisor = _COMPONENTS.get(accessor.get("componentType", 0), ("", 0))
        width = _TYPES.get(accessor.get("type", ""), 0)
        if not component or not width:
            raise self.error(
                f"{where} has componentType {accessor.get('componentType')!r} and type {accessor.get('type')!r}; "
                "not a kind that glTF meshes use"
            )
        if "sparse" in accessor or "bufferView" not in accessor:
            raise self.error(f"{where} is sparse or has no bufferView, which Momentum does not write")
        view = self.item("bufferViews", accessor["bufferView"])
        if view.get("buffer", 0) != 0 or (self.json.get("buffers") or [{}])[0].get("uri") is not None:
            raise self.error(f"{where} lies in another file; only the binary chunk can be read")
        size = np.dtype(component).itemsize * width
        start, length, stride = view.get("byteOffset", 0), view.get("byteLength", 0), view.get("byteStride", size)
        offset, count = accessor.get("byteOffset", 0), accessor.get("count", 0)
        if not all(isinstance(n, int) and n >= 0 for n in (start, length, stride, offset, count)) or stride < size:
            raise self.error(f"{where} has an impossible offset, length, stride or count")
        if start + length > len(self.binary):
            raise self.error(
                f"bufferView {accessor['bufferView']} of {where} ends at byte {start + length} of a binary chunk "
                f"of {len(self.binary)}; {_MEND}"
            )
        if count and offset + (count - 1) * stride + size > length:
            raise self.error(
                f"{where} asks for {count} values, more than its bufferView's {length} bytes hold; {_MEND}"
            )
        shape, strides = (count, width), (stride, np.dtype(component).itemsize)
        values = (
            np.ndarray(shape, component, self.binary, start + offset, strides).copy()
            if count
            else np.zeros(shape, component)
        )
        if accessor.get("normalized") and divisor:
            return np.maximum(values / divisor, -1.0)
        return values


# -- skeleton ----------------------------------------------------------------------------------------------------------


@dataclass
class _Joints:
    names: list[str]
    parents: list[int]
    offsets: np.ndarray  # (J, 3) cm
    rotations: np.ndarray  # (J, 3, 3) rotation before the joint's own
    of_node: dict[int, int]


def _read_joints(glb: _Glb) -> _Joints:
    """Nodes of type skeleton_joint in depth-first order; nodes between two joints move nothing, as in Momentum."""
    children = {child for node in glb.json.get("nodes") or [] for child in node.get("children") or []}
    stack = [(node, -1) for node in reversed(range(len(glb.json.get("nodes") or []))) if node not in children]
    names: list[str] = []
    parents, offsets, quaternions = [], [], []
    of_node: dict[int, int] = {}
    seen: set[int] = set()
    while stack:
        index, parent = stack.pop()
        node = glb.item("nodes", index)
        if index in seen:
            raise glb.error(f"nodes[{index}] has two parents; the nodes must form a tree")
        seen.add(index)
        if ((node.get("extensions") or {}).get("FB_momentum") or {}).get("type") == "skeleton_joint":
            of_node[index] = len(names)
            names.append(str(node.get("name", index)))
            parents.append(parent)
            offsets.append(node.get("translation", (0.0, 0.0, 0.0)))
            quaternions.append(node.get("rotation", (0.0, 0.0, 0.0, 1.0)))
            parent = of_node[index]
        stack.extend((child, parent) for child in reversed(node.get("children") or []))
    if not names:
        raise glb.error("has no node of FB_momentum type skeleton_joint")
    if len(set(names)) < len(names):
        raise glb.error("two of its joints have the same name; it must hold one body")
    try:
        translation, rotation = np.array(offsets, float), np.array(quaternions, float)
    except (TypeError, ValueError):
        translation = rotation = np.zeros(0)
    if translation.shape != (len(names), 3) or rotation.shape != (len(names), 4):
        raise glb.error("a joint's translation must be three numbers and its rotation four")
    if not (np.isfinite(translation).all() and np.linalg.norm(rotation, axis=-1).min() > 0.5):
        raise glb.error("a joint's translation is not finite or its rotation is a zero quaternion; " + _MEND)
    return _Joints(names, parents, _CM * translation, Rotation.from_quat(rotation).as_matrix(), of_node)


def _joint_parameters(glb: _Glb, extension: dict[str, Any], joints: _Joints) -> tuple[np.ndarray, np.ndarray]:
    """Model parameters of the motion with their effect: `(T, P)` and `(P + 1, J * 7)`, the last row added to all."""
    transform, motion = extension.get("transform") or {}, extension.get("motion") or {}
    frames, known = motion.get("nframes", 0), transform.get("parameters")
    if not isinstance(known, list) or not isinstance(transform.get("joints"), dict):
        raise glb.error("FB_momentum.transform lacks parameters or joints")
    if not isinstance(frames, int) or frames < 1 or "poses" not in motion:
        raise glb.error("FB_momentum.motion holds no frames; take the GLB of a recording, not of a character alone")
    names = motion.get("parameterNames") or []
    poses = glb.accessor(motion["poses"], "FB_momentum.motion.poses").ravel()
    if len(poses) != frames * len(names):
        raise glb.error(
            f"FB_momentum.motion.poses holds {len(poses)} numbers, but {frames} frames of {len(names)} parameters "
            f"are {frames * len(names)}; {_MEND}"
        )
    row = {name: index for index, name in enumerate(names)}
    joint_of = {name: index for index, name in enumerate(joints.names)}
    effect = np.zeros((len(names) + 1, len(joints.names) * len(_CHANNELS)))
    for joint, channels in transform["joints"].items():
        for channel, weights in channels.items():
            if joint not in joint_of or channel not in _CHANNELS:
                raise glb.error(
                    f"FB_momentum.transform moves {joint!r} by {channel!r}; there is no such joint or channel"
                )
            column = joint_of[joint] * len(_CHANNELS) + _CHANNELS.index(channel)
            for name, weight in weights.items():
                if name not in known:
                    raise glb.error(f"FB_momentum.transform of {joint!r} names the unknown parameter {name!r}")
                if name in row:  # a parameter without motion stays at zero
                    effect[row[name], column] += weight
    if isinstance(motion.get("offsets"), int) and motion["offsets"] >= 0:
        offsets = glb.accessor(motion["offsets"], "FB_momentum.motion.offsets").ravel()
        offset_names = motion.get("jointNames") or []
        if len(offsets) != len(_CHANNELS) * len(offset_names):
            raise glb.error(
                f"FB_momentum.motion.offsets holds {len(offsets)} numbers, but {len(offset_names)} joints need "
                f"{len(_CHANNELS) * len(offset_names)}; {_MEND}"
            )
        for name, values in zip(offset_names, offsets.reshape(-1, len(_CHANNELS)), strict=True):
            if name not in joint_of:
                raise glb.error(f"FB_momentum.motion.jointNames names the unknown joint {name!r}")
            start = joint_of[name] * len(_CHANNELS)
            effect[-1, start : start + len(_CHANNELS)] += values
    return poses.reshape(frames, len(names)), effect


def _pose(joints: _Joints, parameters: np.ndarray, effect: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rest to world `(T, J, 3, 4)` in z-up metres, and the joints' rest origins `(J, 3)`."""
    count = len(joints.names)
    rest_linear, rest_origin = _world(joints, np.zeros((1, count, len(_CHANNELS))))
    inverse = np.linalg.inv(rest_linear[0])
    transforms = np.empty((len(parameters), count, 3, 4), np.float32)
    for start in range(0, len(parameters), _BLOCK):
        block = slice(start, start + _BLOCK)
        values = parameters[block].astype(float) @ effect[:-1] + effect[-1]
        linear, origin = _world(joints, values.reshape(-1, count, len(_CHANNELS)))
        linear = linear @ inverse
        moved = origin - np.einsum("tjab,jb->tja", linear, rest_origin[0])
        transforms[block, ..., :3] = _Z_UP @ linear @ _Z_UP.T
        transforms[block, ..., 3] = moved @ _Z_UP.T / _CM
    return transforms, rest_origin[0] @ _Z_UP.T / _CM


def _world(joints: _Joints, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Forward kinematics of joint parameters `(T, J, 7)`: rotation times scale `(T, J, 3, 3)` and origin `(T, J, 3)`, cm."""
    linear, origin = np.empty((*values.shape[:2], 3, 3)), np.empty((*values.shape[:2], 3))
    angles = values[..., 3:6]
    cos, sin = np.cos(angles), np.sin(angles)
    (cx, cy, cz), (sx, sy, sz) = np.moveaxis(cos, -1, 0), np.moveaxis(sin, -1, 0)
    # Rz Ry Rx
    own = np.stack(
        [
            cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx,
            sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx,
            -sy, cy * sx, cy * cx,
        ],
        axis=-1,
    ).reshape(*values.shape[:2], 3, 3)  # fmt: skip
    local = joints.rotations @ own * np.exp2(values[..., 6])[..., None, None]
    offset = joints.offsets + values[..., :3]
    for joint, parent in enumerate(joints.parents):
        if parent < 0:
            linear[:, joint], origin[:, joint] = local[:, joint], offset[:, joint]
        else:
            linear[:, joint] = linear[:, parent] @ local[:, joint]
            origin[:, joint] = origin[:, parent] + np.einsum("tab,tb->ta", linear[:, parent], offset[:, joint])
    return linear, origin


# -- skin --------------------------------------------------------------------------------------------------------------


def _read_skin(glb: _Glb, joints: _Joints) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vertices `(V, 3)` in the file's metres, faces `(F, 3)`, and joints and weights `(V, 4 or 8)` of all skinned meshes."""
    parts = []
    start = 0
    for index, node in enumerate(glb.json.get("nodes") or []):
        if "mesh" not in node or "skin" not in node:
            continue
        skin = glb.item("skins", node["skin"])
        table = np.array([joints.of_node.get(joint, -1) for joint in skin.get("joints") or []], int)
        for primitive in glb.item("meshes", node["mesh"]).get("primitives") or []:
            part = _read_primitive(glb, primitive, table, f"mesh of nodes[{index}]")
            parts.append((part[0], part[1] + start, *part[2:]))
            start += len(part[0])
    if not parts:
        raise glb.error("has no skinned mesh")
    width = max(part[2].shape[1] for part in parts)
    padded = [np.pad(part[k], ((0, 0), (0, width - part[k].shape[1]))) for k in (2, 3) for part in parts]
    vertices, faces = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    return vertices, faces, np.concatenate(padded[: len(parts)]), np.concatenate(padded[len(parts) :])


def _read_primitive(
    glb: _Glb, primitive: dict[str, Any], table: np.ndarray, what: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    if primitive.get("mode", 4) != 4:
        raise glb.error(f"{what} is not made of triangles")
    if primitive.get("targets"):
        warnings.warn(f"{glb.path}: blend shapes of {what} are left out", stacklevel=6)
    attributes = primitive.get("attributes") or {}
    for name in ("POSITION", "JOINTS_0", "WEIGHTS_0"):
        if name not in attributes:
            raise glb.error(f"{what} lacks {name}")
    vertices = glb.accessor(attributes["POSITION"], f"POSITION of {what}").astype(float)
    joints, weights = [], []
    for group in (0, 1):
        if f"JOINTS_{group}" in attributes and f"WEIGHTS_{group}" in attributes:
            joints.append(glb.accessor(attributes[f"JOINTS_{group}"], f"JOINTS_{group} of {what}"))
            weights.append(glb.accessor(attributes[f"WEIGHTS_{group}"], f"WEIGHTS_{group} of {what}").astype(float))
    if vertices.shape[1] != 3 or any(array.shape != (len(vertices), 4) for array in joints + weights):
        raise glb.error(f"{what}: POSITION must be (V, 3), JOINTS and WEIGHTS (V, 4) for the same V")
    index, weight = np.concatenate(joints, axis=1), np.concatenate(weights, axis=1)
    if not np.issubdtype(index.dtype, np.integer):
        raise glb.error(f"{what}: JOINTS must be integers")
    index = np.where(weight == 0, 0, index)
    if index.size and index.max() >= len(table):
        raise glb.error(f"{what} is moved by joint {index.max()} of a skin of {len(table)}; {_MEND}")
    chosen = table[index] if index.size else index.astype(int)
    if ((chosen < 0) & (weight != 0)).any():
        raise glb.error(f"{what} is moved by a node that is no Momentum joint")
    total = weight.sum(axis=1, keepdims=True)
    # weights stored in bytes miss a sum of one by a little
    if not np.isfinite(weight).all() or (weight < 0).any() or (np.abs(total - 1) > 0.05).any():
        raise glb.error(f"{what}: WEIGHTS of every vertex must be at least 0 and sum to 1; {_MEND}")
    if "indices" in primitive:
        corners = glb.accessor(primitive["indices"], f"indices of {what}").ravel()
    else:
        corners = np.arange(len(vertices))
    whole = np.issubdtype(corners.dtype, np.unsignedinteger) or "indices" not in primitive
    if not whole or len(corners) % 3 or (len(corners) and corners.max() >= len(vertices)):
        raise glb.error(f"{what}: indices must be triangles of its {len(vertices)} vertices; {_MEND}")
    return vertices, corners.reshape(-1, 3).astype(np.int64), np.where(weight == 0, 0, chosen), weight / total
