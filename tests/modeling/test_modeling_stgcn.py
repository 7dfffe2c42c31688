"""ST-GCN: official names and shapes, equality with message passing, exact padding, exact round trip."""

import copy

import numpy as np
import pytest
import torch
from torch_geometric.nn import MessagePassing

from anymo_hf.modeling.body_segments import PARENTS, SEGMENTS, resolve_placement, spatial_partitions
from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_stgcn import (
    AnyMoSTGCNForPreTraining,
    AnyMoSTGCNModel,
    SpatialConvolution,
    _normalised,
    sequence_similarity,
)


class WeightedSum(MessagePassing):
    """Sum of weighted neighbours, PyG's own way."""

    def __init__(self):
        super().__init__(aggr="add")

    def forward(self, x, edge_index, weight):
        return self.propagate(edge_index, x=x, weight=weight)

    def message(self, x_j, weight):
        return x_j * weight[:, None]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    encoder = AnyMoSTGCNModel(AnyMoSTGCNConfig.from_preset("nano"))
    with torch.no_grad():  # statistics that are not the trivial 0 and 1
        for module in encoder.modules():
            if hasattr(module, "running_mean"):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
        encoder.mask_token.normal_()
        for importance in encoder.edge_importance:
            importance.uniform_(0.5, 2)
    return encoder.eval()


def test_partitions_sum_to_the_degree_normalised_adjacency_of_pyg():
    from torch_geometric.utils import add_self_loops, to_dense_adj

    bones = torch.tensor([(child, parent) for child, parent in enumerate(PARENTS) if parent >= 0]).t()
    edges, _ = add_self_loops(torch.cat([bones, bones.flip(0)], 1), num_nodes=23)
    dense = to_dense_adj(edges, max_num_nodes=23)[0]
    for graph in ("depth", "official"):
        model = AnyMoSTGCNModel(AnyMoSTGCNConfig.from_preset("nano", graph=graph))
        torch.testing.assert_close(model.A.sum(0), dense / dense.sum(0, keepdim=True))


def test_dense_graph_convolution_equals_pyg_message_passing():
    torch.manual_seed(1)
    layer, adjacency = (
        SpatialConvolution(6, 10, 3).double(),
        torch.from_numpy(spatial_partitions()).double() * torch.rand(3, 23, 23).double(),
    )
    x = torch.randn(23, 2, 4, 6, dtype=torch.float64)
    expected = torch.zeros(23, 2, 4, 10, dtype=torch.float64)
    for k in range(3):
        source, target = adjacency[k].nonzero(as_tuple=True)
        weight, bias = layer.conv.weight.view(3, 10, 6)[k], layer.conv.bias.view(3, 10)[k]
        for n in range(2):
            for t in range(4):
                expected[:, n, t] += WeightedSum()(
                    x[:, n, t] @ weight.t() + bias,
                    torch.stack([source, target]),
                    adjacency[k][source, target],
                )
    torch.testing.assert_close(layer(x, adjacency), expected)


def _norm(name, width):
    shapes = {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {**shapes, f"{name}.num_batches_tracked": ()}


def _layer(name, *shape):
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def official_encoder_tensors():
    """The encoder's checkpoint, written out from the official code's layout."""
    tensors = {"A": (3, 23, 23), "mask_token": (6,), **_norm("data_bn", 23 * 6)}
    blocks = [
        (6, 64),
        (64, 64),
        (64, 64),
        (64, 64),
        (64, 128),
        (128, 128),
        (128, 128),
        (128, 256),
        (256, 256),
        (256, 256),
    ]
    for i, (narrow, wide) in enumerate(blocks):
        block = f"st_gcn_networks.{i}"
        tensors[f"edge_importance.{i}"] = (3, 23, 23)
        tensors |= _layer(f"{block}.gcn.conv", 3 * wide, narrow, 1, 1)
        tensors |= {**_norm(f"{block}.tcn.0", wide), **_norm(f"{block}.tcn.3", wide)}
        tensors |= _layer(f"{block}.tcn.2", wide, wide, 9, 1)
        if i in (4, 7):
            tensors |= {**_layer(f"{block}.residual.0", wide, narrow, 1, 1), **_norm(f"{block}.residual.1", wide)}
    return tensors


def official_predictor_tensors():
    """The predictor's checkpoint."""
    tensors = {"pos_embed": (1, 75, 256), **_layer("norm", 256), **_layer("head", 256, 256)}
    for i in range(6):
        block = f"blocks.{i}"
        tensors |= {**_layer(f"{block}.norm1", 256), **_layer(f"{block}.norm2", 256)}
        tensors |= {f"{block}.attn.in_proj_weight": (768, 256), f"{block}.attn.in_proj_bias": (768,)}
        tensors |= _layer(f"{block}.attn.out_proj", 256, 256)
        tensors |= {**_layer(f"{block}.mlp.0", 1024, 256), **_layer(f"{block}.mlp.3", 256, 1024)}
    return tensors


def test_paper_preset_matches_the_official_checkpoint_tensor_for_tensor():
    with torch.device("meta"):
        state = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig.from_preset("paper")).state_dict()
    expected = {f"encoder.{name}": shape for name, shape in official_encoder_tensors().items()}
    expected |= {f"predictor.{name}": shape for name, shape in official_predictor_tensors().items()}
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected


