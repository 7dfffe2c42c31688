"""Captions name an activity when its own words say so, or when the text side finds it nearest."""

import numpy as np
import pytest

from anymo_hf.evaluation.caption_activity import fits_by_words, named_activities
from anymo_hf.motion.procedural import ACTIVITIES


@pytest.mark.parametrize(
    "caption, right, wrong",
    [
        ("a person climbs a staircase", "stairs_up", "stairs_down"),
        ("a person goes downstairs.", "stairs_down", "stairs_up"),
        ("a human claps both hands", "clap", "washing_hands"),
        ("a person is typing on a keyboard", "typing", "writing"),
        ("a human draws a triangle with the left hand", "draw_triangle", "draw_x"),
    ],
)
def test_words_tell_activities_apart(caption, right, wrong):
    assert fits_by_words(caption, right) and not fits_by_words(caption, wrong)


def test_every_sentence_of_training_names_its_own_activity():
    pairs = [
        (f"a person {verb.replace('{side}', 'the left')}", name)
        for name, activity in ACTIVITIES.items()
        for verb in activity.verb_phrases
    ]
    share = np.mean([fits_by_words(caption, name) for caption, name in pairs])
    assert share > 0.9


def test_no_words_name_nothing():
    assert not fits_by_words("", "walking") and not fits_by_words("a person zzz", "walking")


def test_shares_are_of_all_captions_and_an_empty_one_is_wrong():
    names, seen = list(ACTIVITIES), []

    def embed(texts):
        seen.append(list(texts))
        labels = [ACTIVITIES[name].label_phrases[0] for name in names]
        return np.stack([np.eye(len(names))[labels.index(text) if text in labels else 0] for text in texts])

    captions = [ACTIVITIES["walking"].label_phrases[0], "", ACTIVITIES["running"].label_phrases[0]]
    found = named_activities(captions, ["walking", "walking", "walking"], embed)
    assert found["by_nearest_label"] == pytest.approx(1 / 3) and "" not in seen[-1]
    with pytest.raises(ValueError, match="an activity for each caption"):
        named_activities(captions, ["walking"], embed)
