"""ASF/AMC files: kinematics against a plain loop and a BVH conversion, units, names; damaged files are refused."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.asf_amc_file import write

from anymo_hf.modeling.body_segments import SEGMENT_INDEX, SEGMENTS
from anymo_hf.motion.formats.asf_amc import read_asf_amc
from anymo_hf.motion.formats.bvh import read_bvh
from anymo_hf.simulation.kinematics import rotation_matrices

S = SEGMENT_INDEX
UNIT = 0.0254 / 0.45


def loop_kinematics(amc, asf):
    """Start of every bone, one frame and one bone at a time, with rotations multiplied out one axis after another."""

    def about(axis, degrees):
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        i, j = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[i, i], step[j, j], step[i, j], step[j, i] = c, c, -s, s
        return step

    def product(order, angles):
        matrix = np.eye(3)
        for axis, value in zip(order, angles, strict=True):
            matrix = about("xyz".index(axis), value) @ matrix
        return matrix

    data, tree = asf.read_text().split(":bonedata")[1].split(":hierarchy")
    bones, parents = {}, {}
    for block in data.split("begin")[1:]:
        lines = {words[0]: words[1:] for line in block.splitlines() if (words := line.split())}
        bones[lines["name"][0]] = lines
    for line in tree.splitlines():
        for child in line.split()[1:]:
            parents[child] = line.split()[0]
    frames = []
    for line in amc.read_text().splitlines():
        words = line.split()
        if len(words) == 1 and words[0].isdigit():
            frames.append({})
        elif frames and words:
            frames[-1][words[0]] = [float(word) for word in words[1:]]
    starts, turns = [], []
    for frame in frames:
        place, turn, end = {"root": np.array(frame["root"][:3])}, {"root": product("xyz", frame["root"][3:])}, {}
        end["root"] = place["root"]
        for name in parents:  # the hierarchy runs outward
            bone, above = bones[name], parents[name]
            axis = product("xyz", [float(value) for value in bone["axis"][:3]])
            moved = product([dof[1] for dof in bone.get("dof", [])], frame.get(name, []))
            turn[name] = turn[above] @ axis @ moved @ axis.T
            place[name] = end[above]
            end[name] = place[name] + turn[name] @ np.array([float(v) for v in bone["direction"]]) * float(
                bone["length"][0]
            )
        starts.append(place)
        turns.append(turn)
    return starts, turns


JOINTS = {"Pelvis": "root", "Neck": "lowerneck", "Head": "head"} | {
    f"{side.upper()}_{segment}": side + bone
    for side in "lr"
    for segment, bone in (("Shoulder", "clavicle"), ("UpperArm", "humerus"), ("Forearm", "radius"), ("Hand", "hand"),
                          ("UpperLeg", "femur"), ("LowerLeg", "tibia"), ("Foot", "foot"), ("Toe", "toes"))
}  # fmt: skip
TO_WORLD = np.eye(3)[[2, 0, 1]]  # file x left, y up, z forward


def check_with_loop(motion, amc, asf):
    starts, turns = loop_kinematics(amc, asf)
    got = rotation_matrices(motion.orientations)
    for segment, bone in JOINTS.items():
        wanted = np.array([place[bone] for place in starts]) @ TO_WORLD.T * UNIT
        np.testing.assert_allclose(motion.positions[:, S[segment]], wanted, atol=1e-6, err_msg=segment)
    for segment in ("Pelvis", "Head", "L_UpperArm", "R_UpperArm"):  # their rest pose is the T-pose
        wanted = np.array([TO_WORLD @ turn[JOINTS[segment]] @ TO_WORLD.T for turn in turns])
        np.testing.assert_allclose(got[:, S[segment]], wanted, atol=1e-4, err_msg=segment)


def test_positions_and_turns_equal_a_plain_loop(tmp_path):
    path = write(tmp_path)
    motion = read_asf_amc(path)
    assert motion.frame_rate == 120 and motion.positions.shape == (12, 23, 3)
    assert (motion.subject, motion.name, motion.source) == ("07", "07_02", "asf/amc")
    check_with_loop(motion, path, tmp_path / "07.asf")
    assert read_asf_amc(path, frame_rate=60).frame_rate == 60


def test_the_rest_pose_is_the_identity_and_the_forearm_turns_as_its_wrist(tmp_path):
    path = write(tmp_path, still=True)
    rest = np.abs(read_asf_amc(path).orientations[0, :, 0])
    legs = np.array([name[2:] in ("UpperLeg", "LowerLeg", "Foot", "Toe") for name in SEGMENTS])
    np.testing.assert_allclose(rest[~legs], 1, atol=1e-6)
    np.testing.assert_allclose(rest[legs], math.cos(math.radians(10)), atol=1e-3)  # legs stand 20 degrees out
    path.write_text(path.read_text().replace("lwrist 0\n", "lwrist 50\n"))
    turned = read_asf_amc(path).orientations[0]
    for segment in ("L_Forearm", "L_Hand"):
        w, x, y, z = turned[S[segment]]
        np.testing.assert_allclose([abs(w), abs(y), x, z], [math.cos(math.radians(25)), math.sin(math.radians(25)), 0, 0],
                                   atol=1e-6)  # fmt: skip
    np.testing.assert_allclose(np.abs(turned[S["L_UpperArm"], 0]), 1, atol=1e-6)


def test_degrees_and_radians_say_the_same(tmp_path):
    (tmp_path / "r").mkdir()
    wanted = read_asf_amc(write(tmp_path))
    got = read_asf_amc(write(tmp_path / "r", angle="rad", amc_angle=":RADIANS"))
    np.testing.assert_allclose(got.positions, wanted.positions, atol=1e-6)
    np.testing.assert_allclose(got.orientations, wanted.orientations, atol=1e-6)
    without = tmp_path / "r" / "07_02.amc"  # the unit of the .asf holds
    without.write_text(without.read_text().replace(":RADIANS\n", ""))
    np.testing.assert_allclose(read_asf_amc(without).positions, wanted.positions, atol=1e-6)


@pytest.mark.parametrize(
    "length, scale", [(0.45, 1), (1.0, UNIT * 100), (1.0, UNIT), (1.0, UNIT / 0.0254), (2.0, 2 * UNIT)]
)
def test_units_are_found_from_the_legs_and_the_length_of_the_file(tmp_path, length, scale):
    (tmp_path / "a").mkdir()
    wanted = read_asf_amc(write(tmp_path / "a")).positions
    path = write(tmp_path, length=length, scale=scale)
    np.testing.assert_allclose(read_asf_amc(path).positions, wanted, atol=1e-5)
    np.testing.assert_allclose(read_asf_amc(path, unit=UNIT / scale).positions, wanted, atol=1e-5)


def test_the_skeleton_is_found_by_the_subjects_name(tmp_path):
    path = write(tmp_path)
    text = (tmp_path / "07.asf").read_text()
    (tmp_path / "08.asf").write_text(text.replace("length 7.2", "length 8.2"))
    wanted = read_asf_amc(path).positions
    np.testing.assert_array_equal(read_asf_amc(path, tmp_path / "07.asf").positions, wanted)
    assert np.abs(read_asf_amc(path, tmp_path / "08.asf").positions - wanted).max() > 0.04
    other = tmp_path / "walk.amc"
    other.write_text(path.read_text())
    with pytest.raises(OSError, match=r"walk\.amc: no \.asf for it beside it \(07\.asf, 08\.asf there\)"):
        read_asf_amc(other)
    (tmp_path / "08.asf").unlink()
    np.testing.assert_array_equal(read_asf_amc(other).positions, wanted)
    (tmp_path / "07.asf").unlink()
    with pytest.raises(OSError, match=r"\(none there\); put 07\.asf there or give asf="):
        read_asf_amc(path)


def test_the_skeleton_of_an_actor_is_found_by_the_actors_part_of_the_name(tmp_path):
    """As HDM05 names its files: HDM_bd.asf beside HDM_bd_squat1Reps_012_120.amc, an .asf an actor."""
    for actor, scale in (("HDM_bd", 1.0), ("HDM_tr", 1.1)):
        amc = write(tmp_path, scale=scale)
        amc.rename(tmp_path / f"{actor}_squat1Reps_012_120.amc")
        (tmp_path / "07.asf").rename(tmp_path / f"{actor}.asf")
    legs = {}
    for actor in ("HDM_bd", "HDM_tr"):
        motion = read_asf_amc(tmp_path / f"{actor}_squat1Reps_012_120.amc")
        assert motion.subject == actor
        legs[actor] = np.linalg.norm(motion.positions[0, S["L_LowerLeg"]] - motion.positions[0, S["L_UpperLeg"]])
    assert legs["HDM_tr"] == pytest.approx(1.1 * legs["HDM_bd"])
    (tmp_path / "HDM_xx_squat1Reps_012_120.amc").write_bytes((tmp_path / "HDM_bd_squat1Reps_012_120.amc").read_bytes())
    with pytest.raises(OSError, match=r"no \.asf for it beside it \(HDM_bd\.asf, HDM_tr\.asf there\)"):
        read_asf_amc(tmp_path / "HDM_xx_squat1Reps_012_120.amc")


AMC_DAMAGE = {
    "empty": (lambda text: "", "not an AMC file"),
    "foreign": (lambda text: "HIERARCHY\nROOT Hips\n", "not an AMC file"),
    "no frames": (lambda text: text[: text.index("\n1\n")], "holds no frame"),
    "cut in half": (lambda text: text[: text.rindex("lfemur")], "frame 12 lacks lfemur.*unlike frame 1; .* cut off"),
    "cut in a line": (lambda text: text[: text.rindex("lfemur") + 12], r"\(frame 12\): 'lfemur' has \d numbers"),
    "unknown bone": (lambda text: text.replace("head ", "tail "), r"line \d+ \(frame 1\): the skeleton has no bone 'tail'"),
    "NaN": (lambda text: text.replace("ltoes ", "ltoes nan #", 1), "'ltoes' in frame 1 is no length or angle"),
    "no number": (lambda text: text.replace("ltoes ", "ltoes x #", 1), "'ltoes x' holds something that is not a number"),
    "gap": (lambda text: text.replace("\n5\n", "\n6\n"), r"\(frame 4\): frame 6 follows it; frames must run forward"),
    "backward": (lambda text: text.replace("\n5\n", "\n3\n"), r"\(frame 4\): frame 3 follows it"),
    "no root": (lambda text: "\n".join(line for line in text.split("\n") if not line.startswith("root")), "have no root"),
    "stray": (lambda text: text.replace("\n1\n", "\nhead 1 2 3\n1\n", 1), "stands before the first frame"),
}  # fmt: skip
ASF_DAMAGE = {
    "foreign": (lambda text: "<asf/>", "not an ASF file"),
    "no bones": (lambda text: text[: text.index(":bonedata")], ":bonedata is missing"),
    "no hierarchy": (lambda text: text[: text.index(":hierarchy")], ":hierarchy is missing"),
    "cut off": (lambda text: text[: text.rindex("end")], "ends without 'end'"),
    "half a tree": (lambda text: text[: text.rindex("rhumerus")] + "\nend\n", "bones that hang from nothing: .*rhand"),
    "twice": (lambda text: text.replace("name rhand", "name lhand"), "bone 'lhand' is there twice"),
    "unknown child": (lambda text: text.replace("lclavicle lhumerus", "lclavicle larm"), "'larm' of :hierarchy is no bone"),
    "order": (lambda text: text.replace("TX TY TZ RX RY RZ", "TX TY TZ RX RY"), "order of :root must be"),
    "orientation": (lambda text: text.replace("orientation 0 0 0", "orientation 0 90 0"), "orientation must be 0 0 0"),
    "angle": (lambda text: text.replace("angle deg", "angle turns"), "angle must be deg or rad, got 'turns'"),
    "length": (lambda text: text.replace(" length 0.45", " length 0"), "length must be above 0"),
    "axis": (lambda text: text.replace(" XYZ\n", " XXZ\n"), "axis must name an order such as XYZ"),
    "dof": (lambda text: text.replace("dof ry rz", "dof tx rz"), "bone 'lclavicle': dof may hold rx, ry, rz once each"),
    "limits": (lambda text: text.replace("    (-180.0 180.0)\n", "", 1), "2 limits for 3 degrees of freedom"),
    "direction": (lambda text: text.replace("direction 0 1 0", "direction 0 0 0", 1), "is no bone"),
    "numbers": (lambda text: text.replace("length 7.2", "length nan"), "must be 1 finite numbers"),
    "no arm": (lambda text: text.replace("lhumerus", "lstick"), r"no joint found for L_UpperArm"),
    "giant": (lambda text: text.replace("length 7.", "length 7000."), "fits no person"),
}  # fmt: skip


@pytest.mark.parametrize("kind", AMC_DAMAGE)
def test_damaged_motions_are_refused_by_name(tmp_path, kind):
    change, message = AMC_DAMAGE[kind]
    path = write(tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=message) as caught:
        read_asf_amc(path)
    assert "07_02.amc" in str(caught.value)


@pytest.mark.parametrize("kind", ASF_DAMAGE)
def test_damaged_skeletons_are_refused_by_name(tmp_path, kind):
    change, message = ASF_DAMAGE[kind]
    path, asf = write(tmp_path), tmp_path / "07.asf"
    asf.write_text(change(asf.read_text()))
    if kind == "no arm":
        path.write_text(path.read_text().replace("lhumerus", "lstick"))
    with pytest.raises(ValueError, match=message) as caught:
        read_asf_amc(path)
    assert "07" in str(caught.value)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(OSError, match=r"none\.amc: no such file"):
        read_asf_amc(tmp_path / "none.amc")
    with pytest.raises(OSError, match=r"none\.asf: no such file"):
        read_asf_amc(write(tmp_path), tmp_path / "none.asf")


# ---- real clips ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def subjects():
    return Path(os.environ["ANYMO_MOTION"]) / "cmu_asf_amc/data/CMU/asfamc/subjects"


@pytest.mark.mocap
class TestRealClips:
    def test_kinematics_equal_a_plain_loop(self, subjects):
        path = subjects / "02" / "02_03.amc"
        check_with_loop(read_asf_amc(path), path, subjects / "02" / "02.asf")

    @pytest.mark.parametrize("clip", ["01/01_08", "02/02_01", "02/02_09", "03/03_02"])
    def test_bodies_have_human_size_and_standing_feet_stand_still(self, subjects, clip):
        motion = read_asf_amc(subjects / f"{clip}.amc")
        length = lambda a, b: np.linalg.norm(motion.positions[:, S[a]] - motion.positions[:, S[b]], axis=-1)  # noqa: E731
        for side in "LR":
            for upper, lower, far, low, high in (("UpperLeg", "LowerLeg", "Foot", 0.7, 1.0),
                                                 ("UpperArm", "Forearm", "Hand", 0.45, 0.7)):  # fmt: skip
                whole = length(f"{side}_{upper}", f"{side}_{lower}") + length(f"{side}_{lower}", f"{side}_{far}")
                assert np.ptp(whole) < 1e-6 and low < whole[0] < high, (clip, upper)
            speed = 120 * np.linalg.norm(np.gradient(motion.positions[:, S[f"{side}_Toe"]], axis=0), axis=-1)
            # three times that in clips that turn, were the root's angles read in another order
            assert np.quantile(speed, 0.1) < 0.12, clip
        assert np.median(rotation_matrices(motion.orientations)[:, S["Pelvis"], 2, 2]) > 0.9

    def test_the_bvh_conversion_of_the_same_clip_has_the_same_joints(self, subjects):
        """cmu_bvh's train_walking_1 is 02_01. Its chest bone has no length and its root's angles went into the file in
        another order than the .amc means them, so limbs are compared as the pelvis sees them."""
        motion = read_asf_amc(subjects / "02" / "02_01.amc")
        other = read_bvh(Path(os.environ["ANYMO_MOTION"]) / "cmu_bvh" / "train_walking_1.bvh")
        assert len(motion.positions) == len(other.positions)
        np.testing.assert_allclose(motion.positions[:, 0], other.positions[:, 0], atol=1e-5)

        def seen(body):
            turns = rotation_matrices(body.orientations)
            pelvis = np.swapaxes(turns[:, :1], -1, -2)
            return (pelvis @ (body.positions - body.positions[:, :1])[..., None])[..., 0], pelvis @ turns

        (places, turns), (other_places, other_turns) = seen(motion), seen(other)
        legs = [S[f"{side}_{bone}"] for side in "LR" for bone in ("UpperLeg", "LowerLeg", "Foot", "Toe")]
        np.testing.assert_allclose(places[:, legs], other_places[:, legs], atol=2e-4)

        def angle(a, b):
            return np.degrees(
                Rotation.from_matrix(np.swapaxes(turns[:, S[a]], -1, -2) @ other_turns[:, S[b]]).magnitude()
            )

        limbs = ("Shoulder", "UpperArm", "UpperLeg", "LowerLeg", "Foot", "Toe")
        for segment in ("T8", "Neck", "Head", *(f"{side}_{bone}" for side in "LR" for bone in limbs)):
            assert angle(segment, segment).max() < 0.1, segment
        for side in "LR":  # what the conversion calls hand is the wrist bone
            assert angle(f"{side}_Forearm", f"{side}_Hand").max() < 0.1
