"""`anymo data check`: text and JSON, and the exit code."""

import json

import numpy as np
import pytest
from scipy.io import savemat
from typer.testing import CliRunner

from anymo_hf.cli.data import app


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "usc_had" / "Subject1"
    place.mkdir(parents=True)
    savemat(place / "a1t1.mat", {"sensor_readings": np.tile([0, 1.0, 0, 0, 30, 0], (1000, 1))})
    return tmp_path


def _run(*arguments):
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def test_a_good_copy_ends_with_zero_and_stands_beside_the_published_counts(folder):
    result = _run(folder)
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "subjects 1 published 14 (people in its documents)" in lines
    assert "people here 1" in lines and "no recording of walk left" in " ".join(lines)
    assert "right_hip |acc| at rest 9.81 m/s^2, 99 % of gyroscope under 0.5 rad/s" in lines
    assert lines[-1] == "1 datasets: 0 whole, 1 partial, 0 wrong"
    assert _run(folder, "--strict").exit_code == 1


def test_json_holds_counts_published_figures_and_problems(folder):
    (folder / "usc_had" / "Subject2").mkdir()
    savemat(folder / "usc_had" / "Subject2" / "a2t1.mat", {"other": np.zeros((5, 6))})
    result = _run(folder, "--json")
    assert result.exit_code == 1
    (report,) = json.loads(result.output)
    assert report["counts"]["recordings"] == 1 and report["published"][0]["value"] == 840
    assert "a2t1.mat: variable 'sensor_readings' is missing" in report["problems"][0]
    assert [figure["count"] for figure in report["incomplete"]] == ["recordings", "classes", "subjects"]


def test_nothing_found_and_wrong_sets_end_with_one(folder, tmp_path_factory):
    empty = _run(tmp_path_factory.mktemp("empty"))
    assert empty.exit_code == 1 and "no known dataset; known are ClassyGlass, DSADS, Ego4D" in empty.output
    (folder / "dsads").mkdir()
    wrong = _run(folder)
    assert wrong.exit_code == 1 and "WRONG:" in wrong.output and "1 wrong: dsads" in wrong.output
