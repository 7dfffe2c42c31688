"""The tables of the comparison, from results files alone: Markdown, CSV and LaTeX.

Paper numbers stand in columns marked "paper". A system or data set without a result has a row that says what is missing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from ..atomic_write import write_text
from ..modeling.known_names import did_you_mean
from ..refusals import parse_json
from ..systems.interface import System, systems
from . import setup_shift
from .few_labels_tables import finetuning_tables, shift_tables
from .labelled_captions import FILE as LABELLED
from .paper_results import paper_columns, paper_results
from .system_recognition import FOLDER as RECOGNITION
from .system_recognition import SystemResults, read_system_results
from .system_results import TaskResults, read_task_results
from .table_layout import FEWEST_PEOPLE, LATEX_PACKAGES, NONE, Table, interval_cell, percent_cell, percent_cells

MISSING = {
    "nothing": "not run yet",
    "training": "not trained yet",
    "weights": "its weights are not here",
    "endpoint": "no endpoint was asked",
    "corpus": "not trained on our corpus yet",
}
_SCORES = {
    "accuracy": "Acc", "macro_f1": "F1", "recall_at_2": "R@2", "recall_at_1": "R@1", "recall_at_5": "R@5",
    "recall_at_10": "R@10", "mrr": "MRR", "bleu_1": "BLEU-1", "bleu_4": "BLEU-4", "rouge_l": "ROUGE-L",
    "meteor": "METEOR", "meteor_f_mean": "METEOR's F-mean", "bert_f1": "BERT-F1", "minilm_cosine": "MiniLM cosine",
    "accuracy_at_1": "Acc@1", "accuracy_at_5": "Acc@5",
}  # fmt: skip


def make_tables(name: str, results: str | Path) -> list[Table]:
    """The tables of that name.

    Args:
        name: key of `TABLES`.
        results: folder that `anymo evaluate` wrote.

    Raises:
        ValueError: unknown name, nothing to show, or a damaged file, by its name.
        OSError: no such folder.
    """
    if name not in TABLES:
        raise ValueError(f"unknown table {name!r}{did_you_mean(name, TABLES)}; known: {', '.join(TABLES)}")
    if not Path(results).is_dir():
        raise OSError(f"{results}: no such folder; give the one that anymo evaluate wrote")
    make, command = TABLES[name]
    try:
        found = make(Path(results))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(refused(results, error, command)) from error
    if not found:
        raise ValueError(f"{results} holds nothing for the table {name!r}; run {command} first")
    return found


def refused(results: str | Path, error: Exception, command: str) -> str:
    """What to say of a folder whose files lack what this version writes."""
    lacking = f"no field {error}" if isinstance(error, KeyError) else str(error)
    return f"{results}: a file there is damaged or of another version ({lacking}); move it away and run {command} again"


def write_tables(name: str, results: str | Path, out: str | Path) -> list[Path]:
    """Writes `out/NAME.md`, `.csv` and `.tex`, each whole or not at all; errors as `make_tables`."""
    found = make_tables(name, results)
    texts = {
        "md": "\n\n".join(table.markdown() for table in found) + "\n",
        "csv": "\n".join(table.csv() for table in found),
        "tex": "\n\n".join([f"% {LATEX_PACKAGES}", *(table.latex() for table in found)]) + "\n",
    }
    return [write_text(Path(out) / f"{name}.{ending}", text) for ending, text in texts.items()]


# -- reading -------------------------------------------------------------------------------------------------------------


def recognition_results(results: Path) -> list[SystemResults]:
    """Of every system that has a file, in alphabetical order."""
    found = [read_system_results(path) for path in sorted((results / RECOGNITION).glob("*.json"))]
    return [one for one in found if one is not None]


def task_results(results: Path, task: str) -> list[TaskResults]:
    """Of every system that has a file for a task, in alphabetical order."""
    found = [read_task_results(path) for path in sorted((results / task).glob("*.json"))]
    return [one for one in found if one is not None]


def shift_results(results: Path) -> list[setup_shift.ShiftResults]:
    """Of every system that has a file of table C, in alphabetical order."""
    found = [setup_shift.read_results(path) for path in sorted((results / setup_shift.FOLDER).glob("*.json"))]
    return [one for one in found if one is not None]


def read_json(path: Path) -> dict[str, Any] | None:
    """A results file of one table; None where it is not there, ValueError where it is damaged."""
    if not path.is_file():
        return None
    try:
        return dict(parse_json(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); write it again") from error


def model_hash(path: Path) -> str:
    """Hash of the model's weights that a results file was made with; "" where it says none or is not there."""
    return str((read_json(path) or {}).get("weights_sha256", {}).get("model.safetensors", ""))