def test_nano_preset_has_the_same_tensor_names():
    with torch.device("meta"):
        state = AnyMoSTGCNModel(AnyMoSTGCNConfig.from_preset("nano")).state_dict()
    assert set(state) == set(official_encoder_tensors())


@pytest.mark.parametrize("frames", [60, 97, 150, 299])
def test_padded_batch_gives_the_latents_of_each_window_alone(model, frames):
    imu = torch.randn(2, 300, 23, 6)
    mask = torch.zeros(2, 300, dtype=torch.bool)
    mask[0, :frames], mask[1] = True, True
    nodes = torch.zeros(2, 23, dtype=torch.bool)
    nodes[:, [3, 9]] = True
    with torch.no_grad():
        batched = model(imu, nodes, mask)
        alone = model(imu[:1, :frames], nodes[:1]).last_hidden_state
    length = -(-frames // 4)
    assert batched.attention_mask.sum(1).tolist() == [length, 75]
    torch.testing.assert_close(batched.last_hidden_state[:1, :length], alone, atol=2e-5, rtol=1e-4)


def test_hidden_sensors_do_not_matter(model):
    imu = torch.randn(1, 120, 23, 6)
    nodes = torch.zeros(1, 23, dtype=torch.bool)
    nodes[0, 6] = True
    changed = imu.clone()
    changed[:, :, 7:] += 5
    with torch.no_grad():
        torch.testing.assert_close(model(imu, nodes)[0], model(changed, nodes)[0])


def test_loss_equals_equation_3_and_is_small_when_views_agree():
    torch.manual_seed(0)
    model = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig.from_preset("nano")).eval()
    a, b = torch.randn(4, 60, 23, 6), torch.randn(4, 60, 23, 6)
    visible = model.sample_visible(4, torch.Generator().manual_seed(0))
    assert visible.sum(1).min() >= 1 and visible.sum(1).max() <= 5
    with torch.no_grad():
        out = model(a, b, visible, visible)
        target = model.encoder(b).last_hidden_state.double()
        masked = model.encoder(a, visible)
        predicted = model.predictor(masked.last_hidden_state, masked.attention_mask).double()
        full_a = model.encoder(a).last_hidden_state.double()
        masked_b = model.encoder(b, visible)
        predicted_b = model.predictor(masked_b.last_hidden_state, masked_b.attention_mask).double()

    def loss(prediction, goal):
        total = 0.0
        for n in range(4):
            row = [torch.cosine_similarity(prediction[n], goal[m], dim=-1).mean().item() / 0.1 for m in range(4)]
            total -= row[n] - np.log(np.exp(row).sum())
        return total / 4

    assert out.loss.item() == pytest.approx(loss(predicted, target) + loss(predicted_b, full_a), rel=1e-4)


def test_targets_get_no_gradient():
    torch.manual_seed(0)
    model = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig.from_preset("nano")).eval()
    a, b = torch.randn(3, 32, 23, 6), torch.randn(3, 32, 23, 6)
    seen_a, seen_b = torch.zeros(3, 23, dtype=torch.bool), torch.zeros(3, 23, dtype=torch.bool)
    seen_a[:, 3], seen_b[:, 13] = True, True
    a.requires_grad_()
    b.requires_grad_()
    loss = model(a, b, seen_a, seen_b).loss
    loss.backward()
    # hidden segments enter the loss through the full-view targets only
    assert a.grad[:, :, 3].abs().sum() > 0 and b.grad[:, :, 13].abs().sum() > 0
    assert a.grad[:, :, seen_b[0]].abs().sum() == 0 and b.grad[:, :, seen_a[0]].abs().sum() == 0


def test_similarity_is_the_mean_cosine_over_shared_steps():
    torch.manual_seed(0)
    predicted, goal = torch.randn(3, 5, 8), torch.randn(3, 5, 8)
    lengths = [5, 3, 2]
    weight = (torch.arange(5) < torch.tensor(lengths)[:, None]).float()
    got = sequence_similarity(predicted, goal, weight)
    for n in range(3):
        for m in range(3):
            shared = min(lengths[n], lengths[m])
            cosine = torch.cosine_similarity(predicted[n, :shared].double(), goal[m, :shared].double(), dim=-1)
            assert got[n, m].item() == pytest.approx(cosine.mean().item(), abs=1e-6)


def test_padded_batch_gives_the_loss_and_gradients_whatever_the_padding_holds():
    torch.manual_seed(0)
    model = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig.from_preset("nano")).eval()
    a, b = torch.randn(2, 60, 23, 6), torch.randn(2, 60, 23, 6)
    mask = torch.ones(2, 60, dtype=torch.bool)
    mask[1, 41:] = False
    seen = torch.zeros(2, 23, dtype=torch.bool)
    seen[:, 6] = True
    losses = []
    for filler in (0.0, 100.0, float("nan")):
        view_a, view_b = a.masked_fill(~mask[..., None, None], filler), b.masked_fill(~mask[..., None, None], filler)
        model.zero_grad()
        loss = model(view_a, view_b, seen, seen, mask).loss
        loss.backward()
        assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
        losses.append(loss.item())
    assert losses[0] == losses[1] == losses[2]


