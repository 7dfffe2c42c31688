"""The pipelines and the Auto classes on a tiny release, as a user calls them."""

import numpy as np
import pytest
import torch
from support.fresh_python import fresh_python
from transformers import (
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoProcessor,
    AutoTokenizer,
    Qwen2Config,
    pipeline,
)

import anymo_hf

LABELS = ["walking", "sitting", "running"]
SIGNAL = np.random.default_rng(3).normal(size=(120, 6))
INPUT = {"imu": {"waist": SIGNAL}, "sampling_rate": 50, "acceleration_unit": "g"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    tokenizer = anymo_hf.AnyMoTokenizer.train_from_texts(LABELS, 300, 16)
    pqvae = anymo_hf.AnyMoPQVAEConfig(input_dim=48, bottleneck_dim=8, codebook_size=8, decoder_dim=8)
    stgcn = anymo_hf.AnyMoSTGCNConfig.from_preset("nano")
    text = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=False,
    )  # fmt: skip
    config = anymo_hf.AnyMoConfig(
        stgcn_config=stgcn, pqvae_config=pqvae, text_config=text, pooler_latents=4, pooler_heads=4, projection_dim=12,
        projector_hidden=10, imu_token_offset=tokenizer.imu_token_offset,
    )  # fmt: skip
    extractor = anymo_hf.AnyMoFeatureExtractor(anymo_hf.AnyMoSTGCNModel(stgcn), anymo_hf.AnyMoPQVAEModel(pqvae))
    model = anymo_hf.AnyMoModel(config)
    model.set_codebook(extractor.pqvae)
    processor = anymo_hf.AnyMoProcessor(extractor, tokenizer)
    return str(anymo_hf.save_release(tmp_path_factory.mktemp("release"), model, processor))


def test_auto_classes_find_anymo(folder):
    expected = {
        AutoModel: "AnyMoModel", AutoProcessor: "AnyMoProcessor", AutoTokenizer: "AnyMoTokenizer",
        AutoFeatureExtractor: "AnyMoFeatureExtractor", AutoModelForCausalLM: "AnyMoForConditionalGeneration",
        AutoModelForSequenceClassification: "AnyMoForSequenceClassification",
    }  # fmt: skip
    for auto, name in expected.items():
        assert type(auto.from_pretrained(folder)) is getattr(anymo_hf, name)


def test_zero_shot_scores_are_the_softmax_of_cosines(folder):
    model, processor = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    recognise = pipeline("zero-shot-imu-classification", model=folder)
    result = recognise(INPUT, candidate_labels=LABELS)
    with torch.no_grad():
        imu = model.get_imu_features(**processor(**INPUT, return_tensors="pt")).pooler_output[0]
        text = model.get_text_features(**processor(text=LABELS, return_tensors="pt")).pooler_output
    expected = np.exp((text @ imu).double().numpy() / 0.05)
    expected /= expected.sum()
    order = np.argsort(-expected)
    assert [row["label"] for row in result] == [LABELS[i] for i in order]
    np.testing.assert_allclose([row["score"] for row in result], expected[order], rtol=1e-4)
    many = recognise([INPUT, INPUT], candidate_labels=LABELS)
    assert len(many) == 2 and [row["label"] for row in many[1]] == [row["label"] for row in result]
    flat = recognise(INPUT, candidate_labels="walking, sitting", temperature=1e6)
    np.testing.assert_allclose([row["score"] for row in flat], 0.5, atol=1e-4)


def test_other_labels_are_not_answered_from_the_last_call(folder):
    recognise = pipeline("zero-shot-imu-classification", model=folder)
    recognise(INPUT, candidate_labels=["walking"])
    assert {row["label"] for row in recognise(INPUT, candidate_labels=["sitting", "running"])} == {"sitting", "running"}


