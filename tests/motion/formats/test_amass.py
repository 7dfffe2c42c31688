"""SMPL motion: joint angles against a plain loop, mean skeleton and body model, time stamps; bad files are refused."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from anymo_hf.modeling.body_segments import SEGMENT_INDEX
from anymo_hf.motion.formats.amass import read_amass
from anymo_hf.motion.formats.smpl import SMPL_JOINTS, SMPL_PARENTS, read_smpl
from anymo_hf.motion.read_motion import inspect_motion, motion_files, read_motion
from anymo_hf.motion.skeleton import tpose_offsets, tpose_positions
from anymo_hf.simulation.kinematics import rotation_matrices

S = SEGMENT_INDEX
BODY = np.eye(3)[[1, 2, 0]]  # x forward, y left, z up -> SMPL's x left, y up, z forward
TO_Z_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0.0]])  # NymeriaPlus's rule for a y-up world
# segment -> the SMPL joint that turns it
TURNS = {"Pelvis": "Pelvis", "T8": "Spine3", "Neck": "Neck", "Head": "Head"} | {
    f"{side}_{segment}": f"{side}_{joint}"
    for side in "LR"
    for segment, joint in (("Shoulder", "Collar"), ("UpperArm", "Shoulder"), ("Forearm", "Elbow"), ("Hand", "Wrist"),
                           ("UpperLeg", "Hip"), ("LowerLeg", "Knee"), ("Foot", "Ankle"), ("Toe", "Foot"))
}  # fmt: skip


def angles(frames=15, size=72, seed=0):
    """Smooth random poses of a standing person, y-up world turned to z-up by the root as in AMASS."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 3, frames)[:, None]
    poses = 0.4 * rng.normal(0, 1, (1, size)) * np.sin(time + rng.uniform(0, 6, (1, size)))
    poses[:, :3] = (
        Rotation.from_euler("z", 0.5) * Rotation.from_euler("x", 90, degrees=True)
    ).as_rotvec() + 0.1 * poses[:, :3]
    return poses, np.stack([time[:, 0], 0 * time[:, 0] + 0.2, 0.9 + 0.01 * time[:, 0]], 1)


def write(path, drop=(), **changes):
    poses, trans = angles()
    content = {"poses": poses, "trans": trans, "mocap_framerate": 120.0, "betas": np.zeros(16), "gender": "female"}
    content |= changes
    np.savez(path, **{key: value for key, value in content.items() if key not in drop})
    return path


def write_smpl(path, drop=(), **changes):
    poses, trans = angles()
    content = {"global_orient": poses[:, :3], "body_pose": poses[:, 3:], "transl": trans, "betas": np.zeros((15, 10)),
               "timestamps": 1_000_000_000 + np.rint(np.arange(15) * 1e6 / 60).astype(np.int64)} | changes  # fmt: skip
    np.savez(path, **{key: value for key, value in content.items() if key not in drop})
    return path


def loop_turns(poses):
    """World rotations of the joints, `(T, 22, 3, 3)`, one product at a time."""
    turns = np.empty((len(poses), 22, 3, 3))
    for frame, pose in enumerate(poses):
        for joint, parent in enumerate(SMPL_PARENTS):
            local = Rotation.from_rotvec(pose[3 * joint : 3 * joint + 3]).as_matrix()
            turns[frame, joint] = local if parent < 0 else turns[frame, parent] @ local
    return turns


@pytest.mark.parametrize("size, key", [(72, "mocap_framerate"), (156, "mocap_framerate"), (165, "mocap_frame_rate")])
def test_segments_turn_as_their_joints_and_keep_the_mean_skeleton(tmp_path, size, key):
    poses, trans = angles(size=size)
    (tmp_path / "Ann").mkdir()
    dropped = () if key == "mocap_framerate" else ("mocap_framerate",)
    path = write(tmp_path / "Ann" / "walk_poses.npz", poses=poses, drop=dropped, **{key: 100.0})
    motion = read_amass(path, height=1.8)
    assert (motion.frame_rate, motion.subject, motion.name, motion.source) == (100, "Ann", "walk_poses", "amass")
    np.testing.assert_allclose(motion.positions[:, 0], trans, atol=1e-9)
    joints, turns = loop_turns(poses), rotation_matrices(motion.orientations)
    for segment, joint in TURNS.items():
        wanted = joints[:, SMPL_JOINTS.index(joint)] @ BODY
        np.testing.assert_allclose(turns[:, S[segment]], wanted, atol=1e-7, err_msg=segment)
    offsets = tpose_offsets(1.8)
    for side in "LR":
        for near, far in (("UpperArm", "Forearm"), ("Forearm", "Hand"), ("UpperLeg", "LowerLeg"), ("LowerLeg", "Foot"),
                          ("Foot", "Toe"), ("Shoulder", "UpperArm")):  # fmt: skip
            a, b = S[f"{side}_{near}"], S[f"{side}_{far}"]
            wanted = motion.positions[:, a] + turns[:, a] @ offsets[b]
            np.testing.assert_allclose(motion.positions[:, b], wanted, atol=1e-7, err_msg=f"{side}_{near}")


