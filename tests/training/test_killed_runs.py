"""Every stage, killed with SIGKILL again and again, ends with the bits of a run that nobody disturbed."""

import json
import multiprocessing
import os
import shutil
import signal
import time

import numpy as np
import pytest
from safetensors import safe_open
from support.forked import forked_program

from anymo_hf.training.settings import ContrastiveSettings, EncoderSettings, LanguageSettings, TokenizerSettings
from anymo_hf.training.stages.contrastive import tune_contrastive
from anymo_hf.training.stages.encoder import train_encoder
from anymo_hf.training.stages.language import train_language
from anymo_hf.training.stages.tokenizer import train_tokenizer

pytestmark = pytest.mark.slow
FORK = multiprocessing.get_context("fork")  # a process of its own, without the seconds of importing
EVERY = {"checkpoint_every": 1, "log_every": 1}
STAGES = {
    "encoder": (train_encoder, EncoderSettings(steps=6, batch_size=4, frames=[32], **EVERY)),
    "tokenizer": (train_tokenizer, TokenizerSettings(steps=6, batch_size=8, frames=[32], views_per_clip=4, **EVERY)),
    "language": (
        train_language,
        LanguageSettings(steps=4, batch_size=2, text_batch_size=2, vocab_size=400, latents=8, **EVERY),
    ),
    "contrastive": (
        tune_contrastive,
        ContrastiveSettings(steps=4, batch_size=4, lm_batch_size=2, candidates=3, latents=8, chunk_size=2, **EVERY),
    ),
}
CHECKPOINT = "checkpoint.safetensors"


def arguments(stage, root, accelerator):
    folders = (root, root / "anymo") if stage == "contrastive" else (root,)
    return STAGES[stage][1], *folders, accelerator


@pytest.fixture(scope="module")
def whole(corpus_folder, accelerator, small_nano, tmp_path_factory):
    """A run that nobody disturbed, and the seconds that each stage took."""
    root, seconds = tmp_path_factory.mktemp("whole"), {}
    shutil.copytree(corpus_folder, root / "corpus")
    for stage, (function, _) in STAGES.items():
        started = time.monotonic()
        function(*arguments(stage, root, accelerator))
        seconds[stage] = time.monotonic() - started
    return root, seconds


def kill_when_saving(process, folder):
    """SIGKILL as soon as the process writes a checkpoint over an earlier one, from which the next can go on.

    Drafts of processes before it are not its own.
    """
    checkpoint, own = folder / CHECKPOINT, f".{CHECKPOINT}.*.{process.pid}.part"
    while process.is_alive() and not (checkpoint.is_file() and list(folder.glob(own))):
        time.sleep(0.0005)
    kill(process)


def kill(process):
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()


def log_of(path):
    with safe_open(path, framework="np") as file:
        notes = {name: value for name, value in file.metadata().items() if name != "seconds"}
    return notes | {"history": without_seconds(json.loads(notes["history"]))}


def without_seconds(history):
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in history]


def assert_same_bits(ours, theirs):
    """Weights, moments, log, codes and latents of a stage's folder; clocks differ."""
    for folder in (ours, theirs):
        assert not list(folder.rglob("*.part"))
    names = sorted(path.relative_to(ours) for path in ours.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file())
    for name in names:
        if name.name == CHECKPOINT:
            assert log_of(ours / name) == log_of(theirs / name)
        if name.suffix == ".safetensors":
            with safe_open(ours / name, "np") as first, safe_open(theirs / name, "np") as second:
                assert set(first.keys()) == set(second.keys())
                for key in first.keys():  # noqa: SIM118
                    assert first.get_tensor(key).tobytes() == second.get_tensor(key).tobytes(), (name, key)
        elif name.suffix in (".npy", ".npz"):
            assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    first, second = (json.loads((folder / "metrics.json").read_text()) for folder in (ours, theirs))
    assert (first["losses"], first["steps"]) == (second["losses"], second["steps"])
    assert without_seconds(first["history"]) == without_seconds(second["history"])


@pytest.mark.parametrize("stage", list(STAGES))
def test_a_killed_stage_ends_with_the_bits_of_a_whole_one(whole, accelerator, tmp_path, stage):
    root, seconds = whole
    run, rng = shutil.copytree(root, tmp_path / "run"), np.random.default_rng(len(stage))
    kills = 0  # in a row: a run that gets to its end starts again
    for number in range(40):
        if kills == 0:
            for folder in (run / stage, *([run / "anymo"] if stage == "contrastive" else [])):
                shutil.rmtree(folder, ignore_errors=True)
        process = FORK.Process(target=STAGES[stage][0], args=arguments(stage, run, accelerator))
        process.start()
        if number % 2 == 0:
            kill_when_saving(process, run / stage)
        else:  # at any moment
            process.join(rng.uniform(0, 0.7 * seconds[stage]))
            kill(process)
        assert process.exitcode in (0, -signal.SIGKILL)
        kills = kills + 1 if process.exitcode else 0
        if kills == 4:
            break
    assert kills == 4
    last = FORK.Process(target=STAGES[stage][0], args=arguments(stage, run, accelerator))
    last.start()
    last.join()
    assert last.exitcode == 0
    assert_same_bits(run / stage, root / stage)
    if stage == "contrastive":
        assert (run / "anymo" / "model.safetensors").read_bytes() == (root / "anymo" / "model.safetensors").read_bytes()


def test_the_command_of_a_stage_goes_on_after_being_killed(whole, tmp_path):
    root, _ = whole
    shutil.copytree(root / "corpus", tmp_path / "corpus")
    config = tmp_path / "encoder.yaml"
    config.write_text("steps: 6\nbatch_size: 4\nframes: [32]\ncheckpoint_every: 1\nlog_every: 1\n")
    command = ("anymo_hf.training.stage_commands", "encoder", "--config", config, "--output", tmp_path)
    for _ in range(2):
        process = forked_program(*command, ACCELERATE_USE_CPU="true")
        kill_when_saving(process, tmp_path / "encoder")
        assert process.exitcode == -signal.SIGKILL
    last = forked_program(*command, out=tmp_path / "said.txt", ACCELERATE_USE_CPU="true")
    last.join()
    assert last.exitcode == 0, (tmp_path / "said.txt").read_text()[-3000:]
    assert_same_bits(tmp_path / "encoder", root / "encoder")
