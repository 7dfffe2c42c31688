"""`anymo caption`: a sentence about a recording."""

from __future__ import annotations

import typer

from .csv_windows import (
    AccelerationUnit,
    AngularVelocityUnit,
    Columns,
    CsvFile,
    Placement,
    Rate,
    TimeColumn,
    Window,
    csv_windows,
    print_answers,
)
from .options import AsJson, Model, Wrist

app = typer.Typer()


@app.command(rich_help_panel="Recordings")
def caption(
    file: CsvFile,
    placement: Placement,
    rate: Rate = None,
    acceleration_unit: AccelerationUnit = None,
    angular_velocity_unit: AngularVelocityUnit = None,
    columns: Columns = None,
    time_column: TimeColumn = None,
    window: Window = 5.0,
    wrist: Wrist = None,
    model: Model = "anymo",
    as_json: AsJson = False,
) -> None:
    """A sentence about what the person does.

    Example: anymo caption walk.csv --placement left_wrist --rate 50
    """
    from ..systems.checkpoint import load_pipeline

    pieces = csv_windows(file, placement, rate, acceleration_unit, angular_velocity_unit, columns, time_column, window)
    write = load_pipeline("imu-to-text", model, wrist)
    print_answers([span for span, _ in pieces], [write(piece) for _, piece in pieces], as_json, "generated_text")
