"""The command that trains everything: what it would start, on machines with and without GPUs."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

from anymo_hf.training import nano_recipe

CONFIGS = Path(__file__).parents[2] / "training" / "configs" / "nano"


@pytest.fixture
def started(monkeypatch):
    """Commands and environments that `main` would run; nothing is run."""
    calls = []

    def run(command, env):
        calls.append((command, env))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(nano_recipe.subprocess, "run", run)
    return calls


def start(monkeypatch, gpus, *words):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    nano_recipe.main(CONFIGS, list(words))


def value(command, option):
    return command[command.index(option) + 1]


def test_one_command_for_the_corpus_and_for_each_stage(started, monkeypatch):
    words = ("--output", "out", "--release", "there", "--minutes", "100", "--motion", "bvh", "--seeds", "3")
    start(monkeypatch, 0, *words, "--threads", "2")
    corpus, *stages = (command for command, _ in started)
    assert all(isinstance(word, str) for command, _ in started for word in command)
    assert corpus[1:3] == ["-m", "anymo_hf.training.corpus_command"] and value(corpus, "--seeds") == "3"
    assert value(corpus, "--motion") == "bvh" and "--texts" not in corpus
    for command, stage in zip(stages, ("encoder", "tokenizer", "language", "contrastive"), strict=True):
        # the launcher's words stand before the module, the stage's behind it
        launched, own = command[: command.index("--module")], command[command.index("--module") + 1 :]
        assert own[:2] == ["anymo_hf.training.stage_commands", stage] and Path(value(own, "--config")).is_file()
        assert value(launched, "--num_processes") == "1" and "--multi_gpu" not in command
        assert value(launched, "--num_cpu_threads_per_process") == "2"
        assert ("--release" in own) == (stage == "contrastive")
    assert sum(float(value(command, "--max-minutes")) for command in stages) == pytest.approx(100)
    assert not any("ACCELERATE_USE_CPU" in env.keys() - os.environ.keys() for _, env in started)


def test_processes_go_to_gpus_where_there_are_enough(started, monkeypatch):
    start(monkeypatch, 4, "--processes", "2")
    for command, _ in started[1:]:
        assert value(command, "--num_processes") == "2" and "--multi_gpu" in command
        assert command.index("--multi_gpu") < command.index("--module")  # the launcher's word, not the stage's


def test_without_a_gpu_processes_share_the_cpu(started, monkeypatch, capsys):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    start(monkeypatch, 0, "--processes", "2")
    for command, env in started[1:]:
        assert value(command, "-m") == "torch.distributed.run" and value(command, "--nproc_per_node") == "2"
        assert "--multi_gpu" not in command
        assert (env["ACCELERATE_USE_CPU"], env["OMP_NUM_THREADS"]) == ("true", "4")
    assert "no GPU here: 2 processes on the CPU, 4 threads each" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("gpus", "processes", "message"),
    [
        (1, "2", "--processes 2 needs as many GPUs, this machine has 1; ask for 1 or fewer"),
        (2, "3", "this machine has 2"),
        (0, "0", "--processes must be at least 1, got 0"),
    ],
)
def test_a_number_of_processes_that_cannot_be(started, monkeypatch, capsys, gpus, processes, message):
    with pytest.raises(SystemExit) as stop:
        start(monkeypatch, gpus, "--processes", processes)
    assert stop.value.code == 2 and not started
    assert message in capsys.readouterr().err


def test_help_tells_what_processes_are(monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        start(monkeypatch, 0, "--help")
    text = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0 and "one per GPU; on the CPU without one" in text
