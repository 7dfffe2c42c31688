"""GLB bodies against kinematics and skinning with 4x4 matrices, a joint and a vertex at a time; bad files are refused."""

import copy
import json
import struct

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support import nymeria_recordings as files

from anymo_hf.modeling.body_segments import SEGMENT_INDEX, SEGMENTS
from anymo_hf.nymeria.momentum_glb import joint_segment, read_momentum_glb

# listed out of depth-first order: the file's nodes are root, right arm, spine, right forearm, ...
NAMES = [
    "body_world",
    "b_r_arm",
    "b_spine0",
    "b_r_forearm",
    "b_r_wrist",
    "b_spine1",
    "p_r_arm_twist0",
    "helper",
    "b_head",
]
PARENTS = [-1, 2, 0, 1, 3, 2, 1, 2, 5]
CHANNELS = ("tx", "ty", "tz", "rx", "ry", "rz", "sc")
FRAMES, VERTICES = 7, 30


class Body:
    """A random body; `document()` and `glb()` can be altered before they are written."""

    def __init__(self, seed=0, influences=8, bytes_for_weights=False, pad=4):
        rng = np.random.default_rng(seed)
        self.offsets = rng.normal(0, 0.2, (len(NAMES), 3)).astype(np.float32)
        self.pre = Rotation.random(len(NAMES), rng=seed).as_quat().astype(np.float32)
        self.parameters = [f"p{i}" for i in range(12)]
        self.transform = {
            name: {c: {p: float(rng.normal()) for p in rng.choice(self.parameters, 2, replace=False)} for c in CHANNELS}
            for name in NAMES
        }
        for channels in self.transform.values():
            channels["sc"] = {"p3": 0.1}
        # the motion lists its parameters in an order of its own, and not all of them
        self.moved = self.parameters[::-1][:-1]
        self.poses = rng.normal(0, 0.5, (FRAMES, len(self.moved))).astype(np.float32)
        self.identity = rng.normal(0, 0.1, (3, 7)).astype(np.float32)
        self.identity_names = ["b_r_arm", "body_world", "b_head"]
        self.vertices = rng.normal(0, 0.5, (VERTICES, 3)).astype(np.float32)
        self.faces = rng.integers(0, VERTICES, (20, 3))
        self.skin = list(rng.permutation(len(NAMES)))
        self.influences = rng.integers(0, len(NAMES), (VERTICES, influences))
        weights = rng.dirichlet(np.ones(influences), VERTICES)
        self.weights = np.rint(255 * weights).astype(np.uint8) if bytes_for_weights else weights.astype(np.float32)
        writer = self.writer = files.GlbWriter()
        attributes = {"POSITION": writer.add(self.vertices, "VEC3", pad=pad)}
        for group in range(influences // 4):
            columns = slice(4 * group, 4 * group + 4)
            joints = self.influences[:, columns].astype(np.uint8 if group else np.uint16)
            attributes[f"JOINTS_{group}"] = writer.add(joints, "VEC4", pad=pad)
            attributes[f"WEIGHTS_{group}"] = writer.add(self.weights[:, columns], "VEC4", bytes_for_weights, pad)
        indices = writer.add(self.faces.astype(np.uint16).ravel())
        poses, offsets = writer.add(self.poses.ravel()), writer.add(self.identity.ravel())
        nodes = files.joint_nodes(NAMES, PARENTS, self.offsets, self.pre)
        # a locator and a plain node hang from joints; the plain node's pose moves nothing, as in Momentum
        nodes[0]["children"].append(len(NAMES))
        nodes.append({"name": "tag", "extensions": {"FB_momentum": {"type": "locator"}}})
        nodes.append({"name": "mesh", "mesh": 0, "skin": 0})
        self.document = writer.document(
            nodes=nodes,
            skins=[{"joints": [int(joint) for joint in self.skin]}],
            meshes=[{"primitives": [{"attributes": attributes, "indices": indices}]}],
            extensions={
                "FB_momentum": {
                    "transform": {"parameters": self.parameters, "joints": self.transform},
                    "fps": 240.0,
                    "motion": {
                        "nframes": FRAMES, "poses": poses, "parameterNames": self.moved,
                        "offsets": offsets, "jointNames": self.identity_names,
                    },
                }
            },
        )  # fmt: skip

    def write(self, path, document=None):
        path.write_bytes(self.writer.glb(self.document if document is None else document))
        return path

    def world(self, frame):
        """4x4 matrices of all joints in cm, y up; frame None is the pose of zero parameters."""
        matrices = {}

        def place(joint):
            if joint in matrices:
                return matrices[joint]
            values = dict.fromkeys(CHANNELS, 0.0)
            if frame is not None:
                for channel in CHANNELS:
                    for parameter, weight in self.transform[NAMES[joint]][channel].items():
                        if parameter in self.moved:
                            values[channel] += weight * float(self.poses[frame, self.moved.index(parameter)])
                if NAMES[joint] in self.identity_names:
                    for channel, value in zip(
                        CHANNELS, self.identity[self.identity_names.index(NAMES[joint])], strict=True
                    ):
                        values[channel] += float(value)
            local = np.eye(4)
            turn = Rotation.from_quat(self.pre[joint]) * Rotation.from_euler(
                "xyz", [values["rx"], values["ry"], values["rz"]]
            )  # fmt: skip
            local[:3, :3] = turn.as_matrix() * 2 ** values["sc"]
            local[:3, 3] = 100 * self.offsets[joint] + [values["tx"], values["ty"], values["tz"]]
            parent = PARENTS[joint]
            matrices[joint] = local if parent < 0 else place(parent) @ local
            return matrices[joint]

        return [place(joint) for joint in range(len(NAMES))]

    def posed(self, frame):
        """Vertices in z-up metres."""
        bind, pose = self.world(None), self.world(frame)
        out = np.zeros((VERTICES, 3))
        for vertex in range(VERTICES):
            point = np.append(100 * self.vertices[vertex], 1.0)
            weights = self.weights[vertex] / self.weights[vertex].astype(float).sum()
            for influence, weight in zip(self.influences[vertex], weights, strict=True):
                joint = self.skin[influence]
                x, y, z, _ = weight * (pose[joint] @ np.linalg.inv(bind[joint]) @ point)
                out[vertex] += [x / 100, -z / 100, y / 100]
        return out


@pytest.mark.parametrize(
    "options", [{}, {"influences": 4, "pad": 0, "seed": 1}, {"bytes_for_weights": True, "seed": 2}], ids=str
)
def test_matches_independent_kinematics_and_skinning(tmp_path, options):
    body = Body(**options)
    read = read_momentum_glb(body.write(tmp_path / "body.glb"))
    assert read.frame_rate == 240
    assert read.mesh.skin_joints.shape == (VERTICES, options.get("influences", 8))
    order = [
        "body_world",
        "b_spine0",
        "b_r_arm",
        "b_r_forearm",
        "b_r_wrist",
        "p_r_arm_twist0",
        "b_spine1",
        "b_head",
        "helper",
    ]
    assert list(read.mesh.joint_names) == order
    posed = read.mesh.vertices(slice(None))
    np.testing.assert_array_equal(read.mesh.faces, body.faces)
    for frame in range(FRAMES):
        np.testing.assert_allclose(posed[frame], body.posed(frame), atol=2e-5)
    positions = read.joint_positions(np.arange(len(NAMES)))
    for joint, name in enumerate(order):
        x, y, z, _ = body.world(4)[NAMES.index(name)][:, 3]
        np.testing.assert_allclose(positions[4, joint], [x / 100, -z / 100, y / 100], atol=2e-5)


@pytest.mark.parametrize("names", ["BLUEMAN", "MHR"])
def test_joint_names_of_both_rigs_cover_the_segments(names):
    assert [SEGMENTS[joint_segment(name)] for name in getattr(files, names)] == list(SEGMENTS)


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("b_r_wrist_twist", "R_Forearm"), ("b_r_wrist", "R_Hand"), ("b_l_pinky2", "L_Hand"), ("l_wrist_twist", "L_Forearm"),
        ("p_l_glut", "Pelvis"), ("b_l_foot_twist", "L_Foot"), ("r_uparm_twist3_proc", "R_UpperArm"), ("c_tongue4", "Head"),
        ("r_lowleg_twist1_proc", "R_LowerLeg"), ("c_neck_twist0_proc", "Neck"), ("p_r_leg_twist1", "R_LowerLeg"),
    ],
)  # fmt: skip
def test_longest_prefix_decides(name, segment):
    assert joint_segment(name) == SEGMENT_INDEX[segment]


