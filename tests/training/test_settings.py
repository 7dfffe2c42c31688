"""Settings: what a YAML file may say, and what changes the fingerprint."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from anymo_hf.simulation.views import ViewOptions
from anymo_hf.training.settings import (
    ContrastiveSettings,
    EncoderSettings,
    LanguageSettings,
    ResidualSettings,
    SignalSettings,
    StageSettings,
    TokenizerSettings,
    check_views,
    load_settings,
)

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
KINDS = {
    "encoder": EncoderSettings,
    "signal": SignalSettings,
    "tokenizer": TokenizerSettings,
    "language": LanguageSettings,
    "contrastive": ContrastiveSettings,
    "residual": ResidualSettings,
}


def written(tmp_path, text):
    path = tmp_path / "stage.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("folder", ["nano", "small", "paper", "nano_continued"])
def test_shipped_configurations_load_and_keep_every_value(folder):
    paths = sorted((CONFIGS / folder).glob("*.yaml"))
    assert {path.stem for path in paths} >= {"encoder", "tokenizer", "language", "contrastive"}
    for path in paths:
        check_shipped(path, folder.removesuffix("_continued"))


def check_shipped(path, preset):
    settings = load_settings(path, KINDS[path.stem])
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert settings.preset == preset and {name: getattr(settings, name) for name in values} == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step: 3", "unknown settings.*step.*known are.*steps"),
        ("1: 2\nabsent: 3", "unknown settings"),
        ("preset: null", "preset must be text, got None"),
        ("preset: mini", "preset must be nano or small or paper"),
        ("objective: full", "objective must be full_view or masked"),
        ("mixed_precision: no", "mixed_precision must be text, got False; quote it, YAML reads no as false"),
        ("learning_rate: 1e-3", "learning_rate must be a number, got '1e-3'; .*write 1.0e-3"),
        ("batch_size: 64.0", "batch_size must be a whole number, got 64.0"),
        ("steps: true", "steps must be a whole number, got True"),
        ("warmup: .nan", "warmup must be a number, got nan"),
        ("weight_decay: .inf", "weight_decay must be a number, got inf"),
        ("warmup: 1", "warmup must be at least 0 and below 1, got 1; it is share of the run"),
        ("final_rate: 1.5", "final_rate must be between 0 and 1, got 1.5"),
        ("max_minutes: soon", "max_minutes must be a number or null"),
        ("frames: []", "frames must hold at least one"),
        ("frames: 300", r"frames must be a list of whole numbers, got 300; write frames: \[300\]"),
        ("frames: [true]", "frames must be a list of whole numbers"),
        ("frames: [8, 300]", "frames must be at least 16"),
        ("views: 3", "views must be `name: value` pairs, got 3"),
        ("views: {tilt: 3}", "views: unknown settings.*tilt.*known are"),
        ("views: {belt: often}", "views.belt must be a number"),
        ("views: {noise: watch}", "views.noise must be true or false or a list"),
        ("views: {tilt_degrees: 200}", "ViewOptions.tilt_degrees must lie between 0 and 180"),
        ("views: {flip_probability: 2}", "ViewOptions.flip_probability must lie between 0 and 1"),
        ("height_range: [1.5]", "height_range must be two rising heights"),
        ("height_range: [1.9, 1.5]", "height_range must be two rising heights"),
        ("height_range: [150, 195]", "height_range must be between 0.5 and 2.6, .*metres"),
        ("views_per_window: 3", "views_per_window must be even"),
        ("added_losses: {semantics: 1.0}", "added_losses must be named .*semantic.*, got semantics"),
        ("added_losses: {semantic: -1}", "added_losses must be at least 0"),
    ],
)
def test_a_bad_value_names_file_and_setting_and_what_would_be_right(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=f"stage.yaml: {message}") as error:
        load_settings(path, EncoderSettings)
    assert str(error.value).startswith(str(path))


# setting -> its least and greatest value, by hand; most have no upper limit
LIMITS = {
    **dict.fromkeys(("steps", "batch_size", "checkpoint_every", "log_every", "views_per_clip", "rows_per_call"), (1,)),
    **dict.fromkeys(("vocab_size", "latents", "text_batch_size", "lm_batch_size", "chunk_size"), (1,)),
    **dict.fromkeys(("weight_decay", "gradient_clip", "text_weight", "lm_weight", "narration_weight"), (0,)),
    **dict.fromkeys(("label_weight", "teacher_weight", "teacher_texts", "activity_weight"), (0,)),
    **dict.fromkeys(("final_rate", "worn_share", "shortest_crop", "everyday_share"), (0, 1)),
    **dict.fromkeys(("multiple_choice_share", "augmented_share", "even_share"), (0, 1)),
    "candidates": (2,),
    "num_codebooks": (1,),
    "codebook_size": (2,),
    "members": (1, 16),
    "sensors": (1, 17),
    "views_per_window": (2, 16),
    "seed": (0, 2**63 - 1),
}
ABOVE_ZERO = ("learning_rate", "max_minutes", "temperature", "residual_share")


@pytest.mark.parametrize("kind", KINDS.values())
def test_every_number_has_the_limits_of_this_table_and_takes_the_limits_themselves(kind):
    fields = {item.name: item for item in dataclasses.fields(kind)}
    for name in LIMITS.keys() & fields.keys():
        least, *most = LIMITS[name]
        for value in (least, *most):
            assert getattr(kind(**{name: value}), name) == value
        for value in (least - 1, *(value + 1 for value in most)):
            with pytest.raises(ValueError, match=f"^{name} must be"):
                kind(**{name: value})
    for name in (name for name in ABOVE_ZERO if name in fields):
        with pytest.raises(ValueError, match=f"^{name} must be above 0"):
            kind(**{name: 0})
    numbers = {name for name, item in fields.items() if str(item.type).split(" ")[0] in ("int", "float")}
    assert numbers <= {*LIMITS, *ABOVE_ZERO, "warmup"}  # a new one needs its limits


@pytest.mark.parametrize("kind", [*KINDS.values()])
def test_every_setting_says_what_it_does_and_refuses_another_type(kind):
    for item in dataclasses.fields(kind):
        assert len(item.metadata["doc"]) > 3 and not item.metadata["doc"].endswith("."), item.name
        with pytest.raises(ValueError, match=f"^{item.name} must be"):
            kind(**{item.name: object()})


def test_only_the_encoder_has_an_objective_and_contrastive_tuning_needs_a_loss(tmp_path):
    with pytest.raises(ValueError, match="unknown settings.*objective"):
        load_settings(written(tmp_path, "objective: masked"), TokenizerSettings)
    nothing = "lm_weight: 0\nnarration_weight: 0\nlabel_weight: 0"
    with pytest.raises(ValueError, match="lm_weight, narration_weight and label_weight are all 0"):
        load_settings(written(tmp_path, nothing), ContrastiveSettings)
    assert load_settings(written(tmp_path, nothing + ".5"), ContrastiveSettings).label_weight == 0.5


def test_numbers_are_kept_as_written(tmp_path):
    text = "warmup: 0\nfinal_rate: 1\nheight_range: [0.5, 2.6]\nmax_minutes: null"
    settings = load_settings(written(tmp_path, text), EncoderSettings)
    # a whole number stays one: the fingerprint tells 0 from 0.0
    for name, value in yaml.safe_load(text).items():
        assert getattr(settings, name) == value and type(getattr(settings, name)) is type(value)


def test_a_file_that_is_not_text_is_named(tmp_path):
    path = tmp_path / "stage.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"stage\.yaml: not a readable settings file in YAML .*correct it"):
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
    free |= {"start_from": "folder", "batch_per_process": True}
    assert EncoderSettings(**free).fingerprint("data") == first.fingerprint("data")
    assert first.fingerprint("data") != first.fingerprint("other data")
    changed = {
        "preset": "paper", "batch_size": 8, "learning_rate": 0.1, "weight_decay": 0.1, "warmup": 0.1, "final_rate": 0.5,
        "gradient_clip": 0.5, "seed": 1, "frames": [150], "views": {"noise": False}, "worn_share": 0.5,
        "height_range": [1.6, 1.7], "objective": "full_view",
        "views_per_window": 4, "added_losses": {"semantic": 0.5},
    }  # fmt: skip
    assert {item.name for item in dataclasses.fields(EncoderSettings)} == set(changed) | set(free)
    prints = [EncoderSettings(**{name: value}).fingerprint("data") for name, value in changed.items()]
    assert len({first.fingerprint("data"), *prints}) == len(changed) + 1


def test_views_become_view_options(tmp_path):
    assert check_views({"tilt_degrees": 5, "noise": False}) == ViewOptions(tilt_degrees=5, noise=False)
    text = "views: {any_rotation: true, flip_probability: 0.25}"
    settings = load_settings(written(tmp_path, text), TokenizerSettings)
    assert check_views(settings.views) == ViewOptions(any_rotation=True, flip_probability=0.25)


def test_a_priors_file_counts_by_what_it_says_and_not_by_where_it_lies(tmp_path):
    def priors(path, density):
        estimate = {"acc_density": density, "gyro_density": None, "acc_step": None}
        path.write_text(json.dumps({"estimates": {"watch": estimate}, "failed": {}}))
        return EncoderSettings(views={"noise": ["phone", str(path)]}).fingerprint()

    one = priors(tmp_path / "one.json", 0.01)
    assert priors(tmp_path / "other.json", 0.01) == one
    assert priors(tmp_path / "one.json", 0.02) != one
