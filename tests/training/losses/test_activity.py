"""The activity loss against scikit-learn, windows without an activity, and the stage that trains with it."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from anymo_hf.simulation.archive.clips import Clip
from anymo_hf.training.losses import EncodedViews
from anymo_hf.training.losses.activity import ActivityClassification
from anymo_hf.training.settings import EncoderSettings
from anymo_hf.training.stages.encoder import train_encoder

DIM = 6
CLIPS = [Clip("w-0", "p", "walking"), Clip("mute", "p"), Clip("s-0", "p", "sitting"), Clip("w-1", "p", "walking")]


def encoded(clips, views=2):
    latents = torch.randn(views, len(clips), 5, DIM, generator=torch.Generator().manual_seed(1))
    return EncodedViews(latents, np.array(clips), lambda rows: rows, np.random.default_rng(0))


def test_the_loss_is_the_log_loss_of_windows_with_an_activity():
    torch.manual_seed(0)
    module, views = ActivityClassification(DIM, CLIPS), encoded([0, 1, 2, 3])
    known, losses = [0, 2, 3], []
    for latents in views.latents.numpy():
        pooled = np.concatenate([latents.mean(1), latents.max(1)], 1)[known]
        scores = pooled @ module.head.weight.detach().numpy().T + module.head.bias.detach().numpy()
        chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        losses.append(log_loss([0, 1, 0], chances))
    assert module(views).item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_batch_without_activities_has_no_loss_but_a_gradient_of_zero():
    module = ActivityClassification(DIM, CLIPS)
    value = module(encoded([1, 1]))
    value.backward()
    assert value == 0 and not module.head.weight.grad.any()


def test_a_corpus_of_one_activity_is_refused():
    with pytest.raises(ValueError, match="activity needs two activities or more, the corpus has 1"):
        ActivityClassification(DIM, CLIPS[:2])


def test_the_encoder_stage_trains_with_it_and_saves_the_plain_model(corpus_folder, accelerator, tmp_path):
    (tmp_path / "corpus").symlink_to(corpus_folder)
    settings = EncoderSettings(steps=2, batch_size=4, frames=[32], added_losses={"activity": 0.5}, log_every=1)
    metrics = train_encoder(settings, tmp_path, accelerator)
    assert set(metrics["losses"]) == {"loss", "activity", "accuracy"}
    assert metrics["history"][0]["activity"] > 0
    saved = AnyMoSTGCNForPreTraining.from_pretrained(tmp_path / "encoder" / "model")
    assert len(saved.state_dict()) == len(AnyMoSTGCNForPreTraining(saved.config).state_dict())
    assert not any(name.startswith(("added", "head")) for name in saved.state_dict())