def test_the_rest_pose_is_the_t_pose(tmp_path):
    poses = np.zeros((4, 156))
    poses[:, 0] = np.pi / 2  # z up, facing -y
    motion = read_amass(write(tmp_path / "a.npz", poses=poses, trans=np.zeros((4, 3))), height=1.7)
    heading = Rotation.from_euler("z", -90, degrees=True)
    wanted = tpose_positions(1.7)
    spine = [S[name] for name in ("L5", "L3", "T12", "T8")]  # spread along the line of SMPL's own joints
    rest = np.setdiff1d(np.arange(23), spine)
    np.testing.assert_allclose(motion.positions[0, rest], heading.apply(wanted - wanted[0])[rest], atol=1e-9)
    np.testing.assert_allclose(motion.positions[0, spine], heading.apply(wanted - wanted[0])[spine], atol=0.02)
    same = heading.inv() * Rotation.from_quat(motion.orientations[0], scalar_first=True)
    np.testing.assert_allclose(same.magnitude(), 0, atol=1e-7)


def test_a_body_model_gives_its_own_joints(tmp_path):
    """A made-up model whose vertices are joints; one shape direction lengthens the legs."""
    rng = np.random.default_rng(2)
    joints = np.zeros((24, 3))
    for index, (name, parent) in enumerate(zip(SMPL_JOINTS, SMPL_PARENTS, strict=True)):
        sign = {"L_": 1, "R_": -1}.get(name[:2], 0)
        step = {
            "Hip": (0.09, -0.08, 0),
            "Knee": (0, -0.4, 0),
            "Ankle": (0, -0.41, 0),
            "Foot": (0, -0.05, 0.13),
            "Collar": (0.04, 0.1, 0),
            "Shoulder": (0.13, 0.02, 0),
            "Elbow": (0.26, 0, 0),
            "Wrist": (0.25, 0, 0),
        }
        step = step.get(name[2:] if sign else "", (0, 0.12, 0))
        joints[index] = (joints[parent] if parent >= 0 else [0, -0.2, 0.03]) + np.array(step) * [sign or 1, 1, 1]
    regressor = np.zeros((24, 40))
    regressor[:, :24] = np.eye(24)
    template = np.concatenate([joints, rng.normal(size=(16, 3))])
    shapes = np.zeros((40, 3, 10))
    for name in ("Knee", "Ankle", "Foot"):
        shapes[[SMPL_JOINTS.index(f"{side}_{name}") for side in "LR"], 1, 0] = -0.1 if name == "Knee" else -0.2
    model = tmp_path / "model.npz"
    np.savez(model, J_regressor=regressor, v_template=template, shapedirs=shapes)
    betas = np.zeros(16)
    betas[0] = 0.5
    path = write(tmp_path / "a.npz", betas=betas)
    motion = read_amass(path, body_model=model)
    poses, trans = angles()
    turns = loop_turns(poses)
    shaped = joints + 0.5 * shapes[:24, :, 0]
    placed = np.zeros((15, 22, 3))
    for joint, parent in enumerate(SMPL_PARENTS):
        offset = shaped[joint] - (shaped[parent] if parent >= 0 else 0)
        placed[:, joint] = (placed[:, parent] + turns[:, parent] @ offset) if parent >= 0 else trans + offset
    for segment, joint in TURNS.items():
        if segment != "T8":
            wanted = placed[:, SMPL_JOINTS.index(joint)]
            np.testing.assert_allclose(motion.positions[:, S[segment]], wanted, atol=1e-9, err_msg=segment)
    with pytest.raises(ValueError, match=r"model\.pkl: the body model must be the \.npz one"):
        read_amass(path, body_model=tmp_path / "model.pkl")
    np.savez(model, J_regressor=regressor[:, :30], v_template=template, shapedirs=shapes)
    with pytest.raises(ValueError, match=r"J_regressor must be \(22 or more, 40\), got \(24, 30\)"):
        read_amass(path, body_model=model)


