"""What the commands on files of sensors share: how a file is read, its windows, and how answers are printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import Placement, with_options_of
from .reading import reading_options, warn

if TYPE_CHECKING:
    from ..recordings.devices.device_format import ReadingOptions
    from ..recordings.imu_recording import ImuRecording

Windows = list[tuple[str, dict[str, Any]]]


def read_stretches(file: Path, placement: str, options: ReadingOptions) -> list[ImuRecording]:
    """A file's unbroken parts in order of time; warnings where something looks wrong.

    Raises:
        ValueError, OSError: a file that cannot be read, in one line.
    """
    from ..modeling.body_segments import resolve_placement
    from ..recordings.devices.export import read_export

    resolve_placement(placement)
    export = read_export(file, placement, options=options)
    if export.samples < export.sampling_rate:
        raise ValueError(
            f"{file}: {export.samples} samples at {export.sampling_rate:g} Hz are under one second; give a longer recording"
        )
    warn(export)
    return list(export.stretches)


@with_options_of(options=reading_options)
def csv_windows(
    file: Annotated[Path, typer.Argument(help="File of one sensor: a table, or a device's export.")],
    placement: Placement,
    options: Any,
    window: Annotated[
        float, typer.Option(help="Answer for every so many seconds; a rest counts from one second on.")
    ] = 5.0,
) -> Windows:
    """Spans in words and pipeline inputs, one per window.

    Raises:
        ValueError, OSError: an option or a file that cannot be read, in one line.
    """
    from ..modeling.windows import hop_spans

    if not 1 <= window < float("inf"):
        raise ValueError(f"--window must be at least 1 second, got {window:g}")
    pieces: Windows = []
    stretches = read_stretches(file, placement, options)
    for part in stretches:
        signal, rate = part.signals[placement], part.sampling_rate
        offset = part.start_time - stretches[0].start_time
        for start, end in hop_spans(len(signal), rate, window):
            span = f"{offset + start / rate:.1f}-{offset + end / rate:.1f} s"
            pieces.append((span, {"imu": {placement: signal[start:end]}, "sampling_rate": rate}))
    return pieces


def window_codes(processor: Any, windows: Windows) -> tuple[list[Any], list[list[int]]]:
    """Per window its motion codes `(2L,)` and the segment indices of its sensors.

    Of one longer than the processor's `max_window_seconds` the middle piece, as the pipelines' captions take it.
    """
    found = [processor.windows(**piece, middle=True) for _, piece in windows]
    return [rows[0][0] for rows, _ in found], [places[0] for _, places in found]


def print_answers(spans: list[str], answers: list[list[dict[str, Any]]], as_json: bool, field: str) -> None:
    """Spans and their answers, as text or JSON; `field` holds the words of an answer."""
    if as_json:
        rows = [{"window": span, "result": answer} for span, answer in zip(spans, answers, strict=True)]
        typer.echo(json.dumps(rows, indent=2))
        return
    for span, answer in zip(spans, answers, strict=True):
        typer.echo(span)
        for row in answer:
            typer.echo(f"  {row['score']:7.3f}  {row[field]}" if "score" in row else f"  {row[field]}")
