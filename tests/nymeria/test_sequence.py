"""Sequence folders in Nymeria's own layout: repairs counted by hand, axes, meshes in both worlds, bad and missing parts."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support import nymeria_recordings as files

from anymo_hf.modeling.body_segments import SEGMENT_INDEX
from anymo_hf.motion.formats.nymeria_sequence import read_xdata
from anymo_hf.motion.skeleton import tpose_positions
from anymo_hf.nymeria.narration import NymeriaTimeMap
from anymo_hf.nymeria.sequence import read_metadata, read_nymeria, sequence_folders
from anymo_hf.nymeria.sequence_check import check_nymeria


@pytest.fixture(scope="module")
def walk():
    return files.body_motion()


@pytest.fixture
def write(tmp_path, walk):
    def write(**changes):
        np.savez(tmp_path / "xdata.npz", **files.xdata(*walk, **changes))
        return tmp_path / "xdata.npz"

    return write


def times(count):
    return files.START_US + np.rint(np.arange(count) * 1e6 / 240).astype(np.int64)


def same_turn(a, b, tolerance=1e-3):
    turns = Rotation.from_quat(a.reshape(-1, 4), scalar_first=True)
    others = Rotation.from_quat(b.reshape(-1, 4), scalar_first=True)
    return (turns.inv() * others).magnitude().max() < tolerance


# -- xdata.npz -----------------------------------------------------------------------------------------------------------


def test_reads_a_sound_file_as_it_is(write, walk):
    motion, repairs = read_xdata(write())
    assert motion.frame_rate == 240
    np.testing.assert_allclose(motion.positions, walk[0], atol=1e-5)
    assert same_turn(motion.orientations, walk[1])
    np.testing.assert_array_equal(repairs.timestamps_us, times(len(walk[0])))
    assert (repairs.time_steps, repairs.drift_us, repairs.quaternions, repairs.turned_segments) == (0, 0, 0, 0)


def test_counts_and_mends_time_stamps(write, walk):
    damaged = times(len(walk[0]))
    damaged[100] = damaged[99]  # stands still, then a double step
    damaged[200] -= 6000  # runs backward, then a long step
    motion, repairs = read_xdata(write(timestamps_us=damaged))
    assert (repairs.time_steps, repairs.backward_steps) == (4, 2)
    assert abs(repairs.drift_us) <= 4
    steps = np.diff(repairs.timestamps_us)
    assert ((steps >= 4166) & (steps <= 4167)).all()
    assert len(motion.positions) == len(walk[0])


def test_refuses_drift_unless_told(write, walk):
    damaged = times(len(walk[0]))
    damaged[300:] += 60_000
    with pytest.raises(
        ValueError, match=r"timestamps_us drift by -60\.0 ms.*64\.2 ms, follows frame 299.*strict=False"
    ):
        read_xdata(write(timestamps_us=damaged))
    _, repairs = read_xdata(write(timestamps_us=damaged), strict=False)
    assert repairs.time_steps == 1
    assert abs(repairs.drift_us + 60_000) <= 2


def test_counts_and_mends_quaternions(write, walk):
    broken = walk[1].copy()
    broken[0, 3] = 0
    broken[50:52, 9] *= 0.05
    broken[70, 9] *= 0.4  # only mended because others are below 0.1
    motion, repairs = read_xdata(write(segment_qWXYZ=broken.reshape(len(broken), 92)))
    assert (repairs.quaternions, repairs.quaternion_frames) == (4, 4)
    assert same_turn(motion.orientations[50, 9], walk[1][49, 9])
    assert same_turn(motion.orientations[51, 9], walk[1][49, 9])
    assert same_turn(motion.orientations[70, 9], walk[1][69, 9])
    np.testing.assert_allclose(motion.orientations[0, 3], [1, 0, 0, 0])
    assert same_turn(motion.orientations[53:60], walk[1][53:60])


def test_quaternions_of_norm_between_are_refused(write, walk):
    broken = walk[1].copy()
    broken[70, 9] *= 0.4
    with pytest.raises(ValueError, match="segment_qWXYZ holds quaternions of norm below 0.5"):
        read_xdata(write(segment_qWXYZ=broken.reshape(len(broken), 92)))


@pytest.mark.parametrize("key", ["timestamps_us", "frameRate", "frameCount", "segment_tXYZ", "segment_qWXYZ"])
def test_names_the_missing_key(write, key):
    with pytest.raises(ValueError, match=rf"xdata\.npz: lacks {key}"):
        read_xdata(write(**{key: None}))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("segment_tXYZ", np.zeros((600, 68)), r"segment_tXYZ must be \(600, 69\)"),
        ("segment_qWXYZ", np.zeros((599, 92)), r"segment_qWXYZ must be \(600, 92\)"),
        ("segment_tXYZ", np.full((600, 69), np.nan), "segment_tXYZ holds values that are not finite, first in frame 0"),
        ("segment_tXYZ", np.full((600, 69), "x"), "segment_tXYZ must hold numbers"),
        ("segment_tXYZ", np.full((600, 69), None), "segment_tXYZ cannot be read as numbers"),
        ("frameCount", np.array([599]), "frameCount is 599, but timestamps_us holds 600"),
        ("frameRate", np.array([0]), "frameRate is 0"),
        ("frameRate", np.array([120]), "rise by 4167 from frame to frame, but frameRate 120"),
        ("segmentCount", np.array([22]), "segmentCount is 22"),
        ("timestamps_us", np.arange(600) * 4, "correct the unit"),
        ("timestamps_us", np.zeros(0), "timestamps_us must hold numbers"),
        ("identity_segment_tXYZ", np.zeros(68), "identity_segment_tXYZ"),
    ],
)
def test_refuses_misshaped_arrays(write, key, value, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_xdata(write(**{key: value}))
    assert "xdata.npz" in str(caught.value)


def test_refuses_cut_files(write, tmp_path):
    whole = write().read_bytes()
    for size in (0, 10, 5000, len(whole) // 2, len(whole) - 30):
        (tmp_path / "cut.npz").write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"cut\.npz"):
            read_xdata(tmp_path / "cut.npz")
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF  # inside one array: its checksum no longer fits
    (tmp_path / "cut.npz").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"cut\.npz"):
        read_xdata(tmp_path / "cut.npz")
    with pytest.raises(OSError, match=r"none\.npz"):
        read_xdata(tmp_path / "none.npz")


# -- axes ----------------------------------------------------------------------------------------------------------------


def in_other_axes(quaternions):
    """The walk in axes whose arms are the identity when they hang, and those axes' orientation in the T-pose."""
    reference = Rotation.from_quat(np.tile([1.0, 0, 0, 0], (23, 1)), scalar_first=True).as_matrix()
    for side, angle in (("R", -90), ("L", 90)):
        for bone in ("UpperArm", "Forearm", "Hand"):
            turn = Rotation.from_euler("X", angle, degrees=True)
            if bone != "UpperArm":
                turn = turn * Rotation.from_euler("Z", -angle, degrees=True)
            reference[SEGMENT_INDEX[f"{side}_{bone}"]] = turn.as_matrix()
    turned = (
        Rotation.from_quat(quaternions.reshape(-1, 4), scalar_first=True).as_matrix().reshape(-1, 23, 3, 3) @ reference
    )
    turned = Rotation.from_matrix(turned.reshape(-1, 3, 3)).as_quat(scalar_first=True).reshape(-1, 92)
    return turned, Rotation.from_matrix(reference)