def _without(
    results: Path,
    scored: set[str],
    parts: str,
    able: Callable[[type[System]], bool] = lambda kind: True,
    here: str = MISSING["nothing"],
) -> Iterator[tuple[str, str]]:
    """Registered systems of some parts of the comparison without a result, each with what it lacks; `here`: one that is."""
    ran = _ran(results)
    for name, kind in systems().items():
        if name not in scored and _part_of(kind) in parts and able(kind):
            why = _lack(kind, ran)
            yield kind.title, here if why == MISSING["nothing"] else why


def _ran(results: Path) -> set[str]:
    """Names of the systems with a result of any task: whatever they require is at hand."""
    tasks = [one for task in ("retrieval", "captions", "bench", "choices") for one in task_results(results, task)]
    return {one.system for one in (*recognition_results(results), *tasks, *shift_results(results))}


def _lack(kind: type[System], ran: set[str]) -> str:
    why = MISSING["nothing" if kind.name in ran and kind.requires != "training" else kind.requires]
    return f"{why}; its epochs want a GPU" if kind.wants_gpu and why == MISSING["training"] else why


def part_of_results(one: SystemResults) -> str:
    """The part of the comparison that a results file belongs to, "A", "B" or "C"; "" of an unknown system."""
    kind = systems().get(one.system)
    return "" if kind is None else _part_of(kind)


def _part_of(kind: type[System]) -> str:
    """Part "A": zero-shot with weights of its own; "B": trained on our corpus; "C": learns from labels."""
    if kind.can("fit"):
        return "C"
    return "B" if kind.requires == "corpus" else "A"


# -- the tables ----------------------------------------------------------------------------------------------------------


def _recognition(results: Path) -> list[Table]:
    found = recognition_results(results)
    if not found:
        return _choices(results)
    tables = []
    for part, title in _PARTS.items():
        chosen = [one for one in found if part_of_results(one) == part]
        rows = [row for one in chosen for row in _recognition_rows(one)]
        width = len(_RECOGNITION_HEAD)
        shown = {one.system for one in found}
        rows += [(name, NONE, why, *[NONE] * (width - 3)) for name, why in _without(results, shown, part)]
        tables.append(_measured(title, _RECOGNITION_HEAD, rows, _recognition_note(part, chosen, found)))
    names = {(row.dataset, _paper_name("recognition", one)): "" for one in found for row in one.rows}
    return [*tables, *_means(found), *_paper_table(results, "recognition", _PARTS["A"], names), *_choices(results)]