@pytest.mark.parametrize("labels", [[], None, {"temperature": 0, "candidate_labels": ["walking"]}])
def test_zero_shot_refuses_bad_arguments(folder, labels):
    recognise = pipeline("zero-shot-imu-classification", model=folder)
    with pytest.raises(ValueError, match="candidate_labels|temperature"):
        recognise(INPUT, **(labels if isinstance(labels, dict) else {"candidate_labels": labels}))
    with pytest.raises(ValueError, match="dict"):
        recognise({"waist": SIGNAL}, candidate_labels=["walking"])
    with pytest.raises(ValueError, match="candidate_labels names 'walking' twice"):
        recognise(INPUT, candidate_labels=["walking", "sitting", "walking"])


def test_a_tuned_classifier_answers_with_its_own_labels_only(folder, tmp_path):
    names = {0: "drilling", 1: "sawing", 2: "resting"}
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=3, id2label=names, label2id={name: number for number, name in names.items()}
    )
    processor = AutoProcessor.from_pretrained(folder)
    long = {**INPUT, "imu": {"waist": np.tile(SIGNAL, (6, 1))}}
    with pytest.raises(ValueError, match="no trained classifier"):
        pipeline("imu-classification", model=model, processor=processor)(INPUT)
    with pytest.raises(ValueError, match="no trained classifier"):
        pipeline("imu-classification", model=folder)(INPUT)
    model.train()
    with torch.no_grad():
        model.classifier.weight.normal_(generator=torch.Generator().manual_seed(1))
    anymo_hf.save_release(tmp_path / "tuned", model, processor)
    classify = pipeline("imu-classification", model=str(tmp_path / "tuned"))
    result = classify(INPUT)
    with torch.no_grad():
        logits = model.eval()(**processor(**INPUT, return_tensors="pt")).logits[0]
    expected = dict(zip(names.values(), logits.softmax(0).tolist(), strict=True))
    assert {row["label"]: row["score"] for row in result} == pytest.approx(expected, rel=1e-4)
    assert [row["label"] for row in result] == sorted(expected, key=expected.get, reverse=True)
    pieces = anymo_hf.embed_recordings(model, processor, long["imu"], 50, acceleration_unit="g")
    (first,) = classify(long, top_k=1)
    assert first["label"] == names[int(model.classifier(pieces).argmax())]
    assert classify([INPUT, long], batch_size=2)[0][0]["label"] == result[0]["label"]
    with pytest.raises(ValueError, match="labels that it learned"):
        classify(INPUT, candidate_labels=["walking"])
    for value in (0, "2", 1.5):
        with pytest.raises(ValueError, match=f"top_k must be a whole number of at least 1, got {value!r}"):
            classify(INPUT, top_k=value)


def test_imu_to_text_equals_generate(folder):
    write = pipeline("imu-to-text", model=folder)
    result = write(INPUT, max_new_tokens=4)
    model, processor = AutoModelForCausalLM.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    inputs = processor.generation_inputs(**INPUT)
    tokens = model.generate(
        **inputs, max_new_tokens=4, do_sample=False, eos_token_id=processor.tokenizer.eos_token_id,
        pad_token_id=processor.tokenizer.pad_token_id,
    )  # fmt: skip
    text = processor.tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert result == [{"generated_text": text.strip()}]
    choice = write(INPUT, task="multiple_choice", candidates=LABELS, max_new_tokens=2)
    assert isinstance(choice[0]["generated_text"], str)
    assert len(write([INPUT, INPUT], max_new_tokens=2)) == 2


LONG = {"imu": {"waist": np.random.default_rng(4).normal(size=(1000, 6))}, "sampling_rate": 50}  # 20 s: four pieces


def test_long_recordings_are_ranked_by_the_mean_of_their_pieces(folder):
    model, processor = AutoModel.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    embedding = anymo_hf.embed_recordings(model, processor, LONG["imu"], 50)[0]
    with torch.no_grad():
        text = model.get_text_features(**processor(text=LABELS, return_tensors="pt")).pooler_output
    cosine = (text @ embedding).tolist()
    found = pipeline("imu-text-retrieval", model=folder)(LONG, candidate_texts=LABELS)
    for row in found:
        assert row["score"] == pytest.approx(cosine[row["index"]], abs=1e-5)
    ranked = pipeline("zero-shot-imu-classification", model=folder)(LONG, candidate_labels=LABELS)
    assert [row["label"] for row in ranked] == [row["text"] for row in found]


