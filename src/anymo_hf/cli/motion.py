"""`anymo motion`: what a motion file holds, as this package understands it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import AsJson, FrameRate, Up

app = typer.Typer(
    name="motion",
    help="Motion files: BVH, MVNX, ASF/AMC, AMASS and SMPL.",
    no_args_is_help=True,
    rich_help_panel="Motion and simulation",
)


@app.callback()
def _motion() -> None:
    """Motion files: BVH, MVNX, ASF/AMC, AMASS and SMPL."""


@app.command()
def info(
    file: Annotated[Path, typer.Argument(help="A .bvh, .mvnx, .amc or .npz file.")],
    as_json: AsJson = False,
    asf: Annotated[Path | None, typer.Option(help="Skeleton of an .amc; found beside it without this.")] = None,
    frame_rate: FrameRate = None,
    unit: Annotated[
        str | None, typer.Option(help="m, cm, mm, inch or metres per unit, of a BVH or .amc; found from the legs.")
    ] = None,
    up: Up = None,
    height: Annotated[float | None, typer.Option(help="Metres, of the mean body of an AMASS or SMPL file.")] = None,
    body_model: Annotated[
        Path | None, typer.Option(help="Your SMPL body model (.npz) for an AMASS or SMPL file.")
    ] = None,
) -> None:
    """Read a motion file and print what was understood.

    Example: anymo motion info walk.bvh
    """
    from ..motion.read_motion import inspect_motion

    given = {"asf": asf, "frame_rate": frame_rate, "unit": _number(unit), "up": up, "height": height,
             "body_model": body_model}  # fmt: skip
    report = inspect_motion(file, **{name: value for name, value in given.items() if value is not None})
    summary = summarize(report)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
        return
    for name, value in summary.items():
        values = [str(item) for item in value] if isinstance(value, list) else [str(value)]
        for row, text in enumerate(values or ["none"]):
            typer.echo(f"{'' if row else name.replace('_', ' '):24} {text}")


def _number(unit: str | None) -> str | float | None:
    try:
        return None if unit is None else float(unit)
    except ValueError:
        return unit


def summarize(report: Any) -> dict[str, Any]:
    """What `info` prints of a `MotionReport`."""
    import numpy as np

    from ..modeling.body_segments import SEGMENTS
    from ..motion.formats import motion_formats

    motion, recording = report.motion, report.recording
    summary: dict[str, Any] = {
        "format": motion_formats()[report.format].title,
        "name": motion.name,
        "subject": motion.subject,
        "frames": len(motion.positions),
        "frame_rate": motion.frame_rate,
        "seconds": round(motion.duration, 3),
        "height_estimate_m": round(report.height, 2),
        "up_axis_in_file": report.up,
        "metres_per_unit": round(report.metres_per_unit, 6),
        "pelvis_height_m": "{:.3f} to {:.3f}".format(*np.quantile(motion.positions[:, 0, 2], [0, 1])),
        "segments": len(SEGMENTS),
    }  # fmt: skip
    if report.joints:
        summary["joints"] = [f"{segment}: {report.joints[segment]}" for segment in SEGMENTS if segment in report.joints]
        summary["derived_segments"] = [segment for segment in SEGMENTS if segment not in report.joints]
    if report.format in ("amass", "smpl"):
        summary["body"] = "mean skeleton unless a body model is given; its height is not the person's"
    if report.notes:
        summary["notes"] = list(report.notes)
    summary["narrations"] = len(motion.narrations)
    if recording is not None:
        fields = ("acceleration", "angular_velocity", "free_acceleration", "orientation", "magnetic_field")
        summary["trackers"] = [
            f"{name}: {SEGMENTS[segment]}"
            for name, segment in zip(recording.tracker_names, recording.tracker_segments, strict=True)
        ]
        summary["tracker_signals"] = [name for name in fields if getattr(recording, name) is not None]
        summary["repairs"] = recording.repairs
    return summary
