"""A saved release: what a user types works through the Auto classes and pipelines, with and without the package."""

import resource
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from support.forked import forked
from support.fresh_python import fresh_python
from support.tiny_release import make_tiny_parts
from transformers import (
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoProcessor,
    AutoTokenizer,
    pipeline,
)

import anymo_hf
from anymo_hf.modeling import release
from anymo_hf.modeling.feature_extraction_anymo import resample
from anymo_hf.modeling.modeling_anymo import (
    info_nce_loss,
)
from anymo_hf.modeling.processing_anymo import AnyMoProcessor
from anymo_hf.modeling.release import save_release
from anymo_hf.modeling.tokenization_anymo import AnyMoTokenizer


def recording(seconds=3, rate=50, channels=6, seed=0):
    return np.random.default_rng(seed).normal(size=(seconds * rate, channels))


UNITS = {"sampling_rate": 50, "acceleration_unit": "g", "angular_velocity_unit": "deg/s"}


def test_the_readme_snippet_works_through_auto_classes(tiny_release):
    model, processor = AutoModel.from_pretrained(tiny_release), AutoProcessor.from_pretrained(tiny_release)
    sets = [{"left_wrist": recording()}, {"head": recording(4, seed=1), "right_wrist": recording(4, seed=2)}]
    with torch.no_grad():
        imu = model.get_imu_features(**processor(imu=sets, **UNITS, return_tensors="pt")).pooler_output
        text = model.get_text_features(**processor(text=["walking", "sitting"], return_tensors="pt")).pooler_output
    assert imu.shape == text.shape == (2, 24)
    torch.testing.assert_close(imu.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(text.norm(dim=1), torch.ones(2))
    assert isinstance(AutoTokenizer.from_pretrained(tiny_release), AnyMoTokenizer)
    codes = AutoFeatureExtractor.from_pretrained(tiny_release)({"waist": recording()}, sampling_rate=50).imu_codes
    assert len(codes[0]) == 2 * 45


def test_a_batch_gives_what_each_recording_gives_alone(tiny_release):
    model, processor = AutoModel.from_pretrained(tiny_release), AutoProcessor.from_pretrained(tiny_release)
    sets = [{"waist": recording(2)}, {"head": recording(5, seed=1), "chest": recording(5, seed=2)}]
    texts = ["walking", "a person walks up the stairs"]
    with torch.no_grad():
        both = model(
            **processor(imu=sets, sampling_rate=50, return_tensors="pt"), **processor(text=texts, return_tensors="pt")
        )
        for row in range(2):
            alone = model.get_imu_features(
                **processor(imu=sets[row], sampling_rate=50, return_tensors="pt")
            ).pooler_output
            torch.testing.assert_close(both.imu_embeds[row], alone[0], atol=1e-5, rtol=1e-4)
            alone = model.get_text_features(**processor(text=texts[row], return_tensors="pt")).pooler_output
            torch.testing.assert_close(both.text_embeds[row], alone[0], atol=1e-5, rtol=1e-4)
    cosine = both.imu_embeds @ both.text_embeds.t()
    torch.testing.assert_close(both.logits_per_imu, cosine / 0.05)


def test_zero_shot_pipeline_ranks_labels_and_lists_give_lists(tiny_release):
    recognise = pipeline("zero-shot-imu-classification", model=tiny_release)
    one = {"imu": {"waist": recording()}, "sampling_rate": 50, "acceleration_unit": "g"}
    ranked = recognise(one, candidate_labels=["walking", "sitting", "running"])
    assert [set(entry) for entry in ranked] == [{"score", "label"}] * 3
    scores = [entry["score"] for entry in ranked]
    assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1)
    assert recognise(one, candidate_labels=np.array(["walking", "sitting", "running"])) == ranked
    several = recognise([one, one], candidate_labels=["walking", "sitting", "running"])
    assert [entry["label"] for entry in several[1]] == [entry["label"] for entry in ranked]
    with pytest.raises(ValueError, match="label"):
        recognise(one, candidate_labels=[])


