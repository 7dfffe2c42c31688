"""`anymo export`: the IMU tokenizer as a program of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..released import checkpoint_folder

app = typer.Typer(
    name="export",
    help="The IMU tokenizer as a program of its own.",
    no_args_is_help=True,
    rich_help_panel="Sharing",
)

Folder = Annotated[Path, typer.Argument(help="Checkpoint with an IMU tokenizer, such as anymo.")]
Out = Annotated[Path, typer.Argument(help="Folder for the program and preprocessing.json.")]


@app.callback()
def export() -> None:
    """Write the IMU tokenizer as a program: windows at 60 Hz in, motion codes out.

    Batch and length are free. preprocessing.json beside it says how a recording becomes its input.
    """


@app.command()
def onnx(folder: Folder, out: Out) -> None:
    """Write tokenizer.onnx, which onnxruntime runs without PyTorch; takes about twenty seconds.

    Example: anymo export onnx anymo program/
    """
    from ..modeling.export_anymo import ONNX_FILE, export_onnx

    typer.echo(f"written: {export_onnx(checkpoint_folder(folder), out) / ONNX_FILE}")


@app.command()
def torch(folder: Folder, out: Out) -> None:
    """Write tokenizer.pt2 for torch.export.load.

    Example: anymo export torch anymo program/
    """
    from ..modeling.export_anymo import TORCH_FILE, export_torch

    typer.echo(f"written: {export_torch(checkpoint_folder(folder), out) / TORCH_FILE}")