def _recognition_note(part: str, chosen: Sequence[SystemResults], found: Sequence[SystemResults]) -> str:
    note = (
        f"In percent. Interval: 95 % by bootstrap over people, of {FEWEST_PEOPLE} or more. Top class: share of windows that "
        "got the most predicted class. Invalid answers count as wrong. Majority: share of the commonest class among the "
        "windows that are tested"
    )
    if part == "C":
        note += (
            "; the system of that name answers with the commonest of training. People: held out, training saw others."
        )
    else:
        note += (
            '. label: the bare label, before which AnyMo puts its learned prompt; person: "a person is …", behind the same '
            "prompt."
        )
        limits = {one.max_windows for one in chosen} - {None}
        for most in sorted(limits, reverse=True):
            of = "a set" if most == max(limits) else "; ".join(one.title for one in chosen if one.max_windows == most)
            note += f" At most {most:,} windows of {of}."
        if part == "A":
            note += " `results/recognition.json` may have more." if limits else ""
            note += " Columns marked (paper) are what the paper prints for the system of that name."
    if part == "B" and chosen:
        lengths = [
            f"{one.title}: {trained['steps']:,} x {trained['batch_size']}"
            for one in chosen
            if (trained := one.report.get("trained"))
        ]
        names = {one.system for one in chosen}
        note += (
            " One frozen text encoder, but for the whole AnyMo, which has its own. Training of each, in steps of windows: "
            + "; ".join(lengths) + "."
        )  # fmt: skip
        if "anymo_same_budget" in names:
            note += " The whole AnyMo has a time, not steps: see docs/comparison.md."
        if "imugpt_objective" in names:
            note += " IMUGPT learns once the labels are known; its windows are those to choose from."
        for one in chosen:
            rows = [row for row in one.rows if row.wording == "label"]
            if rows and mean(row.accuracy for row in rows) < (even := mean(row.chance for row in rows)):
                note += (
                    f" {one.title} stays under an even guess ({even:.1f}) on the mean of the bare label: it has not learned "
                    "in so many steps, and its rows say little of the method."
                )
    of = chosen if part == "A" else ()
    notes = {row.dataset: row.note for one in of for row in one.rows if row.note and row.split == "paper"}
    note += "".join(f" {name}: {said.rstrip('.')}." for name, said in sorted(notes.items()))
    sets = {row.dataset for one in chosen for row in one.rows}
    if part == "C" and chosen and (none := sorted({row.dataset for one in found for row in one.rows} - sets)):
        note += f" No rows of {', '.join(none)}: the copy has too few people to hold some out."
    for one in chosen:
        if lacking := sorted(sets - {row.dataset for row in one.rows}):
            note += f" {one.title}: not scored on {', '.join(lacking)}."
    return note


def _means(found: Sequence[SystemResults]) -> list[Table]:
    """Means of zero-shot systems over the sets that most of them have; others are left out, and the note names them."""
    chosen = [one for part in "AB" for one in found if part_of_results(one) == part]
    held = Counter(frozenset(row.dataset for row in one.rows) for one in chosen)
    sets = sorted(max(held, key=lambda one: (held[one], len(one)))) if held else []
    rows, left = [], []
    for one in chosen:
        for wording in dict.fromkeys(row.wording for row in one.rows):
            own = [row for row in one.rows if row.wording == wording and row.dataset in sets]
            if len({row.dataset for row in own}) == len(sets):
                scores = [mean(getattr(row, name) for row in own) for name in _MEANS]
                rows.append((one.title, wording, f"{len(own)}", *percent_cells(scores, len(_MEANS))))
            else:
                left.append(f"{one.title} ({wording})")
    head = ("System", "Labels as", "Sets", "Chance", "Acc", "F1", "R@2", "Top class")
    note = f"In percent, over {', '.join(sets)}; each set counts alike."
    note += f" Without all of them: {'; '.join(left)}." if left else ""
    return [Table("Zero-shot recognition: means", head, tuple(rows), note)] if len(sets) > 1 and rows else []


_MEANS = ("chance", "accuracy", "macro_f1", "recall_at_2", "top_class_share")
_PARTS = {
    "A": "Zero-shot recognition (paper Table 1)",
    "B": "Zero-shot recognition, objectives re-trained on one corpus",
    "C": "Recognition after training on other people",
}
_RECOGNITION_HEAD = (
    "System", "Data set", "Labels as", "Split", "Windows", "People", "Chance", "Majority", "Acc", "Interval", "F1",
    "R@2", "Top class", "Invalid", "Parameters", "Hz", "Channels", "s / 1,000", "Acc (paper)", "F1 (paper)", "R@2 (paper)",
)  # fmt: skip


