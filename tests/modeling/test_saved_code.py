"""What is saved from our classes loads in a process that has no anymo_hf, and with it as before."""

import json
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import HfApi
from peft import LoraConfig, get_peft_model
from support.fresh_python import fresh_python
from support.tiny_release import make_tiny_parts
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoProcessor,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
    pipeline,
)

from anymo_hf.modeling.modeling_pqvae import AnyMoPQVAEModel
from anymo_hf.modeling.modeling_stgcn import AnyMoSTGCNForPreTraining, AnyMoSTGCNModel

WITHOUT = "import sys; sys.modules['anymo_hf'] = None\n"


def run(code, tmp_path, *arguments):
    done = fresh_python(code, *arguments, HF_MODULES_CACHE=tmp_path / "modules")
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_model_and_processor_saved_by_remote_code_load_again(tiny_release, tmp_path):
    code = WITHOUT + (
        "from transformers import AutoFeatureExtractor, AutoModel, AutoProcessor, AutoTokenizer\n"
        "first, second = sys.argv[1:]\n"
        "AutoModel.from_pretrained(first, trust_remote_code=True).save_pretrained(second)\n"
        "AutoProcessor.from_pretrained(first, trust_remote_code=True).save_pretrained(second)\n"
        "for auto in (AutoModel, AutoTokenizer, AutoFeatureExtractor, AutoProcessor):\n"
        "    print(type(auto.from_pretrained(second, trust_remote_code=True)).__name__)\n"
    )
    names = ["AnyMoModel", "AnyMoTokenizer", "AnyMoFeatureExtractor", "AnyMoProcessor"]
    assert run(code, tmp_path, tiny_release, tmp_path / "again").split() == names
    files = {path.name for path in (tmp_path / "again").glob("*.py")}
    assert files == {path.name for path in Path(tiny_release).glob("*.py")}


@pytest.mark.slow
def test_a_pipeline_of_a_saved_model_runs_without_the_package(tiny_release, tmp_path):
    AutoModel.from_pretrained(tiny_release).save_pretrained(tmp_path / "again")
    AutoProcessor.from_pretrained(tiny_release).save_pretrained(tmp_path / "again")
    code = WITHOUT + (
        "import numpy as np\nfrom transformers import pipeline\n"
        "rank = pipeline('zero-shot-imu-classification', model=sys.argv[1], trust_remote_code=True)\n"
        "still = {'imu': {'waist': np.tile([0, 0, 9.8], (300, 1))}, 'sampling_rate': 50}\n"
        "print(len(rank(still, candidate_labels=['walking', 'sitting'])))\n"
    )
    assert run(code, tmp_path, tmp_path / "again").split() == ["2"]


def test_with_the_package_a_saved_folder_loads_with_and_without_trust(tiny_release, tmp_path):
    AutoModel.from_pretrained(tiny_release).save_pretrained(tmp_path)
    AutoProcessor.from_pretrained(tiny_release).save_pretrained(tmp_path)
    for arguments in ({}, {"trust_remote_code": True}):
        assert type(AutoTokenizer.from_pretrained(tmp_path, **arguments)).__name__ == "AnyMoTokenizer"
    assert "imu-to-text" in json.loads((tmp_path / "config.json").read_text())["custom_pipelines"]


LOAD = WITHOUT + (
    "import transformers\n"
    "folder, *kinds = sys.argv[1:]\n"
    "for kind in kinds:\n"
    "    auto, _, subfolder = kind.partition(':')\n"
    "    found = getattr(transformers, auto).from_pretrained(folder, trust_remote_code=True, subfolder=subfolder)\n"
    "    assert type(found).__module__.startswith('transformers_modules.'), type(found)\n"
    "    print(type(found).__name__)\n"
)


@pytest.mark.slow
def test_the_encoder_alone_and_the_quantizer_alone_load_without_the_package(tiny_parts, tmp_path):
    model, _ = tiny_parts
    for kind, config, auto in (
        (AnyMoSTGCNModel, model.config.stgcn_config, "AutoModel"),
        (AnyMoSTGCNForPreTraining, model.config.stgcn_config, "AutoModelForPreTraining"),
        (AnyMoPQVAEModel, model.config.pqvae_config, "AutoModel"),
    ):
        kind(config).save_pretrained(tmp_path / kind.__name__)
        assert run(LOAD, tmp_path, tmp_path / kind.__name__, auto).split() == [kind.__name__]


