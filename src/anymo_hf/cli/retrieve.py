"""`anymo retrieve`: the nearest motions or texts to a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .csv_windows import Windows, csv_windows, print_answers, window_codes
from .options import AsJson, Model, TopK, Wrist, read_lines, with_options_of

app = typer.Typer()


@app.command(rich_help_panel="Recordings")
@with_options_of(windows=csv_windows)
def retrieve(
    windows: Windows,
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

    if texts is not None:
        candidates = read_lines(texts, "--texts")
        search = load_pipeline("imu-text-retrieval", model, wrist)
        answers = [search(piece, candidate_texts=candidates, top_k=top_k) for _, piece in windows]
    else:
        from ..systems.embeddings import embed_codes
        from ..systems.known_motions import nearest_motions

        loaded, processor = load_checkpoint(model, wrist)
        codes, places = window_codes(processor, windows)
        near = nearest_motions(loaded, processor, embed_codes(loaded, processor, codes, places), places[0], top_k)
        answers = [[{"score": score, "text": text} for score, text in row] for row in near]
    print_answers([span for span, _ in windows], answers, as_json, "text")
