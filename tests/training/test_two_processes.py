"""Two processes learn what one learns at equal global batch, in every stage and in the parts that talk to each other."""

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from functools import partial
from unittest import mock

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from support.forked import finish_ranks, forked_ranks
from torch import nn

from anymo_hf.modeling.configuration_anymo import AnyMoPQVAEConfig, AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_pqvae import ProductQuantizer
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from anymo_hf.training import embedding_losses, settings
from anymo_hf.training.activity_words import ActivityContrast, ActivityWords
from anymo_hf.training.corpus import MotionCorpus
from anymo_hf.training.grad_cache import cached_backward
from anymo_hf.training.losses import AddedLoss
from anymo_hf.training.losses.full_view_contrast import FullViewContrast
from anymo_hf.training.losses.matched_contrast import matched_contrastive_loss
from anymo_hf.training.processes import average_gradients, gather_rows, local_part
from anymo_hf.training.settings import (
    ContrastiveSettings,
    EncoderSettings,
    LanguageSettings,
    SignalSettings,
    TokenizerSettings,
)
from anymo_hf.training.stage_commands import run_stage
from anymo_hf.training.stages import tokenizer as tokenizer_stage
from anymo_hf.training.stages.contrastive import tune_contrastive
from anymo_hf.training.stages.encoder import train_encoder
from anymo_hf.training.stages.language import train_language
from anymo_hf.training.stages.signal import train_signal
from anymo_hf.training.stages.tokenizer import train_tokenizer
from anymo_hf.training.synchronized_norm import synchronize_norms

TEACHER = {"teacher_weight": 1.0, "teacher_texts": 20}
# 20 windows do not divide into shares of 16, the windows that share a random source
ENCODER = EncoderSettings(steps=4, batch_size=20, frames=[32, 48], worn_share=0.5, views={"soft_attachment": 0.5}, log_every=1)  # fmt: skip  # noqa: E501
SIGNAL = SignalSettings(steps=4, batch_size=24, frames=[32, 48], channels=[6, 12], sensors=3, log_every=1)
# several lengths: processes hold unequal numbers of latent steps
TOKENIZER = TokenizerSettings(
    steps=3, batch_size=8, frames=[64, 96], views_per_clip=4, rows_per_call=4, log_every=1, encoder="signal"
)
LANGUAGE = LanguageSettings(
    steps=3, batch_size=4, text_batch_size=4, vocab_size=400, latents=12, log_every=1, **TEACHER
)
CONTRASTIVE = ContrastiveSettings(
    steps=3, batch_size=8, lm_batch_size=4, candidates=3, latents=12, chunk_size=2, log_every=1, **TEACHER
)
pytestmark = pytest.mark.slow
STAGES = ("encoder", "signal", "tokenizer", "language", "contrastive", "unchunked")
OBJECTIVES = (AnyMoSTGCNForPreTraining, FullViewContrast)
ROWS, PARTS = 12, "parts.safetensors"


def keep_random_codebooks(model, views, seed):
    """Latents of so small a corpus would repeat in the codebook, and float noise decides between equal entries."""


class WeighedCosines(nn.Module):
    """An added loss that compares all windows with all texts, with parameters and a draw of its own."""

    def __init__(self, context):
        super().__init__()
        self.map = nn.Linear(context.config.projection_dim, context.config.projection_dim)

    def forward(self, pairs):
        windows, texts = pairs.gather(self.map(pairs.windows)), pairs.gather(pairs.texts)
        assert len(pairs.words) == len(pairs.clips) == len(windows)
        weights = torch.from_numpy(pairs.rng.random(len(windows))).float()
        return (weights[:, None] * (windows @ texts.t()).square()).mean()


def train(stage, root, accelerator):
    known = {"cosines": AddedLoss("cosines", WeighedCosines)}
    with (
        mock.patch.object(settings, "embedding_losses", lambda: known),
        mock.patch.object(embedding_losses, "embedding_losses", lambda: known),
    ):
        train_stage(stage, root, accelerator)


