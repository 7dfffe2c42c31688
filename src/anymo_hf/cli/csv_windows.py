"""What the commands on files of sensors share: how a file is read, its windows, and how answers are printed."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import AccelerationUnit, AngularVelocityUnit, Columns, Placement, split_names, with_options_of

if TYPE_CHECKING:
    from ..recordings.devices.device_format import ReadingOptions
    from ..recordings.imu_recording import ImuRecording

Windows = list[tuple[str, dict[str, Any]]]


def reading_options(
    rate: Annotated[float | None, typer.Option(help="Samples per second; without it time stamps are read.")] = None,
    acceleration_unit: AccelerationUnit = None,
    angular_velocity_unit: AngularVelocityUnit = None,
    columns: Columns = None,
    time_column: Annotated[str | None, typer.Option(help="Column of the time stamps.")] = None,
) -> Any:
    """What a user says about a file on the command line.

    Raises:
        ValueError: a rate that no recording has, or no column.
    """
    from ..recordings.devices.device_format import ReadingOptions

    if rate is not None and not 5 <= rate <= 10_000:
        raise ValueError(f"--rate must lie between 5 and 10,000 samples per second, got {rate:g}")
    names = None if columns is None else split_names(columns, "--columns", "ax,ay,az,gx,gy,gz")
    return ReadingOptions(names, acceleration_unit, angular_velocity_unit, rate, time_column)


def read_stretches(file: Path, placement: str, options: ReadingOptions) -> list[ImuRecording]:
    """A file's unbroken parts in order of time; a warning where the acceleration's unit looks wrong.

    Raises:
        ValueError, OSError: a file that cannot be read, in one line.
    """
    import numpy as np

    from ..modeling.body_segments import resolve_placement
    from ..recordings.devices.read_device import read_device

    resolve_placement(placement)
    if file.is_dir():
        raise OSError(f"{file} is a folder; give one CSV file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a table without rows; the error says it better
        recording = read_device(file, placement, options=options)
    recording.source = recording.source or str(file)
    signal = recording.signals[placement]
    if len(signal) < recording.sampling_rate:
        raise ValueError(
            f"{file}: {len(signal)} samples at {recording.sampling_rate:g} Hz are under one second; give a longer recording"
        )
    warn_about_scale(float(np.median(np.linalg.norm(signal[:, :3], axis=1))), options.acceleration_unit or "m/s^2")
    return [recording]


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


def warn_about_scale(usual: float, unit: str) -> None:
    """A line on standard error where the median acceleration in m/s^2 is not what a body feels."""
    if not 3 <= usual <= 30:
        typer.echo(
            f"anymo: warning: median acceleration is {usual:.3g} m/s^2 where a body feels about 9.8; is "
            f"--acceleration-unit {unit} right?",
            err=True,
        )


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
