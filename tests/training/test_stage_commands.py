"""The command line that all stages share: limits, refusals, and what it says about a stage that had ended."""

import pytest

from anymo_hf.training.checkpoints import METRICS, finished_metrics, write_metrics
from anymo_hf.training.settings import StageSettings
from anymo_hf.training.stage_commands import STAGES, StageCommand, run_stage


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs a stage that trains nothing and remembers the settings it got."""
    config = tmp_path / "stage.yaml"
    config.write_text("steps: 5\nmax_minutes: 2.0\n")
    seen = []

    def work(settings, output, accelerator):
        folder = tmp_path / "encoder"
        if done := finished_metrics(folder, "f"):
            return done
        seen.append(settings)
        folder.mkdir()
        metrics = {"stage": "encoder", "steps": settings.steps, "train_seconds": 1.0, "losses": {"loss": 0.5}}
        write_metrics(folder, metrics | {"finished": True, "fingerprint": "f"})
        return metrics

    def run(*words, work=work):
        monkeypatch.setitem(STAGES, "idle", StageCommand("title", StageSettings, work))
        run_stage("idle", ["--config", str(config), "--output", str(tmp_path), *words])
        return seen

    return run


def test_options_take_the_place_of_configured_limits(command):
    (settings,) = command("--steps", "7")
    assert (settings.steps, settings.max_minutes) == (7, 2.0)


@pytest.mark.parametrize("option, value", [("--steps", "0"), ("--steps", "-3"), ("--max-minutes", "0")])
def test_a_limit_of_nothing_is_refused(command, capsys, option, value):
    with pytest.raises(SystemExit) as stop:
        command(option, value)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert f"error: {option}: " in said and f"got {value}" in said


def test_an_error_is_one_line(command, capsys, tmp_path):
    (tmp_path / "stage.yaml").write_text("steps: [3\n")
    with pytest.raises(SystemExit, match="2"):
        command()
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        line.startswith(f"error: {tmp_path / 'stage.yaml'}: not a readable settings file in YAML")
        and "line 1, column 8" in line
    )


def test_a_stage_that_had_ended_says_so_and_what_to_do(command, capsys, tmp_path):
    command()
    assert "had ended" not in capsys.readouterr().out
    assert len(command("--steps", "9")) == 1  # no second run
    said = capsys.readouterr().out
    assert "encoder: 5 steps" in said and "had ended before" in said and str(tmp_path / "encoder" / METRICS) in said
    (tmp_path / "encoder" / METRICS).unlink()
    (tmp_path / "encoder").rmdir()
    assert command("--steps", "9")[-1].steps == 9


def test_other_errors_of_torch_are_not_taken_for_a_lost_process(command):
    def fails(settings, output, accelerator):
        raise RuntimeError("Connection closed by peer")  # one process has no peer

    with pytest.raises(RuntimeError, match="closed by peer"):
        command(work=fails)


def test_help_lists_every_setting_with_its_meaning_and_bounds(capsys):
    with pytest.raises(SystemExit):
        run_stage("encoder", ["--help"])
    said = capsys.readouterr().out
    assert "  worn_share: 0.0 -- share of windows whose visible sensors are a setup people wear" in said
    assert "(between 0 and 1)" in said and "(full_view or masked)" in said
