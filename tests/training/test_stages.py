"""All four stages in a row on a tiny corpus, their resumption, and the release that comes out."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoProcessor

import anymo_hf  # noqa: F401  (registers the Auto classes)
from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from anymo_hf.modeling.modeling_anymo import AnyMoForConditionalGeneration
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from anymo_hf.modeling.processing_anymo import IGNORED
from anymo_hf.training import average_releases
from anymo_hf.training import losses as losses_package
from anymo_hf.training.batches import stage_texts
from anymo_hf.training.coded_views import load_codes
from anymo_hf.training.collators import pad_examples, text_examples
from anymo_hf.training.corpus import MotionCorpus
from anymo_hf.training.language_model import build_language_model
from anymo_hf.training.losses.next_token import token_loss
from anymo_hf.training.settings import (
    ContrastiveSettings,
    EncoderSettings,
    LanguageSettings,
    ResidualSettings,
    SignalSettings,
    TokenizerSettings,
)
from anymo_hf.training.stages import contrastive as contrastive_stage
from anymo_hf.training.stages import encoder as encoder_stage
from anymo_hf.training.stages import language as language_stage
from anymo_hf.training.stages import tokenizer as tokenizer_stage
from anymo_hf.training.stages.contrastive import tune_contrastive
from anymo_hf.training.stages.encoder import train_encoder
from anymo_hf.training.stages.language import train_language
from anymo_hf.training.stages.residual import ResidualTraining, tune_residual
from anymo_hf.training.stages.signal import train_signal
from anymo_hf.training.stages.tokenizer import train_tokenizer

ENCODER = EncoderSettings(steps=3, batch_size=4, frames=[64], worn_share=0.5, views={"soft_attachment": 0.5})
TOKENIZER = TokenizerSettings(steps=3, batch_size=8, frames=[64, 90], views_per_clip=4, rows_per_call=3, worn_share=1)
LANGUAGE = LanguageSettings(steps=2, batch_size=4, text_batch_size=4, vocab_size=400, latents=12)
CONTRASTIVE = ContrastiveSettings(steps=3, batch_size=6, lm_batch_size=2, candidates=3, latents=12)
STAGES = {"encoder": encoder_stage, "tokenizer": tokenizer_stage, "language": language_stage,
          "contrastive": contrastive_stage}  # fmt: skip


def run_all(root, accelerator):
    return {
        "encoder": train_encoder(ENCODER, root, accelerator),
        "tokenizer": train_tokenizer(TOKENIZER, root, accelerator),
        "language": train_language(LANGUAGE, root, accelerator),
        "contrastive": tune_contrastive(CONTRASTIVE, root, root / "anymo", accelerator),
    }


@pytest.fixture(scope="module")
def finished(corpus_folder, accelerator, small_nano, tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    shutil.copytree(corpus_folder, root / "corpus")
    return root, run_all(root, accelerator)


@pytest.fixture
def run(finished, tmp_path):
    """The finished run to work on. Links are enough, for stages never write into a file: a test that does unlinks it."""
    return shutil.copytree(finished[0], tmp_path / "run", copy_function=os.link)


def recording(seconds=3, seed=0):
    return np.random.default_rng(seed).normal(size=(seconds * 50, 6))


def embeddings(folder):
    model, processor = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    batch = processor(
        imu=[{"left_wrist": recording()}, {"head": recording(2, 1), "right_pocket": recording(2, 2)}],
        sampling_rate=50,
        return_tensors="pt",
    )
    with torch.no_grad():
        imu = model.get_imu_features(**batch).pooler_output
        text = model.get_text_features(**processor(text=["walking", "sitting"], return_tensors="pt")).pooler_output
    return imu, text


def test_every_stage_reports_its_steps_and_losses(finished):
    _, metrics = finished
    assert {name: (m["stage"], m["steps"]) for name, m in metrics.items()} == {
        "encoder": ("encoder", 3), "tokenizer": ("tokenizer", 3), "language": ("language", 2),
        "contrastive": ("contrastive", 3),
    }  # fmt: skip
    for stage, losses in (
        ("encoder", {"loss", "accuracy"}),
        ("tokenizer", {"loss", "codes_in_batch"}),
        ("language", {"motion", "text"}),
        ("contrastive", {"narration", "label", "instruction"}),
    ):
        found = metrics[stage]["losses"]
        assert set(found) == losses and np.isfinite(list(found.values())).all()
    # untrained, a loss is near that of an even guess
    assert metrics["encoder"]["history"][0]["loss"] == pytest.approx(2 * np.log(4), abs=0.5)


def test_the_release_loads_and_embeds_to_unit_length(finished):
    imu, text = embeddings(finished[0] / "anymo")
    for rows in (imu, text):
        assert rows.shape[0] == 2 and torch.isfinite(rows).all()
        torch.testing.assert_close(rows.norm(dim=-1), torch.ones(2))
    assert not torch.allclose(imu[0], imu[1]) and not torch.allclose(text[0], text[1])
    processor = AutoProcessor.from_pretrained(finished[0] / "anymo")
    model = AutoModelForCausalLM.from_pretrained(finished[0] / "anymo")
    inputs = processor.generation_inputs(imu={"waist": recording()}, sampling_rate=50)
    assert model.generate(**inputs, do_sample=False, max_new_tokens=3).shape[1] <= inputs["input_ids"].shape[1] + 3


def test_codes_belong_to_the_corpus_and_to_the_frozen_encoder(finished):
    root, _ = finished
    views, corpus = load_codes(root / "tokenizer" / "codes.npz"), MotionCorpus(root / "corpus")
    assert len(views.length) == 4 * len(corpus)
    assert sorted(views.clip.tolist()) == sorted(list(range(len(corpus))) * 4)
    assert set(views.length.tolist()) <= {16, 23}  # a quarter of 64 and of 90, rounded up
    assert all(views.worn(row) for row in range(len(views.length)))
    trained = AnyMoSTGCNForPreTraining.from_pretrained(root / "encoder" / "model").encoder.state_dict()
    extractor = AutoProcessor.from_pretrained(root / "anymo").feature_extractor
    for name, value in extractor.stgcn.state_dict().items():
        assert torch.equal(value, trained[name]), name
    # the language model looks codes up in the very codebook that wrote them
    released = AutoModel.from_pretrained(root / "anymo")
    torch.testing.assert_close(
        released.codebook.flatten(), extractor.pqvae.quantizer.embedding.flatten(), rtol=0, atol=0
    )


def test_a_second_run_returns_the_metrics_without_work(finished, accelerator, monkeypatch):
    root, first = finished
    files = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    for module in STAGES.values():
        monkeypatch.setattr(module, "run_steps", None)
    again = run_all(root, accelerator)
    for name, metrics in first.items():
        assert again[name]["finished"]
        assert {key: again[name][key] for key in ("fingerprint", "steps", "losses", "history")} == {
            key: metrics[key] for key in ("fingerprint", "steps", "losses", "history")
        }
    assert files == {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


LOST = [
    "encoder/model", "encoder/model/model.safetensors", "encoder/model/config.json", "tokenizer/codes.npz",
    "tokenizer/feature_extractor", "tokenizer/feature_extractor/imu_tokenizer/model.safetensors", "language/model",
    "language/model/tokenizer.json", "anymo", "anymo/model.safetensors", "anymo/imu_tokenizer/config.json",
]  # fmt: skip


def without_steps(monkeypatch):
    """Stages may load, but not train."""

    def loaded(plain):
        return lambda name, module, step, *rest, **named: plain(name, module, None, *rest, **named)

    for module in STAGES.values():
        monkeypatch.setattr(module, "run_steps", loaded(module.run_steps))


def contents(root, *places):
    """Bytes of every file; configurations name the folder their model came from, which is taken out."""
    found = {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    for place in places:
        found = {name: content.replace(str(place).encode(), b"") for name, content in found.items()}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("lost", LOST)
def test_lost_results_are_written_again_from_the_checkpoint(run, finished, accelerator, monkeypatch, lost):
    shutil.rmtree(run / lost) if (run / lost).is_dir() else (run / lost).unlink()
    without_steps(monkeypatch)
    run_all(run, accelerator)
    ours, theirs = contents(run, run, finished[0]), contents(finished[0], finished[0])
    assert ours.keys() == theirs.keys()
    numbers = {name for name in ours if name.name == "metrics.json"}  # the order of keys may differ
    assert all(json.loads(ours[name]) == json.loads(theirs[name]) for name in numbers)
    # byte by byte, so that later stages see the inputs they were trained on
    assert [name for name in ours.keys() - numbers if ours[name] != theirs[name]] == []


@pytest.mark.slow
def test_without_its_checkpoint_a_stage_starts_again(run, finished, accelerator):
    shutil.rmtree(run / "encoder" / "model")
    (run / "encoder" / "checkpoint.safetensors").unlink()
    train_encoder(ENCODER, run, accelerator)
    ours, theirs = (load_file(root / "encoder" / "model" / "model.safetensors") for root in (run, finished[0]))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
def test_damaged_metrics_stop_the_stage_and_say_so(run, accelerator):
    path = run / "language" / "metrics.json"
    half = path.read_text()[:40]
    path.unlink()
    path.write_text(half)
    with pytest.raises(OSError, match=r"language.metrics\.json is damaged.*delete it"):
        train_language(LANGUAGE, run, accelerator)
    path.unlink()
    metrics = train_language(LANGUAGE, run, accelerator)  # what the message says
    assert metrics["steps"] == LANGUAGE.steps and metrics["history"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["encoder", "tokenizer", "language", "contrastive"])
def test_a_stage_stopped_after_two_steps_ends_where_the_whole_one_does(run, finished, accelerator, monkeypatch, stage):
    """The stage is stopped by its third batch; a checkpoint after every step lets it go on."""
    names = {
        "encoder": (train_encoder, replace(ENCODER, checkpoint_every=1), ()),
        "tokenizer": (train_tokenizer, replace(TOKENIZER, checkpoint_every=1), ()),
        "language": (train_language, replace(LANGUAGE, checkpoint_every=1), ()),
        "contrastive": (tune_contrastive, replace(CONTRASTIVE, checkpoint_every=1), (run / "anymo",)),
    }
    function, settings, extra = names[stage]
    shutil.rmtree(run / stage)
    plain, last = STAGES[stage].run_steps, settings.steps - 1

    def stopped(name, module, step, *rest, **named):
        def until(number, rng):
            if number == last:
                raise KeyboardInterrupt
            return step(number, rng)

        return plain(name, module, until, *rest, **named)

    monkeypatch.setattr(STAGES[stage], "run_steps", stopped)
    with pytest.raises(KeyboardInterrupt):
        function(settings, run, *extra, accelerator)
    monkeypatch.setattr(STAGES[stage], "run_steps", plain)
    torch.manual_seed(12345)
    metrics = function(settings, run, *extra, accelerator)
    assert metrics["steps"] == settings.steps
    ours, theirs = (load_file(root / stage / "checkpoint.safetensors") for root in (run, finished[0]))
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


@pytest.mark.slow
def test_grad_cache_trains_as_one_piece_does(run, finished, accelerator):
    shutil.rmtree(run / "contrastive")
    metrics = tune_contrastive(replace(CONTRASTIVE, chunk_size=2), run, run / "other", accelerator)
    whole = finished[1]["contrastive"]["history"]
    for ours, theirs in zip(metrics["history"], whole, strict=True):
        for name in ("narration", "label", "instruction"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [1, 4, 6])
def test_grad_cache_gives_the_gradients_of_one_graph_with_dropout_on(run, accelerator, monkeypatch, chunk_size):
    shutil.rmtree(run / "contrastive")
    found = []

    def one_graph(groups, loss, backward):
        value = loss(*(torch.cat([embed() for embed in group]) for group in groups))
        backward(value)
        return value.detach()

    def one_step(name, module, step, *rest):
        module.double().train()
        for layer in module.modules():
            if hasattr(layer, "attention_dropout"):
                layer.attention_dropout = 0.2
        torch.manual_seed(3)  # dropout of every chunk falls alike in both ways
        losses = step(0, np.random.default_rng(0))
        found.append({key: value.grad for key, value in module.named_parameters() if value.grad is not None} | losses)
        raise KeyboardInterrupt

    monkeypatch.setattr(contrastive_stage, "run_steps", one_step)
    chosen = replace(CONTRASTIVE, chunk_size=chunk_size, lm_weight=0.0)
    for backward in (contrastive_stage.cached_backward, one_graph):
        monkeypatch.setattr(contrastive_stage, "cached_backward", backward)
        with pytest.raises(KeyboardInterrupt):
            tune_contrastive(chosen, run, run / "other", accelerator)
    cached, plain = found
    assert cached.keys() == plain.keys() and len(plain) > 20
    for name in plain:
        torch.testing.assert_close(cached[name], plain[name], rtol=1e-6, atol=1e-6, msg=name)


def test_the_token_loss_of_mixed_lengths_is_that_of_single_texts(run, accelerator):
    model = AnyMoForConditionalGeneration.from_pretrained(run / "language" / "model").double().train()
    processor = AutoProcessor.from_pretrained(run / "anymo")
    views = load_codes(run / "tokenizer" / "codes.npz")
    examples = [processor.language_example(views.tokens(row, 3 + row), views.worn(row), "motion") for row in range(3)]
    examples += text_examples(processor, ["sits", "walks round the room and sits down"])
    assert len({len(example["input_ids"]) for example in examples}) > 3

    def loss_and_gradients(rows):
        model.zero_grad()
        loss = token_loss(model, pad_examples(rows, processor.tokenizer.pad_token_id), accelerator)
        loss.backward()
        return loss.detach(), [value.grad.clone() for value in model.parameters() if value.grad is not None]

    total, gradients = loss_and_gradients(examples)
    counts = [sum(label != IGNORED for label in example["labels"][1:]) for example in examples]
    singles = [loss_and_gradients([example]) for example in examples]
    share = [count / sum(counts) for count in counts]
    expected = sum(part * loss for part, (loss, _) in zip(share, singles, strict=True))
    torch.testing.assert_close(total, expected, rtol=1e-6, atol=0)
    for index, gradient in enumerate(gradients):
        wanted = sum(part * single[index] for part, (_, single) in zip(share, singles, strict=True))
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-7)


def test_the_tokenizer_loss_of_mixed_lengths_is_that_of_single_windows(run):
    pqvae = AutoProcessor.from_pretrained(run / "anymo").feature_extractor.pqvae.eval()
    lengths, latents = [7, 3, 1], torch.randn(3, 7, pqvae.config.input_dim)
    mask = torch.arange(7) < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        singles = [pqvae(latents[row : row + 1, :length]).loss * length for row, length in enumerate(lengths)]
        torch.testing.assert_close(pqvae(latents, mask).loss, sum(singles) / sum(lengths), rtol=1e-5, atol=1e-6)


TOY_LOSS = '''
"""A window should lie where a linear map puts its text."""

from anymo_hf.training.losses import AddedLoss
from torch import nn


class MappedTexts(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.map = nn.Linear(dim, dim)

    def forward(self, pairs):
        assert len(pairs.words) == len(pairs.clips) == len(pairs.gather(pairs.windows))
        return (pairs.windows - self.map(pairs.texts)).square().sum(1).mean()


EMBEDDING_LOSS = AddedLoss("toy", lambda context: MappedTexts(context.config.projection_dim))
'''


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["language", "contrastive"])
def test_one_new_file_is_a_new_loss_of_the_language_stages(stage, finished, run, accelerator, tmp_path, monkeypatch):
    folder = tmp_path / "losses"
    folder.mkdir()
    (folder / "toy_mapped_texts.py").write_text(TOY_LOSS)
    monkeypatch.setattr(losses_package, "__path__", [*losses_package.__path__, str(folder)])
    train, settings, out = {
        "language": (train_language, LANGUAGE, ()),
        "contrastive": (tune_contrastive, CONTRASTIVE, (run / "anymo",)),
    }[stage]
    files = {"language": run / "language" / "model", "contrastive": run / "anymo"}[stage] / "model.safetensors"
    without, histories = finished[1][stage]["history"], {}
    names = load_file(files).keys()
    for weight in (0.0, 1000.0):
        shutil.rmtree(run / stage)
        chosen = replace(settings, added_losses={"toy": weight}, log_every=1, warmup=0, steps=3)
        histories[weight] = train(chosen, run, *out, accelerator)["history"]
        assert load_file(files).keys() == names  # the loss's own weights are in checkpoints only
        assert any("toy.map.weight" in name for name in load_file(run / stage / "checkpoint.safetensors"))
    # the other losses draw and begin as they do without it
    assert all(histories[0.0][0][name] == value for name, value in without[0].items() if name != "seconds")
    assert histories[0.0][0]["toy"] == histories[1000.0][0]["toy"]
    assert histories[1000.0][-1]["toy"] < histories[0.0][-1]["toy"]


@pytest.mark.slow
def test_a_teacher_takes_part_in_both_language_stages(run, accelerator, put_teacher_vectors):
    for stage in ("language", "contrastive", "anymo"):
        shutil.rmtree(run / stage)
    words = {"teacher_weight": 1.0, "teacher_texts": 12}
    put_teacher_vectors(run, replace(LANGUAGE, **words))
    for metrics in (
        train_language(replace(LANGUAGE, **words), run, accelerator),
        tune_contrastive(replace(CONTRASTIVE, **words), run, run / "anymo", accelerator),
    ):
        assert 0 < metrics["losses"]["teacher"] < 4  # a gap of cosines is at most 2


@pytest.mark.slow
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_frozen_words_stay_and_codes_learn(run, accelerator, weight_decay):
    for stage in ("language", "contrastive"):
        shutil.rmtree(run / stage)
    chosen = replace(LANGUAGE, freeze_words=True, weight_decay=weight_decay)
    extractor = AnyMoFeatureExtractor.from_pretrained(run / "tokenizer" / "feature_extractor")
    texts = stage_texts(run, MotionCorpus(run / "corpus"))
    torch.manual_seed(chosen.seed)
    before, tokenizer = build_language_model(chosen, extractor, texts)
    train_language(chosen, run, accelerator)
    tuning = replace(CONTRASTIVE, freeze_words=True, weight_decay=weight_decay)
    tune_contrastive(tuning, run, run / "frozen", accelerator)
    first = tokenizer.imu_bos_token_id
    for folder in (run / "language" / "model", run / "frozen"):
        after = AutoModelForCausalLM.from_pretrained(folder)
        for name in ("get_input_embeddings", "get_output_embeddings"):
            old, new = (getattr(model, name)().weight for model in (before, after))
            assert torch.equal(old[:first], new[:first])
        assert not torch.equal(old[first:], new[first:])


@pytest.mark.slow
def test_the_tokenizer_counts_as_many_books_as_it_has(run, accelerator, monkeypatch):
    class OneBook(tokenizer_stage.AnyMoPQVAEConfig):
        @classmethod
        def from_preset(cls, name, **kwargs):
            return tokenizer_stage.AnyMoPQVAEModel.config_class.from_preset(name, num_codebooks=1, **kwargs)

    monkeypatch.setattr(tokenizer_stage, "AnyMoPQVAEConfig", OneBook)
    shutil.rmtree(run / "tokenizer")
    metrics = train_tokenizer(TOKENIZER, run, accelerator)
    codes = load_codes(run / "tokenizer" / "codes.npz").codes
    assert codes.shape[-1] == 1 and metrics["losses"]["codes_in_batch"] >= 1


def test_stages_name_what_is_missing(corpus_folder, accelerator, tmp_path):
    shutil.copytree(corpus_folder, tmp_path / "corpus")
    with pytest.raises(OSError, match="pretrain_encoder"):
        train_tokenizer(TOKENIZER, tmp_path, accelerator)
    with pytest.raises(OSError, match="train_tokenizer"):
        train_language(LANGUAGE, tmp_path, accelerator)
    with pytest.raises(OSError, match="pretrain_language"):
        tune_contrastive(CONTRASTIVE, tmp_path, tmp_path / "anymo", accelerator)
    with pytest.raises(ValueError, match="windows of 300.*clips of 120"):
        train_encoder(EncoderSettings(frames=[300]), tmp_path, accelerator)


@pytest.mark.slow
def test_a_bad_clip_stops_the_encoder_and_is_named(run, accelerator, monkeypatch):
    """A clip of NaN in the third batch; the checkpoint of the second stays."""
    shutil.rmtree(run / "encoder")
    settings, read, calls = replace(ENCODER, checkpoint_every=1), MotionCorpus.read, []

    def broken(self, rows, *rest):
        calls.append(sorted(int(row) for row in rows))
        terms = read(self, rows, *rest)
        if len(calls) == 3:
            terms[0][:] = float("nan")
        return terms

    monkeypatch.setattr(MotionCorpus, "read", broken)
    with pytest.raises(ValueError, match="encoder: loss is nan at step 3") as error:
        train_encoder(settings, run, accelerator)
    assert f"corpus clips {calls[2]}" in str(error.value) and "good state of step 2 is kept" in str(error.value)
    assert not (run / "encoder" / "model").exists()
    monkeypatch.setattr(MotionCorpus, "read", read)
    assert train_encoder(settings, run, accelerator)["steps"] == 3  # and goes on from there


@pytest.mark.parametrize("keep", [0, 100, 0.5, -30, "text", "fields"])
def test_damaged_codes_are_refused_with_what_to_do(run, accelerator, keep):
    path = run / "tokenizer" / "codes.npz"
    whole = path.read_bytes()
    path.unlink()
    if keep == "text":
        path.write_text("codes")
    elif keep == "fields":
        np.savez(path, codes=np.zeros((2, 3, 2), np.int16))
    else:
        path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(OSError, match=r"codes\.npz: .*delete it and run training/train_tokenizer"):
        train_language(LANGUAGE, run, accelerator)
    path.unlink()
    train_tokenizer(TOKENIZER, run, accelerator)  # what the message says
    assert path.read_bytes() == whole


def test_other_settings_do_not_continue_a_run(run, accelerator):
    with pytest.raises(ValueError, match="other settings or inputs"):
        train_encoder(replace(ENCODER, learning_rate=0.5), run, accelerator)


@pytest.mark.slow
def test_a_run_may_go_on_from_the_models_of_an_earlier_one(run, tmp_path, accelerator):
    later = tmp_path / "later"
    shutil.copytree(run / "corpus", later / "corpus")
    start = run / "encoder" / "model"
    train_encoder(replace(ENCODER, steps=1, learning_rate=1e-12, start_from=str(start)), later, accelerator)
    weights = "model.safetensors"
    before, after = load_file(start / weights), load_file(later / "encoder" / "model" / weights)
    learned = [name for name in before if "running" not in name and "num_batches" not in name]
    for name in learned:  # a step of almost no size
        torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=0)
    fresh = replace(ENCODER, steps=1, learning_rate=1e-12)
    with pytest.raises(ValueError, match="other settings or inputs"):
        train_encoder(fresh, later, accelerator)
    start = run / "tokenizer" / "feature_extractor"
    train_tokenizer(replace(TOKENIZER, steps=1, learning_rate=1e-12, start_from=str(start)), later, accelerator)
    train_language(replace(LANGUAGE, steps=1, learning_rate=1e-12, start_from=str(run / "anymo")), later, accelerator)
    before, after = load_file(run / "anymo" / weights), load_file(later / "language" / "model" / weights)
    assert before.keys() == after.keys()
    for name in before:
        if "codebook" not in name:
            torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=0)
    extractor = AutoProcessor.from_pretrained(run / "anymo").feature_extractor.pqvae.quantizer.embedding
    codebook = next(value for name, value in after.items() if name.endswith("codebook"))
    assert codebook.shape == extractor.shape


def test_a_release_goes_on_with_codes_of_an_encoder_that_has_a_branch(run, accelerator, put_activity_vectors):
    put_activity_vectors(run, ["signal"])
    signal = SignalSettings(steps=2, batch_size=4, frames=[32], channels=[6, 12], sensors=2)
    train_signal(signal, run, accelerator)
    for stage in ("tokenizer", "language", "contrastive"):
        shutil.rmtree(run / stage)
    train_tokenizer(replace(TOKENIZER, encoder="signal"), run, accelerator)
    train_language(replace(LANGUAGE, start_from=str(run / "anymo")), run, accelerator)
    tune_contrastive(CONTRASTIVE, run, run / "wider", accelerator)
    imu, _ = embeddings(run / "wider")
    torch.testing.assert_close(imu.norm(dim=-1), torch.ones(2))
    both = AutoModelForSequenceClassification.from_pretrained(run / "wider", num_labels=2, classifier_input="imu")
    assert both.config.pqvae_config.input_dim == both.config.stgcn_config.latent_dim == 60
    extractor = AutoProcessor.from_pretrained(run / "wider").feature_extractor
    assert torch.equal(both.imu_tokenizer.stgcn.signal_branch.segments, extractor.stgcn.signal_branch.segments)


def test_a_language_model_of_another_depth_is_no_start(run, tmp_path):
    model = AnyMoForConditionalGeneration.from_pretrained(run / "anymo")
    text = model.config.text_config
    text.num_hidden_layers, text.layer_types = 1, ["full_attention"]
    AnyMoForConditionalGeneration(model.config).save_pretrained(tmp_path / "shallow")
    extractor = AutoProcessor.from_pretrained(run / "anymo").feature_extractor
    with pytest.raises(ValueError, match=r"start_from: .*shallow has .*'num_hidden_layers': 1.*asks for"):
        build_language_model(replace(LANGUAGE, start_from=str(tmp_path / "shallow")), extractor, ["a text"])


@pytest.mark.parametrize("stage", ["encoder", "tokenizer", "language", "contrastive"])
def test_a_start_that_is_not_there_is_named(run, stage, accelerator, tmp_path):
    work = {"encoder": (train_encoder, ENCODER), "tokenizer": (train_tokenizer, TOKENIZER),
            "language": (train_language, LANGUAGE)}  # fmt: skip
    with pytest.raises((OSError, ValueError), match="start_from"):
        if stage == "contrastive":
            tune_contrastive(replace(CONTRASTIVE, start_from="x"), run, tmp_path / "anymo", accelerator)
        else:
            function, settings = work[stage]
            function(replace(settings, start_from=str(tmp_path / "nowhere")), run, accelerator)


def residual_settings(run, **changes):
    values = {"steps": 4, "batch_size": 16, "latents": 12, "start_from": str(run / "anymo")}
    return ResidualSettings(**values | changes)


def both_parts(folder, views):
    """Mean lengths of the language model's part and of the scaled residual over all views, from the model's own pieces."""
    model, processor = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    codes = [views.tokens(row, 12) for row in range(len(views.length))]
    worn = [views.worn(row) for row in range(len(codes))]
    batch = processor(imu_codes=codes, imu_placements=worn, return_tensors="pt")
    mask = batch["imu_pooling_mask"].bool()
    with torch.no_grad():
        states = model.get_imu_features(**batch).last_hidden_state
        language = model.imu_embedding_head(model.imu_pooler(states, mask))
        embeds = model.get_input_embeddings()(batch["imu_input_ids"])
        mean = torch.stack([rows[chosen].mean(0) for rows, chosen in zip(embeds, mask, strict=True)])
        residual = model.imu_residual_head(model.imu_residual_norm(mean)) * model.imu_residual_scale
    return language.norm(dim=-1).mean(), residual.norm(dim=-1).mean()


def test_a_tuned_release_has_another_residual_as_long_as_asked_and_nothing_else_has_changed(run, accelerator):
    metrics = tune_residual(residual_settings(run, residual_share=3.0), run, run / "tuned", accelerator)
    assert metrics["stage"] == "residual" and metrics["steps"] == 4
    assert metrics["history"][0]["label"] == pytest.approx(np.log(3), abs=0.6)
    before, after = (load_file(run / name / "model.safetensors") for name in ("anymo", "tuned"))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name].float(), after[name].float())}
    assert changed == {"imu_residual_norm.weight", "imu_residual_head.weight", "imu_residual_scale"}
    language, residual = both_parts(run / "tuned", load_codes(run / "tokenizer" / "codes.npz"))
    assert residual / language == pytest.approx(3.0, rel=0.05)
    scale = json.loads((run / "tuned" / "config.json").read_text())["imu_residual_scale"]
    assert scale == pytest.approx(after["imu_residual_scale"].item(), rel=1e-6)
    imu, _ = embeddings(run / "tuned")
    assert not torch.allclose(imu, embeddings(run / "anymo")[0])
    changed_at = (run / "tuned" / "model.safetensors").stat().st_mtime_ns
    again = tune_residual(residual_settings(run, residual_share=3.0), run, run / "tuned", accelerator)
    assert again["finished"] and (run / "tuned" / "model.safetensors").stat().st_mtime_ns == changed_at


def test_a_residual_learns_what_codes_say_of_activities(run, accelerator):
    """Every activity has a code of its own and words in a direction of their own, so the loss must nearly vanish."""
    model = AnyMoForConditionalGeneration.from_pretrained(run / "anymo").requires_grad_(False)
    corpus, views = MotionCorpus(run / "corpus"), load_codes(run / "tokenizer" / "codes.npz")
    training = ResidualTraining(
        residual_settings(run), model, AutoProcessor.from_pretrained(run / "anymo"), corpus, views, accelerator
    )
    activity = training.activities.activity[views.clip]
    training.views = replace(views, codes=np.broadcast_to(activity[:, None, None], views.codes.shape).astype(np.int16))
    for number, rows in enumerate(training.activities.phrases):
        training.words[rows] = torch.eye(training.words.shape[1])[number]
    optimizer, rng = torch.optim.Adam(training.residual.parameters(), 0.05), np.random.default_rng(0)
    for _ in range(250):
        loss = training.losses(rng)["label"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    rows = np.array([0, 5])
    with torch.no_grad():
        mean = torch.stack(
            [model.get_input_embeddings().project_codes(torch.tensor([a, a + 512])).mean(0) for a in activity[rows]]
        )
        own = torch.nn.functional.normalize(model.imu_residual_head(model.imu_residual_norm(mean)), dim=-1)
        torch.testing.assert_close(training.embeds(rows, 9), own)


def test_a_residual_without_a_release_or_with_other_codes_is_refused(run, accelerator):
    with pytest.raises(ValueError, match="start_from: name the folder"):
        tune_residual(residual_settings(run, start_from=None), run, run / "tuned", accelerator)
    with pytest.raises(OSError, match="no release in .*nowhere"):
        tune_residual(residual_settings(run, start_from=str(run / "nowhere")), run, run / "tuned", accelerator)
    weights = run / "tokenizer" / "feature_extractor" / "imu_tokenizer" / "model.safetensors"
    tensors = load_file(weights)
    name = next(name for name in tensors if name.endswith("quantizer.embedding"))
    tensors[name] = tensors[name] + 1
    weights.unlink()  # a link to the finished run's
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(ValueError, match="different codebooks"):
        tune_residual(residual_settings(run), run, run / "tuned", accelerator)
    assert not (run / "tuned").exists()


def test_an_average_lies_between_two_releases_of_a_run(run, accelerator):
    tune_residual(residual_settings(run), run, run / "tuned", accelerator)
    average_releases.main([str(run / "anymo"), str(run / "tuned"), "--share", "0.25", "--output", str(run / "between")])
    first, second, found = (load_file(run / name / "model.safetensors") for name in ("anymo", "tuned", "between"))
    assert found.keys() == first.keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor.double(), 0.75 * first[name].double() + 0.25 * second[name].double())
    assert not torch.equal(found["imu_residual_head.weight"], first["imu_residual_head.weight"])
    imu, text = embeddings(run / "between")
    torch.testing.assert_close(text, embeddings(run / "anymo")[1])
    assert not torch.allclose(imu, embeddings(run / "anymo")[0])


@pytest.mark.parametrize(
    "words, message",
    [
        (["anymo", "nowhere"], "nowhere is no release"),
        (["anymo", "anymo", "--share", "1.5"], "share must be between 0 and 1, got 1.5"),
        (["anymo", "other"], "different motion codes"),
    ],
)
def test_what_cannot_be_averaged_is_refused(run, capsys, monkeypatch, words, message):
    shutil.copytree(run / "anymo", run / "other")
    for name, key in (("", "codebook"), ("imu_tokenizer", "quantizer.embedding")):
        weights = run / "other" / name / "model.safetensors"
        tensors = load_file(weights)
        found = next(tensor for tensor in tensors if tensor.endswith(key))
        save_file(tensors | {found: tensors[found] + 1}, weights, metadata={"format": "pt"})
    monkeypatch.chdir(run)
    with pytest.raises(SystemExit) as stopped:
        average_releases.main([*words, "--output", "between"])
    assert stopped.value.code == 2 and message in capsys.readouterr().err
    assert not (run / "between").exists()
