"""Texts of human actions: as many as asked for, all different, repeatable, whole, and apart from what tests the model."""

import json
import re
from importlib.resources import files

import pytest

from anymo_hf.evaluation.text_matching import paraphrases
from anymo_hf.modeling.prompts import normalize_text
from anymo_hf.training.action_texts import action_texts, main
from anymo_hf.training.corpus import read_texts


@pytest.fixture(scope="module")
def texts():
    return action_texts(60_000)


def test_as_many_different_texts_as_asked(texts):
    assert len(texts) == len(set(texts)) == 60_000
    assert all(text == normalize_text(text) for text in texts)


def test_the_seed_decides():
    assert action_texts(300, seed=3) == action_texts(300, seed=3) != action_texts(300, seed=4)
    assert action_texts(500, seed=3)[:300] == action_texts(300, seed=3)


def test_texts_are_whole_and_short(texts):
    assert all(re.fullmatch(r"[a-z][a-z' -]*[a-z]", text) for text in texts)
    assert max(len(text.split()) for text in texts) <= 20 and not any("None" in text for text in texts)
    starts = {text.split()[0] for text in texts}
    assert {"chopping", "to", "a", "he", "she", "walk", "climbing"} <= starts
    # one verb in its three forms, with its own objects only
    assert any(re.match(r"(a|an|the) .*man chops (an onion|a carrot|garlic)", text) for text in texts)
    assert not any(re.search(r"chop(s|ping)? (the piano|a dog|the face)", text) for text in texts)


def test_verbs_have_three_forms_and_every_kind_is_listed():
    words = json.loads(files("anymo_hf.training").joinpath("action_words.json").read_text(encoding="utf-8"))
    for group in words["groups"]:
        assert group["objects"] is None or words["objects"][group["objects"]]
        assert set(group["places"]) <= set(words["places"]) and set(group["manners"]) <= set(words["manners"])
        for verb in group["verbs"]:
            base, third, gerund = verb.split("/")
            assert re.search(r"s\b", third) and re.search(r"ing\b", gerund) and len({base, third, gerund}) == 3, verb
    verbs = {verb for group in words["groups"] for verb in group["verbs"]}
    assert len(verbs) >= 350 and len({item for kind in words["objects"].values() for item in kind}) >= 500


@pytest.mark.parametrize("count", [0, -3])
def test_no_texts_are_refused(count):
    with pytest.raises(ValueError, match=f"at least 1, got {count}"):
        action_texts(count)


def test_more_than_the_lists_give_is_refused(monkeypatch):
    tiny = ({"verbs": [["nod", "nods", "nodding"]], "objects": [""], "places": ["here"], "manners": ["twice"]},)
    monkeypatch.setattr("anymo_hf.training.action_texts._groups", lambda: (tiny, ["someone"]))
    with pytest.raises(ValueError, match="count 500: the word lists gave only 20 different texts; ask for fewer"):
        action_texts(500)


def test_no_text_is_a_paraphrase_of_the_text_matching_test(texts):
    held_out = {normalize_text(text) for group in paraphrases().values() for text in group}
    assert sorted(held_out & set(texts)) == []
    assert not any("scending" in text for text in texts)


def test_the_command_writes_what_the_corpus_reads(tmp_path, capsys):
    path = tmp_path / "texts.txt"
    main(["--count", "50", "--seed", "2", "--output", str(path)])
    assert read_texts(path) == action_texts(50, seed=2) and "50 texts in" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["--count", "0", "--output", str(path)])
    assert "at least 1" in capsys.readouterr().err
