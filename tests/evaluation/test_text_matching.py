"""Paraphrases are unseen words of known activities, and matching counts what is nearest."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from anymo_hf.evaluation import text_matching
from anymo_hf.evaluation.text_matching import match_texts, paraphrases
from anymo_hf.modeling.prompts import normalize_text
from anymo_hf.motion.procedural import ACTIVITIES
from anymo_hf.training.action_texts import action_texts


def test_there_are_three_hundred_texts_of_sixty_activities_and_training_has_none_of_them():
    texts = [normalize_text(text) for group in paraphrases().values() for text in group]
    assert len(texts) == len(set(texts)) >= 300 and len(paraphrases()) >= 60
    seen = set()
    for activity in ACTIVITIES.values():
        for verb in activity.verb_phrases:
            sides = [verb.replace("{side}", side) for side in ("the left", "the right", "both", "one")]
            seen |= {f"{who} {side}" for who in ("a person", "a human") for side in sides} | set(sides)
        seen |= set(activity.label_phrases)
    seen |= set(action_texts(20_000))  # of the 60,000 that the released run read
    # where an activity gained one of these phrases, word the paraphrase anew
    assert sorted(set(texts) & {normalize_text(text) for text in seen}) == []


def test_matching_counts_the_nearest_name_and_the_nearest_mean_of_phrases():
    vectors = {"strolls": [0.9, 0.3, 0.1], "paces": [0.5, 0.6, 0.1], "rests": [0, 1.0, 0]}
    for axis, name in enumerate(("walking", "sitting", "throw")):
        first, *others = ACTIVITIES[name].label_phrases
        # sitting is known by its first phrase alone, so only the mean finds that "paces" is walking
        vectors |= dict.fromkeys(others, np.eye(3)[axis] * (name != "sitting")) | {first: np.eye(3)[axis]}
        vectors |= {
            verb.replace("{side}", "one"): np.eye(3)[axis] * (name != "sitting")
            for verb in ACTIVITIES[name].verb_phrases
        }
    texts = {"walking": ["strolls", "paces"], "sitting": ["rests"], "throw": []}
    result = match_texts(lambda asked: np.array([vectors[text] for text in asked]), texts)
    assert (result.texts, result.activities) == (3, 3)
    assert result.accuracy == pytest.approx(200 / 3) and result.accuracy_all_phrases == 100
    assert result.among_three == 100 and result.wrong == {}


def test_unknown_activities_and_no_texts_are_refused():
    with pytest.raises(ValueError, match="unknown activities flying"):
        match_texts(lambda texts: np.eye(len(texts)), {"flying": ["flies"]})
    with pytest.raises(ValueError, match="texts is empty"):
        match_texts(lambda texts: np.eye(len(texts)), {"walking": []})


def test_the_command_names_the_weights(tiny_release, tmp_path):
    text_matching.main(["--model", str(tiny_release), "--out", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    weights = hashlib.sha256((Path(tiny_release) / "model.safetensors").read_bytes()).hexdigest()
    assert found["weights_sha256"]["model.safetensors"] == weights and found["texts"] == 330
