"""What is drawn for a batch of the language stages."""

import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from anymo_hf.simulation.archive.clips import Clip
from anymo_hf.training.batches import ActivityBatches, draw_instructions, draw_narration, teacher_texts
from anymo_hf.training.coded_views import CodedViews
from anymo_hf.training.collators import LabelPhrases
from anymo_hf.training.settings import ContrastiveSettings


def views_of(activities):
    clips = [Clip(f"{name}-{i}", "p", name, narrations=("x",) if name != "mute" else ()) for i, name in
             enumerate(activities)]  # fmt: skip
    count = len(clips)
    views = CodedViews(np.zeros((2 * count, 1, 2), np.int16), np.ones(2 * count, int), np.arange(2 * count) % count,
                       np.zeros((2 * count, 5), np.int8), 4)  # fmt: skip
    return views, clips


def test_batches_are_as_varied_as_they_can_be():
    views, clips = views_of(["a", "a", "a", "b", "c", "mute", ""])
    batches, rng = ActivityBatches(views.clip, clips), np.random.default_rng(0)
    assert batches.names == ["a", "b", "c"]  # neither the mute clip nor the nameless one
    drawn = set()
    for _ in range(50):
        rows = batches.draw(5, rng)
        names = [clips[views.clip[row]].activity for row in rows]
        assert set(names[:3]) == {"a", "b", "c"} and len(set(names[3:])) == 2
        drawn |= set(rows.tolist())
    assert drawn == {row for row in range(len(views.length)) if clips[views.clip[row]].activity in ("a", "b", "c")}


def test_a_teacher_with_under_half_of_its_texts_is_told_where_to_put_more():
    corpus = SimpleNamespace(clips=views_of(["knock", "clap"])[1])
    texts = [f"someone claps {number} times" for number in range(20)]
    with pytest.warns(
        UserWarning, match=r"^teacher_texts asks for 60,000 texts, and there are 2\d; .*texts.txt of the run"
    ):
        whole = teacher_texts(texts, corpus, 60_000, 0)
    assert set(texts) <= set(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(teacher_texts(texts, corpus, 20, 0)) == 20


def test_a_share_of_the_batch_is_everyday():
    views, clips = views_of(["standing", "sitting", "wave", "knock", "clap", "throw"])
    batches, rng = ActivityBatches(views.clip, clips), np.random.default_rng(0)
    for share, expected in ((0.5, 4 + 4 / 3), (0.0, 8 / 3)):
        rows = np.concatenate([batches.draw(8, rng, share) for _ in range(60)])
        everyday = [clips[views.clip[row]].activity in ("standing", "sitting") for row in rows]
        assert np.sum(everyday) / 60 == pytest.approx(expected, abs=0.35)
    views, clips = views_of(["wave", "knock"])
    assert len(ActivityBatches(views.clip, clips).draw(4, rng, 0.5)) == 4  # nothing everyday there


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, [0, 1] * 4), (0.0, [0] * 8), (1.0, [1] * 8), (0.25, [0, 0, 0, 1] * 2)]
)
def test_multiple_choice_has_its_share_of_thedraw_instructions(share, expected):
    class Asked:
        def language_example(self, codes, worn, task, answer, options=()):
            assert (task == "multiple_choice") == bool(options)
            return int(task == "multiple_choice")

    views, clips = views_of(["a", "b", "c"])
    clips = [replace(clip, label_phrases=(clip.activity,)) for clip in clips]
    settings = ContrastiveSettings(lm_batch_size=8, multiple_choice_share=share, candidates=2)
    batches, phrases = ActivityBatches(views.clip, clips), LabelPhrases(clips)
    assert draw_instructions(Asked(), views, clips, batches, phrases, settings, np.random.default_rng(0)) == expected


def test_one_activity_is_too_few():
    views, clips = views_of(["a", "a", ""])
    with pytest.raises(ValueError, match=r"two or more named activities.*\['a'\]"):
        ActivityBatches(views.clip, clips)


def test_narrations_are_the_first_or_paraphrases_as_often_as_asked():
    rng, texts = np.random.default_rng(0), ["first", "a", "b", "c"]
    drawn = [draw_narration(texts, 0.42, rng) for _ in range(4000)]
    counts = {text: drawn.count(text) / len(drawn) for text in texts}
    assert counts["first"] == pytest.approx(0.58, abs=0.03)
    for text in texts[1:]:
        assert counts[text] == pytest.approx(0.14, abs=0.03)
    assert {draw_narration(texts[:1], 1.0, rng) for _ in range(5)} == {"first"}
    assert {draw_narration(texts, None, rng) for _ in range(99)} == set(texts)
