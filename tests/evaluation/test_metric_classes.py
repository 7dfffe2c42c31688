"""`evaluate.Metric` classes of retrieval and captioning against scikit-learn, NLTK and rouge_score."""

import numpy as np
import pytest
import torch
from nltk.translate.bleu_score import sentence_bleu
from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer
from sklearn.metrics import label_ranking_average_precision_score, top_k_accuracy_score

from anymo_hf.evaluation import captioning
from anymo_hf.evaluation.captioning import PAPER_SCORER, SCORER_LAYERS, CaptioningMetric
from anymo_hf.evaluation.metrics import bleu, caption_scores, meteor, meteor_f_mean, retrieval_scores
from anymo_hf.evaluation.retrieval import RetrievalMetric

CAPTIONS = ["a person walks up the long stairs slowly", "someone sits", "a man is running in a circle on the grass"]
REFERENCES = ["a person walks up the stairs", "a person sits down", "a man is running in a circle"]


class NoSynonyms:
    """Stands in for WordNet, which is not on this machine."""

    def synsets(self, word):
        return []


class NoStems:
    def stem(self, word):
        return word


def nltk_meteor(caption, reference, **settings):
    return single_meteor_score(reference.split(), caption.split(), wordnet=NoSynonyms(), **settings)


def test_retrieval_equals_scikit_learn():
    rng = np.random.default_rng(0)
    similarity, truth = rng.standard_normal((60, 25)), rng.integers(0, 25, 60)
    metric = RetrievalMetric(keep_in_memory=True)
    found = metric.compute(predictions=similarity.tolist(), references=[[index] for index in truth.tolist()])
    for k in (1, 5, 10):
        expected = top_k_accuracy_score(truth, similarity, k=k, labels=range(25))
        assert found[f"recall_at_{k}"] == pytest.approx(expected)
    # with one fitting candidate, mean average precision is the mean reciprocal rank
    assert found["mrr"] == pytest.approx(label_ranking_average_precision_score(np.eye(25)[truth], similarity))


def test_retrieval_takes_several_fitting_candidates():
    rng = np.random.default_rng(1)
    similarity, positive = rng.standard_normal((30, 8)), rng.random((30, 8)) < 0.3
    positive[:, 0] |= ~positive.any(1)
    references = [np.flatnonzero(row).tolist() for row in positive]
    found = RetrievalMetric(keep_in_memory=True).compute(predictions=similarity.tolist(), references=references)
    assert found == pytest.approx(retrieval_scores(similarity, positive))
    ranks = [min(int((row > row[index]).sum()) + 1 for index in fitting)
             for row, fitting in zip(similarity, references, strict=True)]  # fmt: skip
    assert found["mrr"] == pytest.approx(np.mean([1 / rank for rank in ranks]))


@pytest.mark.parametrize(("references", "message"), [([[0], [5]], "query 1"), ([[0], []], "no positive")])
def test_retrieval_refuses_bad_references(references, message):
    with pytest.raises(ValueError, match=message):
        RetrievalMetric(keep_in_memory=True).compute(predictions=[[0.1, 0.2]] * 2, references=references)


def test_captioning_equals_nltk_and_rouge_score():
    found = CaptioningMetric(keep_in_memory=True).compute(predictions=CAPTIONS, references=REFERENCES)
    assert found == pytest.approx(caption_scores(CAPTIONS, REFERENCES)) and set(found) == {
        "bleu_1", "bleu_4", "rouge_l", "meteor_f_mean",
    }  # fmt: skip
    pairs = list(zip(CAPTIONS, REFERENCES, strict=True))
    scorer = RougeScorer(["rougeL"])
    rouge = [scorer.score(reference, caption)["rougeL"].fmeasure for caption, reference in pairs]
    assert found["rouge_l"] == pytest.approx(np.mean(rouge))
    unigrams = [sentence_bleu([reference.split()], caption.split(), (1.0,)) for caption, reference in pairs]
    assert found["bleu_1"] == pytest.approx(np.mean(unigrams))
    f_means = [nltk_meteor(*pair, stemmer=NoStems(), gamma=0) for pair in pairs]
    assert found["meteor_f_mean"] == pytest.approx(np.mean(f_means))


def test_bleu_4_equals_nltk_where_every_order_matches():
    for caption, reference in ((CAPTIONS[0], REFERENCES[0]), (CAPTIONS[2], REFERENCES[2]), (REFERENCES[2],) * 2):
        assert bleu(caption, reference, 4) == pytest.approx(sentence_bleu([reference.split()], caption.split()))
    assert bleu("a b c d", "b a d c", 4) == pytest.approx(
        (1 * 1e-27) ** 0.25
    )  # the floor of the orders without a match