def train_stage(stage, root, accelerator):
    if stage == "encoder":
        train_encoder(ENCODER, root, accelerator)
    elif stage == "signal":
        train_signal(SIGNAL, root, accelerator)
    elif stage == "tokenizer":
        train_tokenizer(TOKENIZER, root, accelerator)
    elif stage == "language":
        train_language(replace(LANGUAGE, added_losses={"cosines": 0.5}), root, accelerator)
    else:
        chunk = CONTRASTIVE.chunk_size if stage == "contrastive" else None
        chosen = replace(CONTRASTIVE, chunk_size=chunk, added_losses={"cosines": 0.5})
        tune_contrastive(chosen, root, root / "anymo", accelerator)


@pytest.fixture(scope="module")
def runs(corpus_folder, accelerator, small_nano, tmp_path_factory, put_teacher_vectors, put_activity_vectors):
    """Folders of the stages trained by one process and by two, and of what each of the two found in `parts`."""
    top = tmp_path_factory.mktemp("runs")
    one, two = top / "one", top / "two"
    shutil.copytree(corpus_folder, one / "corpus")
    put_teacher_vectors(one, LANGUAGE)
    put_activity_vectors(one, ["signal"])
    plain, tokenizer_stage._start_codebooks = tokenizer_stage._start_codebooks, keep_random_codebooks
    try:
        for stage in STAGES:  # two processes get each stage's inputs from the one
            shutil.copytree(one, two / stage)
            if stage == "unchunked":
                for name in ("contrastive", "anymo"):
                    shutil.rmtree(two / stage / name)
                shutil.move(one / "contrastive", one / "chunked")
                shutil.rmtree(one / "anymo")
            train(stage, one, accelerator)
    finally:
        tokenizer_stage._start_codebooks = plain
    shutil.move(one / "contrastive", one / "unchunked")
    shutil.move(one / "chunked", one / "contrastive")
    finish_ranks(forked_ranks(train_in_two, two, folder=two), two)
    return one, two


@pytest.fixture(scope="module")
def ranks(runs):
    """What each of two processes found in `parts`."""
    return [load_file(runs[1] / f"{rank}-{PARTS}") for rank in range(2)]


def test_two_processes_equal_one(runs):
    one, two = runs
    for stage in STAGES:
        theirs = two / stage / ("contrastive" if stage == "unchunked" else stage)
        alone, both = (json.loads((folder / "metrics.json").read_text()) for folder in (one / stage, theirs))
        assert (alone["processes"], both["processes"]) == (1, 2)
        for first, second in zip(alone["history"], both["history"], strict=True):
            for name in set(first) - {"step", "seconds", "codes_in_batch"}:
                # the encoder's cosines are divided by a small temperature, so its float noise is the largest
                close = 1e-4 if stage in ("encoder", "signal") else 1e-5
                assert second[name] == pytest.approx(first[name], rel=close), (stage, name)
        if stage == "tokenizer":  # the views it coded, byte for byte as one process makes them
            for name in ("latents", "length", "clip", "placements"):
                made = [(folder / "latents" / f"{name}.npy").read_bytes() for folder in (one / stage, theirs)]
                assert made[0] == made[1], name
        if stage in ("encoder", "signal"):
            # a bias before batch normalisation has a gradient of float noise, of which Adam makes a whole step; the
            # gradients are compared in float64 below
            continue
        ours, theirs = (load_file(folder / "checkpoint.safetensors") for folder in (one / stage, theirs))
        if stage != "tokenizer":
            assert any("added.losses.cosines.map.weight" in name for name in ours)
        for name in ours:
            if name.startswith("model."):
                torch.testing.assert_close(theirs[name], ours[name], rtol=1e-4, atol=1e-5, msg=f"{stage}: {name}")


def norm_network(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.BatchNorm1d(6), nn.Conv1d(6, 5, 3), nn.ReLU(), nn.Unflatten(2, (-1, 1)), nn.BatchNorm2d(5)
    ).to(dtype)