def test_turns_axes_that_are_the_identity_with_hanging_arms(write, walk):
    turned, reference = in_other_axes(walk[1])
    # a calibrated T-pose is off by some degrees
    sloppy = reference * Rotation.from_rotvec(np.random.default_rng(0).normal(0, 0.05, (23, 3)))
    hanging = tpose_positions(1.75)
    for side, sign in (("R", -1), ("L", 1)):
        for bone, drop in (("Forearm", 0.3), ("Hand", 0.55)):
            hanging[SEGMENT_INDEX[f"{side}_{bone}"]] = hanging[SEGMENT_INDEX[f"{side}_UpperArm"]] + [
                0,
                0.01 * sign,
                -drop,
            ]
    motion, repairs = read_xdata(
        write(
            segment_qWXYZ=turned, identity_segment_tXYZ=hanging.ravel(),
            tpose_segment_tXYZ=tpose_positions(1.75).ravel(), tpose_segment_qWXYZ=sloppy.as_quat(scalar_first=True).ravel(),
        )
    )  # fmt: skip
    assert repairs.turned_segments == 6
    assert same_turn(motion.orientations, walk[1])


def test_refuses_axes_that_it_cannot_turn(write, walk):
    turned, _ = in_other_axes(walk[1])
    with pytest.raises(ValueError, match="segment_qWXYZ of R_UpperArm is .* degrees off the line to R_Forearm"):
        read_xdata(write(segment_qWXYZ=turned, identity_segment_tXYZ=None))


