"""The semantic loss against a loop, its positives, windows without words, and the stage that trains with it."""

import math

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from anymo_hf.modeling.prompts import normalize_text
from anymo_hf.simulation.archive.clips import Clip
from anymo_hf.training.corpus import MotionCorpus
from anymo_hf.training.losses import EncodedViews
from anymo_hf.training.losses.semantic import TEMPERATURE, SemanticContrast
from anymo_hf.training.sentence_vectors import cache_file
from anymo_hf.training.settings import EncoderSettings
from anymo_hf.training.stages.encoder import train_encoder

DIM, WORDS = 6, 5
CLIPS = [
    Clip("w-0", "p", "walking", label_phrases=("walking",)),
    Clip("w-1", "p", "walking", narrations=("a person walks",)),
    Clip("mute", "p"),
    Clip("s-0", "p", "sitting", label_phrases=("sitting",)),
    Clip("bvh-0", "p", narrations=("a person walks",)),  # no label, but the words of another
]


def put_vectors(clips, cache):
    """Random unit vectors where the sentence vectors of the clips' texts are kept; text -> vector."""
    texts = list(dict.fromkeys(normalize_text(t) for clip in clips for t in (*clip.label_phrases, *clip.narrations)))
    rows = torch.nn.functional.normalize(
        torch.randn(len(texts), WORDS, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    path = cache_file(texts, cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, rows.numpy())
    return dict(zip(texts, rows, strict=True))


@pytest.fixture
def loss(tmp_path, accelerator):
    vectors = put_vectors(CLIPS, tmp_path)
    torch.manual_seed(0)
    return SemanticContrast(DIM, CLIPS, tmp_path, accelerator), vectors


def encoded(clips, views=2):
    latents = torch.randn(views, len(clips), 3, DIM, generator=torch.Generator().manual_seed(1))
    return EncodedViews(latents, np.array(clips), lambda rows: rows, np.random.default_rng(0))


def test_the_loss_is_that_of_a_loop_over_windows_with_words(loss):
    module, vectors = loss
    views = encoded([0, 1, 2, 3, 4])  # each clip has one text, so nothing is left to chance
    texts = {0: "walking", 1: "a person walks", 3: "sitting", 4: "a person walks"}
    positives = {(0, 0), (1, 1), (3, 3), (4, 4), (0, 1), (1, 0), (1, 4), (4, 1)}  # of one label, or of one text
    total = 0.0
    for latents in views.latents:
        score = {}
        for m in texts:
            own = module.projector(latents[m].mean(0)).detach()
            for n, text in texts.items():
                score[m, n] = math.exp(float(own @ vectors[normalize_text(text)] / own.norm()) / TEMPERATURE)
        for k in texts:
            for line in ([(k, n) for n in texts], [(m, k) for m in texts]):
                total -= math.log(sum(score[c] for c in line if c in positives) / sum(score[c] for c in line))
    assert module(views).item() == pytest.approx(total / (2 * len(texts) * len(views.latents)), rel=1e-5)


def test_a_step_down_the_gradient_brings_windows_to_their_words(loss):
    module, _ = loss
    views = encoded([0, 3, 1, 3])
    optimizer = torch.optim.SGD(module.parameters(), 1e-3)
    before = module(views)
    before.backward()
    optimizer.step()
    again = EncodedViews(views.latents, views.clips, views.gather, np.random.default_rng(0))
    assert module(again) < before.detach()


def test_a_batch_without_words_has_no_loss_but_a_gradient_of_zero(loss):
    module, _ = loss
    value = module(encoded([2, 2]))
    value.backward()
    assert value == 0 and not module.projector.weight.grad.any()


def test_a_corpus_without_words_is_refused(tmp_path):
    with pytest.raises(ValueError, match="semantic needs labels or narrations"):
        SemanticContrast(DIM, [Clip("mute", "p")], tmp_path, Accelerator(cpu=True))


def test_the_encoder_stage_trains_with_it_and_saves_the_plain_model(corpus_folder, accelerator, tmp_path):
    (tmp_path / "corpus").symlink_to(corpus_folder)
    put_vectors(MotionCorpus(corpus_folder).clips, tmp_path / "encoder")
    settings = EncoderSettings(steps=2, batch_size=4, frames=[32], added_losses={"semantic": 0.5}, log_every=1)
    metrics = train_encoder(settings, tmp_path, accelerator)
    assert set(metrics["losses"]) == {"loss", "semantic", "accuracy"}
    assert metrics["history"][0]["semantic"] > 0
    saved = AnyMoSTGCNForPreTraining.from_pretrained(tmp_path / "encoder" / "model")
    assert not any("projector" in name for name in saved.state_dict())
