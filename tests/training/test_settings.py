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
        ("objective: full", "objective must be masked or full_view"),
        ("views: {mounting: glued}", "ViewOptions.mounting must be surface or joint"),
        ("preset: mini", "preset must be nano or paper"),
        ("preset: null", "preset must be text"),
        ("steps: 10.5", "steps must be a whole number"),
        ("batch_size: 64.0", "batch_size must be a whole number"),
        ("checkpoint_every: '5'", "checkpoint_every must be a whole number"),
        ("log_every: [1]", "log_every must be a whole number"),
        ("learning_rate: 1e-3", "1.0e-3"),
        ("mixed_precision: no", "quote it"),
        ("warmup: a", "warmup must be a number"),
        ("warmup: .nan", "warmup must be a number"),
        ("warmup: -0.1", "warmup must be between 0 and 1"),
        ("max_minutes: soon", "max_minutes must be a number or null"),
        ("weight_decay: -0.1", "weight_decay must be at least 0"),
        ("weight_decay: .inf", "weight_decay must be a number"),
        ("gradient_clip: -1", "gradient_clip must be at least 0"),
        ("final_rate: 1.5", "final_rate must be between 0 and 1"),
        ("worn_share: 2", "worn_share must be between 0 and 1"),
        ("worn_share: yes", "worn_share must be a number"),
        ("seed: -1", "seed must be between 0"),
        ("seed: 1.0", "seed must be a whole number"),
        ("frames: 300", r"frames must be a list of whole numbers, got 300; write frames: \[300\]"),
        ("frames: [300.0]", "frames must be a list of whole numbers"),
        ("frames: [true]", "frames must be a list of whole numbers"),
        ("views: 3", "views must be"),
        ("views: {belt: often}", "views.belt must be a number"),
        ("views: {noise: watch}", "views.noise must be true or false or a list"),
        ("height_range: 1.7", "height_range must be a list of numbers"),
        ("height_range: [1.5]", "height_range must be two rising heights"),
        ("height_range: [1.9, 1.5]", "height_range must be two rising heights"),
        ("height_range: [1.5, 1.5]", "height_range must be two rising heights"),
        ("height_range: [0.1, 1.5]", "height_range must be two rising heights"),
        ("height_range: [150, 195]", "metres"),
        ("1: 2\nabsent: 3", "unknown settings"),
    ],
)
def test_a_bad_value_names_file_and_key(tmp_path, text, key):
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=key) as error:
        load_settings(path, EncoderSettings)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        *(("tokenizer", f"{name}: {value}") for name in ("views_per_clip", "rows_per_call") for value in (0, 1.5)),
        *(
            ("language", f"{name}: {value}")
            for name in ("vocab_size", "latents", "text_batch_size")
            for value in (0, 2.5, "many")
        ),
        *(("language", f"{name}: {value}") for name in ("text_weight", "teacher_weight") for value in (-1, "much")),
        *(("contrastive", f"{name}: {value}") for name in ("lm_batch_size", "chunk_size") for value in (0, 2.5)),
        *(("contrastive", f"{name}: -1") for name in ("lm_weight", "narration_weight", "label_weight")),
        ("language", "teacher_texts: -1"),
        ("language", "text_model: 3"),
        ("language", "freeze_words: 1"),
        ("contrastive", "multiple_choice_share: 1.5"),
        ("contrastive", "candidates: 1"),
        ("contrastive", "temperature: 0"),
        ("contrastive", "broader: [walking]"),
        ("contrastive", "broader: {walking_slow: 3}"),
    ],
)
def test_every_stage_refuses_what_its_own_settings_cannot_be(tmp_path, stage, text):
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=rf"stage\.yaml: {text.split(':')[0]} must be") as error:
        load_settings(path, KINDS[stage])
    assert str(path) in str(error.value)


def test_only_the_encoder_has_an_objective_and_contrastive_tuning_needs_a_loss(tmp_path):
    with pytest.raises(ValueError, match="unknown settings.*objective"):
        load_settings(written(tmp_path, "objective: masked"), TokenizerSettings)
    nothing = "lm_weight: 0\nnarration_weight: 0\nlabel_weight: 0"
    with pytest.raises(ValueError, match="lm_weight, narration_weight and label_weight are all 0"):
        load_settings(written(tmp_path, nothing), ContrastiveSettings)
    assert load_settings(written(tmp_path, nothing + ".5"), ContrastiveSettings).label_weight == 0.5


def test_limits_themselves_are_allowed_and_kept_as_written(tmp_path):
    text = (
        "warmup: 0\nfinal_rate: 1\nworn_share: 1\nweight_decay: 0\nseed: 0\nheight_range: [0.5, 2.6]\nmax_minutes: null"
    )
    settings = load_settings(written(tmp_path, text), EncoderSettings)
    # a whole number stays one: the fingerprint tells 0 from 0.0
    for name, value in yaml.safe_load(text).items():
        assert getattr(settings, name) == value and type(getattr(settings, name)) is type(value)


def test_a_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "stage.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not YAML"):
        load_settings(path, EncoderSettings)


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
        "height_range": [1.6, 1.7], "objective": "full_view",
    }  # fmt: skip
    assert {item.name for item in dataclasses.fields(EncoderSettings)} >= set(changed) | set(free)
    prints = [EncoderSettings(**{name: value}).fingerprint("data") for name, value in changed.items()]
    assert len({first.fingerprint("data"), *prints}) == len(changed) + 1


def test_views_become_view_options():
    assert check_views({"tilt_degrees": 5, "noise": False}) == ViewOptions(tilt_degrees=5, noise=False)
