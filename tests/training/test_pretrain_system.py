"""Compared systems trained on our corpus: from settings to a folder that `load_system` scores with."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from support.forked import finish_ranks, forked_ranks

from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.systems.interface import load_system
from anymo_hf.systems.retrained import retrained_systems
from anymo_hf.systems.retraining.settings import SystemSettings
from anymo_hf.systems.retraining.training import train_system, turn_sensors, worded_texts
from anymo_hf.systems.virtual_windows import window_features
from anymo_hf.training.corpus import MotionCorpus
from anymo_hf.training.sentence_vectors import cache_file
from anymo_hf.training.settings import load_settings

CONFIGS = Path(__file__).parents[2] / "training" / "configs" / "systems"
SMALL = {
    "unimts_objective": {"encoder_options": {"share": 1 / 16}, "turned": True, "options": {"directions": 1}},
    "imu2clip_objective": {"encoder_options": {"dim": 16}, "frames": [142]},
    "comodo_objective": {
        "objective": "queue", "options": {"size": 16, "hidden": 16},
        "encoder_options": {"dim": 16, "layers": 1, "hidden": 16},
    },
    "imugpt_objective": {"frames": [120]},
    "anymo_objective": {"frames": [32]},
}  # fmt: skip


@pytest.fixture
def root(tmp_path, corpus_folder):
    """A run folder with sentence vectors in place of the sentence encoder."""
    (tmp_path / "corpus").symlink_to(corpus_folder)
    texts = worded_texts(MotionCorpus(corpus_folder).clips)
    path = cache_file(texts, tmp_path / "language")
    path.parent.mkdir()
    rows = torch.randn(len(texts), 384, generator=torch.Generator().manual_seed(0))
    np.save(path, torch.nn.functional.normalize(rows, dim=-1).numpy())
    return tmp_path


def settings(system, steps, **more):
    values = {"frames": [64], "batch_size": 4, "checkpoint_every": 1, "log_every": 1, **SMALL[system], **more}
    return SystemSettings(system=system, steps=steps, **values)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_has_one_settings_file_with_the_same_budget(path):
    found = load_settings(path, SystemSettings)
    assert found.system == path.stem and (found.steps, found.batch_size) == (400, 32)
    assert {one.stem for one in CONFIGS.glob("*.yaml")} == set(retrained_systems())


@pytest.mark.slow
@pytest.mark.parametrize("system", [name for name in SMALL if name != "imu2clip_objective"])
def test_a_stopped_run_goes_on_as_if_it_had_not(system, root, accelerator):
    metrics = train_system(settings(system, 3), root, accelerator)
    assert metrics["steps"] == 3 and np.isfinite(list(metrics["losses"].values())).all()
    weights = load_file(root / system / "model" / "model.safetensors")
    shutil.rmtree(root / system)
    if system == "imugpt_objective":  # the bank is as large as the run is long
        return
    train_system(settings(system, 1), root, accelerator)
    (root / system / "metrics.json").unlink()
    train_system(settings(system, 3), root, accelerator)
    again = load_file(root / system / "model" / "model.safetensors")
    assert again.keys() == weights.keys() and len(weights) > 2
    warm_up = ("objective", "encoder")  # the learning rate follows the share of the run, which was another at first
    changed = [name for name in weights if not torch.equal(weights[name], again[name])]
    assert all(name.startswith(warm_up) for name in changed)


def test_what_training_wrote_is_what_is_scored(root, accelerator):
    rng = np.random.default_rng(0)
    windows = [ImuRecording({"left_wrist": rng.normal(0, 3, (100, 6))}, 50.0, "a") for _ in range(3)]
    train_system(settings("imugpt_objective", 3), root, accelerator)
    folder = root / "imugpt_objective" / "model"
    forest = load_system("imugpt_objective", str(folder))
    forest.vectors = lambda texts: torch.nn.functional.normalize(torch.ones(len(texts), 384), dim=-1)
    np.testing.assert_allclose(forest.score(windows, ["walking", "sitting"]).sum(1), 1)
    train_system(settings("unimts_objective", 2), root, accelerator)
    loaded = load_system("unimts_objective", str(root / "unimts_objective" / "model"))
    assert loaded.network.settings["encoder_options"] == {"share": 1 / 16}
    assert loaded.report()["trained"] == {"steps": 2, "batch_size": 4}
    assert forest.report()["trained"] == {"steps": 3, "batch_size": 4}
    assert loaded.embed_imu(windows).shape == (3, 256)
    with pytest.raises(ValueError, match="holds weights of imugpt_objective, not of unimts_objective"):
        load_system("unimts_objective", str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(OSError, match="config.json is missing or damaged .*; train imugpt_objective again"):
        load_system("imugpt_objective", str(folder))
    with pytest.raises(OSError, match="pretrain_system.py --config training/configs/systems/comodo_objective.yaml"):
        load_system("comodo_objective")


def test_bad_settings_are_said_in_one_line(root, accelerator, corpus_folder):
    for more, message in (
        ({"frames": [150]}, "frames asks for windows of 150, the corpus holds clips of 120"),
        ({"options": {"direction": 1}}, "options or encoder_options: .*direction"),
        ({"start_from": "x"}, "start_from: a compared system starts from random weights"),
    ):
        with pytest.raises(ValueError, match=message):
            train_system(settings("unimts_objective", 1, **more), root, accelerator)
    with pytest.raises(ValueError, match="takes 300 frames, got 64"):
        train_system(SystemSettings(system="imagebind_objective", frames=[64], steps=1), root, accelerator)
    with pytest.raises(ValueError, match="system must be .*unimts_objective"):
        SystemSettings(system="imagebind")


def train_one_rank(system, root):
    train_system(settings(system, 3, batch_size=8), root, Accelerator())


@pytest.mark.slow
@pytest.mark.parametrize("system", ["unimts_objective", "anymo_objective"])  # both graphs, whose norms see a batch
def test_two_processes_learn_what_one_learns(system, root, accelerator, tmp_path):
    plain = train_system(settings(system, 3, batch_size=8), root, accelerator)
    weights = load_file(root / system / "model" / "model.safetensors")
    shutil.rmtree(root / system)
    finish_ranks(forked_ranks(train_one_rank, system, root, folder=tmp_path), tmp_path)
    shared = json.loads((root / system / "metrics.json").read_text())
    for name, loss in plain["losses"].items():
        assert shared["losses"][name] == pytest.approx(loss, rel=1e-4)
    found = load_file(root / system / "model" / "model.safetensors")
    seen = [name for name in weights if "running_" in name]  # what a bias before a norm learns is float noise
    assert len(seen) > 10
    for name in seen:
        np.testing.assert_allclose(found[name], weights[name], rtol=2e-3, atol=2e-4, err_msg=name)


def test_a_turned_sensor_reads_both_triples_in_its_new_axes():
    rng = np.random.default_rng(0)
    signals, turns = rng.normal(size=(2, 5, 3, 6)), np.linalg.qr(rng.normal(size=(2, 3, 3, 3)))[0]
    found = turn_sensors(torch.from_numpy(signals), turns).numpy()
    for row in range(2):
        for place in range(3):
            for triple in (slice(0, 3), slice(3, 6)):
                expected = signals[row, :, place, triple] @ turns[row, place].T
                np.testing.assert_allclose(found[row, :, place, triple], expected, atol=1e-12)


def test_features_are_quantiles_of_what_a_slow_accelerometer_reads():
    still = np.zeros((2, 120, 3, 6))
    still[..., 2], still[..., 3:] = 9.8, 5.0
    still[:, :, 1, 0] = np.linspace(0, 1, 120)
    found = window_features(still).reshape(2, 3, 3, 16)
    np.testing.assert_allclose(found[:, :, 2], 9.8, rtol=1e-6)
    ramp = found[0, 1, 0]
    assert (np.diff(ramp[:15]) > 0).all() and abs(ramp[15] - 0.49) < 0.01 and abs(ramp[7] - 0.49) < 0.01
    assert json.loads(json.dumps(found[0, 0, 0].tolist())) == [0.0] * 16
