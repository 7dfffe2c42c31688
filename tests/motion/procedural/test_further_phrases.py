"""Hand-written training phrases: enough of every activity, each of one activity only, and apart from what tests them."""

import json
from collections import Counter
from importlib.resources import files

import pytest

from anymo_hf.evaluation.text_matching import paraphrases
from anymo_hf.modeling.prompts import normalize_text
from anymo_hf.motion.procedural import ACTIVITIES, further_phrases, label_phrases, simulate_activity
from anymo_hf.simulation.archive.clips import procedural_clip
from anymo_hf.training.corpus import corpus_texts

PHRASES = {name: [normalize_text(text) for text in further_phrases(name)] for name in ACTIVITIES}


def test_every_activity_has_many_short_phrases_in_plain_letters():
    for name, phrases in PHRASES.items():
        assert len(phrases) >= 20, name
        assert further_phrases(name) == phrases
        assert all(len(text.split()) <= 14 and text.replace("'", "").replace("-", "").replace(" ", "").isalnum()
                   for text in phrases)  # fmt: skip


def test_the_file_names_activities_that_exist_in_order():
    text = files("anymo_hf.motion.procedural").joinpath("further_phrases.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == sorted(ACTIVITIES)


def test_no_phrase_stands_twice_or_under_two_activities():
    counts = Counter(text for phrases in PHRASES.values() for text in phrases)
    assert [text for text, count in counts.items() if count > 1] == []


def test_no_phrase_is_one_that_an_activity_declares():
    declared = {
        normalize_text(text) for item in ACTIVITIES.values() for text in (*item.label_phrases, *item.verb_phrases)
    }
    assert [(name, text) for name, phrases in PHRASES.items() for text in phrases if text in declared] == []


def test_words_that_are_kept_from_training_stay_out():
    assert [text for phrases in PHRASES.values() for text in phrases if "scending" in text] == []


def test_no_phrase_is_a_paraphrase_of_the_text_matching_test():
    held_out = {normalize_text(text) for group in paraphrases().values() for text in group}
    assert [(name, text) for name, phrases in PHRASES.items() for text in phrases if text in held_out] == []


def test_a_clip_has_the_declared_phrases_first_and_the_corpus_reads_all():
    clip = procedural_clip("pouring", 1, simulate_activity("pouring", 1))
    declared = label_phrases("pouring")
    assert list(clip.label_phrases) == [*declared, *further_phrases("pouring")]
    assert set(PHRASES["pouring"]) <= set(corpus_texts([clip]))


def test_what_is_shown_and_scored_is_only_the_declared():
    assert all(label_phrases(name) == list(item.label_phrases) for name, item in ACTIVITIES.items())
    with pytest.raises(ValueError, match="unknown activity 'flying'"):
        further_phrases("flying")
