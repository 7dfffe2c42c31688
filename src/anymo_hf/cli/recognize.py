"""`anymo recognize`: which of some activities a recording shows."""

from __future__ import annotations

from typing import Annotated

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
from .options import AsJson, Model, TopK, Wrist, split_names

app = typer.Typer()


@app.command(rich_help_panel="Recordings")
def recognize(
    file: CsvFile,
    placement: Placement,
    rate: Rate = None,
    acceleration_unit: AccelerationUnit = None,
    angular_velocity_unit: AngularVelocityUnit = None,
    columns: Columns = None,
    time_column: TimeColumn = None,
    window: Window = 5.0,
    labels: Annotated[
        str | None, typer.Option(help="Candidates, comma-separated; default: all simulated ones.")
    ] = None,
    top_k: TopK = 5,
    wrist: Wrist = None,
    model: Model = "anymo",
    as_json: AsJson = False,
) -> None:
    """Which of some activities a recording shows, best first; of several windows also the mean.

    Example: anymo recognize walk.csv --placement left_wrist --rate 50 --labels walking,sitting
    """
    from ..pictures.demo import activity_labels
    from ..systems.checkpoint import load_pipeline

    candidates = list(activity_labels()) if labels is None else split_names(labels, "--labels", "walking,sitting")
    pieces = csv_windows(file, placement, rate, acceleration_unit, angular_velocity_unit, columns, time_column, window)
    classify = load_pipeline("zero-shot-imu-classification", model, wrist)
    answers = [classify(piece, candidate_labels=candidates) for _, piece in pieces]
    spans = [span for span, _ in pieces]
    if len(answers) > 1:
        sums = dict.fromkeys(candidates, 0.0)
        for row in (row for answer in answers for row in answer):
            sums[row["label"]] += row["score"] / len(answers)
        mean = [{"score": score, "label": label} for label, score in sums.items()]
        answers.insert(0, sorted(mean, key=lambda row: -row["score"]))
        spans.insert(0, f"mean of {len(spans)} windows")
    print_answers(spans, [answer[:top_k] for answer in answers], as_json, "label")
