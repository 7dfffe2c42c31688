"""One reader for all motion files: the format by name or content, clear refusals, and folders in numerical order."""

import inspect
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from anymo_hf.motion import formats
from anymo_hf.motion.formats import motion_formats
from anymo_hf.motion.formats.amass import read_amass
from anymo_hf.motion.formats.bvh import read_bvh
from anymo_hf.motion.read_motion import inspect_motion, motion_files, motion_format, read_motion
from anymo_hf.nymeria.sequence import read_captured

BVH = """HIERARCHY
ROOT Hips
{
OFFSET 0 0 0
CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
JOINT Chest { OFFSET 0 30 0 CHANNELS 3 Zrotation Xrotation Yrotation
JOINT Head { OFFSET 0 35 0 CHANNELS 3 Zrotation Xrotation Yrotation End Site { OFFSET 0 20 0 } }
%s }
%s }
MOTION
Frames: 3
Frame Time: 0.01
"""


def write_bvh(path):
    arm = (
        "JOINT {0}Arm {{ OFFSET {1}15 20 0 CHANNELS 1 Xrotation JOINT {0}ForeArm {{ OFFSET {1}29 0 0 CHANNELS 1 Yrotation \
JOINT {0}Hand {{ OFFSET {1}25 0 0 CHANNELS 1 Xrotation End Site {{ OFFSET {1}18 0 0 }} }} }} }}\n"
    )
    leg = "JOINT {0}UpLeg {{ OFFSET {1}9 -2 0 CHANNELS 1 Xrotation JOINT {0}Leg {{ OFFSET 0 -43 0 CHANNELS 1 Xrotation \
JOINT {0}Foot {{ OFFSET 0 -44 0 CHANNELS 1 Xrotation End Site {{ OFFSET 0 -6 14 }} }} }} }}\n"
    arms = arm.format("Left", "") + arm.format("Right", "-")
    text = BVH % (arms, leg.format("Left", "") + leg.format("Right", "-"))
    path.write_text(text + "".join(f"0 95 {t} {' '.join(['0'] * 21)}\n" for t in range(3)))
    return path


def write_amass(path, keys=("poses", "trans", "mocap_framerate")):
    content = {"poses": np.zeros((4, 72)), "trans": np.zeros((4, 3)), "mocap_framerate": 60.0}
    content["poses"][:, 0] = np.pi / 2
    np.savez(path, **{key: content.get(key, np.zeros(3)) for key in keys})
    return path


def test_formats_are_told_by_name_and_by_content(tmp_path):
    bvh, npz = write_bvh(tmp_path / "a.BVH"), write_amass(tmp_path / "b.npz")
    assert motion_format(bvh) == "bvh" and motion_format(npz) == "amass"
    np.testing.assert_array_equal(read_motion(bvh).positions, read_bvh(bvh).positions)
    np.testing.assert_array_equal(read_motion(npz, height=1.8).positions, read_amass(npz, height=1.8).positions)
    nameless = tmp_path / "download"
    for content, kind in (
        (bvh.read_bytes(), "bvh"),
        (npz.read_bytes(), "amass"),
        (b'<?xml version="1.0"?>\n<mvnx version="4">', "mvnx"),
        (b"#!OML:ASF\n:FULLY-SPECIFIED\n:DEGREES\n", "asf/amc"),
    ):
        nameless.write_bytes(content)
        assert motion_format(nameless) == kind
    for name, kind in (("a.mvnx", "mvnx"), ("a.mvnx.xz", "mvnx"), ("a.mvnx.gz", "mvnx"), ("a.amc", "asf/amc")):
        (tmp_path / name).write_bytes(b"")
        assert motion_format(tmp_path / name) == kind
    np.savez(tmp_path / "c.npz", body_pose=np.zeros((4, 69)), global_orient=np.zeros((4, 3)))
    assert motion_format(tmp_path / "c.npz") == "smpl"


def test_what_was_understood_is_reported(tmp_path):
    report = inspect_motion(write_bvh(tmp_path / "a.bvh"))
    assert (report.format, report.up, report.metres_per_unit) == ("bvh", "y", 0.01)
    assert report.joints["L_Forearm"] == "LeftForeArm" and "T8" not in report.joints
    np.testing.assert_allclose(report.height, 0.87 / 0.491, atol=1e-9)
    report = inspect_motion(write_amass(tmp_path / "b.npz"), height=1.9)
    assert report.up == "z" and report.recording is None
    np.testing.assert_allclose(report.height, 1.9, atol=1e-6)