def test_caption_pipeline_writes_text(tiny_release):
    out = pipeline("imu-to-text", model=tiny_release)({"imu": {"waist": recording()}, "sampling_rate": 50})
    assert isinstance(out[0]["generated_text"], str)


def test_cached_generation_equals_recomputing_every_token(tiny_release):
    model = AutoModelForCausalLM.from_pretrained(tiny_release)
    processor = AutoProcessor.from_pretrained(tiny_release)
    batch = processor.generation_inputs(imu={"waist": recording()}, sampling_rate=50, return_tensors="pt")
    with torch.no_grad():
        cached = model.generate(**batch, max_new_tokens=6, do_sample=False)
        ids = batch["input_ids"]
        for _ in range(cached.shape[1] - ids.shape[1]):
            ids = torch.cat([ids, model(input_ids=ids).logits[:, -1:].argmax(-1)], 1)
    assert torch.equal(cached, ids)


def test_code_embeddings_are_projected_codebook_vectors_and_start_the_head(tiny_release):
    model = AutoModelForCausalLM.from_pretrained(tiny_release)
    offset = model.config.imu_token_offset
    embedded = model.get_input_embeddings()(torch.tensor([[offset + 3, offset + 16 + 5]]))[0]
    expected = model.imu_projector(torch.stack([model.codebook[0, 3], model.codebook[1, 5]]))
    torch.testing.assert_close(embedded, expected)
    torch.testing.assert_close(model.get_output_embeddings().weight[[offset + 3, offset + 21]], expected)


def test_the_contrastive_loss_equals_the_published_formula_in_float64():
    generator = torch.Generator().manual_seed(0)
    imu, text = (torch.nn.functional.normalize(torch.randn(5, 8, generator=generator), dim=1) for _ in range(2))
    weights = np.exp(imu.double().numpy() @ text.double().numpy().T / 0.05)
    rows, columns = np.diag(weights) / weights.sum(1), np.diag(weights) / weights.sum(0)
    assert info_nce_loss(imu, text, 0.05).item() == pytest.approx(
        -(np.log(rows) + np.log(columns)).mean() / 2, rel=1e-4
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_model_round_trip_is_exact(tmp_path, dtype):
    model = make_tiny_parts()[0].to(dtype)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=dtype)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, atol=0, rtol=0)


def test_processor_round_trip_keeps_codes_prompts_and_templates(tiny_release, tmp_path):
    first = AutoProcessor.from_pretrained(tiny_release)
    first.save_pretrained(tmp_path)
    again = AnyMoProcessor.from_pretrained(tmp_path)
    assert again.templates == first.templates
    ours, theirs = (p(imu={"head": recording()}, sampling_rate=50) for p in (again, first))
    assert ours["imu_input_ids"] == theirs["imu_input_ids"]


def test_classifier_loads_with_a_fresh_head_and_trains(tiny_release):
    model = AutoModelForSequenceClassification.from_pretrained(tiny_release, num_labels=3)
    batch = AutoProcessor.from_pretrained(tiny_release)(
        imu={"waist": recording()}, sampling_rate=50, return_tensors="pt"
    )
    out = model(**batch, labels=torch.tensor([2]))
    out.loss.backward()
    assert out.logits.shape == (1, 3) and model.classifier.weight.grad.abs().sum() > 0


@pytest.mark.slow
def test_remote_code_works_without_the_package(tiny_release, tmp_path):
    script = (
        "import sys\n"
        "sys.modules['anymo_hf'] = None\n"  # any import of the package fails
        "from transformers import AutoModel, AutoProcessor\n"
        f"model = AutoModel.from_pretrained({tiny_release!r}, trust_remote_code=True)\n"
        f"processor = AutoProcessor.from_pretrained({tiny_release!r}, trust_remote_code=True)\n"
        "print(model.get_text_features(**processor(text=['walking'], return_tensors='pt')).pooler_output.shape)\n"
    )
    done = fresh_python(script, folder=tmp_path, HF_HOME=tmp_path)
    assert "torch.Size([1, 24])" in done.stdout, done.stderr[-2000:]


