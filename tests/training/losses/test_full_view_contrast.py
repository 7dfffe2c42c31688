"""The full-view ablation: its loss against a loop, several processes, and what it saves."""

import math

import pytest
import torch

from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNModel
from anymo_hf.training.losses.full_view_contrast import FullViewContrast
from anymo_hf.training.settings import EncoderSettings
from anymo_hf.training.stages.encoder import train_encoder

WINDOWS = 4


@pytest.fixture
def model():
    torch.manual_seed(0)
    return FullViewContrast(AnyMoSTGCNConfig.from_preset("nano")).eval()  # batch statistics would tie windows together


@pytest.fixture
def views():
    return torch.randn(2, WINDOWS, 32, 23, 6, generator=torch.Generator().manual_seed(1))


def test_loss_is_infonce_of_projected_sequences_in_both_directions(model, views):
    output = model(*views)
    with torch.no_grad():
        one, two = (model.projector(model.encoder(view).last_hidden_state).double() for view in views)
    cosine = [[0.0] * WINDOWS for _ in range(WINDOWS)]
    for i in range(WINDOWS):
        for j in range(WINDOWS):
            steps = [float(a @ b / (a.norm() * b.norm())) for a, b in zip(one[i], two[j], strict=True)]
            cosine[i][j] = sum(steps) / len(steps)
    score = [[math.exp(value / model.config.contrastive_temperature) for value in row] for row in cosine]
    rows = [-math.log(score[i][i] / sum(score[i])) for i in range(WINDOWS)]
    columns = [-math.log(score[i][i] / sum(row[i] for row in score)) for i in range(WINDOWS)]
    assert output.loss.item() == pytest.approx((sum(rows) + sum(columns)) / WINDOWS, rel=1e-4)
    assert output.logits.shape == (2, WINDOWS, WINDOWS)


def test_both_views_send_a_gradient(model, views):
    first, second = (view.clone().requires_grad_() for view in views)
    model(first, second).loss.backward()
    assert first.grad.abs().max() > 0 and second.grad.abs().max() > 0


def test_the_mean_over_processes_is_the_loss_of_the_whole_batch(model, views):
    with torch.no_grad():
        whole = model(*views)
        latents = model.projector(model.encoder(views.flatten(0, 1)).last_hidden_state)
        rows = (torch.nn.functional.normalize(latents, dim=-1) / latents.shape[1] ** 0.5).flatten(1).chunk(2)
        halves = []
        for begin in (0, 2):
            everyone = iter(rows)
            part = views[:, begin : begin + 2]
            halves.append(model(*part, gather=lambda own, everyone=everyone: next(everyone), first_row=begin))
    torch.testing.assert_close((halves[0].loss + halves[1].loss) / 2, whole.loss)
    torch.testing.assert_close(torch.cat([half.logits for half in halves], 1), whole.logits)


def test_the_encoder_is_saved_and_the_projector_is_not(model, views, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = AnyMoSTGCNModel.from_pretrained(tmp_path).eval()
    again = FullViewContrast.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        expected = model.encoder(views[0]).last_hidden_state
        for encoder in (loaded, again.encoder):
            assert torch.equal(encoder(views[0]).last_hidden_state, expected)
    assert not torch.equal(again.projector[0].weight, model.projector[0].weight)


@pytest.mark.slow
def test_the_encoder_stage_trains_it_and_goes_on_from_it(corpus_folder, accelerator, tmp_path):
    settings = {"objective": "full_view", "batch_size": 4, "frames": [64], "steps": 2}
    for name, start in (("one", None), ("two", str(tmp_path / "one" / "encoder" / "model"))):
        root = tmp_path / name
        root.mkdir()
        (root / "corpus").symlink_to(corpus_folder)
        metrics = train_encoder(EncoderSettings(**settings, start_from=start), root, accelerator)
        assert metrics["steps"] == 2 and set(metrics["losses"]) == {"loss", "accuracy"}
        encoder = AnyMoSTGCNModel.from_pretrained(root / "encoder" / "model")
        assert not encoder.mask_token.any()  # no mask was ever used
