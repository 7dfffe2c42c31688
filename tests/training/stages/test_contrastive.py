"""The contrastive losses against loops that follow the paper, and how batches are drawn."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from anymo_hf.modeling.modeling_anymo import info_nce_loss, supervised_contrastive_loss
from anymo_hf.training.collators import LabelPhrases
from anymo_hf.training.corpus import Clip
from anymo_hf.training.settings import ContrastiveSettings
from anymo_hf.training.stages.contrastive import _Batches, _contrast, _instructions, _same, matched_contrastive_loss
from anymo_hf.training.stages.tokenizer import CodedViews

COUNT, TEMPERATURE = 6, 0.07


def unit(seed):
    rows = torch.randn(COUNT, 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=-1)


@pytest.fixture
def pair():
    return unit(0), unit(1)


def loop(imu, text, fits, silent):
    """-log of fitting over all heard pairs, for every window and every text."""
    score = [[math.exp(sum(a * b for a, b in zip(x, y, strict=True)) / TEMPERATURE) for y in text] for x in imu]
    total = 0.0
    for i in range(COUNT):
        for cells in ([(i, j) for j in range(COUNT)], [(j, i) for j in range(COUNT)]):
            heard = sum(score[m][n] for m, n in cells if not silent[m][n])
            fitting = sum(score[m][n] for m, n in cells if fits[m][n] and not silent[m][n])
            total -= math.log(fitting / heard)
    return total / (2 * COUNT)


def test_identity_gives_equation_5(pair):
    imu, text = pair
    fits = torch.eye(COUNT, dtype=torch.bool)
    ours = matched_contrastive_loss(imu, text, fits, None, TEMPERATURE).item()
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
    fits = [[a == b for b in ids] for a in ids]
    ours = matched_contrastive_loss(imu, text, torch.tensor(fits), None, TEMPERATURE).item()
    nothing = [[False] * COUNT] * COUNT
    assert ours == pytest.approx(loop(imu.tolist(), text.tolist(), fits, nothing), rel=1e-5)
    model_loss = supervised_contrastive_loss(imu, text, torch.tensor(ids), TEMPERATURE).item()
    assert ours == pytest.approx(model_loss, rel=1e-6)


def test_silent_pairs_are_in_neither_sum(pair):
    imu, text = pair
    phrases = LabelPhrases(
        [Clip("w", "p", "walking", label_phrases=("walking",)),
         Clip("s", "p", "walking_slow", label_phrases=("slow walking",)),
         Clip("r", "p", "running", label_phrases=("running",))],
        {"walking_slow": "walking"},
    )  # fmt: skip
    activities = ["walking", "walking_slow", "running", "walking", "walking_slow", "running"]
    names = ["walking", "slow walking", "running", "walking", "walking", "running"]
    fits, silent = phrases.relations(activities, names)
    assert silent.any() and not (fits & silent).any()
    ours = matched_contrastive_loss(imu, text, fits, silent, TEMPERATURE).item()
    assert ours == pytest.approx(loop(imu.tolist(), text.tolist(), fits.tolist(), silent.tolist()), rel=1e-5)


def test_a_silent_text_gets_no_gradient_from_that_window(pair):
    imu, text = (part.clone().requires_grad_() for part in pair)
    fits = torch.eye(COUNT, dtype=torch.bool)
    silent = torch.zeros(COUNT, COUNT, dtype=torch.bool)
    silent[0, 1:] = silent[1:, 0] = True  # pair 0 hears nobody else
    matched_contrastive_loss(imu, text, fits, silent, TEMPERATURE).backward()
    assert imu.grad[0].abs().max() < 1e-6 and text.grad[0].abs().max() < 1e-6
    assert torch.isfinite(imu.grad).all() and imu.grad[1:].abs().max() > 0.01


def test_equal_narrations_belong_together():
    assert _same(["b", "a", "b"]).tolist() == [[True, False, True], [False, True, False], [True, False, True]]


def views_of(activities):
    clips = [Clip(f"{name}-{i}", "p", name, narrations=("x",) if name != "mute" else ()) for i, name in
             enumerate(activities)]  # fmt: skip
    count = len(clips)
    views = CodedViews(np.zeros((2 * count, 1, 2), np.int16), np.ones(2 * count, int), np.arange(2 * count) % count,
                       np.zeros((2 * count, 5), np.int8), 4)  # fmt: skip
    return views, clips


def test_batches_are_as_varied_as_they_can_be():
    views, clips = views_of(["a", "a", "a", "b", "c", "mute", ""])
    batches, rng = _Batches(views, clips), np.random.default_rng(0)
    assert batches.names == ["a", "b", "c"]  # neither the mute clip nor the nameless one
    drawn = set()
    for _ in range(50):
        rows = batches.draw(5, rng)
        names = [clips[views.clip[row]].activity for row in rows]
        assert set(names[:3]) == {"a", "b", "c"} and len(set(names[3:])) == 2
        drawn |= set(rows.tolist())
    assert drawn == {row for row in range(len(views.length)) if clips[views.clip[row]].activity in ("a", "b", "c")}


def test_a_share_of_the_batch_is_everyday():
    views, clips = views_of(["standing", "sitting", "wave", "knock", "clap", "throw"])
    batches, rng = _Batches(views, clips), np.random.default_rng(0)
    for share, expected in ((0.5, 4 + 4 / 3), (0.0, 8 / 3)):
        rows = np.concatenate([batches.draw(8, rng, share) for _ in range(60)])
        everyday = [clips[views.clip[row]].activity in ("standing", "sitting") for row in rows]
        assert np.sum(everyday) / 60 == pytest.approx(expected, abs=0.35)
    views, clips = views_of(["wave", "knock"])
    assert len(_Batches(views, clips).draw(4, rng, 0.5)) == 4  # nothing everyday there


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, [0, 1] * 4), (0.0, [0] * 8), (1.0, [1] * 8), (0.25, [0, 0, 0, 1] * 2)]
)
def test_multiple_choice_has_its_share_of_the_instructions(share, expected):
    class Asked:
        def language_example(self, codes, worn, task, answer, options=()):
            assert (task == "multiple_choice") == bool(options)
            return int(task == "multiple_choice")

    views, clips = views_of(["a", "b", "c"])
    clips = [replace(clip, label_phrases=(clip.activity,)) for clip in clips]
    settings = ContrastiveSettings(lm_batch_size=8, multiple_choice_share=share, candidates=2)
    batches, phrases = _Batches(views, clips), LabelPhrases(clips)
    assert _instructions(Asked(), views, clips, batches, phrases, settings, np.random.default_rng(0)) == expected


@pytest.mark.parametrize("weights", [(2.0, 3.0), (2.0, 0.0), (0.0, 3.0), (0.0, 0.0)])
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_a_branch_of_weight_0_is_not_computed(pair, accelerator, weights, chunk_size):
    """Texts are numbers here, and the model looks up their vectors."""
    imu, text = (part.clone().requires_grad_() for part in pair)
    seen = []

    class Texts(dict):
        def to(self, device):
            return self

    def processor(imu_codes=None, imu_placements=None, text=None, return_tensors=None):
        seen.append(text or imu_codes)
        return Texts(ids=torch.tensor(imu_codes if text is None else [int(word) for word in text]))

    model = SimpleNamespace(
        get_imu_features=lambda ids: imu[ids], get_text_features=lambda ids: torch.cat([text, -text])[ids]
    )
    narrations, names = [str(i) for i in range(COUNT)], [str(COUNT + i) for i in range(COUNT)]
    settings = ContrastiveSettings(
        narration_weight=weights[0], label_weight=weights[1], chunk_size=chunk_size, temperature=TEMPERATURE
    )
    same, nothing = torch.eye(COUNT, dtype=torch.bool), torch.zeros(COUNT, COUNT, dtype=torch.bool)
    ids = torch.tensor([0, 1, 0, 2, 1, 0])
    fits = ids[:, None] == ids
    losses = _contrast(
        model, processor, settings, accelerator, list(range(COUNT)), None, narrations, names, same, (fits, nothing)
    )
    wanted = [name for name, weight in zip(("narration", "label"), weights, strict=True) if weight]
    assert list(losses) == wanted
    if not wanted:
        assert not seen and imu.grad is None
        return
    assert seen[1] == (narrations if weights[0] else []) + (names if weights[1] else [])
    total, copies = 0, [part.detach().clone().requires_grad_() for part in pair]
    if weights[0]:
        total = total + weights[0] * info_nce_loss(*copies, TEMPERATURE)
    if weights[1]:
        total = total + weights[1] * supervised_contrastive_loss(copies[0], -copies[1], ids, TEMPERATURE)
    total.backward()
    for own, copy in zip((imu, text), copies, strict=True):
        torch.testing.assert_close(own.grad, copy.grad, atol=1e-5, rtol=1e-4)


def test_one_activity_is_too_few():
    with pytest.raises(ValueError, match=r"two or more named activities.*\['a'\]"):
        _Batches(*views_of(["a", "a", ""]))