@pytest.mark.slow
def test_the_imu_tokenizer_of_a_release_is_a_model_without_the_package(tiny_release, tmp_path):
    assert run(LOAD, tmp_path, tiny_release, "AutoModel:imu_tokenizer").split() == ["AnyMoIMUTokenizerModel"]


@pytest.mark.slow
def test_a_saved_pipeline_runs_without_the_package(tiny_release, tmp_path):
    pipeline("imu-text-retrieval", model=tiny_release).save_pretrained(tmp_path / "saved")
    code = WITHOUT + (
        "import numpy as np\nfrom transformers import pipeline\n"
        "item = {'imu': {'waist': np.tile([0, 0, 9.8], (300, 1))}, 'sampling_rate': 50}\n"
        "for task, more in (('imu-text-retrieval', {'candidate_texts': ['a', 'b']}), ('imu-to-text', {})):\n"
        "    print(len(pipeline(task, model=sys.argv[1], trust_remote_code=True)(item, **more)))\n"
    )
    assert run(code, tmp_path, tmp_path / "saved").split() == ["2", "1"]


@pytest.mark.slow
def test_what_the_trainer_saves_and_a_merged_adapter_load_without_the_package(tiny_release, tmp_path):
    processor = AutoProcessor.from_pretrained(tiny_release)
    with pytest.raises(ValueError, match="^classifier_input must be one of codes, imu, got 'IMU'$"):
        AutoModelForSequenceClassification.from_pretrained(tiny_release, num_labels=2, classifier_input="IMU")
    with pytest.raises(ValueError, match="clasifier_input.*is the argument's name right"):
        AutoModelForSequenceClassification.from_pretrained(tiny_release, num_labels=2, clasifier_input="imu")
    base = AutoModelForSequenceClassification.from_pretrained(tiny_release, num_labels=2, classifier_input="imu")
    model = get_peft_model(base, LoraConfig(target_modules="all-linear", task_type="SEQ_CLS"))
    windows = np.random.default_rng(0).normal(size=(4, 120, 6))
    batch = processor(imu=[{"waist": x} for x in windows], sampling_rate=60, return_windows=True, return_tensors="pt")
    rows = [{name: value[i] for name, value in batch.items()} | {"labels": i % 2} for i in range(4)]
    for name, trained in (("adapter", model), ("merged", model.merge_and_unload())):
        arguments = TrainingArguments(
            str(tmp_path / name),
            max_steps=2,
            per_device_train_batch_size=2,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = Trainer(trained, arguments, train_dataset=rows, eval_dataset=rows, processing_class=processor)
        trainer.train()
        assert trainer.evaluate()["eval_loss"] > 0
    trainer.save_model(tmp_path / "trained")
    kinds = ["AutoModelForSequenceClassification", "AutoProcessor", "AutoTokenizer"]
    names = ["AnyMoForSequenceClassification", "AnyMoProcessor", "AnyMoTokenizer"]
    assert run(LOAD, tmp_path, tmp_path / "trained", *kinds).split() == names
    assert run(LOAD, tmp_path, tmp_path / "merged" / "checkpoint-2", kinds[0]).split() == names[:1]


def test_an_upload_holds_the_code(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("transformers.utils.hub._hf_api", HfApi(endpoint=hub.url))
    model, processor = make_tiny_parts()
    model.save_pretrained(tmp_path / "m", push_to_hub=True, repo_id="me/model")
    processor.save_pretrained(tmp_path / "p", push_to_hub=True, repo_id="me/processor")
    for name, needed in (("model", "modeling_anymo.py"), ("processor", "processing_anymo.py")):
        held = hub.repositories[f"models/me/{name}"]
        assert needed in held.files and len(held.commits) == 1
    assert "imu_tokenizer/model.safetensors" in held.files and b"auto_map" in held.files["processor_config.json"]


def test_saved_settings_say_nothing_of_the_machine(tiny_release, tmp_path):
    AutoModel.from_pretrained(tiny_release).save_pretrained(tmp_path)
    AutoProcessor.from_pretrained(tiny_release).save_pretrained(tmp_path)
    for path in tmp_path.rglob("*.json"):
        text = path.read_text()
        assert str(tiny_release) not in text and "name_or_path" not in text and "is_local" not in text, path