@pytest.mark.parametrize("name", ["model.safetensors", "imu_tokenizer/model.safetensors"])
def test_corrupt_or_missing_weights_are_refused(tiny_release, tmp_path, name):
    broken = Path(shutil.copytree(tiny_release, tmp_path / "anymo"))
    load = AutoModel if name.startswith("model") else AutoFeatureExtractor
    (broken / name).write_bytes((broken / name).read_bytes()[:1000])
    with pytest.raises(OSError, match="damaged"):
        load.from_pretrained(broken)
    (broken / name).unlink()
    with pytest.raises(OSError, match=r"model\.safetensors"):
        load.from_pretrained(broken)


def test_missing_tensors_are_never_random_weights(tiny_release, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = Path(shutil.copytree(tiny_release, tmp_path / "anymo"))
    tensors = load_file(broken / "model.safetensors")
    tensors.pop("text_soft_prompt")
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="text_soft_prompt"):
        AutoModel.from_pretrained(broken)


@pytest.mark.parametrize(
    ("imu", "settings", "message"),
    [
        ({"waist": np.zeros((100, 5))}, {}, r"\(T, 6\)"),
        ({"waist": np.full((100, 6), np.nan)}, {}, "NaN"),
        ({"waist": np.zeros((40, 6))}, {}, "under one second"),
        ({"tail": np.zeros((100, 6))}, {}, "unknown placement 'tail'"),
        ({"waist": np.zeros((100, 6))}, {"acceleration_unit": "kg"}, "acceleration_unit"),
        ({"waist": np.zeros((100, 6))}, {"sampling_rate": 0}, "sampling_rate"),
        ({"waist": np.zeros((100, 6))}, {"sampling_rate": None}, "sampling_rate is missing"),
        ({"left_wrist": np.zeros((100, 6)), "left_forearm": np.zeros((100, 6))}, {}, "same segment"),
        ([], {}, "empty"),
    ],
)
def test_bad_recordings_are_refused_in_the_users_words(tiny_release, imu, settings, message):
    with pytest.raises(ValueError, match=message):
        AutoFeatureExtractor.from_pretrained(tiny_release)(imu, **{"sampling_rate": 50, **settings})


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_a_save_that_is_cut_off_leaves_the_old_release_whole(tiny_release, tmp_path, monkeypatch):
    folder = tmp_path / "anymo"
    shutil.copytree(tiny_release, folder)
    before = files(folder)
    model, processor = make_tiny_parts()
    with torch.no_grad():
        model.text_soft_prompt.add_(1)

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(AnyMoProcessor, "save_pretrained", fail)  # weights come first, then this
    with pytest.raises(KeyboardInterrupt):
        save_release(folder, model, processor)
    assert files(folder) == before and [path.name for path in tmp_path.iterdir()] == ["anymo"]


def _save_and_wait(folder, parts, go):
    write = release._write_release

    def stay(*given):
        (go.parent / "begun").touch()
        while not go.is_file():
            time.sleep(0.01)
        write(*given)

    release._write_release = stay
    save_release(folder, *parts)


def test_two_saves_at_once_take_nothing_from_each_other_and_drafts_of_killed_ones_go(tiny_release, tmp_path):
    folder, parts, flags = tmp_path / "anymo", make_tiny_parts(), tmp_path / "flags"
    flags.mkdir()
    first = forked(_save_and_wait, folder, parts, flags / "go")
    while not (flags / "begun").is_file():
        assert first.is_alive()
        time.sleep(0.01)
    (draft,) = tmp_path.glob(".anymo.*.part")  # of a process that runs
    left = tmp_path / draft.name.replace(f".{first.pid}.", ".999999999.")  # of one that does not
    left.mkdir()
    save_release(folder, *parts)
    assert draft.is_dir() and not left.exists()
    (flags / "go").touch()
    first.join()
    assert first.exitcode == 0 and sorted(path.name for path in tmp_path.iterdir()) == ["anymo", "flags"]
    assert files(folder) == files(save_release(tmp_path / "alone", *parts))