def test_other_files_are_refused_with_what_is_known(tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("walking on Monday")
    with pytest.raises(ValueError, match="notes.txt: not a motion file; known are AMASS") as caught:
        read_motion(other)
    assert all(form.title in str(caught.value) for form in motion_formats().values())
    (tmp_path / "07.asf").write_text(":version 1.10\n")
    with pytest.raises(ValueError, match="skeleton without motion; give its .amc"):
        read_motion(tmp_path / "07.asf")
    with pytest.raises(ValueError, match="shape.npz: holds betas, gender, no motion"):
        read_motion(write_amass(tmp_path / "shape.npz", ("betas", "gender")))
    with pytest.raises(ValueError, match="a folder, not a motion file"):
        read_motion(tmp_path)
    with pytest.raises(OSError, match=r"none\.bvh: no such file"):
        read_motion(tmp_path / "none.bvh")
    (tmp_path / "cut.npz").write_bytes(write_amass(tmp_path / "b.npz").read_bytes()[:200])
    with pytest.raises(ValueError, match=r"cut\.npz: not a whole npz file"):
        read_motion(tmp_path / "cut.npz")


def test_options_go_to_the_formats_own_reader(tmp_path):
    path = write_bvh(tmp_path / "a.bvh")
    assert read_motion(path, unit="cm").positions.shape == (3, 23, 3)
    with pytest.raises(
        ValueError, match=r"height= is no option of BVH \(\.bvh\), which has unit, up, frame_rate; leave"
    ):
        read_motion(path, height=1.8)


def test_folders_are_listed_in_numerical_order(tmp_path):
    (tmp_path / "S10").mkdir()
    (tmp_path / "S2").mkdir()
    for name in ("S2/walk_10.bvh", "S2/walk_9.bvh", "S10/walk_1.bvh", "S2/a.mvnx.xz", "S2/01.amc"):
        (tmp_path / name).write_bytes(b"")
    for name in ("S2/01.asf", "S2/notes.txt"):
        (tmp_path / name).write_bytes(b"")
    write_amass(tmp_path / "S10/walk_poses.npz")
    write_amass(tmp_path / "S10/shape.npz", ("betas",))
    (tmp_path / "S10/run.fbx").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"run\.fbx \(no reader for \.fbx.*shape\.npz \(holds betas, no motion"):
        found = [path.relative_to(tmp_path).as_posix() for path in motion_files(tmp_path)]
    assert found == [
        "S2/01.amc",
        "S2/a.mvnx.xz",
        "S2/walk_9.bvh",
        "S2/walk_10.bvh",
        "S10/walk_1.bvh",
        "S10/walk_poses.npz",
    ]
    with pytest.raises(OSError, match="no such folder"):
        motion_files(tmp_path / "none")


@pytest.mark.mocap
def test_real_files_of_every_format_are_read():
    root = Path(os.environ["ANYMO_MOTION"])
    for name, kind in (
        ("cmu_bvh/train_walking_1.bvh", "bvh"),
        ("xsens_pair/kicking-003.mvnx", "mvnx"),
        ("cmu_asf_amc/data/CMU/asfamc/subjects/02/02_01.amc", "asf/amc"),
    ):
        report = inspect_motion(root / name)
        assert report.format == kind and 1.5 < report.height < 1.9
    assert len(motion_files(root / "cmu_asf_amc")) == 28


def test_a_nymeria_sequence_is_one_motion(tmp_path):
    from support.nymeria_recordings import write_sequence

    sequence, _, _ = write_sequence(tmp_path / "data")
    write_bvh(tmp_path / "data" / "walk.bvh")
    found = motion_files(tmp_path / "data")
    assert {path.name for path in found} == {"walk.bvh", Path(sequence).name}
    assert motion_format(sequence) == "nymeria"
    motion = read_motion(sequence)
    assert motion.source == "nymeria" and motion.mesh is None and not motion.narrations
    told = read_captured(sequence)
    assert told.narrations and told.subject == motion.subject and told.name == motion.name
    np.testing.assert_array_equal(told.positions, motion.positions)
    walk = tmp_path / "data" / "walk.bvh"
    np.testing.assert_array_equal(read_captured(walk).positions, read_motion(walk).positions)


TOY = '''"""One pelvis per line: x y z."""

import numpy as np

from anymo_hf.motion.body_motion import BodyMotion
from anymo_hf.motion.formats import MotionFormat
from anymo_hf.motion.motion_report import MotionReport
from anymo_hf.motion.skeleton import tpose_positions


def read(path, frame_rate=50.0):
    places = np.loadtxt(path, ndmin=2)[:, None]
    turns = np.tile([1.0, 0, 0, 0], (len(places), 23, 1))
    return MotionReport(BodyMotion(frame_rate, tpose_positions(1.7) + places, turns, name=path.stem, source="toy"))


FORMAT = MotionFormat("toy", "Toy (.toy)", read, suffixes=(".toy",), starts=lambda head: head.startswith(b"#toy"))
'''


def test_a_format_is_one_new_file(tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "toy.py").write_text(TOY)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path / "code")])
    motion_formats.cache_clear()
    try:
        (tmp_path / "data").mkdir()
        for name in ("a.toy", "nameless"):
            (tmp_path / "data" / name).write_text("#toy\n0 0 0\n1 0 0\n")
        assert motion_format(tmp_path / "data" / "nameless") == "toy"
        assert motion_files(tmp_path / "data") == [tmp_path / "data" / "a.toy"]
        report = inspect_motion(tmp_path / "data" / "a.toy", frame_rate=25.0)
        assert report.format == "toy" and report.motion.frame_rate == 25.0
        np.testing.assert_allclose(np.diff(report.motion.positions, axis=0)[0], np.tile([1.0, 0, 0], (23, 1)))
        with pytest.raises(ValueError, match=r"unit= is no option of Toy \(\.toy\), which has frame_rate"):
            read_motion(tmp_path / "data" / "a.toy", unit="cm")
        (tmp_path / "notes.txt").write_text("walking")
        with pytest.raises(ValueError, match=r"known are .*Toy \(\.toy\)"):
            read_motion(tmp_path / "notes.txt")
        (tmp_path / "code" / "toy2.py").write_text(TOY)
        motion_formats.cache_clear()
        with pytest.raises(ValueError, match="the format 'toy' is declared twice"):
            motion_formats()
    finally:
        motion_formats.cache_clear()
        for name in ("toy", "toy2"):
            sys.modules.pop(f"anymo_hf.motion.formats.{name}", None)


def test_every_format_declares_how_it_is_recognised():
    for name, form in motion_formats().items():
        assert form.name == name and form.title and callable(form.read)
        assert next(iter(inspect.signature(form.read).parameters)) == "path"
        assert form.suffixes or form.folder_files or form.holds({"poses", "global_orient"}) or form.holds({"body_pose"})
        assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in form.suffixes)
