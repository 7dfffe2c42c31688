"""`anymo bench`: statistics and label spaces of AnyMo Bench."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson

app = typer.Typer(
    name="bench",
    help="AnyMo Bench: what a built repository holds, and its label spaces.",
    no_args_is_help=True,
    rich_help_panel="Data",
)


@app.command()
def statistics(
    repository: Annotated[Path, typer.Argument(help="Folder of a Bench: ours, or a download of the official one.")],
    as_json: AsJson = False,
) -> None:
    """Count the paper's appendix B on a repository, its numbers beside the paper's; checks columns and subjects too.

    Example: anymo bench statistics anymo-bench/
    """
    from ..evaluation.bench_statistics import bench_statistics, markdown_table

    found = bench_statistics(repository, progress=not as_json)
    if as_json:
        typer.echo(json.dumps({config: [asdict(row) for row in rows] for config, rows in found.items()}, indent=2))
    else:
        typer.echo(markdown_table(found))


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="A new folder.")] = Path("anymo-bench-simulated"),
    people: Annotated[int, typer.Option(min=5, help="Simulated people; one in five is tested.")] = 20,
    classes: Annotated[int, typer.Option(min=2, help="Activities, each a class.")] = 24,
    windows: Annotated[int, typer.Option(min=1, help="Windows of each person and activity.")] = 4,
    seed: Annotated[int, typer.Option(help="Of the people.")] = 0,
) -> None:
    """Write a Bench of simulated people with two devices on each place, for anymo evaluate bench without Nymeria.

    Example: anymo bench simulate --out anymo-bench-simulated
    """
    from ..evaluation.simulated_bench import write_simulated_bench

    typer.echo(f"written: {write_simulated_bench(out, people, classes, windows, seed)}")


@app.command()
def labels(
    fine150: Annotated[Path | None, typer.Option(help="Official fine150_labels.json; default: rebuilt.")] = None,
    core50: Annotated[Path | None, typer.Option(help="Official core50_labels.json; default: rebuilt.")] = None,
    members: Annotated[
        Path | None, typer.Option(help="Official anymo_annotations.csv: labels of Core50's classes.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the members of Fine150 and Core50 against every number the paper prints, and list what was decided.

    Example: anymo bench labels --json
    """
    from ..annotation import bench_classes as classes

    fine = None if fine150 is None else classes.read_label_space(fine150, "fine150")
    core = None
    if core50 is not None:
        core = classes.read_label_space(core50, "core50", None if members is None else classes.read_members(members))
    found = classes.check_constraints(fine, core)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in found], indent=2))
        return
    words = {True: "holds", False: "does not hold", None: "cannot be told"}
    for row in found:
        ours = "" if row.ours is None else f"{row.ours:,.10g} here, "
        note = f" ({row.note})" if row.note else ""
        typer.echo(f"{row.name}: {ours}{row.published:,.10g} in the paper, {words[row.holds]}{note}")
    if fine is None:
        typer.echo(f"\nFine150 is one of at least {classes.fine150_choices():,} choices that fit. It leaves out:")
        typer.echo("\n".join(f"  {label}: {why}" for label, why in classes.removed_labels().items()))
    if core is None:
        groups: dict[str, list[str]] = {}
        for label, name in (classes.label_space("core50").members or {}).items():
            groups.setdefault(name, []).append(label)
        typer.echo("\nCore50:")
        for name, why in classes.core50_reasons().items():
            typer.echo(f"  {name} ({why}): {'; '.join(groups[name])}")
