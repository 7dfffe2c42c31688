"""`anymo`: recognize, caption, retrieve, evaluate, demo and info, each a thin call into the package."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Human motion from wearable IMUs in any wearing setup.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

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
Window = Annotated[float | None, typer.Option(help="Cut into windows of so many seconds; without it the whole file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
TopK = Annotated[int, typer.Option(min=1, help="How many answers to print.")]


class Evaluation(StrEnum):
    """What `anymo evaluate` measures."""

    recognition = "recognition"
    retrieval = "retrieval"
    captioning = "captioning"
    tokenizer = "tokenizer"


def _checkpoint(model: str) -> str:
    """The model's name, once it can be found: a folder, or owner/name."""
    if Path(model).is_dir() and not (Path(model) / "config.json").is_file():
        raise OSError(f"--model {model!r}: the folder holds no config.json, so it is no checkpoint")
    if not Path(model).is_dir() and (model.count("/") != 1 or model.startswith((".", "/", "~"))):
        raise OSError(
            f"--model {model!r}: no such folder; run anymo where the folder is, or give --model FOLDER or owner/name"
        )
    return model


def _load(model: str) -> tuple[Any, Any]:
    import transformers

    import anymo_hf  # noqa: F401  (registers the Auto classes)

    name = _checkpoint(model)
    processor = transformers.AutoProcessor.from_pretrained(name)
    return transformers.AutoModelForCausalLM.from_pretrained(name).eval(), processor


def _pipeline(task: str, model: str) -> Any:
    import transformers

    import anymo_hf  # noqa: F401  (registers the pipelines)

    return transformers.pipeline(task, model=_checkpoint(model))


def _split(text: str, option: str) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ValueError(f"{option} is empty; give at least one, such as {option} walking,sitting")
    return parts


def _inputs(
    file: Path,
    placement: str,
    rate: float | None,
    acceleration_unit: str,
    angular_velocity_unit: str,
    columns: str | None,
    time_column: str | None,
    window: float | None,
) -> list[tuple[str, dict[str, Any]]]:
    """Spans in words and pipeline inputs, one per window."""
    from .modeling.body_graph import resolve_placement
    from .recordings.csv_file import read_csv

    resolve_placement(placement)
    if window is not None and not window >= 1:
        raise ValueError(f"--window must be at least 1 second, got {window}")
    names = None if columns is None else _split(columns, "--columns")
    recording = read_csv(file, placement, names, acceleration_unit, angular_velocity_unit, rate, time_column)
    pieces = [recording] if window is None else list(recording.windows(window))
    length = len(recording.signals[placement]) / recording.sampling_rate
    if not pieces:
        raise ValueError(f"{file}: {length:.2f} s long, shorter than --window {window:g}; choose a smaller window")
    span = window or length
    return [
        (f"{i * span:.1f}-{(i + 1) * span:.1f} s", {"imu": piece.signals, "sampling_rate": piece.sampling_rate})
        for i, piece in enumerate(pieces)
    ]


def _print(spans: list[str], answers: list[Any], as_json: bool, field: str) -> None:
    if as_json:
        rows = [{"window": span, "result": answer} for span, answer in zip(spans, answers, strict=True)]
        typer.echo(json.dumps(rows, indent=2))
        return
    for span, answer in zip(spans, answers, strict=True):
        typer.echo(span)
        for row in answer:
            typer.echo(f"  {row['score']:7.3f}  {row[field]}" if "score" in row else f"  {row[field]}")


@app.command()
def recognize(
    file: CsvFile,
    placement: Placement,
    rate: Rate = None,
    acceleration_unit: AccelerationUnit = "m/s^2",
    angular_velocity_unit: AngularVelocityUnit = "rad/s",
    columns: Columns = None,
    time_column: TimeColumn = None,
    window: Window = None,
    labels: Annotated[
        str | None, typer.Option(help="Candidates, comma-separated; default: all simulated ones.")
    ] = None,
    top_k: TopK = 5,
    model: Model = "anymo",
    as_json: AsJson = False,
) -> None:
    """Which of some activities a recording shows, best first."""
    from .evaluation.demo import activity_labels

    candidates = list(activity_labels()) if labels is None else _split(labels, "--labels")
    pieces = _inputs(file, placement, rate, acceleration_unit, angular_velocity_unit, columns, time_column, window)
    classify = _pipeline("zero-shot-imu-classification", model)
    answers = [classify(piece, candidate_labels=candidates, top_k=top_k) for _, piece in pieces]
    _print([span for span, _ in pieces], answers, as_json, "label")


@app.command()
def caption(
    file: CsvFile,
    placement: Placement,
    rate: Rate = None,
    acceleration_unit: AccelerationUnit = "m/s^2",
    angular_velocity_unit: AngularVelocityUnit = "rad/s",
    columns: Columns = None,
    time_column: TimeColumn = None,
    window: Window = None,
    model: Model = "anymo",
    as_json: AsJson = False,
) -> None:
    """A sentence about what the person does."""
    pieces = _inputs(file, placement, rate, acceleration_unit, angular_velocity_unit, columns, time_column, window)
    write = _pipeline("imu-to-text", model)
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
    window: Window = None,
    texts: Annotated[
        Path | None, typer.Option(help="Text file, one candidate a line; without it simulated motions are searched.")
    ] = None,
    top_k: TopK = 5,
    model: Model = "anymo",
    as_json: AsJson = False,
) -> None:
    """The nearest simulated motions, or the nearest of your own texts."""
    pieces = _inputs(file, placement, rate, acceleration_unit, angular_velocity_unit, columns, time_column, window)
    if texts is not None:
        candidates = [line.strip() for line in texts.read_text(encoding="utf-8").splitlines() if line.strip()]
        if not candidates:
            raise ValueError(f"--texts {texts}: no line holds text; give one candidate a line")
        search = _pipeline("imu-text-retrieval", model)
        answers = [search(piece, candidate_texts=candidates, top_k=top_k) for _, piece in pieces]
    else:
        from .evaluation.demo import nearest_motions

        loaded, processor = _load(model)
        answers = []
        for _, piece in pieces:
            found = processor.feature_extractor(**piece, return_tensors="np")
            codes, places = found["imu_codes"][0], found["imu_placements"][0]
            near = nearest_motions(loaded, processor, codes, places, [placement], top_k)
            answers.append([{"score": score, "text": text} for text, score in near])
    _print([span for span, _ in pieces], answers, as_json, "text")