def _paper_name(task: str, one: SystemResults | TaskResults) -> str:
    """What the paper's table calls a system; of language models at an endpoint the one of that name, such as "Gemma 4 26B"
    where google/gemma-4-26B-A4B-it was asked, else the class's title."""
    kind = systems().get(one.system)
    if kind is None:
        return one.title
    if kind.requires == "endpoint":
        asked = _letters(one.title)
        for name in dict.fromkeys(name for rows in paper_results(task).values() for name in rows):
            if _NAMED_HERE.get(name) == one.system and _letters(name.partition(",")[0]) in asked:
                return name
    return kind.title


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _recognition_rows(one: SystemResults) -> Iterator[tuple[str, ...]]:
    named = _paper_name("recognition", one)
    for row in one.rows:
        paper = paper_results("recognition").get(row.dataset, {}).get(named) if row.wording == "label" else None
        yield (
            one.title, row.dataset, row.wording, row.split, f"{row.windows:,}", f"{row.people}",
            *percent_cells((row.chance, row.majority, row.accuracy), 3),
            interval_cell(row.interval, row.people),
            *percent_cells((row.macro_f1, row.recall_at_2, row.top_class_share, row.invalid_rate), 4),
            NONE if row.parameters is None else f"{row.parameters / 1e6:.2f} M",
            "any" if row.rate is None else f"{row.rate:g}", f"{row.channels}",
            NONE if row.seconds_per_1000 is None else f"{row.seconds_per_1000:.1f}",
            *percent_cells(paper, 3),
        )  # fmt: skip


def _choices(results: Path) -> list[Table]:
    names = ("log_probability", "log_probability_recall_at_2", "generation", "invalid_rate", "same_answer")
    rows = []
    for one in task_results(results, "choices"):
        for row in one.rows:
            why = row["missing"].get("log_probability", NONE)
            first, *scores = (why if row[name] is None else f"{row[name]:.1f}" for name in names)
            asked = (row["dataset"], f"{row['windows']:,}", f"{row['options']}", f"{row['chance']:.1f}")
            between = interval_cell(row.get("interval"), row.get("people", 0))
            rows.append((one.title, *asked, first, between, *scores))
    if not rows:
        return []
    scored = {one.system for one in task_results(results, "choices")}
    for name, kind in systems().items():
        if kind.can("choose") and name not in scored and kind.requires != "corpus":
            rows.append((kind.title, NONE, _lack(kind, _ran(results)), *[NONE] * 8))
    head = ("System", "Data set", "Windows", "Options", "Chance", "Acc by log-probability", "Interval",
            "R@2 by log-probability", "Acc by generation", "Invalid", "Same answer")  # fmt: skip
    note = (
        "In percent. The options are the data set's labels and activities of training, in another order at each window. "
        "Simulated windows are of people that training never drew, and AnyMo was trained on others of the same generator. "
        f"Interval: 95 % by bootstrap over people, of {FEWEST_PEOPLE} or more."
    )
    return [Table("Multiple choice to a language model", head, tuple(rows), note)]


# systems of the paper that stand under another name here
_NAMED_HERE = {
    "IMUGPT": "imugpt_objective", "Gemma 4 26B": "language_text", "Gemma 4 26B, text": "language_text",
    "Gemma 4 26B, plot": "language_plot", "GPT-5.4 Mini": "language_text", "MantisV2": "mantis_v2_bench",
    "COMODO": "comodo_student",
}  # fmt: skip


def _paper_table(results: Path, task: str, title: str, shown: dict[tuple[str, str], str]) -> list[Table]:
    """What the paper prints where it does not stand beside a score of ours: systems as rows, data sets as columns.

    Args:
        task: of `paper_results`.
        title: of the table.
        shown: group of the paper's table and name there of each system that was scored here -> which windows of it, in
            words; "" for those of the paper, whose score stands beside ours.
    """
    printed = paper_results(task)
    groups = [group for group, rows in printed.items() if any(shown.get((group, name)) != "" for name in rows)]
    names = list(dict.fromkeys(name for group in groups for name in printed[group]))
    if not names:
        return []
    rows = []
    for name in names:
        cells = (
            " / ".join(percent_cells(printed[group][name], len(printed[group][name])))
            if name in printed[group]
            else NONE
            for group in groups
        )
        rows.append((name, _why_not(name, printed, shown, _ran(results)), *cells))
    here = {group for group, _ in shown}
    absent = [group for group in groups if group not in here and group != "average"]
    note = f"{' / '.join(_SCORES[name] for name in paper_columns(task))} in percent, as the paper prints them."
    if absent:
        where = "any of these" if len(absent) == len(groups) else "; ".join(absent)
        note += f" Nothing was scored here on {where}: the data are not at hand."
    if "average" in groups:
        note += " average: of the paper's 14 sets."
    return [
        Table(
            f"{title}: the paper's own scores",
            ("System", "Here", *(f"{one} (paper)" for one in groups)),
            tuple(rows),
            note,
        )
    ]


