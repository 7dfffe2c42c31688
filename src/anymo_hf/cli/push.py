"""`anymo push`: data sets and models to the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="push",
    help="Upload a data set or a model to the Hub.",
    no_args_is_help=True,
    rich_help_panel="Sharing",
)

Repository = Annotated[str, typer.Argument(metavar="OWNER/NAME", help="On the Hub; made where it is not there yet.")]
Public = Annotated[bool, typer.Option("--public", help="Make a new repository public; otherwise it is private.")]
PullRequest = Annotated[bool, typer.Option("--pull-request", help="Open a pull request rather than commit.")]
Message = Annotated[str | None, typer.Option(help="Of the commit.")]


@app.callback()
def push() -> None:
    """Upload a data set or a model to the Hub.

    The card is checked first. The token is HF_TOKEN or what `hf auth login` saved; HF_ENDPOINT names another server. After
    an error the same command sends only what is missing.
    """


@app.command()
def dataset(
    folder: Annotated[Path, typer.Argument(help="Repository that a builder of dataset_scripts/ wrote.")],
    repository: Repository,
    public: Public = False,
    pull_request: PullRequest = False,
    message: Message = None,
) -> None:
    """Upload a data set; shards of an older build are deleted on the Hub.

    Example: anymo push dataset anymo-bench/ OWNER/anymo-bench
    """
    from ..hub.upload import push_folder

    typer.echo(f"uploaded: {push_folder(folder, repository, 'dataset', not public, pull_request, message)}")


@app.command()
def model(
    folder: Annotated[Path, typer.Argument(help="Release with config.json, weights and README.md.")],
    repository: Repository,
    public: Public = False,
    pull_request: PullRequest = False,
    message: Message = None,
) -> None:
    """Upload a release, weights and card and code, as a model.

    Example: anymo push model anymo-usc-had/ OWNER/anymo-usc-had
    """
    from ..hub.upload import push_folder

    typer.echo(f"uploaded: {push_folder(folder, repository, 'model', not public, pull_request, message)}")
