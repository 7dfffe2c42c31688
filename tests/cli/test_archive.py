"""`anymo simulate` and `anymo archive`: what a user sees."""

import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from anymo_hf.cli import archive as cli_archive

app = typer.Typer()
app.add_typer(cli_archive.commands)
app.add_typer(cli_archive.app, name="archive")


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "a"
    result = run("simulate", "--out", folder, "--procedural", 1, "--seconds", 30, "--activities", "walking, sitting")
    assert result.exit_code == 0, result.output
    assert re.search(r"a: 2 recordings of kinematics, 0\.0167 hours, 0\.\d MB", result.output)
    return folder


def test_info_tells_size_and_sources(archive):
    result = run("archive", "info", archive)
    assert result.exit_code == 0
    assert re.search(r"dense layout +205\.1 MB, \d{3} times as much", result.output)
    assert "procedural 0.01667 h" in result.output and "2 of 1 subjects" in result.output


def test_verify_says_all_is_well_or_names_the_shard_and_exits_1(archive, tmp_path):
    import shutil

    result = run("archive", "verify", archive)
    assert result.exit_code == 0 and "all 4 files are as they were written" in result.output
    shutil.copytree(archive, tmp_path / "b")
    path = tmp_path / "b/recordings/procedural/walking-0.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    result = run("archive", "verify", tmp_path / "b")
    assert result.exit_code == 1
    assert "walking-0.parquet is cut off" in result.output and "run the same `anymo simulate` again" in result.output


def test_views_and_dense_lie_beside_the_kinematics(tmp_path):
    common = ("--out", tmp_path, "--procedural", 1, "--seconds", 2, "--activities", "walking")
    assert "dense: 1 recordings of dense" in run("simulate", *common, "--config", "dense").output
    assert "views: 1 recordings of views" in run("simulate", *common, "--config", "views", "--views", 2).output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dense", "kinematics", "views"]
    for name in ("dense", "kinematics", "views"):
        assert run("archive", "verify", tmp_path / name).exit_code == 0


def test_views_take_device_priors_from_a_file(tmp_path):
    path = tmp_path / "sensor_noise.json"
    estimate = {"acc_density": 0.5, "gyro_density": None, "acc_step": None}
    path.write_text(json.dumps({"estimates": {"rough": estimate}, "failed": {}}))
    common = ("simulate", "--procedural", 1, "--seconds", 2, "--activities", "standing", "--config", "views")
    spread = {}
    for name, more in (("presets", ()), ("priors", ("--priors", path))):
        assert run(*common, "--out", tmp_path / name, *more).exit_code == 0
        (file,) = (tmp_path / name / "views").rglob("*.parquet")
        spread[name] = np.diff(np.array(pq.read_table(file).column("T8")[0].as_py()), axis=0)[:, :3].std()
    assert spread["priors"] > 2.0 > 0.2 > spread["presets"]  # 0.5 m/s² per √Hz of 30 Hz, differenced
    result = run(*common, "--out", tmp_path / "priors", "--priors", tmp_path / "absent.json")
    assert result.exit_code != 0 and "sensor estimate" in str(result.exception)


def test_bad_input_is_an_error_in_words(tmp_path):
    for arguments, words in [
        (("archive", "verify", tmp_path), "manifest.json is missing"),
        (("archive", "info", tmp_path), "manifest.json is missing"),
        (("simulate", "--out", tmp_path / "x"), "nothing to simulate"),
        (("simulate", "--out", tmp_path / "x", "--motion", tmp_path / "none"), "no such folder"),
    ]:
        result = run(*arguments)
        assert result.exit_code != 0 and words in str(result.exception)
