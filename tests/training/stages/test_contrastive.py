"""A contrastive step: which branches are computed, in one piece and in chunks."""

from types import SimpleNamespace

import pytest
import torch

from anymo_hf.modeling.modeling_anymo import info_nce_loss
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


@pytest.mark.parametrize("weights", [(2.0, 3.0), (2.0, 0.0), (0.0, 3.0), (0.0, 0.0)])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_a_branch_of_weight_0_is_not_computed(pair, accelerator, weights, chunk_size):
    """Texts are numbers here, and the model looks up their vectors."""
    imu, text = (part.clone().requires_grad_() for part in pair)
    seen = []

    class Texts(dict):
        def to(self, device):
            return self

    def processor(imu_codes=None, imu_placements=None, text=None, return_tensors=None):
        seen.append(text or imu_codes)
        return Texts(ids=torch.tensor(imu_codes if text is None else [int(word) for word in text]))

    model = SimpleNamespace(
        get_imu_features=lambda ids: SimpleNamespace(pooler_output=imu[ids]),
        get_text_features=lambda ids: SimpleNamespace(pooler_output=torch.cat([text, -text])[ids]),
    )
    narrations, names = [str(i) for i in range(COUNT)], [str(COUNT + i) for i in range(COUNT)]
    settings = ContrastiveSettings(
        narration_weight=weights[0], label_weight=weights[1], chunk_size=chunk_size, temperature=TEMPERATURE
    )
    nothing = torch.zeros(COUNT, COUNT, dtype=torch.bool)
    ids = torch.tensor([0, 1, 0, 2, 1, 0])
    positives = ids[:, None] == ids
    pairs = TextPairs(list(range(COUNT)), [[0]] * COUNT, narrations, names, positives, nothing)
    losses = _contrast(model, processor, settings, accelerator, pairs)
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
