"""The example end to end on a small USC-HAD in its raw format: codes, people apart, each method, card, loading, upload."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset, Value, concatenate_datasets, load_dataset
from huggingface_hub import constants
from peft import PeftModel
from support import hub_server
from support.small_usc_had import write_small_usc_had
from transformers import AutoModel, AutoModelForSequenceClassification, AutoProcessor

from anymo_hf.hub.builders import anymo_zeroshot
from anymo_hf.hub.dataset_card import card_data, check_card
from anymo_hf.recordings.catalogue import DATASETS

ROOT = Path(__file__).parents[2]


def _load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


finetune_har = _load(ROOT / "examples" / "finetune_har.py")
CHECKPOINT = str(ROOT / "anymo")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """`anymo-zeroshot` of four people, built by the builder."""
    folder = tmp_path_factory.mktemp("usc")
    write_small_usc_had(folder / "raw", people=4)
    anymo_zeroshot.write_repository(folder / "raw", folder / "anymo-zeroshot", "usc_had")
    return folder / "anymo-zeroshot"


@pytest.fixture(scope="module")
def processor():
    return AutoProcessor.from_pretrained(CHECKPOINT)


def run(repository, output, *more):
    finetune_har.main(["--dataset", str(repository), "--config", "usc_had", "--model", CHECKPOINT, "--output",
                       str(output), "--steps", "4", "--batch-size", "4", *more])  # fmt: skip


def test_codes_are_those_of_the_processor_and_made_once(repository, processor, tmp_path, monkeypatch):
    windows = load_dataset(str(repository), "usc_had", split="test", cache_dir=str(tmp_path))
    codes = finetune_har.make_codes(windows, processor)
    row = windows.with_format("numpy")[3]
    alone = processor(imu={"right_hip": row["right_hip"]}, sampling_rate=100)
    batch = finetune_har.collator(processor)([codes[3], codes[0]])
    assert batch["imu_input_ids"][0].tolist() == alone["imu_input_ids"][0]
    assert (
        batch["labels"].tolist() == [codes[3]["labels"], codes[0]["labels"]] and codes[3]["subject"] == row["subject"]
    )
    stored = list(tmp_path.rglob("cache-*.arrow"))
    assert len(stored) == 1 and finetune_har.make_codes(windows, processor)[:] == codes[:]
    assert list(tmp_path.rglob("cache-*.arrow")) == stored


def test_nobody_is_on_both_sides_and_the_share_is_of_people():
    subjects = [str(person) for person in range(10) for _ in range(20)]
    windows = Dataset.from_dict({"subject": subjects, "labels": [0] * 15 + [1] * 5 + ([0, 1] * 10) * 9})
    train, test = finetune_har.split_people(windows)
    assert len(set(train["subject"])) == 7 and len(set(test["subject"])) == 3 and len(train) + len(test) == 200
    assert not set(train["subject"]) & set(test["subject"])
    half = finetune_har.take_share(train, 0.5, seed=1)
    assert len(set(half["subject"])) == round(3.5) and len(half) == 20 * len(set(half["subject"]))
    assert finetune_har.take_share(train, 0.5, seed=1)[:] == half[:]
    thin = finetune_har.take_share(windows.filter(lambda row: row["subject"] in ("0", "1")), 0.1)
    assert len(set(thin["subject"])) == 1 and set(thin["labels"]) == {0, 1} and len(thin) == round(0.2 * 20)
    assert sorted(finetune_har.take_share(train, 1e-4)["labels"]) == [0, 1]  # a window of each class at least
    with pytest.raises(ValueError, match="1 people and 0 windows of nobody"):
        finetune_har.split_people(windows.select(range(20)))
    with pytest.raises(ValueError, match="20 windows of nobody"):
        finetune_har.split_people(Dataset.from_dict({"subject": [""] * 20 + ["a", "b"]}))


def test_a_head_from_names_is_zero_shot_recognition(repository, processor, tmp_path):
    windows = load_dataset(str(repository), "usc_had", split="test", cache_dir=str(tmp_path))
    names = windows.features["label"].names
    model = AutoModelForSequenceClassification.from_pretrained(
        CHECKPOINT, num_labels=len(names), id2label=dict(enumerate(names))
    )
    finetune_har.prepare(model, processor, "linear").eval()
    assert {name for name, weight in model.named_parameters() if weight.requires_grad} == {
        "classifier.weight", "classifier.bias",
    }  # fmt: skip
    batch = finetune_har.collator(processor)(finetune_har.make_codes(windows, processor).to_list())
    labels = batch.pop("labels")
    with torch.no_grad():
        base = AutoModel.from_pretrained(CHECKPOINT).eval()
        expected = base(**batch, **processor(text=names, return_tensors="pt")).logits_per_imu
        result = model(**batch, labels=labels)
    torch.testing.assert_close(result.logits, expected)
    assert result.loss == pytest.approx(float(torch.nn.functional.cross_entropy(expected, labels)), rel=1e-5)
    with pytest.raises(ValueError, match="a row for each label"):
        model.init_classifier(torch.zeros(2, 3))


@pytest.mark.parametrize("method", ["full", "linear", "lora"])
def test_each_method_learns_saves_and_loads_again(repository, tmp_path, method, capsys):
    output = tmp_path / f"anymo-{method}"
    run(repository, output, "--method", method, "--share", "0.6")
    assert "after: accuracy" in capsys.readouterr().out
    assert not check_card(output, "model")
    card, head = (output / "README.md").read_text(), card_data(output / "README.md")
    assert "https://sipi.usc.edu/had/; licence: " in card and "people that training never saw" in card
    assert "12 windows of 2 people (share" in card and "6 windows of 1 people that" in card
    model = AutoModelForSequenceClassification.from_pretrained(output).eval()
    assert list(model.config.id2label.values()) == list(DATASETS["usc_had"].labels)
    codes = finetune_har.make_codes(
        concatenate_datasets(list(load_dataset(str(repository), "usc_had").values())),
        processor := AutoProcessor.from_pretrained(output),
    )
    test = finetune_har.split_people(codes)[1]
    batch = finetune_har.collator(processor)(test.to_list())
    labels = batch.pop("labels")
    with torch.no_grad():
        logits = model(**batch).logits
    shown = next(r["value"] for r in head["model-index"][0]["results"][0]["metrics"] if r["type"] == "accuracy")
    assert 100 * float((logits.argmax(-1) == labels).float().mean()) == pytest.approx(shown, abs=0.06)
    before = AutoModelForSequenceClassification.from_pretrained(CHECKPOINT, num_labels=12)
    changed = {
        name for name, weight in model.state_dict().items() if not torch.equal(weight, before.state_dict()[name])
    }
    assert {"classifier.weight", "classifier.bias"} <= changed
    query = "language_model.model.layers.0.self_attn.q_proj.weight"
    assert (query in changed) == (method != "linear") and ("imu_pooler.latents" in changed) == (method == "full")
    if method == "lora":
        adapted = PeftModel.from_pretrained(before, output / "adapter").eval()
        with torch.no_grad():
            torch.testing.assert_close(adapted(**batch).logits, logits, atol=1e-4, rtol=1e-4)


def test_the_output_goes_to_the_hub(repository, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    push = finetune_har.push_folder
    with hub_server.LoopbackHub() as hub:

        def online(*arguments):  # training itself needs no network
            monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
            return push(*arguments, endpoint=hub.url)

        monkeypatch.setattr(finetune_har, "push_folder", online)
        run(repository, tmp_path / "anymo-usc", "--method", "linear", "--push-to-hub", "me/anymo-usc")
        files = hub.repositories["models/me/anymo-usc"].files
    assert {"README.md", "config.json", "model.safetensors", "modeling_anymo.py"} <= set(files)
    assert "uploaded: " in capsys.readouterr().out


def test_missing_columns_are_named(repository, tmp_path):
    windows = concatenate_datasets(list(load_dataset(str(repository), "usc_had", cache_dir=str(tmp_path)).values()))
    finetune_har.check_columns(windows)
    for column in ("label", "subject", "placements", "sampling_rate", "right_hip"):
        with pytest.raises(ValueError, match=rf"columns \['{column}'\] are missing"):
            finetune_har.finetune(CHECKPOINT, windows.remove_columns(column), tmp_path, finetune_har.FinetuneSettings())
    with pytest.raises(ValueError, match="column label is a Value.*needed a ClassLabel"):
        finetune_har.check_columns(windows.cast_column("label", Value("string")))


def test_faults_are_told(repository, tmp_path, capsys, monkeypatch):
    for more, said in (
        (["--share", "1.5"], "share must lie above 0"),
        (["--steps", "0"], "at least 1"),
        (["--learning-rate", "inf"], "the loss is nan at step"),
    ):
        with pytest.raises(SystemExit, match="2"):
            run(repository, tmp_path / "out", *more)
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "model.safetensors").exists()
    assert finetune_har.data_terms(str(tmp_path), "usc_had") == f"see the card of {tmp_path}"
