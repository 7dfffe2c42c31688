"""Miniature recordings in Nymeria's own formats: NPZ, GLB with FB_momentum, CSV and VRS."""

import csv
import json
import struct
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from anymo_hf.modeling.body_segments import PARENTS
from anymo_hf.motion.procedural import simulate_activity
from anymo_hf.motion.skeleton import tpose_positions
from anymo_hf.nymeria import vrs_writer

NAME = "20230607_s0_james_johnson_act0_e72nhq"
START_US = 1_134_397_800
RATE = 240.0
OFFSET_NS = 867_045_900_000  # head DEVICE_TIME to TIME_CODE
Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
BLUEMAN = [
    "p_pelvis", "b_spine0", "b_spine1", "b_spine2", "b_spine3", "b_neck0", "b_head",
    "b_r_shoulder", "b_r_arm", "b_r_forearm", "b_r_wrist", "b_l_shoulder", "b_l_arm", "b_l_forearm", "b_l_wrist",
    "b_r_upleg", "b_r_leg", "b_r_foot", "b_r_ball", "b_l_upleg", "b_l_leg", "b_l_foot", "b_l_ball",
]  # fmt: skip
MHR = [
    "root", "c_spine0", "c_spine1", "c_spine2", "c_spine3", "c_neck", "c_head",
    "r_clavicle", "r_uparm", "r_lowarm", "r_wrist", "l_clavicle", "l_uparm", "l_lowarm", "l_wrist",
    "r_upleg", "r_lowleg", "r_foot", "r_ball", "l_upleg", "l_lowleg", "l_foot", "l_ball",
]  # fmt: skip


def body_motion(seconds=2.5, seed=3):
    """Positions `(T, 23, 3)` and quaternions `(T, 23, 4)` of a walk."""
    motion = simulate_activity("walking", seed, seconds, RATE)
    return motion.positions, motion.orientations


def xdata(positions, quaternions, **changes):
    """Arrays of `xdata.npz`; a change to None leaves the key out."""
    frames = len(positions)
    arrays = {
        "timestamps_us": START_US + np.rint(np.arange(frames) * 1e6 / RATE).astype(np.int64),
        "frameCount": np.array([frames]),
        "frameRate": np.array([int(RATE)]),
        "segmentCount": np.array([23]),
        "sensorCount": np.array([17]),
        "segment_tXYZ": positions.reshape(frames, 69).astype(np.float32),
        "segment_qWXYZ": quaternions.reshape(frames, 92).astype(np.float32),
        "foot_contacts": np.zeros((frames, 4)),
        "identity_segment_tXYZ": tpose_positions(1.75).ravel(),
        "identity_segment_qWXYZ": np.tile([1.0, 0, 0, 0], 23),
    }
    return {key: value for key, value in (arrays | changes).items() if value is not None}


# -- GLB -----------------------------------------------------------------------------------------------------------------


class GlbWriter:
    """Collects accessors, then writes JSON and binary chunk."""

    def __init__(self):
        self.binary, self.views, self.accessors = b"", [], []

    def add(self, array, kind="SCALAR", normalized=False, pad=0):
        """Index of a new accessor; `pad` bytes stand between elements, as in an interleaved buffer."""
        array = np.ascontiguousarray(array)
        code = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}[array.dtype.str[1:]]
        rows = array.reshape(1, -1).T if kind == "SCALAR" else array
        size = rows.shape[1] * rows.itemsize
        data = b"".join(row.tobytes() + b"\xff" * pad for row in rows)
        view = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)}
        if pad:
            view["byteStride"] = size + pad
        self.binary += data + b"\0" * (-len(data) % 4)
        self.views.append(view)
        accessor = {"bufferView": len(self.views) - 1, "componentType": code, "count": len(rows), "type": kind}
        self.accessors.append(accessor | ({"normalized": True} if normalized else {}))
        return len(self.accessors) - 1

    def document(self, **content):
        return {
            "asset": {"version": "2.0"}, "buffers": [{"byteLength": len(self.binary)}], "bufferViews": self.views,
            "accessors": self.accessors, **content,
        }  # fmt: skip

    def glb(self, document):
        return pack_glb(json.dumps(document).encode(), self.binary)


def pack_glb(text, binary):
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def joint_nodes(names, parents, offsets, rotations):
    """glTF nodes of Momentum joints; `offsets` in metres, `rotations` xyzw."""
    return [
        {
            "name": name, "translation": [float(v) for v in offsets[i]], "rotation": [float(v) for v in rotations[i]],
            "children": [c for c, parent in enumerate(parents) if parent == i],
            "extensions": {"FB_momentum": {"type": "skeleton_joint"}},
        }
        for i, name in enumerate(names)
    ]  # fmt: skip


