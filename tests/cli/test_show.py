"""`anymo show`: what the commands write and say, and the errors of bad input."""

import numpy as np
import pytest
from typer.testing import CliRunner

from anymo_hf.cli.show import app
from anymo_hf.recordings.imu_recording import ImuRecording


def run(*arguments):
    return CliRunner().invoke(app, [str(part) for part in arguments])


@pytest.fixture
def csv(tmp_path):
    rows = np.random.default_rng(0).normal(size=(200, 6)) * 0.1 + [0, 0, 1, 0, 0, 0]
    path = tmp_path / "watch.csv"
    np.savetxt(path, rows, delimiter=",", header="acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z", comments="")
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ("body", "--height", 1.6),
        ("placements", "--segment", "head", "--segment", "L_Foot", "--frames"),
        pytest.param(
            ("window", "--activity", "squats", "--seed", 3, "--placement", "chest", "--seconds", 1),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_commands_write_both_files_and_say_so(tmp_path, arguments):
    out = tmp_path / "new" / "figure"
    result = run(*arguments, "--out", out)
    assert result.exit_code == 0, result.output
    for ending in ("png", "html"):
        assert f"written: {out}.{ending}" in result.output.replace("\n", "")
    assert sorted(path.name for path in out.parent.iterdir()) == ["figure.html", "figure.png"]


def test_an_ending_in_the_name_is_no_part_of_it(tmp_path, csv):
    arguments = ("--placement", "left_wrist", "--rate", 50, "--acceleration-unit", "g")
    assert run("recording", csv, *arguments, "--out", tmp_path / "a.png").exit_code == 0
    assert (tmp_path / "a.png").exists() and (tmp_path / "a.html").exists()
    assert "watch.csv" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_a_window_of_a_dataset_folder(tmp_path, monkeypatch):
    from anymo_hf.recordings import catalogue

    windows = [ImuRecording({"waist": np.full((100, 6), float(n))}, 50.0, f"label {n}", dataset="d") for n in range(3)]
    monkeypatch.setattr(catalogue, "read_windows", lambda name, folder: iter(windows))
    folder = tmp_path / "uci_har"
    folder.mkdir()
    assert run("recording", folder, "--index", 2, "--out", tmp_path / "r").exit_code == 0
    assert "label 2" in (tmp_path / "r.html").read_text(encoding="utf-8")
    error = run("recording", folder, "--index", 3, "--out", tmp_path / "r").exception
    assert isinstance(error, ValueError) and "holds 3 labelled windows, from 0 to 2" in str(error)
    other = tmp_path / "mine"
    other.mkdir()
    assert "no known dataset; give --dataset" in str(run("recording", other).exception)


@pytest.mark.slow
def test_a_motion_file_is_read(tmp_path, monkeypatch):
    from anymo_hf.motion import read_motion
    from anymo_hf.motion.procedural import simulate_activity

    monkeypatch.setattr(read_motion, "read_motion", lambda path: simulate_activity("wave", 0, 2.0))
    out = tmp_path / "w"
    assert run("window", "--motion", "clip.bvh", "--seconds", 9, "--out", out).exit_code == 0
    assert "clip.bvh, 0 to 2 s" in (tmp_path / "w.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("body", "--height", 3), "--height must lie between"),
        (("body", "--height", 1.7, "--seed", 1), "--height and --seed"),
        (("placements", "--segment", "nose"), "unknown placement 'nose'"),
        (("window", "--activity", "flying"), "unknown activity 'flying'"),
        (("window", "--placement", "tail"), "unknown placement 'tail'"),
        (("window", "--motion", "a.bvh", "--activity", "walking"), "--motion and --activity"),
        (("window", "--motion", "none.bvh"), "none.bvh"),
        (("window", "--seconds", 0), "--seconds must lie"),
        (("window", "--start", -1), "--start must be"),
        (("recording", "none.csv", "--placement", "head"), "none.csv"),
        (("recording", "none.csv"), "--placement is missing"),
    ],
)
def test_bad_input_is_named(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    error = run(*arguments).exception
    assert isinstance(error, ValueError | OSError) and message in str(error)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_name(tmp_path):
    assert "is a folder" in str(run("body", "--out", tmp_path).exception)
