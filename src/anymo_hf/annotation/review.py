"""Candidate labels for people: a CSV file out, and the same file with their decisions in (paper A.4).

Columns: `candidate`, `windows`, `members` and `examples` are for reading. In `keep` people write yes or no. `final_label`
may hold another name; rows with the same name become one class. `note` is theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ..atomic_write import write_json
from ..refusals import parse_json
from .merging import Candidate, slash_label
from .windows_table import write_table

COLUMNS = ("candidate", "windows", "members", "examples", "keep", "final_label", "note")
_YES, _NO = {"yes", "y", "true", "1"}, {"no", "n", "false", "0"}


def export_review(
    candidates: Sequence[Candidate], examples: Mapping[str, Sequence[str]], path: str | Path, overwrite: bool = False
) -> None:
    """Writes the file, most frequent candidate first; decisions already in it stay with their candidates.

    Args:
        candidates: labels to decide on.
        examples: narrations of each normalised label.
        path: the CSV file.
        overwrite: forget the decisions in it.

    Raises:
        ValueError: the file holds a decision on something else, or two on one candidate.
    """
    path = Path(path)
    theirs = ("keep", "final_label", "note")
    made: dict[str, dict[str, str]] = {}
    if path.is_file() and not overwrite:
        made = earlier_decisions(path, COLUMNS, "candidate", "keep", {item.label for item in candidates})
    rows = [
        {
            "candidate": item.label,
            "windows": str(item.count),
            "members": "; ".join(f"{label} ({count})" for label, count in item.members.items()),
            "examples": " | ".join([text for member in item.members for text in examples.get(member, ())][:3]),
        }
        | {name: made.get(item.label, {}).get(name, "") for name in theirs}
        for item in candidates
    ]
    write_table(pd.DataFrame(rows, columns=list(COLUMNS)), path)


def import_review(path: str | Path, candidates: Sequence[Candidate]) -> dict[str, int]:
    """The vocabulary that people decided on: label -> number of windows, most frequent first.

    Raises:
        OSError: the file is missing or no CSV.
        ValueError: a missing column, a candidate missing, twice or unknown, a row undecided, a name without words, or
            nothing kept.
    """
    path = Path(path)
    table = read_cells(path, COLUMNS)
    known = {item.label: item.count for item in candidates}
    counts: Counter[str] = Counter()
    seen: set[str] = set()
    for number, row in enumerate(table.to_dict("records"), 2):
        where, name, keep = f"{path}, row {number}", row["candidate"], row["keep"].lower()
        if name not in known:
            raise ValueError(f"{where}: candidate {name!r} is not one of this folder's; export the review again")
        if name in seen:
            raise ValueError(f"{where}: candidate {name!r} stands in an earlier row, too; delete one of them")
        seen.add(name)
        if keep not in _YES | _NO:
            raise ValueError(f"{where}: keep is {row['keep']!r}; write yes or no")
        if keep in _YES:
            try:
                counts[slash_label(row["final_label"] or name)] += known[name]
            except ValueError as error:
                raise ValueError(f"{where}: final_label: {error}; write words or leave it empty") from error
    if missing := sorted(set(known) - seen):
        raise ValueError(
            f"{path}: {len(missing)} candidates are missing, {missing[0]!r} first; say no instead of deleting"
        )
    if not counts:
        raise ValueError(f"{path}: no candidate is kept; write yes in some rows")
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def earlier_decisions(
    path: Path, columns: Sequence[str], name: str, decision: str, known: set[str]
) -> dict[str, dict[str, str]]:
    """Rows of a file that people edited, by the column `name`, so that writing it again loses no decision.

    Raises:
        OSError, ValueError: as `read_cells`.
        ValueError: a name stands twice, or a decision is on a name that is not among `known`.
    """
    rows: dict[str, dict[str, str]] = {}
    for number, row in enumerate(read_cells(path, columns).to_dict("records"), 2):
        where = f"{path}, row {number}: {name} {row[name]!r}"
        if row[name] in rows:
            raise ValueError(f"{where} stands in an earlier row, too; delete one of them")
        if row[decision] and row[name] not in known:
            raise ValueError(
                f"{where} has a decision, but is not asked about any more; delete the row or move the file away"
            )
        rows[row[name]] = row
    return rows


def read_cells(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A CSV that people edited, every cell as text without surrounding space.

    Raises:
        OSError: missing or no CSV.
        ValueError: a column is missing.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise OSError(f"{path}: no such file; export it first") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise OSError(f"{path}: not a readable CSV ({error}); save it as UTF-8, comma-separated") from error
    if missing := [name for name in columns if name not in table]:
        raise ValueError(f"{path}: no column {', '.join(missing)}; save it comma-separated with the header as it was")
    return table.apply(lambda column: column.str.strip())


def write_vocabulary(labels: Mapping[str, int], path: str | Path) -> None:
    """JSON as `anymo180.json`: a list of label and number of windows."""
    write_json(path, [[label, count] for label, count in labels.items()], indent=1)


def read_vocabulary(path: str | Path) -> dict[str, int]:
    """Label -> number of windows.

    Raises:
        OSError: the file is missing.
        ValueError: another content, or fewer than two labels.
    """
    path = Path(path)
    try:
        labels = {str(label): int(count) for label, count in parse_json(path.read_text(encoding="utf-8"))}
    except FileNotFoundError as error:
        raise OSError(f"{path}: no such file; import a review, or use --vocabulary anymo-180") from error
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: must be a JSON list of [label, count] ({error}); import the review again") from error
    if len(labels) < 2:
        raise ValueError(f"{path}: holds {len(labels)} labels; a classifier needs at least two")
    return labels
