"""AnyMoProcessor: prompts and masks, padding, training examples, bad input, the release folder with remote code."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.fresh_python import fresh_python
from transformers import Qwen2Config
from transformers.utils import logging as transformers_logging

from anymo_hf.modeling.body_segments import SEGMENT_INDEX
from anymo_hf.modeling.configuration_anymo import AnyMoConfig, AnyMoPQVAEConfig, AnyMoSTGCNConfig
from anymo_hf.modeling.embedding import check_same_codebook, embed_recordings
from anymo_hf.modeling.feature_extraction_anymo import AnyMoFeatureExtractor
from anymo_hf.modeling.modeling_anymo import AnyMoModel
from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNModel
from anymo_hf.modeling.processing_anymo import AnyMoProcessor
from anymo_hf.modeling.prompts import PromptStyle
from anymo_hf.modeling.release import save_release
from anymo_hf.modeling.tokenization_anymo import AnyMoTokenizer

PQVAE = {"input_dim": 48, "bottleneck_dim": 8, "codebook_size": 8, "decoder_dim": 8}
WRIST, HEAD = SEGMENT_INDEX["L_Forearm"], SEGMENT_INDEX["Head"]


@pytest.fixture(scope="module")
def tokenizer():
    return AnyMoTokenizer.train_from_texts(["a person is walking on the left forearm"] * 3, 300, 16)


@pytest.fixture(scope="module")
def processor(tokenizer):
    torch.manual_seed(0)
    extractor = AnyMoFeatureExtractor(
        AnyMoSTGCNModel(AnyMoSTGCNConfig.from_preset("nano")), AnyMoPQVAEModel(AnyMoPQVAEConfig(**PQVAE))
    )
    with torch.no_grad():  # an encoder and codes that tell windows apart
        extractor.stgcn.mask_token.normal_()
        imu, nodes, frames = extractor.prepare([{"waist": signal(8, 60, seed)} for seed in range(4)], sampling_rate=60)
        latents = extractor.stgcn(imu, nodes, frames).last_hidden_state
        extractor.pqvae.quantizer.initialise(extractor.pqvae.project(latents).flatten(0, 1), torch.manual_seed(0))
    return AnyMoProcessor(extractor, tokenizer)


def signal(seconds, rate=60, seed=0):
    return np.random.default_rng(seed).normal(size=(round(seconds * rate), 6)) * [5, 5, 5, 2, 2, 2]


def tiny_model(tokenizer, extractor=None):
    text = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=False,
    )  # fmt: skip
    config = AnyMoConfig(
        stgcn_config=AnyMoSTGCNConfig.from_preset("nano"), pqvae_config=AnyMoPQVAEConfig(**PQVAE), text_config=text,
        pooler_latents=4, pooler_heads=4, projection_dim=12, projector_hidden=10,
        imu_token_offset=tokenizer.imu_token_offset, imu_bos_token_id=tokenizer.imu_bos_token_id,
        imu_eos_token_id=tokenizer.imu_eos_token_id,
    )  # fmt: skip
    model = AnyMoModel(config).eval()
    if extractor is not None:
        model.set_codebook(extractor.pqvae)
    return model


def test_motion_prompt_pools_the_codes_and_nothing_else(processor, tokenizer):
    batch = processor(imu_codes=[[3, 9], [1, 8, 2, 15]], imu_placements=[[WRIST, HEAD], [HEAD]])
    for ids, mask, pool, codes in zip(
        batch["imu_input_ids"], batch["imu_attention_mask"], batch["imu_pooling_mask"], [[3, 9], [1, 8, 2, 15]],
        strict=True,
    ):  # fmt: skip
        pooled = [i - tokenizer.imu_token_offset for i, p in zip(ids, pool, strict=True) if p]
        assert pooled == codes
        assert mask == sorted(mask, reverse=True) and len(ids) == len(mask)
    words = tokenizer.decode(batch["imu_input_ids"][0], skip_special_tokens=True)
    assert "left forearm and head" in words


def test_text_is_normalised_and_pooled_whole(processor, tokenizer):
    batch = processor(text=["  Walking\n ON ", "a"], return_tensors="pt")
    assert batch["input_ids"].shape == batch["pooling_mask"].shape
    ids = batch["input_ids"][0][batch["pooling_mask"][0].bool()]
    assert tokenizer.decode(ids) == "walking on"
    assert batch["attention_mask"][1].sum() == batch["pooling_mask"][1].sum() == 1


def test_prefix_and_suffix_of_a_text_template_are_not_pooled(tokenizer, tmp_path):
    processor = AnyMoProcessor(None, tokenizer, templates={"text": "a person is {text} on"})
    batch = processor(text="walking", return_tensors="pt")
    assert tokenizer.decode(batch["input_ids"][0]) == "a person is walking on"
    assert tokenizer.decode(batch["input_ids"][0][batch["pooling_mask"][0].bool()]) == "walking"
    with pytest.raises(ValueError, match="imu_codes"):
        processor(imu={"waist": np.zeros((100, 6))}, sampling_rate=50)


def test_recordings_of_any_length_go_through_the_extractor(processor):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(100, 6)), rng.normal(size=(75, 6))
    batch = processor(
        imu=[{"left_wrist": a}, {"head": b, "right_wrist": b}], sampling_rate=50, acceleration_unit="g",
        angular_velocity_unit="deg/s", return_tensors="pt",
    )  # fmt: skip
    codes = processor.feature_extractor(
        {"left_wrist": a}, sampling_rate=50, acceleration_unit="g", angular_velocity_unit="deg/s"
    )
    pooled = batch["imu_input_ids"][0][batch["imu_pooling_mask"][0].bool()] - processor.tokenizer.imu_token_offset
    assert pooled.tolist() == codes["imu_codes"][0]
    assert batch["imu_pooling_mask"].sum(-1).tolist() == [2 * 30, 2 * 23]
    again = processor(imu_codes=codes["imu_codes"], imu_placements=[[WRIST]])
    assert again["imu_input_ids"][0] == batch["imu_input_ids"][0][batch["imu_attention_mask"][0].bool()].tolist()


def test_language_example_continues_the_generation_prompt(processor, tokenizer):
    codes, labels = [1, 9, 2, 8], ["Sitting", "walking"]
    for task, answer, reply in (
        ("narration", "A person  walks", "a person walks"), ("multiple_choice", "Walking", "b. walking"),
    ):  # fmt: skip
        candidates = labels if task == "multiple_choice" else None
        example = processor.language_example(codes, [HEAD], task, answer, candidates)
        prompt = processor.generation_inputs(
            imu_codes=[codes], imu_placements=[[HEAD]], task=task, candidates=candidates, return_tensors=None
        )["input_ids"][0]
        learned = [label for label in example["labels"] if label != -100]
        assert tokenizer.decode(learned) == reply + "<|im_end|>"
        assert example["input_ids"][: len(prompt)] == prompt
        assert example["input_ids"][len(prompt) : len(prompt) + len(learned)] == learned
        assert tokenizer.decode(prompt).endswith("<|im_start|>assistant\n")
    example = processor.language_example(codes, [HEAD], "motion")
    learned = [label for label in example["labels"] if label != -100]
    assert tokenizer.decode(learned) == "<imu_bos><imu_0001><imu_0009><imu_0002><imu_0008><imu_eos><|im_end|>"


def test_generation_prompts_are_padded_on_the_left(processor, tokenizer):
    batch = processor.generation_inputs(imu_codes=[[1], [1, 2, 3]], imu_placements=[[HEAD], [HEAD]])
    assert batch["attention_mask"][0].tolist() == sorted(batch["attention_mask"][0].tolist())
    assert batch["input_ids"][0, :2].tolist() == [tokenizer.pad_token_id] * 2
    assert batch["input_ids"][0, -1] == batch["input_ids"][1, -1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "imu="),
        ({"text": []}, "empty list"),
        ({"text": ["walking", " "]}, "non-empty string"),
        ({"imu_codes": [[1, 99]], "imu_placements": [[0]]}, r"0\.\.15"),
        ({"imu_codes": [[]], "imu_placements": [[0]]}, "non-empty row"),
        ({"imu_codes": [[1]]}, "imu_placements"),
        ({"imu_codes": [[1]], "imu_placements": [[0], [1]]}, "1 rows .* of imu_placements; give as many"),
        ({"imu_codes": [[1]], "imu_placements": [[77]]}, "segment indices"),
        ({"imu_codes": [[1]], "imu_placements": [[[11]]]}, "lists of segment indices"),
        ({"imu_codes": [[1]], "imu_placements": [["11"]]}, "lists of segment indices"),
        ({"text": "walking", "sampling_rate": 50}, "sampling_rate"),
        ({"imu": {"elbows": np.zeros((100, 6))}, "sampling_rate": 50}, "placement"),
    ],
)
def test_bad_input_is_named(processor, arguments, message):
    with pytest.raises(ValueError, match=message):
        processor(**arguments)


@pytest.mark.parametrize("row", [True, "imu", [1, 2], None])
def test_a_row_that_maps_no_columns_is_named(processor, row):
    with pytest.raises(ValueError, match=f"a row must map the names of columns .* got {type(row).__name__}"):
        processor.from_row(row)


def test_placements_may_be_arrays_and_tensors(processor):
    wanted = processor(imu_codes=[[3], [4]], imu_placements=[[WRIST, HEAD], [HEAD, WRIST]])["imu_input_ids"]
    for kind in (np.array, torch.tensor):
        places = kind([[WRIST, HEAD], [HEAD, WRIST]])
        assert processor(imu_codes=[[3], [4]], imu_placements=places)["imu_input_ids"] == wanted


def test_bad_tasks_are_named(processor):
    code = {"imu_codes": [[1]], "imu_placements": [[0]]}
    with pytest.raises(ValueError, match="unknown task"):
        processor.generation_inputs(**code, task="poem")
    with pytest.raises(ValueError, match="candidates"):
        processor.generation_inputs(**code, task="multiple_choice", candidates=[])
    with pytest.raises(ValueError, match="not among"):
        processor.language_example([1], [0], "multiple_choice", "running", ["walking"])
    with pytest.raises(ValueError, match="{text}"):
        AnyMoProcessor(None, processor.tokenizer, templates={"text": "no field"})


def test_prompts_of_the_default_style_are_written_out(tokenizer):
    processor = AnyMoProcessor(None, tokenizer)
    given = {"imu_codes": [[3, 9]], "imu_placements": [[WRIST, HEAD]]}
    codes, user, assistant = "<imu_bos><imu_0003><imu_0009><imu_eos>", "<|im_start|>user\n", "<|im_end|>\n"
    assistant += "<|im_start|>assistant\n"
    labels = [" Sitting", *(f"Walking {number}" for number in range(27))]

    def words(**arguments):
        return tokenizer.decode(processor.generation_inputs(**(given | arguments))["input_ids"][0])

    imu = f"Motion of a person with a wearable sensor on the left forearm and head: {codes}"
    assert tokenizer.decode(processor(**given)["imu_input_ids"][0]) == imu
    source = f"{user}{codes}\nThese motion tokens come from a wearable sensor on the user's left forearm and head. "
    assert words() == f"{source}Describe what the person is doing.{assistant}"
    choices = words(task="multiple_choice", candidates=labels)
    assert choices.startswith(f"{source}Which activity is it? Answer with one option.\na. sitting\nb. walking 0\n")
    assert choices.endswith(f"\nz. walking 24\naa. walking 25\nab. walking 26{assistant}")
    motion = f"{user}Write the motion tokens of a wearable sensor on the user's left forearm and head.{assistant}"
    assert words(task="motion") == motion
    alone = processor.generation_inputs(imu_placements=[WRIST, HEAD], task="motion")
    assert tokenizer.decode(alone["input_ids"][0]) == motion
    # which kind a text is makes no difference
    assert processor(text=" A  Man ") == processor(text="a man", text_kind="label")


STYLE = {
    "place_names": {"L_Forearm": "Left Wrist"}, "place_joiner": "; ", "last_place_joiner": " & ",
    "option_format": "[{key}] {label}", "option_keys": "repeated", "lower_case": "none",
}  # fmt: skip


def test_a_style_changes_places_options_and_texts_and_is_saved(processor, tokenizer, tmp_path):
    templates = {"motion": "Write {text} on the {sensor_context}."}
    AnyMoProcessor(processor.feature_extractor, tokenizer, templates, None, STYLE).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "processor_config.json").read_text())
    assert saved["prompt_style"] == STYLE
    styled = AnyMoProcessor.from_pretrained(tmp_path)
    assert styled.prompt_style == PromptStyle(**STYLE) and styled.templates["motion"] == templates["motion"]
    given = {"imu_codes": [[1]], "imu_placements": [[WRIST, HEAD, SEGMENT_INDEX["L5"]]]}
    labels = ["Sitting", *(f"Walking {number}" for number in range(27))]
    inputs = styled.generation_inputs(**given, task="multiple_choice", candidates=labels)
    words = tokenizer.decode(inputs["input_ids"][0])
    assert "on the user's Left Wrist; head & waist." in words
    assert "\n[a] Sitting\n[b] Walking 0\n" in words and "\n[z] Walking 24\n[aa] Walking 25\n[bb] Walking 26<" in words
    example = styled.language_example([1], [WRIST], "multiple_choice", " Walking 26 ", labels)
    assert tokenizer.decode([i for i in example["labels"] if i != -100]) == "[bb] Walking 26<|im_end|>"
    for kind in ("narration", "label"):
        assert tokenizer.decode(styled(text="  A  Man ", text_kind=kind)["input_ids"][0]) == "A  Man"
    # what a description holds is not taken for a field
    inputs = styled.generation_inputs(
        imu_placements=[[WRIST], [HEAD]], task="motion", description=["{sensor_context}", "B"], return_tensors=None
    )
    rows = [tokenizer.decode(row, skip_special_tokens=True) for row in inputs["input_ids"]]
    assert "Write {sensor_context} on the Left Wrist." in rows[0] and "Write B on the head." in rows[1]
    again = AnyMoProcessor.from_pretrained(tmp_path, prompt_style={"option_keys": "repeated"})
    assert again.prompt_style == PromptStyle(option_keys="repeated")
    del saved["prompt_style"]  # as releases from before the setting have it
    (tmp_path / "processor_config.json").write_text(json.dumps(saved))
    assert AnyMoProcessor.from_pretrained(tmp_path).prompt_style == PromptStyle()


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ("official", "prompt_style must be a PromptStyle or a dict"),
        (
            {"place_joinr": ", "},
            r"unknown settings \['place_joinr'\] of prompt_style; known are place_names, place_joiner",
        ),
        ({"place_names": ["Head"]}, "prompt_style.place_names must be a dict"),
        ({"place_names": {"Elbow": "elbow"}}, r"prompt_style.place_names: unknown segments \['Elbow'\]"),
        ({"place_names": {"Head": ""}}, r"prompt_style.place_names\['Head'\] must be a non-empty string, got ''"),
        ({"place_joiner": None}, "prompt_style.place_joiner must be a non-empty string, got None"),
        ({"last_place_joiner": 3}, "prompt_style.last_place_joiner must be a non-empty string, got 3"),
        ({"option_format": "{key}"}, "prompt_style.option_format must hold {label} once"),
        ({"option_keys": "numbers"}, "prompt_style.option_keys must be one of"),
        ({"lower_case": True}, "prompt_style.lower_case must be one of"),
    ],
)
def test_a_bad_style_is_named(processor, tmp_path, style, message):
    with pytest.raises(ValueError, match=message):
        AnyMoProcessor(None, processor.tokenizer, prompt_style=style)
    processor.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "processor_config.json").read_text()) | {"prompt_style": style}
    (tmp_path / "processor_config.json").write_text(json.dumps(saved))
    with pytest.raises(ValueError, match=message):
        AnyMoProcessor.from_pretrained(tmp_path)


def test_descriptions_are_asked_for_where_the_motion_prompt_holds_them(tokenizer):
    plain = AnyMoProcessor(None, tokenizer)
    described = AnyMoProcessor(None, tokenizer, {"motion": "{text}: {sensor_context}"})
    place = {"imu_placements": [[HEAD]], "task": "motion"}
    for call, message in (
        (lambda: plain.generation_inputs(**place, description="a"), "takes no description"),
        (lambda: plain.language_example([1], [HEAD], "narration", "a", description="b"), "takes no description"),
        (lambda: described.language_example([1], [HEAD], "motion"), "needs description="),
        (lambda: described.generation_inputs(**place, description=["a", "b"]), "1 rows but 2 descriptions"),
        (lambda: described.generation_inputs(**place, description=" "), "non-empty string"),
        (lambda: plain.generation_inputs(imu_placements=[], task="motion"), "imu_placements is empty"),
        (lambda: plain.generation_inputs(task="motion"), "imu_codes="),
        (lambda: AnyMoProcessor(None, tokenizer, {"motion": "{text}{text}{sensor_context}"}), "may hold {text} once"),
        (lambda: plain(text="a", text_kind="poem"), "text_kind must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_saved_processor_comes_back(processor, tmp_path):
    custom = AnyMoProcessor(processor.feature_extractor, processor.tokenizer, templates={"text": "person {text}"})
    custom.save_pretrained(tmp_path)
    again = AnyMoProcessor.from_pretrained(tmp_path)
    x = {"imu": {"waist": np.random.default_rng(1).normal(size=(70, 6))}, "text": "walking", "sampling_rate": 60}
    assert again(**x) == custom(**x) and again.templates == custom.templates


@pytest.mark.parametrize("name", ["processor_config.json", "tokenizer_config.json", "tokenizer.json"])
def test_a_cut_or_missing_file_is_named(processor, tmp_path, name):
    processor.save_pretrained(tmp_path)
    content = (tmp_path / name).read_text()
    (tmp_path / name).write_text(content[: len(content) // 2])
    with pytest.raises(OSError, match=name):
        AnyMoProcessor.from_pretrained(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(OSError, match=name):
        AnyMoProcessor.from_pretrained(tmp_path)


REMOTE = """
import sys
import numpy as np
from transformers import (AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForCausalLM,
                          AutoModelForSequenceClassification, AutoProcessor, AutoTokenizer)
