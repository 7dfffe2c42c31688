"""`anymo evaluate`: scores on real datasets and on simulated people."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .options import Model, WristSegment, split_names

app = typer.Typer(
    name="evaluate",
    help="Scores: recognition on real datasets; retrieval, captioning and tokenizer on simulated people.",
    no_args_is_help=True,
    rich_help_panel="Evaluation",
)


class TextPrompt(StrEnum):
    """How a label is put into words, see `TEXT_PROMPTS`."""

    learned = "learned"
    bare = "bare"
    person = "person"
    imu = "imu"
    activity = "activity"


class Segments(StrEnum):
    """Where sensors of real datasets count as worn, see `read_windows`."""

    worn = "worn"
    paper = "paper"


class LabelCase(StrEnum):
    """Letters of label texts."""

    lower = "lower"
    own = "own"


Data = Annotated[Path | None, typer.Option(help="Folder of datasets, for recognition.")]
Out = Annotated[Path, typer.Option(help="Folder for the results, one JSON file for each.")]
Datasets = Annotated[
    str | None,
    typer.Option(help="Only these datasets, comma-separated; rows of others stay in recognition.json if it fits."),
]
MaxWindows = Annotated[int | None, typer.Option(min=1, help="At most so many windows a dataset.")]
Windows = Annotated[
    int | None, typer.Option(min=1, help="Held-out simulated windows; default 100, for the tokenizer 1000.")
]
Scorer = Annotated[str | None, typer.Option(help="Model for captions' BERT-F1; left out without it.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Windows at a time.")]
Wrist = Annotated[
    WristSegment | None,
    typer.Option(help="Segment that a wrist of real datasets counts as; default: as the checkpoint was saved."),
]
Prompt = Annotated[
    TextPrompt,
    typer.Option(
        help="Wording of labels in recognition; a fixed one leaves the learned prompt out and has its own JSON file."
    ),
]
WornOn = Annotated[
    Segments, typer.Option(help="Sensors of real datasets where they were worn, or on the paper's segments.")
]
Letters = Annotated[
    LabelCase | None, typer.Option(help="Labels in lower case or their own; default: as the checkpoint was saved.")
]


SystemName = Annotated[
    str | None,
    typer.Option(
        "--system", help="Any compared system, see anymo evaluate systems; without it the checkpoint of --model alone."
    ),
]
Source = Annotated[str | None, typer.Option(help="Weights, Hub id or endpoint of --system; default: the system's own.")]


class WindowsSplit(StrEnum):
    """Which windows of a windows file are tested."""

    all = "all"
    paper = "paper"
    people = "people"


Split = Annotated[
    WindowsSplit | None,
    typer.Option(
        help="Tested with --system: the paper's test, 30 % of the people, or all; default: paper, and people for a "
        "system that learns."
    ),
]


@app.command()
def windows(
    data: Annotated[Path, typer.Option(help="Folder that holds the downloads, each in a folder of its name.")],
    out: Annotated[Path, typer.Option(help="Folder for NAME.parquet.")] = Path("windows"),
    datasets: Datasets = None,
    segments: WornOn = Segments.worn,
) -> None:
    """Write one windows file a dataset, which every compared system then reads.

    Example: anymo evaluate windows --data DIR --out windows
    """
    from ..recordings.catalogue import DATASETS, known_dataset
    from ..recordings.windows_file import describe, read_windows_file, write_windows

    names = list(DATASETS) if datasets is None else split_names(datasets, "--datasets", "uci_hapt,wisdm")
    found = [name for name in names if known_dataset(name) and (data / name).is_dir()]
    if not found or datasets is not None and found != names:
        raise OSError(f"--data {data} has no folder {', '.join(sorted(set(names) - set(found)))}; unpack it there")
    failed: dict[str, Exception] = {}
    for name in found:
        try:
            path = write_windows(name, data / name, out, segments.value)
            typer.echo(f"{describe(read_windows_file(path))}\nwritten: {path}")
        except (OSError, ValueError) as error:
            failed[name] = error
    if failed:
        raise ValueError("not written: " + "; ".join(f"{name}: {error}" for name, error in failed.items()))


@app.command()
def systems() -> None:
    """List the compared systems: what they need, their rate, their licence.

    Example: anymo evaluate systems
    """
    from ..systems.interface import systems as known

    for name, kind in known().items():
        rate = "any rate" if kind.rate is None else f"{kind.rate:g} Hz"
        labels = " and labels" if kind.can("fit") and kind.requires == "weights" else ""
        typer.echo(f"{name}: {kind.title}; needs {kind.requires}{labels}; {rate}; {kind.licence}")


@app.command("all")
def everything(
    data: Data = None,
    out: Out = Path("results"),
    datasets: Datasets = None,
    max_windows: MaxWindows = None,
    windows: Windows = None,
    scorer: Scorer = None,
    batch_size: BatchSize = 64,
    wrist: Wrist = None,
    text_prompt: Prompt = TextPrompt.learned,
    segments: WornOn = Segments.worn,
    label_case: Letters = None,
    model: Model = "anymo",
) -> None:
    """Everything below that needs no training; recognition is left out without --data.

    Example: anymo evaluate all --data DIR --out results
    """
    simulated = ["retrieval", "captioning", "tokenizer"]
    if data is None:
        typer.echo("recognition left out: it needs --data DIR")
        _simulated(simulated, out, windows, batch_size, scorer, model, wrist)
        return
    failed = _recognition(data, out, datasets, max_windows, batch_size, wrist, text_prompt, segments, label_case, model)
    _simulated(simulated, out, windows, batch_size, scorer, model, wrist)
    _raise(failed)


@app.command()
def recognition(
    data: Data = None,
    out: Out = Path("results"),
    datasets: Datasets = None,
    max_windows: MaxWindows = None,
    batch_size: BatchSize = 64,
    wrist: Wrist = None,
    text_prompt: Prompt = TextPrompt.learned,
    segments: WornOn = Segments.worn,
    label_case: Letters = None,
    model: Model = "anymo",
    system: SystemName = None,
    source: Source = None,
    split: Split = None,
    seed: Annotated[int, typer.Option(help="Of --system: what is random in it, and the draw of --max-windows.")] = 0,
) -> None:
    """Recognition of real datasets (paper Table 1), beside chance and the majority class: the checkpoint, or any system.

    Example: anymo evaluate recognition --data windows --system feature_forest --datasets uci_hapt,wisdm
    """
    if data is None:
        raise ValueError("--data is missing: recognition needs the folder that holds the datasets")
    if system is None and (source is not None or split is not None):
        raise ValueError("--source and --split go with --system NAME")
    if system is not None:
        from ..evaluation.system_recognition import evaluate_system

        if not data.is_dir():
            raise OSError(f"--data {data}: no such folder; give the one that holds the windows files or datasets")
        names = None if datasets is None else split_names(datasets, "--datasets", "uci_hapt,wisdm")
        chosen = None if split is None else split.value
        for line in evaluate_system(system, data, out, source, names, chosen, max_windows, seed, segments.value):
            typer.echo(line)
        return
    _raise(_recognition(data, out, datasets, max_windows, batch_size, wrist, text_prompt, segments, label_case, model))


@app.command()
def retrieval(
    out: Out = Path("results"), windows: Windows = None, batch_size: BatchSize = 64, model: Model = "anymo"
) -> None:
    """Texts for windows and windows for texts, on simulated people (as paper Table 2).

    Example: anymo evaluate retrieval --windows 100
    """
    _simulated(["retrieval"], out, windows, batch_size, None, model)


@app.command()
def captioning(
    out: Out = Path("results"),
    windows: Windows = None,
    scorer: Scorer = None,
    batch_size: BatchSize = 16,
    model: Model = "anymo",
    data: Annotated[
        Path | None, typer.Option(help="Folder of windows files: caption labelled real windows instead.")
    ] = None,
    datasets: Annotated[str, typer.Option(help="Whose windows, with --data.")] = "uci_hapt,usc_had",
) -> None:
    """Captions of simulated people against their narrations (as paper Table 3), or of real windows beside their labels.

    Example: anymo evaluate captioning --data windows --datasets uci_hapt,usc_had
    """
    if data is not None:
        from ..evaluation.labelled_captions import evaluate_labelled_captions
        from ..systems.checkpoint import load_checkpoint, weights_sha256

        if scorer is not None:
            raise ValueError("--scorer compares with sentences, and windows of --data have labels alone; leave it out")
        names = split_names(datasets, "--datasets", "uci_hapt,usc_had")
        loaded = load_checkpoint(model)
        for line in evaluate_labelled_captions(names, data, *loaded, out, weights_sha256(model), windows):
            typer.echo(line)
        return
    _simulated(["captioning"], out, windows, batch_size, scorer, model)


@app.command()
def tokenizer(out: Out = Path("results"), windows: Windows = None, model: Model = "anymo") -> None:
    """How evenly the motion tokenizer uses its codes (paper A.3), on simulated people.

    Example: anymo evaluate tokenizer --windows 1000
    """
    _simulated(["tokenizer"], out, windows, 64, None, model)


@app.command("few-labels")
def few_labels(
    data: Annotated[Path, typer.Option(help="Folder that holds usc_had and uci_hapt as downloaded.")],
    output: Annotated[Path, typer.Option(help="Results; a stopped run goes on there.")] = Path(
        "results/few_labels.json"
    ),
    cache: Annotated[Path, typer.Option(help="Folder that keeps motion codes.")] = Path("runs/few_labels"),
    compare_rates: Annotated[
        bool, typer.Option("--compare-rates", help="Compare learning rates on a training person, then stop.")
    ] = False,
    model: Model = "anymo",
) -> None:
    """Recognition learned from few labels, people held out: fine-tuning beside a forest and a network from scratch.

    Example: anymo evaluate few-labels --data DIR
    """
    from ..evaluation.few_labels import run_few_labels

    for line in run_few_labels(data, model, output, cache, compare_rates):
        typer.echo(line)


@app.command()
def narrated(
    system: Annotated[str, typer.Option("--system", help="Any compared system.")] = "anymo",
    nymeria: Annotated[Path | None, typer.Option(help="Folder of Nymeria sequences with the held-out people.")] = None,
    annotations: Annotated[
        str | None, typer.Option(help="Their windows, Parquet or CSV; default: the official files in the sequences.")
    ] = None,
    times: Annotated[str, typer.Option(help="Clock of the annotations: timecode or motion.")] = "timecode",
    incomplete: Annotated[
        bool,
        typer.Option(
            "--incomplete", help="Keep windows of Nymeria that lack a device or its second IMU; the authors drop them."
        ),
    ] = False,
    ego_exo4d: Annotated[
        Path | None, typer.Option("--ego-exo4d", help="EgoExo4D: takes/, annotations/ and takes.json.")
    ] = None,
    tasks: Annotated[str, typer.Option(help="retrieval, captions or both.")] = "retrieval,captions",
    subsets: Annotated[str, typer.Option(help="100, all or both.")] = "100,all",
    scorer: Scorer = None,
    out: Out = Path("results"),
    source: Source = None,
) -> None:
    """Retrieval and captions of real narrated windows (paper Tables 2 and 3): Nymeria held-out, EgoExo4D zero-shot.

    Example: anymo evaluate narrated --nymeria DIR --subsets 100 --scorer microsoft/deberta-xlarge-mnli
    """
    if nymeria is None and ego_exo4d is None:
        raise ValueError("--nymeria or --ego-exo4d is missing: give the folder of one or both")
    parts = {"--tasks": (tasks, ("retrieval", "captions")), "--subsets": (subsets, ("100", "all"))}
    for option, (given, known) in parts.items():
        if wrong := sorted(set(split_names(given, option, ",".join(known))) - set(known)):
            raise ValueError(f"{option}: {', '.join(wrong)} is unknown; known: {', '.join(known)}")
    from ..evaluation.narrated_scores import evaluate_narrated
    from ..evaluation.narrated_windows import ego_exo4d_windows, nymeria_windows
    from ..nymeria.annotated_windows import NymeriaSource
    from ..systems.interface import load_system

    loaded = load_system(system, source)
    found = []
    if nymeria is not None:
        found.append(nymeria_windows(NymeriaSource(str(nymeria), annotations, times), incomplete=incomplete))
    if ego_exo4d is not None:
        found.append(ego_exo4d_windows(ego_exo4d))
    for windows in found:
        typer.echo(f"{windows.dataset}: {len(windows.texts)} windows, {windows.note}")
        for line in evaluate_narrated(loaded, windows, out, tasks.split(","), subsets.split(","), scorer):
            typer.echo(line)


@app.command()
def bench(
    repository: Annotated[
        Path, typer.Option(help="A Bench: ours, a download of the official one, or a simulated one.")
    ],
    system: Annotated[str, typer.Option("--system", help="Any compared system, or several, comma-separated.")],
    settings: Annotated[
        str | None, typer.Option(help='Only these, comma-separated, such as "Core50 / Unseen Subject".')
    ] = None,
    max_train: Annotated[int | None, typer.Option(min=2, help="At most so many windows to learn from.")] = None,
    max_test: Annotated[int | None, typer.Option(min=1, help="At most so many windows to test.")] = None,
    seed: Annotated[int, typer.Option(help="Of what is random.")] = 0,
    out: Out = Path("results"),
    source: Source = None,
) -> None:
    """AnyMo Bench (paper Table 8): unseen people, and unseen people with a device that training never saw.

    Example: anymo evaluate bench --repository anymo-bench --system deep_conv_lstm
    """
    from ..evaluation.bench_scores import evaluate_bench

    names = None if settings is None else split_names(settings, "--settings", "Core50 / Unseen Subject")
    for name in split_names(system, "--system", "feature_forest,anymo"):
        for line in evaluate_bench(name, repository, out, source, names, max_train, max_test, seed):
            typer.echo(f"{name}: {line}")


@app.command()
def choices(
    data: Annotated[
        Path | None, typer.Option(help="Folder of windows files, or of downloads; simulated windows need none.")
    ] = None,
    dataset: Annotated[str, typer.Option(help='Whose windows are asked about; "simulated" for held-out people.')] = (
        "uci_hapt"
    ),
    windows: Annotated[int, typer.Option(min=1, help="At most so many, each class by its share.")] = 100,
    options: Annotated[int, typer.Option(min=2, help="Options of each question.")] = 35,
    seed: Annotated[int, typer.Option(help="Of the options and their order.")] = 0,
    out: Out = Path("results"),
    system: Annotated[str, typer.Option("--system", help="anymo, language_text or language_plot.")] = "anymo",
    source: Source = None,
) -> None:
    """Recognition as a multiple-choice question to a language model, by log-probability and by generation.

    Example: anymo evaluate choices --data windows --dataset uci_hapt --windows 50
    """
    from ..evaluation.multiple_choice import SIMULATED, evaluate_choices, questions_of, simulated_questions
    from ..recordings.windows_file import load_windows
    from ..systems.interface import known_system, load_system

    if not known_system(system).can("choose"):
        raise ValueError(
            f"--system {system}: has no language model to ask; anymo, language_text and language_plot have"
        )
    if dataset == SIMULATED:
        questions = simulated_questions(windows, options, seed)
    elif data is None:
        raise ValueError(
            f"--data is missing: {dataset} is read from a folder of windows files; or ask --dataset {SIMULATED}"
        )
    else:
        questions = questions_of(load_windows(dataset, data), windows, options, seed)
    for line in evaluate_choices(load_system(system, source), questions, out, seed):
        typer.echo(line)


@app.command()
def embeddings(
    data: Annotated[Path, typer.Option(help="Folder of windows files, or of downloads.")],
    dataset: Annotated[str, typer.Option(help="Whose windows stand beside simulated ones.")] = "uci_hapt",
    system: Annotated[str, typer.Option("--system", help="A system with embeddings of windows.")] = "anymo",
    windows: Annotated[int, typer.Option(min=1, help="Real and simulated windows of each activity.")] = 100,
    out: Out = Path("results"),
    source: Source = None,
) -> None:
    """Embed real windows and simulated ones of the same activities and place, for anymo figures umap (paper Figure 6).

    Example: anymo evaluate embeddings --data windows --dataset uci_hapt
    """
    from ..evaluation.paired_embeddings import paired_embeddings, refuse_other_embeddings, write_embeddings
    from ..evaluation.system_recognition import weights_of
    from ..recordings.windows_file import load_windows
    from ..systems.interface import load_system

    loaded, shown = load_system(system, source), load_windows(dataset, data)
    refuse_other_embeddings(out, system, shown.dataset, weights_of(loaded), shown.sha256)
    found = paired_embeddings(loaded, shown, windows)
    typer.echo(f"{len(found.labels)} windows of {len(set(found.labels))} activities")
    typer.echo(f"written: {write_embeddings(out, system, found)}")


@app.command("setup-shift")
def setup_shift(
    data: Annotated[Path, typer.Option(help="Folder of windows files, or of downloads.")],
    system: Annotated[str, typer.Option("--system", help="A system that learns, or several, comma-separated.")],
    out: Out = Path("results"),
    datasets: Annotated[str | None, typer.Option(help="Only these datasets, comma-separated.")] = None,
    shares: Annotated[str, typer.Option(help="Labelled windows a class, comma-separated; 0 is all.")] = "1,5,10,0",
    seeds: Annotated[int, typer.Option(min=1, help="Splits of the people.")] = 5,
    source: Source = None,
) -> None:
    """Table C: few labels, people held out, and the sensor turned, elsewhere, slower or of another kind in use.

    Example: anymo evaluate setup-shift --data windows --system feature_forest,anymo_robust --datasets uci_hapt
    """
    from ..evaluation.setup_shift import run_setup_shift

    counts = split_names(shares, "--shares", "1,5,0")
    if not all(count.isdigit() for count in counts):
        raise ValueError(f"--shares {shares}: whole numbers, comma-separated, such as 1,5,10,0")
    names = None if datasets is None else split_names(datasets, "--datasets", "uci_hapt,geotec")
    for name in split_names(system, "--system", "feature_forest,anymo_robust"):
        for line in run_setup_shift(name, data, out, source, names, [int(count) for count in counts], seeds):
            typer.echo(line)


def _recognition(
    data: Path,
    out: Path,
    datasets: str | None,
    max_windows: int | None,
    batch_size: int,
    wrist: WristSegment | None,
    text_prompt: TextPrompt,
    segments: Segments,
    label_case: LabelCase | None,
    model: str,
) -> dict[str, Exception]:
    """Prints the table of what could be evaluated; gives the datasets that could not."""
    if not data.is_dir():
        raise OSError(f"--data {data}: no such folder; give the one that holds the datasets")
    names = None if datasets is None else split_names(datasets, "--datasets", "uci_hapt,wisdm")
    from ..evaluation.recognition import (
        RecognitionSettings,
        evaluate_recognition_to_file,
        markdown_table,
        read_recognition,
    )
    from ..systems.checkpoint import load_checkpoint
    from ..systems.embeddings import with_label_case

    loaded, processor = load_checkpoint(model, wrist)
    if label_case is not None:
        processor = with_label_case(processor, label_case.value)
    settings = RecognitionSettings.of(
        model, processor, max_windows, text_prompt=text_prompt.value, segments=segments.value
    )
    file = out / settings.file_name
    if names is not None and file.is_file() and not read_recognition(out, settings):
        typer.echo(f"{file} is of another model or other settings; a new one replaces it")
    rows, failed = evaluate_recognition_to_file(loaded, processor, data, out, settings, names, batch_size)
    if rows:
        typer.echo(markdown_table(rows))
        typer.echo(f"results: {file}")
    return failed


def _raise(failed: dict[str, Exception]) -> None:
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise ValueError(f"not evaluated: {reasons}; once mended, run again with --datasets {','.join(failed)}")


def _simulated(
    parts: list[str],
    out: Path,
    windows: int | None,
    batch_size: int,
    scorer: str | None,
    model: str,
    wrist: WristSegment | None = None,
) -> None:
    from ..evaluation.simulated_windows import evaluate_simulated
    from ..systems.checkpoint import load_checkpoint, weights_sha256

    loaded, processor = load_checkpoint(model, wrist)
    name = Path(model).resolve().name if Path(model).is_dir() else model
    weights = weights_sha256(model)
    for line in evaluate_simulated(parts, loaded, processor, out, name, weights, windows, batch_size, scorer):
        typer.echo(line)
