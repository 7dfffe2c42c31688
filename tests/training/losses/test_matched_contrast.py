"""The contrast of windows and texts against loops that follow the paper."""

import math

import pytest
import torch

from anymo_hf.modeling.modeling_anymo import info_nce_loss
from anymo_hf.simulation.archive.clips import Clip
from anymo_hf.training.collators import LabelPhrases
from anymo_hf.training.losses.matched_contrast import equal_pairs, matched_contrastive_loss

COUNT, TEMPERATURE = 6, 0.07


def unit(seed):
    rows = torch.randn(COUNT, 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=-1)


@pytest.fixture
def pair():
    return unit(0), unit(1)


def loop(imu, text, positives, ignored):
    """-log of positives over all counted pairs, for every window and every text."""
    score = [[math.exp(sum(a * b for a, b in zip(x, y, strict=True)) / TEMPERATURE) for y in text] for x in imu]
    total = 0.0
    for i in range(COUNT):
        for cells in ([(i, j) for j in range(COUNT)], [(j, i) for j in range(COUNT)]):
            counted = sum(score[m][n] for m, n in cells if not ignored[m][n])
            wanted = sum(score[m][n] for m, n in cells if positives[m][n] and not ignored[m][n])
            total -= math.log(wanted / counted)
    return total / (2 * COUNT)


def test_identity_gives_equation_5(pair):
    imu, text = pair
    positives = torch.eye(COUNT, dtype=torch.bool)
    ours = matched_contrastive_loss(imu, text, positives, None, TEMPERATURE).item()
    plain = 0.0
    for i in range(COUNT):  # Eq. 5: log softmax of the true pair, by row and by column
        rows = [float(imu[i] @ text[j]) / TEMPERATURE for j in range(COUNT)]
        columns = [float(imu[j] @ text[i]) / TEMPERATURE for j in range(COUNT)]
        plain -= math.log(math.exp(rows[i]) / sum(map(math.exp, rows)))
        plain -= math.log(math.exp(columns[i]) / sum(map(math.exp, columns)))
    assert ours == pytest.approx(plain / (2 * COUNT), rel=1e-5)
    assert ours == pytest.approx(info_nce_loss(imu, text, TEMPERATURE).item(), rel=1e-6)


def test_equal_labels_give_the_multi_positive_loss(pair):
    imu, text = pair
    ids = [0, 1, 0, 2, 1, 0]
    positives = [[a == b for b in ids] for a in ids]
    ours = matched_contrastive_loss(imu, text, torch.tensor(positives), None, TEMPERATURE).item()
    nothing = [[False] * COUNT] * COUNT
    assert ours == pytest.approx(loop(imu.tolist(), text.tolist(), positives, nothing), rel=1e-5)


def test_ignored_pairs_are_in_neither_sum(pair):
    imu, text = pair
    phrases = LabelPhrases(
        [Clip("w", "p", "walking", label_phrases=("walking",)),
         Clip("s", "p", "walking_slow", label_phrases=("slow walking",)),
         Clip("r", "p", "running", label_phrases=("running",))],
        {"walking_slow": "walking"},
    )  # fmt: skip
    activities = ["walking", "walking_slow", "running", "walking", "walking_slow", "running"]
    names = ["walking", "slow walking", "running", "walking", "walking", "running"]
    positives, ignored = phrases.relations(activities, names)
    assert ignored.any() and not (positives & ignored).any()
    ours = matched_contrastive_loss(imu, text, positives, ignored, TEMPERATURE).item()
    assert ours == pytest.approx(loop(imu.tolist(), text.tolist(), positives.tolist(), ignored.tolist()), rel=1e-5)


def test_a_ignored_text_gets_no_gradient_from_that_window(pair):
    imu, text = (part.clone().requires_grad_() for part in pair)
    positives = torch.eye(COUNT, dtype=torch.bool)
    ignored = torch.zeros(COUNT, COUNT, dtype=torch.bool)
    ignored[0, 1:] = ignored[1:, 0] = True  # pair 0 hears nobody else
    matched_contrastive_loss(imu, text, positives, ignored, TEMPERATURE).backward()
    assert imu.grad[0].abs().max() < 1e-6 and text.grad[0].abs().max() < 1e-6
    assert torch.isfinite(imu.grad).all() and imu.grad[1:].abs().max() > 0.01


def test_equal_narrations_belong_together():
    assert equal_pairs(["b", "a", "b"]).tolist() == [[True, False, True], [False, True, False], [True, False, True]]
