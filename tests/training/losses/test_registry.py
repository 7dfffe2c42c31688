"""A stranger adds a loss: one new file in `training/losses`, and settings can name it."""

import dataclasses
import hashlib
import json

import pytest
import torch

from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from anymo_hf.training import losses
from anymo_hf.training.losses import added_losses, embedding_losses, encoder_objectives
from anymo_hf.training.settings import ContrastiveSettings, EncoderSettings, LanguageSettings
from anymo_hf.training.stages.encoder import train_encoder

TOY = '''
"""Latents should be short; and Eq. 3 under another name."""

from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining
from anymo_hf.training.losses import AddedLoss, EncoderObjective
import torch
from torch import nn


class ShortLatents(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, views):
        return (views.latents * self.scale).square().mean()


ADDED_LOSS = AddedLoss("toy", lambda context: ShortLatents(context.config.latent_dim))
OBJECTIVE = EncoderObjective("toy", AnyMoSTGCNForPreTraining, sparse=True)
'''


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The folder of losses with one more file."""
    folder = tmp_path / "losses"
    folder.mkdir()
    (folder / "toy_short_latents.py").write_text(TOY)
    monkeypatch.setattr(losses, "__path__", [*losses.__path__, str(folder)])


def test_every_registered_loss_goes_by_its_own_name():
    for found in (encoder_objectives(), added_losses()):
        assert found and all(name == item.name and name.isidentifier() for name, item in found.items())
    assert {"masked", "full_view"} <= set(encoder_objectives()) and "semantic" in added_losses()
    assert all(name == item.name and name.isidentifier() for name, item in embedding_losses().items())
    for kind in (EncoderSettings, LanguageSettings, ContrastiveSettings):
        with pytest.raises(ValueError, match="added_losses must be .*, got toy"):
            kind(added_losses={"toy": 1.0})


def test_a_run_without_added_losses_goes_on_from_before_there_were_any():
    settings = LanguageSettings()
    kept = dataclasses.asdict(settings)
    resumable = {item.name for item in dataclasses.fields(settings) if item.metadata["resumable"]} | {"added_losses"}
    earlier = json.dumps({name: value for name, value in kept.items() if name not in resumable}, sort_keys=True)
    assert settings.fingerprint("data") == hashlib.sha256((earlier + "data").encode()).hexdigest()[:16]


@pytest.mark.slow
def test_a_new_file_is_a_new_objective_and_a_new_added_loss(toy, corpus_folder, accelerator, tmp_path):
    found = {}
    for weight in (0.0, 1000.0):
        root = tmp_path / str(weight)
        root.mkdir()
        (root / "corpus").symlink_to(corpus_folder)
        settings = EncoderSettings(
            objective="toy", added_losses={"toy": weight}, steps=3, batch_size=4, frames=[32], log_every=1, warmup=0
        )
        metrics = train_encoder(settings, root, accelerator)
        found[weight] = [entry["toy"] for entry in metrics["history"]]
        AnyMoSTGCNForPreTraining.from_pretrained(root / "encoder" / "model")
    # the same first step; then only the weighed one is pulled down
    assert found[0.0][0] == found[1000.0][0] and found[1000.0][-1] < found[0.0][-1]


def test_views_are_compared_in_pairs_of_which_the_loss_is_the_mean(corpus_folder, accelerator, tmp_path):
    metrics = {}
    for views in (2, 4):
        root = tmp_path / str(views)
        root.mkdir()
        (root / "corpus").symlink_to(corpus_folder)
        settings = EncoderSettings(views_per_window=views, steps=1, batch_size=4, frames=[32], log_every=1)
        metrics[views] = train_encoder(settings, root, accelerator)["losses"]
    untrained = 2 * torch.tensor(4.0).log().item()  # an even guess in both directions
    for losses_of in metrics.values():
        assert losses_of["loss"] == pytest.approx(untrained, abs=0.6)
    assert metrics[2]["loss"] != metrics[4]["loss"]