def test_f_mean_is_not_meteor():
    """Scattered words cost METEOR a penalty, stems gain; the F-mean knows neither."""
    straight, scattered, stem = "he walks up there", "there up walks he", "he walked up there"
    assert meteor_f_mean(scattered, straight) == 1 > nltk_meteor(scattered, straight)
    assert meteor_f_mean(stem, straight) < nltk_meteor(stem, straight)


def test_meteor_without_wordnet_says_how_to_get_it(monkeypatch):
    import nltk.translate.meteor_score

    def absent(reference, hypothesis):
        raise LookupError("wordnet")

    monkeypatch.setattr(nltk.translate.meteor_score, "single_meteor_score", absent)
    with pytest.raises(OSError, match="nltk.downloader wordnet"):
        meteor("a", "b")
    with pytest.raises(OSError, match="nltk.downloader wordnet"):
        CaptioningMetric(keep_in_memory=True).compute(predictions=["a"], references=["b"], synonyms=True)
    monkeypatch.setattr(nltk.translate.meteor_score, "single_meteor_score",
                        lambda reference, hypothesis: nltk_meteor(" ".join(hypothesis), " ".join(reference)))  # fmt: skip
    found = CaptioningMetric(keep_in_memory=True).compute(predictions=CAPTIONS, references=REFERENCES, synonyms=True)
    wanted = [nltk_meteor(*pair) for pair in zip(CAPTIONS, REFERENCES, strict=True)]
    assert found["meteor"] == pytest.approx(np.mean(wanted))


def test_bert_f1_uses_the_named_scorer(monkeypatch, tmp_path):
    asked = []

    def fake(candidates, references, scorer):
        asked.append(scorer)
        return np.array([0.25] * len(candidates))

    monkeypatch.setattr(captioning, "bert_f1", fake)
    metric = CaptioningMetric(keep_in_memory=True)
    assert "bert_f1" not in metric.compute(predictions=CAPTIONS, references=REFERENCES) and not asked
    assert metric.compute(predictions=CAPTIONS, references=REFERENCES, bert=True)["bert_f1"] == 0.25
    metric.compute(predictions=CAPTIONS, references=REFERENCES, bert=True, scorer="roberta-large")
    assert asked == [PAPER_SCORER, "roberta-large"] and SCORER_LAYERS[PAPER_SCORER] == 40


@pytest.mark.parametrize("kind", ["deberta", "roberta"])
def test_bert_f1_reads_as_far_as_the_scorer_has_positions(kind, tmp_path):
    from transformers import AutoConfig, AutoModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "walks", "sits"]
    BertTokenizerFast(vocab={word: i for i, word in enumerate(words)}).save_pretrained(tmp_path)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    positions = 12 if kind == "deberta" else 13  # RoBERTa leaves the one of its padding token, 0, out
    config = AutoConfig.for_model(
        kind, vocab_size=len(words), max_position_embeddings=positions, pad_token_id=0, type_vocab_size=2, **shape
    )
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(tmp_path)
    captions = ["walks sits " * 400, "walks sits " * 5, "", "walks", " "]
    references = ["walks " * 10, "walks " * 10, "walks", "walks", "sits"]
    long, cut, empty, same, blank = captioning.bert_f1(captions, references, str(tmp_path))
    assert long == pytest.approx(cut) and 0 < cut < 1 and (empty, blank) == (0, 0) and same == pytest.approx(1)


def test_bert_f1_equals_a_loop_over_words(tmp_path):
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *sorted({w for t in CAPTIONS + REFERENCES for w in t.split()}),
    ]
    tokenizer = BertTokenizerFast(vocab={word: i for i, word in enumerate(words)})
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertModel(BertConfig(vocab_size=len(words), **shape)).eval()
    model.save_pretrained(tmp_path)

    def vectors(text):
        with torch.no_grad():
            rows = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        return [row / row.norm() for row in rows]

    expected = []
    for caption, reference in zip(CAPTIONS, REFERENCES, strict=True):
        ours, theirs = vectors(caption), vectors(reference)
        # a word may match [CLS] and [SEP], which have no weight of their own (bert-score without idf)
        precision = np.mean([max(float(a @ b) for b in theirs) for a in ours[1:-1]])
        recall = np.mean([max(float(a @ b) for a in ours) for b in theirs[1:-1]])
        expected.append(2 * precision * recall / (precision + recall))
    found = CaptioningMetric(keep_in_memory=True).compute(
        predictions=CAPTIONS, references=REFERENCES, bert=True, scorer=str(tmp_path)
    )
    assert found["bert_f1"] == pytest.approx(np.mean(expected), abs=1e-5)
