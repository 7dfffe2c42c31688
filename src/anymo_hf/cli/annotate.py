"""`anymo annotate`: from narrated windows to augmented narrations and labels of a closed vocabulary (paper A.4)."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import with_options_of

if TYPE_CHECKING:
    from ..annotation.curation import Curation, Report
else:  # names that signatures are read with; the module itself is slow to import
    Curation = Report = Any

app = typer.Typer(
    name="annotate",
    help="Curate labels for narrated windows with language models and people. Every command may be stopped and run again: "
    "nothing is asked twice. Exit code 3: stopped by the budget, or waiting for people.",
    no_args_is_help=True,
    rich_help_panel="Data",
)


class SchemaStyle(StrEnum):
    """How a JSON schema is sent."""

    openai = "openai"
    tgi = "tgi"


class TokenField(StrEnum):
    """Name of the limit of a reply's tokens."""

    max_tokens = "max_tokens"
    max_completion_tokens = "max_completion_tokens"


Folder = Annotated[Path, typer.Argument(help="Where replies, tables and reports are kept.")]
Windows = Annotated[
    Path | None,
    typer.Option(
        help="JSONL, CSV or Parquet with the columns sequence, start, end (seconds), text, and optional sample_id, "
        "session_id, subject_id; kept in FOLDER for later commands."
    ),
]
Vocabulary = Annotated[
    str | None, typer.Option(help="anymo-180, or a JSON file; default: FOLDER/vocabulary.json of the review.")
]
Model = Annotated[str, typer.Option(envvar="ANYMO_LM_MODEL", help="Name of the model as the server knows it.")]
Encoder = Annotated[str, typer.Option(help="sentence-transformers model: name on the Hub, or folder.")]
Device = Annotated[str | None, typer.Option(help="Where the encoder runs, such as cuda; default: the best there is.")]
Threshold = Annotated[float, typer.Option(help="Least cosine of a label and the head of its cluster.")]
MinFrequency = Annotated[int, typer.Option(min=1, help="Least windows of a label.")]
AcceptProposals = Annotated[
    bool, typer.Option("--accept-proposals", help="Relabel and drop as the auditor says where people did not decide.")
]
# the paper's, as in annotation/curation.py, which is imported late
_GENERATOR, _CLASSIFIER, _ADJUDICATOR, _AUDITOR = "openai/gpt-oss-120b", "gpt-5.4-nano", "gpt-5.4-mini", "gpt-5.5"
_ENCODER = "Qwen/Qwen3-Embedding-8B"