def _measured(title: str, head: Sequence[str], rows: Sequence[tuple[str, ...]], note: str) -> Table:
    """A table of scores of ours; columns of the paper in which no row has a number are left out."""
    kept = [
        column for column, name in enumerate(head)
        if not name.endswith("(paper)") or any(row[column] != NONE for row in rows)
    ]  # fmt: skip
    return Table(
        title,
        tuple(head[column] for column in kept),
        tuple(tuple(row[column] for column in kept) for row in rows),
        note,
    )


def _why_not(
    name: str, printed: dict[str, dict[str, tuple[Any, ...]]], shown: dict[tuple[str, str], str], ran: set[str]
) -> str:
    """Where a system of the paper was scored here, or what it lacks, in words; arguments as in `_paper_table`."""
    theirs = [group for group, rows in printed.items() if name in rows]
    here = [group for group in theirs if any(group == one for one, _ in shown)]
    own = {group: shown[group, name] for group in here if (group, name) in shown}
    if own:
        if len(own) == len(here) and not any(own.values()):
            return "scored above on the data at hand"
        return "scored above on " + "; ".join(f"{group}, {of}" if of else group for group, of in own.items()) + " only"
    known = systems()
    kind = known.get(_NAMED_HERE.get(name, "")) or next((one for one in known.values() if one.title == name), None)
    if kind is None:
        return "no such system here"
    if kind.requires == "corpus":
        return "only re-trained here"
    if kind.requires == "endpoint":
        return "this model was not asked" if kind.name in ran and name in _NAMED_HERE else MISSING["endpoint"]
    if kind.requires == "weights" and kind.name not in (*ran, "anymo"):  # AnyMo's come with the package
        return MISSING["weights"]
    return _lack(kind, {*ran, "anymo"}) if here else "data not at hand"


def _retrieval(results: Path) -> list[Table]:
    names = paper_columns("retrieval")
    rows: list[tuple[str, ...]] = []
    shown: dict[tuple[str, str], str] = {}
    found = task_results(results, "retrieval")
    for one in found:
        named = _paper_name("retrieval", one)
        for row in one.rows:
            for way in ("imu_to_text", "text_to_imu"):
                if way in row:
                    theirs = paper_results("retrieval").get(f"{row['dataset']}, {row['subset']} samples, {way}", {})
                    scores = [row[way][name] for name in names]
                    rows.append((one.title, row["dataset"], row["subset"], way.replace("_", " "), f"{row['windows']:,}",
                                 f"{row['texts']:,}", percent_cell(row.get("invalid_rate")), *percent_cells(scores, 4),
                                 *percent_cells(theirs.get(named), 4)))  # fmt: skip
                    shown[f"{row['dataset']}, {row['subset']} samples, {way}", named] = ""
    simulated = read_json(results / "retrieval.json")
    if simulated is not None:
        for way in ("imu_to_text", "text_to_imu"):
            scores = [simulated[way][name] for name in names]
            count = f"{simulated['windows']:,}"
            asked = ("AnyMo", "simulated", count, way.replace("_", " "), count, f"{simulated['texts']:,}", NONE)
            rows.append((*asked, *percent_cells(scores, 4), *percent_cells(None, 4)))
    if not rows:
        return []
    scored = {one.system for one in found} | ({"anymo"} if simulated is not None else set())
    # HARGPT's form of question has no room for a hundred candidates, nor for a multiple choice
    left = _without(results, scored, "AB", lambda kind: kind.can("embed_text") or kind.can("choose"), _unread(found))
    rows += [(name, NONE, why, *[NONE] * (4 + 2 * len(names))) for name, why in left]
    head = ("System", "Windows of", "Subset", "Way", "Windows", "Texts", "Invalid", *(_SCORES[name] for name in names),
            *(f"{_SCORES[name]} (paper)" for name in names))  # fmt: skip
    note = (
        "In percent; equal texts are one candidate. Invalid answers rank the true one last. Simulated windows are of people "
        "that training never saw, and do not compare with the paper's recordings."
    ) + _of_rows(row for one in found for row in one.rows)
    note += _earlier_simulated(results, "retrieval.json")
    title = "Retrieval (paper Table 2)"
    return [_measured(title, head, rows, note), *_paper_table(results, "retrieval", title, shown)]


