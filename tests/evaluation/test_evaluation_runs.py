"""Recognition, retrieval, captioning and tokenizer diagnostics with small stand-ins for model and processor."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from sklearn.metrics import confusion_matrix

import anymo_hf
from anymo_hf.evaluation import recognition
from anymo_hf.evaluation.captioning import bert_f1
from anymo_hf.evaluation.retrieval import evaluate_retrieval, sample_per_recording, score_retrieval
from anymo_hf.evaluation.tokenizer_diagnostics import diagnose_codes
from anymo_hf.modeling.prompts import PromptStyle
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.imu_recording import ImuRecording
from anymo_hf.systems import captions, embeddings
from anymo_hf.systems.captions import generate_captions

LABELS = DATASETS["wisdm"].labels


class Tokenizer:
    def batch_decode(self, rows, skip_special_tokens):
        return [f"a person <imu_0001> walks {int(row[0])}" for row in rows]


class Processor:
    """A recording's first sample, or its first code, names its class."""

    tokenizer = Tokenizer()
    words = list(LABELS)
    feature_extractor, prompt_style = SimpleNamespace(wrist="forearm"), PromptStyle()

    def __call__(self, imu=None, text=None, imu_codes=None, imu_placements=None, sampling_rate=None,
                 return_tensors=None, text_kind="narration"):  # fmt: skip
        if text is not None:
            return {"input_ids": torch.tensor([self.words.index(item) for item in text])}
        if imu_codes is not None:
            return {"imu_input_ids": torch.tensor([int(codes[0]) for codes in imu_codes])}
        assert sampling_rate in (20.0, 50.0)
        return {"imu_input_ids": torch.tensor([int(next(iter(item.values()))[0, 0]) for item in imu])}

    def generation_inputs(self, imu_codes, imu_placements, task):
        return {"input_ids": torch.tensor([[int(codes[0])] * 3 for codes in imu_codes])}


class Model(torch.nn.Module):
    def get_text_features(self, input_ids):
        return SimpleNamespace(pooler_output=3 * torch.nn.functional.one_hot(input_ids, 4))

    def get_imu_features(self, imu_input_ids):
        return SimpleNamespace(pooler_output=5 * torch.nn.functional.one_hot(imu_input_ids, 4))

    def generate(self, input_ids, do_sample, max_new_tokens):
        return torch.cat([input_ids, input_ids[:, :1] + 10], dim=1)


@pytest.fixture(autouse=True)
def embedding_of_the_stand_in(monkeypatch):
    """The real one wants a real codebook; `tests/modeling` tests it."""

    def embed(model, processor, signals, rate, batch_size):
        features = model.get_imu_features(**processor(imu=signals, sampling_rate=rate)).pooler_output
        return torch.nn.functional.normalize(features.float(), dim=-1)

    monkeypatch.setattr(embeddings, "embed_recordings", embed)


def recordings(shown, truth):
    rates = [20.0 if i % 2 else 50.0 for i in range(len(shown))]
    return [
        ImuRecording({"right_pocket": np.full((60 + 7 * i, 6), s, float)}, r, LABELS[t])
        for i, (s, t, r) in enumerate(zip(shown, truth, rates, strict=True))
    ]


def test_recognition_row_and_files(tmp_path, monkeypatch):
    shown, truth = [0, 1, 2, 3, 0, 1, 2], [0, 1, 2, 0, 0, 2, 2]
    monkeypatch.setattr(recognition, "read_windows", lambda name, folder, segments: iter(recordings(shown, truth)))
    (tmp_path / "wisdm").mkdir()
    (row,) = recognition.evaluate_recognition(Model(), Processor(), tmp_path, batch_size=2)
    assert row.accuracy == pytest.approx(100 * 5 / 7)
    assert (row.people, row.accuracy_interval) == (0, None) and row.top_class_share == pytest.approx(100 * 2 / 7)
    assert row.chance == 25 and row.majority_accuracy == pytest.approx(100 * 3 / 7)
    np.testing.assert_array_equal(row.confusion, confusion_matrix(truth, shown, labels=range(4)))
    table = recognition.write_recognition([row], tmp_path / "out")
    saved = json.loads((tmp_path / "out/recognition.json").read_text())
    assert saved["datasets"][0]["accuracy"] == row.accuracy
    assert "AnyMo (paper)" in table and "71.4" in table
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["recognition.json"]


