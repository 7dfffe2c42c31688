"""`anymo sensor`: tables, JSON and files, and bad input."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from anymo_hf.cli.sensor import app


def run(*arguments: str):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_derivatives_prints_a_table_and_writes_json(tmp_path):
    result = run("derivatives", "--out", tmp_path / "sub")
    assert result.exit_code == 0 and "| all below 30 |" in result.stdout
    saved = json.loads((tmp_path / "sub" / "derivatives.json").read_text())
    assert saved["source_rate"] == 240 and saved["errors"][0]["acceleration"]["ours"] < 0.1
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["derivatives.json"]
    shown = json.loads(run("derivatives", "--rate", "100", "--json").stdout)
    assert max(row["frequency"] or 0 for row in shown["errors"]) < 50


def test_estimate_of_a_csv(tmp_path):
    rows = np.random.default_rng(0).normal(size=(2000, 6)) * 0.01
    file = tmp_path / "still.csv"
    np.savetxt(file, rows, delimiter=",", header="acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z", comments="")
    found = json.loads(run("estimate", "--csv", file, "--rate", "100", "--json").stdout)["estimates"]
    assert found["csv sensor"]["acc_density"] == pytest.approx(0.01 / 50**0.5, rel=0.1)
    table = run("estimate", "--csv", file, "--rate", "100", "--angular-velocity-unit", "deg/s").stdout
    assert "| csv sensor | 100 |" in table


def test_bad_input(tmp_path):
    for arguments, message in (
        (["estimate"], "either --data DIR"),
        (["estimate", "--data", tmp_path], "no folder"),
        (["estimate", "--data", tmp_path, "--datasets", "nothing"], "unknown dataset 'nothing'"),
    ):
        result = run(*arguments)
        assert result.exit_code != 0 and message in str(result.exception)


def test_check_needs_something_to_check_and_names_a_file_without_sensors(tmp_path):
    assert "give --mvnx FILE, --utd DIR or both" in str(run("check", "--out", tmp_path).exception)
    assert "no pairs of Skeleton" in str(run("check", "--utd", tmp_path, "--out", tmp_path).exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.realdata
def test_check_meets_the_stated_bounds_on_real_trackers(tmp_path):
    file = Path(os.environ["ANYMO_DATA"]) / "xsens_pair" / "kicking-003.mvnx"
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    assert run("check", "--mvnx", file, "--out", tmp_path).exit_code == 0
    rows = json.loads((tmp_path / "simulation_check.json").read_text())["trackers"]
    assert len(rows) == 17
    for row in rows:
        assert row["gyro_rmse"] <= 0.15, row["name"]
        if any(part in row["segment"] for part in ("Arm", "Hand", "Forearm", "Leg", "Foot")):
            assert row["gyro_correlation"] >= 0.95, row["name"]
