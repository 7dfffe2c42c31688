"""`anymo caption`: a sentence about a recording."""

from __future__ import annotations

import typer

from .csv_windows import Windows, csv_windows, print_answers
from .options import AsJson, Model, Wrist, with_options_of

app = typer.Typer()


@app.command(rich_help_panel="Recordings")
@with_options_of(windows=csv_windows)
def caption(
    windows: Windows,
    wrist: Wrist = None,
    model: Model = "anymo",
    as_json: AsJson = False,
) -> None:
    """A sentence about what the person does.

    Example: anymo caption walk.csv --placement left_wrist --rate 50
    """
    from ..systems.checkpoint import load_pipeline

    write = load_pipeline("imu-to-text", model, wrist)
    print_answers([span for span, _ in windows], [write(piece) for _, piece in windows], as_json, "generated_text")
