"""`anymo stream`: answers about a sensor while its samples arrive, from a CSV file or standard input."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from .options import AccelerationUnit, AngularVelocityUnit, Columns, Labels, Model, Placement, TopK, Wrist, split_names

_TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

app = typer.Typer()


@app.command(rich_help_panel="Recordings")
def stream(
    file: Annotated[str, typer.Argument(help="CSV of one sensor with a header row, or - for standard input.")],
    placement: Placement,
    rate: Annotated[float, typer.Option(help="Samples per second.")],
    window: Annotated[float, typer.Option(help="Seconds that an answer is about.")] = 5.0,
    hop: Annotated[float, typer.Option(help="Seconds from one answer to the next.")] = 1.0,
    labels: Labels = None,
    captions: Annotated[bool, typer.Option("--captions", help="Add a sentence about what the person does.")] = False,
    acceleration_unit: AccelerationUnit = None,
    angular_velocity_unit: AngularVelocityUnit = None,
    columns: Columns = None,
    time_column: Annotated[
        str | None, typer.Option(help="Time stamps, as numbers, to find pauses by and to date answers with.")
    ] = None,
    time_unit: Annotated[str, typer.Option(help="Of the time column: s, ms, us or ns.")] = "s",
    on_gap: Annotated[
        str, typer.Option(help="Where time stamps pause: raise (stop) or reset (go on behind it).")
    ] = "raise",
    top_k: TopK = 3,
    wrist: Wrist = None,
    model: Model = "anymo",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one line per answer.")] = False,
) -> None:
    """One line per hop while samples arrive; at the end, or at Ctrl-C, one for the rest if it lasts a second.

    Example: anymo stream live.csv --placement left_wrist --rate 50 --labels walking,sitting
    """
    from ..modeling.body_segments import resolve_placement
    from ..modeling.streaming_anymo import AnyMoStream
    from ..systems.activity_labels import simulated_labels
    from ..systems.checkpoint import load_checkpoint

    resolve_placement(placement, wrist or "forearm")
    if time_unit not in _TIME_UNITS:
        raise ValueError(f"--time-unit must be one of {', '.join(_TIME_UNITS)}, got {time_unit!r}")
    candidates = list(simulated_labels()) if labels is None else split_names(labels, "--labels", "walking,sitting")
    wanted = None if columns is None else split_names(columns, "--columns", "ax,ay,az,gx,gy,gz")
    where = "standard input" if file == "-" else file
    if Path(file).is_dir():
        raise OSError(f"{file} is a folder; give one CSV file, or - for standard input")
    with nullcontext(sys.stdin) if file == "-" else open(file, encoding="utf-8-sig", newline="") as lines:
        # the header first: a wrong column is said before the model is loaded
        reader = _rows(lines, where)
        _, header = next(reader, (0, []))
        channels, clock, units = _columns(header, where, wanted, time_column)
        acceleration_unit, angular_velocity_unit = acceleration_unit or units[0], angular_velocity_unit or units[1]
        loaded, processor = load_checkpoint(model, wrist)
        live = AnyMoStream(
            loaded, processor, placement, rate, acceleration_unit, angular_velocity_unit, window, hop, candidates, captions,
            on_gap=on_gap,
        )  # fmt: skip
        checked = 0
        try:
            for number, row in reader:
                if len(row) != len(header):
                    raise ValueError(
                        f"{where}, line {number}: {len(row)} fields instead of {len(header)}; repair the line"
                    )
                try:
                    sample = np.array([[float(row[index]) for index in channels]])
                    stamp = None if clock is None else [float(row[clock]) * _TIME_UNITS[time_unit]]
                except ValueError as error:
                    raise ValueError(f"{where}, line {number}: {error}; repair the line") from error
                try:
                    events = live.push(sample, stamp)
                except ValueError as error:
                    raise ValueError(f"{where}, line {number}: {error}") from error
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


def _rows(lines: Iterable[str], where: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each line as it comes; empty lines are passed over."""
    reader = csv.reader(lines)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except (csv.Error, UnicodeDecodeError) as error:
        raise OSError(f"{where}, line {reader.line_num + 1}: not a readable CSV ({error})") from error


def _columns(
    header: list[str], where: str, wanted: list[str] | None, time_column: str | None
) -> tuple[list[int], int | None, tuple[str, str]]:
    """Positions of the channels and of the time stamps, and the units that the header names.

    Raises:
        ValueError: no header, or columns that it lacks.
    """
    from ..modeling.imu_signal import ACCELERATION_UNITS, ANGULAR_VELOCITY_UNITS
    from ..recordings.devices.table_columns import find_triples, unit_of

    names = [name.strip().lstrip("\ufeff") for name in header]
    if not names:
        raise ValueError(f"{where}: empty; the first line must name the columns, such as acc_x,acc_y,acc_z")
    if wanted is None:
        triples = find_triples(names)
        found = [next((t.columns for t in triples if t.kind == kind), ()) for kind in ("acc", "gyr")]
        if not found[0]:
            raise ValueError(
                f"{where}: no acceleration columns such as acc_x, acc_y, acc_z among {names}; the first line must name "
                "them, or give --columns"
            )
        wanted = [name for triple in found for name in triple]
    missing = [name for name in wanted if name not in names]
    if missing or len(wanted) not in (3, 6):
        raise ValueError(f"{where}: need 3 or 6 columns; {missing or wanted} do not fit {names}")
    if time_column is not None and time_column not in names:
        raise ValueError(f"{where}: --time-column {time_column!r} is not among {names}")
    said = unit_of(wanted[0], {}), unit_of(wanted[-1], {})
    units = (
        said[0] if said[0] in ACCELERATION_UNITS else "m/s^2",
        said[1] if said[1] in ANGULAR_VELOCITY_UNITS else "rad/s",
    )
    clock = None if time_column is None else names.index(time_column)
    return [names.index(name) for name in wanted], clock, units


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
