"""Variants and their verifier: regenerate when all five fail, repair when fewer do, at most three passes."""

import pytest

from anymo_hf.annotation.augmentation import STYLES, augment
from anymo_hf.annotation.language_client import Endpoint, LanguageClient
from anymo_hf.annotation.stage_cache import StageCache

TEXT = "C walks to the door."


def verdicts(*rounds):
    """Answers of a verifier that rejects the styles named for each round."""
    calls = iter(rounds)
    return lambda user, times: (
        lambda bad: {
            name: {"passes": name not in bad, "problem": "adds intent" if name in bad else ""} for name in STYLES
        }
    )(next(calls))


@pytest.fixture
def run(serve, tmp_path):
    def start(server):
        with StageCache(tmp_path / "replies.jsonl") as cache:
            return augment(TEXT, LanguageClient(Endpoint(server.url, first_wait=0.01), cache), "m")

    return lambda fault=None, **answers: (lambda server: (start(server), server, start))(serve(fault, answers=answers))


def stages(server):
    return [entry[0] for entry in server.log]


def test_a_good_set_is_verified_once(run):
    found, server, again = run()
    assert found.verified == (True,) * 5 and found.passes == 1 and found.problem == ""
    assert stages(server) == ["write", "verify"]
    assert all(text.startswith(style) for style, text in zip(STYLES, found.variants, strict=True))
    assert again(server) == found and len(server.log) == 2  # from the cache


def test_some_rejected_are_repaired_and_the_others_kept(run):
    found, server, _ = run(verify=verdicts({"temporal", "concise"}, {"concise"}, set()))
    assert (found.passes, found.regenerated, found.repaired) == (3, 0, 2) and all(found.verified)
    assert stages(server) == ["write", "verify"] * 3
    repair = server.asked("write")[1][3]
    assert set(repair["response_format"]["json_schema"]["schema"]["properties"]) == {"temporal", "concise"}
    words = repair["messages"][1]["content"]
    assert "which stay:\n- rewording: rewording" in words and f"- concise: concise {TEXT} (adds intent)" in words
    assert found.variants[0] == f"rewording {TEXT}" and "again" in found.variants[1]


def test_a_rejected_set_is_regenerated(run):
    found, server, _ = run(verify=verdicts(set(STYLES), set()))
    assert (found.passes, found.regenerated, found.repaired) == (2, 1, 0) and all(found.verified)
    asked = server.asked("write")[1][3]["response_format"]["json_schema"]["schema"]["properties"]
    assert set(asked) == set(STYLES) and all("again" in text for text in found.variants)


def test_after_three_passes_the_narration_stands_for_what_still_fails(run):
    found, server, _ = run(verify=verdicts({"temporal"}, {"temporal"}, {"temporal"}))
    assert found.passes == 3 and len(server.log) == 6
    assert found.verified == (True, True, False, True, True) and found.variants[2] == TEXT
    assert found.problem == "temporal: adds intent"


def test_copies_are_sent_back_before_the_verifier_sees_them(run):
    answers = iter([dict.fromkeys(STYLES, TEXT), {name: f"{name} x" for name in STYLES}])
    found, server, _ = run(write=lambda user, times: next(answers))
    assert stages(server) == ["write", "write", "verify"] and all(found.verified)
    assert "rewording is the same as the description" in server.log[1][3]["messages"][-1]["content"]


@pytest.mark.parametrize(("stage", "passes"), [("write", 0), ("verify", 0)])
def test_refusals_leave_the_narration(run, stage, passes):
    found, _, _ = run(lambda name, user, times: "refusal" if name == stage else None)
    assert found.variants == (TEXT,) * 5 and not any(found.verified) and found.passes == passes
    assert "refusals" in found.problem