def test_captions_are_of_the_middle_piece(folder):
    write = pipeline("imu-to-text", model=folder)
    processor = write.processor
    codes, placements = processor.windows(**LONG, middle=True)
    expected = processor.generation_inputs(imu_codes=codes[0], imu_placements=placements)
    assert torch.equal(write.preprocess(LONG)["input_ids"], expected["input_ids"])
    assert len(codes[0][0]) == 2 * 75


@pytest.mark.parametrize("task", ["zero-shot-imu-classification", "imu-text-retrieval"])
def test_batches_of_short_and_long_recordings_give_what_each_gives_alone(folder, task):
    rank = pipeline(task, model=folder)
    name = "candidate_labels" if task.startswith("zero") else "candidate_texts"
    items = [INPUT, LONG, INPUT, {"imu_codes": [[1, 9, 2, 8]], "imu_placements": [[6]]}, LONG]
    for item, together in zip(items, rank(items, batch_size=2, **{name: LABELS}), strict=True):
        for row, other in zip(rank(item, **{name: LABELS}), together, strict=True):
            assert row.pop("score") == pytest.approx(other.pop("score"), abs=1e-5) and row == other
    with pytest.raises(ValueError, match="one recording, got 2"):
        rank({"imu": [INPUT["imu"]] * 2, "sampling_rate": 50}, **{name: LABELS})


@pytest.mark.parametrize("task", ["zero-shot-imu-classification", "imu-text-retrieval", "imu-to-text"])
def test_a_model_of_another_run_is_refused(folder, task):
    model = (AutoModelForCausalLM if task == "imu-to-text" else AutoModel).from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    pipeline(task, model=model, processor=processor)
    with torch.no_grad():
        model.codebook.add_(1)
    with pytest.raises(ValueError, match=f"{folder}.*{folder}.*different codebooks"):
        pipeline(task, model=model, processor=processor)


def test_retrieval_ranks_by_cosine(folder):
    result = pipeline("imu-text-retrieval", model=folder)(INPUT, candidate_texts=LABELS, top_k=2)
    assert len(result) == 2 and result[0]["score"] >= result[1]["score"]
    assert all(LABELS[row["index"]] == row["text"] and -1 <= row["score"] <= 1 for row in result)


@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    [
        "import anymo_hf; from transformers import pipeline",
        "from transformers import AutoModel; import anymo_hf",
        "from anymo_hf.modeling.modeling_anymo import AnyMoModel",
        "from anymo_hf.modeling.configuration_anymo import AnyMoConfig; from transformers import AutoModel",
    ],
)
def test_registration_does_not_depend_on_import_order(first):
    check = (
        "; from transformers import AutoConfig; from transformers.pipelines import PIPELINE_REGISTRY as r; "
        "AutoConfig.for_model('anymo'); assert 'imu-to-text' in r.supported_tasks"
    )
    done = fresh_python(first + check)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    [
        "import anymo_hf, sys; from transformers import AutoConfig; "
        "assert 'anymo_hf.modeling.modeling_anymo' not in sys.modules",
        "from transformers import AutoConfig; import anymo_hf",
        "from anymo_hf.modeling.configuration_anymo import AnyMoSTGCNConfig; from transformers import AutoConfig",
    ],
)
def test_auto_config_alone_knows_anymo(folder, first):
    check = (
        f"; config = AutoConfig.from_pretrained({folder!r}); assert type(config).__module__.startswith('anymo_hf.'); "
        "AutoConfig.for_model('anymo_stgcn'); AutoConfig.for_model('anymo_pqvae'); "
        f"from transformers import AutoModel; AutoModel.from_pretrained({folder!r})"
    )
    done = fresh_python(first + check)
    assert done.returncode == 0, done.stderr[-2000:]
