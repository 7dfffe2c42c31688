"""Recognition, retrieval, captioning and tokenizer diagnostics with small stand-ins for model and processor."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from anymo_hf.evaluation import recognition
from anymo_hf.evaluation.captioning import bert_f1, generate_captions
from anymo_hf.evaluation.retrieval import evaluate_retrieval, sample_per_recording, score_retrieval
from anymo_hf.evaluation.tokenizer_diagnostics import diagnose_codes
from anymo_hf.recordings.catalogue import DATASETS
from anymo_hf.recordings.imu_recording import ImuRecording

LABELS = DATASETS["wisdm"].labels


class Tokenizer:
    def batch_decode(self, rows, skip_special_tokens):
        return [f"a person <imu_0001> walks {int(row[0])}" for row in rows]


class Processor:
    """A recording's first sample, or its first code, names its class."""

    tokenizer = Tokenizer()
    words = list(LABELS)

    def __call__(self, imu=None, text=None, imu_codes=None, imu_placements=None, sampling_rate=None,
                 return_tensors=None):  # fmt: skip
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
        return 3 * torch.nn.functional.one_hot(input_ids, 4)

    def get_imu_features(self, imu_input_ids):
        return 5 * torch.nn.functional.one_hot(imu_input_ids, 4)

    def generate(self, input_ids, do_sample, max_new_tokens):
        return torch.cat([input_ids, input_ids[:, :1] + 10], dim=1)


def recordings(shown, truth):
    rates = [20.0 if i % 2 else 50.0 for i in range(len(shown))]
    return [
        ImuRecording({"right_pocket": np.full((60 + 7 * i, 6), s, float)}, r, LABELS[t])
        for i, (s, t, r) in enumerate(zip(shown, truth, rates, strict=True))
    ]


def test_recognition_row_and_files(tmp_path, monkeypatch):
    shown, truth = [0, 1, 2, 3, 0, 1, 2], [0, 1, 2, 0, 0, 2, 2]
    monkeypatch.setattr(recognition, "read_windows", lambda name, folder: iter(recordings(shown, truth)))
    (tmp_path / "wisdm").mkdir()
    (row,) = recognition.evaluate_recognition(Model(), Processor(), tmp_path, batch_size=2)
    assert row.accuracy == pytest.approx(100 * 5 / 7)
    assert row.chance == 25 and row.majority_accuracy == pytest.approx(100 * 3 / 7)
    np.testing.assert_array_equal(row.confusion, confusion_matrix(truth, shown, labels=range(4)))
    table = recognition.write_recognition([row], tmp_path / "out")
    saved = json.loads((tmp_path / "out/recognition.json").read_text())
    assert saved["datasets"][0]["accuracy"] == row.accuracy
    assert "AnyMo (paper)" in table and "71.4" in table
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["recognition.json"]


def test_recognition_refuses_what_is_not_there(tmp_path):
    with pytest.raises(OSError, match="none of the folders"):
        recognition.evaluate_recognition(Model(), Processor(), tmp_path)
    with pytest.raises(OSError, match="wisdm"):
        recognition.evaluate_recognition(Model(), Processor(), tmp_path, ["wisdm"])
    with pytest.raises(ValueError, match="unknown datasets"):
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
    BertModel(BertConfig(vocab_size=len(words), **shape)).save_pretrained(tmp_path)
    same, other, empty = bert_f1(["a person walks"] * 2 + [""], ["a person walks", "sits", "sits"], str(tmp_path))
    assert same == pytest.approx(1, abs=1e-5) and other < same and empty == 0
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
