"""`anymo finetune`: a classifier of your labels from the released model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .options import Model

app = typer.Typer()


class Method(StrEnum):
    """What trains, see `FinetuneSettings`."""

    full = "full"
    linear = "linear"
    lora = "lora"


class Head(StrEnum):
    """Where the classifier starts."""

    text = "text"
    random = "random"


@app.command(rich_help_panel="Evaluation")
def finetune(
    dataset: Annotated[str, typer.Option(help="A built anymo-zeroshot: folder or Hub name.")] = "anymo-zeroshot",
    config: Annotated[str, typer.Option(help="Data set in it, such as usc_had or uci_hapt.")] = "usc_had",
    model: Model = "anymo",
    output: Annotated[Path | None, typer.Option(help="Folder to write; default: anymo-CONFIG.")] = None,
    method: Annotated[Method, typer.Option(help="All weights, the classifier, or LoRA adapters.")] = Method.full,
    init_head: Annotated[Head, typer.Option(help="From the labels' names, or not.")] = Head.text,
    share: Annotated[float, typer.Option(help="Of the training people whose labels are used, 0 to 1.")] = 1.0,
    steps: Annotated[int, typer.Option(help="Of training.")] = 300,
    batch_size: Annotated[int, typer.Option(help="Windows a step.")] = 16,
    learning_rate: Annotated[
        float | None, typer.Option(help="Default by method: full 1e-4, linear 1e-3, lora 3e-4.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the share, the order of windows and a random head.")] = 0,
    push_to_hub: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Upload the output, as a private repository.")
    ] = None,
) -> None:
    """Fine-tune on a data set and test on people that training never saw; the output has a card.

    Example: anymo finetune --dataset anymo-zeroshot --config usc_had --method lora --output anymo-usc-had
    """
    from safetensors import SafetensorError

    from ..evaluation.finetuning import FinetuneSettings
    from ..hub.finetuned_release import finetune_release
    from ..hub.upload import push_folder

    folder = output or Path(f"anymo-{config}")
    settings = FinetuneSettings(method.value, init_head.value, share, steps, batch_size, learning_rate, seed)
    try:
        result = finetune_release(model, dataset, config, folder, settings)
    except SafetensorError as error:
        raise OSError(f"--model {model!r}: {error}") from error
    for when in ("before", "after"):
        typer.echo(f"{when}: " + ", ".join(f"{name} {value:.1f} %" for name, value in result[when].items()))
    typer.echo(f"written: {folder}")
    if push_to_hub:
        typer.echo(f"uploaded: {push_folder(folder, push_to_hub, 'model')}")
