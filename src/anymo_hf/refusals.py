"""What a library says of a damaged or hostile file becomes one sentence: the file, what is wrong with it, and the mend."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .interruption import lacks_memory

LARGEST_VALUE = 1e6  # in any unit of a signal or a body: no sensor reads it and nobody moves so far
_MEND = re.compile(r"; |\bmust\b|\bgive\b|\bknown are\b")
_LONGEST = 600  # letters of a sentence: a hostile file may hold a name of thousands


class DoubtWarning(UserWarning):
    """What is probably wrong although there is an answer; programs say it in one line."""


@contextmanager
def refusing(path: str | Path, what: str, mend: str = "fetch it again") -> Iterator[None]:
    """A block that reads `path`; what goes wrong in it is a ValueError or OSError that names the file and the mend.

    Errors that already do pass as they are; to others what is missing is added, and endless ones are shortened.

    Args:
        path: the file or folder.
        what: what it should be, such as "BVH file".
        mend: what to do about it.

    Raises:
        ValueError: the reader's own sentence, or what a library made of the content.
        OSError: the same of a reader's OSError, what the system said, or lack of memory.
    """
    path = Path(path)
    try:
        _check_kind(path)
        yield
    except ImportError:  # a package that is missing says so itself
        raise
    except (ValueError, OSError) as error:
        said = str(error)
        named = str(path) in said or str(path.parent) in said
        mended = _MEND.search(said) is not None
        # float("x") in a reader is Python's sentence, not the reader's
        if _is_sentence(error) and (named or mended):
            if named and mended and len(said) <= _LONGEST:
                raise
            whole = (said if named else f"{path}: {said}") + ("" if mended else f"; {mend}")
            raise type(error)(shortened(whole)) from error
        kind = ValueError if isinstance(error, ValueError) else OSError
        raise kind(shortened(f"{_name(path)}: not a readable {what} ({_in_brief(error)}); {mend}")) from error
    except Exception as error:
        if lacks_memory(error):
            raise OSError(
                f"{path}: asks for more memory than there is, so it is damaged or too large; {mend}"
            ) from error
        raise ValueError(shortened(f"{_name(path)}: not a readable {what} ({_in_brief(error)}); {mend}")) from error


def _check_kind(path: Path) -> None:
    """OSError for a device, pipe or socket, or a link to one: reading it may never end."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # a member of a zip, a name of the Hub, or nothing: opening it tells
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(f"{path}: a device or a pipe, no file; give a file")


def _is_sentence(error: ValueError | OSError) -> bool:
    """Whether an error is one of this package rather than of a library or of the system."""
    if (
        type(error).__module__ != "builtins"
        or isinstance(error, UnicodeError)
        or getattr(error, "errno", None) is not None
    ):
        return False
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and frame.tb_frame.f_globals.get("__name__", "").startswith("anymo_hf")


def _in_brief(error: Exception) -> str:
    said = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _name(path: Path) -> str:
    """The path; of an endless one both ends, so that what is said of it is not left out."""
    text = str(path)
    return text if len(text) <= _LONGEST // 3 else f"{text[: _LONGEST // 6]}...{text[-_LONGEST // 9 :]}"


def shortened(said: str) -> str:
    """A sentence with its middle left out where it is endless."""
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST // 2]} ... {said[-_LONGEST // 3 :]}"


def parse_json(text: str | bytes) -> Any:
    """As `json.loads`; what is nested too deep for it is a `json.JSONDecodeError` as any other damage."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise json.JSONDecodeError("nested too deep", "", 0) from error


def in_words(error: Exception) -> str:
    """What a program prints of an error: of a path that the system refuses a sentence with its mend, others as they are."""
    mend = _OF_A_PATH.get(getattr(error, "errno", None) or 0)
    name = getattr(error, "filename", None)
    if mend is None or name is None or not str(error).startswith("[Errno"):
        return str(error)
    return f"{os.fspath(name)}: {mend}"


_OF_A_PATH = {
    errno.ENOENT: "no such file or folder; check the path",
    errno.EEXIST: "a file stands where a folder is needed; give another path",
    errno.ENOTDIR: "a file stands where a folder is needed; give another path",
    errno.EISDIR: "a folder stands where a file is needed; give another path",
    errno.EACCES: "no permission; give another path, or ask for the permission",
    errno.EPERM: "not permitted there; give another path",
    errno.EROFS: "nothing can be written there; give another path",
}
