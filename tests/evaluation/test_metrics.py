"""Metrics against scikit-learn, rouge_score and hand-worked cases."""

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sklearn.metrics import accuracy_score, f1_score, top_k_accuracy_score

from anymo_hf.evaluation.metrics import (
    bleu,
    caption_scores,
    majority_scores,
    meteor_f_mean,
    recognition_scores,
    retrieval_scores,
    rouge_l,
)


def test_recognition_equals_scikit_learn():
    rng = np.random.default_rng(0)
    truth, similarity = rng.integers(0, 7, 300), rng.standard_normal((300, 7))
    ours, predicted = recognition_scores(similarity, truth), similarity.argmax(1)
    assert ours["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert ours["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert ours["weighted_f1"] == pytest.approx(f1_score(truth, predicted, average="weighted"))
    assert ours["recall_at_2"] == pytest.approx(top_k_accuracy_score(truth, similarity, k=2))


def test_macro_f1_leaves_out_labels_that_never_occur():
    truth = np.array([0, 0, 1])
    assert recognition_scores(np.eye(5)[truth], truth)["macro_f1"] == 1.0


def test_majority_answers_the_most_frequent_class():
    scores = majority_scores(np.array([2, 2, 0, 1]), 4)
    assert scores["accuracy"] == 0.5 and scores["macro_f1"] == pytest.approx((2 * 2 / (2 + 4)) / 3)


def test_retrieval_ranks_by_hand():
    similarity = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.9, 0.5, 0.1]])
    scores = retrieval_scores(similarity, np.eye(3, dtype=bool))
    assert scores["recall_at_1"] == pytest.approx(1 / 3) and scores["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_constant_scores_do_not_retrieve():
    assert retrieval_scores(np.zeros((4, 20)), np.eye(4, 20, dtype=bool))["mrr"] == pytest.approx(1 / 20)


@pytest.mark.parametrize(
    ("candidate", "reference"),
    [("a person walks up the stairs", "someone walks the stairs up slowly"), ("a b c", "d e"), ("jump", "jump")],
)
def test_rouge_l_equals_rouge_score(candidate, reference):
    expected = RougeScorer(["rougeL"]).score(reference, candidate)["rougeL"].fmeasure
    assert rouge_l(candidate, reference) == pytest.approx(expected)


def test_bleu_and_f_mean_by_hand():
    assert bleu("the cat sat", "the cat sat down", 1) == pytest.approx(np.exp(1 - 4 / 3))
    assert bleu("the the", "the cat", 1) == pytest.approx(0.5)
    assert meteor_f_mean("a b", "a c") == pytest.approx(10 * 0.25 / (0.5 + 4.5))
    assert caption_scores(["a b c d"], ["a b c d"])["bleu_4"] == pytest.approx(1)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="truth must lie"):
        recognition_scores(np.zeros((1, 2)), np.array([2]))
    with pytest.raises(ValueError, match="NaN"):
        recognition_scores(np.array([[np.nan, 0]]), np.array([0]))
    with pytest.raises(ValueError, match="query 0 has no positive"):
        retrieval_scores(np.zeros((1, 2)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="as many captions"):
        caption_scores([], [])
