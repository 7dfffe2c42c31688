"""Tables of few labels: setups and their shifts (table C), and fine-tuning by the Trainer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from statistics import mean, stdev
from typing import Any

from ..recordings.catalogue import DATASETS
from . import setup_shift
from .table_layout import NONE, Table

_WAYS = {
    "zero_shot": "no labels: zero-shot",
    "forest": "feature forest",
    "scratch": "the same network from scratch, on pre-trained codes",
    "linear_random": "its classifier alone, begun at random",
    "linear": "its classifier alone, begun at the labels' names",
    "lora": "LoRA adapters and classifier",
    "full": "all weights of the language model",
}


def shift_tables(measured: Sequence[setup_shift.ShiftResults], left: Sequence[tuple[str, str]]) -> list[Table]:
    """One table a setup, and one of the systems without a result (`left`, each with its reason)."""
    earlier = _of_an_earlier_release(measured)
    tables = [_shift_table(one, earlier) for one in setup_shift.by_setup(measured)]
    if measured and left:
        title = "Few labels and shifts of the setup: systems without a result"
        tables.append(Table(title, ("System", "Here"), tuple(left)))
    return tables


def finetuning_tables(content: dict[str, Any] | None, recognition: dict[str, Any] | None) -> list[Table]:
    """One table a data set of `few_labels.json`.

    Args:
        content: of that file; recognition: of `recognition.json`, whose weights are the release's.
    """
    runs, tables = [] if content is None else content["runs"], []
    weights, now = (
        "" if one is None else one["weights_sha256"]["model.safetensors"][:8]
        for one in (content and content["settings"], recognition)
    )
    for name in dict.fromkeys(run["dataset"] for run in runs):
        own = [run for run in runs if run["dataset"] == name]
        shares = sorted({run["share"] for run in own} - {0.0})
        rows = []
        for way in dict.fromkeys(run["way"] for run in own):
            of = [[run for run in own if (run["way"], run["share"]) == (way, share)] for share in (0.0, *shares)]
            rows.append((_WAYS.get(way, way), *(_spread(part) for part in of)))
        tested = sorted({run["test_windows"] for run in own})
        note = (
            f"Accuracy / macro-F1 in percent of {' or '.join(map(str, tested))} windows of other people, from the weights "
            f"whose SHA-256 begins with {weights}"
        )
        note += f": an EARLIER release than that of recognition, {now}." if now not in ("", weights) else "."
        draws = max(Counter((run["way"], run["share"]) for run in own).values())
        note += (
            f" ± is over up to {draws} draws, without it there is one. The Trainer's way reads motion codes; "
            "`AnyMoClassifier` (linear, robust, full) reads the signals too and is another method."
        )
        head = (name, "no labels", *(_labelled([run for run in own if run["share"] == share]) for share in shares))
        tables.append(Table(f"Fine-tuning with few labels: {name}", head, tuple(rows), note))
    return tables


def _labelled(runs: Sequence[dict[str, Any]]) -> str:
    """How many people and windows have labels, such as "1 person, 30–40 windows"."""
    people, windows = (sorted({run[name] for run in runs}) for name in ("people", "windows"))
    many = f"{windows[0]:,}" if len(windows) == 1 else f"{windows[0]:,}–{windows[-1]:,}"
    return f"{people[-1]} {'person' if people[-1] == 1 else 'people'}, {many} windows"


def _of_an_earlier_release(measured: Sequence[setup_shift.ShiftResults]) -> set[str]:
    """Titles of AnyMo's classifiers that were measured with other weights than the linear one."""
    own = {one.title: one.weights for one in measured if one.system.startswith("anymo_") and not one.source}
    now = next((one.weights for one in measured if one.system == "anymo_linear"), "")
    return {title for title, weights in own.items() if now and weights != now}


def _shift_table(part: setup_shift.SetupCells, earlier: set[str]) -> Table:
    names = list(dict.fromkeys(cell.shift for _, cell in part.cells))
    rows = []
    for share in sorted({cell.windows for _, cell in part.cells}, key=lambda share: share or 10**6):
        for title in dict.fromkeys(title for title, _ in part.cells):
            own = [cell for name, cell in part.cells if (name, cell.windows) == (title, share)]
            of = [[asdict(cell) for cell in own if cell.shift == name] for name in names]
            if own:
                rows.append((title, f"{share or 'all'}", *(_spread(values) for values in of)))
    first = part.cells[0][1]
    seeds, held_out = len({cell.seed for _, cell in part.cells}), first.held_out
    most, chance = max(cell.tested_on for _, cell in part.cells), 100 / len(DATASETS[first.dataset].labels)
    fitted: dict[str, set[int]] = {}
    for title, cell in part.cells:
        fitted.setdefault(title, set()).add(cell.windows)
    note = (
        f"Accuracy / macro-F1 in percent, mean ± deviation over up to {seeds} splits (a cell without ± is one split); "
        f"{held_out} held out; tested on up to {most} windows, where an even guess has {chance:.1f}. worn: as in "
        "training; turned: one random rotation a person; 20 Hz: a slower device; other device: another one's errors."
    )
    shares = {cell.windows for _, cell in part.cells}
    for lacking in sorted({tuple(sorted(shares - own)) for own in fitted.values()} - {()}):
        titles = [title for title, own in fitted.items() if tuple(sorted(shares - own)) == lacking]
        note += (
            f" Not fitted with {', '.join(str(one or 'all') for one in lacking)} windows a class: {'; '.join(titles)}."
        )
    if held_out == "time" and any(title.startswith("AnyMo, full") for title in fitted):
        note += " AnyMo's full leaves people out to learn; one person is here, so it is the linear one."
    if old := sorted(earlier & set(fitted)):
        note += f" {' and '.join(old)}: with the weights of an EARLIER release."
    return Table(
        f"Few labels and shifts of the setup: {part.name}", ("System", "Windows a class", *names), tuple(rows), note
    )


def _spread(runs: Sequence[dict[str, Any]]) -> str:
    if not runs:
        return NONE
    cells = []
    for score in ("accuracy", "macro_f1"):
        values = [run[score] for run in runs]
        cells.append(f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else ""))
    return " / ".join(cells)