def body_glb(positions, quaternions, names, fps=RATE, move=None):
    """A GLB whose joints follow the segments, a vertex 5 cm ahead of each; `move` turns `(T, 3, 3)` and shifts `(T, 3)`."""
    rest = tpose_positions(1.75)
    rotation = Rotation.from_quat(quaternions.reshape(-1, 4), scalar_first=True).as_matrix()
    rotation = rotation.reshape(-1, 23, 3, 3)
    if move is not None:
        rotation = move[0][:, None] @ rotation
        positions = np.einsum("tab,tjb->tja", move[0], positions) + move[1][:, None]
    poses = np.zeros((len(positions), 23, 6))
    offsets = np.zeros((23, 3))
    for joint, parent in enumerate(PARENTS):
        turn = rotation[:, joint] if parent < 0 else np.swapaxes(rotation[:, parent], 1, 2) @ rotation[:, joint]
        step = positions[:, joint] if parent < 0 else np.einsum(
            "tba,tb->ta", rotation[:, parent], positions[:, joint] - positions[:, parent]
        )  # fmt: skip
        offsets[joint] = (rest[joint] if parent < 0 else rest[joint] - rest[parent]) @ Z_UP
        poses[:, joint, :3] = 100 * (step @ Z_UP - offsets[joint])
        angles = Rotation.from_matrix(Z_UP.T @ turn @ Z_UP).as_euler("ZYX")
        poses[:, joint, 3:] = angles[:, ::-1]
    channels = ("tx", "ty", "tz", "rx", "ry", "rz")
    parameters = [f"{name}_{channel}" for name in names for channel in channels]
    transform = {name: {c: {f"{name}_{c}": 1.0} for c in channels} for name in names}
    writer = GlbWriter()
    pose = writer.add(poses.reshape(len(poses), -1).astype(np.float32).ravel())
    vertices = (rest + [0.05, 0, 0]) @ Z_UP
    joints = np.zeros((23, 4), np.uint16)
    joints[:, 0] = np.arange(23)
    weights = np.zeros((23, 4), np.float32)
    weights[:, 0] = 1
    attributes = {
        "POSITION": writer.add(vertices.astype(np.float32), "VEC3"),
        "JOINTS_0": writer.add(joints, "VEC4"),
        "WEIGHTS_0": writer.add(weights, "VEC4"),
    }
    faces = writer.add(np.array([[i, i + 1, i + 2] for i in range(21)], np.uint32).ravel())
    nodes = joint_nodes(names, PARENTS, offsets, np.tile([0.0, 0, 0, 1], (23, 1)))
    nodes.append({"name": "skin", "mesh": 0, "skin": 0})
    return writer.glb(
        writer.document(
            nodes=nodes,
            skins=[{"joints": list(range(23))}],
            meshes=[{"primitives": [{"attributes": attributes, "indices": faces}]}],
            extensions={
                "FB_momentum": {
                    "transform": {"parameters": parameters, "joints": transform},
                    "fps": fps,
                    "motion": {"nframes": len(poses), "poses": pose, "parameterNames": parameters},
                }
            },
        )
    )


# -- narrations and folders ------------------------------------------------------------------------------------------------


def device_seconds(motion_seconds):
    """Seconds of the head's clock at a second of the motion."""
    return START_US * 1e-6 - OFFSET_NS * 1e-9 + motion_seconds


def write_csv(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([columns, *rows])


def write_sequence(folder, mesh="blueman", narrations=True, name=NAME, **changes):
    """A sequence folder without VRS; returns it with the motion's positions and quaternions."""
    sequence = Path(folder) / name
    (sequence / "body").mkdir(parents=True)
    positions, quaternions = body_motion()
    np.savez(sequence / "body" / "xdata.npz", **xdata(positions, quaternions, **changes))
    record = {"fake_name": "james_johnson", "participant_height_cm": "175", "script": "S5-Workout"}
    (sequence / "metadata.json").write_text(json.dumps(record))
    if mesh:
        names = BLUEMAN if mesh == "blueman" else MHR
        (sequence / "body" / f"xdata_{mesh}.glb").write_bytes(body_glb(positions, quaternions, names))
    if narrations:
        columns = ["request_id", " Start_Time", "END TIME", "describe my  atomic actions", "annotator"]
        columns[2] = "end_time "
        rows = [
            ["1", device_seconds(0.215), device_seconds(1.0), "C walks to C's desk.", "a"],
            ["1", device_seconds(1.0), device_seconds(1.5), " ", "a"],
            ["1", device_seconds(1.5), device_seconds(9.0), "C, who has vitamin-C, stops. C rests", "a"],
        ]
        write_csv(sequence / "narration" / "atomic_action.csv", columns, rows)
    return sequence, positions, quaternions


# -- VRS -----------------------------------------------------------------------------------------------------------------


def write_imu_vrs(path, samples, offset_ns=OFFSET_NS, **options):
    """The VRS of a device: `samples` are `{"1202-1": (T, 6), ...}`; returns the DEVICE_TIME ns of each stream's samples."""
    return vrs_writer.write_imu_vrs(path, samples, offset_ns, **options)


def timecode(device_ns, offset_ns=OFFSET_NS, drift_ppm=0.0):
    return vrs_writer.timecode(device_ns, offset_ns, drift_ppm)
