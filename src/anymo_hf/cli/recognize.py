"""`anymo recognize`: what a recording, or every recording of a study, shows over time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .csv_windows import read_stretches, reading_options
from .options import AsJson, Model, Wrist, split_names, with_options_of

if TYPE_CHECKING:
    from ..recordings.imu_recording import ImuRecording

app = typer.Typer()


@app.command(rich_help_panel="Recordings")
@with_options_of(options=reading_options)
def recognize(
    options: Any,
    file: Annotated[Path | None, typer.Argument(help="File of one sensor: a table, or a device's export.")] = None,
    placement: Annotated[
        str | None, typer.Option(help="Where it was worn, e.g. left_wrist; `anymo info --placements` lists all.")
    ] = None,
    sensor: Annotated[
        list[str] | None,
        typer.Option(metavar="PLACE=FILE", help="Instead of FILE: one of several sensors worn at once; repeatable."),
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Instead of FILE: a CSV of many recordings, file and placement a row.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Manifest: folder of the answers.")] = None,
    num_proc: Annotated[int, typer.Option(min=1, help="Manifest: recordings at a time.")] = 1,
    engine: Annotated[str, typer.Option(help="Manifest: local, or ray for a cluster.")] = "local",
    labels: Annotated[
        str | None, typer.Option(help="Candidates, comma-separated; default: a short everyday list.")
    ] = None,
    labels_file: Annotated[Path | None, typer.Option(help="Candidates from a text file, one a line.")] = None,
    none: Annotated[
        bool, typer.Option("--none", help="May answer 'none of these', where another simulated activity fits better.")
    ] = False,
    window: Annotated[float, typer.Option(help="Seconds that are looked at together.")] = 5.0,
    hop: Annotated[float | None, typer.Option(help="Seconds from one window to the next; default: --window.")] = None,
    smoothing: Annotated[int, typer.Option(help="Windows whose mean decides, an odd number; 1: none.")] = 3,
    top_k: Annotated[int, typer.Option(min=1, help="How many mean scores to print.")] = 3,
    csv: Annotated[Path | None, typer.Option(help="Write the timeline to this table.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the timeline to this .png.")] = None,
    wrist: Wrist = None,
    model: Model = "anymo",
    as_json: AsJson = False,
) -> None:
    """What a recording shows over time: start, end, activity and how sure.

    A window's scores become the mean over three windows, the best one is its activity, and equal neighbours are joined. A
    fine-tuned model answers with its own labels. Many recordings: --manifest files.csv --out answers.

    Example: anymo recognize walk.csv --placement left_wrist --rate 50 --labels walking,sitting
    """
    from ..systems.activity_labels import read_labels

    if labels is not None and labels_file is not None:
        raise ValueError("--labels and --labels-file both say what to choose from; give one of them")
    candidates = None if labels is None else split_names(labels, "--labels", "walking,sitting")
    if labels_file is not None:
        candidates = read_labels(labels_file)
    if sum(part is not None for part in (file, manifest)) + bool(sensor) != 1:
        raise ValueError("give one of FILE with --placement, --sensor PLACE=FILE for each sensor, or --manifest FILE")
    if not 1 <= window < float("inf"):
        raise ValueError(f"--window must be at least 1 second, got {window:g}")
    if hop is not None and not 0.1 <= hop <= window:
        raise ValueError(f"--hop must lie between 0.1 s and --window, {window:g} s, got {hop:g}")
    if smoothing < 1 or smoothing % 2 == 0:
        raise ValueError(f"--smoothing must be an odd number of windows, got {smoothing}")
    if plot is not None and plot.suffix.lower() != ".png":
        raise ValueError(f"--plot must be a .png file, got {plot}")
    if manifest is None and out is not None:
        raise ValueError("--out is the folder of a --manifest's answers; one recording has --csv, --json and --plot")
    if manifest is not None:
        if out is None:
            raise ValueError("--out is missing: give the folder for the answers")
        if placement or csv or plot or as_json or any(value is not None for value in vars(options).values()):
            raise ValueError(
                "with --manifest, placements and reading options stand in its columns, and answers in --out"
            )
        settings = (model, None if candidates is None else tuple(candidates), none, wrist, window, hop, smoothing)
        _many(manifest, out, settings, engine, num_proc)
        return
    read = [path for path in (file, labels_file, *(Path(text.partition("=")[2]) for text in sensor or [])) if path]
    for name, target in (("--csv", csv), ("--plot", plot)):
        if target is not None and any(target.resolve() == path.resolve() for path in read):
            raise ValueError(f"{name} {target} is a file that is read here; give another name")
    stretches = _recording(file, placement, sensor or [], options)
    _one(
        stretches, model, wrist, candidates, none, window, hop, smoothing, top_k, csv, plot, as_json
    )  # fmt: skip


def _recording(file: Path | None, placement: str | None, sensors: list[str], options: Any) -> list[ImuRecording]:
    """One file's stretches, or the recording of several sensors."""
    if file is not None:
        if placement is None:
            raise ValueError("--placement is missing: say where the sensor was worn, e.g. left_wrist")
        return read_stretches(file, placement, options)
    from ..recordings.worn_together import worn_together

    if placement is not None:
        raise ValueError("--placement and --sensor both say where sensors were worn; give --sensor PLACE=FILE only")
    parts = []
    for text in sensors:
        place, sign, name = text.partition("=")
        if not sign or not place or not name:
            raise ValueError(f"--sensor must be PLACE=FILE, such as left_wrist=watch.csv, got {text!r}")
        found = read_stretches(Path(name), place.strip(), options)
        if len(found) > 1:
            raise ValueError(f"{name}: {len(found)} stretches with pauses between; cut the files to one unbroken span")
        parts += found
    return [worn_together(parts)]


