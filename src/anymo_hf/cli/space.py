"""`anymo space`: the page to try AnyMo in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Model

app = typer.Typer()


@app.command(rich_help_panel="Sharing")
def space(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: a free one from 7860 on.")] = None,
    model: Model = "anymo",
) -> None:
    """Serve the page to try AnyMo in a browser, for this machine alone; Ctrl+C ends it.

    Example: anymo space --port 7860
    """
    from ..hub.space_app import serve

    serve(model, port=port)
