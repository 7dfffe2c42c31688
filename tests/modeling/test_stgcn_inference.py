"""The fast form of the encoder agrees with the plain one, and steps back where it would not."""

import pytest
import torch

from anymo_hf.modeling import modeling_stgcn, stgcn_inference
from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNModel


@pytest.fixture
def model():
    """Statistics, edges and mask token are as trained ones might be; the first block has a stride, as in `small`."""
    torch.manual_seed(0)
    config = AnyMoSTGCNConfig.from_preset("nano", channels=[16, 16, 24], strides=[2, 1, 2], dropout=0.0)
    model = AnyMoSTGCNModel(config).eval()
    with torch.no_grad():
        model.mask_token.normal_()
        for module in model.modules():
            if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.bias.normal_(0, 0.1)
        for importance in model.edge_importance:
            importance.uniform_(0.5, 1.5)
    return model


def plain(model, *inputs):
    """Output of the plain form, without gradients."""
    model.fast_inference = False
    try:
        with torch.no_grad():
            return model(*inputs)
    finally:
        model.fast_inference = True


def sample(batch, frames):
    generator = torch.Generator().manual_seed(frames)
    imu = torch.randn(batch, frames, 23, 6, generator=generator)
    nodes = torch.rand(batch, 23, generator=generator) < 0.2
    nodes[:, 6] = True
    return imu, nodes


@pytest.mark.parametrize("budget", [1, 400_000, 10**9])  # one window at a time, a few, all
@pytest.mark.parametrize("frames", [5, 60, 101])
def test_latents_equal_the_plain_form_however_many_windows_go_at_once(model, monkeypatch, budget, frames):
    monkeypatch.setattr(stgcn_inference, "_CACHE_BYTES", budget)
    imu, nodes = sample(5, frames)
    padded = torch.ones(5, frames, dtype=torch.bool)
    padded[1, frames // 2 :] = False
    padded[4, 3:] = False
    dirty = imu.masked_fill(~padded[..., None, None], float("nan"))
    for inputs in ((imu,), (imu, nodes), (dirty, nodes, padded)):
        expected = plain(model, *inputs)
        with torch.no_grad():
            got = model(*inputs)
        torch.testing.assert_close(got.last_hidden_state, expected.last_hidden_state, atol=2e-5, rtol=1e-4)
        assert torch.equal(got.attention_mask, expected.attention_mask)
        assert (got.last_hidden_state[~got.attention_mask] == 0).all()


def test_any_adjacency_is_mixed_as_the_plain_form_mixes_it(model):
    imu, nodes = sample(2, 30)
    with torch.no_grad():
        for share in (1.0, 0.1, 0.0):
            model.A.uniform_(-1, 1).mul_(torch.rand(model.A.shape) < share)
            expected = plain(model, imu, nodes).last_hidden_state
            torch.testing.assert_close(model(imu, nodes).last_hidden_state, expected, atol=1e-4, rtol=1e-3)


def test_a_change_of_weights_counts_at_once(model):
    imu, nodes = sample(1, 40)
    with torch.no_grad():
        before = model(imu, nodes).last_hidden_state
        model.st_gcn_networks[1].tcn[2].weight.data *= 1.5
        after = model(imu, nodes).last_hidden_state
    assert (after - before).abs().max() > 1e-3
    torch.testing.assert_close(after, plain(model, imu, nodes).last_hidden_state, atol=2e-5, rtol=1e-4)


def test_what_the_fast_form_cannot_give_comes_from_the_plain_one(model, monkeypatch):
    def refuse(*_):
        raise AssertionError("the fast form was called")

    monkeypatch.setattr(modeling_stgcn, "encode", refuse)
    imu, nodes = sample(2, 40)
    model(imu, nodes).last_hidden_state.sum().backward()
    assert model.mask_token.grad.abs().sum() > 0
    with torch.no_grad():
        with pytest.raises(AssertionError, match="fast form"):
            model(imu, nodes)
        assert len(model(imu, nodes, output_hidden_states=True).hidden_states) == 4
        with torch.autocast("cpu", torch.bfloat16):
            model(imu, nodes)
        seen = []
        handle = model.st_gcn_networks[0].register_forward_hook(lambda *parts: seen.append(parts))
        model(imu, nodes)
        assert len(seen) == 1
        handle.remove()
        model.double()(imu.double(), nodes)
        model.float().train()(imu, nodes)
