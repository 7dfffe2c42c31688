"""`anymo demo`: one person, recognised, described and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Model, split_names

app = typer.Typer()


@app.command(rich_help_panel="Recordings")
def demo(
    data: Annotated[
        Path | None, typer.Option(help="Folder of real datasets; without it a person is simulated.")
    ] = None,
    activity: Annotated[
        str | None, typer.Option(help="Simulate this activity instead of a random everyday one.")
    ] = None,
    placements: Annotated[
        str | None, typer.Option(help="Worn where, comma-separated; default: three at random.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Which person or window; simulated ones from 900000 up, unseen in training.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("demo.png"),
    model: Model = "anymo",
) -> None:
    """Recognise, caption and retrieve for one person, and draw it.

    Example: anymo demo --activity walking --out demo.png
    """
    from ..motion.procedural import HELD_OUT_SEED
    from ..pictures.demo import real_recording, run_demo, simulated_recording
    from ..systems.checkpoint import check_checkpoint, load_checkpoint

    if data is not None and (activity is not None or placements is not None):
        raise ValueError("--activity and --placements choose what is simulated; leave them out with --data")
    if out.suffix.lower() != ".png":
        raise ValueError(f"--out must be a .png file, got {out}")
    check_checkpoint(model)
    if data is not None:
        recording = real_recording(data, seed or 0)
    else:
        worn = None if placements is None else split_names(placements, "--placements", "left_wrist,head")
        recording = simulated_recording(HELD_OUT_SEED if seed is None else seed, activity, worn)
    typer.echo(run_demo(*load_checkpoint(model), recording, out).report())