def _unread(found: Sequence[TaskResults]) -> str:
    """Why a system at hand has no row of narrated windows."""
    return MISSING["nothing"] if any(one.rows for one in found) else "Nymeria and EgoExo4D are not here"


def _of_rows(rows: Iterable[dict[str, Any]]) -> str:
    """What rows of narrated windows say of them, such as how many of the paper's they are."""
    return "".join(f" {said}." for said in dict.fromkeys(
        f"{row['dataset']}, {row['subset']}: {row['note'].rstrip('.')}" for row in rows if row.get("note")
    ))  # fmt: skip


def _earlier_simulated(results: Path, name: str) -> str:
    """What a note says of AnyMo's simulated windows where other weights than those of recognition read them."""
    held, now = model_hash(results / name), model_hash(results / "recognition.json")
    return " Simulated windows: with the weights of an EARLIER release." if held and now and held != now else ""


def _captions(results: Path) -> list[Table]:
    names = ("bleu_1", "bleu_4", "rouge_l", "meteor_f_mean", "bert_f1", "minilm_cosine")
    rows: list[tuple[str, ...]] = []
    shown: dict[tuple[str, str], str] = {}
    found: list[tuple[str, str, str, str, dict[str, Any]]] = []
    told = task_results(results, "captions")
    for one in told:
        named = _paper_name("captioning", one)
        found += [(one.title, named, row["dataset"], row["subset"], row) for row in one.rows]
    simulated = read_json(results / "captioning.json")
    if simulated is not None:
        ways = {"AnyMo": simulated} | ({"AnyMo, selected": simulated["selected"]} if "selected" in simulated else {})
        found += [(title, title, "simulated", "all", simulated | one) for title, one in ways.items()]
    for title, named, dataset, subset, row in found:
        scores, missing = row["scores"], row.get("missing", {})
        theirs = paper_results("captioning").get(dataset, {}).get(named) if subset == "all" else None
        cells = [f"{scores[name]:.1f}" if name in scores else missing.get(name, "not asked") for name in names]
        invalid = 100 * mean(not caption.strip() for caption in row["captions"])
        rows.append(
            (title, dataset, subset, f"{row['windows']:,}", f"{invalid:.1f}", *cells, *percent_cells(theirs, 5))
        )
        if subset == "all":
            shown[dataset, named] = ""
        elif dataset != "simulated":
            shown.setdefault((dataset, named), f"{subset} windows")
    if not rows:
        return []
    scored = {one.system for one in told} | ({"anymo"} if simulated is not None else set())
    left = _without(results, scored, "AB", lambda kind: kind.can("caption"), _unread(told))
    rows += [(name, NONE, why, *[NONE] * (2 + len(names) + 5)) for name, why in left]
    head = ("System", "Windows of", "Subset", "Windows", "Invalid", *(_SCORES[name] for name in names),
            *(f"{_SCORES[name]} (paper)" for name in paper_columns("captioning")))  # fmt: skip
    note = (
        'In percent, one reference each, greedy; "selected" is `select_captions`. Invalid: empty captions. The '
        "authors' code computes METEOR's F-mean of exact words and prints it as METEOR. The MiniLM cosine is no score of "
        "the paper."
    ) + _of_rows(row for *_, row in found)
    note += _earlier_simulated(results, "captioning.json")
    title = "Captions (paper Table 3)"
    return [
        _measured(title, head, rows, note), *_paper_table(results, "captioning", title, shown), *_labelled_captions(results)
    ]  # fmt: skip