@pytest.mark.parametrize("name", ["body_world", "b_root", "camera", ""])
def test_unknown_joints_belong_to_no_segment(name):
    assert joint_segment(name) == -1


def test_refuses_every_cut(tmp_path):
    whole = Body().write(tmp_path / "body.glb").read_bytes()
    cut = tmp_path / "cut.glb"
    for size in [0, 3, 11, 12, 19, 20, 500, *range(1000, len(whole), 997), len(whole) - 1]:
        cut.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"cut\.glb"):
            read_momentum_glb(cut)
        if size >= 12:  # as if written so: the header agrees with the length
            cut.write_bytes(whole[:8] + struct.pack("<I", size) + whole[12:size])
            with pytest.raises(ValueError, match=r"cut\.glb"):
                read_momentum_glb(cut)


def test_refuses_foreign_files(tmp_path):
    body = Body()
    path = tmp_path / "body.glb"
    foreign = copy.deepcopy(body.document)
    del foreign["extensions"]
    with pytest.raises(ValueError, match="no FB_momentum extension"):
        read_momentum_glb(body.write(path, foreign))
    whole = body.write(path).read_bytes()
    path.write_bytes(whole[:4] + struct.pack("<I", 1) + whole[8:])
    with pytest.raises(ValueError, match="version 1"):
        read_momentum_glb(path)
    path.write_bytes(b"PK\x03\x04" + whole[4:])
    with pytest.raises(ValueError, match="is no GLB"):
        read_momentum_glb(path)
    path.write_bytes(files.pack_glb(b"{" + b" " * 7, b""))
    with pytest.raises(ValueError, match="JSON chunk is damaged"):
        read_momentum_glb(path)
    with pytest.raises(OSError, match=r"nowhere\.glb"):
        read_momentum_glb(tmp_path / "nowhere.glb")


