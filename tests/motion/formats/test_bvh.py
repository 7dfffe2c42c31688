"""BVH files: the same pose whatever the skeleton's names, units, axes and rest pose; damaged files are refused."""

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from anymo_hf.modeling.body_segments import SEGMENT_INDEX, SEGMENTS
from anymo_hf.motion.formats.bvh import UNITS, map_bvh, read_bvh
from anymo_hf.simulation.kinematics import rotation_matrices, segment_kinematics

S = SEGMENT_INDEX
TO_FILE = np.eye(3)[[1, 2, 0]]  # x forward, y left, z up -> a y-up file's x left, y up, z forward
MAPPED = [name for name in SEGMENTS if name not in ("L5", "L3", "T12")]  # those with a joint of their own


@dataclass
class Skeleton:
    """A body in world axes (x forward, y left, z up; metres), written as a BVH in any axes, unit and channel order."""

    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[tuple] = field(default_factory=list)
    ends: dict[str, tuple] = field(default_factory=dict)

    def add(self, name, parent, offset):
        self.names.append(name)
        self.parents.append(self.names.index(parent) if parent else -1)
        self.offsets.append(offset)

    def without(self, *dropped):
        kept = Skeleton(ends={key: value for key, value in self.ends.items() if key not in dropped})
        for index, name in enumerate(self.names):
            if name not in dropped:
                offset, above = np.array(self.offsets[index], float), self.parents[index]
                while above >= 0 and self.names[above] in dropped:
                    offset, above = offset + self.offsets[above], self.parents[above]
                kept.add(name, self.names[above] if above >= 0 else None, tuple(offset))
        return kept


def t_pose():
    """A person of 1.75 m with Mixamo's names and bones along the world's axes."""
    body = Skeleton()
    body.add("Hips", None, (0, 0, 1.0))
    body.add("Spine", "Hips", (0, 0, 0.12))
    body.add("Spine1", "Spine", (0, 0, 0.13))
    body.add("Neck", "Spine1", (0, 0, 0.25))
    body.add("Head", "Neck", (0, 0, 0.10))
    body.ends["Head"] = (0, 0, 0.2)
    for side, sign in (("Left", 1), ("Right", -1)):
        body.add(f"{side}Shoulder", "Spine1", (0, 0.03 * sign, 0.18))
        body.add(f"{side}Arm", f"{side}Shoulder", (0, 0.15 * sign, 0))
        body.add(f"{side}ForeArm", f"{side}Arm", (0, 0.29 * sign, 0))
        body.add(f"{side}Hand", f"{side}ForeArm", (0, 0.26 * sign, 0))
        body.ends[f"{side}Hand"] = (0, 0.18 * sign, 0)
        body.add(f"{side}UpLeg", "Hips", (0, 0.09 * sign, -0.02))
        body.add(f"{side}Leg", f"{side}UpLeg", (0, 0, -0.43))
        body.add(f"{side}Foot", f"{side}Leg", (0, 0, -0.44))
        body.add(f"{side}ToeBase", f"{side}Foot", (0.14, 0, -0.06))
        body.ends[f"{side}ToeBase"] = (0.06, 0, 0)
    return body


def write(path, body, turns=None, *, up="y", unit="cm", orders=("ZXY",), travel=None, six=(), rename=None, rate=60):
    """Writes `body` turning by `turns` (joint -> `(T, 3, 3)` in world axes, seen from the parent) and returns the path.

    `travel` is the root's `(T, 3)` path in metres; joints in `six` get position channels that hold their offset.
    """
    turns = turns or {}
    frames = max([len(value) for value in turns.values()] + [1 if travel is None else len(travel)])
    axes, scale = (TO_FILE if up == "y" else np.eye(3)), 1 / UNITS[unit]
    lines, columns = ["HIERARCHY"], []

    def joint(index, indent):
        name, pad = body.names[index], "\t" * indent
        offset = scale * axes @ np.array(body.offsets[index], float)
        order = orders[index % len(orders)]
        lines.extend([f"{pad}{'ROOT' if indent == 0 else 'JOINT'} {(rename or {}).get(name, name)}", pad + "{"])
        channels = [f"{axis}rotation" for axis in order]
        if name in six or indent == 0:
            channels = ["Xposition", "Yposition", "Zposition", *channels]
            start = np.array(body.offsets[index], float) if indent or travel is None else 0
            path = np.zeros((frames, 3)) if travel is None or indent else np.array(travel)
            columns.append(scale * (path + start) @ axes.T)
            offset = offset + (7 * scale if indent else 0)  # must not be added to the position
        turn = axes @ turns.get(name, np.broadcast_to(np.eye(3), (frames, 3, 3))) @ axes.T
        columns.append(Rotation.from_matrix(turn).as_euler(order, degrees=True))
        lines.append(f"{pad}\tOFFSET " + " ".join(f"{value:.9g}" for value in offset))
        lines.append(f"{pad}\tCHANNELS {len(channels)} {' '.join(channels)}")
        for child, parent in enumerate(body.parents):
            if parent == index:
                joint(child, indent + 1)
        if name in body.ends or index not in body.parents:
            end = scale * axes @ np.array(body.ends.get(name, (0, 0, 0)), float)
            lines.extend([f"{pad}\tEnd Site", pad + "\t{", f"{pad}\t\tOFFSET " + " ".join(map(str, end)), pad + "\t}"])
        lines.append(pad + "}")

    joint(0, 0)
    lines += ["MOTION", f"Frames: {frames}", f"Frame Time: {1 / rate:.9f}"]
    lines += [" ".join(f"{value:.9f}" for value in row) for row in np.concatenate(columns, 1)]
    path.write_text("\n".join(lines) + "\n")
    return path