def _labelled_captions(results: Path) -> list[Table]:
    content = read_json(results / LABELLED)
    rows = tuple(
        ("AnyMo", row["dataset"], f"{row['windows']}", f"{row['classes']}",
         *percent_cells([row["chance"], row["named"]["written"], row["named"]["selected"]], 3))
        for row in (content or {"datasets": []})["datasets"]
    )  # fmt: skip
    note = (
        "In percent: captions of real windows whose nearest label of the data set is the window's own. Written by the "
        "language model, or selected from the sentences of simulated activities; no sentences of people are there."
    )
    note += _earlier_simulated(results, LABELLED).replace(" Simulated windows: with", " With")
    head = ("System", "Data set", "Windows", "Classes", "Chance", "Written", "Selected")
    return [Table("Captions of real windows that name the label", head, rows, note)] if rows else []


def _bench(results: Path) -> list[Table]:
    names = paper_columns("bench")
    rows, shown = [], {}
    for one in task_results(results, "bench"):
        named = _paper_name("bench", one)
        for row in one.rows:
            theirs = paper_results("bench").get(row["setting"], {}).get(named)
            theirs = None if row.get("simulated") else theirs
            rows.append((one.title, row["setting"], "simulated" if row.get("simulated") else "Nymeria",
                         f"{row['trained_on']:,}", f"{row.get('report', {}).get('epochs', NONE)}", f"{row['windows']:,}",
                         f"{row['people']}" if "people" in row else NONE, f"{row['classes']}", f"{row['chance']:.1f}",
                         *percent_cells([row[name] for name in names], 3), percent_cell(row.get("invalid_rate")),
                         *percent_cells(theirs, 3)))  # fmt: skip
            if not row.get("simulated"):
                shown[row["setting"], named] = ""
    if not rows:
        return []
    run = {one.system for one in task_results(results, "bench")}
    rows += [(name, NONE, why, *[NONE] * (7 + 2 * len(names))) for name, why in _without(results, run, "C")]
    head = ("System", "Setting", "Windows of", "Trained on", "Epochs", "Windows", "People", "Classes", "Chance",
            *(_SCORES[name] for name in names), "Invalid", *(f"{_SCORES[name]} (paper)" for name in names))  # fmt: skip
    note = (
        "In percent. Simulated people (`anymo bench simulate`): two devices a place; AnyMo was trained on others of the "
        "same motion generator, so its rows there are no evidence about real people."
    )
    title = "AnyMo Bench (paper Table 8)"
    return [_measured(title, head, rows, note), *_paper_table(results, "bench", title, shown)]


def _few_labels(results: Path) -> list[Table]:
    measured = shift_results(results)
    left = tuple(_without(results, {one.system for one in measured}, "C"))
    return shift_tables(measured, left) + finetuning_tables(
        read_json(results / "few_labels.json"), read_json(results / "recognition.json")
    )


def _variants(results: Path, key: str, title: str, first: str) -> list[Table]:
    content = read_json(results / "ablations.json")
    if content is None or not content.get(key):
        return []
    names = ("accuracy", "macro_f1", "recall_at_2")
    rows = []
    for row in content[key].values():
        ours = percent_cells([row[name] for name in names], 3) if "accuracy" in row else ("not run yet", NONE, NONE)
        rows.append((row["title"], *ours, *percent_cells(row["paper"], 3)))
    head = (first, *(_SCORES[name] for name in names), *(f"{_SCORES[name]} (paper)" for name in names))
    note = (
        f"Means in percent over {len(content['datasets'])} real sets, at most {content['max_windows']} windows each; short "
        f"budgets of {content['clips']:,} clips and one seed: differences of a few points may be noise. Networks and recipe "
        "are those of the first edition, before the branches for signals: the rows tell of one another, not of the release."
    )
    return [Table(title, head, tuple(rows), note)]


