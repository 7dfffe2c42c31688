"""`anymo sensor`: how exact the derivatives are, and what noise real devices have."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..atomic_write import write_text
from .options import AsJson, with_options_of
from .reading import Options, reading_options, warn

app = typer.Typer(
    name="sensor",
    help="The simulated sensor: derivative errors, and noise of real devices.",
    no_args_is_help=True,
    rich_help_panel="Motion and simulation",
)

Out = Annotated[Path | None, typer.Option(help="Folder to write the JSON to as well.")]


@app.command()
def derivatives(
    rate: Annotated[float, typer.Option(min=60, help="Samples per second of the source.")] = 240.0,
    seed: Annotated[int, typer.Option(help="Which phases.")] = 0,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Error per frequency on a motion with known derivatives, ours beside two other orders of doing it.

    Example: anymo sensor derivatives --rate 120
    """
    from ..evaluation.derivative_error import FREQUENCIES, derivative_errors, markdown_table

    frequencies = [frequency for frequency in FREQUENCIES if frequency < rate / 2]
    errors = derivative_errors(frequencies, rate, seed)
    result = {"source_rate": rate, "unit": "percent", "errors": [asdict(row) for row in errors]}
    _report("derivatives", result, markdown_table(errors, rate), as_json, out)


@app.command()
@with_options_of(options=reading_options)
def estimate(
    options: Options,
    data: Annotated[
        Path | None, typer.Option(help="Folder of real datasets, each in a folder of its name (uci_hapt, usc_had, …).")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Instead, a CSV file of one sensor.")] = None,
    datasets: Annotated[str | None, typer.Option(help="Only these, comma-separated.")] = None,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Noise of real devices from their quiet windows: densities, bias instability, quantisation step and range.

    Example: anymo sensor estimate --data datasets/ --out results
    """
    from ..evaluation.noise_report import estimate_datasets, estimate_recordings, markdown_table
    from ..recordings.devices.export import read_export

    if (data is None) == (csv is None):
        raise ValueError("give either --data DIR with real datasets or --csv FILE of one sensor")
    if csv is not None:
        export = read_export(csv, "sensor", options=options)
        warn(export)
        found, failed = estimate_recordings(list(export.stretches))
    else:
        names = None if datasets is None else [name.strip() for name in datasets.split(",") if name.strip()]
        found, failed = estimate_datasets(data, names)
    result = {"unit": "SI", "estimates": {name: asdict(item) for name, item in found.items()}, "failed": failed}
    _report("sensor_noise", result, markdown_table(found, failed), as_json, out)


@app.command()
def check(
    mvnx: Annotated[Path | None, typer.Option(help="MVNX file (version 3) that holds the trackers' signals.")] = None,
    utd: Annotated[Path | None, typer.Option(help="Folder of UTD-MHAD with Skeleton/ and Inertial/.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for simulation_check.json and .png.")] = Path("results"),
) -> None:
    """The simulator beside real sensors: trackers from body segments, and a filmed wrist.

    Example: anymo sensor check --utd datasets/utd_mhad
    """
    from ..evaluation.simulation_check import report

    for line in report(mvnx, utd, out):
        typer.echo(line)


def _report(name: str, result: dict[str, Any], table: str, as_json: bool, out: Path | None) -> None:
    """Prints the table or the JSON, and writes OUT/name.json where asked, first under a temporary name."""
    text = json.dumps(result, indent=2)
    typer.echo(text if as_json else table)
    if out is not None:
        path = write_text(out / f"{name}.json", text + "\n")
        typer.echo(f"written: {path}", err=True)
