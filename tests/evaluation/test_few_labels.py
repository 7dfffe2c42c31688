"""Few labels on a small USC-HAD: every way runs, a stopped run goes on, and its table says what was measured."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.small_usc_had import write_small_usc_had
from transformers import AutoProcessor

from anymo_hf.evaluation import few_labels

pytestmark = pytest.mark.slow

CHECKPOINT = str(Path(__file__).parents[2] / "anymo")


@pytest.fixture
def short(tmp_path, monkeypatch, tiny_release):
    """Arguments of a short run; `full` and `linear_random` differ from what is left in settings only."""
    write_small_usc_had(tmp_path / "data" / "usc_had", people=4)
    monkeypatch.setattr(few_labels, "NAMES", ("usc_had",))
    monkeypatch.setattr(few_labels, "WAYS", ("forest", "scratch", "linear", "lora"))
    monkeypatch.setattr(few_labels, "STEPS", {0.01: 2, 1.0: 2})
    monkeypatch.setattr(few_labels, "SEEDS", {0.01: 2, 1.0: 1})
    monkeypatch.chdir(tmp_path)
    return ["evaluate", "few-labels", "--data", "data", "--model", tiny_release, "--cache", "cache",
            "--output", "out/few.json"]  # fmt: skip


def test_the_ways_run_and_a_stopped_run_goes_on(short, anymo, monkeypatch):
    measure, calls = few_labels.measure, []

    def stopped(run, *more):
        if len(calls) == 3:
            raise OSError("stopped")
        calls.append(run)
        return measure(run, *more)

    monkeypatch.setattr(few_labels, "measure", stopped)
    code, _, err = anymo(*short)
    first = json.loads(Path("out/few.json").read_text())["runs"]
    assert code == 2 and len(first) == 3 and "anymo: stopped" in err
    calls.clear()
    monkeypatch.setattr(few_labels, "measure", lambda run, *more: calls.append(run) or measure(run, *more))
    code, out, err = anymo(*short)
    assert code == 0, err
    runs = json.loads(Path("out/few.json").read_text())["runs"]
    assert runs[:3] == first and len(calls) == len(runs) - 3 and len(runs) == 1 + 3 * len(few_labels.WAYS)
    assert {run["way"] for run in runs} == {"zero_shot", *few_labels.WAYS}
    for run in runs:
        assert 0 <= run["macro_f1"] <= 100 and run["test_windows"] == 6  # one person of four
        assert (run["windows"], run["people"]) == {0.0: (0, 0), 0.01: (3, 1), 1.0: (18, 3)}[run["share"]]
    assert "| usc_had | 1 %: 3 windows, 1 person | 100 %: 18 windows, 3 people |" in out
    forest = [run["accuracy"] for run in runs if run["way"] == "forest" and run["share"] == 0.01]
    assert f"| forest | {np.mean(forest):.1f} ± {np.std(forest, ddof=1):.1f} / " in out
    calls.clear()
    assert anymo(*short)[0] == 0
    assert not calls and not list(Path("out").glob("*.part"))
    monkeypatch.setattr(few_labels, "BATCH", 4)
    code, _, err = anymo(*short)
    assert code == 2 and "other settings; delete it" in err


def test_from_scratch_keeps_the_code_vectors_only():
    labels = ("walking", "sitting")
    released, fresh = (few_labels.make_model(CHECKPOINT, labels, 0, scratch).state_dict() for scratch in (False, True))
    same = {name for name, weight in fresh.items() if torch.equal(weight, released[name])}
    learned = {name for name in same if "norm" not in name and not name.endswith("bias")}
    assert learned <= {"language_model.model.embed_tokens.codebook", "imu_residual_scale"}
    again = few_labels.make_model(CHECKPOINT, labels, 0, True).state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in fresh.items())


def test_a_probe_scores_as_the_model_itself():
    model = few_labels.make_model(CHECKPOINT, ("walking", "sitting", "running"), 1).eval()
    processor = AutoProcessor.from_pretrained(CHECKPOINT)
    rng = np.random.default_rng(0)
    batch = processor(imu_codes=rng.integers(0, 512, (4, 20)), imu_placements=[[0]] * 4, return_tensors="pt")
    labels = torch.tensor([0, 1, 2, 0])
    with torch.no_grad():
        expected = model(**batch, labels=labels)
        got = few_labels.Probe(model)(model.get_imu_features(**batch).pooler_output, labels)
    torch.testing.assert_close(got.logits, expected.logits)
    torch.testing.assert_close(got.loss, expected.loss)


def test_a_missing_data_set_is_told(anymo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = anymo("evaluate", "few-labels", "--data", "none", "--model", CHECKPOINT)
    assert code == 2 and "none has no folder usc_had; unpack the data set there" in err
