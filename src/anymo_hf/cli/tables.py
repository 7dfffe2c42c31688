"""`anymo tables` and `anymo figures`: what `anymo evaluate` wrote, as the paper's tables and figures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .options import split_names

app = typer.Typer(rich_help_panel="Evaluation")


class TableName(StrEnum):
    """Keys of `evaluation.tables.TABLES`."""

    recognition = "recognition"
    retrieval = "retrieval"
    captions = "captions"
    bench = "bench"
    few_labels = "few-labels"
    ablations = "ablations"
    prompts = "prompts"
    options = "options"


class FigureName(StrEnum):
    """Keys of `evaluation.figures.FIGURES`."""

    radar = "radar"
    captions = "captions"
    umap = "umap"
    confusion = "confusion"


Results = Annotated[Path, typer.Option(help="Folder that anymo evaluate wrote.")]


@app.command(rich_help_panel="Evaluation")
def tables(
    name: Annotated[TableName, typer.Argument(help="Which table.")],
    results: Results = Path("results"),
    out: Annotated[Path, typer.Option(help="Folder for NAME.md, NAME.csv and NAME.tex.")] = Path("tables"),
) -> None:
    """Write a table of the comparison from results files: Markdown, CSV and LaTeX, the paper's numbers beside ours.

    Example: anymo tables recognition --results results --out tables
    """
    from ..evaluation.tables import make_tables, write_tables

    paths = write_tables(name.value, results, out)
    typer.echo("\n\n".join(table.markdown() for table in make_tables(name.value, results)))
    typer.echo(f"written: {', '.join(map(str, paths))}")


@app.command(rich_help_panel="Evaluation")
def figures(
    name: Annotated[FigureName, typer.Argument(help="Which figure.")],
    results: Results = Path("results"),
    out: Annotated[Path, typer.Option(help="Folder for NAME.png.")] = Path("figures"),
    system: Annotated[
        str | None,
        typer.Option(help="Only these, comma-separated, for confusion and umap; default there: AnyMo, and all."),
    ] = None,
) -> None:
    """Draw a figure from results files: radar (Figure 1), captions (5), umap (6, real beside simulated) or confusion.

    Example: anymo figures radar --results results --out figures
    """
    from ..evaluation.figures import write_figure

    systems = None if system is None else split_names(system, "--system", "anymo,feature_forest")
    typer.echo(f"written: {write_figure(name.value, results, out, systems)}")