def loop_kinematics(path):
    """Names, positions and rotations of every joint, one frame and one joint at a time, straight from the text."""
    words = path.read_text().split()
    names, parents, offsets, channels, stack, end = [], [], [], [], [], False
    position = 0
    while words[position] != "MOTION":
        word = words[position]
        if word in ("ROOT", "JOINT"):
            names.append(words[position + 1])
            parents.append(stack[-1] if stack else None)
            stack.append(len(names) - 1)
        elif word == "End":
            end = True
            stack.append(None)
        elif word == "OFFSET" and not end:
            offsets.append([float(value) for value in words[position + 1 : position + 4]])
        elif word == "CHANNELS":
            count = int(words[position + 1])
            channels.append(words[position + 2 : position + 2 + count])
        elif word == "}":
            stack.pop()
            end = False
        position += 1
    frames = int(words[position + 2])
    numbers = [float(value) for value in words[position + 6 :]]
    places, turns = [], []
    for _ in range(frames):
        place, turn = [], []
        for index in range(len(names)):
            offset, matrix = list(offsets[index]), np.eye(3)
            for channel in channels[index]:
                value = numbers.pop(0)
                axis = "XYZ".index(channel[0])
                if channel[1:] == "position":
                    offset[axis] = value
                else:
                    c, s = math.cos(math.radians(value)), math.sin(math.radians(value))
                    i, j = (axis + 1) % 3, (axis + 2) % 3
                    step = np.eye(3)
                    step[i, i], step[j, j], step[i, j], step[j, i] = c, c, -s, s
                    matrix = matrix @ step
            above = parents[index]
            place.append(np.array(offset) if above is None else place[above] + turn[above] @ np.array(offset))
            turn.append(matrix if above is None else turn[above] @ matrix)
        places.append(place)
        turns.append(turn)
    return names, np.array(places), np.array(turns)


def about(axis, degrees):
    return Rotation.from_rotvec(np.radians(np.atleast_1d(degrees))[:, None] * np.eye(3)["xyz".index(axis)]).as_matrix()


def joint_of(segment):
    """Name of a segment's joint in `t_pose`."""
    side = {"L_": "Left", "R_": "Right"}.get(segment[:2], "")
    core = segment[2:] if side else segment
    names = {"Pelvis": "Hips", "T8": "Spine1", "UpperArm": "Arm", "Forearm": "ForeArm", "UpperLeg": "UpLeg",
             "LowerLeg": "Leg", "Toe": "ToeBase"}  # fmt: skip
    return side + names.get(core, core)


