"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

Model = Annotated[str, typer.Option(help="Checkpoint folder, or owner/name on the Hub.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
TopK = Annotated[int, typer.Option(min=1, help="How many answers to print.")]
Placement = Annotated[
    str, typer.Option(help="Where it was worn, e.g. left_wrist; `anymo info --placements` lists all.")
]
Labels = Annotated[str | None, typer.Option(help="Candidates, comma-separated; default: all simulated ones.")]
Columns = Annotated[str | None, typer.Option(help="3 or 6 column names, comma-separated; usual names are found alone.")]
AccelerationUnit = Annotated[str | None, typer.Option(help="m/s^2, g or mg; default: as the file says, or m/s^2.")]
AngularVelocityUnit = Annotated[str | None, typer.Option(help="rad/s or deg/s; default: as the file says, or rad/s.")]
Up = Annotated[
    str | None, typer.Option(help="Up axis of a motion file, y or z, where it is found wrong or not at all.")
]
FrameRate = Annotated[
    float | None, typer.Option(help="Frames per second of a motion file that does not say them, or says them wrongly.")
]


def read_lines(file: Path, option: str) -> list[str]:
    """Lines of a text file that hold something, each once.

    Raises:
        OSError: no such file.
        ValueError: not UTF-8 text, or no line holds any.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{option} {file}: not UTF-8 text ({error}); save it as UTF-8, one text a line") from error
    except OSError as error:
        raise OSError(f"{option} {file}: {error.strerror}; give a text file, one text a line") from error
    if not (texts := list(dict.fromkeys(line.strip() for line in lines if line.strip()))):
        raise ValueError(f"{option} {file}: no line holds text; give one text a line")
    return texts


class WristSegment(StrEnum):
    """The segment that a wrist counts as."""

    forearm = "forearm"
    hand = "hand"


Wrist = Annotated[
    WristSegment | None, typer.Option(help="Segment that a wrist counts as; default: as the checkpoint was saved.")
]


def split_names(text: str, option: str, example: str) -> list[str]:
    """Parts of a comma-separated option, each once."""
    parts = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts:
        raise ValueError(f"{option} is empty; give at least one, such as {option} {example}")
    return parts


def with_options_of(**makers: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of commands: the named parameters are what functions make of options of their own.

    With `@with_options_of(windows=csv_windows)` a command has every option of `csv_windows` instead of `windows`, which it
    gets ready. What the function needs stands first in the help, what it merely takes stands last.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        taken = {name: inspect.signature(make, eval_str=True).parameters for name, make in makers.items()}

        def run(**given: Any) -> Any:
            made = {
                name: makers[name](**{key: given.pop(key, part.default) for key, part in keys.items()})
                for name, keys in taken.items()
            }
            return command(**made, **given)

        own = [
            part for name, part in inspect.signature(command, eval_str=True).parameters.items() if name not in makers
        ]
        others = [part for parameters in taken.values() for part in parameters.values()]
        needed = [part for part in others if part.default is part.empty]
        parts = [*needed, *own, *(part for part in others if part.default is not part.empty)]
        parts = [part.replace(kind=inspect.Parameter.KEYWORD_ONLY) for part in parts]
        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        run.__signature__ = inspect.Signature(parts)  # type: ignore[attr-defined]
        run.__annotations__ = {part.name: part.annotation for part in parts}
        return run

    return decorate