def signals(dtype=torch.float64):
    torch.manual_seed(1)
    return 3 + 2 * torch.randn(ROWS, 6, 8, dtype=dtype), torch.randn(ROWS, 5, 6, 1, dtype=dtype)


def trained(network, x, weights, accelerator):
    """Everything that a step of batch normalisation leaves; the loss is a mean over the rows of `x`."""
    x = x.clone().requires_grad_()
    out = network(x)
    loss = (out * weights + out.square() * weights).sum((1, 2, 3)).mean()
    loss.backward()
    average_gradients(list(network.parameters()), accelerator)
    state = {f"state.{name}": value for name, value in network.state_dict().items()}
    gradients = {f"gradient.{name}": parameter.grad for name, parameter in network.named_parameters()}
    return {"out": out.detach(), "x": x.grad, **state, **gradients}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_batch_normalisation_is_of_all_rows(ranks, accelerator, dtype):
    kind = getattr(torch, dtype)
    expected = trained(norm_network(kind), *signals(kind), accelerator)
    tolerance = {"float64": 1e-12, "float32": 2e-5}[dtype]
    for rank, found in enumerate(ranks):
        for name, value in expected.items():
            if name in ("out", "x"):
                value = value.chunk(2)[rank] * (2 if name == "x" else 1)  # its own loss is a mean over half the rows
            ours = found[f"norm.{dtype}.{name}"]
            torch.testing.assert_close(ours, value, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


def test_normalisation_of_shares_of_unequal_size(ranks, accelerator):
    network = norm_network()
    wanted = network(signals()[0]).detach()
    torch.testing.assert_close(torch.cat([found["norm.uneven"] for found in ranks]), wanted, rtol=1e-12, atol=1e-12)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(ranks[1][f"norm.uneven.{name}"], value, rtol=1e-12, atol=1e-12)


def test_the_encoder_keeps_its_names_and_takes_part():
    model = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig.from_preset("nano"))
    names, layers = (
        list(model.state_dict()),
        [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)],
    )
    synchronize_norms(model)
    assert list(model.state_dict()) == names and all(
        type(layer).__name__.startswith("Synchronized") for layer in layers
    )
    assert all(
        isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)) for layer in layers
    )  # statistics can still be frozen


def encoder_step(accelerator, kind):
    """Loss and averaged gradients of an encoder in float64, on this process's share of fixed views."""
    torch.manual_seed(0)
    model = kind(AnyMoSTGCNConfig.from_preset("nano")).double().train()
    views = torch.randn(2, ROWS, 24, 23, 6, dtype=torch.float64)
    if accelerator.num_processes > 1:
        synchronize_norms(model)
    own = local_part(range(ROWS), accelerator)
    rows = slice(own.start, own.stop)
    gather = partial(gather_rows, accelerator=accelerator)
    masks = ()
    if kind is AnyMoSTGCNForPreTraining:
        seen = torch.stack([model.sample_visible(ROWS) for _ in range(2)])
        masks = (*seen[:, rows], (torch.arange(24) < torch.randint(8, 25, (ROWS, 1)))[rows])
    output = model(*views[:, rows], *masks, gather=gather, first_row=own.start)
    output.loss.backward()
    average_gradients(list(model.parameters()), accelerator)
    found = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    found |= dict(model.named_buffers())
    return found | {"loss": gather_rows(output.loss.detach()[None], accelerator).mean()}


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_the_encoder_loss_and_gradients_are_of_the_whole_batch(ranks, accelerator, kind):
    expected = encoder_step(accelerator, kind)
    assert expected["encoder.data_bn.weight"].abs().max() > 1e-3
    for found in ranks:
        # full views leave the mask token without a gradient, on every process
        assert expected.keys() == {n.partition(".")[2] for n in found if n.startswith(kind.__name__)}
        for name, value in expected.items():
            torch.testing.assert_close(
                found[f"{kind.__name__}.{name}"], value, rtol=1e-7, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}"
            )