def test_nymerias_smpl_is_y_up_and_says_the_same(tmp_path):
    motion = read_smpl(write_smpl(tmp_path / "a.npz"), up="z")
    same = read_amass(write(tmp_path / "b.npz"))
    np.testing.assert_array_equal(motion.positions, same.positions)
    poses, trans = angles()
    turned = (Rotation.from_matrix(TO_Z_UP.T) * Rotation.from_rotvec(poses[:, :3])).as_rotvec()
    motion = read_smpl(write_smpl(tmp_path / "c.npz", global_orient=turned, transl=trans @ TO_Z_UP))
    assert (motion.frame_rate, motion.source) == (60, "smpl")
    np.testing.assert_allclose(motion.positions, same.positions, atol=1e-9)
    np.testing.assert_allclose(np.abs(np.sum(motion.orientations * same.orientations, -1)), 1, atol=1e-9)
    with pytest.raises(ValueError, match="up must be 'y' or 'z', got 'x'"):
        read_smpl(tmp_path / "c.npz", up="x")


def test_time_stamps_give_the_rate_and_gaps_are_refused(tmp_path):
    good = 5_000_000 + np.rint(np.arange(15) * 1e6 / 30).astype(np.int64)
    assert read_smpl(write_smpl(tmp_path / "a.npz", timestamps=good)).frame_rate == 30
    shaken = good + np.random.default_rng(0).integers(-900, 900, 15)
    assert abs(read_smpl(write_smpl(tmp_path / "b.npz", timestamps=shaken)).frame_rate - 30) < 0.2
    for change, message in ((0, "are 0 µs apart"), (-40_000, "are -40000 µs apart"), (90_000, "are 90000 µs apart")):
        stamps = good.copy()
        stamps[7:] += change - (good[7] - good[6])
        path = write_smpl(tmp_path / "c.npz", timestamps=stamps)
        with pytest.raises(ValueError, match=rf"timestamps 6 and 7 {message}"):
            read_smpl(path)
        assert read_smpl(path, frame_rate=30).frame_rate == 30
    with pytest.raises(ValueError, match="must be in microseconds"):
        read_smpl(write_smpl(tmp_path / "d.npz", timestamps=np.arange(15) / 30))


AMASS_DAMAGE = {
    "no poses": ({"drop": ("poses",)}, "poses is missing; an AMASS file holds poses .or root_orient and pose_body., trans"),
    "no trans": ({"drop": ("trans",)}, "trans is missing"),
    "no rate": ({"drop": ("mocap_framerate",)}, "does not say its frame rate .mocap_framerate, .*give frame_rate="),
    "poses shape": ({"poses": np.zeros((15, 70))}, r"poses must be \(T, 72 or 156 or 165\), got \(15, 70\)"),
    "trans shape": ({"trans": np.zeros((14, 3))}, r"trans must be \(15, 3\), got \(14, 3\)"),
    "rate": ({"mocap_framerate": 0.0}, "mocap_framerate must be frames per second"),
    "rates": ({"mocap_framerate": np.ones(3)}, "mocap_framerate must be frames per second"),
    "NaN": ({"trans": np.full((15, 3), np.nan)}, "trans holds NaN or infinity"),
    "degrees": ({"poses": np.full((15, 72), 45.0)}, "axis-angle vectors in radians"),
    "words": ({"poses": np.full((15, 72), "x")}, "poses cannot be read as numbers"),
    "pickle": ({"poses": np.array([{"a": 1}], object)}, "poses cannot be read as numbers"),
    "empty": ({"poses": np.zeros((0, 72)), "trans": np.zeros((0, 3))}, "holds no frame"),
}  # fmt: skip
SMPL_DAMAGE = {
    "no body": ({"drop": ("body_pose",)}, "body_pose is missing; an SMPL file holds"),
    "body shape": ({"body_pose": np.zeros((15, 66))}, r"body_pose must be \(T, 69\) or \(T, 63\)"),
    "root shape": ({"global_orient": np.zeros((15, 4))}, r"global_orient must be \(15, 3\), got \(15, 4\)"),
    "stamps": ({"timestamps": np.arange(3)}, r"timestamps must be \(15,\), got \(3,\)"),
}


@pytest.mark.parametrize(
    "put, read, changes, message",
    [(write, read_amass, *fault) for fault in AMASS_DAMAGE.values()]
    + [(write_smpl, read_smpl, *fault) for fault in SMPL_DAMAGE.values()],
    ids=[*AMASS_DAMAGE, *SMPL_DAMAGE],
)
def test_damaged_files_are_refused_by_name(tmp_path, put, read, changes, message):
    path = put(tmp_path / "walk.npz", **changes)
    with pytest.raises(ValueError, match=message) as caught:
        read(path)
    assert "walk.npz" in str(caught.value)


