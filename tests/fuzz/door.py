"""`Door`: a way by which files come in, with small sound files for it; each module of `fuzz/doors` names its `DOORS`."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Door:
    """A reader and what it is tried with.

    Args:
        name: for the report, such as "device shimmer".
        write: makes sound files in an empty folder; gives the path that `read` takes.
        read: what the package makes of the path: arrays, numbers and texts by name, nested as they come.
        plain: an independent reading of the same path, to be compared by name with what `read` gives; it raises what it
            likes where it cannot tell. None where there is none.
        largest: no number that is read may be larger.
        from_file: whether errors must name a file: not where values are handed over in memory.
        spoil: whether a file of the folder is to be spoiled; the others are taken as they are.
        leaves: files that stay in the folder by design, such as a lock.
    """

    name: str
    write: Callable[[Path], Path]
    read: Callable[[Path], Any]
    plain: Callable[[Path], dict[str, Any]] | None = None
    largest: float = 1e9
    from_file: bool = True
    spoil: Callable[[Path], bool] = lambda path: True
    leaves: frozenset[str] = frozenset()


def doors() -> dict[str, Door]:
    """Every door by name, of every module of `fuzz/doors`."""

    def walk() -> Iterator[Door]:
        package = import_module("fuzz.doors")
        for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
            yield from import_module(f"fuzz.doors.{module}").DOORS

    found: dict[str, Door] = {}
    for door in walk():
        if door.name in found:
            raise ValueError(f"two doors are called {door.name!r}; give one another name")
        found[door.name] = door
    return found
