"""The command that trains everything: what it would start, on machines with and without GPUs."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "training" / "train_nano.py"


@pytest.fixture(scope="module")
def nano():
    spec = importlib.util.spec_from_file_location("train_nano", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def started(nano, monkeypatch):
    """Commands and environments that `main` would run; nothing is run."""
    calls = []

    def run(command, env):
        calls.append((command, env))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(nano.subprocess, "run", run)
    return calls


def start(nano, monkeypatch, gpus, *words):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(sys, "argv", ["train_nano.py", *words])
    nano.main()


def value(command, option):
    return command[command.index(option) + 1]


def test_one_command_for_the_corpus_and_for_each_stage(nano, started, monkeypatch):
    words = ("--output", "out", "--release", "there", "--minutes", "100", "--motion", "bvh", "--seeds", "3")
    start(nano, monkeypatch, 0, *words, "--threads", "2")
    corpus, *stages = (command for command, _ in started)
    assert all(isinstance(word, str) for command, _ in started for word in command)
    assert Path(corpus[1]).name == "make_corpus.py" and value(corpus, "--seeds") == "3"
    assert value(corpus, "--motion") == "bvh" and "--texts" not in corpus
    scripts = ["pretrain_encoder", "train_tokenizer", "pretrain_language", "tune_contrastive"]
    for command, script in zip(stages, scripts, strict=True):
        assert str(SCRIPT.with_name(f"{script}.py")) in command and Path(value(command, "--config")).is_file()
        assert value(command, "--num_processes") == "1" and "--multi_gpu" not in command
        assert value(command, "--num_cpu_threads_per_process") == "2"
        assert ("--release" in command) == (script == "tune_contrastive")
    assert sum(float(value(command, "--max-minutes")) for command in stages) == pytest.approx(100)
    assert not any("ACCELERATE_USE_CPU" in env.keys() - os.environ.keys() for _, env in started)


def test_processes_go_to_gpus_where_there_are_enough(nano, started, monkeypatch):
    start(nano, monkeypatch, 4, "--processes", "2")
    for command, _ in started[1:]:
        assert value(command, "--num_processes") == "2" and "--multi_gpu" in command
        script = next(index for index, word in enumerate(command) if word.endswith(".py"))
        assert command.index("--multi_gpu") < script  # the launcher's word, not the script's


def test_without_a_gpu_processes_share_the_cpu(nano, started, monkeypatch, capsys):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    start(nano, monkeypatch, 0, "--processes", "2")
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
def test_a_number_of_processes_that_cannot_be(nano, started, monkeypatch, capsys, gpus, processes, message):
    with pytest.raises(SystemExit) as stop:
        start(nano, monkeypatch, gpus, "--processes", processes)
    assert stop.value.code == 2 and not started
    assert message in capsys.readouterr().err


def test_help_tells_what_processes_are(nano, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        start(nano, monkeypatch, 0, "--help")
    text = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0 and "one per GPU; on the CPU without one" in text
