"""`anymo info`: what a checkpoint holds, and the names of placements."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Model

app = typer.Typer()


@app.command(rich_help_panel="Recordings")
def info(
    model: Model = "anymo",
    placements: Annotated[bool, typer.Option("--placements", help="List placement names and their segments.")] = False,
) -> None:
    """What a checkpoint holds, or which placement names are understood.

    Example: anymo info --placements
    """
    from ..modeling.body_segments import PLACEMENTS, SEGMENTS, WRISTS, resolve_placement

    if placements:
        for name in sorted([*PLACEMENTS, *WRISTS]):
            typer.echo(f"{name:18} {SEGMENTS[resolve_placement(name)]}")
        return
    from ..systems.checkpoint import describe_checkpoint

    for name, value in describe_checkpoint(model).items():
        typer.echo(f"{name:24} {value}")
