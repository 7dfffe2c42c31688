"""`anymo convert-official`: the authors' checkpoint files to a release of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command(rich_help_panel="Sharing")
def convert_official(
    encoder: Annotated[Path, typer.Option(help="ST-GCN encoder: encoder_best.pt, or best.pt with the predictor.")],
    pqvae: Annotated[Path, typer.Option(help="Motion tokenizer: tokenizer_export.pt or pqvae_best.pt.")],
    llm: Annotated[Path, typer.Option(help="Folder of the language model: config, tokenizer.json, weights.")],
    projector: Annotated[Path, typer.Option(help="Of code vectors to words: anymo_runtime_projector.pt.")],
    contrastive: Annotated[
        Path, typer.Option(help="Poolers, heads and soft prompt, alone or in pytorch_model.bin of the last stage.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to make.")] = Path("anymo-paper"),
    wrist: Annotated[str, typer.Option(help="Segment that a wrist counts as: forearm or hand.")] = "forearm",
) -> None:
    """Turn the official AnyMo checkpoint into a folder that AutoModel, AutoProcessor and pipelines load.

    Files are torch or safetensors files of state dicts; nothing is unpickled. Every tensor must have its place, or nothing
    is written. What was done with each file is printed and kept in conversion_report.json. Weights are float32.

    Example: anymo convert-official --encoder best.pt --pqvae pqvae.pt --llm llm/ --projector proj.pt --contrastive heads.bin
    """
    from ..hub.convert_official import REPORT_FILE, convert_official

    report = convert_official(
        encoder, pqvae, llm, projector, contrastive, out, wrist, lambda line: typer.echo(line, err=True)
    )
    for role, file in report["files"].items():
        typer.echo(f"{role:12} {file['tensors']:5} tensors, {file['placed']:5} placed  {file['file']}")
        for reason, count in file["left_out"].items():
            typer.echo(f"{'':12} {count:5} {reason}")
    typer.echo(f"written: {out} (report: {out / REPORT_FILE})")
