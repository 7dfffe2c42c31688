"""The audit: neighbours of a session, verdicts, proposals for people and their decisions."""

import pandas as pd
import pytest

from anymo_hf.annotation.audit import Case, Verdict, audit_case, cases_of, decide, export_proposals
from anymo_hf.annotation.language_client import Endpoint, LanguageClient
from anymo_hf.annotation.stage_cache import StageCache

LABELS = ["sitting", "walking", "lying"]
CASES = [
    Case("sitting", "", "C sits.", "C walks."),
    Case("walking", "C sits.", "C lies.", ""),
    Case("lying", "", "C?", ""),
]
VERDICTS = dict(zip(CASES, [Verdict("consistent"), Verdict("relabel", "lying", "lies"), Verdict("drop")], strict=True))
WINDOWS = dict.fromkeys(CASES, 3)


def test_neighbours_stay_in_their_session():
    table = pd.DataFrame({"session_id": ["a", "a", "a", "b"], "narration": ["1", "2", "3", "4"]})
    cases = cases_of(table, ["x", None, "y", "z"])
    assert cases == [Case("x", "", "1", "2"), None, Case("y", "2", "3", ""), Case("z", "", "4", "")]


def test_the_auditor_sees_label_and_context_and_is_held_to_its_words(serve, tmp_path):
    answers = iter(
        [
            {"verdict": "relabel", "new_label": "flying", "reason": ""},
            {"verdict": "relabel", "new_label": "walking", "reason": ""},  # the label it has
            {"verdict": "relabel", "new_label": "lying", "reason": "lies  down"},
        ]
    )
    server = serve(answers={"audit": lambda user, times: next(answers)})
    with StageCache(tmp_path / "r.jsonl") as cache:
        found = audit_case(CASES[1], LABELS, LanguageClient(Endpoint(server.url), cache), "m")
    assert found == Verdict("relabel", "lying", "lies down")
    user = server.log[0][3]["messages"][1]["content"]
    assert user == "Label: walking\nBefore: C sits.\nThis window: C lies.\nAfter: (nothing)"
    assert [len(entry[3]["messages"]) for entry in server.log] == [2, 4, 6]


def test_without_an_answer_dropping_is_proposed(serve, tmp_path):
    with StageCache(tmp_path / "r.jsonl") as cache:
        client = LanguageClient(Endpoint(serve(lambda *_: "refusal").url), cache)
        found = audit_case(CASES[0], LABELS, client, "m")
    assert found.verdict == "unanswered" and found.proposal == "drop"


def edit(path, decisions):
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table["decision"] = decisions
    table.to_csv(path, index=False)


def test_people_decide_and_their_decisions_outlive_a_second_audit(tmp_path):
    path = tmp_path / "audit.csv"
    assert export_proposals(VERDICTS, WINDOWS, path) == 2
    assert pd.read_csv(path)["label"].tolist() == ["lying", "walking"]  # class by class
    with pytest.raises(ValueError, match="row 2: no decision.*--accept-proposals"):
        decide(VERDICTS, LABELS, path, False)
    assert decide(VERDICTS, LABELS, path, True) == {CASES[0]: "sitting", CASES[1]: "lying", CASES[2]: None}
    edit(path, ["sitting", "keep"])
    export_proposals(VERDICTS, WINDOWS, path)
    assert decide(VERDICTS, LABELS, path, False) == {CASES[0]: "sitting", CASES[1]: "walking", CASES[2]: "sitting"}
    edit(path, ["", "drop"])
    assert decide(VERDICTS, LABELS, path, True) == {CASES[0]: "sitting", CASES[1]: None, CASES[2]: None}


def test_broken_decisions_are_named(tmp_path):
    path = tmp_path / "audit.csv"
    export_proposals(VERDICTS, WINDOWS, path)
    edit(path, ["keep", "flying"])
    with pytest.raises(ValueError, match="row 3: decision 'flying' is neither keep, drop nor a label"):
        decide(VERDICTS, LABELS, path, False)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table.iloc[:1].to_csv(path, index=False)
    with pytest.raises(ValueError, match="is missing; write keep instead"):
        decide(VERDICTS, LABELS, path, True)
    pd.concat([table.iloc[:1]] * 2).to_csv(path, index=False)
    with pytest.raises(ValueError, match="row 3: .* stands in an earlier row"):
        decide(VERDICTS, LABELS, path, True)
    table.assign(case="x").to_csv(path, index=False)
    with pytest.raises(ValueError, match="row 2: case 'x' is not of this audit"):
        decide(VERDICTS, LABELS, path, True)


def test_a_new_audit_refuses_to_lose_a_decision(tmp_path):
    path = tmp_path / "audit.csv"
    export_proposals(VERDICTS, WINDOWS, path)
    edit(path, ["keep", ""])
    fewer = VERDICTS | {CASES[1]: Verdict("consistent")}
    assert export_proposals(fewer, WINDOWS, path) == 1  # undecided: may go
    with pytest.raises(ValueError, match="row 2: case .* has a decision, but is not asked about any more"):
        export_proposals(VERDICTS | {CASES[2]: Verdict("consistent")}, WINDOWS, path)