def activity_step(root, accelerator):
    """Loss and averaged gradients of the contrast with activities' words in float64, on this process's share of rows."""
    clips = MotionCorpus(root / "signal" / "corpus").clips
    torch.manual_seed(0)
    contrast = ActivityContrast(ActivityWords(clips, True), 4, 0.1, root / "signal" / "signal", accelerator).double()
    states = torch.randn(ROWS, 7, 4, dtype=torch.float64)
    mask = torch.arange(7) < torch.randint(1, 8, (ROWS, 1))
    if accelerator.num_processes > 1:
        synchronize_norms(contrast)
    own = local_part(range(ROWS), accelerator)
    rows = slice(own.start, own.stop)
    chosen = np.arange(ROWS)[rows] % len(clips)
    loss = contrast(states[rows], mask[rows], chosen, np.random.default_rng(5))
    loss.backward()
    average_gradients(list(contrast.parameters()), accelerator)
    return {name: value.grad for name, value in contrast.named_parameters()} | {
        "loss": gather_rows(loss.detach()[None], accelerator).mean()
    }


def test_activities_are_told_apart_by_the_whole_batch(runs, ranks, accelerator):
    expected = activity_step(runs[1], accelerator)
    assert expected["head.weight"].abs().max() > 1e-3
    for found in ranks:
        for name, value in expected.items():
            torch.testing.assert_close(found[f"activity.{name}"], value, rtol=1e-7, atol=1e-9, msg=name)


def small_quantizer():
    torch.manual_seed(0)
    quantizer = ProductQuantizer(AnyMoPQVAEConfig.from_preset("nano", codebook_size=6))
    rows = torch.randn(40, quantizer.config.bottleneck_dim)
    quantizer.embedding[:, 0] = 50.0  # nothing is near it
    quantizer.cluster_size[:, 0] = 1e-6
    return quantizer, rows


def test_codebooks_agree_on_every_process_also_where_a_code_died(ranks):
    quantizer, rows = small_quantizer()
    before = quantizer.embedding.clone()
    torch.manual_seed(0)
    quantizer.update(rows, quantizer.nearest(rows))
    for name, value in quantizer.state_dict().items():
        ours, theirs = (found[f"codes.{name}"] for found in ranks)
        assert torch.equal(ours, theirs), name
        torch.testing.assert_close(ours, value)  # also the row that a dead code became
    born = ranks[0]["codes.embedding"][:, 0]
    assert not torch.isclose(born, before[:, 0]).any()
    chunks = rows.view(len(rows), len(born), -1).transpose(0, 1)
    # moved off its row by the smoothing of counts only
    cosine = nn.functional.cosine_similarity(chunks, born[:, None], dim=-1).amax(1)
    torch.testing.assert_close(cosine, torch.ones(len(born)))


def towers():
    torch.manual_seed(0)
    return [
        nn.Sequential(nn.Linear(5, 16), nn.GELU(), nn.Dropout(0.3), nn.Linear(16, 8)).double().train() for _ in range(2)
    ]


