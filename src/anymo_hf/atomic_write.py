"""Files and folders that are whole or not there: written under a temporary name beside their place, then renamed.

`modeling/` has its own few lines, since it travels with a checkpoint.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

_ASIDE = ".old"  # the ending of a folder that waits for its follower
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
_MACHINE = re.sub(r"[^A-Za-z0-9-]", "-", platform.node())[:32] or "here"


@contextmanager
def draft_beside(path: str | Path) -> Iterator[Path]:
    """A free temporary name beside `path`, whose folder is made; nothing is left of it after the block.

    Each process has a name of its own, so that two that write `path` at once take nothing from each other; what killed ones
    of this machine left in the folder is removed by the first write there.

    Args:
        path: of a file or a folder.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent.absolute())
    draft = path.with_name(f".{path.name}.{_MACHINE}.{os.getpid()}.part")
    _put_back(draft.with_suffix(_ASIDE), path)
    _remove(draft)
    try:
        yield draft
    finally:
        _remove(draft)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """`draft_beside`; the file written there takes its place at the end. After an error `path` stays as it was."""
    with draft_beside(path) as draft:
        yield draft
        os.replace(draft, path)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """`draft_beside` as an empty folder, which takes the place of the folder `path` at the end.

    After an error in the block the old folder stays as it was. A kill at any moment leaves the old or the new one; where
    the system cannot exchange two folders at once, it may leave the old one aside, and the next write puts it back.
    """
    path = Path(path)
    with draft_beside(path) as draft:
        draft.mkdir()
        yield draft
        if not path.is_dir() or path.is_symlink():
            os.replace(draft, path)
        elif not _exchanged(draft, path):  # else the old one is the draft now, and goes with it
            aside = draft.with_suffix(_ASIDE)
            os.replace(path, aside)
            os.replace(draft, path)
            _remove(aside)


def write_bytes(path: str | Path, data: bytes) -> Path:
    """A file of these bytes."""
    with replacing(path) as draft:
        draft.write_bytes(data)
    return Path(path)


def write_text(path: str | Path, text: str) -> Path:
    """A text file in UTF-8."""
    return write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any, indent: int = 2) -> Path:
    """A JSON file in UTF-8 that ends with a line break."""
    return write_text(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


@lru_cache(maxsize=4096)
def _sweep(folder: Path) -> None:
    """Removes the drafts of processes that are no more; those of other machines may be of ones that run."""
    for left in folder.glob(f".*.{_MACHINE}.*.*"):
        name, number = left.stem[1:].rsplit(f".{_MACHINE}.", 1)
        if left.suffix not in (".part", _ASIDE) or not number.isdigit() or _runs(int(number)):
            continue
        if left.suffix == _ASIDE:
            _put_back(left, folder / name)
        else:
            _remove(left)


def _put_back(aside: Path, path: Path) -> None:
    """What a run that was killed between two renames had moved aside comes back, or goes if its follower has come."""
    if aside.is_dir() and path.exists():
        _remove(aside)
    elif aside.is_dir():
        os.replace(aside, path)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two folders have taken each other's names in one step, which Linux can on most file systems."""
    try:
        rename = ctypes.CDLL(None).renameat2
        return rename(_HERE, os.fsencode(one.absolute()), _HERE, os.fsencode(other.absolute()), _EXCHANGE) == 0
    except (AttributeError, OSError, TypeError):  # another system, an older C library
        return False


def _runs(number: int) -> bool:
    if os.name == "nt":  # there signal 0 is Ctrl-C
        return True
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
