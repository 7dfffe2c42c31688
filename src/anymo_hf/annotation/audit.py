"""Class by class, every label against its narration and the narrations around it (paper A.4), under people's eyes.

The auditor proposes to keep, relabel or drop. Proposals other than to keep go into a CSV file in which people write
their `decision`: keep, drop, or a label of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from .classification import known_label
from .language_client import LanguageClient, Question, Unanswered, text_object
from .review import earlier_decisions, read_cells
from .stage_cache import key_of
from .windows_table import write_table

COLUMNS = (
    "case", "label", "previous", "narration", "following", "windows", "verdict", "new_label", "reason", "decision",
)  # fmt: skip
_VERDICTS = ("consistent", "relabel", "drop")


@dataclass(frozen=True)
class Case:
    """What is judged: a label, its narration and the ones before and after it in the session ("" at its ends)."""

    label: str
    previous: str
    narration: str
    following: str

    @property
    def key(self) -> str:
        """Name of the case in the file for people."""
        return key_of(self.label, self.previous, self.narration, self.following)[:16]


@dataclass(frozen=True)
class Verdict:
    """`verdict` is "consistent", "relabel", "drop" or "unanswered"; `new_label` only with "relabel"."""

    verdict: str
    new_label: str = ""
    reason: str = ""

    @property
    def proposal(self) -> str:
        """As a decision: "keep", "drop" or a label. Without an answer the row is dropped, for nobody vouches for it."""
        return {"consistent": "keep", "relabel": self.new_label}.get(self.verdict, "drop")


def cases_of(windows: pd.DataFrame, labels: Sequence[str | None]) -> list[Case | None]:
    """The case of each window, None where it has no label.

    Args:
        windows: as of `read_windows`, sorted by session and time.
        labels: one for each window.
    """
    groups = windows.groupby("session_id", sort=False)["narration"]
    previous, following = groups.shift(1).fillna(""), groups.shift(-1).fillna("")
    rows = zip(labels, previous, windows["narration"], following, strict=True)
    return [None if label is None else Case(label, *texts) for label, *texts in rows]


def audit_case(case: Case, vocabulary: Sequence[str], client: LanguageClient, model: str) -> Verdict:
    """Asks whether the label fits, in its context."""

    def read(answer: dict[str, Any]) -> Verdict:
        verdict, reason = answer["verdict"], " ".join(str(answer.get("reason") or "").split())
        if verdict not in _VERDICTS:
            raise ValueError(f"verdict must be one of {', '.join(_VERDICTS)}, not {verdict!r}")
        if verdict != "relabel":
            return Verdict(verdict, reason=reason)
        new = known_label(answer["new_label"], vocabulary)
        if new == case.label:
            raise ValueError("new_label is the label it has; then the verdict is consistent")
        return Verdict(verdict, new, reason)

    system = (
        "You audit activity labels of short windows of human motion. Compare the label with the description of its window; "
        "the descriptions before and after show the context in time. The verdict is consistent if the label fits what the "
        "person does in this window, relabel if another of the labels below fits clearly better, drop if none fits.\n"
        + "\n".join(f"- {label}" for label in vocabulary)
        + '\nAnswer with a JSON object with the fields "verdict", "new_label" (empty unless relabel) and "reason" (short).'
    )
    user = (
        f"Label: {case.label}\nBefore: {case.previous or '(nothing)'}\nThis window: {case.narration}\n"
        f"After: {case.following or '(nothing)'}"
    )
    schema = text_object(
        verdict={"type": "string", "enum": list(_VERDICTS)},
        new_label={"type": "string", "enum": ["", *vocabulary]},
        reason={"type": "string"},
    )
    try:
        return client.ask(Question(model, "audit", system, user, schema, read))
    except Unanswered as error:
        return Verdict("unanswered", reason=str(error))


def export_proposals(verdicts: dict[Case, Verdict], windows: dict[Case, int], path: str | Path) -> int:
    """Writes what is to be decided, class by class; decisions already in the file stay. Gives the number of rows.

    Raises:
        ValueError: the file holds a decision on a case that is not proposed, or two rows of one case.
    """
    path = Path(path)
    open_cases = {case: verdict for case, verdict in verdicts.items() if verdict.proposal != "keep"}
    made: dict[str, dict[str, str]] = {}
    if path.is_file():
        made = earlier_decisions(path, COLUMNS, "case", "decision", {case.key for case in open_cases})
    rows = [
        (
            case.key, case.label, case.previous, case.narration, case.following, str(windows[case]),
            verdict.verdict, verdict.new_label, verdict.reason, made.get(case.key, {}).get("decision", ""),
        )
        for case, verdict in open_cases.items()
    ]  # fmt: skip
    rows.sort(key=lambda row: (row[1], row[3], row[0]))
    write_table(pd.DataFrame(rows, columns=list(COLUMNS)), path)
    return len(rows)


def decide(
    verdicts: dict[Case, Verdict], vocabulary: Sequence[str], path: str | Path, accept_proposals: bool
) -> dict[Case, str | None]:
    """The label of each case after the audit, None where it is dropped.

    Args:
        verdicts: of the auditor.
        vocabulary: labels that a decision may name.
        path: the file with the decisions.
        accept_proposals: what nobody decided goes as proposed.

    Raises:
        OSError: no such file.
        ValueError: a decision that is no word of these, a case missing or unknown, or undecided.
    """
    path = Path(path)
    decisions: dict[str, str] = {}
    known = {case.key for case in verdicts}
    for number, row in enumerate(read_cells(path, COLUMNS).to_dict("records"), 2):
        where, decision = f"{path}, row {number}", row["decision"]
        if row["case"] not in known:
            raise ValueError(f"{where}: case {row['case']!r} is not of this audit; run the audit again")
        if row["case"] in decisions:
            raise ValueError(f"{where}: case {row['case']!r} stands in an earlier row, too; delete one of them")
        if not decision and not accept_proposals:
            raise ValueError(f"{where}: no decision; write keep, drop or a label, or go on with --accept-proposals")
        if decision and decision.lower() not in ("keep", "drop") and decision not in vocabulary:
            raise ValueError(f"{where}: decision {decision!r} is neither keep, drop nor a label of the vocabulary")
        decisions[row["case"]] = decision
    final: dict[Case, str | None] = {}
    for case, verdict in verdicts.items():
        if verdict.proposal == "keep":
            decision = "keep"
        elif case.key not in decisions:
            raise ValueError(
                f"{path}: case {case.key!r} ({case.narration!r}) is missing; write keep instead of deleting it"
            )
        else:
            decision = decisions[case.key] or verdict.proposal
        final[case] = {"keep": case.label, "drop": None}.get(decision.lower(), decision)
    return final
