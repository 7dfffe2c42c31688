"""`anymo motion info`: what is printed, as a table and as JSON, and bad input."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from anymo_hf.cli.motion import app


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def clip(tmp_path):
    poses = np.zeros((30, 156))
    poses[:, 0] = np.pi / 2
    np.savez(tmp_path / "walk_poses.npz", poses=poses, trans=np.zeros((30, 3)), mocap_framerate=60.0)
    return tmp_path / "walk_poses.npz"


def test_a_table_says_what_was_understood(clip):
    result = run("info", clip)
    assert result.exit_code == 0
    rows = dict(line.split(None, 1) for line in result.output.splitlines())
    assert rows["format"].startswith("AMASS") and rows["frames"] == "30" and rows["seconds"] == "0.5"
    assert "mean skeleton" in rows["body"]


def test_json_holds_the_same_and_options_reach_the_reader(clip):
    told = json.loads(run("info", clip, "--json", "--height", "1.9").output)
    assert told["frame_rate"] == 60 and told["height_estimate_m"] == 1.9 and told["up_axis_in_file"] == "z"
    assert told["segments"] == 23 and told["narrations"] == 0


def test_bad_input_is_told(tmp_path, clip):
    other = tmp_path / "notes.txt"
    other.write_text("nothing")
    for words, message in (((other,), "not a motion file; known are"), ((tmp_path / "no.bvh",), "no such file"),
                           ((clip, "--unit", "cm"), "unit= is no option of AMASS")):  # fmt: skip
        result = run("info", *words)
        assert result.exit_code != 0 and isinstance(result.exception, ValueError | OSError)
        assert message in str(result.exception)


@pytest.mark.mocap
def test_real_trackers_joints_and_repairs_are_listed():
    root = Path(os.environ["ANYMO_MOTION"])
    told = json.loads(run("info", root / "xsens_pair/kicking-003.mvnx", "--json").output)
    assert len(told["trackers"]) == 17 and told["trackers"][5] == "RightForeArm: R_Forearm" and told["seconds"] == 2.25
    assert told["tracker_signals"] == ["acceleration", "angular_velocity", "orientation"] and len(told["repairs"]) == 1
    amc = root / "cmu_asf_amc/data/CMU/asfamc/subjects/02/02_01.amc"
    told = json.loads(run("info", amc, "--json", "--frame-rate", "60", "--unit", "inch").output)
    assert told["frame_rate"] == 60 and told["subject"] == "02" and told["joints"][0] == "Pelvis: root"
    assert told["derived_segments"] == ["L5", "L3", "T12", "T8"]


def test_every_command_that_reads_motion_takes_its_up_axis_and_rate(anymo, tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    text = "HIERARCHY\nROOT Hips\n{\n"  # not read: only the options are asked for
    (folder / "a.bvh").write_text(text)
    clip = folder / "a.bvh"
    simulate = ["simulate", "--motion", folder, "--out", tmp_path / "out"]
    for command in (simulate, ["show", "window", "--motion", clip], ["motion", "info", clip]):
        code, _, err = anymo(*command, "--up", "y", "--frame-rate", 30)
        assert code == 2 and "a.bvh" in err and "No such option" not in err, err
