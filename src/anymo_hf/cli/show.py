"""`anymo show`: body, placements, window and recording, each as a PNG and as a page that can be turned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import FrameRate, Up, with_options_of
from .reading import Options, reading_options, warn

if TYPE_CHECKING:
    from ..recordings.imu_recording import ImuRecording

app = typer.Typer(
    name="show",
    help="Pictures: the body, placements, simulated signals, real recordings.",
    no_args_is_help=True,
    rich_help_panel="Motion and simulation",
)

Out = Annotated[Path, typer.Option(help="Writes NAME.png and NAME.html.", metavar="NAME")]
Start = Annotated[float, typer.Option(help="First second to show.")]


def _name(out: Path) -> Path:
    """The name without the ending of one of the two files."""
    if out.suffix.lower() in (".png", ".html"):
        out = out.with_suffix("")
    if not out.name or out.is_dir():
        raise ValueError(f"--out {out} is a folder; give a name in it, such as {out / 'figure'}")
    return out


def _report(paths: tuple[Path, Path]) -> None:
    for path in paths:
        typer.echo(f"written: {path} ({path.stat().st_size / 1e6:.1f} MB)")


@app.command()
def body(
    height: Annotated[float | None, typer.Option(help="Body height in metres; default 1.75.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead: as tall as a simulated person.")] = None,
    out: Out = Path("body"),
) -> None:
    """The body in the T-pose, its skeleton and the names of its 23 segments.

    Example: anymo show body --height 1.8 --out body
    """
    from ..pictures.show import show_body

    if height is not None and not 0.5 <= height <= 2.6:
        raise ValueError(f"--height must lie between 0.5 and 2.6 m, got {height:g}")
    if height is not None and seed is not None:
        raise ValueError("--height and --seed both decide how tall the body is; give one of them")
    _report(show_body(_name(out), height, seed))


@app.command()
def placements(
    segment: Annotated[
        list[str] | None, typer.Option(help="Only this segment or place, e.g. L_Forearm or left_wrist; repeatable.")
    ] = None,
    frames: Annotated[bool, typer.Option("--frames", help="Draw the sensor axes of some candidates.")] = False,
    out: Out = Path("placements"),
) -> None:
    """Where a sensor can sit on the body, coloured by segment.

    Example: anymo show placements --segment L_Forearm --out forearm
    """
    from ..pictures.show import show_placements

    _report(show_placements(_name(out), segment or (), frames))


@app.command()
def window(
    motion: Annotated[Path | None, typer.Option(help="Motion file, e.g. a BVH; otherwise --activity.")] = None,
    up: Up = None,
    frame_rate: FrameRate = None,
    activity: Annotated[str | None, typer.Option(help="Simulated activity; default walking.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which simulated person.")] = 0,
    placement: Annotated[
        list[str] | None,
        typer.Option(help="Where a sensor sits; repeatable. Default left_wrist, right_pocket and head."),
    ] = None,
    start: Start = 0.0,
    seconds: Annotated[float, typer.Option(help="How long.")] = 5.0,
    out: Out = Path("window"),
) -> None:
    """A moving body with sensors, and the signals they would give (rigid, without noise).

    Example: anymo show window --activity walking --placement left_wrist --out walking
    """
    from ..pictures.show import DEFAULT_PLACEMENTS, show_window

    if motion is not None and activity is not None:
        raise ValueError("--motion and --activity both say what moves; give one of them")
    if not 0 <= start < float("inf"):
        raise ValueError(f"--start must be at least 0, got {start:g}")
    if not 0.1 <= seconds <= 600:
        raise ValueError(f"--seconds must lie between 0.1 and 600, got {seconds:g}")
    name = _name(out)
    if motion is not None:
        from ..motion.read_motion import read_motion

        given = {"up": up, "frame_rate": frame_rate}
        said = {name: value for name, value in given.items() if value is not None}
        moved, title = read_motion(motion, **said), motion.name
    else:
        from ..motion.procedural import simulate_activity

        # a second more, so that the end is differentiated like the middle
        activity = activity or "walking"
        moved = simulate_activity(activity, seed, max(2.0, start + seconds + 1.0))
        title = f"{activity.replace('_', ' ')}, simulated person {seed}"
    _report(show_window(name, moved, placement or DEFAULT_PLACEMENTS, start, seconds, title))


@app.command()
@with_options_of(options=reading_options)
def recording(
    source: Annotated[Path, typer.Argument(help="File of one sensor, or the folder of a dataset.")],
    options: Options,
    placement: Annotated[str | None, typer.Option(help="CSV: where it was worn, e.g. left_wrist.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Folder: which dataset it is; default: by its name.")] = None,
    index: Annotated[int, typer.Option(min=0, help="Folder: which of its labelled windows.")] = 0,
    start: Start = 0.0,
    seconds: Annotated[float, typer.Option(help="How long at most.")] = 30.0,
    out: Out = Path("recording"),
) -> None:
    """A real recording: its signals with units, rate and label, and where on the body the sensors sit.

    Example: anymo show recording walk.csv --placement left_wrist --rate 50 --out walk
    """
    from ..pictures.show import show_recording

    if not 0 <= start < float("inf"):
        raise ValueError(f"--start must be at least 0, got {start:g}")
    if not 0 < seconds < float("inf"):
        raise ValueError(f"--seconds must be positive, got {seconds:g}")
    name = _name(out)
    if source.is_dir():
        found = _window_of(source, dataset, index)
        title = f"{found.dataset}, window {index}, person {found.subject or '?'}, session {found.session or '?'}"
    else:
        from ..modeling.body_segments import resolve_placement
        from ..recordings.devices.export import read_export

        if placement is None:
            raise ValueError("--placement is missing: say where the sensor of the CSV was worn, e.g. left_wrist")
        resolve_placement(placement)
        export = read_export(source, placement, options=options)
        warn(export)
        found = export.only()
        title = source.name
    _report(show_recording(name, found, title, start, seconds))


def _window_of(folder: Path, dataset: str | None, index: int) -> ImuRecording:
    """One labelled window of a dataset folder."""
    from ..recordings.catalogue import DATASETS, read_windows

    name = dataset or folder.resolve().name
    if name not in DATASETS:
        raise ValueError(f"{folder}: {name!r} is no known dataset; give --dataset, one of {', '.join(DATASETS)}")
    count = 0
    for count, found in enumerate(read_windows(name, folder), 1):
        if count > index:
            return found
    raise ValueError(f"--index {index}: {folder} holds {count} labelled windows, from 0 to {count - 1}")
