"""`anymo simulate` and `anymo archive`: make, check and describe an archive of simulated motion."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .options import FrameRate, Up

app = typer.Typer(
    name="archive",
    help="Archives of simulated motion.",
    no_args_is_help=True,
    rich_help_panel="Motion and simulation",
)
commands = typer.Typer()


class Config(StrEnum):
    """What `anymo simulate` writes."""

    kinematics = "kinematics"
    views = "views"
    dense = "dense"


class Engine(StrEnum):
    """Where recordings are simulated."""

    local = "local"
    ray = "ray"


Folder = Annotated[Path, typer.Argument(help="The archive.")]


@commands.command(rich_help_panel="Motion and simulation")
def simulate(
    out: Annotated[Path, typer.Option(help="Folder for the archive; a stopped run goes on there.")],
    motion: Annotated[
        Path | None, typer.Option(help="Folder of motion files or Nymeria sequences, searched to any depth.")
    ] = None,
    up: Up = None,
    frame_rate: FrameRate = None,
    procedural: Annotated[int, typer.Option(min=0, help="So many simulated people for every activity.")] = 0,
    seconds: Annotated[float, typer.Option(min=2, help="Length of a procedural recording.")] = 60.0,
    activities: Annotated[
        str | None, typer.Option(help="Procedural activities, comma-separated; default: all.")
    ] = None,
    config: Annotated[
        Config,
        typer.Option(
            help="kinematics: poses, from which any placement follows. views and dense go to OUT/views and OUT/dense "
            "beside OUT/kinematics: one IMU a segment, or all 2,374 candidates (12.3 GB an hour)."
        ),
    ] = Config.kinematics,
    views: Annotated[int, typer.Option(min=1, help="Views of each window, for --config views.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the placements drawn, for --config views.")] = 0,
    priors: Annotated[
        Path | None,
        typer.Option(
            help="For --config views: device noise from a file of `anymo sensor estimate --out`; default: presets."
        ),
    ] = None,
    num_proc: Annotated[int, typer.Option(min=1, help="Recordings at a time.")] = 1,
    engine: Annotated[
        Engine, typer.Option(help="local: processes of this machine; ray: the cluster of RAY_ADDRESS.")
    ] = Engine.local,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out files that cannot be read.")] = False,
) -> None:
    """Simulate motion files, or procedural people, into an archive.

    Example: anymo simulate --out archive/ --procedural 2 --num-proc 2
    """
    from ..nymeria.sequence import read_captured
    from ..simulation.archive import simulate_archive
    from ..simulation.archive.derived import materialize, materialize_views

    names = None if activities is None else [name.strip() for name in activities.split(",") if name.strip()]
    folder = out if config is Config.kinematics else out / "kinematics"
    given = {"up": up, "frame_rate": frame_rate}
    reading = {name: value for name, value in given.items() if value is not None}
    how = {"engine": engine.value, "num_proc": num_proc}
    manifest = simulate_archive(
        folder, motion, procedural, seconds, names, skip_broken=skip_broken, read=read_captured, reading=reading, **how
    )
    typer.echo(_summary(folder, manifest))
    for name, why in manifest.left_out.items():
        typer.echo(f"left out: {name}: {why}")
    if config is Config.views:
        noise = None if priors is None else [str(priors)]
        made = materialize_views(folder, out / "views", views=views, seed=seed, noise=noise, **how)
        typer.echo(_summary(out / "views", made))
    elif config is Config.dense:
        typer.echo(_summary(out / "dense", materialize(folder, out / "dense", **how)))


def _summary(folder: Path, manifest) -> str:
    held = f"{len(manifest.shards)} recordings of {manifest.kind}, {manifest.seconds / 3600:.3g} hours"
    return f"{folder}: {held}, {manifest.bytes / 1e6:.1f} MB"


@app.command()
def verify(folder: Folder) -> None:
    """Compare every file with the manifest; exit code 1 where one is missing, cut off, altered or too many.

    Example: anymo archive verify archive/
    """
    from ..simulation.archive.manifest import read_manifest, verify_archive

    problems = verify_archive(folder)
    for problem in problems:
        typer.echo(f"{folder}: {problem}", err=True)
    if problems:
        raise typer.Exit(1)
    manifest = read_manifest(folder)
    typer.echo(f"{folder}: all {len(manifest.shards) + len(manifest.tables)} files are as they were written")


@app.command()
def info(folder: Folder) -> None:
    """What an archive holds, and how much smaller it is than the dense layout.

    Example: anymo archive info archive/
    """
    from ..simulation.archive.derived import dense_bytes
    from ..simulation.archive.manifest import read_manifest

    manifest = read_manifest(folder)
    sources: dict[str, float] = {}
    for entry in manifest.shards:
        sources[entry.source] = sources.get(entry.source, 0.0) + entry.frames / entry.frame_rate
    frames = sum(entry.frames for entry in manifest.shards)
    rows = {
        "kind": manifest.kind,
        "written by": f"anymo-hf {manifest.package}",
        "recordings": f"{len(manifest.shards)} of {len({entry.subject for entry in manifest.shards})} subjects",
        "hours": f"{manifest.seconds / 3600:.4g}",
        "sources": ", ".join(f"{name} {seconds / 3600:.4g} h" for name, seconds in sorted(sources.items())),
        "size": f"{manifest.bytes / 1e6:.2f} MB",
        "dense layout": f"{dense_bytes(frames) / 1e6:.1f} MB, {dense_bytes(frames) / manifest.bytes:.0f} times as much",
    }
    if manifest.left_out:
        rows["left out"] = ", ".join(manifest.left_out)
    for name, value in rows.items():
        typer.echo(f"{name:16} {value}")
