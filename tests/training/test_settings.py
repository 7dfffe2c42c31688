"""Settings: what a YAML file may say, and what changes the fingerprint."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from anymo_hf.simulation.views import ViewOptions
from anymo_hf.training.settings import (
    ContrastiveSettings,
    EncoderSettings,
    LanguageSettings,
    StageSettings,
    TokenizerSettings,
    check_views,
    load_settings,
)

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
KINDS = {
    "encoder": EncoderSettings,
    "tokenizer": TokenizerSettings,
    "language": LanguageSettings,
    "contrastive": ContrastiveSettings,
}


def written(tmp_path, text):
    path = tmp_path / "stage.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("preset", ["nano", "paper"])
@pytest.mark.parametrize("stage", KINDS)
def test_shipped_configurations_load_and_keep_every_value(preset, stage):
    path = CONFIGS / preset / f"{stage}.yaml"
    settings = load_settings(path, KINDS[stage])
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert settings.preset == preset and {name: getattr(settings, name) for name in values} == values


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("step: 3", "step"),
        ("steps: 0", "steps"),
        ("steps: true", "steps"),
        ("learning_rate: 1e-3", "learning_rate"),  # YAML reads this as a string
        ("batch_size: -4", "batch_size"),
        ("max_minutes: 0", "max_minutes"),
        ("mixed_precision: no", "mixed_precision"),  # and this as false
        ("warmup: 1", "warmup"),
        ("frames: []", "frames"),
        ("frames: [8, 300]", "frames"),
        ("views: {tilt: 3}", "tilt"),
        ("views: {tilt_degrees: 200}", "tilt_degrees"),
    ],
)
def test_a_bad_value_names_file_and_key(tmp_path, text, key):
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=key) as error:
        load_settings(path, EncoderSettings)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(("text", "message"), [("- a\n- b", "list"), ("a: [1", "not YAML"), ("just words", "str")])
def test_what_is_not_a_mapping_is_refused(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=message) as error:
        load_settings(path, EncoderSettings)
    assert str(path) in str(error.value)


def test_a_missing_file_says_where_examples_are(tmp_path):
    with pytest.raises(OSError, match="training/configs/nano"):
        load_settings(tmp_path / "absent.yaml", EncoderSettings)


def test_an_empty_file_means_defaults(tmp_path):
    assert load_settings(written(tmp_path, "# nothing\n"), StageSettings) == StageSettings()


def test_fingerprint_follows_what_is_learned_and_from_what():
    first = EncoderSettings()
    assert first.fingerprint("data") == EncoderSettings().fingerprint("data")
    free = {"steps": 7, "max_minutes": 3.0, "checkpoint_every": 9, "log_every": 1, "mixed_precision": "bf16"}
    assert EncoderSettings(**free).fingerprint("data") == first.fingerprint("data")
    assert first.fingerprint("data") != first.fingerprint("other data")
    changed = {
        "preset": "paper", "batch_size": 8, "learning_rate": 0.1, "weight_decay": 0.1, "warmup": 0.1, "final_rate": 0.5,
        "gradient_clip": 0.5, "seed": 1, "frames": [150], "views": {"noise": False}, "worn_share": 0.5,
        "height_range": [1.6, 1.7],
    }  # fmt: skip
    assert {item.name for item in dataclasses.fields(EncoderSettings)} >= set(changed) | set(free)
    prints = [EncoderSettings(**{name: value}).fingerprint("data") for name, value in changed.items()]
    assert len({first.fingerprint("data"), *prints}) == len(changed) + 1


def test_views_become_view_options():
    assert check_views({"tilt_degrees": 5, "noise": False}) == ViewOptions(tilt_degrees=5, noise=False)
