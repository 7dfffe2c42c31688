"""Mean average precision of labels over windows."""

import numpy as np
import pytest

from anymo_hf.evaluation.label_retrieval import chance_precision, mean_average_precision


def test_it_is_the_mean_of_average_precisions_computed_one_by_one():
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    expected = []
    for label in range(3):
        hits, precisions = 0, []
        for place, row in enumerate(sorted(range(40), key=lambda row: -scores[row, label]), 1):
            if truth[row] == label:
                hits += 1
                precisions.append(hits / place)
        expected.append(np.mean(precisions))
    assert mean_average_precision(scores, truth) == pytest.approx(np.mean(expected))


def test_perfect_scores_have_one_and_unreadable_ones_rank_last():
    truth = np.array([0, 1, 1])
    scores = np.eye(2)[truth]
    assert mean_average_precision(scores, truth) == 1
    scores[0] = np.nan
    assert mean_average_precision(scores, truth) == pytest.approx((1 / 3 + 1) / 2)


def test_equal_scores_are_worth_chance_however_windows_are_sorted():
    for truth in (np.repeat([0, 1], 200), np.tile([0, 1], 200), np.repeat([0, 1, 2, 3], 100)):
        labels = truth.max() + 1
        found = mean_average_precision(np.zeros((len(truth), labels)), truth)
        assert found == pytest.approx(chance_precision(truth, labels), abs=0.05)


def test_chance_is_about_the_share_of_a_label():
    truth = np.repeat([0, 1], [300, 700])
    assert chance_precision(truth, 2) == pytest.approx(0.5, abs=0.03)


def test_a_label_without_windows_and_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"labels \[1\] have no windows"):
        mean_average_precision(np.zeros((2, 2)), [0, 0])
    with pytest.raises(ValueError, match="scores must be"):
        mean_average_precision(np.zeros((2, 2)), [0])