@pytest.mark.realdata
def test_real_xsens_recording(tmp_path):
    path = Path(os.environ["ANYMO_DATA"]) / "xsens_pair" / "kicking-003.mvnx"
    if not path.is_file():
        pytest.skip("ANYMO_DATA holds no xsens_pair/kicking-003.mvnx")
    text = path.read_text()
    numbers = {
        tag: [np.array(body.split(), float) for body in re.findall(rf"<{tag}>([^<]*)</{tag}>", text)]
        for tag in ("position", "orientation")
    }
    frames = len(numbers["position"]) - 2
    arrays = files.xdata(np.stack(numbers["position"][2:]), np.stack(numbers["orientation"][2:]))
    for key, tag in (("tXYZ", "position"), ("qWXYZ", "orientation")):
        arrays[f"identity_segment_{key}"], arrays[f"tpose_segment_{key}"] = numbers[tag][:2]
    np.savez(tmp_path / "xdata.npz", **arrays)
    motion, repairs = read_xdata(tmp_path / "xdata.npz")
    assert (len(motion.positions), repairs.turned_segments) == (frames, 6)
    # the elbow is where the upper arm's axis says, in every frame
    elbow, shoulder = (motion.positions[:, SEGMENT_INDEX[name]] for name in ("L_Forearm", "L_UpperArm"))
    length = np.linalg.norm(elbow - shoulder, axis=1).mean()
    turn = Rotation.from_quat(motion.orientations[:, SEGMENT_INDEX["L_UpperArm"]], scalar_first=True)
    np.testing.assert_allclose(shoulder + turn.apply([0, length, 0]), elbow, atol=0.002)
    # a sequence that has only the export gives the same motion
    folder = tmp_path / files.NAME
    (folder / "body").mkdir(parents=True)
    (folder / "body" / "xdata.mvnx").write_text(text)
    exported = read_nymeria(folder).motion
    np.testing.assert_allclose(exported.positions, motion.positions, atol=1e-4)
    assert same_turn(exported.orientations, motion.orientations)
    assert exported.subject == "james_johnson"


# -- sequences -----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*aligned by their first row")
def test_reads_a_whole_sequence(tmp_path):
    folder, positions, quaternions = files.write_sequence(tmp_path)
    sequence = read_nymeria(folder, name_seed=1)
    motion = sequence.motion
    assert (motion.subject, motion.name, motion.source) == ("james_johnson", files.NAME, "nymeria")
    assert (sequence.metadata.height_cm, sequence.metadata.script) == (175.0, "S5-Workout")
    assert [round(n.start, 3) for n in motion.narrations] == [0.215, 1.5]
    assert motion.narrations[1].end == pytest.approx(motion.duration)
    assert not any(re.search(r"\bC\b(?!$)", n.text.replace("vitamin-C", "")) for n in motion.narrations)
    assert sequence.time_map.source == "first_row"
    assert (sequence.narration_counts.read, sequence.narration_counts.empty, sequence.narration_counts.clipped) == (
        2,
        1,
        1,
    )
    # every vertex rides on its segment
    turn = Rotation.from_quat(quaternions.reshape(-1, 4), scalar_first=True).as_matrix().reshape(-1, 23, 3, 3)
    np.testing.assert_allclose(motion.mesh.vertices(slice(None)), positions + turn @ [0.05, 0, 0], atol=1e-4)
    np.testing.assert_array_equal(motion.mesh.joint_segments, np.arange(23))
    assert "VRS of head" in sequence.missing


def test_mhr_is_laid_on_the_skeleton(tmp_path):
    folder, positions, quaternions = files.write_sequence(tmp_path, mesh=None, narrations=False)
    frames = np.arange(len(positions))
    turn = Rotation.from_rotvec(np.stack([0 * frames, 0 * frames, 1 + 1e-4 * frames], axis=1)).as_matrix()
    shift = np.stack([3 + 1e-4 * frames, -2 + 0 * frames, 0.1 + 0 * frames], axis=1)
    glb = folder / "body" / "xdata_mhr.glb"
    glb.write_bytes(files.body_glb(positions, quaternions, files.MHR, move=(turn, shift)))
    mesh = read_nymeria(folder).motion.mesh
    own = Rotation.from_quat(quaternions.reshape(-1, 4), scalar_first=True).as_matrix().reshape(-1, 23, 3, 3)
    np.testing.assert_allclose(mesh.vertices(slice(None)), positions + own @ [0.05, 0, 0], atol=1e-4)


