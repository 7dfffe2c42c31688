"""`anymo stream`: answers about a sensor while its samples arrive, from a table or standard input."""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Labels, Model, Placement, TopK, Wrist, split_names, with_options_of
from .reading import in_shell_words, live_options

app = typer.Typer()


@app.command(rich_help_panel="Recordings")
@with_options_of(options=live_options)
def stream(
    file: Annotated[str, typer.Argument(help="Table of one sensor, or - for standard input.")],
    placement: Placement,
    options: Any,
    window: Annotated[float, typer.Option(help="Seconds that an answer is about.")] = 5.0,
    hop: Annotated[float, typer.Option(help="Seconds from one answer to the next.")] = 1.0,
    labels: Labels = None,
    captions: Annotated[bool, typer.Option("--captions", help="Add a sentence about what the person does.")] = False,
    time_unit: Annotated[
        str | None, typer.Option(help="Of numbers in --time-column: s, ms, us or ns; default: as its name says, or s.")
    ] = None,
    on_gap: Annotated[
        str, typer.Option(help="Where time stamps pause: raise (stop) or reset (go on behind it).")
    ] = "raise",
    top_k: TopK = 3,
    wrist: Wrist = None,
    model: Model = "anymo",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one line per answer.")] = False,
) -> None:
    """One line per hop while samples arrive; at the end, or at Ctrl-C, one for the rest if it lasts a second.

    Time stamps count only where --time-column names them, as numbers or ISO dates; they find pauses and date the answers.

    Example: anymo stream live.csv --placement left_wrist --rate 50 --labels walking,sitting
    """
    from ..modeling.body_segments import resolve_placement
    from ..modeling.streaming_anymo import AnyMoStream
    from ..recordings.devices.live_table import open_live_table
    from ..recordings.devices.table_layout import encoding_of
    from ..systems.activity_labels import simulated_labels
    from ..systems.checkpoint import load_checkpoint

    resolve_placement(placement, wrist or "forearm")
    if time_unit not in (None, "s", "ms", "us", "ns"):
        raise ValueError(f"--time-unit must be one of s, ms, us, ns, got {time_unit!r}")
    if on_gap not in ("raise", "reset"):
        raise ValueError(f"--on-gap must be raise or reset, got {on_gap!r}")
    if on_gap == "reset" and options.time_column is None:
        raise ValueError("--on-gap reset needs --time-column: without time stamps no pause is seen")
    candidates = list(simulated_labels()) if labels is None else split_names(labels, "--labels", "walking,sitting")
    where = "standard input" if file == "-" else file
    if Path(file).is_dir():
        raise OSError(f"{file} is a folder; give one table, or - for standard input")
    # a pipe or a serial port cannot be read twice
    encoding = encoding_of(Path(file)) if Path(file).is_file() else "utf-8-sig"
    with nullcontext(sys.stdin) if file == "-" else open(file, encoding=encoding, newline="") as lines:
        # the first rows before the model is loaded: a wrong column is said at once
        table = open_live_table(lines, where, options, time_unit)
        rate = table.rate
        if rate is None:
            raise ValueError(f"{where}: --rate is missing: say how many samples a second come")
        for warning in table.warnings:
            typer.echo(f"anymo: warning: {in_shell_words(warning)}", err=True)
        loaded, processor = load_checkpoint(model, wrist)
        live = AnyMoStream(
            loaded, processor, placement, rate, table.acceleration_unit, table.angular_velocity_unit, window, hop,
            candidates, captions, on_gap=on_gap,
        )  # fmt: skip
        checked = 0
        try:
            for row in table.rows():
                try:
                    events = live.push(row.values[None], None if row.stamp is None else [row.stamp])
                except ValueError as error:
                    raise ValueError(f"{where}, line {row.line}: {error}") from error
                checked += 1
                for event in events:
                    _print(event, top_k, as_json)
        except KeyboardInterrupt:  # how a live stream usually ends
            pass
        except BrokenPipeError:  # `| head` has seen enough; Python would complain again when it flushes at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
    if checked < rate:
        raise ValueError(f"{where}: {checked} samples at {rate:g} Hz are under one second; give a longer recording")
    try:
        rest = live.flush()
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    for event in rest:
        _print(event, top_k, as_json)


def _print(event: Any, top_k: int, as_json: bool) -> None:
    best = list(event.scores.items())[:top_k]
    if as_json:
        answer = {
            "start": round(event.start, 6), "end": round(event.end, 6), "codes": event.codes.tolist(),
            "labels": [{"label": label, "score": score} for label, score in best], "caption": event.caption,
            "latency": event.latency,
        }  # fmt: skip
        typer.echo(json.dumps(answer))
        return
    parts = [", ".join(f"{label} {score:.3f}" for label, score in best)]
    parts += [] if event.caption is None else [event.caption]
    typer.echo(f"{event.start:.2f}-{event.end:.2f} s  {'  | '.join(parts)}  ({1000 * event.latency:.0f} ms)")
