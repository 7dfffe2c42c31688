"""`anymo nymeria`: sound and broken downloads, as text and JSON, and the exit code."""

import json

import pytest
from support import nymeria_recordings as files
from typer.testing import CliRunner

from anymo_hf.cli.nymeria import app

SECOND = "20230608_s1_mary_lee_act3_abc123"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_sound_sequence(tmp_path):
    folder, *_ = files.write_sequence(tmp_path)
    result = run("check", folder)
    assert result.exit_code == 0, result.output
    for words in (
        f"{files.NAME}: sound",
        "600 frames at 240 Hz",
        "aligned by first_row",
        "narrations_empty 1",
        "1 sound",
    ):
        assert words in result.output


def test_broken_sequence_among_sound_ones(tmp_path):
    files.write_sequence(tmp_path, mesh=None)
    files.write_sequence(tmp_path, mesh=None, name=SECOND, segment_tXYZ=None)
    result = run("check", tmp_path, "--json")
    assert result.exit_code == 1
    first, second = json.loads(result.stdout)
    assert first["problems"] == []
    assert first["repairs"]["narrations_clipped"] == 1
    assert "lacks segment_tXYZ" in second["problems"][0]
    text = run("check", tmp_path)
    assert text.exit_code == 1
    assert "2 sequences, 1 sound, 1 broken" in text.output


def test_no_sequence(tmp_path):
    result = run("check", tmp_path)
    assert result.exit_code == 1
    assert "no Nymeria sequence" in result.output
    assert "Traceback" not in result.output


@pytest.mark.filterwarnings("ignore:.*aligned by their first row")
def test_align_stores_the_time_map(tmp_path):
    folder, *_ = files.write_sequence(tmp_path, mesh=None)
    result = run("align", folder)
    assert result.exit_code == 0, result.output
    stored = json.loads((folder / "narration" / "time_map.json").read_text())
    assert (stored["sequence"], stored["source"]) == (files.NAME, "first_row")
    (folder / "body" / "xdata.npz").write_bytes(b"")
    assert run("align", folder).exit_code == 1
