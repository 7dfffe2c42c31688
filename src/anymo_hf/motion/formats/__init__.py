"""Motion formats, one a file: a module here that holds a `FORMAT` is found, nothing else has to be touched."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from ..motion_report import MotionReport


@dataclass(frozen=True)
class MotionFormat:
    """How files of a format are recognised and read.

    Args:
        name: short name, such as "bvh".
        title: for people, with the suffixes.
        read: reader of a path; its other parameters are the options of the format.
        suffixes: ends of file names in lower case, such as ".bvh".
        holds: whether an NPZ with these arrays is one.
        starts: whether a file without a known suffix is one, by its first 2,000 bytes.
        folder_files: files of which any makes a folder one recording.
        mistaken: suffix -> what to give instead, for files that belong to the format but hold no motion.
    """

    name: str
    title: str
    read: Callable[..., MotionReport]
    suffixes: tuple[str, ...] = ()
    holds: Callable[[set[str]], bool] = lambda arrays: False
    starts: Callable[[bytes], bool] = lambda head: False
    folder_files: tuple[str, ...] = ()
    mistaken: dict[str, str] | None = None


@cache
def motion_formats() -> dict[str, MotionFormat]:
    """Name -> format, of every module of this folder, sorted by name.

    Raises:
        ValueError: two modules declare one name.
    """
    found: dict[str, MotionFormat] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        form: MotionFormat = import_module(f"{__name__}.{module}").FORMAT
        if form.name in found:
            raise ValueError(f"{module}.py: the format {form.name!r} is declared twice; give it another name")
        found[form.name] = form
    return dict(sorted(found.items()))
