"""The cost model against direct measurements and arithmetic by hand."""

import pytest
import torch
from torch import nn

from anymo_hf.modeling.configuration_anymo import AnyMoConfig
from anymo_hf.training import cost_estimate as cost


@pytest.mark.parametrize("checkpointing", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_predicted_activations_and_states_are_what_a_real_step_takes(checkpointing):
    found = cost.validate(checkpointing)
    assert found["states_predicted"] == found["states_measured"]
    assert found["predicted"] == pytest.approx(found["measured"], rel=0.2)


@pytest.mark.slow
def test_checkpointing_saves_memory_as_measured_too():
    plain, again = cost.validate(False, 4, 60), cost.validate(True, 4, 60)
    assert again["predicted"] < 0.7 * plain["predicted"] and again["measured"] < 0.7 * plain["measured"]


def test_work_of_a_linear_layer_by_hand():
    layer = nn.Linear(30, 20, bias=False)
    rows = torch.randn(7, 30)
    work = cost.count(layer, lambda: layer(rows).square().sum())
    product = 2 * 7 * 30 * 20
    assert work.forward == product and work.both == 2 * product  # the rows need no gradient
    assert work.kept == 4 * 7 * (30 + 20)  # rows for the weight's gradient, outputs for the square's


def test_decoder_work_is_six_flops_a_weight_and_token_and_a_pass_more_with_checkpointing():
    config, rows, length = AnyMoConfig.from_preset("nano"), 2, 8
    plain, again = (cost.decoder_work(config, rows, length, 1, flag, torch.bfloat16) for flag in (False, True))
    text = config.text_config
    heads = text.num_key_value_heads / text.num_attention_heads
    weights = (
        text.num_hidden_layers * text.hidden_size * (text.hidden_size * (2 + 2 * heads) + 3 * text.intermediate_size)
    )
    assert plain.both == pytest.approx(6 * weights * rows * length, rel=0.15)
    # attention and the one scored token come on top
    assert plain.forward == pytest.approx(plain.both / 3, rel=0.02)
    # a layer's last product is not made again: nothing needs its result
    last = text.num_hidden_layers * text.hidden_size * text.intermediate_size
    assert again.both - plain.both == pytest.approx(2 * (weights - last) * rows * length, rel=0.15)


def test_seconds_are_those_of_the_precision():
    hardware = cost.Hardware(peak=100.0, peak_float32=10.0, utilisation=0.5)
    assert hardware.compute(200, "bf16") == 4 and hardware.compute(200, "no") == 40


def test_a_line_goes_through_its_points():
    small, large = cost.Work(10, 30, 100, 5), cost.Work(20, 60, 180, 5)
    assert cost.line(small, large, (2, 4), 2) == small and cost.line(small, large, (2, 4), 4) == large
    assert cost.line(small, large, (2, 4), 10) == cost.Work(50, 150, 420, 5)


def test_shares_of_a_sharded_model_shrink_and_plain_exchange_is_that_of_a_ring():
    hardware = cost.Hardware(inside=100.0, between=10.0)
    states, memory, seconds = cost.plain_cost(50, 2, False, 1000.0, hardware)
    assert (states, memory) == (800, 1800) and seconds == pytest.approx(2 * 0.5 * 200 / 100)
    assert cost.plain_cost(50, 1, True, 1000.0, hardware)[1:] == (800 + 1100, 0)
    assert cost.plain_cost(50, 8, False, 0.0, hardware)[1] == 800 + 400  # gradients in one piece, and their mean
    states, memory, seconds = cost.sharded_cost([20, 20], 10, 64, 1000.0, 2, 1, hardware)
    assert states == 12.5 and memory == 12.5 + 1000 + 2 * (10 + 40) + 6 * 20
    assert seconds == pytest.approx(63 / 64 * 50 * (2 * 2 + 4) / 10)
