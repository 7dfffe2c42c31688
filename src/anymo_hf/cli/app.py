"""`anymo`: the jobs of a user, each a thin call into the package; groups of commands have a `cli_*.py` of their own."""

from __future__ import annotations

import json
import os
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from .annotate import app as annotate_app
from .archive import app as archive_app
from .archive import simulate
from .bench import app as bench_app
from .bench import make_mini_nymeria
from .convert import convert_official
from .data import app as data_app
from .export import app as export_app
from .motion import app as motion_app
from .nymeria import app as nymeria_app
from .push import app as push_app
from .sensor import app as sensor_app
from .show import app as show_app
from .stream import stream

app = typer.Typer(
    help="Human motion from wearable IMUs in any wearing setup.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(simulate)
app.command()(stream)
app.command("make-mini-nymeria")(make_mini_nymeria)
app.command("convert-official")(convert_official)
for name, group in (
    ("annotate", annotate_app), ("archive", archive_app), ("bench", bench_app), ("data", data_app),
    ("export", export_app), ("motion", motion_app), ("nymeria", nymeria_app), ("push", push_app),
    ("sensor", sensor_app), ("show", show_app),
):  # fmt: skip
    app.add_typer(group, name=name)

Model = Annotated[str, typer.Option(help="Checkpoint folder, or owner/name on the Hub.")]
CsvFile = Annotated[Path, typer.Argument(help="CSV file of one sensor, with a header row.")]
Placement = Annotated[
    str, typer.Option(help="Where it was worn, e.g. left_wrist; `anymo info --placements` lists all.")
]
Rate = Annotated[float | None, typer.Option(help="Samples per second; without it time stamps are read.")]
AccelerationUnit = Annotated[str, typer.Option(help="m/s^2, g or mg.")]
AngularVelocityUnit = Annotated[str, typer.Option(help="rad/s or deg/s.")]
Columns = Annotated[str | None, typer.Option(help="3 or 6 column names, comma-separated; usual names are found alone.")]
TimeColumn = Annotated[str | None, typer.Option(help="Column of the time stamps.")]
Window = Annotated[float, typer.Option(help="Answer for every so many seconds; a rest counts from one second on.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
TopK = Annotated[int, typer.Option(min=1, help="How many answers to print.")]


class WristSegment(StrEnum):
    """The segment that a wrist counts as."""

    forearm = "forearm"
    hand = "hand"


Wrist = Annotated[
    WristSegment | None, typer.Option(help="Segment that a wrist counts as; default: as the checkpoint was saved.")
]


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


# what a checkpoint folder must hold; a large model's weights may come in parts with an index instead
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_FILES = (
    "config.json", _WEIGHTS, "processor_config.json", "preprocessor_config.json", "tokenizer_config.json",
    "tokenizer.json", "imu_tokenizer/config.json", "imu_tokenizer/model.safetensors",
)  # fmt: skip


class Evaluation(StrEnum):
    """What `anymo evaluate` measures."""

    all = "all"
    recognition = "recognition"
    retrieval = "retrieval"
    captioning = "captioning"
    tokenizer = "tokenizer"


# -- checkpoint ----------------------------------------------------------------------------------------------------------


def _checkpoint(model: str) -> str:
    """The model's name, once it can be found: a whole folder, or owner/name."""
    folder = Path(model)
    if folder.is_dir():
        for name in _FILES:
            if name == _WEIGHTS and (folder / _INDEX).is_file():
                continue
            _check_file(model, folder / name)
    elif model.count("/") != 1 or model.startswith((".", "/", "~")):
        raise OSError(
            f"--model {model!r}: no such folder; run anymo where the folder is, or give --model FOLDER or owner/name"
        )
    return model


def _check_file(model: str, path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    mend = "fetch or save the checkpoint again"
    if not path.is_file():
        raise OSError(f"--model {model!r}: {path} is missing; {mend}")
    try:
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        else:
            with safe_open(path, framework="numpy"):
                pass
    except (ValueError, SafetensorError) as error:
        raise OSError(f"--model {model!r}: {path} is damaged ({error}); {mend}") from error


def load_model(model: str, wrist: WristSegment | None = None) -> tuple[Any, Any]:
    """Model and processor; without `wrist` the processor keeps its own."""
    import transformers

    import anymo_hf  # noqa: F401  (registers the Auto classes and pipelines)

    name = _checkpoint(model)
    chosen = {} if wrist is None else {"wrist": wrist.value}
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    try:
        processor = transformers.AutoProcessor.from_pretrained(name, **chosen)
        return transformers.AutoModelForCausalLM.from_pretrained(name).eval(), processor
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise OSError(f"--model {model!r}: its files do not fit each other ({error!r}); fetch it again") from error


def _pipeline(task: str, model: str, wrist: WristSegment | None) -> Any:
    import transformers

    loaded, processor = load_model(model, wrist)
    return transformers.pipeline(task, model=loaded, processor=processor)


# -- recordings ----------------------------------------------------------------------------------------------------------


def split_names(text: str, option: str, example: str) -> list[str]:
    """Parts of a comma-separated option, each once."""
    parts = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts:
        raise ValueError(f"{option} is empty; give at least one, such as {option} {example}")
    return parts


def _inputs(
    file: Path,
    placement: str,
    rate: float | None,
    acceleration_unit: str,
    angular_velocity_unit: str,
    columns: str | None,
    time_column: str | None,
    window: float,
) -> list[tuple[str, dict[str, Any]]]:
    """Spans in words and pipeline inputs, one per window."""
    import numpy as np

    from ..modeling.body_segments import resolve_placement
    from ..recordings.devices.table import read_csv

    resolve_placement(placement)
    if not 1 <= window < float("inf"):
        raise ValueError(f"--window must be at least 1 second, got {window:g}")
    if rate is not None and not 5 <= rate <= 10_000:
        raise ValueError(f"--rate must lie between 5 and 10,000 samples per second, got {rate:g}")
    if file.is_dir():
        raise OSError(f"{file} is a folder; give one CSV file")
    names = None if columns is None else split_names(columns, "--columns", "ax,ay,az,gx,gy,gz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a table without rows; the error below says it better
        recording = read_csv(file, placement, names, acceleration_unit, angular_velocity_unit, rate, time_column)
    signal, rate = recording.signals[placement], recording.sampling_rate
    if len(signal) < rate:
        raise ValueError(f"{file}: {len(signal)} samples at {rate:g} Hz are under one second; give a longer recording")
    usual = float(np.median(np.linalg.norm(signal[:, :3], axis=1)))
    if not 3 <= usual <= 30:
        typer.echo(
            f"anymo: warning: median acceleration is {usual:.3g} m/s^2 where a body feels about 9.8; is "
            f"--acceleration-unit {acceleration_unit} right?",
            err=True,
        )
    size = round(window * rate)
    pieces = [(start, signal[start : start + size]) for start in range(0, len(signal), size)]
    return [
        (
            f"{start / rate:.1f}-{(start + len(piece)) / rate:.1f} s",
            {"imu": {placement: piece}, "sampling_rate": rate},
        )
        for start, piece in pieces
        if len(piece) >= rate
    ]


def _print(spans: list[str], answers: list[list[dict[str, Any]]], as_json: bool, field: str) -> None:
    if as_json:
        rows = [{"window": span, "result": answer} for span, answer in zip(spans, answers, strict=True)]
        typer.echo(json.dumps(rows, indent=2))
        return
    for span, answer in zip(spans, answers, strict=True):
        typer.echo(span)
        for row in answer:
            typer.echo(f"  {row['score']:7.3f}  {row[field]}" if "score" in row else f"  {row[field]}")


# -- commands ------------------------------------------------------------------------------------------------------------


@app.command()
def recognize(
    file: CsvFile,
    placement: Placement,
    rate: Rate = None,
    acceleration_unit: AccelerationUnit = "m/s^2",
    angular_velocity_unit: AngularVelocityUnit = "rad/s",
    columns: Columns = None,
    time_column: TimeColumn = None,
    window: Window = 5.0,
    labels: Annotated[
        str | None, typer.Option(help="Candidates, comma-separated; default: all simulated ones.")
    ] = None,
    top_k: TopK = 5,
    wrist: Wrist = None,
    model: Model = "anymo",
    as_json: AsJson = False,
) -> None:
    """Which of some activities a recording shows, best first; of several windows also the mean."""
    from ..pictures.demo import activity_labels

    candidates = list(activity_labels()) if labels is None else split_names(labels, "--labels", "walking,sitting")
    pieces = _inputs(file, placement, rate, acceleration_unit, angular_velocity_unit, columns, time_column, window)
    classify = _pipeline("zero-shot-imu-classification", model, wrist)
    answers = [classify(piece, candidate_labels=candidates) for _, piece in pieces]
    spans = [span for span, _ in pieces]
    if len(answers) > 1:
        sums = dict.fromkeys(candidates, 0.0)
        for row in (row for answer in answers for row in answer):
            sums[row["label"]] += row["score"] / len(answers)
        mean = [{"score": score, "label": label} for label, score in sums.items()]
        answers.insert(0, sorted(mean, key=lambda row: -row["score"]))
        spans.insert(0, f"mean of {len(spans)} windows")
    _print(spans, [answer[:top_k] for answer in answers], as_json, "label")


@app.command()
def caption(
    file: CsvFile,
    placement: Placement,
    rate: Rate = None,
    acceleration_unit: AccelerationUnit = "m/s^2",
    angular_velocity_unit: AngularVelocityUnit = "rad/s",
    columns: Columns = None,
    time_column: TimeColumn = None,
    window: Window = 5.0,
    wrist: Wrist = None,
    model: Model = "anymo",
    as_json: AsJson = False,
) -> None:
    """A sentence about what the person does."""
    pieces = _inputs(file, placement, rate, acceleration_unit, angular_velocity_unit, columns, time_column, window)
    write = _pipeline("imu-to-text", model, wrist)
    _print([span for span, _ in pieces], [write(piece) for _, piece in pieces], as_json, "generated_text")


@app.command()
def retrieve(
    file: CsvFile,
    placement: Placement,
    rate: Rate = None,
    acceleration_unit: AccelerationUnit = "m/s^2",
    angular_velocity_unit: AngularVelocityUnit = "rad/s",
    columns: Columns = None,
    time_column: TimeColumn = None,
    window: Window = 5.0,
    texts: Annotated[
        Path | None, typer.Option(help="Text file, one candidate a line; without it simulated motions are searched.")
    ] = None,
    top_k: TopK = 5,
    wrist: Wrist = None,
    model: Model = "anymo",
    as_json: AsJson = False,
) -> None:
    """The nearest simulated motions, or the nearest of your own texts, by cosine."""
    pieces = _inputs(file, placement, rate, acceleration_unit, angular_velocity_unit, columns, time_column, window)
    if texts is not None:
        lines = texts.read_text(encoding="utf-8").splitlines()
        candidates = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
        if not candidates:
            raise ValueError(f"--texts {texts}: no line holds text; give one candidate a line")
        search = _pipeline("imu-text-retrieval", model, wrist)
        answers = [search(piece, candidate_texts=candidates, top_k=top_k) for _, piece in pieces]
    else:
        from ..pictures.demo import imu_embeddings, nearest_motions

        loaded, processor = load_model(model, wrist)
        found = [processor.feature_extractor(**piece, return_tensors="np") for _, piece in pieces]
        codes, places = ([item[name][0] for item in found] for name in ("imu_codes", "imu_placements"))
        near = nearest_motions(loaded, processor, imu_embeddings(loaded, processor, codes, places), places[0], top_k)
        answers = [[{"score": score, "text": text} for score, text in row] for row in near]
    _print([span for span, _ in pieces], answers, as_json, "text")


@app.command()
def evaluate(
    what: Annotated[Evaluation, typer.Argument(help="What to measure; all leaves recognition out without --data.")],
    data: Annotated[Path | None, typer.Option(help="Folder of datasets, for recognition.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results, one JSON file for each.")] = Path("results"),
    datasets: Annotated[
        str | None,
        typer.Option(help="Only these datasets, comma-separated; rows of others stay in recognition.json if it fits."),
    ] = None,
    max_windows: Annotated[int | None, typer.Option(min=1, help="At most so many windows a dataset.")] = None,
    windows: Annotated[
        int | None, typer.Option(min=1, help="Held-out simulated windows; default 100, for the tokenizer 1000.")
    ] = None,
    scorer: Annotated[str | None, typer.Option(help="Model for captions' BERT-F1; left out without it.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows at a time.")] = 64,
    wrist: Annotated[
        WristSegment | None,
        typer.Option(help="Segment that a wrist of real datasets counts as; default: as the checkpoint was saved."),
    ] = None,
    text_prompt: Annotated[
        TextPrompt,
        typer.Option(
            help="Wording of labels in recognition; a fixed one leaves the learned prompt out and has its own JSON file."
        ),
    ] = TextPrompt.learned,
    segments: Annotated[
        Segments, typer.Option(help="Sensors of real datasets where they were worn, or on the paper's segments.")
    ] = Segments.worn,
    label_case: Annotated[
        LabelCase | None,
        typer.Option(help="Labels in lower case or their own; default: as the checkpoint was saved."),
    ] = None,
    model: Model = "anymo",
) -> None:
    """Scores: recognition on real datasets; the others on simulated people that training never saw."""
    chosen = [item for item in Evaluation if item is not Evaluation.all] if what is Evaluation.all else [what]
    if data is None and what is Evaluation.recognition:
        raise ValueError("--data is missing: recognition needs the folder that holds the datasets")
    if data is None and what is Evaluation.all:
        chosen.remove(Evaluation.recognition)
        typer.echo("recognition left out: it needs --data DIR")
    if data is not None and not data.is_dir():
        raise OSError(f"--data {data}: no such folder; give the one that holds the datasets")
    names = None if datasets is None else split_names(datasets, "--datasets", "uci_hapt,wisdm")
    loaded, processor = load_model(model, wrist)
    if label_case is not None:
        from ..systems.embeddings import with_label_case

        processor = with_label_case(processor, label_case.value)
    common = {"model": Path(model).resolve().name if Path(model).is_dir() else model}
    failed: dict[str, Exception] = {}
    if Evaluation.recognition in chosen:
        assert data is not None
        failed = _recognition(model, loaded, processor, data, out, names, batch_size, max_windows, text_prompt.value,
                              segments.value)  # fmt: skip
        chosen.remove(Evaluation.recognition)
    if chosen:
        _simulated(chosen, loaded, processor, out, common, windows, batch_size, scorer)
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise ValueError(f"not evaluated: {reasons}; once mended, run again with --datasets {','.join(failed)}")


def _recognition(
    model, loaded, processor, data, out, names, batch_size, max_windows, text_prompt, segments
) -> dict[str, Exception]:
    """Prints the table of what could be evaluated; gives the datasets that could not."""
    from ..evaluation.recognition import (
        RecognitionSettings,
        evaluate_recognition_to_file,
        markdown_table,
        read_recognition,
    )

    settings = RecognitionSettings.of(model, processor, max_windows, text_prompt=text_prompt, segments=segments)
    file = out / settings.file_name
    if names is not None and file.is_file() and not read_recognition(out, settings):
        typer.echo(f"{file} is of another model or other settings; a new one replaces it")
    rows, failed = evaluate_recognition_to_file(loaded, processor, data, out, settings, names, batch_size)
    if rows:
        typer.echo(markdown_table(rows))
        typer.echo(f"results: {file}")
    return failed


def _simulated(chosen, loaded, processor, out, common, windows, batch_size, scorer) -> None:
    """The evaluations on simulated windows, each with its file."""
    from ..pictures.demo import held_out_windows

    counts = {item: windows or (1000 if item is Evaluation.tokenizer else 100) for item in chosen}
    codes, places, texts = held_out_windows(processor, max(counts.values()))
    for item, count in counts.items():
        parts = codes[:count], places[:count], texts[:count]
        result = common | {"windows": count} | _score(item, loaded, processor, *parts, batch_size, scorer)
        typer.echo(f"written: {_write_json(out / f'{item.value}.json', result)}")


def _score(item: Evaluation, model, processor, codes, places, texts, batch_size, scorer) -> dict[str, Any]:
    """One evaluation on simulated windows: prints its scores and gives them as JSON."""
    if item is Evaluation.retrieval:
        from ..evaluation.retrieval import evaluate_retrieval

        scores = evaluate_retrieval(model, processor, codes, places, texts, batch_size)
        both = {"imu_to_text": _percent(scores.imu_to_text), "text_to_imu": _percent(scores.text_to_imu)}
        for name, values in both.items():
            typer.echo(f"{name} among {scores.texts} texts and {len(texts)} windows: {_line(values)}")
        return {"unit": "percent", "texts": scores.texts, **both}
    if item is Evaluation.captioning:
        from ..evaluation.captioning import evaluate_captioning

        found = evaluate_captioning(model, processor, codes, places, texts, min(batch_size, 16), scorer)
        values = _percent(found.scores)
        typer.echo(f"captions of {len(texts)} windows: {_line(values)}")
        named = {} if scorer is None else {"scorer": scorer}
        return {"unit": "percent", "scores": values, **named, "captions": found.captions, "references": texts}
    from ..evaluation.tokenizer_diagnostics import diagnose_codes

    config = processor.feature_extractor.pqvae.config
    usage = diagnose_codes(codes, config.codebook_size, config.num_codebooks)
    typer.echo(usage.markdown())
    books = [{**vars(book), "dead_ratio": book.dead_ratio} for book in usage.books]
    return {"unit": "fraction", "collision_rate": usage.collision_rate, "books": books}


def _percent(scores: dict[str, float]) -> dict[str, float]:
    return {name: 100 * score for name, score in scores.items()}


def _line(percent: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in percent.items())


def _write_json(path: Path, value: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)
    return path


@app.command()
def demo(
    data: Annotated[
        Path | None, typer.Option(help="Folder of real datasets; without it a person is simulated.")
    ] = None,
    activity: Annotated[str | None, typer.Option(help="Simulate this activity instead of a random one.")] = None,
    placements: Annotated[
        str | None, typer.Option(help="Worn where, comma-separated; default: three at random.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Which person or window; simulated ones from 900000 up, unseen in training.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("demo.png"),
    model: Model = "anymo",
) -> None:
    """Recognise, caption and retrieve for one person, and draw it."""
    from ..motion.procedural.activities import HELD_OUT_SEED
    from ..pictures.demo import real_recording, run_demo, simulated_recording

    if data is not None and (activity is not None or placements is not None):
        raise ValueError("--activity and --placements choose what is simulated; leave them out with --data")
    if out.suffix.lower() != ".png":
        raise ValueError(f"--out must be a .png file, got {out}")
    _checkpoint(model)
    if data is not None:
        recording = real_recording(data, seed or 0)
    else:
        worn = None if placements is None else split_names(placements, "--placements", "left_wrist,head")
        recording = simulated_recording(HELD_OUT_SEED if seed is None else seed, activity, worn)
    typer.echo(run_demo(*load_model(model), recording, out).report())


@app.command()
def info(
    model: Model = "anymo",
    placements: Annotated[bool, typer.Option("--placements", help="List placement names and their segments.")] = False,
) -> None:
    """What a checkpoint holds, or which placement names are understood."""
    from ..modeling.body_segments import PLACEMENTS, SEGMENTS, WRISTS, resolve_placement

    if placements:
        for name in sorted([*PLACEMENTS, *WRISTS]):
            typer.echo(f"{name:18} {SEGMENTS[resolve_placement(name)]}")
        return
    import transformers

    from .. import __version__

    loaded, processor = load_model(model)
    books = processor.feature_extractor.pqvae.config
    rows = {
        "checkpoint": model,
        "anymo-hf / transformers": f"{__version__} / {transformers.__version__}",
        "language model": f"{loaded.config.text_config.model_type}, {_millions(loaded)} parameters",
        "IMU encoder": f"{_millions(processor.feature_extractor.stgcn)} parameters, 60 Hz, 23 segments",
        "motion tokenizer": f"{books.num_codebooks} books of {books.codebook_size} codes, 15 steps a second",
        "embedding": f"{loaded.config.projection_dim} dimensions",
        "vocabulary": f"{len(processor.tokenizer)} tokens",
    }
    if Path(model).is_dir():
        size = sum(path.stat().st_size for path in Path(model).rglob("*") if path.is_file())
        rows["size on disk"] = f"{size / 1e6:.1f} MB"
    for name, value in rows.items():
        typer.echo(f"{name:24} {value}")


def _millions(module: Any) -> str:
    return f"{sum(parameter.numel() for parameter in module.parameters()) / 1e6:.2f} M"


def main() -> None:
    """Entry point: bad input ends with one line and exit code 2, not with a traceback."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except typer.TyperException as error:
        if len(sys.argv) < 2:  # called without a command: typer has printed the help
            sys.exit(error.exit_code)
        message, code = f"{error.format_message()} (anymo --help says more)", error.exit_code
    except (ValueError, OSError) as error:
        message, code = str(error), 2
    except ImportError as error:
        message, code = f"{error}; install the extras: pip install 'anymo-hf[eval,viz,annotate,vrs]'", 2
    typer.echo(f"anymo: {' '.join(message.split())}", err=True)
    sys.exit(code)