@pytest.mark.parametrize("frames", [300, 400, 60, 61])
def test_predictor_takes_any_length(frames):
    model = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig.from_preset("nano")).eval()
    length = -(-frames // 4)
    latents = model.encoder(torch.randn(1, frames, 23, 6))
    assert latents.last_hidden_state.shape == (1, length, 48)
    predicted = model.predictor(latents.last_hidden_state, latents.attention_mask)
    assert predicted.shape == (1, length, 48) and predicted.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_round_trip_is_exact(model, tmp_path, dtype):
    saved = AnyMoSTGCNModel(model.config).to(dtype)
    saved.load_state_dict(model.state_dict())
    saved.save_pretrained(tmp_path)
    loaded, info = AnyMoSTGCNModel.from_pretrained(tmp_path, dtype=dtype, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    for name, tensor in saved.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, atol=0, rtol=0)


def test_wrong_shapes_are_refused(model):
    with pytest.raises(ValueError, match=r"imu must be \(batch, frames, 23, 6\)"):
        model(torch.zeros(1, 60, 22, 6))
    with pytest.raises(ValueError, match="node_mask"):
        model(torch.zeros(1, 60, 23, 6), torch.ones(1, 22, dtype=torch.bool))
    with pytest.raises(ValueError, match="unknown preset 'tiny'"):
        AnyMoSTGCNConfig.from_preset("tiny")


def test_masks_that_cannot_be_meant_are_refused(model):
    imu, frames = torch.zeros(2, 60, 23, 6), torch.ones(2, 60, dtype=torch.bool)
    nodes = torch.ones(2, 23, dtype=torch.bool)
    nodes[1] = False
    with pytest.raises(ValueError, match=r"node_mask: windows \[1\] have no visible sensor"):
        model(imu, nodes)
    with pytest.raises(ValueError, match=r"frame_mask must be \(2, 60\), got \(2, 59\)"):
        model(imu, None, frames[:, :59])
    for start, end in ((0, 60), (0, 10), (20, 30)):  # empty, padded in front, a hole
        broken = frames.clone()
        broken[0, start:end] = False
        with pytest.raises(ValueError, match=r"frame_mask: windows \[0\]"):
            model(imu, None, broken)


def test_placement_names_resolve_and_unknown_ones_list_the_choices():
    assert SEGMENTS[resolve_placement("left_wrist")] == "L_Forearm"
    assert SEGMENTS[resolve_placement("Left Wrist", wrist="hand")] == "L_Hand"
    assert SEGMENTS[resolve_placement("right_pocket")] == "R_UpperLeg"
    assert SEGMENTS[resolve_placement("t8")] == "T8"
    with pytest.raises(ValueError, match="unknown placement 'tail'.*left_wrist"):
        resolve_placement("tail")


def test_running_statistics_come_from_sparse_views_only():
    torch.manual_seed(0)
    model = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig.from_preset("nano")).train()
    first, second = torch.randn(4, 40, 23, 6), torch.randn(4, 40, 23, 6)
    seen = torch.zeros(4, 23, dtype=torch.bool)
    seen[:, [6, 9]] = True
    alone = copy.deepcopy(model.encoder)
    model(first, second, seen, seen)
    alone(torch.cat([first, second]), torch.cat([seen, seen]))
    for (name, value), expected in zip(model.encoder.named_buffers(), alone.buffers(), strict=True):
        if "running" in name:
            torch.testing.assert_close(value, expected)


def test_batch_statistics_are_exact_where_most_rows_are_alike():
    torch.manual_seed(0)
    x = torch.randn(184, 150, 8)
    x[30:] = torch.randn(154, 1, 8) * 0.01 + 0.7
    norm, exact = torch.nn.BatchNorm2d(8), torch.nn.BatchNorm2d(8).double()
    for layer in (norm, exact):
        torch.nn.init.constant_(layer.weight, 1.5)
    rows = x.clone().requires_grad_()
    # contiguous below: for the plain `permute(0, 2, 1)[..., None]` torch 2.13 returns wrong gradients
    wide = x.double().requires_grad_()
    got, expected = (
        _normalised(norm, rows),
        exact(wide.permute(0, 2, 1).contiguous()[..., None])[..., 0].permute(0, 2, 1),
    )
    torch.testing.assert_close(got.double(), expected, atol=1e-6, rtol=2e-6)
    torch.testing.assert_close(norm.running_var.double(), exact.running_var, atol=0, rtol=1e-6)
    torch.testing.assert_close(norm.running_mean.double(), exact.running_mean, atol=1e-7, rtol=1e-6)
    assert norm.num_batches_tracked == 1
    along = torch.randn_like(x)
    got.backward(along)
    expected.backward(along.double())
    torch.testing.assert_close(rows.grad.double(), wide.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(norm.weight.grad.double(), exact.weight.grad, atol=1e-2, rtol=1e-4)