def test_mesh_must_fit(tmp_path):
    folder, positions, quaternions = files.write_sequence(tmp_path, narrations=False)
    glb = folder / "body" / "xdata_blueman.glb"
    glb.write_bytes(files.body_glb(positions[:-1], quaternions[:-1], files.BLUEMAN))
    with pytest.raises(ValueError, match="holds 599 frames at 240 Hz, the skeleton 600 at 240 Hz"):
        read_nymeria(folder)
    assert read_nymeria(folder, mesh=False).motion.mesh is None
    glb.write_bytes(files.body_glb(positions, quaternions, files.BLUEMAN, fps=120))
    with pytest.raises(ValueError, match="600 frames at 120 Hz"):
        read_nymeria(folder)
    still = (np.tile(np.eye(3), (600, 1, 1)), np.tile([2.0, 0, 0], (600, 1)))
    glb.write_bytes(files.body_glb(positions, quaternions, files.BLUEMAN, move=still))
    with pytest.raises(ValueError, match=r"2\.00 m from the skeleton"):
        read_nymeria(folder)


def test_skeleton_alone_is_enough(tmp_path):
    folder, *_ = files.write_sequence(tmp_path, mesh=None, narrations=False)
    (folder / "metadata.json").unlink()
    sequence = read_nymeria(folder)
    assert sequence.motion.mesh is None
    assert sequence.motion.narrations == []
    assert sequence.metadata.height_cm is None
    assert "metadata.json" in sequence.missing
    (folder / "body" / "xdata.npz").unlink()
    with pytest.raises(OSError, match="so is xdata.mvnx"):
        read_nymeria(folder)


def test_given_time_map_wins(tmp_path):
    folder, *_ = files.write_sequence(tmp_path, mesh=None)
    late = NymeriaTimeMap(files.NAME, files.OFFSET_NS + 100_000_000, 0.0, "mine")
    sequence = read_nymeria(folder, time_map=late)
    assert sequence.motion.narrations[0].start == pytest.approx(0.315)
    late.save(folder / "narration" / "time_map.json")
    assert read_nymeria(folder).motion.narrations[0].start == pytest.approx(0.315)


@pytest.mark.parametrize(
    ("record", "message"),
    [("[]", "one object"), ("{", "not JSON"), ('{"participant_height_cm": "tall"}', "'tall'"),
     ('{"participant_height_cm": 17.5}', "between 50 and 260")],
)  # fmt: skip
def test_refuses_damaged_metadata(tmp_path, record, message):
    folder = tmp_path / files.NAME
    folder.mkdir()
    (folder / "metadata.json").write_text(record)
    with pytest.raises(ValueError, match=message):
        read_metadata(folder)


def test_subject_of_a_renamed_folder(tmp_path):
    with pytest.raises(ValueError, match="cannot tell who moves"):
        read_metadata(tmp_path)
    (tmp_path / "metadata.json").write_text(json.dumps({"fake_name": "ann_lee", "participant_height_cm": ""}))
    assert read_metadata(tmp_path).subject == "ann_lee"
    assert read_metadata(tmp_path / "20230608_s1_mary_ann_lee_act3_abc123").subject == "mary_ann_lee"


# -- check ---------------------------------------------------------------------------------------------------------------


def test_check_says_what_is_usable_and_what_is_wrong(tmp_path):
    stamps = times(600)
    stamps[100] = stamps[99]
    folder, positions, _ = files.write_sequence(tmp_path, timestamps_us=stamps)
    smpl = {"betas": np.zeros((600, 10)), "body_pose": np.zeros((600, 69)), "global_orient": np.zeros((600, 3))}
    smpl |= {"transl": np.zeros((600, 3)), "timestamps": times(600)}
    np.savez(folder / "body" / "xdata_smpl_neutral.npz", **smpl)
    check = check_nymeria(folder)
    assert check.problems == []
    assert check.usable["skeleton"] == "600 frames at 240 Hz, 2.5 s"
    assert check.usable["body/xdata_smpl_neutral.npz"] == "600 frames, 2.5 s"
    assert check.repairs["time_steps"] == 2
    assert check.repairs["narrations_empty"] == 1
    assert any("first row" in note for note in check.notes)

    del smpl["transl"]
    np.savez(folder / "body" / "xdata_smpl_neutral.npz", **smpl)
    (folder / "body" / "xdata_blueman.glb").write_bytes(b"glTF")
    files.write_csv(folder / "narration" / "atomic_action.csv", ["start_time", "text"], [])
    check = check_nymeria(folder)
    assert len(check.problems) == 3
    for name, problem in zip(("xdata_blueman.glb", "lacks transl", "end_time"), check.problems, strict=True):
        assert name in problem
    assert "skeleton" in check.usable


def test_finds_sequences(tmp_path):
    with pytest.raises(OSError, match="no Nymeria sequence"):
        sequence_folders(tmp_path)
    second = tmp_path / "20230608_s1_mary_ann_lee_act3_abc123"
    second.mkdir()
    first, *_ = files.write_sequence(tmp_path, mesh=None, narrations=False)
    assert sequence_folders(tmp_path) == [first, second]
    assert sequence_folders(first) == [first]
