"""`anymo caption`: a sentence about a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .csv_windows import Windows, csv_windows, print_answers, window_codes
from .options import AsJson, Model, Wrist, read_lines, with_options_of

app = typer.Typer()


@app.command(rich_help_panel="Recordings")
@with_options_of(windows=csv_windows)
def caption(
    windows: Windows,
    sentences: Annotated[
        str | None,
        typer.Option(
            help="Select the best sentence of a text file, one a line, or of all 'known' ones; without it one is written."
        ),
    ] = None,
    wrist: Wrist = None,
    model: Model = "anymo",
    as_json: AsJson = False,
) -> None:
    """A sentence about what the person does.

    Example: anymo caption walk.csv --placement left_wrist --rate 50 --sentences known
    """
    from ..systems.checkpoint import load_checkpoint, load_pipeline

    spans = [span for span, _ in windows]
    if sentences is None:
        write = load_pipeline("imu-to-text", model, wrist)
        print_answers(spans, [write(piece) for _, piece in windows], as_json, "generated_text")
        return
    from ..systems.captions import select_captions

    texts = None if sentences == "known" else read_lines(Path(sentences), "--sentences")
    loaded, processor = load_checkpoint(model, wrist)
    codes, places = window_codes(processor, windows)
    captions = select_captions(loaded, processor, codes, places, texts)
    print_answers(spans, [[{"generated_text": text}] for text in captions], as_json, "generated_text")
