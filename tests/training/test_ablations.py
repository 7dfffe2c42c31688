"""Ablations: what a variant changes, what it shares, and the tables that come out, on a tiny corpus."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from anymo_hf.evaluation import ablations
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.training.checkpoints import file_hash

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).parents[2] / "training" / "configs" / "ablations"
STAGES = {
    "encoder": {"steps": 2, "batch_size": 4, "frames": [64]},
    "tokenizer": {"steps": 2, "batch_size": 8, "frames": [64], "views_per_clip": 2, "rows_per_call": 6},
    "language": {"steps": 1, "batch_size": 4, "text_batch_size": 4, "vocab_size": 400, "latents": 12},
    "contrastive": {"steps": 2, "batch_size": 4, "lm_batch_size": 2, "candidates": 3, "latents": 12},
}


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs")
    for stage, values in STAGES.items():
        (folder / f"{stage}.yaml").write_text(yaml.safe_dump(values))
    return folder


def windows_of(name, folder):
    """Three windows of noise in the place of a real set."""
    rng = np.random.default_rng(0)
    for number in range(3):
        signals = rng.normal(size=(250, 6)) + [0, 0, 9.8, 0, 0, 0]
        yield ImuRecording({"right_pocket": signals}, 50.0, DATASETS[name].labels[number])


@pytest.fixture(scope="module")
def done(configs, corpus_folder, small_nano, tmp_path_factory):
    """A whole run without data, then the same one with data."""
    root = tmp_path_factory.mktemp("ablations")
    (root / "data" / "usc_had").mkdir(parents=True)
    words = ["--output", root / "run", "--results", root, "--configs", configs, "--corpus", corpus_folder]
    parse = lambda *more: ablations.build_parser(CONFIGS).parse_args([str(word) for word in (*words, *more)])  # noqa: E731
    plain = ablations.run(parse())
    assert not (root / "ablations.json").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablations, "read_windows", windows_of)
        judged = ablations.run(parse("--data", root / "data", "--max-windows", "2"))
    return root, plain, judged, parse


def test_shipped_settings_are_one_switch_away_from_the_full_model():
    full = ablations.stage_settings(CONFIGS, "full")
    joint = ablations.stage_settings(CONFIGS, "no_geometry")
    assert joint["encoder"].views == full["encoder"].views | {"mounting": "joint"}
    assert ablations.stage_settings(CONFIGS, "no_masked_prediction")["encoder"].objective == "full_view"
    for name, variant in ablations.VARIANTS.items():
        settings = ablations.stage_settings(CONFIGS, name, 0.5)
        for stage, values in settings.items():
            assert values.steps == round(full[stage].steps / 2) and values.max_minutes is None
            changed = {key for key, value in vars(values).items() if value != vars(full[stage])[key]} - {"steps"}
            assert changed == set(variant.changes.get(stage, ()))


def test_every_variant_is_trained_and_has_the_losses_it_keeps(done):
    _, plain, _, _ = done
    losses = {name: set(row["losses"]["contrastive"]) for name, row in plain["variants"].items()}
    everything = {"narration", "label", "instruction"}
    assert losses == {
        "full": everything, "no_geometry": everything, "no_masked_prediction": everything,
        "no_multiple_choice": everything, "no_label_contrast": everything - {"label"},
        "no_narration_contrast": everything - {"narration"}, "no_contrast": {"instruction"},
    }  # fmt: skip


def test_stages_before_the_first_change_are_shared(done):
    root = done[0] / "run"

    def weights(name, stage):
        return file_hash(root / name / stage / "checkpoint.safetensors")

    for name in ("no_label_contrast", "no_narration_contrast", "no_contrast", "no_multiple_choice"):
        assert all((root / name / stage).is_symlink() for stage in ("encoder", "tokenizer", "language"))
        assert weights(name, "contrastive") != weights("full", "contrastive")
    for name in ("no_geometry", "no_masked_prediction"):
        assert not any((root / name / stage).is_symlink() for stage in STAGES)
        assert all(weights(name, stage) != weights("full", stage) for stage in STAGES)
    assert not (done[0] / "run" / "corpus").exists()  # the given one is only read


def test_without_data_nothing_is_evaluated_and_the_table_says_so(done):
    _, plain, _, _ = done
    assert not any("accuracy" in row for row in plain["variants"].values())
    text = ablations.tables(plain)
    assert "Nothing was evaluated" in text and "encoder 2, tokenizer 2, language 1, contrastive 2" in text


def test_results_hold_means_over_sets_and_the_paper(done):
    root, _, judged, _ = done
    saved = json.loads((root / "ablations.json").read_text())
    assert saved == json.loads(json.dumps(judged)) and [*root.glob("*.part")] == []
    assert set(saved["variants"]) == set(ablations.VARIANTS) and set(saved["prompts"]) == set(ablations.PROMPTS)
    for row in (*saved["variants"].values(), *saved["prompts"].values()):
        (only,) = row["datasets"]
        assert only["dataset"] == "usc_had" and only["windows"] == 2 and row["accuracy"] == only["accuracy"]
    assert saved["prompts"]["learned"]["accuracy"] == saved["variants"]["full"]["accuracy"]
    text = ablations.tables(saved)
    assert "| w/o geometry-aware simulation |" in text and "| 8.4 / 3.8 / 16.3 |" in text
    assert "| IMU prompt |" in text and text.count("| 35.7 / 29.5 / 57.5 |") == 2


def test_a_second_run_keeps_what_is_done(done, monkeypatch):
    root, _, judged, parse = done
    monkeypatch.setattr(ablations, "read_windows", windows_of)
    monkeypatch.setattr(ablations, "evaluate_variant", lambda *_: pytest.fail("evaluated again"))
    again = ablations.run(parse("--data", root / "data", "--max-windows", "2"))
    assert again == json.loads(json.dumps(judged))
    with pytest.raises(ValueError, match="trained for 2 steps, not 4; use another --output"):
        ablations.run(parse("--scale", "2"))


def test_bad_input_is_told_before_training(done, tmp_path):
    parse = done[3]
    with pytest.raises(OSError, match="absent: no such folder"):
        ablations.run(parse("--data", tmp_path / "absent"))
    with pytest.raises(OSError, match="holds none of the folders .*uci_har"):
        ablations.run(parse("--data", tmp_path))
    with pytest.raises(ValueError, match="--scale and --max-windows must be positive"):
        ablations.run(parse("--scale", "0"))
    broken = tmp_path / "ablations.json"
    broken.write_text("{")
    with pytest.raises(OSError, match="is damaged"):
        ablations.read_results(broken, {})
