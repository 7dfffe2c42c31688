"""ST-GCN: official names and shapes, equality with message passing, exact padding, exact round trip."""

import numpy as np
import pytest
import torch
from torch_geometric.nn import MessagePassing

from anymo_hf.modeling.body_graph import PARENTS, SEGMENTS, body_graph, resolve_placement, spatial_partitions
from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_stgcn import (
    AnyMoSTGCNForPreTraining,
    AnyMoSTGCNModel,
    SpatialConvolution,
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

    edges, _ = add_self_loops(body_graph().edge_index, num_nodes=23)
    dense = to_dense_adj(edges, max_num_nodes=23)[0]
    torch.testing.assert_close(spatial_partitions().sum(0), dense / dense.sum(0, keepdim=True))


def test_partition_1_points_from_farther_nodes_and_2_from_nearer():
    partitions = spatial_partitions()
    for child, parent in enumerate(PARENTS):
        if parent >= 0:
            assert partitions[1, child, parent] > 0 and partitions[2, parent, child] > 0
            assert partitions[2, child, parent] == 0 and partitions[1, parent, child] == 0


def test_dense_graph_convolution_equals_pyg_message_passing():
    torch.manual_seed(1)
    layer, adjacency = (
        SpatialConvolution(6, 10, 3).double(),
        spatial_partitions().double() * torch.rand(3, 23, 23).double(),
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


def test_paper_preset_has_the_official_names_and_shapes():
    with torch.device("meta"):
        state = AnyMoSTGCNForPreTraining(AnyMoSTGCNConfig.from_preset("paper")).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    expected = {
        "encoder.A": (3, 23, 23),
        "encoder.data_bn.weight": (138,),
        "encoder.mask_token": (6,),
        "encoder.edge_importance.9": (3, 23, 23),
        "encoder.st_gcn_networks.0.gcn.conv.weight": (192, 6, 1, 1),
        "encoder.st_gcn_networks.4.gcn.conv.weight": (384, 64, 1, 1),
        "encoder.st_gcn_networks.4.tcn.2.weight": (128, 128, 9, 1),
        "encoder.st_gcn_networks.4.residual.0.weight": (128, 64, 1, 1),
        "encoder.st_gcn_networks.7.residual.1.running_var": (256,),
        "encoder.st_gcn_networks.9.tcn.3.weight": (256,),
        "predictor.pos_embed": (1, 75, 256),
        "predictor.blocks.5.attn.in_proj_weight": (768, 256),
        "predictor.blocks.0.mlp.0.weight": (1024, 256),
        "predictor.blocks.0.mlp.3.weight": (256, 1024),
        "predictor.norm.weight": (256,),
        "predictor.head.weight": (256, 256),
    }
    assert {name: shapes[name] for name in expected} == expected
    assert "encoder.st_gcn_networks.0.residual.0.weight" not in shapes
    assert "encoder.st_gcn_networks.1.residual.0.weight" not in shapes


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
    goal = torch.randn(2, 5, 8)
    weight = torch.ones(2, 5)
    assert sequence_similarity(goal, goal, weight).diagonal().allclose(torch.ones(2))


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


def test_placement_names_resolve_and_unknown_ones_list_the_choices():
    assert SEGMENTS[resolve_placement("left_wrist")] == "L_Forearm"
    assert SEGMENTS[resolve_placement("Left Wrist", wrist="hand")] == "L_Hand"
    assert SEGMENTS[resolve_placement("right_pocket")] == "R_UpperLeg"
    assert SEGMENTS[resolve_placement("t8")] == "T8"
    with pytest.raises(ValueError, match="unknown placement 'tail'.*left_wrist"):
        resolve_placement("tail")