def random_turns(body, frames=40, size=25, seed=0):
    """Smooth small turns of every joint."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 2 * np.pi, frames)[:, None]
    turns = {}
    for name in body.names:
        vector = np.radians(size) * rng.normal(0, 0.5, 3) * np.sin(time + rng.uniform(0, 6, 3))
        turns[name] = Rotation.from_rotvec(vector).as_matrix()
    return turns


@pytest.mark.parametrize("up", ["y", "z"])
@pytest.mark.parametrize("unit", ["cm", "m"])
@pytest.mark.parametrize("six", [(), ("Spine", "LeftForeArm", "RightLeg")])
def test_positions_and_turns_equal_a_plain_loop(tmp_path, up, unit, six):
    body = t_pose()
    travel = np.linspace([0, 0, 0.98], [1.5, 0.4, 1.02], 40)
    orders = ("ZXY", "XYZ", "YXZ", "ZYX")
    path = write(tmp_path / "a.bvh", body, random_turns(body), up=up, unit=unit, orders=orders, travel=travel, six=six)
    names, places, turns = loop_kinematics(path)
    motion = read_bvh(path)
    axes = TO_FILE if up == "y" else np.eye(3)
    assert motion.frame_rate == 60 and motion.positions.shape == (40, 23, 3)
    got = rotation_matrices(motion.orientations)
    for segment in MAPPED:
        index = names.index(joint_of(segment))
        if segment != "T8":  # lies on the spine, not at its joint
            np.testing.assert_allclose(
                motion.positions[:, S[segment]], places[:, index] @ axes * UNITS[unit], atol=1e-6, err_msg=segment
            )
        np.testing.assert_allclose(got[:, S[segment]], axes.T @ turns[:, index] @ axes, atol=1e-6, err_msg=segment)


def test_the_t_pose_is_identity_and_quaternions_keep_their_side(tmp_path):
    still = read_bvh(write(tmp_path / "t.bvh", t_pose()))
    np.testing.assert_allclose(still.orientations[0], np.tile([1.0, 0, 0, 0], (23, 1)), atol=1e-9)
    spin = read_bvh(write(tmp_path / "spin.bvh", t_pose(), {"Hips": about("z", np.arange(0, 720, 10))}))
    assert (np.sum(spin.orientations[1:] * spin.orientations[:-1], -1) > 0.9).all()


@pytest.mark.parametrize("drop", [90, 45, 20])
def test_lowered_arms_roll_whether_by_motion_or_in_the_rest_pose(tmp_path, drop):
    body, rest = t_pose(), t_pose()
    turns = {"LeftArm": about("x", -drop), "RightArm": about("x", drop)}
    for index, name in enumerate(rest.names):  # the same pose as the file's rest pose
        if name.endswith(("ForeArm", "Hand")):
            side = "Left" if name.startswith("Left") else "Right"
            rest.offsets[index] = tuple(turns[f"{side}Arm"][0] @ np.array(rest.offsets[index]))
    half = np.radians(drop / 2)
    for motion in (read_bvh(write(tmp_path / "a.bvh", body, turns)), read_bvh(write(tmp_path / "b.bvh", rest))):
        for segment in ("UpperArm", "Forearm", "Hand"):
            left, right = motion.orientations[0, S[f"L_{segment}"]], motion.orientations[0, S[f"R_{segment}"]]
            np.testing.assert_allclose(left * np.sign(left[0]), [np.cos(half), -np.sin(half), 0, 0], atol=1e-6)
            np.testing.assert_allclose(right * np.sign(right[0]), [np.cos(half), np.sin(half), 0, 0], atol=1e-6)
        np.testing.assert_allclose(motion.orientations[0, S["L_Shoulder"]], [1, 0, 0, 0], atol=1e-6)


def test_splayed_legs_of_a_rest_pose_are_straightened(tmp_path):
    """As in the CMU conversions: the legs stand 20 degrees apart at rest, feet roll with them."""
    rest, turns = t_pose(), {}
    for side, sign in (("Left", 1), ("Right", -1)):
        turn = about("x", 20 * sign)
        turns[f"{side}UpLeg"] = about("x", -20 * sign)
        for index, name in enumerate(rest.names):
            if name in (f"{side}Leg", f"{side}Foot", f"{side}ToeBase"):
                rest.offsets[index] = tuple(turn[0] @ np.array(rest.offsets[index]))
    motion = read_bvh(write(tmp_path / "a.bvh", rest, turns))
    for segment in ("L_UpperLeg", "L_LowerLeg", "L_Foot", "R_LowerLeg", "R_Foot", "R_Toe"):
        np.testing.assert_allclose(motion.orientations[0, S[segment]], [1, 0, 0, 0], atol=1e-6, err_msg=segment)


def gait(frames=120):
    """Turns with bent elbows and knees, level feet and swinging arms, for `t_pose`."""
    time = np.linspace(0, 4 * np.pi, frames)
    turns = {"Hips": about("z", 8 * np.sin(time)), "Spine1": about("z", -10 * np.sin(time))}
    for side, sign in (("Left", 1), ("Right", -1)):
        hip, knee = 20 * sign * np.sin(time), 25 + 20 * np.cos(time)
        turns[f"{side}UpLeg"] = about("y", -hip)
        turns[f"{side}Leg"] = about("y", knee)
        turns[f"{side}Foot"] = about("y", hip - knee)  # level
        turns[f"{side}Arm"] = about("y", -15 * sign * np.sin(time)) @ about("x", -80 * sign)
        turns[f"{side}ForeArm"] = about("z", -sign * (30 + 15 * np.sin(time)))
    return turns


def bone_aligned(body, turns, flip):
    """The same motion on a rig whose rest pose is no pose: every joint's x lies along its bone (`flip`: right ones back).

    Joint axes in the T-pose are `axes`; a turn G becomes G A, and offsets and turns are written in those axes.
    """
    axes = {}
    for name in body.names:
        long = (0, 0, 1) if name in ("Hips", "Spine", "Spine1", "Neck", "Head") else (0, 0, -1)
        if any(word in name for word in ("Shoulder", "Arm", "Hand")):
            long = (0, 1 if name.startswith("Left") else -1, 0)
        if "Foot" in name or "Toe" in name:
            long = (1, 0, 0)
        across = (0, 0, 1) if abs(long[1]) == 1 else (0, 1, 0)
        side = -1 if flip and name.startswith("Right") else 1
        x, y = side * np.array(long, float), side * np.array(across, float)
        axes[name] = np.stack([x, y, np.cross(x, y)], 1)
    rig, local = Skeleton(ends={}), {}
    frames = len(next(iter(turns.values())))
    for index, name in enumerate(body.names):
        above = body.names[body.parents[index]] if index else None
        before = axes[above] if above else np.eye(3)
        rig.add(name, above, tuple(before.T @ np.array(body.offsets[index], float)))
        local[name] = before.T @ turns.get(name, np.broadcast_to(np.eye(3), (frames, 3, 3))) @ axes[name]
    return rig, local


@pytest.mark.parametrize("flip", [True, False])
def test_a_rig_without_a_rest_pose_gives_the_same_motion(tmp_path, flip):
    body, turns = t_pose(), gait()
    wanted = read_bvh(write(tmp_path / "a.bvh", body, turns, up="z"))
    rig, local = bone_aligned(body, turns, flip)
    got = read_bvh(write(tmp_path / "b.bvh", rig, local, up="z"))
    np.testing.assert_allclose(got.positions, wanted.positions, atol=1e-6)
    apart = np.abs(np.sum(got.orientations * wanted.orientations, -1))
    for segment in SEGMENTS:
        worst = np.degrees(2 * np.arccos(np.clip(apart[:, S[segment]].min(), 0, 1)))
        assert worst < 0.1, (segment, worst)


def test_spine_segments_lie_on_the_spine_and_share_its_bend(tmp_path):
    motion = read_bvh(write(tmp_path / "a.bvh", t_pose(), {"Spine1": about("y", 40)}))
    bend = [
        2 * np.degrees(np.arcsin(motion.orientations[0, S[name], 2])) for name in ("Pelvis", "L5", "L3", "T12", "T8")
    ]
    np.testing.assert_allclose([bend[0], bend[4]], [0, 40], atol=1e-6)
    assert bend[0] <= bend[1] < bend[2] < bend[3] <= bend[4]
    straight = read_bvh(write(tmp_path / "b.bvh", t_pose())).positions[0, :, 2]
    heights = straight[[S[name] for name in ("Pelvis", "L5", "L3", "T12", "T8", "Neck")]]
    share = (heights - heights[0]) / (heights[-1] - heights[0])
    np.testing.assert_allclose(share, np.cumsum([0, 0.055, 0.058, 0.054, 0.054, 0.075]) / 0.296, atol=1e-6)


_SIDED = ("Shoulder", "Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot", "ToeBase")
SCHEMES = {
    "bandai": (("Hips", "Spine", "Chest", "Neck", "Head"), "{}_L", "{}_R",
               ("Shoulder", "UpperArm", "LowerArm", "Hand", "UpperLeg", "LowerLeg", "Foot", "Toes")),
    "mixamo": (("mixamorig:Hips", "mixamorig:Spine", "mixamorig:Spine1", "mixamorig:Neck", "mixamorig:Head"),
               "mixamorig:Left{}", "mixamorig:Right{}", _SIDED),
    "asf": (("root", "lowerback", "thorax", "lowerneck", "head"), "l{}", "r{}",
            ("clavicle", "humerus", "radius", "wrist", "femur", "tibia", "foot", "toes")),
    "anatomic": (("pelvis", "abdomen", "chest", "neck", "head"), "l{}", "r{}",
                 ("Collar", "Shldr", "ForeArm", "Hand", "Thigh", "Shin", "Foot", "Toe")),
    "joints": (("Hip", "Spine", "Chest", "Neck", "Head"), "Left{}", "Right{}",
               ("Collar", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Toe")),
    "biped": (("Bip01 Pelvis", "Bip01 Spine", "Bip01 Spine1", "Bip01 Neck", "Bip01 Head"), "Bip01 L {}", "Bip01 R {}",
              ("Clavicle", "UpperArm", "Forearm", "Hand", "Thigh", "Calf", "Foot", "Toe0")),
    "underscores": (("HIPS", "spine", "spine_1", "NECK", "HEAD"), "left_{}", "right_{}",
                    ("shoulder", "upper_arm", "lower_arm", "hand", "upper_leg", "lower_leg", "foot", "toe_base")),
}  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES)
def test_joint_names_of_common_schemes(tmp_path, scheme):
    centre, left, right, sided = SCHEMES[scheme]
    rename = dict(zip(("Hips", "Spine", "Spine1", "Neck", "Head"), centre, strict=True))
    for plain, core in zip(_SIDED, sided, strict=True):
        rename |= {f"Left{plain}": left.format(core), f"Right{plain}": right.format(core)}
    body = t_pose()
    wanted = read_bvh(write(tmp_path / "a.bvh", body, random_turns(body)))
    got = read_bvh(write(tmp_path / "b.bvh", body, random_turns(body), rename=rename))
    np.testing.assert_allclose(got.positions, wanted.positions, atol=1e-9)
    np.testing.assert_allclose(got.orientations, wanted.orientations, atol=1e-9)


def test_a_still_root_above_the_hips_is_no_pelvis(tmp_path):
    path = write(tmp_path / "a.bvh", t_pose())
    text = path.read_text().replace("ROOT Hips", "ROOT joint_Root\n{\nOFFSET 0 0 0\nCHANNELS 0\nJOINT Hips", 1)
    path.write_text(text.replace("MOTION", "}\nMOTION"))
    assert abs(read_bvh(path).positions[0, 0, 2] - 1.0) < 1e-6


def test_missing_collar_bones_neck_hands_and_toes_follow_their_neighbours(tmp_path):
    dropped = [f"{side}{name}" for side in ("Left", "Right") for name in ("Shoulder", "Hand", "ToeBase")] + ["Neck"]
    body = t_pose().without(*dropped)
    for side, sign in (("Left", 1), ("Right", -1)):
        body.ends |= {f"{side}ForeArm": (0, 0.26 * sign, 0), f"{side}Foot": (0.14, 0, -0.06)}
    turns = {"Spine1": about("z", 30), "LeftForeArm": about("z", -50), "RightFoot": about("y", 15)}
    motion = read_bvh(write(tmp_path / "a.bvh", body, turns))
    whole = read_bvh(write(tmp_path / "b.bvh", t_pose(), turns))
    for segment in ("L_Shoulder", "L_Hand", "R_Hand", "R_Toe", "L_Toe"):
        np.testing.assert_allclose(motion.orientations[0, S[segment]], whole.orientations[0, S[segment]], atol=1e-6)
        if segment != "L_Shoulder":
            np.testing.assert_allclose(motion.positions[0, S[segment]], whole.positions[0, S[segment]], atol=1e-6)
    assert np.linalg.norm(motion.positions[0, S["L_Shoulder"]] - whole.positions[0, S["L_Shoulder"]]) < 0.12
    with pytest.raises(ValueError, match="L_Hand"):
        read_bvh(write(tmp_path / "c.bvh", t_pose().without("LeftHand")))


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_found_from_the_legs_or_taken_as_given(tmp_path, unit):
    path = write(tmp_path / "a.bvh", t_pose(), unit=unit)
    wanted = read_bvh(write(tmp_path / "m.bvh", t_pose(), unit="m")).positions
    for given in (None, unit, UNITS[unit]):
        np.testing.assert_allclose(read_bvh(path, unit=given).positions, wanted, atol=1e-6)


def test_odd_sizes_units_and_axes_are_refused(tmp_path):
    path = write(tmp_path / "a.bvh", t_pose(), unit="cm")
    with pytest.raises(ValueError, match=r"a\.bvh.*with 1 metres per unit.*tall"):
        read_bvh(path, unit="m")
    with pytest.raises(ValueError, match="unit must be one of m, cm"):
        read_bvh(path, unit="feet")
    with pytest.raises(ValueError, match="up must be 'y' or 'z', got 'x'"):
        read_bvh(path, up="x")
    text = path.read_text()
    path.write_text(
        re.sub(r"OFFSET (\S+) (\S+) (\S+)", lambda m: "OFFSET " + " ".join(m[i] + "e4" for i in (1, 2, 3)), text)
    )
    with pytest.raises(ValueError, match="legs are .* units long, which fits no person"):
        read_bvh(path)


def test_up_is_found_or_given_and_a_contradiction_is_refused(tmp_path):
    lying = {"Hips": about("y", -88)}  # on the back: the head points backward
    path = write(tmp_path / "a.bvh", t_pose(), lying, up="z")
    assert np.ptp(read_bvh(path).positions[0, :, 2]) < 0.4  # the rest pose stands along z, so z is up
    path = write(tmp_path / "b.bvh", t_pose(), {"Hips": about("x", 88)}, up="y")  # rest along y, body along another
    assert np.ptp(read_bvh(path, up="y").positions[0, :, 2]) > 1  # arms
    turned = {"Hips": np.broadcast_to(TO_FILE.T @ about("x", 88)[0] @ TO_FILE, (1, 3, 3))}  # file y to file z
    path = write(tmp_path / "c.bvh", t_pose(), turned, up="y")
    with pytest.raises(ValueError, match="rest pose stands along y, the motion along z; say which"):
        read_bvh(path)
    assert read_bvh(path, up="z").positions[0, S["Head"], 2] > read_bvh(path, up="z").positions[0, S["L_Foot"], 2] + 1


def test_a_first_frame_in_the_rest_pose_is_left_out(tmp_path):
    turns = {"LeftArm": about("x", np.concatenate([[0.0], np.linspace(-80, -60, 20)]))}
    assert len(read_bvh(write(tmp_path / "a.bvh", t_pose(), turns)).positions) == 20
    assert len(read_bvh(write(tmp_path / "b.bvh", t_pose(), {"LeftArm": about("x", [0, -1, -2])})).positions) == 3


def test_short_frame_times_mean_whole_rates(tmp_path):
    path = write(tmp_path / "a.bvh", t_pose())
    for written, rate in (("0.0083333", 120), ("0.0333333", 30), ("0.04", 25)):
        path.write_text(re.sub(r"Frame Time: \S+", f"Frame Time: {written}", path.read_text()))
        assert read_bvh(path).frame_rate == rate


def _last_line(change):
    def apply(text):
        lines = text.rstrip().split("\n")
        lines[-1] = change(lines[-1])
        return "\n".join(line for line in lines if line is not None) + "\n"

    return apply


DAMAGE = {
    "no BVH": (lambda text: "time,x,y\n1,2,3\n", "not a BVH file"),
    "empty": (lambda text: "", "not a BVH file"),
    "no motion": (lambda text: text[: text.index("MOTION")], "not a BVH file"),
    "fewer frames": (_last_line(lambda line: ""), r"Frames says 3 but MOTION has 2 lines; .*cut off"),
    "more frames": (_last_line(lambda line: line + "\n" + line), "Frames says 3 but MOTION has 4 lines"),
    "fewer numbers": (_last_line(lambda line: line[: len(line) // 2].rsplit(" ", 1)[0]), r"line \d+: \d+ numbers where"),
    "no number": (_last_line(lambda line: line.rsplit(" ", 1)[0] + " oops"), r"line \d+: 'oops' is not a number"),
    "trailing text": (lambda text: text + "the end\n", r"line \d+: 'the' is not a number"),
    "NaN": (_last_line(lambda line: line.rsplit(" ", 1)[0] + " nan"), r"line \d+: 'nan' is no length or angle"),
    "huge": (_last_line(lambda line: line.rsplit(" ", 1)[0] + " 1e300"), r"'1e300' is no length or angle"),
    "zero time": (lambda text: re.sub(r"Frame Time: \S+", "Frame Time: 0", text), "Frame Time is 0; it must be the seconds"),
    "time in words": (lambda text: re.sub(r"Frame Time: \S+", "Frame Time: fast", text), "'fast' must be numbers"),
    "no frames": (lambda text: re.sub(r"Frames: \S+", "Frames: 0", text), "Frames is 0"),
    "no header": (lambda text: re.sub(r"Frames: \S+\n", "", text), "Frames: N"),
    "offset": (lambda text: text.replace("OFFSET 0 0 0", "OFFSET 0 zero 0", 1).replace("OFFSET ", "OFFSET x ", 1), "OFFSET"),
    "channel": (lambda text: text.replace("Zrotation", "Wrotation", 1), r"line 5: CHANNELS needs a count"),
    "brace": (lambda text: text.replace("}", "", 1), "missing"),
    "two bodies": (lambda text: text.replace("MOTION", "ROOT Other\n{\nOFFSET 0 0 0\n}\nMOTION"),
                   "only one body can be read; export one body"),
    "limbs": (lambda text: text.replace("LeftForeArm", "Thing").replace("RightLeg", "Stick"),
              r"no joint found for L_Forearm \(.*\); R_LowerLeg \(.*which are Hips, Spine"),
    "hierarchy": (lambda text: text.replace("LeftFoot", "x").replace("LeftHand", "LeftFoot").replace("x", "LeftHand"),
                  "not the skeleton of one person"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_files_are_refused_by_name(tmp_path, kind):
    change, message = DAMAGE[kind]
    path = write(tmp_path / "walk.bvh", t_pose(), {"Spine": about("y", [1, 2, 3])})
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=message) as caught:
        read_bvh(path)
    assert "walk.bvh" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OSError, match=r"none\.bvh: no such file"):
        read_bvh(tmp_path / "none.bvh")


def test_line_ends_of_other_systems_and_a_byte_order_mark_are_fine(tmp_path):
    path = write(tmp_path / "a.bvh", t_pose(), {"Spine": about("y", [1, 2, 3])})
    wanted = read_bvh(path).positions
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    np.testing.assert_array_equal(read_bvh(path).positions, wanted)


# ---- real clips ------------------------------------------------------------------------------------------------------


def _clips(pattern, count):
    folder, _, name = pattern.partition("/")
    files = sorted((Path(os.environ["ANYMO_MOTION"]) / folder).glob(name))
    assert files, f"no {pattern} in ANYMO_MOTION"
    return files[:: max(1, len(files) // count)][:count]


WALKS = ["bandai_namco/dataset-?_walk_*.bvh", "cmu_bvh/*walking_*.bvh", "cmu_bvh/ref_cmu_16_15.bvh"]


@pytest.mark.parametrize("pattern", WALKS, ids=["bandai_namco", "cmu_bvh", "cmu_asf_names"])
class TestRealWalks:
    pytestmark = pytest.mark.mocap

    def test_bodies_have_human_size_and_stand_on_the_floor(self, pattern):
        for path in _clips(pattern, 12):
            motion = read_bvh(path)
            positions, turns = motion.positions, rotation_matrices(motion.orientations)
            feet = positions[:, [S["L_Toe"], S["R_Toe"], S["L_Foot"], S["R_Foot"]], 2]
            top = np.quantile(positions[:, S["Head"], 2], 0.9) - np.quantile(feet.min(1), 0.1)
            assert 1.15 < top < 1.75, (path.name, top)  # the head joint, some 0.2 m below the top of the head
            legs = sum(
                np.linalg.norm(positions[0, S[f"L_{a}"]] - positions[0, S[f"L_{b}"]])
                for a, b in (("UpperLeg", "LowerLeg"), ("LowerLeg", "Foot"))
            )
            assert 1.4 < legs / 0.491 < 2.1, (path.name, legs)
            assert -0.15 < np.median(feet.min(1)) < 0.15, path.name
            assert (turns[:, S["Pelvis"], 2, 2].mean() > 0.85) and turns[:, S["Head"], 2, 2].mean() > 0.7, path.name

    def test_knees_bend_back_elbows_bend_ahead_and_standing_feet_are_level(self, pattern):
        for path in _clips(pattern, 12):
            motion = read_bvh(path)
            positions, turns = motion.positions, rotation_matrices(motion.orientations)
            bone = lambda a, b, p=positions: p[:, S[b]] - p[:, S[a]]  # noqa: E731
            for side, sign in (("L", 1), ("R", -1)):
                knee = np.cross(bone(f"{side}_UpperLeg", f"{side}_LowerLeg"), bone(f"{side}_LowerLeg", f"{side}_Foot"))
                for segment in ("UpperLeg", "LowerLeg"):  # about the segment's left axis
                    axis = np.einsum("tji,tj->i", turns[:, S[f"{side}_{segment}"]], knee)
                    assert axis[1] > 0.95 * np.linalg.norm(axis), (path.name, segment)
                elbow = np.cross(bone(f"{side}_UpperArm", f"{side}_Forearm"), bone(f"{side}_Forearm", f"{side}_Hand"))
                axis = np.einsum("tji,tj->i", turns[:, S[f"{side}_UpperArm"]], elbow)
                assert -sign * axis[2] > 0.7 * np.linalg.norm(axis), path.name
                ankle = positions[:, S[f"{side}_Foot"]]
                speed = np.linalg.norm(np.gradient(ankle, axis=0), axis=-1)
                level = turns[speed <= np.quantile(speed, 0.15), S[f"{side}_Foot"], 2, 2]
                assert np.median(level) > 0.9, (path.name, np.median(level))

    def test_a_pelvis_sensor_reads_gravity_and_steps(self, pattern):
        medians = []
        for path in _clips(pattern, 24):
            force = segment_kinematics(
                read_bvh(path), cutoff_hz=None if "dataset" in path.name else 15.0
            ).specific_force
            medians.append(np.median(np.linalg.norm(force[:, S["Pelvis"]], axis=-1)))
        assert 9 < np.median(medians) < 10.8
        assert min(medians) > 8.5 and max(medians) < 12.5


class TestRealDirections:
    pytestmark = pytest.mark.mocap

    @pytest.mark.parametrize(
        "content, axis, sign", [("walk", 0, 1), ("walk-back", 0, -1), ("walk-left", 1, 1), ("walk-right", 1, -1)]
    )
    def test_people_move_the_way_the_file_says(self, content, axis, sign):
        for path in _clips(f"bandai_namco/dataset-1_{content}_*.bvh", 5):
            motion = read_bvh(path)
            velocity = np.gradient(motion.positions[:, 0], axis=0)
            local = np.einsum("tji,tj->ti", rotation_matrices(motion.orientations[:, 0]), velocity).mean(0)
            assert sign * local[axis] > 0.1 * np.linalg.norm(local), path.name

    @pytest.mark.parametrize("side, other", [("left", "right"), ("right", "left")])
    def test_the_hand_that_waves_is_the_one_named(self, side, other):
        for path in _clips(f"bandai_namco/*wave-{side}-hand_*.bvh", 5):
            positions = read_bvh(path).positions
            travel = {
                name: np.abs(np.diff(positions[:, S[f"{name[0].upper()}_Hand"]], axis=0)).sum()
                for name in (side, other)
            }
            assert travel[side] > 2 * travel[other], path.name


RIGIFY = {"Hips": "pelvis", "Spine": "spine", "Spine1": "spine.001", "Neck": "neck", "Head": "face"} | {
    f"{side}{ours}": f"{theirs}.{side[0]}"
    for side in ("Left", "Right")
    for ours, theirs in (("Shoulder", "shoulder"), ("Arm", "upper_arm"), ("ForeArm", "forearm"), ("UpLeg", "thigh"),
                         ("Leg", "shin"), ("Foot", "foot"))
}  # fmt: skip
VENDOR = {"Hips": "CC_Base_Hip", "Spine": "CC_Base_Waist", "Spine1": "CC_Base_Spine01", "Head": "CC_Base_Head"} | {
    f"{side}{ours}": f"CC_Base_{side[0]}_{theirs}"
    for side in ("Left", "Right")
    for ours, theirs in (("Shoulder", "Clavicle"), ("Arm", "Upperarm"), ("ForeArm", "Forearm"), ("Hand", "Hand"),
                         ("UpLeg", "Thigh"), ("Leg", "Calf"), ("Foot", "Foot"))
}  # fmt: skip


@pytest.mark.parametrize(
    "names, dropped",
    [
        (RIGIFY, ("LeftHand", "RightHand", "LeftToeBase", "RightToeBase")),
        (VENDOR, ("Neck", "LeftToeBase", "RightToeBase")),
    ],
    ids=["Rigify without a head joint", "CC_Base"],
)
def test_rigs_of_other_tools_give_the_same_body(tmp_path, names, dropped):
    body = t_pose()
    for side, sign in (("Left", 1), ("Right", -1)):
        body.ends[f"{side}ForeArm"], body.ends[f"{side}Foot"] = (0, 0.26 * sign, 0), (0.14, 0, -0.06)
    turns = random_turns(body, frames=6)
    usual = read_bvh(write(tmp_path / "a.bvh", body.without(*dropped), turns))
    renamed = read_bvh(write(tmp_path / "b.bvh", body.without(*dropped), turns, rename=names))
    np.testing.assert_allclose(renamed.positions, usual.positions, atol=1e-6)
    np.testing.assert_allclose(renamed.orientations, usual.orientations, atol=1e-6)


def test_a_root_in_the_trunk_is_no_pelvis(tmp_path):
    """As depth cameras have it: the root is the middle of the trunk, legs and arms hang from it."""
    body, usual = Skeleton(), t_pose()
    body.add("TORSO", None, (0, 0, 1.2))
    body.add("NECK", "TORSO", (0, 0, 0.3))
    body.add("HEAD", "NECK", (0, 0, 0.1))
    for side, sign in (("LEFT", 1), ("RIGHT", -1)):
        body.add(f"{side}_SHOULDER", "TORSO", (0, 0.18 * sign, 0.23))
        body.add(f"{side}_ELBOW", f"{side}_SHOULDER", (0, 0.29 * sign, 0))
        body.add(f"{side}_HAND", f"{side}_ELBOW", (0, 0.26 * sign, 0))
        body.add(f"{side}_HIP", "TORSO", (0, 0.09 * sign, -0.22))
        body.add(f"{side}_KNEE", f"{side}_HIP", (0, 0, -0.43))
        body.add(f"{side}_FOOT", f"{side}_KNEE", (0, 0, -0.44))
    turn = np.concatenate([about("z", angle) for angle in (0, 20, 40, 60)])
    report = map_bvh(write(tmp_path / "a.bvh", body, {"TORSO": turn}))
    motion = report.motion
    hips = motion.positions[:, [S["L_UpperLeg"], S["R_UpperLeg"]]].mean(1)
    np.testing.assert_allclose(motion.positions[:, S["Pelvis"]], hips, atol=1e-6)
    np.testing.assert_allclose(motion.positions[:, S["Pelvis"], 2], 0.98, atol=1e-6)
    np.testing.assert_allclose(rotation_matrices(motion.orientations[:, S["Pelvis"]]), turn, atol=1e-6)
    assert report.notes == ("TORSO is no pelvis; the pelvis was placed between the hips and turns as TORSO",)
    heights = motion.positions[0, [S[name] for name in ("Pelvis", "L5", "L3", "T12", "T8", "Neck", "Head")], 2]
    assert (np.diff(heights) > 0).all()
    # a root without a known name that lies at the hips is the pelvis
    near = map_bvh(write(tmp_path / "b.bvh", usual, rename={"Hips": "Armature"}))
    assert not near.notes and near.joints["Pelvis"] == "Armature"


@pytest.mark.parametrize(
    "printed, rate",
    [("0.0333667", 30000 / 1001), ("0.033367", 30000 / 1001), ("0.0333333", 30.0), ("0.0333", 30.0), ("0.041667", 24.0),
     ("0.0416", 24.0), ("0.0417083", 24000 / 1001), ("0.0167", 60.0), ("0.0166833", 60000 / 1001), ("0.0083333", 120.0),
     ("0.00833333377", 120.0), ("0.040000", 25.0), ("8.3333e-3", 120.0), ("0.03440001", 1 / 0.03440001)],
)  # fmt: skip
def test_rates_of_video_are_not_rounded(tmp_path, printed, rate):
    path = write(tmp_path / "a.bvh", t_pose())
    path.write_text(re.sub("Frame Time: .*", f"Frame Time: {printed}", path.read_text()))
    assert read_bvh(path).frame_rate == pytest.approx(rate, rel=1e-12)
    assert read_bvh(path, frame_rate=50.0).frame_rate == 50
    with pytest.raises(ValueError, match=r"a\.bvh: frame_rate must be frames per second, from 1 to 1000, got 0"):
        read_bvh(path, frame_rate=0.0)


def test_a_first_frame_in_another_pose_is_left_out(tmp_path):
    turns = random_turns(t_pose(), frames=20, size=4)
    turns["LeftArm"][0] = turns["LeftArm"][0] @ about("x", 80)[0]
    motion = read_bvh(write(tmp_path / "a.bvh", t_pose(), turns))
    rest = read_bvh(write(tmp_path / "b.bvh", t_pose(), {name: turn[1:] for name, turn in turns.items()}))
    np.testing.assert_allclose(motion.positions, rest.positions, atol=1e-6)
    # a jump in the middle as large as that is not a pose to leave out
    turns["LeftArm"][9] = turns["LeftArm"][9] @ about("x", 80)[0]
    assert len(read_bvh(write(tmp_path / "c.bvh", t_pose(), turns)).positions) == 20


def test_who_lies_down_for_most_of_a_clip_stood_before(tmp_path):
    backward = Rotation.from_euler("y", -np.clip(np.arange(60) * 5.0 - 40, 0, 88)[:, None], degrees=True).as_matrix()
    motion = read_bvh(write(tmp_path / "a.bvh", t_pose(), {"Hips": TO_FILE.T @ backward @ TO_FILE}, up="y"), up="y")
    found = read_bvh(tmp_path / "a.bvh")
    np.testing.assert_array_equal(found.positions, motion.positions)
