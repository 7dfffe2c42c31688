"""Padding, text examples, names of activities and multiple-choice questions."""

import numpy as np
import pytest
import torch

from anymo_hf.modeling.processing_anymo import IGNORED, AnyMoProcessor
from anymo_hf.modeling.prompts import normalize_text
from anymo_hf.modeling.tokenization_anymo import AnyMoTokenizer
from anymo_hf.motion.procedural import ACTIVITIES, broader_activities, label_phrases
from anymo_hf.simulation.archive.clips import Clip
from anymo_hf.training.collators import LabelPhrases, multiple_choice, pad_examples, text_examples

BROADER = {"walking_slow": "walking", "walking_fast": "walking", "slouching": "sitting", "jogging": "running"}


def clip(activity, *phrases):
    return Clip(f"{activity}-0", "procedural", activity, label_phrases=phrases)


SMALL = [
    clip("walking", "Walking", "strolling"),
    clip("walking_slow", "slow walking", "strolling"),
    clip("running", "running"),
    clip("sitting", "sitting", "sitting on a chair"),
    Clip("dance-0", "bvh"),  # no activity, so no phrase
]


@pytest.fixture(scope="module")
def everything():
    clips = [clip(name, *label_phrases(name)) for name in sorted(ACTIVITIES)]
    return LabelPhrases(clips, BROADER)


def test_an_activity_has_the_phrases_of_all_its_clips():
    phrases = LabelPhrases([clip("walking", "walking", "A  stroll"), clip("walking", "walking")])
    assert phrases.phrases == {"walking": ["walking", "a stroll"]}
    assert phrases.accepted == {"walking": {"walking", "a stroll"}}


def test_padding_is_on_the_right_and_carries_no_loss():
    batch = pad_examples(
        [{"input_ids": [5, 6, 7], "labels": [IGNORED, 6, 7]}, {"input_ids": [8], "labels": [8]}], pad_token_id=3
    )
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 3, 3]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[IGNORED, 6, 7], [8, IGNORED, IGNORED]]
    assert all(value.dtype == torch.long for value in batch.values())


def test_text_examples_predict_every_word_and_the_end():
    texts = ["a person walks", "sitting"]
    tokenizer = AnyMoTokenizer.train_from_texts(texts * 3, vocab_size=300, num_codes=8)
    for text, example in zip(texts, text_examples(AnyMoProcessor(None, tokenizer), texts), strict=True):
        ids, labels = example["input_ids"], example["labels"]
        assert tokenizer.decode(ids[1:-1]) == text and ids[0] == ids[-1] == tokenizer.pad_token_id
        assert labels[0] == IGNORED and labels[1:] == ids[1:]


def test_relations_against_a_table_by_hand():
    phrases = LabelPhrases(SMALL, {"walking_slow": "walking"})
    activities = ["walking", "walking_slow", "running"]
    names = ["walking", "slow walking", "running"]
    fits, silent = phrases.relations(activities, names)
    # a slow walker is walking, too; a walker may or may not be slow, so that pair says nothing
    assert fits.tolist() == [[True, False, False], [True, True, False], [False, False, True]]
    assert silent.tolist() == [[False, True, False], [False, False, False], [False, False, False]]
    fits, silent = phrases.relations(activities, ["strolling", "strolling", "running"])
    assert fits[:2, :2].all() and not silent.any()


def test_without_broader_only_shared_phrases_connect_activities():
    phrases = LabelPhrases(SMALL)
    fits, silent = phrases.relations(["walking", "walking_slow"], ["walking", "slow walking"])
    assert fits.tolist() == [[True, False], [False, True]] and not silent.any()
    assert LabelPhrases(SMALL).relations(["walking"], ["strolling"])[0].all()


def test_wider_activities_are_declared_by_the_narrower_ones():
    declared = broader_activities()
    assert declared["jogging"] == "running" and declared["carrying"] == "walking" and declared["slouching"] == "sitting"
    assert set(declared.values()) <= set(ACTIVITIES) and not set(declared.values()) & set(declared)
    assert LabelPhrases([clip(name, name) for name in ACTIVITIES], declared).broader == declared


def test_pairs_that_are_not_in_the_corpus_are_left_out_but_a_misspelt_one_is_refused():
    assert LabelPhrases(SMALL, BROADER).broader == {"walking_slow": "walking"}
    with pytest.raises(ValueError, match="walking_slo'"):
        LabelPhrases(SMALL, {"walking_slo": "walking"})


def test_drawn_phrases_always_fit_and_every_one_comes(everything):
    rng = np.random.default_rng(0)
    for name in ("walking", "walking_slow", "jogging", "rowing"):
        drawn = [everything.draw(name, rng) for _ in range(400)]
        assert set(drawn) == everything.accepted[name]
    wider = set(map(normalize_text, label_phrases("walking"))) - set(map(normalize_text, label_phrases("walking_slow")))
    share = np.mean([everything.draw("walking_slow", rng) in wider for _ in range(2000)])
    assert share == pytest.approx(0.25, abs=0.05)


def test_multiple_choice_has_one_right_answer_and_no_repeats(everything):
    rng = np.random.default_rng(1)
    names = sorted(ACTIVITIES)
    places = []
    for turn in range(600):
        answer = names[turn % len(names)]
        right, options = multiple_choice(names, answer, everything, 6, rng)
        assert len(options) == 6 == len(set(options))
        assert [option for option in options if option in everything.accepted[answer]] == [right]
        narrower = [name for name, wider in BROADER.items() if wider == answer]
        also_true = {text for name in narrower for text in everything.phrases[name]} - everything.accepted[answer]
        own = {text for name in names if name not in narrower for text in everything.phrases[name]}
        assert not (also_true - own) & set(options)
        places.append(options.index(right))
    shares = np.bincount(places, minlength=6) / len(places)
    assert np.abs(shares - 1 / 6).max() < 0.07  # the right answer has no favourite place


def test_few_activities_give_fewer_options():
    phrases = LabelPhrases(SMALL, {"walking_slow": "walking"})
    right, options = multiple_choice(
        ["walking", "walking_slow", "running"], "walking", phrases, 35, np.random.default_rng(0)
    )
    assert sorted(options) == sorted([right, "running"])
