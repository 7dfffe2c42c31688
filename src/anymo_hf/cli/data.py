"""`anymo data`: which datasets a folder holds and whether they are whole; what is understood of a device's file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson, with_options_of
from .reading import Options, reading_options, summary, summary_lines

if TYPE_CHECKING:
    from ..recordings.dataset_check import DatasetReport

app = typer.Typer(
    name="data",
    help="Datasets of real recordings.",
    no_args_is_help=True,
    rich_help_panel="Data",
)


@app.callback()
def data() -> None:
    """Datasets of real recordings."""


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="Holds one dataset, or a folder or zip for each.")],
    as_json: AsJson = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="A copy with less than was published is wrong, too.")
    ] = False,
) -> None:
    """Read every dataset found, check units, rates and labels, and print counts beside the published ones.

    Ends with exit code 1 when something is wrong or nothing was found.

    Example: anymo data check datasets/ --json
    """
    from ..recordings.catalogue import checked_datasets
    from ..recordings.dataset_check import check_datasets

    reports = check_datasets(folder)
    if as_json:
        rows = [asdict(report) | {"incomplete": [asdict(figure) for figure in report.incomplete]} for report in reports]
        typer.echo(json.dumps(rows, indent=2))
    else:
        for report in reports:
            typer.echo("\n".join(_lines(report)) + "\n")
        if not reports:
            known = ", ".join(dataset.title for dataset in checked_datasets().values())
            typer.echo(f"{folder}: no known dataset; known are {known}")
        else:
            wrong = [report.name for report in reports if report.problems]
            partial = [report.name for report in reports if report.incomplete and not report.problems]
            typer.echo(
                f"{len(reports)} datasets: {len(reports) - len(wrong) - len(partial)} whole, {len(partial)} partial, "
                f"{len(wrong)} wrong{': ' if wrong else ''}{', '.join(wrong)}"
            )
    if not reports or any(report.problems or (strict and report.incomplete) for report in reports):
        raise typer.Exit(1)


@app.command()
@with_options_of(options=reading_options)
def read(
    file: Annotated[Path, typer.Argument(help="A device's export: a table, a binary file, or its folder or zip.")],
    options: Options,
    device: Annotated[str | None, typer.Option(help="Name of its format; default: recognised.")] = None,
    as_json: AsJson = False,
) -> None:
    """What is understood of a device's file: columns, units, rate and how they were found, gaps, what looks wrong.

    Example: anymo data read walk.csv --acceleration-unit g
    """
    from ..recordings.devices.export import read_export

    export = read_export(file, device=device, options=options)
    typer.echo(json.dumps(summary(export), indent=2) if as_json else "\n".join(summary_lines(export)))


def _lines(report: DatasetReport) -> list[str]:
    lines = [f"{report.name}  {report.folder}"]
    published = {figure.count: figure for figure in report.published}
    for name in ("recordings", "sessions", "windows", "seconds", "classes", "subjects"):
        if name == "windows" and report.counts.get(name) == report.counts.get("recordings"):
            continue
        if name not in published and (name == "sessions" or name not in report.counts):
            continue
        count = f"{report.counts[name]:,.0f}" if name in report.counts else "-"
        beside = f"   published {published[name].value:,.0f} ({published[name].meaning})" if name in published else ""
        lines.append(f"  {name:12} {count:>10}{beside}")
    if report.people and any(figure.count == "subjects" for figure in report.incomplete):
        lines.append(f"  {'people here':12} {', '.join(report.people)}")
    if report.missing_classes and report.classes:
        lines.append(f"  {'no recording':12} of {', '.join(report.missing_classes)}")
    if report.sampling_rate is not None:
        low_high = report.measured_rates
        stamps = (
            "by its documents" if low_high is None else f"time stamps say {low_high[0]:.1f} to {low_high[1]:.1f} Hz"
        )
        lines.append(f"  {'rate':12} {report.sampling_rate:>10g} Hz ({stamps})")
    for placement, sensor in report.sensors.items():
        turning = (
            "" if sensor.angular_velocity is None else f", 99 % of gyroscope under {sensor.angular_velocity:.1f} rad/s"
        )
        lines.append(f"  {placement:16} |acc| at rest {sensor.acceleration:.2f} m/s^2{turning}")
    lines += [f"  note: {note}" for note in report.notes]
    lines += [f"  WRONG: {problem}" for problem in report.problems]
    lines += [f"  known fault of copies: {fault}" for fault in report.faults]
    if not report.problems:
        lines.append("  partial: less than was published" if report.incomplete else "  whole")
    return lines
