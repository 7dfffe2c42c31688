"""A table of a results page: Markdown, CSV and LaTeX, and how scores stand in its cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from ..markdown import table

NONE = "-"
FEWEST_PEOPLE = 5  # whose interval is shown: bootstrap over fewer gives the least and the most of them


@dataclass(frozen=True)
class Table:
    """One table: `head` and `rows` of text cells, the first columns in words; `note` below it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def markdown(self) -> str:
        """Title, table and note."""
        return f"**{self.title}**\n\n{table(self.head, self.rows)}" + (f"\n\n{self.note}" if self.note else "")

    def csv(self) -> str:
        """A line with the title, one with the note where there is one, head and rows."""
        text = io.StringIO()
        note = [(self.note,)] if self.note else []
        csv.writer(text, lineterminator="\n").writerows([(self.title,), *note, self.head, *self.rows])
        return text.getvalue()

    def latex(self) -> str:
        """Floats with `booktabs` rules and the note under the first caption, each of `_LATEX_ROWS` rows at most; a wide
        table is turned, and no table is wider than its page. They want the packages of `LATEX_PACKAGES`."""
        width = sum(max(map(len, column)) + 2 for column in zip(self.head, *self.rows, strict=True))
        place = "table" if width <= _LATEX_WIDTH else "sidewaystable"
        parts = [self.rows[start : start + _LATEX_ROWS] for start in range(0, len(self.rows), _LATEX_ROWS)]
        found = []
        for number, part in enumerate(parts, 1):
            title = self.title if len(parts) == 1 else f"{self.title}, part {number} of {len(parts)}"
            note = [rf"{{\footnotesize {_escaped(self.note)}\par}}"] if self.note and number == 1 else []
            found += [
                rf"\begin{{{place}}}", r"\centering", rf"\caption{{{_escaped(title)}}}", *note, r"\scriptsize",
                r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
                rf"\begin{{tabular}}{{l{'r' * (len(self.head) - 1)}}}", r"\toprule",
                " & ".join(map(_escaped, self.head)) + r" \\", r"\midrule",
                *(" & ".join(map(_escaped, row)) + r" \\" for row in part), r"\bottomrule",
                r"\end{tabular}}", rf"\end{{{place}}}", "",
            ]  # fmt: skip
        return "\n".join(found[:-1])


_LATEX_ROWS, _LATEX_WIDTH = 30, 100  # of a float; characters of a row that stand on an upright page
LATEX_PACKAGES = r"\usepackage{booktabs,graphicx,rotating}"
_LATEX = {
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "–": "--",
    "…": r"\dots{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def _escaped(text: str) -> str:
    """Without the backticks of Markdown, which LaTeX prints as opening quotes."""
    text = text.replace("`", "")
    return "".join(_LATEX.get(sign, sign) for sign in text)


def percent_cells(values: Sequence[float] | None, count: int) -> tuple[str, ...]:
    """Scores in percent with one digit; `count` empty cells for None."""
    return (NONE,) * count if values is None else tuple(f"{value:.1f}" for value in values)


def percent_cell(value: float | None) -> str:
    """One of `percent_cells`."""
    return NONE if value is None else f"{value:.1f}"


def interval_cell(interval: Sequence[float] | None, people: int) -> str:
    """Its ends; `NONE` where fewer than `FEWEST_PEOPLE` were drawn from."""
    return NONE if interval is None or people < FEWEST_PEOPLE else f"{interval[0]:.1f}–{interval[1]:.1f}"
