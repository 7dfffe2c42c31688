"""GradCache against a plain backward pass of the whole batch, with dropout on."""

import pytest
import torch
from torch import nn

from anymo_hf.training.grad_cache import cached_backward
from anymo_hf.training.losses.matched_contrast import matched_contrastive_loss

ROWS = 12


def towers(dtype):
    torch.manual_seed(0)
    return [
        nn.Sequential(nn.Linear(5, 16), nn.GELU(), nn.Dropout(0.3), nn.Linear(16, 8)).to(dtype).train()
        for _ in range(2)
    ]


def unit_loss(first, second):
    first, second = (nn.functional.normalize(part, dim=-1) for part in (first, second))
    if first.dtype == torch.float64:  # the loss itself works in float32
        logits, here = first @ second.t() / 0.1, torch.arange(ROWS)
        return (nn.functional.cross_entropy(logits, here) + nn.functional.cross_entropy(logits.t(), here)) / 2
    return matched_contrastive_loss(first, second, torch.eye(ROWS, dtype=torch.bool), None, 0.1)


def gradients(models):
    return [parameter.grad.clone() for model in models for parameter in model.parameters()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("chunks", [1, 2, 3, 5, 12])
def test_gradients_equal_those_of_one_pass(dtype, chunks):
    models = towers(dtype)
    inputs = [torch.randn(ROWS, 5, dtype=dtype) for _ in models]
    pieces = [part.chunk(chunks) for part in inputs]

    torch.manual_seed(7)  # the same dropout falls when the chunks are embedded in the same order
    rows = [torch.cat([model(piece) for piece in part]) for model, part in zip(models, pieces, strict=True)]
    expected = unit_loss(*rows)
    expected.backward()
    wanted = gradients(models)
    for model in models:
        model.zero_grad()

    torch.manual_seed(7)
    groups = [[lambda m=m, p=p: m(p) for p in part] for m, part in zip(models, pieces, strict=True)]
    value = cached_backward(groups, unit_loss)
    assert not value.requires_grad
    torch.testing.assert_close(value, expected.detach(), rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(gradients(models), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_dropout_differs_between_chunks_and_random_state_goes_on():
    seen = []

    def embed():
        value = torch.rand(2, 3)
        seen.append(value)
        return value.requires_grad_()

    torch.manual_seed(3)
    cached_backward([[embed, embed]], lambda rows: rows.square().sum())
    first, second, first_again, second_again = (value.detach() for value in seen)
    torch.testing.assert_close(first, first_again, rtol=0, atol=0)
    torch.testing.assert_close(second, second_again, rtol=0, atol=0)
    assert not torch.equal(first, second)
    following = torch.rand(1)
    torch.manual_seed(3)
    torch.rand(12)
    torch.testing.assert_close(following, torch.rand(1), rtol=0, atol=0)


def test_one_forward_graph_at_a_time_and_gradients_add_up():
    layer = nn.Linear(2, 2, bias=False)
    batch = torch.randn(4, 2)
    with_graph = []

    def embed(part):
        out = layer(part)
        with_graph.append(out.requires_grad)
        return out

    groups = [[lambda p=p: embed(p) for p in batch.chunk(2)]]
    cached_backward(groups, lambda rows: rows.sum())
    once = layer.weight.grad.clone()
    cached_backward(groups, lambda rows: rows.sum())
    torch.testing.assert_close(layer.weight.grad, 2 * once)
    assert with_graph == [False, False, True, True] * 2