for name in ("anymo_hf", "torch_geometric"):
    sys.modules[name] = None  # importing it anywhere now fails
folder, signal = sys.argv[1], np.random.default_rng(0).normal(size=(100, 6))
load = lambda kind: kind.from_pretrained(folder, trust_remote_code=True)
for kind in (AutoConfig, AutoTokenizer, AutoFeatureExtractor, AutoModelForCausalLM, AutoModelForSequenceClassification):
    assert type(load(kind)).__module__.startswith("transformers_modules."), kind
model, processor = load(AutoModel), load(AutoProcessor)
inputs = processor(imu={"left_wrist": signal}, sampling_rate=50, return_tensors="pt")
features = model.get_imu_features(**inputs).pooler_output
np.save(sys.argv[2], features.detach().numpy())
"""


@pytest.mark.slow
def test_a_release_works_without_the_package(processor, tokenizer, tmp_path):
    model = tiny_model(tokenizer, processor.feature_extractor)
    folder = save_release(tmp_path / "release", model, processor)
    assert "AutoModelForCausalLM" in json.loads((folder / "config.json").read_text())["auto_map"]
    assert not list(folder.rglob("*.part"))
    cache = tmp_path / "modules"
    done = fresh_python(REMOTE, folder, tmp_path / "out.npy", folder=tmp_path, HF_MODULES_CACHE=cache)
    assert done.returncode == 0, done.stderr[-2000:]
    signal = np.random.default_rng(0).normal(size=(100, 6))
    batch = processor(imu={"left_wrist": signal}, sampling_rate=50, return_tensors="pt")
    np.testing.assert_allclose(
        np.load(tmp_path / "out.npy"), model.get_imu_features(**batch).pooler_output.detach(), atol=1e-5
    )


@pytest.fixture(scope="module")
def model(tokenizer, processor):
    torch.manual_seed(1)
    model = tiny_model(tokenizer, processor.feature_extractor)
    with torch.no_grad():
        model.imu_projector[2].weight.mul_(100)  # codes that speak louder than the words around them
    return model


def alone(model, processor, recordings, rate=60):
    """Float64 embeddings of recordings given one by one to the plain processor."""
    with torch.no_grad():
        rows = [
            model.get_imu_features(**processor(imu=item, sampling_rate=rate, return_tensors="pt")).pooler_output
            for item in recordings
        ]
    return torch.cat(rows).double()


def mean_direction(rows):
    mean = rows.mean(0)
    return mean / mean.norm()


def test_long_recordings_are_averaged_over_equal_pieces(model, processor):
    growing = np.linspace(0, 10, 840)[:, None]
    long = {"waist": signal(14, seed=1) * growing, "head": signal(14, seed=2)}  # 840 frames: three pieces of 280
    short = {"left_wrist": signal(6, seed=3)}  # as long as a window may be
    parts = [{name: values[begin : begin + 280] for name, values in long.items()} for begin in (0, 280, 560)]
    pieces = alone(model, processor, parts)
    assert (pieces @ pieces.T).min() < 0.999  # pieces that all look alike would make this test empty
    expected = torch.stack([mean_direction(pieces), alone(model, processor, [short])[0]])
    for batch_size in (64, 2):
        got = embed_recordings(model, processor, [long, short], 60, batch_size=batch_size)
        assert got.shape == (2, 12) and got.dtype == torch.float32
        torch.testing.assert_close(got.double(), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(got.norm(dim=-1), torch.ones(2))
    single = embed_recordings(model, processor, long, 60)
    torch.testing.assert_close(single.double(), expected[:1], atol=1e-5, rtol=1e-4)


def test_short_recordings_embed_as_the_plain_processor_does(model, processor):
    items = [{"waist": signal(seconds, 50, seed)} for seed, seconds in enumerate((1.5, 4, 5.9))]
    got = embed_recordings(model, processor, items, 50)
    torch.testing.assert_close(got.double(), alone(model, processor, items, 50), atol=1e-5, rtol=1e-4)
    units = np.array([9.80665] * 3 + [np.pi / 180] * 3)
    arrays = embed_recordings(
        model, processor, [item["waist"] / units for item in items], 50, placements=["waist"], acceleration_unit="g",
        angular_velocity_unit="deg/s",
    )  # fmt: skip
    torch.testing.assert_close(arrays, got, atol=1e-5, rtol=1e-4)


def test_windows_are_pieces_or_the_middle_one(processor, tokenizer):
    long, short = {"waist": signal(20, seed=1)}, {"head": signal(3, seed=2)}  # four pieces of 300 frames, and one
    codes, places = processor.windows([long, short], sampling_rate=60)
    assert [[len(piece) for piece in pieces] for pieces in codes] == [[150] * 4, [90]]
    assert places == [[SEGMENT_INDEX["L5"]], [HEAD]]
    second = processor.feature_extractor({"waist": long["waist"][300:600]}, sampling_rate=60)
    assert codes[0][1].tolist() == second["imu_codes"][0]
    middle, _ = processor.windows([long, short], sampling_rate=60, middle=True)
    assert [len(pieces) for pieces in middle] == [1, 1] and middle[0][0].tolist() == codes[0][1].tolist()
    never = AnyMoProcessor(processor.feature_extractor, tokenizer, max_window_seconds=None)
    assert [len(pieces) for pieces in never.windows(long, sampling_rate=60)[0]] == [1]
    ready = processor.windows(imu_codes=[[1, 9, 2]], imu_placements=[[HEAD]])
    assert [[row.tolist() for row in pieces] for pieces in ready[0]] == [[[1, 9, 2]]] and ready[1] == [[HEAD]]


def test_a_plain_call_takes_any_length_and_warns_once(processor, caplog):
    transformers_logging.warning_once.cache_clear()
    processor(imu={"waist": signal(6)}, sampling_rate=60)
    assert not caplog.records
    for seconds in (6.5, 30):
        batch = processor(imu={"waist": signal(seconds)}, sampling_rate=60)
        assert sum(batch["imu_pooling_mask"][0]) == 2 * -(-round(seconds * 60) // 4)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "max_window_seconds, 6," in caplog.text and "embed_recordings" in caplog.text


def test_the_window_length_is_kept_in_the_processors_file(processor, tokenizer, tmp_path):
    assert processor.max_window_seconds == 6.0
    for number, value in enumerate((6.0, 4.5, None)):
        folder = tmp_path / str(number)
        AnyMoProcessor(processor.feature_extractor, tokenizer, max_window_seconds=value).save_pretrained(folder)
        settings = json.loads((folder / "processor_config.json").read_text())
        assert settings["max_window_seconds"] == value
        assert AnyMoProcessor.from_pretrained(folder).max_window_seconds == value
        assert AnyMoProcessor.from_pretrained(folder, max_window_seconds=None).max_window_seconds is None
    del settings["max_window_seconds"]  # a file from before there was one
    (folder / "processor_config.json").write_text(json.dumps(settings))
    assert AnyMoProcessor.from_pretrained(folder).max_window_seconds == 6.0
    for value in (0, 1.9, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="max_window_seconds must be at least 2"):
            AnyMoProcessor(None, tokenizer, max_window_seconds=value)


def test_a_saved_length_that_no_prompt_fits_is_refused_with_its_folder(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    for value in (1e-320, -3, float("nan")):
        path.write_text(json.dumps(settings | {"model_max_length": value}))
        with pytest.raises(ValueError, match=f"{tmp_path}.*model_max_length must be at least 8"):
            AnyMoProcessor.from_pretrained(tmp_path)


def test_prompts_that_the_model_has_no_positions_for_are_refused(model, processor, tokenizer):
    never = AnyMoProcessor(processor.feature_extractor, tokenizer, max_window_seconds=None)
    with pytest.raises(ValueError, match="512 positions"):
        embed_recordings(model, never, {"waist": signal(20)}, 60)
    assert embed_recordings(model, processor, {"waist": signal(20)}, 60).isfinite().all()
    with pytest.raises(ValueError, match="batch_size"):
        embed_recordings(model, processor, {"waist": signal(3)}, 60, batch_size=0)


def test_embedding_leaves_a_training_model_in_training(tokenizer, processor):
    model = tiny_model(tokenizer, processor.feature_extractor).train()
    embed_recordings(model, processor, {"waist": signal(2)}, 60)
    assert model.training and model.imu_pooler.training


def test_codebooks_of_different_runs_are_told_apart_by_folder(processor, tokenizer, tmp_path):
    same = tiny_model(tokenizer, processor.feature_extractor)
    check_same_codebook(same, processor)
    check_same_codebook(same.bfloat16(), processor)
    check_same_codebook(same.half().float(), processor)
    check_same_codebook(same, AnyMoProcessor(None, tokenizer))
    other = tiny_model(tokenizer)
    with pytest.raises(ValueError, match="made in memory.*made in memory.*different codebooks"):
        check_same_codebook(other, processor)
    other.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "processor")
    other, loaded = (
        AnyMoModel.from_pretrained(tmp_path / "model"),
        AnyMoProcessor.from_pretrained(tmp_path / "processor"),
    )
    with pytest.raises(ValueError, match=f"{tmp_path / 'model'}.*{tmp_path / 'processor'}.*different codebooks"):
        check_same_codebook(other, loaded)
    with pytest.raises(ValueError, match="different codebooks"):
        embed_recordings(other, loaded, {"waist": signal(2)}, 60)
    with pytest.raises(ValueError, match="different codebooks"):
        save_release(tmp_path / "release", other, loaded)
    assert not (tmp_path / "release").exists()


def test_a_release_refuses_a_tokenizer_of_another_run(processor, tokenizer, tmp_path):
    other = AnyMoTokenizer.train_from_texts(["walking"], 260, 16)
    with pytest.raises(ValueError, match="imu_token_offset"):
        save_release(tmp_path, tiny_model(tokenizer), AnyMoProcessor(processor.feature_extractor, other))
    assert not Path(tmp_path / "config.json").exists()