def contrast(accelerator, chunks, cached, wrapped=False):
    """Gradients of two towers with dropout, in chunks, averaged over processes; `wrapped` lets DDP average."""
    models, count = towers(), ROWS // accelerator.num_processes
    called = [nn.parallel.DistributedDataParallel(model) for model in models] if wrapped else models
    torch.manual_seed(5)
    pieces = [local_part(torch.randn(ROWS, 5).double(), accelerator).split(-(-count // chunks)) for _ in models]
    torch.manual_seed(100 + accelerator.process_index)
    groups = [[lambda m=m, p=p: m(p) for p in part] for m, part in zip(called, pieces, strict=True)]

    def loss(first, second):
        first, second = (gather_rows(nn.functional.normalize(part, dim=-1), accelerator) for part in (first, second))
        return matched_contrastive_loss(first, second, torch.eye(ROWS, dtype=torch.bool), None, 0.1)

    if cached:
        cached_backward(groups, loss)
    else:
        loss(*(torch.cat([embed() for embed in group]) for group in groups)).backward()
    parameters = [parameter for model in models for parameter in model.parameters()]
    if not wrapped:
        average_gradients(parameters, accelerator)
    return torch.cat([parameter.grad.flatten() for parameter in parameters])


@pytest.mark.parametrize("chunks", [1, 2, 4, 6])  # 4 leaves a smaller last one
def test_gradients_of_chunks_are_those_of_one_pass_on_two_processes(ranks, chunks):
    for found in ranks:
        wanted = found[f"cache.{chunks}.plain"]
        assert wanted.abs().max() > 0.01
        for way in ("cached", "wrapped"):
            torch.testing.assert_close(found[f"cache.{chunks}.{way}"], wanted, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(wanted, ranks[0][f"cache.{chunks}.plain"], rtol=0, atol=0)


def parts(folder, process):
    found, rank = {}, process.process_index
    for kind in ("float64", "float32"):
        network = norm_network(getattr(torch, kind))
        synchronize_norms(network)
        shares = (local_part(part, process) for part in signals(getattr(torch, kind)))
        found |= {f"norm.{kind}.{name}": value for name, value in trained(network, *shares, process).items()}
    network = norm_network()
    synchronize_norms(network)
    found["norm.uneven"] = network(signals()[0].split([3, ROWS - 3])[rank]).detach()
    found |= {f"norm.uneven.{name}": value for name, value in network.state_dict().items()}
    for kind in OBJECTIVES:
        found |= {f"{kind.__name__}.{name}": value for name, value in encoder_step(process, kind).items()}
    found |= {f"activity.{name}": value for name, value in activity_step(folder, process).items()}
    quantizer, rows = small_quantizer()
    torch.manual_seed(rank)  # processes draw differently
    share = local_part(rows, process)
    quantizer.update(share, quantizer.nearest(share))
    found |= {f"codes.{name}": value for name, value in quantizer.state_dict().items()}
    for chunks in (1, 2, 4, 6):
        found[f"cache.{chunks}.plain"] = contrast(process, chunks, cached=False)
        found[f"cache.{chunks}.cached"] = contrast(process, chunks, cached=True)
        found[f"cache.{chunks}.wrapped"] = contrast(process, chunks, cached=True, wrapped=True)
    save_file({name: value.contiguous().clone() for name, value in found.items()}, folder / f"{rank}-{PARTS}")


def train_for_long(config, root):
    """What the command `anymo_hf.training.stage_commands encoder` does."""
    run_stage("encoder", ["--config", str(config), "--output", str(root)])


def test_when_a_process_is_killed_the_other_stops_and_says_so(corpus_folder, tmp_path):
    """Without a launcher, which would end the other one itself."""
    shutil.copytree(corpus_folder, tmp_path / "corpus")
    config = tmp_path / "encoder.yaml"
    config.write_text("batch_size: 4\nframes: [32]\ncheckpoint_every: 1\nsteps: 100000\n")
    runs = forked_ranks(train_for_long, config, tmp_path, folder=tmp_path)
    try:
        checkpoint, limit = tmp_path / "encoder" / "checkpoint.safetensors", time.monotonic() + 200
        while not checkpoint.is_file() and time.monotonic() < limit and all(run.is_alive() for run in runs):
            time.sleep(0.05)
        assert checkpoint.is_file()
        os.kill(runs[1].pid, signal.SIGKILL)
        runs[0].join(60)
        said = (tmp_path / "0.txt").read_text()
        assert runs[0].exitcode == 2 and "another process of this run has ended" in said, said[-2000:]
        assert load_file(checkpoint)  # whole
    finally:
        for run in runs:
            run.kill()
            run.join()


def train_in_two(root):
    """What each of two processes does."""
    tokenizer_stage._start_codebooks = keep_random_codebooks
    process = Accelerator(cpu=True)
    parts(root, process)
    for name in STAGES:
        train(name, root / name, process)
