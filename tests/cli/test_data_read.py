"""`anymo data read`: what was understood is printed, as text and JSON, and can be corrected."""

import json

import pytest
from typer.testing import CliRunner

from anymo_hf.cli.data import app

G = 9.80665
ROWS = [
    (i * 20, 0.6, 0.0, 0.8, 0.0, 0.0, 90.0) for i in range(100)
]  # 1 g at rest in a tilted pose, a quarter turn a second


def _run(path, *options):
    return CliRunner().invoke(app, ["read", str(path), *map(str, options)])


def _json(path, *options):
    result = _run(path, *options, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _table(path, header, rows=ROWS, mark=",", start=""):
    path.write_text(start + header + "\n" + "".join(mark.join(map(str, row)) + "\n" for row in rows))
    return path


def test_what_was_understood_is_in_the_json(tmp_path):
    found = _json(
        _table(tmp_path / "a.csv", "time (ms),Acc x (g),Acc y (g),Acc z (g),Gyr x (dps),Gyr y (dps),Gyr z (dps)")
    )
    assert found["samples"] == 100 and found["sampling_rate"] == pytest.approx(50)
    assert found["columns"][0] == "Acc x (g)" and found["columns"][5] == "Gyr z (dps)" and not found["left_out"]
    assert (found["acceleration_unit"], found["angular_velocity_unit"]) == ("g", "deg/s")
    assert found["median_acceleration"] == pytest.approx(G) and found["gaps"] == [] and found["warnings"] == []


def test_text_says_where_each_thing_was_found(tmp_path):
    header = "time (ms),Acc x (g),Acc y (g),Acc z (g),Gyr x (dps),Gyr y (dps),temperature"
    text = _run(_table(tmp_path / "a.csv", header)).stdout
    assert "g (the header names it)" in text and "50 Hz (from the steps of time stamps in 'time (ms)'" in text
    assert "median |a|        9.807 m/s^2" in text and "temperature: no acceleration or angular velocity" in text
    said = "Gyr x (dps), Gyr y (dps) were left out: they look like a gyroscope's, but not all of x, y and z are there"
    assert said in text
    text = _run(
        _table(tmp_path / "b.csv", header.replace("Gyr x (dps),Gyr y (dps),temperature", "rot_x,rot_y,rot_z"))
    ).stdout
    assert "rot_x, rot_y, rot_z were left out: angular velocity or angles?" in text and "--columns" in text
    assert "no gyroscope was read" in text


@pytest.mark.parametrize(
    "sensor", ["linear_acceleration_x,linear_acceleration_y,linear_acceleration_z", "useracc_x,useracc_y,useracc_z"]
)
def test_a_gyroscope_is_no_accelerometer_where_another_acceleration_stands_beside_it(tmp_path, sensor):
    rows = [(row[0], 0.1, 0.2, 0.3, 0.6, 0.1, 0.5) for row in ROWS]  # the turning has the size of 1 g
    result = _run(_table(tmp_path / "a.csv", f"time,{sensor},gx,gy,gz", rows))
    assert result.exit_code != 0 and "a.csv" in str(result.exception) and sensor[:9] in str(result.exception)


def test_a_guessed_unit_is_said_and_can_be_overruled(tmp_path):
    path = _table(tmp_path / "a.csv", "time,ax,ay,az,gx,gy,gz")
    found = _json(path)
    assert (found["acceleration_unit"], found["angular_velocity_unit"]) == ("g", "deg/s")
    assert any("--acceleration-unit overrules" in line for line in found["warnings"])
    found = _json(path, "--acceleration-unit", "m/s2", "--angular-velocity-unit", "°/s")
    assert (found["acceleration_unit"], found["angular_velocity_unit"]) == ("m/s^2", "deg/s")
    assert (
        found["median_acceleration"] == pytest.approx(1) and "--acceleration-unit m/s^2 right?" in found["warnings"][0]
    )


@pytest.mark.parametrize(
    ("scale", "said"), [(16384, "raw counts"), (1 / G, "fits g"), (0.05, "was gravity removed?"), (100, "right?")]
)
def test_a_size_that_no_body_feels_is_warned_about(tmp_path, scale, said):
    rows = [(i * 20, 0.0, 0.0, G * scale if scale != 16384 else scale) for i in range(100)]
    found = _json(_table(tmp_path / "a.csv", "time,ax,ay,az", rows), "--acceleration-unit", "m/s^2")
    assert said in found["warnings"][0]


def test_gaps_are_listed_and_long_ones_cut(tmp_path):
    rows = [row for i, row in enumerate(ROWS) if not 40 <= i < 43]
    found = _json(_table(tmp_path / "a.csv", "time,ax,ay,az,gx,gy,gz", rows))
    assert found["samples"] == 100 and found["rows"] == 97
    assert found["gaps"] == [{"start": pytest.approx(0.78), "seconds": pytest.approx(0.08), "lost": 3, "bridged": True}]
    rows = [(row[0] + 60_000 * (i >= 50), *row[1:]) for i, row in enumerate(ROWS)]
    found = _json(_table(tmp_path / "b.csv", "time,ax,ay,az,gx,gy,gz", rows))
    assert found["stretches"] == 2 and found["samples"] == 100 and not found["gaps"][0]["bridged"]
    assert any("cut the recording into 2" in line for line in found["warnings"])


def test_a_table_that_is_not_found_alone_is_said_by_options(tmp_path):
    rows = [(i, 0, 0, 1) for i in range(100)]
    path = _table(tmp_path / "a.csv", "n|one|two|three", rows, "|", "made,by,hand\nax,ay,az\n")
    result = _run(path)
    assert result.exit_code != 0
    found = _json(path, "--header-row", 3, "--separator", "|", "--columns", "one,two,three", "--rate", 50)
    assert found["samples"] == 100 and found["columns"] == ["one", "two", "three"]
    comma = _table(
        tmp_path / "b.csv", "t;ax;ay;az", [(f"{i / 50:.2f}".replace(".", ","), 0, 0, "0,5") for i in range(99)], ";"
    )
    assert _json(comma, "--separator", "semicolon", "--decimal", ",", "--acceleration-unit", "g")[
        "median_acceleration"
    ] == (pytest.approx(G / 2))


def test_a_file_without_a_header_is_read_by_place_and_says_so(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"{i * 10} 0.1 0.2 9.8\n" for i in range(100)))
    found = _json(path)
    assert found["samples"] == 100 and found["sampling_rate"] == pytest.approx(100)
    assert any("the file names no columns" in line for line in found["warnings"])


def test_a_misspelt_unit_or_column_is_guessed_at(tmp_path):
    path = _table(tmp_path / "a.csv", "time,acc_x,acc_y,acc_z,gx,gy,gz")
    result = _run(path, "--acceleration-unit", "m/s^")
    assert result.exit_code != 0 and "did you mean m/s^2?" in str(result.exception)
    result = _run(path, "--columns", "acc_x,acc_y,acc_zz")
    assert "did you mean acc_z?" in str(result.exception)