def test_a_full_disk_is_told_and_leaves_the_old_release_whole(tiny_release, tmp_path):
    folder = tmp_path / "anymo"
    shutil.copytree(tiny_release, folder)
    before, limits = files(folder), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))  # as if the disk were full there
    try:
        with pytest.raises(OSError, match=r"could not write .*anymo .*; make room there"):
            save_release(folder, *make_tiny_parts())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(folder) == before and [path.name for path in tmp_path.iterdir()] == ["anymo"]


def test_a_save_replaces_the_old_release_and_nothing_else(tiny_release, tmp_path):
    folder = tmp_path / "anymo"
    shutil.copytree(tiny_release, folder)
    (folder / "README.md").write_text("the card")
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"an old shard")
    (folder / "model.safetensors.index.json").write_text("{}")
    model, processor = make_tiny_parts()
    with torch.no_grad():
        model.text_soft_prompt.add_(1)
    assert save_release(folder, model, processor) == folder
    after = files(folder)
    assert after.pop("README.md") == b"the card"
    assert set(after) == set(files(tiny_release)) and [path.name for path in tmp_path.iterdir()] == ["anymo"]
    loaded = AutoModel.from_pretrained(folder)
    assert torch.equal(loaded.text_soft_prompt, model.text_soft_prompt)


def test_a_release_knows_the_positions_of_its_language_model(tiny_release):
    processor = AutoProcessor.from_pretrained(tiny_release)
    assert processor.tokenizer.model_max_length == 1024
    minute = {"waist": recording(60)}
    for call in (processor, processor.generation_inputs):
        with pytest.raises(
            ValueError, match=r"tokens does not fit the language model's 1024 positions.*embed_recordings"
        ):
            call(imu=minute, sampling_rate=50)
    with pytest.raises(ValueError, match="1024 positions"):
        processor(text="walking " * 1200)


def test_options_are_chosen_when_loading(tiny_release, tmp_path):
    processor = AutoProcessor.from_pretrained(tiny_release, wrist="hand", max_window_seconds=4)
    assert processor.feature_extractor.wrist == "hand" and processor.max_window_seconds == 4
    processor.save_pretrained(tmp_path)
    again = AutoProcessor.from_pretrained(tmp_path)
    assert again.feature_extractor.wrist == "hand" and again.max_window_seconds == 4
    assert "left hand" in processor.tokenizer.decode(
        again(imu={"left_wrist": recording()}, sampling_rate=50)["imu_input_ids"][0], skip_special_tokens=True
    )
    with pytest.raises(ValueError, match=r"unknown arguments \['writs'\] of AnyMoProcessor"):
        AutoProcessor.from_pretrained(tiny_release, writs="hand")
    AutoProcessor.from_pretrained(tiny_release, use_fast=True, revision="main", trust_remote_code=False, token=None)


def test_a_recording_of_two_minutes_goes_through_every_pipeline(tiny_release):
    long = {"imu": {"waist": recording(120)}, "sampling_rate": 50}
    ranked = pipeline("zero-shot-imu-classification", model=tiny_release)(long, candidate_labels=["walking", "sitting"])
    assert len(ranked) == 2
    found = pipeline("imu-text-retrieval", model=tiny_release)(long, candidate_texts=["walking", "sitting"])
    assert len(found) == 2
    assert isinstance(pipeline("imu-to-text", model=tiny_release)(long, max_new_tokens=2)[0]["generated_text"], str)


def test_resampling_keeps_slow_waves_and_removes_what_60_hz_cannot_carry():
    time = np.arange(0, 5, 1 / 200)
    slow, fast = (np.sin(2 * np.pi * f * time)[:, None] for f in (3, 55))
    grid = np.arange(300) / 60
    middle = slice(30, -30)
    np.testing.assert_allclose(resample(slow, 200)[middle, 0], np.sin(2 * np.pi * 3 * grid)[middle], atol=0.01)
    assert np.abs(resample(fast, 200)[middle]).max() < 0.05
    np.testing.assert_allclose(resample(np.full((100, 1), 9.81), 50), 9.81, rtol=1e-3)


def test_package_lists_what_it_offers():
    assert anymo_hf.AnyMoProcessor is AnyMoProcessor
    with pytest.raises(AttributeError, match="nothing"):
        _ = anymo_hf.nothing
