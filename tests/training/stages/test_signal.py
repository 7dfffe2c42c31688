"""The branch of plain convolutions, trained beside a frozen encoder, and the tokenizer that reads both."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig
from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNModel
from anymo_hf.training.activity_words import ActivityContrast, ActivityWords
from anymo_hf.training.coded_views import load_codes
from anymo_hf.training.corpus import MotionCorpus
from anymo_hf.training.settings import SignalSettings, TokenizerSettings
from anymo_hf.training.stages.signal import SignalTraining, train_signal
from anymo_hf.training.stages.tokenizer import TokenizerTraining, train_tokenizer

SIGNAL = SignalSettings(steps=3, batch_size=6, frames=[32, 48], channels=[8, 12], sensors=3, log_every=1)
TOKENIZER = TokenizerSettings(
    steps=3, batch_size=8, frames=[64], views_per_clip=2, rows_per_call=3, worn_share=1, encoder="signal",
    activity_weight=0.5, log_every=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def root(corpus_folder, small_nano, tmp_path_factory, put_activity_vectors):
    """A run whose encoder exists, with sentence vectors for both stages."""
    root = tmp_path_factory.mktemp("run")
    shutil.copytree(corpus_folder, root / "corpus")
    torch.manual_seed(3)
    AnyMoSTGCNModel(AnyMoSTGCNConfig.from_preset("nano")).save_pretrained(root / "encoder" / "model")
    put_activity_vectors(root)
    return root


@pytest.fixture(scope="module")
def trained(root, accelerator):
    return train_signal(SIGNAL, root, accelerator), train_tokenizer(TOKENIZER, root, accelerator)


def test_the_graph_stays_and_a_branch_of_equal_spread_stands_beside_it(root, trained):
    metrics = trained[0]
    assert metrics["steps"] == 3 and np.isfinite(metrics["losses"]["loss"])
    before, after = (load_file(root / stage / "model" / "model.safetensors") for stage in ("encoder", "signal"))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert {name.partition(".")[0] for name in set(after) - set(before)} == {"signal_branch"}
    assert after["signal_branch.segments"].abs().sum() > 0
    model = AnyMoSTGCNModel.from_pretrained(root / "signal" / "model")
    assert model.config.signal_channels == [8, 12] and model.config.latent_dim == 60


def test_a_second_run_trains_nothing(root, trained, accelerator):
    changed = (root / "signal" / "model" / "model.safetensors").stat().st_mtime_ns
    assert train_signal(SIGNAL, root, accelerator)["finished"]
    assert (root / "signal" / "model" / "model.safetensors").stat().st_mtime_ns == changed


def test_a_stopped_run_goes_on_as_if_it_had_not(
    root, trained, accelerator, tmp_path, monkeypatch, put_activity_vectors
):
    other, whole = tmp_path / "run", SignalTraining.losses
    for part in ("corpus", "encoder"):
        shutil.copytree(root / part, other / part)
    put_activity_vectors(other, ["signal"])
    calls = []

    def stops(self, rng):
        calls.append(rng)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(self, rng)

    monkeypatch.setattr(SignalTraining, "losses", stops)
    with pytest.raises(KeyboardInterrupt):
        train_signal(replace(SIGNAL, checkpoint_every=1), other, accelerator)
    assert not (other / "signal" / "model").exists()
    train_signal(replace(SIGNAL, checkpoint_every=1), other, accelerator)
    assert len(calls) == 4  # the two steps before the stop were not made again
    first, second = (load_file(run / "signal" / "model" / "model.safetensors") for run in (root, other))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_tokenizer_reads_both_and_gives_codes(root, trained):
    metrics = trained[1]
    assert set(metrics["losses"]) == {"loss", "activity", "codes_in_batch"}
    extractor = AnyMoFeatureExtractor.from_pretrained(root / "tokenizer" / "feature_extractor")
    assert extractor.pqvae.config.input_dim == 60
    signal = np.random.default_rng(0).normal(size=(120, 6))
    codes = extractor({"left_wrist": signal}, sampling_rate=60)["imu_codes"]
    assert len(codes[0]) == 60
    views = load_codes(root / "tokenizer" / "codes.npz")
    assert len(views.length) == 12 and set(views.length.tolist()) == {16}
    latents = np.load(root / "tokenizer" / "latents" / "latents.npy")
    spread = latents.astype(np.float64).reshape(-1, 60).std(0)
    assert 0.3 < spread[48:].mean() / spread[:48].mean() < 3  # of other setups than those that it was matched on


def test_it_learns_to_tell_activities_apart(root, accelerator):
    torch.manual_seed(0)
    settings = replace(SIGNAL, batch_size=16, even_share=1.0, members=2)
    training = SignalTraining(
        settings, MotionCorpus(root / "corpus"), root / "encoder" / "model", root / "signal", accelerator
    )
    for number, texts in enumerate(training.words.phrases):  # words of an activity in a direction of their own
        for contrast in training.contrasts:
            contrast.vectors[texts] = torch.eye(contrast.vectors.shape[1])[number]
    optimizer = torch.optim.Adam([p for p in training.parameters() if p.requires_grad], 0.01)
    losses = []
    for step in range(40):
        found = training.losses(np.random.default_rng(step))
        optimizer.zero_grad()
        found.sum().backward()
        optimizer.step()
        losses.append(found.tolist())
    assert (np.mean(losses[-5:], 0) < 0.5 * np.mean(losses[:3], 0)).all() and len(losses[0]) == 2
    assert all(parameter.grad is None for parameter in training.encoder.st_gcn_networks.parameters())


def test_members_start_apart_learn_apart_and_spread_alike(root, trained, accelerator, tmp_path, put_activity_vectors):
    for part in ("corpus", "encoder"):
        shutil.copytree(root / part, tmp_path / part)
    put_activity_vectors(tmp_path, ["signal"])
    train_signal(replace(SIGNAL, members=3), tmp_path, accelerator)
    model = AnyMoSTGCNModel.from_pretrained(tmp_path / "signal" / "model").eval()
    assert model.config.signal_members == 3 and model.config.latent_dim == 48 + 3 * 12
    first, *others = (member.convolutions[0].weight for member in model.signal_branch.members)
    assert all(not torch.allclose(first, other, atol=1e-3) for other in others)
    training = SignalTraining(
        replace(SIGNAL, members=2),
        MotionCorpus(root / "corpus"),
        root / "encoder" / "model",
        root / "signal",
        accelerator,
    )
    losses = training.losses(np.random.default_rng(0))
    segments = [member.segments for member in training.branch.members]
    for number, loss in enumerate(losses):  # the loss of a member moves no other
        gradients = torch.autograd.grad(loss, segments, retain_graph=True)
        assert [bool(gradient.any()) for gradient in gradients] == [n == number for n in range(2)]
    training.match_spread()
    rng = np.random.default_rng(1)
    signals = torch.zeros(64, 32, 23, 6)
    signals[:, :, 6] = training.views(rng.choice(training.rows, 64), [6], rng)[:, :32, 0]
    worn = torch.zeros(64, 23, dtype=torch.bool)
    worn[:, 6] = True
    with torch.no_grad():
        latents = training.encoder(signals, worn).last_hidden_state.flatten(0, 1)
    graph, *parts = (part.std(0).mean() for part in latents.split([48, 12, 12], 1))
    assert all(0.3 < part / graph < 3 for part in parts)


def test_quantized_vectors_get_the_gradient_of_activities(root, trained, accelerator):
    """With the weight on Eq. 4 taken away nothing but activities moves the projection before the codebooks."""
    from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
    from anymo_hf.training.view_latents import load_latents

    extractor = AnyMoFeatureExtractor.from_pretrained(root / "tokenizer" / "feature_extractor")
    corpus, views = MotionCorpus(root / "corpus"), load_latents(root / "tokenizer")
    found = {}
    for weight in (0.0, 1.0):
        model = AnyMoPQVAEModel(extractor.pqvae.config)
        model.load_state_dict(extractor.pqvae.state_dict())
        settings = replace(TOKENIZER, activity_weight=weight)
        torch.manual_seed(0)
        training = TokenizerTraining(settings, model, views, corpus, root / "tokenizer", accelerator)
        losses = training.backward(np.random.default_rng(0))
        found[weight] = losses, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    assert "activity" not in found[0.0][0] and found[1.0][0]["loss"] == found[0.0][0]["loss"]
    assert not torch.allclose(found[0.0][1]["pre_quant.1.weight"], found[1.0][1]["pre_quant.1.weight"])
    for name, gradient in found[0.0][1].items():
        if name.startswith("decoder."):
            torch.testing.assert_close(gradient, found[1.0][1][name])


def test_the_loss_is_the_cross_entropy_of_cosines_with_a_phrase_of_every_activity(root, accelerator):
    words = ActivityWords(MotionCorpus(root / "corpus").clips, True)
    torch.manual_seed(0)
    contrast = ActivityContrast(words, 4, 0.2, root / "signal", accelerator).eval()
    states = torch.randn(5, 7, 4)
    mask = torch.arange(7) < torch.tensor([[7], [3], [5], [1], [6]])
    clips = np.array([0, 1, 2, 3, 5])
    found = contrast(states, mask, clips, np.random.default_rng(4)).item()
    spoken = contrast.vectors[words.draw(np.random.default_rng(4))].numpy().astype(float)
    total = 0.0
    for row, clip in enumerate(clips):
        real = states[row, : int(mask[row].sum())].double().numpy()
        pooled = np.concatenate([real.mean(0), real.max(0)]) / np.sqrt(1 + 1e-5)
        said = contrast.head.weight.detach().double().numpy() @ pooled + contrast.head.bias.detach().double().numpy()
        scores = spoken @ said / np.linalg.norm(said) / 0.2
        total += np.log(np.exp(scores).sum()) - scores[words.activity[clip]]
    assert found == pytest.approx(total / len(clips), rel=1e-4)


def test_words_of_a_wider_activity_are_neither_right_nor_wrong(corpus):
    words = ActivityWords([replace(corpus.clips[0], activity=name) for name in ("jogging", "running", "walking")], True)
    pairs = {(words.names[a], words.names[b]) for a, b in words.unsaid.nonzero().tolist()}
    assert pairs == {("jogging", "running"), ("running", "jogging")}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"channels": []}, "channels must hold at least one width"),
        ({"channels": [8]}, "1 layers, .* stride of 4"),
        ({"frames": [4000]}, "frames asks for windows of 4000"),
    ],
)
def test_bad_settings_are_refused(root, accelerator, change, message):
    with pytest.raises(ValueError, match=message):
        train_signal(replace(SIGNAL, **change), root, accelerator)


def test_a_missing_encoder_is_named(corpus_folder, accelerator, tmp_path):
    shutil.copytree(corpus_folder, tmp_path / "corpus")
    with pytest.raises(OSError, match=r"no trained encoder in .*encoder/model; run training/pretrain_encoder.py first"):
        train_signal(SIGNAL, tmp_path, accelerator)
    with pytest.raises(OSError, match=r"no trained encoder in .*signal/model; run training/add_signal_branch.py first"):
        train_tokenizer(TOKENIZER, tmp_path, accelerator)
