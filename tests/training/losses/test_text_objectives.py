"""The losses of compared systems against their formulas in float64."""

import numpy as np
import pytest
import torch

from anymo_hf.training.losses import text_objectives
from anymo_hf.training.losses.text_contrast import TextContrast
from anymo_hf.training.losses.text_queue import TextQueue


def batch(count=5, width=7):
    rng = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(count, 384, generator=rng), dim=-1)
    return torch.randn(count, width, generator=rng), vectors


def rows_of(function, inputs):
    return function(inputs).detach().double().numpy()


def log_softmax(logits):
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


@pytest.mark.parametrize(("directions", "scale"), [(1, 1000.0), (2, 10.0)])
def test_the_contrast_is_the_cross_entropy_of_scaled_cosines(directions, scale):
    windows, vectors = batch()
    objective = TextContrast(7, directions, scale, dim=6)
    cosines = rows_of(objective.embed_windows, windows) @ rows_of(objective.embed_texts, vectors).T
    expected = sum(-np.diag(log_softmax(scale * way)).mean() for way in (cosines, cosines.T)[:directions])
    assert objective(windows, vectors).item() == pytest.approx(expected, rel=1e-4)


def test_a_fixed_scale_is_no_parameter_and_is_kept():
    names = {name for name, _ in TextContrast(4, 2, 5.0, learned=False).named_parameters()}
    assert "log_scale" not in names and "log_scale" in TextContrast(4, 2, 5.0, learned=False).state_dict()
    assert "log_scale" in dict(TextContrast(4).named_parameters())


def test_the_queue_teaches_how_a_text_lies_to_other_texts():
    windows, vectors = batch()
    objective = TextQueue(7, size=9, hidden=8, dim=6).eval()
    _, others = batch(20)
    objective.begin(others, torch.Generator().manual_seed(1))
    teacher, student = rows_of(objective.embed_texts, vectors), rows_of(objective.embed_windows, windows)
    known = np.concatenate([objective.queue.double().numpy(), teacher])
    wanted, found = np.exp(log_softmax(teacher @ known.T / 0.1)), log_softmax(student @ known.T / 0.05)
    assert objective(windows, vectors).item() == pytest.approx(-(wanted * found).sum(1).mean(), rel=1e-4)


def test_the_queue_drops_its_oldest_texts_and_its_teacher_never_moves():
    windows, vectors = batch()
    objective = TextQueue(7, size=9, hidden=8, dim=6).train()
    objective.begin(vectors, torch.Generator().manual_seed(1))
    before, weights = objective.queue.clone(), [one.clone() for one in objective.teacher.state_dict().values()]
    objective(windows, vectors).backward()
    torch.testing.assert_close(objective.queue[:4], before[5:])
    torch.testing.assert_close(objective.queue[4:], objective.embed_texts(vectors))
    assert all(one.grad is None for one in objective.teacher.parameters())
    for old, new in zip(weights, objective.teacher.state_dict().values(), strict=True):
        torch.testing.assert_close(old, new)


def test_objectives_go_by_their_names_and_say_what_they_do_not_take():
    assert set(text_objectives()) == {"contrast", "queue"}
    with pytest.raises(ValueError, match="directions must be 1 or 2 and scale positive, got 3 and 10"):
        TextContrast(4, 3)
    with pytest.raises(ValueError, match="must be positive"):
        TextQueue(4, teacher_temperature=0.0)
