"""Metrics against scikit-learn, rouge_score, NLTK and hand-worked cases."""

from collections import Counter

import numpy as np
import pytest
from nltk.translate.bleu_score import sentence_bleu
from rouge_score.rouge_scorer import RougeScorer
from sklearn.metrics import accuracy_score, f1_score, top_k_accuracy_score

from anymo_hf.evaluation.metrics import (
    among_best,
    bleu,
    caption_scores,
    caption_words,
    majority_scores,
    meteor_f_mean,
    people_interval,
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


def test_labels_that_are_not_told_apart_are_no_second_guess():
    truth = np.arange(6)
    one_named = np.tile(np.eye(6)[3], (6, 1))  # always label 3, nothing said of the others
    assert recognition_scores(one_named, truth)["recall_at_2"] == pytest.approx(1 / 6)
    two_named = one_named + 0.5 * np.eye(6)[1]
    assert recognition_scores(two_named, truth)["recall_at_2"] == pytest.approx(2 / 6)
    assert among_best(np.tile([4.0, 3, 2, 2, 1, 1], (6, 1)), truth, 4).tolist() == [True] * 4 + [False] * 2


def test_macro_f1_leaves_out_labels_that_never_occur():
    truth = np.array([0, 0, 1])
    assert recognition_scores(np.eye(5)[truth], truth)["macro_f1"] == 1.0


def test_majority_answers_the_most_frequent_class():
    scores = majority_scores(np.array([2, 2, 0, 1]), 4)
    assert scores["accuracy"] == 0.5 and scores["macro_f1"] == pytest.approx((2 * 2 / (2 + 4)) / 3)


def test_the_interval_over_people_is_that_of_a_mean_of_people():
    rng = np.random.default_rng(1)
    share = rng.uniform(0.3, 0.9, 40)
    people = np.repeat([f"p{number:02}" for number in range(40)], 100)
    right = rng.random(4000) < np.repeat(share, 100)
    low, high = people_interval(right, people)
    means = right.reshape(40, 100).mean(1)
    half = 1.96 * means.std(ddof=1) / np.sqrt(40)  # the normal approximation
    assert (low, high) == pytest.approx((means.mean() - half, means.mean() + half), abs=0.01)
    assert high - low > 3 * 2 * 1.96 * np.sqrt(0.24 / 4000)  # far wider than if windows were independent
    order = rng.permutation(4000)
    assert people_interval(right[order], people[order]) == (low, high)
    assert people_interval(right, np.full(4000, "a")) is None
    assert people_interval(right[:2], np.array(["", "a"])) is None


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


class Words:
    """Tokens of FORMATS 4.4 found sign by sign, without a regular expression."""

    def tokenize(self, text):
        signs, words = text.lower(), [""]
        for place, sign in enumerate(signs):
            known = [letter.isascii() and letter.isalnum() for letter in signs[max(place - 1, 0) : place + 2]]
            inner = sign == "'" and 0 < place < len(signs) - 1 and known[0] and known[-1]
            if inner or (sign.isascii() and sign.isalnum()):
                words[-1] += sign
            else:
                words.append("")
        return [word for word in words if word]


PUNCTUATED = [
    ("A person opens the door.", "a person opens the door"),
    ("C's left hand, raised; lowered!", "c's left hand raised and lowered"),
    ("don't stop 'now' - go (2 steps)", "Don't stop now: go 2 steps..."),
    ("self-made café, rock''n'roll'", "self made caf rock n'roll"),
]


@pytest.mark.parametrize(("candidate", "reference"), PUNCTUATED)
def test_signs_are_no_part_of_words(candidate, reference):
    words = Words()
    assert caption_words(candidate) == words.tokenize(candidate) and "" not in caption_words(reference)
    a, b = words.tokenize(candidate), words.tokenize(reference)
    expected = RougeScorer(["rougeL"], tokenizer=words).score(reference, candidate)["rougeL"].fmeasure
    assert rouge_l(candidate, reference) == pytest.approx(expected)
    assert bleu(candidate, reference, 1) == pytest.approx(sentence_bleu([b], a, (1.0,)))
    matched = sum((Counter(a) & Counter(b)).values())
    precision, recall = matched / len(a), matched / len(b)
    assert meteor_f_mean(candidate, reference) == pytest.approx(10 * precision * recall / (recall + 9 * precision))


def test_a_full_stop_costs_nothing():
    scores = caption_scores(["The person opens the door."], ["the person opens the door"])
    assert scores == pytest.approx(dict.fromkeys(scores, 1.0))
    assert caption_words("rock'n'roll isn't 'quoted'") == ["rock'n'roll", "isn't", "quoted"]
    assert rouge_l("...", "a") == bleu("...", "a", 4) == meteor_f_mean("...", "a") == 0


def test_bleu_and_f_mean_by_hand():
    assert bleu("the cat sat", "the cat sat down", 1) == pytest.approx(np.exp(1 - 4 / 3))
    assert bleu("the the", "the cat", 1) == pytest.approx(0.5)
    assert meteor_f_mean("a b", "a c") == pytest.approx(10 * 0.25 / (0.5 + 4.5))
    assert caption_scores(["a b c d"], ["a b c d"])["bleu_4"] == pytest.approx(1)


def test_similarities_of_nan_are_no_perfect_retrieval():
    with pytest.raises(ValueError, match="similarity holds NaN"):
        retrieval_scores(np.full((3, 5), np.nan), np.eye(3, 5, dtype=bool))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="truth must lie"):
        recognition_scores(np.zeros((1, 2)), np.array([2]))
    with pytest.raises(ValueError, match="NaN"):
        recognition_scores(np.array([[np.nan, 0]]), np.array([0]))
    with pytest.raises(ValueError, match="query 0 has no positive"):
        retrieval_scores(np.zeros((1, 2)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="as many captions"):
        caption_scores([], [])
