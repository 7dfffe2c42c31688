"""Narrations: varied, true to what happened, and without the held-out words."""

import numpy as np
import pytest

from anymo_hf.motion.procedural import ACTIVITIES, compose_narrations, label_phrases
from anymo_hf.motion.procedural.narration import known_sentences


def test_every_activity_has_words_and_no_held_out_ones():
    rng = np.random.default_rng(0)
    for activity in ACTIVITIES:
        phrases = label_phrases(activity)
        sentences = compose_narrations(activity, {}, rng)
        assert len(set(phrases)) >= 6 and len(set(sentences)) == 6
        assert not any("ascending" in text for text in [*phrases, *sentences])


def test_sentences_name_side_and_direction_that_happened():
    rng = np.random.default_rng(0)
    waves = " ".join(compose_narrations("wave", {"side": "left"}, rng, 12))
    assert "the left hand" in waves and "right" not in waves
    steps = " ".join(compose_narrations("side_stepping", {"direction": "right"}, rng, 12))
    assert "to the right" in steps and "left" not in steps


def test_known_sentences_name_every_activity_once_and_leave_nothing_open():
    sentences = known_sentences()
    assert sentences == sorted(set(sentences)) and not any("{" in text for text in sentences)
    for name, activity in ACTIVITIES.items():
        composed = compose_narrations(name, {"side": "left"}, np.random.default_rng(0), 40)
        said = {text.split(" ", 2)[2].rstrip(".") for text in composed if text.startswith(("a person", "the person"))}
        assert said and said <= {text.removeprefix("a person ") for text in sentences}, name
        assert activity.says_speed == (f"a person {activity.verb_phrases[0].format(side='both')} slowly" in sentences)


def test_unknown_activity_is_refused():
    with pytest.raises(ValueError, match="unknown activity 'flying'"):
        label_phrases("flying")
