"""The sentence teacher's loss against a loop and an explicit mask."""

import pytest
import torch

from anymo_hf.training.losses.sentence_teacher import relational_loss


def unit(rows, dim, seed):
    values = torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(values, dim=-1)


def test_relational_loss_equals_a_loop():
    student, teacher = unit(6, 4, 0), unit(6, 9, 1)
    total, count = 0.0, 0
    for i in range(6):
        for j in range(6):
            if i != j:
                total += (float(student[i] @ student[j]) - float(teacher[i] @ teacher[j])) ** 2
                count += 1
    assert relational_loss(student, teacher).item() == pytest.approx(total / count, rel=1e-5)


def test_relational_loss_forgets_rotation_and_survives_one_row():
    teacher = unit(5, 8, 2)
    turn, _ = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(3)))
    assert relational_loss(teacher @ turn, teacher).item() < 1e-12
    assert relational_loss(teacher[:1], teacher[:1]) == 0


def test_relational_loss_has_the_right_gradient():
    teacher = unit(4, 5, 4).double()
    assert torch.autograd.gradcheck(
        lambda x: relational_loss_double(x, teacher), unit(4, 3, 5).double().requires_grad_()
    )
    student = unit(4, 3, 5).requires_grad_()
    relational_loss(student, teacher.float()).backward()
    wanted = unit(4, 3, 5).double().requires_grad_()
    relational_loss_double(wanted, teacher).backward()
    torch.testing.assert_close(student.grad.double(), wanted.grad, rtol=1e-4, atol=1e-6)


def relational_loss_double(student, teacher):
    """The same written with an explicit mask, in float64."""
    gap = student @ student.t() - teacher @ teacher.t()
    off = ~torch.eye(len(gap), dtype=torch.bool)
    return gap[off].square().mean()