def set_in(document, path, value):
    *way, last = path
    for key in way:
        document = document[key]
    document[last] = value


FB = ("extensions", "FB_momentum")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("accessors", 0, "count"), 10_000, "POSITION.*more than its bufferView"),
        (("accessors", 0, "byteOffset"), -4, "impossible offset"),
        (("accessors", 0, "byteOffset"), 8, "more than its bufferView"),
        (("accessors", 0, "bufferView"), 99, r"bufferViews\[99\]"),
        (("accessors", 0, "componentType"), 5130, "componentType 5130"),
        (("accessors", 0, "sparse"), {}, "sparse"),
        (("bufferViews", 0, "byteLength"), 10**9, "binary chunk"),
        (("bufferViews", 0, "byteStride"), 4, "impossible offset"),
        (("bufferViews", 0, "byteOffset"), 10**9, "binary chunk"),
        (("buffers", 0, "uri"), "other.bin", "another file"),
        (("nodes", 0, "children"), [77], r"nodes\[77\]"),
        (("nodes", 4, "children"), [0], "no node of FB_momentum type skeleton_joint"),
        (("nodes", 4, "children"), [3], "two parents"),
        (("nodes", 1, "translation"), [1, 2], "translation"),
        (("nodes", 1, "rotation"), [0, 0, 0, 0], "zero quaternion"),
        (("nodes", 1, "translation"), [1e9, 0, 0], r"joints hold values .* over 1e\+06 m; download"),
        (("nodes", 1, "name"), "b_spine0", "same name"),
        (("skins", 0, "joints"), [0, 1], "skin of 2"),
        (("skins", 0, "joints", 0), 9, "no Momentum joint"),
        (("meshes", 0, "primitives", 0, "mode"), 1, "triangles"),
        (("meshes", 0, "primitives", 0, "attributes"), {"POSITION": 0}, "lacks JOINTS_0"),
        (("meshes", 0, "primitives", 0, "indices"), 0, "triangles of its"),
        (("meshes",), [], r"meshes\[0\]"),
        ((*FB, "fps"), 0, "fps"),
        ((*FB, "motion", "nframes"), 8, "8 frames of 11"),
        ((*FB, "motion", "nframes"), 0, "no frames"),
        ((*FB, "motion"), None, "no frames"),
        ((*FB, "motion", "poses"), 99, r"accessors\[99\]"),
        ((*FB, "motion", "jointNames"), ["b_head"], "offsets holds 21"),
        ((*FB, "motion", "jointNames", 0), "b_tail", "unknown joint"),
        ((*FB, "transform", "parameters"), ["p0"], "unknown parameter"),
        ((*FB, "transform", "joints", "b_tail"), {"rx": {"p0": 1.0}}, "b_tail"),
        ((*FB, "transform", "joints", "b_head", "rx"), "p0", "not built as glTF"),
        (("nodes",), 5, "not built as glTF"),
        (("accessors", 0), [], "not built as glTF"),
    ],
)
def test_refuses_wrong_parts(tmp_path, path, value, message):
    body = Body()
    set_in(body.document, path, value)
    with pytest.raises(ValueError, match=message) as caught:
        read_momentum_glb(body.write(tmp_path / "body.glb"))
    assert "body.glb" in str(caught.value)


def test_refuses_weights_that_do_not_sum_to_one(tmp_path):
    body = Body()
    body.writer.binary = body.writer.binary.replace(body.weights[0, :4].tobytes(), np.zeros(4, np.float32).tobytes())
    with pytest.raises(ValueError, match="sum to 1"):
        read_momentum_glb(body.write(tmp_path / "body.glb"))


def test_random_json_never_crashes_otherwise(tmp_path):
    """Any one value of the document replaced by something foreign is refused with a ValueError or changes nothing vital."""
    body = Body()
    rng = np.random.default_rng(5)

    def paths(value, prefix=()):
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            yield (*prefix, key)
            yield from paths(item, (*prefix, key))

    every = [path for path in paths(body.document) if path[0] != "asset" and "joints" not in path[2:]]
    for chosen in rng.choice(len(every), 150, replace=False):
        document = json.loads(json.dumps(body.document))
        set_in(document, every[chosen], [None, "x", -1, 1e30, {}, []][rng.integers(6)])
        try:
            read_momentum_glb(body.write(tmp_path / "body.glb", document))
        except ValueError as error:
            assert "body.glb" in str(error)  # noqa: PT017
