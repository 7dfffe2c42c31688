"""The benchmark on a small USC-HAD: every way runs, a stopped run goes on, and its table says what was measured."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from transformers import AutoProcessor

ROOT = Path(__file__).parents[2]
CHECKPOINT = str(ROOT / "anymo")


def _load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


few_labels = _load(ROOT / "benchmarks" / "few_labels.py")
small = _load(ROOT / "tests" / "examples" / "small_usc_had.py")


@pytest.fixture
def short(tmp_path, monkeypatch):
    """Arguments of a short run; `full` and `linear_random` differ from what is left in settings only."""
    small.write_small_usc_had(tmp_path / "data" / "usc_had", people=4)
    monkeypatch.setattr(few_labels, "NAMES", ("usc_had",))
    monkeypatch.setattr(few_labels, "WAYS", ("forest", "scratch", "linear", "lora"))
    monkeypatch.setattr(few_labels, "STEPS", {0.01: 2, 1.0: 2})
    monkeypatch.setattr(few_labels, "SEEDS", {0.01: 2, 1.0: 1})
    monkeypatch.chdir(tmp_path)
    return ["--data", "data", "--model", CHECKPOINT, "--cache", "cache", "--output", "out/few.json"]


def test_the_ways_run_and_a_stopped_run_goes_on(short, monkeypatch, capsys):
    measure, calls = few_labels.measure, []

    def stopped(run, *more):
        if len(calls) == 3:
            raise OSError("stopped")
        calls.append(run)
        return measure(run, *more)

    monkeypatch.setattr(few_labels, "measure", stopped)
    with pytest.raises(SystemExit):
        few_labels.main(short)
    first = json.loads(Path("out/few.json").read_text())["runs"]
    assert len(first) == 3 and "few_labels: stopped" in capsys.readouterr().err
    calls.clear()
    monkeypatch.setattr(few_labels, "measure", lambda run, *more: calls.append(run) or measure(run, *more))
    few_labels.main(short)
    runs = json.loads(Path("out/few.json").read_text())["runs"]
    assert runs[:3] == first and len(calls) == len(runs) - 3 and len(runs) == 1 + 3 * len(few_labels.WAYS)
    assert {run["way"] for run in runs} == {"zero_shot", *few_labels.WAYS}
    for run in runs:
        assert 0 <= run["macro_f1"] <= 100 and run["test_windows"] == 6  # one person of four
        assert (run["windows"], run["people"]) == {0.0: (0, 0), 0.01: (3, 1), 1.0: (18, 3)}[run["share"]]
    out = capsys.readouterr().out
    assert "| usc_had | 1 %: 3 windows, 1 person | 100 %: 18 windows, 3 people |" in out
    forest = [run["accuracy"] for run in runs if run["way"] == "forest" and run["share"] == 0.01]
    assert f"| forest | {np.mean(forest):.1f} ± {np.std(forest, ddof=1):.1f} / " in out
    calls.clear()
    few_labels.main(short)
    assert not calls and not list(Path("out").glob("*.part"))
    monkeypatch.setattr(few_labels, "BATCH", 4)
    with pytest.raises(SystemExit):
        few_labels.main(short)
    assert "other settings; delete it" in capsys.readouterr().err


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
        got = few_labels.Probe(model)(model.get_imu_features(**batch), labels)
    torch.testing.assert_close(got.logits, expected.logits)
    torch.testing.assert_close(got.loss, expected.loss)


def test_features_of_a_known_signal_and_what_turning_the_sensor_leaves():
    time = np.arange(500) / 100
    signal = np.random.default_rng(0).normal(0, 0.01, (500, 6)) + [0, 0, 9.8, 0, 0, 0]
    signal[:, 2] += 2 * np.sin(2 * np.pi * 1.8 * time)
    columns, bands = 11, len(few_labels.BANDS)
    features = few_labels.signal_features(signal, 100)
    assert features.shape == (columns * (2 + 5 + bands + 1) + 15,) and np.isfinite(features).all()
    assert features[2] == pytest.approx(9.8, abs=0.01) and features[columns + 2] == pytest.approx(
        2 / np.sqrt(2), abs=0.01
    )
    energy = features[7 * columns :][: bands * columns].reshape(bands, columns)
    assert energy[:, 2].argmax() == 1 and energy[:, 8].argmax() == 1  # 1 to 2 Hz, in the channel and along gravity
    assert features[(7 + bands) * columns + 8] == pytest.approx(1.8)
    turn = Rotation.from_euler("xyz", [0.4, 1.1, -2.0]).as_matrix().T
    turned = few_labels.signal_features(np.hstack([signal[:, :3] @ turn, signal[:, 3:] @ turn]), 100)
    table, other = (found[:-15].reshape(-1, columns) for found in (features, turned))
    np.testing.assert_allclose(table[:, 6:], other[:, 6:], atol=1e-9)
    assert np.isfinite(few_labels.signal_features(np.zeros((100, 6)), 50)).all()


def test_a_missing_data_set_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        few_labels.main(["--data", "none", "--model", CHECKPOINT])
    assert "none has no folder usc_had; unpack the data set there" in capsys.readouterr().err