def _ablations(results: Path) -> list[Table]:
    return _variants(results, "variants", "Ablations (paper Table 4)", "Variant")


def _prompts(results: Path) -> list[Table]:
    trained = _variants(results, "prompts", "Text-side prompts, short budgets (paper Table 10)", "Prompt")
    return [*_released_prompts(results), *trained]


def _released_prompts(results: Path) -> list[Table]:
    """The release asked with each wording of labels, where its weights and windows are those of `recognition.json`."""
    files = {prompt: f"recognition{'' if prompt == 'learned' else '-' + prompt}.json" for prompt in _PROMPTS}
    there = {prompt: content for prompt, file in files.items() if (content := read_json(results / file))}
    alike = ("weights_sha256", "max_windows", "seed", "segments", "label_case")
    own = there.get("learned", {})
    found = {prompt: one for prompt, one in there.items() if all(one.get(name) == own.get(name) for name in alike)}
    if len(found) < 2:
        return []
    names = ("accuracy", "macro_f1", "recall_at_2")
    of = {prompt: {row["dataset"]: row for row in content["datasets"]} for prompt, content in found.items()}
    sets = sorted(set.intersection(*map(set, of.values())))
    if not sets:
        return []
    rows = []
    for prompt, by in of.items():
        scores = [mean(by[name][score] for name in sets) for score in names]
        each = (f"{by[name]['accuracy']:.1f}" for name in sets)
        rows.append(
            (
                _PROMPTS[prompt],
                *percent_cells(scores, 3),
                *percent_cells(paper_results("prompts")["average"].get(_PROMPTS[prompt]), 3),
                *each,
            )
        )
    head = ("Prompt", *(_SCORES[name] for name in names), *(f"{_SCORES[name]} (paper)" for name in names), *sets)
    note = (
        "In percent; the released checkpoint, whose learned prompt was trained with it, asked with other "
        "words in its place. Means over the sets, then the accuracy of each; the paper's are means over its 14 sets."
    )
    return [Table("Text-side prompts, asked of the release (paper Table 10)", head, tuple(rows), note)]


_PROMPTS = {
    "bare": "Bare label", "person": "Person prompt", "imu": "IMU prompt", "activity": "Activity prompt",
    "learned": "Learnable prompt (AnyMo)",
}  # fmt: skip


def _options(results: Path) -> list[Table]:
    content = read_json(results / "stage_options.json")
    if content is None or not content.get("variants"):
        return []
    sets = content["datasets"]
    rows = []
    for row in content["variants"].values():
        scores = [
            " / ".join(percent_cells([row["sets"][name][score] for score in ("accuracy", "macro_f1")], 2))
            for name in sets
        ]
        rows.append((row["title"], str(row["steps"]), *percent_cells([row["mean"]], 1), *scores))
    note = (
        f"Accuracy / macro-F1 in percent of a linear probe, learnt from {content['windows']:,} simulated windows; "
        f"{content['clips']:,} clips; stage 1 for {content['minutes']:g} minutes each, from nothing. Rows of codes are "
        "of the encoder with both losses."
    )
    return [Table("Options of stages 1 and 2", ("Option", "Steps", "Mean accuracy", *sets), tuple(rows), note)]


TABLES: dict[str, tuple[Callable[[Path], list[Table]], str]] = {
    "recognition": (_recognition, "anymo evaluate recognition --system NAME"),
    "retrieval": (_retrieval, "anymo evaluate narrated (real windows) or anymo evaluate retrieval (simulated ones)"),
    "captions": (_captions, "anymo evaluate narrated (real windows) or anymo evaluate captioning (simulated ones)"),
    "bench": (_bench, "anymo evaluate bench"),
    "few-labels": (_few_labels, "anymo evaluate setup-shift"),
    "ablations": (_ablations, "make ablations-nano"),
    "prompts": (_prompts, "make ablations-nano"),
    "options": (_options, "training/stage_options.py"),
}
