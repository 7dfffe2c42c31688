"""The encoder against its direct form, at paper size: latents, loss and gradients, and the benchmark's own guard."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import encoder as benchmark
from stgcn_direct import DirectSTGCN

from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNModel


def test_direct_form_holds_the_same_tensors():
    config = AnyMoSTGCNConfig.from_preset("paper")
    with torch.device("meta"):
        states = [form(config).state_dict() for form in (AnyMoSTGCNModel, DirectSTGCN)]
    shapes = [{name: tuple(value.shape) for name, value in state.items()} for state in states]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("preset", ["paper", "nano"])
def test_latents_loss_and_gradients_equal_the_direct_form(preset):
    ours, direct = benchmark.paired_models(preset)
    first, second, visible = benchmark.windows(2)
    cut = first[:, :100], second[:, :100]
    differences = benchmark.largest_differences(ours, direct, *cut, visible)
    assert set(differences) == {"eval", "train", "loss", "gradient"}
    assert max(differences["eval"], differences["train"], differences["loss"]) < 1e-4
    assert differences["gradient"] < 1e-8  # in float64
    # running statistics have moved alike, too
    expected = dict(direct.named_buffers())
    for name, value in ours.named_buffers():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=1e-4)


def test_differing_forms_are_refused(monkeypatch):
    monkeypatch.setattr(benchmark, "FRAMES", 40)
    monkeypatch.setattr(benchmark, "largest_differences", lambda *_: {"eval": 1e-3})
    with pytest.raises(RuntimeError, match=r"differ by 1.0e-03"):
        benchmark.measure("nano", 2, 0.0, False)


def test_report_shows_ratios_and_says_that_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(benchmark, "FRAMES", 40)
    result = {"machine": "one", **benchmark.measure("nano", 2, 0.0, False)}
    table = benchmark.markdown(result, "nano")
    assert "| forward | direct |" in table and "| training step | ours |" in table and "no GPU here" in table
    assert result["gflop_per_window"]["forward and backward"] > 2 * result["gflop_per_window"]["forward"]