def _open(
    folder: Folder,
    base_url: Annotated[
        str | None,
        typer.Option(envvar="ANYMO_LM_BASE_URL", help="OpenAI-compatible server; default: Hugging Face's router."),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="ANYMO_LM_API_KEY", show_default=False, help="Better given by the variable than here."),
    ] = None,
    provider: Annotated[str, typer.Option(help="Of Hugging Face's router.")] = "auto",
    schema_style: Annotated[
        SchemaStyle, typer.Option(help="openai: json_schema; tgi: text-generation-inference.")
    ] = SchemaStyle.openai,
    token_field: Annotated[
        TokenField, typer.Option(help="OpenAI's newer models want max_completion_tokens.")
    ] = TokenField.max_tokens,
    reply_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of a reply, reasoning included.")] = 4096,
    reasoning_effort: Annotated[
        str | None, typer.Option(help="Sent where given, such as high for the paper's auditor.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Requests at a time.")] = 8,
    timeout: Annotated[float, typer.Option(help="Seconds of a request.")] = 120.0,
    tries: Annotated[int, typer.Option(min=1, help="Requests for a reply while the server is busy.")] = 6,
    reasks: Annotated[
        int,
        typer.Option(
            min=0, help="Questions after a refusal or an unusable reply; one more asks again what stayed open."
        ),
    ] = 2,
    first_wait: Annotated[float, typer.Option(min=0, help="Seconds before the second try; doubles each time.")] = 1.0,
    longest_wait: Annotated[float, typer.Option(min=0, help="Seconds; a server that wants more ends the run.")] = 300.0,
    max_requests: Annotated[int | None, typer.Option(min=0, help="Budget of this run.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=0, help="Budget of this run, prompts and replies.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Budget of this run; needs --price.")] = None,
    price: Annotated[
        list[str] | None, typer.Option(help="MODEL=IN/OUT, price of a million tokens; once for each model.")
    ] = None,
) -> Curation:
    """The folder, with the server and the budget that the options say."""
    from ..annotation.curation import Curation
    from ..annotation.language_client import Endpoint, Limits

    endpoint = Endpoint(
        base_url, api_key, provider, schema_style.value, token_field.value, reply_tokens, reasoning_effort, timeout,
        tries, reasks, first_wait, longest_wait, workers,
    )  # fmt: skip
    prices = dict(_price(text) for text in price or ())
    return Curation(folder, endpoint, Limits(max_requests, max_tokens, max_cost, prices))


def _price(text: str) -> tuple[str, tuple[float, float]]:
    model, _, prices = text.rpartition("=")
    try:
        paid_in, paid_out = (float(part) for part in prices.split("/"))
    except ValueError as error:
        raise ValueError(f"--price {text!r}: must be MODEL=IN/OUT, such as some-model=0.1/0.4") from error
    if not model or min(paid_in, paid_out) < 0:
        raise ValueError(f"--price {text!r}: needs a model and prices of zero or more")
    return model, (paid_in, paid_out)


def _asks(stage: Callable[..., Report | None]) -> Callable[..., None]:
    """A command whose `curation` is opened with the options of `_open`, and whose report is printed."""

    @functools.wraps(stage)
    def within(curation: Curation, **given: Any) -> None:
        with curation:
            _run(lambda: stage(curation, **given))

    return with_options_of(curation=_open)(within)


def _run(work: Callable[[], Report | None]) -> None:
    """Prints the report of `work`; exit code 3 where it stopped in good order."""
    from ..annotation.curation import Waiting
    from ..annotation.language_client import BudgetReached

    try:
        _say(work())
    except BudgetReached as stop:
        typer.echo(f"stopped by the budget: {stop}; run the same command again to go on", err=True)
        raise typer.Exit(3) from stop
    except Waiting as stop:
        typer.echo(str(stop), err=True)
        raise typer.Exit(3) from stop


def _say(report: Report | None) -> None:
    for name, value in (report or {}).items():
        if name != "classes":
            typer.echo(f"{name:36} {json.dumps(value) if isinstance(value, dict) else value}")


@app.command()
def windows(
    nymeria: Annotated[Path, typer.Argument(help="Folder of Nymeria's sequences.")],
    out: Annotated[Path, typer.Argument(help="Parquet or CSV file, for --windows of the other commands.")],
) -> None:
    """Write the atomic actions of a Nymeria copy as a table of narrated windows, times in TIME_CODE seconds.

    Example: anymo annotate windows nymeria/ windows.parquet
    """
    from ..annotation.windows_table import narrated_windows, write_table

    if out.suffix not in (".parquet", ".csv"):
        raise ValueError(f"{out}: must end in .parquet or .csv")
    table, left_out = narrated_windows(nymeria, progress=True)
    write_table(table, out)
    for name, why in left_out.items():
        typer.echo(f"left out: {name}: {why}", err=True)
    typer.echo(f"written: {len(table):,} windows of {table['session_id'].nunique():,} recordings in {out}")


@app.command()
@_asks
def augment(curation: Curation, windows: Windows = None, model: Model = _GENERATOR) -> Report:
    """Write five variants of every narration, verified, and regenerated or repaired where they fail.

    Example: anymo annotate augment curation/ --windows windows.parquet --max-cost 5 --price openai/gpt-oss-120b=0.1/0.4
    """
    return curation.augment(windows, model)


@app.command()
@_asks
def label(curation: Curation, windows: Windows = None, model: Model = _GENERATOR) -> Report:
    """Give every narration a free-form activity label.

    Example: anymo annotate label curation/
    """
    return curation.label(windows, model)


@app.command()
@_asks
def cluster(
    curation: Curation,
    model: Model = _GENERATOR,
    encoder: Encoder = _ENCODER,
    device: Device = None,
    threshold: Threshold = 0.85,
    min_frequency: MinFrequency = 5,
) -> Report:
    """Cluster frequent labels by meaning, and merge each cluster into one candidate.

    Example: anymo annotate cluster curation/ --min-frequency 5
    """
    from ..annotation.label_embedding import sentence_encoder

    return curation.cluster(sentence_encoder(encoder, device), encoder, model, threshold, min_frequency)


@app.command("review-export")
def review_export(
    folder: Folder,
    out: Annotated[Path | None, typer.Option(help="CSV file; default: FOLDER/review.csv.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Forget the decisions that the file holds.")] = False,
) -> None:
    """Write the candidates for people: yes or no in the column keep, another name in final_label.

    Decisions that the file holds already stay with their candidates.

    Example: anymo annotate review-export curation/
    """
    with _open(folder) as curation:
        _run(lambda: curation.review_export(out, overwrite))


@app.command("review-import")
def review_import(
    folder: Folder,
    file: Annotated[Path | None, typer.Option(help="CSV file; default: FOLDER/review.csv.")] = None,
) -> None:
    """Read people's decisions and write the vocabulary.

    Example: anymo annotate review-import curation/ --file decided.csv
    """
    with _open(folder) as curation:
        _run(lambda: curation.review_import(file))


@app.command()
@_asks
def classify(
    curation: Curation,
    windows: Windows = None,
    vocabulary: Vocabulary = None,
    model: Model = _CLASSIFIER,
    adjudicator: Annotated[str, typer.Option(help="Model that is asked where the two votes differ.")] = _ADJUDICATOR,
) -> Report:
    """Label every narration with the vocabulary: two votes, and a third where they differ.

    Example: anymo annotate classify curation/ --vocabulary anymo-180
    """
    return curation.classify(windows, vocabulary, model, adjudicator)


@app.command()
@_asks
def audit(
    curation: Curation,
    vocabulary: Vocabulary = None,
    model: Model = _AUDITOR,
    decisions: Annotated[Path | None, typer.Option(help="CSV file; default: FOLDER/audit.csv.")] = None,
    accept_proposals: AcceptProposals = False,
) -> Report:
    """Check every label in its context, class by class, and write FOLDER/annotated.parquet.

    Example: anymo annotate audit curation/ --vocabulary anymo-180
    """
    return curation.audit(vocabulary, model, decisions, accept_proposals)


@app.command()
@_asks
def run(
    curation: Curation,
    windows: Windows = None,
    vocabulary: Vocabulary = None,
    generator: Annotated[str, typer.Option(help="Augments, verifies, labels and merges.")] = _GENERATOR,
    classifier: Annotated[str, typer.Option(help="Votes twice.")] = _CLASSIFIER,
    adjudicator: Annotated[str, typer.Option(help="Votes where the two votes differ.")] = _ADJUDICATOR,
    auditor: Annotated[str, typer.Option(help="Checks labels in their context.")] = _AUDITOR,
    encoder: Encoder = _ENCODER,
    device: Device = None,
    threshold: Threshold = 0.85,
    min_frequency: MinFrequency = 5,
    accept_proposals: AcceptProposals = False,
) -> None:
    """All stages in order, on one server; stops where people must decide, and goes on when run again.

    With --vocabulary no labels are sought: what people review are then only the auditor's proposals.

    Example: anymo annotate run curation/ --windows windows.parquet --vocabulary anymo-180 --max-requests 1000
    """
    from ..annotation.curation import Waiting
    from ..annotation.label_embedding import sentence_encoder

    # asked for first: a missing package or vocabulary should not show after hours
    vectors = None if vocabulary is not None else sentence_encoder(encoder, device)
    if vocabulary is not None:
        curation.label_names(vocabulary)
    _say(curation.augment(windows, generator))
    if vectors is not None:
        _say(curation.label(None, generator))
        _say(curation.cluster(vectors, encoder, generator, threshold, min_frequency))
        review = curation.review_export()
        _say(review)
        if review["undecided"]:
            raise Waiting(
                f"{curation.folder / 'review.csv'}: write yes or no in the column keep of every row, then run again"
            )
        _say(curation.review_import())
    _say(curation.classify(None, vocabulary, classifier, adjudicator))
    _say(curation.audit(vocabulary, auditor, None, accept_proposals))


@app.command()
def serve(
    model: Annotated[
        str | None, typer.Argument(help="Folder, Hub id or .gguf file of a chat model; default: SmolLM2-135M-Instruct.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, help="On 127.0.0.1; 0 takes a free one.")] = 8080,
    dtype: Annotated[
        str, typer.Option(help="float32, or bfloat16, which some processors read long prompts faster in.")
    ] = "float32",
) -> None:
    """Serve a small chat model of this machine, for trials of these commands and of compared language models.

    Example: anymo annotate serve --port 8080
    """
    from ..annotation.local_server import LocalServer, load_local_model

    server = LocalServer(*load_local_model(model, dtype), port=port)
    typer.echo(
        f"{server.name} at {server.url}, until interrupted; it answers one request at a time: ask with one worker and a "
        "long timeout; requests need HF_HUB_OFFLINE unset"
    )
    try:
        server.serve()
    except KeyboardInterrupt:
        typer.echo("stopped")