@pytest.mark.parametrize("prompt", embeddings.TEXT_PROMPTS)
def test_fixed_prompts_word_the_label_and_leave_the_soft_prompt_out(prompt):
    templates = {"learned": "{}", "bare": "{}", "person": "a person is {}", "imu": "wearable IMU motion of {}",
                 "activity": "the activity is {}"}  # paper E.1 # fmt: skip
    model, seen = Model(), []
    model.text_soft_prompt = torch.nn.Parameter(torch.ones(8, 3))
    learned = model.text_soft_prompt

    def processor(text, return_tensors, text_kind):
        assert text_kind == "label"
        seen.append((text, len(model.text_soft_prompt)))
        return {"input_ids": torch.arange(len(text))}

    embeddings.embed_labels(model, processor, ["walking", "sitting"], prompt)
    words = [templates[prompt].format(label) for label in ("walking", "sitting")]
    assert seen == [(words, 8 if prompt == "learned" else 0)] and model.text_soft_prompt is learned


def test_without_the_soft_prompt_a_model_is_one_that_never_had_it():
    from anymo_hf.modeling.configuration_anymo import AnyMoConfig, AnyMoPQVAEConfig, AnyMoSTGCNConfig
    from anymo_hf.modeling.modeling_anymo import AnyMoModel

    config = AnyMoConfig(
        stgcn_config=AnyMoSTGCNConfig.from_preset("nano"),
        pqvae_config=AnyMoPQVAEConfig(input_dim=8, bottleneck_dim=8, codebook_size=8, decoder_dim=8),
        text_config={"model_type": "qwen2", "vocab_size": 60, "hidden_size": 16, "intermediate_size": 24,
                     "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2},
        pooler_latents=4, pooler_heads=4, projection_dim=12, projector_hidden=10, imu_token_offset=40,
    )  # fmt: skip
    model = AnyMoModel(config).eval()
    model.text_soft_prompt.data.normal_()
    ids, mask = torch.tensor([[3, 4, 5], [6, 7, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]])
    with torch.no_grad():
        hidden = model.language_model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        plain = model.text_embedding_head(model.text_pooler(hidden, mask))
        with embeddings.without_soft_prompt(model):
            without = model.get_text_features(ids, mask).pooler_output
        torch.testing.assert_close(without, torch.nn.functional.normalize(plain, dim=-1), atol=1e-6, rtol=1e-5)
        assert (model.get_text_features(ids, mask).pooler_output - without).abs().max() > 1e-3


def test_a_fixed_prompt_has_its_own_file_and_an_old_file_counts_as_learned(suite):
    suite.run(datasets=["wisdm"])
    path = suite.out / "recognition.json"
    content = json.loads(path.read_text())
    del content["text_prompt"]
    path.write_text(json.dumps(content))
    assert [row.dataset for row in recognition.read_recognition(suite.out, SETTINGS)] == ["wisdm"]
    bare = replace(SETTINGS, text_prompt="bare")
    recognition.write_recognition(recognition.read_recognition(suite.out, SETTINGS), suite.out, bare)
    assert json.loads((suite.out / "recognition-bare.json").read_text())["text_prompt"] == "bare"
    assert len(recognition.read_recognition(suite.out, bare)) == 1
    with pytest.raises(ValueError, match="text_prompt must be one of learned, bare"):
        recognition.evaluate_recognition(Model(), Processor(), suite.out.parent / "data", text_prompt="poem")


SETTINGS = recognition.RecognitionSettings("anymo", {"model.safetensors": "0f"}, "forearm", "0.1.0")


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """Three datasets of wisdm's classes; the first sample of a window is always right, except in a broken dataset."""
    broken = set()

    def read(name, folder, segments):
        yield from recordings([0, 1, 2], [0, 1, 2])
        if name in broken:
            raise ValueError(f"{folder}: cut off")

    known = ("uci_har", "usc_had", "wisdm")
    monkeypatch.setattr(recognition, "read_windows", read)
    monkeypatch.setattr(recognition, "DATASETS", {name: DATASETS["wisdm"] for name in known})
    for name in known:
        (tmp_path / "data" / name).mkdir(parents=True)

    def run(settings=SETTINGS, datasets=None):
        found = recognition.evaluate_recognition_to_file(
            Model(), Processor(), tmp_path / "data", tmp_path / "out", settings, datasets
        )
        return found, json.loads((tmp_path / "out/recognition.json").read_text())

    return SimpleNamespace(run=run, broken=broken, out=tmp_path / "out")


def test_a_broken_dataset_does_not_lose_the_others(suite, monkeypatch):
    suite.broken.add("usc_had")
    (rows, failed), saved = suite.run()
    assert [row.dataset for row in rows] == [row["dataset"] for row in saved["datasets"]] == ["uci_har", "wisdm"]
    assert list(failed) == ["usc_had"] and "cut off" in str(failed["usc_had"])
    written, write = [], recognition.write_recognition

    def spy(rows, out_dir, settings):
        written.append([row.dataset for row in rows])
        if len(written) == 2:
            raise KeyboardInterrupt
        return write(rows, out_dir, settings)

    monkeypatch.setattr(recognition, "write_recognition", spy)
    with pytest.raises(KeyboardInterrupt):
        suite.run()
    saved = json.loads((suite.out / "recognition.json").read_text())
    assert written == [["uci_har"], ["uci_har", "wisdm"]] and [r["dataset"] for r in saved["datasets"]] == ["uci_har"]


def test_named_datasets_join_a_file_with_the_same_settings(suite):
    _, saved = suite.run(datasets=["wisdm"])
    assert [row["dataset"] for row in saved["datasets"]] == ["wisdm"]
    (rows, _), saved = suite.run(datasets=["uci_har"])
    assert [row["dataset"] for row in saved["datasets"]] == ["uci_har", "wisdm"]
    assert "| uci_har |" in recognition.markdown_table(rows) and "| wisdm |" in recognition.markdown_table(rows)
    assert recognition.read_recognition(suite.out, SETTINGS)[0].accuracy == 100
    suite.broken.add("uci_har")  # what was measured before stays
    (_, failed), again = suite.run(datasets=["uci_har"])
    assert "uci_har" in failed and again == saved


@pytest.mark.parametrize(
    "change",
    [{"model": "other"}, {"weights_sha256": {"model.safetensors": "1f"}}, {"wrist": "hand"}, {"anymo_hf": "0.2.0"},
     {"max_windows": 2}, {"seed": 1}, {"segments": "paper"}, {"label_case": "own"}],
)  # fmt: skip
def test_other_settings_start_a_new_file(suite, change):
    suite.run(datasets=["wisdm"])
    _, saved = suite.run(replace(SETTINGS, **change), ["uci_har"])
    assert [row["dataset"] for row in saved["datasets"]] == ["uci_har"]
    assert {name: saved[name] for name in change} == change


def test_unreadable_or_older_files_are_replaced_and_a_whole_run_starts_anew(suite):
    suite.out.mkdir()
    for text in ("{", "[]", '{"unit": "percent", "datasets": [{"dataset": "wisdm"}]}'):
        (suite.out / "recognition.json").write_text(text)
        assert [row["dataset"] for row in suite.run(datasets=["uci_har"])[1]["datasets"]] == ["uci_har"]
    suite.broken.update(["uci_har", "usc_had"])
    assert [row["dataset"] for row in suite.run()[1]["datasets"]] == ["wisdm"]


def test_settings_name_the_folder_its_weights_and_the_wrist(tmp_path, monkeypatch):
    import huggingface_hub

    def save(folder):
        (folder / "imu_tokenizer").mkdir(parents=True)
        hashes = {}
        for number, name in enumerate(("model.safetensors", "imu_tokenizer/model.safetensors")):
            save_file({"a": np.full(3, number)}, folder / name)
            hashes[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        return hashes

    hashes = save(tmp_path / "small")
    monkeypatch.chdir(tmp_path / "small")
    settings = recognition.RecognitionSettings.of(".", Processor(), 5)
    assert settings == recognition.RecognitionSettings("small", hashes, "forearm", anymo_hf.__version__, 5, 0)
    hub = tmp_path / "hub" / "models--some--one"
    save(hub / "snapshots" / "abc")
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text("abc")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    settings = recognition.RecognitionSettings.of("some/one", Processor())
    assert (settings.model, settings.weights_sha256) == ("some/one", hashes)
    (tmp_path / "empty").mkdir()
    with pytest.raises(OSError, match="no model.safetensors"):
        recognition.RecognitionSettings.of(tmp_path / "empty", Processor())


def test_segments_reach_the_reader(suite, monkeypatch):
    asked, read = [], recognition.read_windows
    monkeypatch.setattr(
        recognition, "read_windows", lambda name, folder, how: asked.append(how) or read(name, folder, how)
    )
    suite.run(replace(SETTINGS, segments="paper"), ["wisdm"])
    recognition.evaluate_recognition(Model(), Processor(), suite.out.parent / "data", ["wisdm"])
    assert asked == ["paper", "worn"]


def test_labels_keep_their_case_where_that_is_asked_for():
    processor = Processor()
    assert embeddings.with_label_case(processor, "lower") is processor
    own = embeddings.with_label_case(processor, "own")
    assert own.prompt_style.lower_case == "none" and embeddings.label_case_of(own) == "own"
    assert embeddings.with_label_case(own, "lower").prompt_style.lower_case == "labels"
    assert processor.prompt_style == PromptStyle()
    with pytest.raises(ValueError, match="label_case must be 'lower' or 'own', got 'upper'"):
        embeddings.with_label_case(processor, "upper")


def test_the_note_says_what_a_wrist_is(tmp_path, monkeypatch):
    monkeypatch.setattr(recognition, "read_windows", lambda name, folder, segments: iter(recordings([0, 1], [0, 1])))
    monkeypatch.setitem(recognition.DATASETS, "utd_mhad", replace(DATASETS["utd_mhad"], labels=LABELS))
    (tmp_path / "utd_mhad").mkdir()
    for wrist, words in (("forearm", "forearm segment here and the hand in the paper"), ("hand", "as in the paper")):
        monkeypatch.setattr(Processor, "feature_extractor", SimpleNamespace(wrist=wrist))
        (row,) = recognition.evaluate_recognition(Model(), Processor(), tmp_path)
        assert row.note.startswith("all people, whole trials;") and row.note.endswith(words)


def test_bars_count_every_window_and_caption(monkeypatch, suite):
    from tqdm import tqdm

    bars = []

    class Bar(tqdm):
        def __init__(self, *args, **options):
            super().__init__(*args, **(options | {"disable": False, "delay": 0}))
            bars.append(self)

    for module in (recognition, embeddings, captions):
        monkeypatch.setattr(module, "tqdm", Bar)
    suite.run(datasets=["wisdm"])
    assert [(bar.desc, bar.total, bar.n) for bar in bars] == [("wisdm: reading", None, 3), ("wisdm", 3, 3)]
    generate_captions(Model(), Processor(), [np.array([k, 9]) for k in (0, 1, 2)], [[6]] * 3, batch_size=2)
    assert (bars[-1].desc, bars[-1].total, bars[-1].n) == ("captions", 2, 2)


def test_recognition_refuses_what_is_not_there(tmp_path):
    with pytest.raises(OSError, match="none of the folders"):
        recognition.evaluate_recognition(Model(), Processor(), tmp_path)
    with pytest.raises(OSError, match="wisdm"):
        recognition.evaluate_recognition(Model(), Processor(), tmp_path, ["wisdm"])
    with pytest.raises(ValueError, match="unknown dataset 'imagenet'"):
        recognition.evaluate_recognition(Model(), Processor(), tmp_path, ["imagenet"])


def test_subset_keeps_class_shares():
    truth = np.repeat([0, 1, 2], [600, 300, 100])
    chosen = recognition.stratified_subset(truth, 50, seed=3)
    counts = Counter(truth[chosen].tolist())
    assert len(chosen) == 50 and all(abs(counts[k] - n) <= 1 for k, n in ((0, 30), (1, 15), (2, 5)))
    np.testing.assert_array_equal(chosen, recognition.stratified_subset(truth, 50, seed=3))


def test_metric_class_equals_function():
    rng = np.random.default_rng(0)
    scores, truth = rng.standard_normal((40, 4)), rng.integers(0, 4, 40)
    metric = recognition.RecognitionMetric(keep_in_memory=True)
    found = metric.compute(predictions=scores.tolist(), references=truth.tolist())
    assert found == pytest.approx(recognition.recognition_scores(scores, truth))


def test_retrieval_merges_equal_texts():
    texts = [LABELS[0], LABELS[1], LABELS[0], LABELS[2]]
    codes = [np.array([k, 9]) for k in (0, 1, 0, 2)]
    result = evaluate_retrieval(Model(), Processor(), codes, [[6]] * 4, texts, batch_size=3)
    assert result.texts == 3 and result.imu_to_text["mrr"] == result.text_to_imu["mrr"] == 1
    worst = score_retrieval(np.zeros((4, 3)), list(dict.fromkeys(texts)), texts)
    assert worst.imu_to_text["recall_at_1"] == 0
    with pytest.raises(ValueError, match="equally long"):
        evaluate_retrieval(Model(), Processor(), codes, [[6]], texts)


def test_sample_per_recording():
    names = [f"r{i % 4}" for i in range(40)]
    chosen = sample_per_recording(names)
    assert chosen == sorted(set(chosen)) and set(Counter(names[i] for i in chosen).values()) == {5}
    with pytest.raises(ValueError, match="2 windows"):
        sample_per_recording(["a", "a"])


def test_captions_lose_prompt_and_codes():
    codes = [np.array([k, 9]) for k in (0, 1, 2)]
    assert generate_captions(Model(), Processor(), codes, [[6]] * 3, batch_size=2) == [
        f"a person walks {k}" for k in (10, 11, 12)
    ]


def test_bert_f1(tmp_path):
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "person", "walks", "sits"]
    tokenizer = BertTokenizerFast(vocab={word: i for i, word in enumerate(words)})
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertModel(BertConfig(vocab_size=len(words), **shape)).eval()
    model.save_pretrained(tmp_path)
    same, other, empty = bert_f1(["a person walks"] * 2 + [""], ["a person walks", "sits", "sits"], str(tmp_path))
    assert same == pytest.approx(1, abs=1e-5) and other < same and empty == 0
    hidden = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].detach().numpy()
              for text in ("a person walks", "sits")]  # fmt: skip
    first, second = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in hidden)
    # greedy matching over all tokens, [CLS] and [SEP] of weight 0 (bert-score without idf)
    precision, recall = (first @ second.T).max(1)[1:-1].mean(), (second @ first.T).max(1)[1:-1].mean()
    assert other == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-5)
    with pytest.raises(OSError, match="not available"):
        bert_f1(["a"], ["b"], str(tmp_path / "absent"))


def test_diagnostics_of_even_and_dead_codes():
    even = [np.array([i, 8 + 3]) for i in range(8)] + [np.array([0, 8 + 3])]
    first, second = diagnose_codes(even[:8], 8).books
    assert first.perplexity == pytest.approx(8) and first.used == 8
    assert second.perplexity == pytest.approx(1) and second.dead_ratio == 7 / 8 and second.top_1_mass == 1
    result = diagnose_codes(even, 8)
    assert result.collision_rate == pytest.approx(1 / 9) and "8 / 8" in result.markdown()
    with pytest.raises(ValueError, match="time-major"):
        diagnose_codes([np.array([9, 1])], 8)
