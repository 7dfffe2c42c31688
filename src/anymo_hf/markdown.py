"""Markdown tables, for reports, cards and pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """A table without a line break at its end; the first `words` columns are text, the others numbers, set to the right.

    Raises:
        ValueError: a row has more or fewer cells than the head.
    """
    lines = [head, ["---"] * min(words, len(head)) + ["---:"] * (len(head) - words), *rows]
    if wrong := [line for line in lines if len(line) != len(head)]:
        raise ValueError(f"a table with the columns {list(head)} has a row of {len(wrong[0])} cells: {list(wrong[0])}")
    # a bar or a line break in a cell would end it
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )
