"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

Model = Annotated[str, typer.Option(help="Checkpoint folder, or owner/name on the Hub.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
TopK = Annotated[int, typer.Option(min=1, help="How many answers to print.")]


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
