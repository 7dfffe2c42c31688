"""The example end to end on a small USC-HAD in its raw format: codes, people apart, each method, card, loading, upload."""

import runpy
from pathlib import Path

import pytest
import torch
from datasets import Dataset, Value, concatenate_datasets, load_dataset
from huggingface_hub import constants
from peft import PeftModel
from support.small_usc_had import write_small_usc_had
from transformers import AutoModel, AutoModelForSequenceClassification, AutoProcessor

from anymo_hf import AnyMoCollator
from anymo_hf.evaluation import finetuning
from anymo_hf.hub import finetuned_release, upload
from anymo_hf.hub.builders import anymo_zeroshot
from anymo_hf.hub.dataset_card import card_data, check_card
from anymo_hf.recordings.catalogue import DATASETS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
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


@pytest.fixture
def run(repository, anymo):
    """`anymo finetune` for four steps; its exit code, output and errors."""

    def finetune(output, *more):
        return anymo("finetune", "--dataset", repository, "--config", "usc_had", "--model", CHECKPOINT, "--output",
                     output, "--steps", 4, "--batch-size", 4, *more)  # fmt: skip

    return finetune


def test_codes_are_those_of_the_processor_and_made_once(repository, processor, tmp_path, monkeypatch):
    windows = load_dataset(str(repository), "usc_had", split="test", cache_dir=str(tmp_path))
    codes = finetuning.make_codes(windows, processor)
    row = windows.with_format("numpy")[3]
    alone = processor(imu={"right_hip": row["right_hip"]}, sampling_rate=100)
    batch = AnyMoCollator(processor)([codes[3], codes[0]])
    assert batch["imu_input_ids"][0].tolist() == alone["imu_input_ids"][0]
    assert (
        batch["labels"].tolist() == [codes[3]["labels"], codes[0]["labels"]] and codes[3]["subject"] == row["subject"]
    )
    stored = list(tmp_path.rglob("cache-*.arrow"))
    assert len(stored) == 1 and finetuning.make_codes(windows, processor)[:] == codes[:]
    assert list(tmp_path.rglob("cache-*.arrow")) == stored


def test_nobody_is_on_both_sides_and_the_share_is_of_people():
    subjects = [str(person) for person in range(10) for _ in range(20)]
    windows = Dataset.from_dict({"subject": subjects, "labels": [0] * 15 + [1] * 5 + ([0, 1] * 10) * 9})
    train, test = finetuning.split_people(windows)
    assert len(set(train["subject"])) == 7 and len(set(test["subject"])) == 3 and len(train) + len(test) == 200
    assert not set(train["subject"]) & set(test["subject"])
    half = finetuning.take_share(train, 0.5, seed=1)
    assert len(set(half["subject"])) == round(3.5) and len(half) == 20 * len(set(half["subject"]))
    assert finetuning.take_share(train, 0.5, seed=1)[:] == half[:]
    thin = finetuning.take_share(windows.filter(lambda row: row["subject"] in ("0", "1")), 0.1)
    assert len(set(thin["subject"])) == 1 and set(thin["labels"]) == {0, 1} and len(thin) == round(0.2 * 20)
    assert sorted(finetuning.take_share(train, 1e-4)["labels"]) == [0, 1]  # a window of each class at least
    with pytest.raises(ValueError, match="1 people and 0 windows of nobody"):
        finetuning.split_people(windows.select(range(20)))
    with pytest.raises(ValueError, match="20 windows of nobody"):
        finetuning.split_people(Dataset.from_dict({"subject": [""] * 20 + ["a", "b"]}))


