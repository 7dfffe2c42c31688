"""Two votes, a third where they differ, and the majority; wrong labels are sent back."""

import itertools
from collections import Counter

import pytest

from anymo_hf.annotation.classification import Votes, classify
from anymo_hf.annotation.language_client import Endpoint, LanguageClient
from anymo_hf.annotation.stage_cache import StageCache
from anymo_hf.motion.activity_labels import anymo180

LABELS = ["sitting", "walking", "lying"]


def test_majority_of_every_combination():
    for votes in itertools.product([None, *LABELS], repeat=3):
        best = [label for label, count in Counter(votes).items() if label is not None and count >= 2]
        assert Votes(*votes).label == (best[0] if best else None)
        assert Votes(*votes).agree == (votes[0] == votes[1] is not None)


@pytest.mark.parametrize(
    ("votes", "third", "label", "requests"),
    [
        (("sitting", "sitting"), "lying", "sitting", 2),
        (("sitting", "lying"), "lying", "lying", 3),
        (("sitting", "lying"), "walking", None, 3),
    ],
)
def test_the_adjudicator_is_asked_only_where_votes_differ(serve, tmp_path, votes, third, label, requests):
    server = serve()
    server.answers["classify"] = lambda user, times: {"label": (*votes, third)[len(server.log) - 1]}
    with StageCache(tmp_path / "r.jsonl") as cache:
        client = LanguageClient(Endpoint(server.url), cache)
        found = classify("C sits.", LABELS, client, "small", "large")
        assert classify("C sits.", LABELS, client, "small", "large") == found
    assert found.label == label and len(server.log) == requests
    assert [entry[3]["model"] for entry in server.log] == ["small", "small", "large"][:requests]
    assert server.log[0][3]["messages"] == server.log[-1][3]["messages"]  # the adjudicator sees no votes


def test_the_enum_is_sent_and_a_label_outside_it_is_sent_back(serve, tmp_path):
    server = serve(lambda stage, user, times: "wrong" if times == 0 else None)
    server.answers["classify"] = lambda user, times: {"label": "walking / hiking"}
    with StageCache(tmp_path / "r.jsonl") as cache:
        found = classify("C walks.", list(anymo180()), LanguageClient(Endpoint(server.url), cache), "m", "m")
    assert found == Votes("walking / hiking", "walking / hiking") and len(server.log) == 3
    schema = server.log[0][3]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == list(anymo180())
    assert "'no such label' is not one of the 180 labels" in server.log[1][3]["messages"][-1]["content"]


def test_who_only_gives_wrong_labels_has_no_vote(serve, tmp_path):
    server = serve(lambda *_: "wrong")
    with StageCache(tmp_path / "r.jsonl") as cache:
        assert classify("C walks.", LABELS, LanguageClient(Endpoint(server.url), cache), "m", "n") == Votes(None, None)
    assert len(server.log) == 9
