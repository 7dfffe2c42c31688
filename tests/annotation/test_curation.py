"""The whole pipeline against a played model that misbehaves, and killed in the middle: nothing lost, nothing asked twice."""

import itertools
import json
import os
import signal
import sys
import time
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from support.forked import forked_program, run_program

from anymo_hf.annotation.curation import Curation, Waiting
from anymo_hf.annotation.language_client import BudgetReached, Endpoint, Limits
from anymo_hf.cli.annotate import app

# narration -> its window count; free-form labels are what stands before " by "
TEXTS = {
    "walking by the sofa": 8, "walking forwards by the wall": 6, "sitting by the table": 7, "a sitting by the fire": 1,
    "sitting down by the door": 5, "juggling by the road": 2,
}  # fmt: skip
CONCEPTS = {"walking": 0, "walking forwards": 0, "sitting": 1, "sitting down": 2}
TRUE = {"walking": "walking / walking forwards", "sitting": "sitting", "sitting down": "sitting down"}
FAULTS = [
    "refusal",
    "wrong",
    "broken_json",
    "rate_limit",
    "hang",
    "overloaded",
    "cut_off",
    "no_chat",
    "drop",
    "apology",
]


def encoder(labels):
    """Stand-in: one direction for each concept, members a little apart."""
    vectors = np.zeros((len(labels), 4))
    for row, label in enumerate(labels):
        vectors[row, CONCEPTS[label]] = 1
        vectors[row, 3] = 0.01 * len(label)
    return vectors


@pytest.fixture
def windows(tmp_path):
    texts = [text for text, count in TEXTS.items() for _ in range(count)]
    path = tmp_path / "windows.jsonl"
    rows = ({"sequence": f"s{n % 3}", "start": n, "end": n + 1, "text": text} for n, text in enumerate(texts))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def endpoint(server, **options):
    return Endpoint(server.url, **({"first_wait": 0.01, "longest_wait": 1.0, "timeout": 10.0, "workers": 4} | options))


def model_answers():
    """Of a classifier whose two votes differ on one narration, and an auditor who drops another."""

    def classify(user, times):
        if "juggling" in user:
            return {"label": ["sitting", "sitting down", "walking / walking forwards"][min(times, 2)]}
        if "a sitting" in user:
            return {"label": "sitting down" if times == 0 else "sitting"}
        name = user.removeprefix("Description: ").split(" by ")[0]
        return {"label": TRUE.get(name, TRUE["walking"])}

    def audit(user, times):
        bad = "This window: a sitting" in user
        return {"verdict": "drop" if bad else "consistent", "new_label": "", "reason": "r"}

    return {"classify": classify, "audit": audit}


def whole_run(curation, windows):
    curation.augment(windows, "m")
    curation.label(None, "m")
    curation.cluster(encoder, "stand-in", "m")
    if curation.review_export()["undecided"]:
        review = curation.folder / "review.csv"
        pd.read_csv(review, keep_default_na=False).assign(keep="yes").to_csv(review, index=False)
    curation.review_import()
    curation.classify(None, None, "m", "judge")
    return curation.audit(model="auditor", accept_proposals=True)


@pytest.mark.slow
@pytest.mark.parametrize("faulty", [False, True])
def test_from_windows_to_labels(serve, tmp_path, windows, faulty):
    kinds, first = itertools.cycle(FAULTS), {}

    def fault(stage, user, times):
        key = (stage, user)
        if not faulty or stage == "classify" or key in first:
            return None
        first[key] = next(kinds)
        return first[key]

    server = serve(fault, model_answers())
    with Curation(tmp_path / "work", endpoint(server, timeout=1.0 if faulty else 10.0)) as curation:
        report = whole_run(curation, windows)
    if faulty:
        assert set(first.values()) == set(FAULTS)
    assert report["windows_labelled"] == 26 and report["windows_dropped"] == 1 and report["candidate_windows"] == 27
    reports = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "work" / "reports").iterdir()}
    assert set(reports) == {"augment", "label", "cluster", "review-export", "review-import", "classify", "audit"}
    assert all(part["state"] == "done" for part in reports.values())
    assert reports["cluster"]["labels"] == 5 and reports["cluster"]["frequent_labels"] == 4  # "a sitting" is "sitting"
    assert reports["cluster"]["clusters"] == 3 and reports["cluster"]["clusters_of_two_or_more"] == 1
    assert reports["cluster"]["windows_of_rare_labels"] == 2
    votes = reports["classify"]
    assert (votes["windows_agreed"], votes["windows_adjudicated_to_a_majority"], votes["windows_labelled"]) == (
        26,
        1,
        27,
    )
    table = pd.read_parquet(tmp_path / "work" / "annotated.parquet")
    assert list(table.columns) == [
        "sample_id", "session_id", "subject_id", "start_time_sec", "end_time_sec", "narration", "augmentations", "label"
    ]  # fmt: skip
    assert len(table) == 29 and all(len(five) == 5 for five in table["augmentations"])
    expected = {text: TRUE["walking" if "walking" in text else text.split(" by ")[0]] for text in list(TEXTS)[:3]}
    for text, label in zip(table["narration"], table["label"], strict=True):
        if text in expected:
            assert label == expected[text]
        elif text.startswith(("juggling", "a sitting")):
            assert pd.isna(label)
    assert report["classes"]["sitting"] == {"dropped": 1, "kept": 7, "windows": 7}
    assert sum(part["windows"] for part in report["classes"].values()) == table["label"].notna().sum()
    # again: nothing is asked, and the result is the same
    before = len(server.log)
    with Curation(tmp_path / "work", endpoint(server)) as curation:
        again = whole_run(curation, windows)
    assert len(server.log) == before and again["asked"].get("requests", 0) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "work" / "annotated.parquet"), table)