@app.command()
def evaluate(
    what: Annotated[Evaluation, typer.Argument(help="What to measure.")],
    data: Annotated[Path | None, typer.Option(help="Folder of datasets (recognition only).")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("results"),
    datasets: Annotated[str | None, typer.Option(help="Only these datasets, comma-separated.")] = None,
    max_windows: Annotated[int | None, typer.Option(min=1, help="At most so many windows a dataset.")] = None,
    windows: Annotated[int, typer.Option(min=1, help="Held-out simulated windows (not for recognition).")] = 100,
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
    model: Model = "anymo",
) -> None:
    """Scores: recognition on real datasets; the others on simulated people that training never saw."""
    if what is Evaluation.recognition:
        if data is None:
            raise ValueError("--data is missing: recognition needs the folder that holds the datasets")
        if not data.is_dir():
            raise OSError(f"--data {data}: no such folder")
        from .evaluation.recognition import evaluate_recognition, write_recognition

        chosen = None if datasets is None else _split(datasets, "--datasets")
        rows = evaluate_recognition(*_load(model), data, chosen, batch_size, max_windows)
        typer.echo(write_recognition(rows, out))
        typer.echo(f"written: {out / 'recognition.json'}")
        return
    from .evaluation.demo import held_out_windows

    loaded, processor = _load(model)
    codes, places, texts = held_out_windows(processor, windows)
    result: dict[str, Any] = {"model": model, "windows": windows, "unit": "fraction"}
    if what is Evaluation.retrieval:
        from .evaluation.retrieval import evaluate_retrieval

        scores = evaluate_retrieval(loaded, processor, codes, places, texts, batch_size)
        result |= {"texts": scores.texts, "imu_to_text": scores.imu_to_text, "text_to_imu": scores.text_to_imu}
    elif what is Evaluation.captioning:
        from .evaluation.captioning import evaluate_captioning

        captions = evaluate_captioning(loaded, processor, codes, places, texts, batch_size)
        result |= {"scores": captions.scores, "captions": captions.captions, "references": texts}
    else:
        from .evaluation.tokenizer_diagnostics import diagnose_codes

        config = processor.feature_extractor.pqvae.config
        usage = diagnose_codes(codes, config.codebook_size, config.num_codebooks)
        typer.echo(usage.markdown())
        result |= {
            "collision_rate": usage.collision_rate,
            "books": [{**vars(book), "dead_ratio": book.dead_ratio} for book in usage.books],
        }
    path = _write_json(out / f"{what.value}.json", result)
    for name, value in result.items():
        if name in ("imu_to_text", "text_to_imu", "scores"):
            typer.echo(f"{name}: " + ", ".join(f"{key} {100 * score:.1f}" for key, score in value.items()))
    typer.echo(f"written: {path}")


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
    seed: Annotated[int | None, typer.Option(help="Which person; from 900000 up, which training never draws.")] = None,
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("demo.png"),
    model: Model = "anymo",
) -> None:
    """Recognise, caption and retrieve for one person, and draw it."""
    from .evaluation.demo import real_recording, run_demo, simulated_recording
    from .motion.procedural import HELD_OUT_SEED

    seed = HELD_OUT_SEED if seed is None else seed
    if data is not None and (activity is not None or placements is not None):
        raise ValueError("--activity and --placements choose what is simulated; leave them out with --data")
    if out.suffix.lower() != ".png":
        raise ValueError(f"--out must be a .png file, got {out}")
    _checkpoint(model)
    if data is not None:
        recording = real_recording(data, seed)
    else:
        worn = None if placements is None else _split(placements, "--placements")
        recording = simulated_recording(seed, activity, worn)
    typer.echo(run_demo(*_load(model), recording, out).report())


@app.command()
def info(
    model: Model = "anymo",
    placements: Annotated[bool, typer.Option("--placements", help="List placement names and their segments.")] = False,
) -> None:
    """What a checkpoint holds, or which placement names are understood."""
    from .modeling.body_graph import PLACEMENTS, SEGMENTS, resolve_placement

    if placements:
        for name in sorted([*PLACEMENTS, "left_wrist", "right_wrist"]):
            typer.echo(f"{name:18} {SEGMENTS[resolve_placement(name)]}")
        return
    import transformers

    from . import __version__

    loaded, processor = _load(model)
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
    for name, value in rows.items():
        typer.echo(f"{name:24} {value}")


def _millions(module: Any) -> str:
    return f"{sum(parameter.numel() for parameter in module.parameters()) / 1e6:.2f} M"


def main() -> None:
    """Entry point: bad input ends with its message and exit code 2, not with a traceback."""
    try:
        app()
    except (ValueError, OSError) as error:
        typer.echo(f"anymo: {error}", err=True)
        sys.exit(2)