def test_files_that_are_no_npz_are_refused(tmp_path):
    path = write(tmp_path / "a.npz")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="not a whole npz file"):
        read_amass(path)
    path.write_text("time,x\n")
    with pytest.raises(ValueError, match="not a whole npz file"):
        read_amass(path)
    with pytest.raises(OSError, match=r"none\.npz: no such file"):
        read_amass(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="height must lie between"):
        read_amass(write(tmp_path / "b.npz"), height=5)


def standing(up="z", lying=False, frames=20):
    """Quiet poses and places of somebody on the floor, which is at zero of the up axis."""
    upright = Rotation.from_euler("x", 90, degrees=True) if up == "z" else Rotation.identity()
    turn = Rotation.identity() if lying else upright  # SMPL's own axes lie on the back in a z-up world
    poses = np.zeros((frames, 156))
    poses[:, :3] = turn.as_rotvec()
    trans = np.zeros((frames, 3))
    trans[:, "xyz".index(up)] = 0.15 if lying else 0.95
    trans[:, 0] = np.linspace(0, 1, frames)
    return poses, trans


@pytest.mark.parametrize("up", ["y", "z"])
def test_the_up_axis_is_that_along_which_the_body_stands(tmp_path, up):
    poses, trans = standing(up=up)
    amass = write(tmp_path / "a.npz", poses=poses, trans=trans)
    smpl = write_smpl(
        tmp_path / "s.npz", global_orient=poses[:, :3], body_pose=poses[:, 3:72], transl=trans,
        timestamps=np.arange(20) * 16_667,
    )  # fmt: skip
    for path, usual in ((amass, "z"), (smpl, "y")):
        report = inspect_motion(path)
        assert report.up == up and bool(report.notes) == (up != usual)
        np.testing.assert_allclose(report.motion.positions[:, S["Pelvis"], 2], 0.95, atol=1e-9)
        assert (report.motion.positions[:, S["Head"], 2] > 1.4).all()
        # what the user says goes before
        assert inspect_motion(path, up="y" if up == "z" else "z").up != up
    assert any("give up= (--up)" in note for path in (amass, smpl) for note in inspect_motion(path).notes)


def test_somebody_who_lies_on_the_floor_does_not_turn_the_axes(tmp_path):
    poses, trans = standing(up="z", lying=True)
    trans[:, 1] += 3.0  # the head points along y, somewhere in the room
    report = inspect_motion(write(tmp_path / "a.npz", poses=poses, trans=trans))
    assert report.up == "z" and not report.notes and np.ptp(report.motion.positions[..., 2]) < 0.5


def test_split_keys_say_the_same_as_poses(tmp_path):
    poses, trans = angles(size=156)
    whole = read_amass(write(tmp_path / "a.npz", poses=poses, trans=trans))
    split = write(
        tmp_path / "b.npz", drop=("poses", "mocap_framerate"), root_orient=poses[:, :3], pose_body=poses[:, 3:66],
        trans=trans, mocap_frame_rate=120.0,
    )  # fmt: skip
    assert motion_files(tmp_path) == [tmp_path / "a.npz", split]
    np.testing.assert_array_equal(read_motion(split).positions, whole.positions)
    np.testing.assert_array_equal(read_motion(split).orientations, whole.orientations)
    with pytest.raises(ValueError, match=r"pose_body must be \(T, 63\) or \(T, 69\), got \(15, 60\)"):
        read_amass(write(tmp_path / "c.npz", drop=("poses",), root_orient=poses[:, :3], pose_body=poses[:, 3:63]))


def test_a_rate_can_be_given_where_a_file_has_none(tmp_path):
    path = write(tmp_path / "a.npz", drop=("mocap_framerate",))
    assert read_amass(path, frame_rate=29.97).frame_rate == 29.97
    assert read_amass(write(tmp_path / "b.npz"), frame_rate=60).frame_rate == 60
    smpl = write_smpl(tmp_path / "s.npz", drop=("timestamps",), fps=25.0)
    assert read_smpl(smpl).frame_rate == 25 and read_smpl(smpl, frame_rate=50).frame_rate == 50
    with pytest.raises(ValueError, match=r"a\.npz: frame_rate must be frames per second, from 1 to 1000, got -1"):
        read_amass(path, frame_rate=-1)
