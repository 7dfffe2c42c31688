"""A contrastive step: which branches are computed, in one piece and in chunks."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from anymo_hf.modeling.modeling_anymo import info_nce_loss
from anymo_hf.training import embedding_losses
from anymo_hf.training.embedding_losses import EmbeddingLosses
from anymo_hf.training.losses import AddedLoss
from anymo_hf.training.losses.matched_contrast import matched_contrastive_loss
from anymo_hf.training.settings import ContrastiveSettings
from anymo_hf.training.stages.contrastive import TextPairs, _contrast

COUNT, TEMPERATURE = 6, 0.07


def unit(seed):
    rows = torch.randn(COUNT, 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=-1)


@pytest.fixture
def pair():
    return unit(0), unit(1)


class Texts(dict):
    def to(self, device):
        return self


def lookup(imu, text):
    """A processor and a model where windows and texts are numbers, whose vectors it looks up; and what they were asked."""
    seen = []

    def processor(imu_codes=None, imu_placements=None, text=None, return_tensors=None):
        seen.append(text or imu_codes)
        return Texts(ids=torch.tensor(imu_codes if text is None else [int(word) for word in text]))

    model = SimpleNamespace(
        get_imu_features=lambda ids: SimpleNamespace(pooler_output=imu[ids]),
        get_text_features=lambda ids: SimpleNamespace(pooler_output=torch.cat([text, -text])[ids]),
    )
    return model, processor, seen


def numbered_pairs():
    narrations, names = [str(i) for i in range(COUNT)], [str(COUNT + i) for i in range(COUNT)]
    nothing, ids = torch.zeros(COUNT, COUNT, dtype=torch.bool), torch.tensor([0, 1, 0, 2, 1, 0])
    clips = 10 + np.arange(COUNT)
    return TextPairs(list(range(COUNT)), [[0]] * COUNT, narrations, names, ids[:, None] == ids, nothing, clips)


@pytest.mark.parametrize("weights", [(2.0, 3.0), (2.0, 0.0), (0.0, 3.0), (0.0, 0.0)])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_a_branch_of_weight_0_is_not_computed(pair, accelerator, weights, chunk_size, tmp_path):
    imu, text = (part.clone().requires_grad_() for part in pair)
    model, processor, seen = lookup(imu, text)
    settings = ContrastiveSettings(
        narration_weight=weights[0], label_weight=weights[1], chunk_size=chunk_size, temperature=TEMPERATURE
    )
    pairs = numbered_pairs()
    narrations, names, positives = pairs.narrations, pairs.names, pairs.positives
    none = EmbeddingLosses(settings, model, (), tmp_path, accelerator)
    losses = _contrast(model, processor, settings, accelerator, pairs, none, np.random.default_rng(0))
    wanted = [name for name, weight in zip(("narration", "label"), weights, strict=True) if weight]
    assert list(losses) == wanted
    if not wanted:
        assert not seen and imu.grad is None
        return
    assert seen[1] == (narrations if weights[0] else []) + (names if weights[1] else [])
    total, copies = 0, [part.detach().clone().requires_grad_() for part in pair]
    if weights[0]:
        total = total + weights[0] * info_nce_loss(*copies, TEMPERATURE)
    if weights[1]:
        total = total + weights[1] * matched_contrastive_loss(copies[0], -copies[1], positives, None, TEMPERATURE)
    total.backward()
    for own, copy in zip((imu, text), copies, strict=True):
        torch.testing.assert_close(own.grad, copy.grad, atol=1e-5, rtol=1e-4)


class Apart(nn.Module):
    """Weighed squared distance of a window and its text."""

    def __init__(self, context):
        super().__init__()
        self.scale = nn.Parameter(torch.full((context.config,), 0.5))
        self.read = []

    def forward(self, pairs):
        self.read.append((list(pairs.words), pairs.clips.tolist(), pairs.rng.random()))
        assert pairs.gather(pairs.windows).shape == pairs.texts.shape
        return (self.scale * (pairs.windows - pairs.texts).square()).sum(1).mean()


@pytest.mark.parametrize("narration_weight", [2.0, 0.0])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_an_added_loss_reads_windows_and_their_narrations(
    pair, accelerator, narration_weight, chunk_size, tmp_path, monkeypatch
):
    monkeypatch.setattr(embedding_losses, "embedding_losses", lambda: {"apart": AddedLoss("apart", Apart)})
    imu, text = (part.clone().requires_grad_() for part in pair)
    model, processor, seen = lookup(imu, text)
    model.config = imu.shape[1]
    settings = ContrastiveSettings(
        narration_weight=narration_weight, label_weight=0, chunk_size=chunk_size, temperature=TEMPERATURE
    )
    settings.added_losses = {"apart": 3.0}
    added = EmbeddingLosses(settings, model, (), tmp_path, accelerator)
    pairs = numbered_pairs()
    losses = _contrast(model, processor, settings, accelerator, pairs, added, np.random.default_rng(5))
    assert list(losses) == ["narration"] * bool(narration_weight) + ["apart"] and seen[1] == pairs.narrations
    draw = np.random.default_rng(5).random()
    assert added.losses["apart"].read == [(pairs.narrations, list(range(10, 10 + COUNT)), draw)]
    windows, texts, scale = (part.detach().clone().requires_grad_() for part in (*pair, torch.full((5,), 0.5)))
    distances = torch.stack([(scale * (w - t) ** 2).sum() for w, t in zip(windows, texts, strict=True)])
    total = 3 * distances.mean()
    if narration_weight:
        total = total + narration_weight * info_nce_loss(windows, texts, TEMPERATURE)
    total.backward()
    assert losses["apart"].item() == pytest.approx(distances.mean().item(), rel=1e-5)
    for own, copy in ((imu, windows), (text, texts), (added.losses["apart"].scale, scale)):
        torch.testing.assert_close(own.grad, copy.grad, atol=1e-5, rtol=1e-4)