def test_a_head_from_names_is_zero_shot_recognition(repository, processor, tmp_path):
    windows = load_dataset(str(repository), "usc_had", split="test", cache_dir=str(tmp_path))
    names = windows.features["label"].names
    model = AutoModelForSequenceClassification.from_pretrained(
        CHECKPOINT, num_labels=len(names), id2label=dict(enumerate(names))
    )
    finetuning.prepare(model, processor, "linear").eval()
    assert {name for name, weight in model.named_parameters() if weight.requires_grad} == {
        "classifier.weight", "classifier.bias",
    }  # fmt: skip
    batch = AnyMoCollator(processor)(finetuning.make_codes(windows, processor).to_list())
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
def test_each_method_learns_saves_and_loads_again(run, repository, tmp_path, method):
    output = tmp_path / f"anymo-{method}"
    code, out, err = run(output, "--method", method, "--share", 0.6)
    assert code == 0 and "after: accuracy" in out, err
    assert not check_card(output, "model")
    card, head = (output / "README.md").read_text(), card_data(output / "README.md")
    assert "https://sipi.usc.edu/had/; licence: " in card and "people that training never saw" in card
    assert "12 windows of 2 people (share" in card and "6 windows of 1 people that" in card
    model = AutoModelForSequenceClassification.from_pretrained(output).eval()
    assert list(model.config.id2label.values()) == list(DATASETS["usc_had"].labels)
    codes = finetuning.make_codes(
        concatenate_datasets(list(load_dataset(str(repository), "usc_had").values())),
        processor := AutoProcessor.from_pretrained(output),
    )
    test = finetuning.split_people(codes)[1]
    batch = AnyMoCollator(processor)(test.to_list())
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


def test_the_output_goes_to_the_hub(run, hub, tmp_path, monkeypatch):
    push = upload.push_folder
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def online(*arguments):  # training itself needs no network
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        return push(*arguments, endpoint=hub.url)

    monkeypatch.setattr(upload, "push_folder", online)
    code, out, err = run(tmp_path / "anymo-usc", "--method", "linear", "--push-to-hub", "me/anymo-usc")
    assert code == 0 and "uploaded: " in out, err
    files = hub.repositories["models/me/anymo-usc"].files
    assert {"README.md", "config.json", "model.safetensors", "modeling_anymo.py"} <= set(files)


def test_missing_columns_are_named(repository, tmp_path):
    windows = concatenate_datasets(list(load_dataset(str(repository), "usc_had", cache_dir=str(tmp_path)).values()))
    finetuning.check_columns(windows)
    for column in ("label", "subject", "placements", "sampling_rate", "right_hip"):
        with pytest.raises(ValueError, match=rf"columns \['{column}'\] are missing"):
            finetuning.finetune(CHECKPOINT, windows.remove_columns(column), tmp_path, finetuning.FinetuneSettings())
    with pytest.raises(ValueError, match="column label is a Value.*needed a ClassLabel"):
        finetuning.check_columns(windows.cast_column("label", Value("string")))


def test_faults_are_told(run, tmp_path):
    for more, said in (
        (["--share", "1.5"], "share must lie above 0"),
        (["--steps", "0"], "at least 1"),
        (["--learning-rate", "inf"], "the loss is nan at step"),
    ):
        code, _, err = run(tmp_path / "out", *more)
        assert code == 2 and said in err.splitlines()[-1], err
    assert not (tmp_path / "out" / "model.safetensors").exists()
    assert finetuned_release.data_terms(str(tmp_path), "usc_had") == f"see the card of {tmp_path}"


def test_the_example_runs_as_it_stands(repository, tmp_path, monkeypatch, capsys):
    """But for the number of its steps."""
    whole = finetuning.FinetuneSettings
    monkeypatch.setattr(finetuning, "FinetuneSettings", lambda **given: whole(**given | {"steps": 2}))
    monkeypatch.chdir(tmp_path)
    for name, target in (("anymo", CHECKPOINT), ("anymo-zeroshot", repository)):
        (tmp_path / name).symlink_to(target)
    runpy.run_path(str(ROOT / "examples" / "finetune_har.py"))
    assert "'test_people': 1" in capsys.readouterr().out
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "anymo-usc-had").config.num_labels == 12