@pytest.mark.slow
def test_a_budget_in_small_steps_asks_the_same_as_one_run(serve, tmp_path, windows):
    server = serve(answers=model_answers())
    steps = 0
    while True:
        with Curation(tmp_path / "work", endpoint(server), Limits(requests=7)) as curation:
            try:
                whole_run(curation, windows)
                break
            except BudgetReached as stop:
                assert " done" in str(stop)
        steps += 1
        states = {json.loads(path.read_text())["state"] for path in (tmp_path / "work" / "reports").iterdir()}
        assert "budget reached" in states
    whole = serve(answers=model_answers())
    with Curation(tmp_path / "whole", endpoint(whole)) as curation:
        whole_run(curation, windows)
    assert steps == (len(whole.log) - 1) // 7 and len(server.log) == len(whole.log)
    assert Counter(entry[1] for entry in server.log) == Counter(entry[1] for entry in whole.log)


@pytest.mark.slow
def test_a_kill_in_the_middle_loses_nothing_and_asks_nothing_twice(serve, tmp_path, windows):
    server = serve(answers=model_answers())
    server.hold_after = 8
    work, cache = tmp_path / "work", tmp_path / "work" / "replies.jsonl"
    command = (
        app, "augment", work, "--windows", windows, "--base-url", server.url, "--workers", 3, "--timeout", 30,
        "--first-wait", 0.01,
    )  # fmt: skip
    process = forked_program(*command)
    try:
        end = time.monotonic() + 60
        while not (cache.is_file() and cache.read_bytes().count(b"\n") >= 8):
            assert time.monotonic() < end and process.is_alive()
            time.sleep(0.02)
    finally:
        process.kill()
        process.join()
    assert cache.read_bytes().count(b"\n") == 8 and not (work / "augmentations.parquet").exists()
    with cache.open("ab") as file:
        file.write(b'{"key": "torn')  # as a kill while writing leaves it
    answered = set(server.answered())
    server.hold_after = None
    server.release.set()
    before = len(server.log)
    done = run_program(*command)
    assert done.returncode == 0, done.stderr
    assert "narrations_with_all_verified" in done.stdout
    asked_later = [entry[1] for entry in server.log[before:]]
    assert not answered & set(asked_later) and len(asked_later) == len(set(asked_later)) == 2 * len(TEXTS) - 8
    with Curation(tmp_path / "whole", endpoint(serve(answers=model_answers()))) as curation:
        curation.augment(windows, "openai/gpt-oss-120b")
    pd.testing.assert_frame_equal(
        pd.read_parquet(work / "augmentations.parquet"), pd.read_parquet(tmp_path / "whole" / "augmentations.parquet")
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one child there")
def test_an_interrupt_keeps_what_is_under_way(serve, tmp_path, windows):
    server = serve(delay=1.0)  # a busy machine delivers the signal late
    work = tmp_path / "work"
    process = forked_program(app, "label", work, "--windows", windows, "--base-url", server.url, "--workers", 2)
    end = time.monotonic() + 60
    while not server.log:
        assert time.monotonic() < end and process.is_alive()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    process.join(30)
    assert process.exitcode
    assert json.loads((work / "reports" / "label.json").read_text())["state"] == "interrupted"
    kept = (work / "replies.jsonl").read_bytes().count(b"\n")
    assert kept == len(server.log) < len(TEXTS)


def test_open_proposals_wait_for_people(serve, tmp_path, windows):
    with Curation(tmp_path / "work", endpoint(serve(answers=model_answers()))) as curation:
        whole_run(curation, windows)
        os.remove(curation.folder / "annotated.parquet")
        with pytest.raises(Waiting, match=r"audit\.csv: 1 proposals need a decision"):
            curation.audit(model="auditor")
        assert json.loads((curation.folder / "reports" / "audit.json").read_text())["state"] == "waits for people"
        assert not (curation.folder / "annotated.parquet").exists()
        path = curation.folder / "audit.csv"
        pd.read_csv(path, keep_default_na=False).assign(decision="keep").to_csv(path, index=False)
        assert curation.audit(model="auditor")["windows_labelled"] == 27


def test_stages_out_of_order_say_what_comes_first(tmp_path, windows):
    with Curation(tmp_path / "work") as curation:
        with pytest.raises(OSError, match="give one with --windows FILE"):
            curation.label()
        for stage, first in (
            (lambda: curation.cluster(encoder, "e"), "annotate label first"),
            (curation.review_export, "annotate cluster first"),
            (curation.review_import, "annotate cluster first"),
            (lambda: curation.classify(windows), "--vocabulary anymo-180"),
            (lambda: curation.audit("anymo-180"), "annotate augment first"),
        ):
            with pytest.raises(OSError, match=first):
                stage()
        assert json.loads((curation.folder / "reports" / "audit.json").read_text())["state"] == "failed"


def test_new_windows_need_the_earlier_stages_again(serve, tmp_path, windows):
    with Curation(tmp_path / "work", endpoint(serve(answers=model_answers()))) as curation:
        whole_run(curation, windows)
        with windows.open("a") as file:
            file.write(json.dumps({"sequence": "s0", "start": 99, "end": 100, "text": "sitting by the sea"}) + "\n")
        asked = curation.label(windows, "m")["asked"]
        assert asked["requests"] == 1 and asked["from_cache"] == len(TEXTS)
        with pytest.raises(
            ValueError, match="lacks the narration 'sitting by the sea'; run anymo annotate augment again"
        ):
            curation.audit(model="auditor")