def _one(
    stretches: list[ImuRecording],
    model: str,
    wrist: str | None,
    labels: list[str] | None,
    none: bool,
    window: float,
    hop: float | None,
    smoothing: int,
    top_k: int,
    csv: Path | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Answers about one recording, printed as they come."""
    from tqdm import tqdm

    from ..modeling.windows import TimelineEntry, WindowAnswer
    from ..pictures.timeline import clock, draw_timeline, headline
    from ..systems.recognizer import activity_seconds, count_windows, load_recognizer, mean_scores, recognize
    from ..systems.timeline_files import timeline_json, write_timeline_csv

    recognizer = load_recognizer(model, labels, none, wrist)
    first = stretches[0]
    seconds = sum(_length(part) / part.sampling_rate for part in stretches)
    places = ", ".join(place.replace("_", " ") for place in first.signals)
    title = f"{first.source}: {clock(seconds)}, {places}, {first.sampling_rate:g} Hz"
    if not as_json:
        typer.echo(title)
    answers: list[WindowAnswer] = []
    entries: list[TimelineEntry] = []
    with tqdm(total=count_windows(stretches, window, hop), unit="window", delay=2, leave=False, disable=None) as bar:

        def seen(answer: WindowAnswer) -> None:
            answers.append(replace(answer, embedding=None))
            bar.update()

        for entry in recognize(recognizer, stretches, window, hop, smoothing, seen):
            entries.append(entry)
            if not as_json:
                span = f"{clock(entry.start):>10} - {clock(entry.end):>10}"
                bar.write(f"{span}  {entry.activity}  {entry.confidence:.2f}")
    spent, mean = activity_seconds(entries), mean_scores(answers, recognizer.labels)
    if csv is not None:
        write_timeline_csv(csv, entries)
    if plot is not None:
        import numpy as np

        rate, begin = first.sampling_rate, first.start_time
        length = round((stretches[-1].start_time - begin) * rate) + _length(stretches[-1])
        joined = {place: (np.full(length, np.nan), rate) for place in first.signals}  # pauses stay empty
        for part in stretches:
            at = round((part.start_time - begin) * rate)
            for place, signal in part.signals.items():
                joined[place][0][at : at + len(signal)] = np.linalg.norm(signal[:, :3], axis=1)[: length - at]
        draw_timeline(plot, entries, spent, joined, title)
    if as_json:
        about = {
            "file": first.source, "seconds": seconds, "sampling_rate": first.sampling_rate,
            "placements": list(first.signals), "model": model, "labels": list(recognizer.labels), "window": window,
            "hop": hop or window, "smoothing": smoothing, "seconds_of": spent, "mean_scores": mean,
        }  # fmt: skip
        typer.echo(json.dumps(about | timeline_json(entries, answers, recognizer.labels), indent=2))
    else:
        typer.echo(f"in all: {headline(spent)}")
        best = ", ".join(f"{label} {score:.3f}" for label, score in list(mean.items())[:top_k])
        typer.echo(f"mean scores of {len(answers)} window{'s' if len(answers) > 1 else ''}: {best}")
    for path in (csv, plot):
        if path is not None:
            typer.echo(f"written: {path}", err=as_json)


def _many(manifest: Path, out: Path, settings: tuple, engine: str, num_proc: int) -> None:
    """Answers about every recording of a manifest; exit code 1 where one gave none."""
    from tqdm import tqdm

    from ..systems.many_recordings import DATA, REPORT, RecognizeSettings, read_manifest, recognize_manifest

    recordings = read_manifest(manifest)
    with tqdm(total=len(recordings), unit="recording", delay=2, disable=None) as bar:
        report = recognize_manifest(
            recordings, out, RecognizeSettings(*settings), engine, num_proc, lambda row: bar.update()
        )
    problems = [row for row in report if row["problem"]]
    hours = sum(row["seconds"] for row in report if not row["problem"]) / 3600
    typer.echo(f"{len(report) - len(problems)} of {len(report)} recordings answered, {hours:.1f} h: {out / DATA}")
    for row in problems[:10]:
        typer.echo(f"  not answered: {row['recording']}: {row['problem']}")
    if len(problems) > 10:
        typer.echo(f"  and {len(problems) - 10} more")
    typer.echo(f"report: {out / REPORT}")
    if problems:
        raise typer.Exit(1)


def _length(recording: ImuRecording) -> int:
    return len(next(iter(recording.signals.values())))
