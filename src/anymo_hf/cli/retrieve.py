"""`anymo retrieve`: the nearest motions or texts to a recording."""

from __future__ import annotations

from pathlib import Path
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
from .options import AsJson, Model, TopK, Wrist

app = typer.Typer()


@app.command(rich_help_panel="Recordings")
def retrieve(
    file: CsvFile,
    placement: Placement,
    rate: Rate = None,
    acceleration_unit: AccelerationUnit = None,
    angular_velocity_unit: AngularVelocityUnit = None,
    columns: Columns = None,
    time_column: TimeColumn = None,
    window: Window = 5.0,
    texts: Annotated[
        Path | None, typer.Option(help="Text file, one candidate a line; without it simulated motions are searched.")
    ] = None,
    top_k: TopK = 5,
    wrist: Wrist = None,
    model: Model = "anymo",
    as_json: AsJson = False,
) -> None:
    """The nearest simulated motions, or the nearest of your own texts, by cosine.

    Example: anymo retrieve walk.csv --placement waist --rate 50 --texts sentences.txt
    """
    from ..systems.checkpoint import load_checkpoint, load_pipeline

    pieces = csv_windows(file, placement, rate, acceleration_unit, angular_velocity_unit, columns, time_column, window)
    if texts is not None:
        lines = texts.read_text(encoding="utf-8").splitlines()
        candidates = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
        if not candidates:
            raise ValueError(f"--texts {texts}: no line holds text; give one candidate a line")
        search = load_pipeline("imu-text-retrieval", model, wrist)
        answers = [search(piece, candidate_texts=candidates, top_k=top_k) for _, piece in pieces]
    else:
        from ..pictures.demo import imu_embeddings, nearest_motions

        loaded, processor = load_checkpoint(model, wrist)
        found = [processor.feature_extractor(**piece, return_tensors="np") for _, piece in pieces]
        codes, places = ([item[name][0] for item in found] for name in ("imu_codes", "imu_placements"))
        near = nearest_motions(loaded, processor, imu_embeddings(loaded, processor, codes, places), places[0], top_k)
        answers = [[{"score": score, "text": text} for score, text in row] for row in near]
    print_answers([span for span, _ in pieces], answers, as_json, "text")
