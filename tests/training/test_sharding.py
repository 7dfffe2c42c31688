"""A sharded model learns what a plain one learns, and their checkpoints are the same files."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from support.forked import finish_ranks, forked_ranks
from torch.distributed.tensor import DTensor
from transformers import AutoModel

import anymo_hf  # noqa: F401  (registers the Auto classes)
from anymo_hf.training.settings import ContrastiveSettings, EncoderSettings, LanguageSettings, TokenizerSettings
from anymo_hf.training.sharding import shard_model
from anymo_hf.training.stage_commands import run_stage
from anymo_hf.training.stages import contrastive as contrastive_stage
from anymo_hf.training.stages import language as language_stage
from anymo_hf.training.stages.contrastive import tune_contrastive
from anymo_hf.training.stages.encoder import train_encoder
from anymo_hf.training.stages.language import train_language
from anymo_hf.training.stages.tokenizer import train_tokenizer

pytestmark = pytest.mark.slow

ENCODER = EncoderSettings(steps=1, batch_size=4, frames=[48])
TOKENIZER = TokenizerSettings(steps=1, batch_size=8, frames=[64], views_per_clip=4, rows_per_call=4)
SAME = {"log_every": 1, "latents": 12, "teacher_weight": 1.0, "teacher_texts": 20, "freeze_words": True}
SAME |= {"warmup": 0.0, "final_rate": 1.0, "learning_rate": 3e-4}  # steady, so that a run of 1 step may go on to 2
LANGUAGE = LanguageSettings(steps=2, batch_size=4, text_batch_size=4, vocab_size=400, **SAME)
CONTRASTIVE = ContrastiveSettings(
    steps=2, batch_size=8, lm_batch_size=4, candidates=3, chunk_size=2, gradient_checkpointing=True, **SAME
)
SHORT = {"language": replace(LANGUAGE, steps=1), "contrastive": replace(CONTRASTIVE, steps=1)}
WHOLE = {"language": LANGUAGE, "contrastive": CONTRASTIVE}
FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}


def train(stage, settings, root, accelerator):
    if stage == "language":
        return train_language(settings, root, accelerator)
    return tune_contrastive(settings, root, root / "anymo", accelerator)


def go_on(stage, root):
    """A stage that had ended is let go on, as its message says."""
    (root / stage / "metrics.json").unlink()


@pytest.fixture(scope="module")
def runs(corpus_folder, accelerator, small_nano, tmp_path_factory, put_teacher_vectors):
    """`plain`: 2 steps; by two sharded processes: `sharded` 2, `stopped` 1 and then 1 plain, `resumed` 1 after 1 plain."""
    top = tmp_path_factory.mktemp("sharded")
    plain = top / "plain"
    shutil.copytree(corpus_folder, plain / "corpus")
    train_encoder(ENCODER, plain, accelerator)
    train_tokenizer(TOKENIZER, plain, accelerator)
    put_teacher_vectors(plain, LANGUAGE)
    for stage in WHOLE:
        for name in ("sharded", "stopped", "resumed", "half"):  # each stage gets the plain one's inputs
            shutil.copytree(plain, top / stage / name)
        train(stage, SHORT[stage], top / stage / "resumed", accelerator)
        go_on(stage, top / stage / "resumed")
        train(stage, WHOLE[stage], plain, accelerator)
    finish_ranks(forked_ranks(train_sharded, top, folder=top, **FSDP), top)
    for stage in WHOLE:
        go_on(stage, top / stage / "stopped")
        train(stage, WHOLE[stage], top / stage / "stopped", accelerator)
    return top


def history(folder):
    entries = json.loads((folder / "metrics.json").read_text())["history"]
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]


@pytest.mark.parametrize("run", ["sharded", "stopped", "resumed"])
@pytest.mark.parametrize("stage", list(WHOLE))
def test_losses_weights_and_moments_equal_those_of_the_plain_model(runs, stage, run):
    ours, theirs = runs / stage / run / stage, runs / "plain" / stage
    first, second = history(ours), history(theirs)
    assert [entry["step"] for entry in first] == [1, 2]
    for one, other in zip(first, second, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    one, other = (load_file(folder / "checkpoint.safetensors") for folder in (ours, theirs))
    assert one.keys() == other.keys()
    for name, value in other.items():
        if name.startswith("model."):  # AdamW makes whole steps of gradients of float noise
            torch.testing.assert_close(one[name], value, rtol=1e-3, atol=2e-4, msg=lambda m, n=name: f"{n}: {m}")
        else:
            assert one[name].shape == value.shape, name


@pytest.mark.parametrize("stage", list(WHOLE))
def test_in_bfloat16_losses_are_near_and_weights_float32(runs, stage):
    for one, other in zip(history(runs / stage / "half" / stage), history(runs / "plain" / stage), strict=False):
        assert one == pytest.approx(other, rel=0.03) and one != pytest.approx(other, rel=1e-6)
    saved = load_file(runs / stage / "half" / stage / "checkpoint.safetensors")
    assert {value.dtype for value in saved.values()} == {torch.float32}


def test_the_release_of_a_sharded_run_is_whole_and_words_are_where_they_were(runs):
    root = runs / "contrastive" / "sharded"
    released, started = (
        AutoModel.from_pretrained(root / "anymo"),
        AutoModel.from_pretrained(root / "language" / "model"),
    )
    first = released.config.imu_bos_token_id
    for name in ("get_input_embeddings", "get_output_embeddings"):
        new, old = (getattr(model, name)().weight for model in (released, started))
        assert torch.equal(new[:first], old[:first])
    assert not torch.equal(new[first:], old[first:])  # the head's rows of codes
    files = [
        sorted(path.relative_to(top) for path in top.rglob("*") if path.is_file())
        for top in (root / "anymo", runs / "plain" / "anymo")
    ]
    assert files[0] == files[1]
    configs = [json.loads((top / "config.json").read_text()) for top in (root / "anymo", runs / "plain" / "anymo")]
    for config in configs:
        config.pop("_name_or_path", None)
    assert configs[0] == configs[1]


@pytest.mark.parametrize(
    ("variable", "value", "field"), [("FSDP_VERSION", "1", "fsdp_version"), ("FSDP_OFFLOAD_PARAMS", "true", "offload")]
)
def test_what_cannot_be_sharded_is_named(monkeypatch, variable, value, field):
    class Two:
        num_processes = 2

    for name, text in (FSDP | {variable: value}).items():
        monkeypatch.setenv(name, text)
    with pytest.raises(ValueError, match=rf"{field}.*fsdp\.yaml"):
        shard_model(torch.nn.Linear(2, 2), Two())


def test_deepspeed_is_refused_before_anything_is_loaded(monkeypatch, capsys, tmp_path):
    config = tmp_path / "stage.yaml"
    config.write_text("steps: 1\n")
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(SystemExit) as ended:
        run_stage("language", ["--config", str(config), "--output", str(tmp_path)])
    assert ended.value.code == 2 and "accelerate/fsdp.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "kind"), [("fsdp", "FSDP"), ("multi_gpu", "MULTI_GPU")])
def test_accelerate_reads_the_shipped_launch_files(name, kind):
    from accelerate.commands.config.config_args import load_config_from_file

    path = Path(__file__).parents[2] / "training" / "configs" / "accelerate" / f"{name}.yaml"
    config = load_config_from_file(str(path))
    assert config.distributed_type == kind and config.mixed_precision == "no"
    if kind == "FSDP":
        assert config.fsdp_config["fsdp_version"] == 2 and not config.fsdp_config["fsdp_offload_params"]


def checked(run_steps):
    """Every process trains its half of the weights only."""

    def run(name, module, *rest, **named):
        parameters = list(module.parameters())
        assert all(isinstance(parameter, DTensor) for parameter in parameters)
        held = sum(parameter.to_local().numel() for parameter in parameters)
        assert held < 0.51 * sum(parameter.numel() for parameter in parameters)
        return run_steps(name, module, *rest, **named)

    return run


def train_sharded(top):
    """What each of two sharded processes does."""
    for module in (language_stage, contrastive_stage):
        module.run_steps = checked(module.run_steps)
    process = Accelerator(cpu=True)
    for stage in WHOLE:
        train(stage, WHOLE[stage], top / stage / "sharded", process)
        train(stage, SHORT[stage], top / stage / "stopped", process)
        train(stage, WHOLE[stage], top / stage / "resumed", process)
    AcceleratorState._reset_state()
    process = Accelerator(cpu=True, mixed_precision="bf16")
    for stage in WHOLE:
        train(stage, SHORT[stage], top / stage / "half", process)
