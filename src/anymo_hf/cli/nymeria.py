"""`anymo nymeria`: check a download of Nymeria, and align its narrations; and `anymo make-mini-nymeria`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson

if TYPE_CHECKING:
    from ..nymeria.sequence_check import SequenceCheck

app = typer.Typer(
    name="nymeria",
    help="Nymeria and NymeriaPlus downloads.",
    no_args_is_help=True,
    rich_help_panel="Data",
)
commands = typer.Typer()

Folder = Annotated[Path, typer.Argument(help="A sequence folder as downloaded, or the folder that holds several.")]


@app.command()
def check(
    folder: Folder,
    mesh: Annotated[bool, typer.Option(help="Pose the meshes too.")] = True,
    imu: Annotated[bool, typer.Option(help="Read every IMU sample too; takes minutes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say for every sequence what is usable and what is wrong; exit code 1 if something is broken.

    Example: anymo nymeria check nymeria/ --imu
    """
    from tqdm import tqdm

    from ..nymeria.sequence_check import check_nymeria

    folders = _sequences(folder)
    checks = [check_nymeria(path, mesh, imu) for path in tqdm(folders, unit="sequence", disable=len(folders) < 2)]
    broken = sum(bool(result.problems) for result in checks)
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in checks], indent=2))
    else:
        for result in checks:
            typer.echo("\n".join(_lines(result)))
        typer.echo(f"{len(checks)} sequences, {len(checks) - broken} sound, {broken} broken")
    raise typer.Exit(1 if broken else 0)


@app.command()
def align(folder: Folder) -> None:
    """Store how narrations map onto each motion (narration/time_map.json), exact where the head's VRS can be read.

    Example: anymo nymeria align nymeria/
    """
    from ..motion.formats.nymeria_sequence import read_xdata
    from ..nymeria.sequence import TIME_MAP_FILE, find_time_map

    failed = 0
    for path in _sequences(folder):
        try:
            _, repairs = read_xdata(path / "body" / "xdata.npz")
            time_map = find_time_map(path, int(repairs.timestamps_us[0]))
            time_map.save(path / TIME_MAP_FILE)
            typer.echo(f"{path / TIME_MAP_FILE}: aligned by {time_map.source}")
        except (OSError, ValueError) as error:
            failed += 1
            typer.echo(f"error: {error}", err=True)
    raise typer.Exit(1 if failed else 0)


def _sequences(folder: Path) -> list[Path]:
    from ..nymeria.sequence import sequence_folders

    try:
        return sequence_folders(folder)
    except OSError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def _lines(result: SequenceCheck) -> list[str]:
    lines = [f"{result.name}: {'broken' if result.problems else 'sound'}"]
    lines += [f"  {part}: {text}" for part, text in result.usable.items()]
    mended = ", ".join(f"{key} {value}" for key, value in result.repairs.items() if value)
    lines.append(f"  repairs: {mended or 'none'}")
    if result.missing:
        lines.append(f"  missing: {', '.join(result.missing)}")
    lines += [f"  note: {note}" for note in result.notes]
    return lines + [f"  problem: {problem}" for problem in result.problems]


@commands.command(rich_help_panel="Data")
def make_mini_nymeria(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    people: Annotated[int, typer.Option(min=1, max=120, help="How many.")] = 5,
    sessions: Annotated[int, typer.Option(min=1, max=99, help="Recordings of each.")] = 2,
    seconds: Annotated[
        float, typer.Option(min=6, max=3600, help="At most, for a recording; it ends after its last whole narration.")
    ] = 30.0,
    seed: Annotated[int, typer.Option(min=0, help="Of people, motion and noise.")] = 0,
) -> None:
    """Write a small set of recordings in Nymeria's true layout from procedural motion, with annotations.

    Example: anymo make-mini-nymeria mini/ --people 3 --seconds 20
    """
    from ..nymeria.mini_nymeria import write_mini_nymeria

    annotations = write_mini_nymeria(folder, people, sessions, seconds, seed)
    typer.echo(f"written: {people * sessions} recordings of {people} people in {folder}, annotations in {annotations}")
