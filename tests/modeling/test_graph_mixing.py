"""Sums over neighbours edge by edge are the product with the adjacency, and so are their gradients."""

import pytest
import torch

from anymo_hf.modeling.body_segments import spatial_partitions
from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig
from anymo_hf.modeling.graph_mixing import MixedNeighbours, edges_of
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining


def adjacency(kind):
    torch.manual_seed(0)
    if kind == "body":
        return torch.from_numpy(spatial_partitions("depth")).double() * torch.rand(3, 23, 23).double()
    share = {"no edge": 0.0, "some": 0.2, "all": 1.0}[kind]
    return torch.randn(2, 5, 5).double() * (torch.rand(2, 5, 5) < share)


@pytest.mark.parametrize("kind", ["body", "no edge", "some", "all"])
def test_values_and_gradients_equal_the_product(kind):
    weights = adjacency(kind).requires_grad_()
    x = torch.randn(weights.shape[1], 7).double().requires_grad_()
    got = MixedNeighbours.apply(x, weights, edges_of(weights.detach()))
    expected = torch.einsum("vr,kvw->wkr", x, weights)
    torch.testing.assert_close(got, expected)
    along = torch.randn_like(got)
    ours, theirs = (torch.autograd.grad(y, (x, weights), along) for y in (got, expected))
    torch.testing.assert_close(ours[0], theirs[0])
    edges = weights != 0  # elsewhere the adjacency is a constant zero, and its gradient goes nowhere
    torch.testing.assert_close(ours[1][edges], theirs[1][edges])


def test_a_training_step_has_the_loss_and_gradients_of_plain_products():
    torch.manual_seed(0)
    config = AnyMoSTGCNConfig.from_preset("nano", channels=[16, 24], strides=[2, 2], dropout=0.0, predictor_layers=1)
    model = AnyMoSTGCNForPreTraining(config).double().train()
    first, second = torch.randn(2, 3, 40, 23, 6).double()
    seen = torch.zeros(3, 23, dtype=torch.bool)
    seen[:, [6, 9]] = True
    results = []
    for fast in (False, True):
        model.encoder.fast_training = fast
        model.zero_grad()
        loss = model(first, second, seen, seen).loss
        loss.backward()
        results.append((loss.detach(), {name: value.grad.clone() for name, value in model.named_parameters()}))
    torch.testing.assert_close(results[1][0], results[0][0])
    for name, value in results[0][1].items():
        torch.testing.assert_close(results[1][1][name], value, atol=1e-9, rtol=1e-7)
