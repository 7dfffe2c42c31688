"""One spoiled file, one verdict: accepted with sound values, refused in our words, or a finding."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .door import Door

SOURCE = str(Path(__file__).parents[2] / "src" / "anymo_hf") + os.sep
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_RUNS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pickle.find_class",
         "socket.connect", "socket.getaddrinfo", "ctypes.dlopen")  # fmt: skip
_CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate",
            "shutil.rmtree", "shutil.move", "shutil.copyfile")  # fmt: skip

# the mend follows a semicolon, or the sentence says what would be right
_MEND = re.compile(r"; |\bgive\b|\bmust (?:be|hold|lie|name)\b|\bknown are\b|\bneeded\b")


@dataclass(frozen=True)
class Verdict:
    """What a reader did with one file.

    Args:
        kind: "accepted", "refused", or "finding".
        what: of a finding, in a few words that are equal for equal faults.
        message: what was said.
        where: innermost function of ours.
    """

    kind: str
    what: str = ""
    message: str = ""
    where: str = ""


class Watch:
    """Sees what a reader does to the machine, from the interpreter's own audit events; one a process."""

    def __init__(self, allowed: Path) -> None:
        self.allowed, self.on, self.seen = str(allowed) + os.sep, False, ""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        if not self.on or self.seen:
            return
        if event == "open":
            path, _, flags = arguments
            # a file's own number (an open descriptor) or a null device is no place outside
            if isinstance(flags, int) and flags & _WRITES and isinstance(path, str | bytes | os.PathLike):
                self._outside("writes", path)
        elif event in _CHANGES:
            for path in arguments[: 2 if event in ("os.rename", "shutil.move", "os.link") else 1]:
                if isinstance(path, str | bytes | os.PathLike):
                    self._outside(event, path)
        elif event in _RUNS and not _is_own_reader(event, arguments):
            self.seen = f"{event} of what a file said"

    def _outside(self, what: str, path: Any) -> None:
        place = os.path.join(os.path.realpath(os.path.dirname(os.fsdecode(path)) or "."), "")
        if not place.startswith(self.allowed) and os.fsdecode(path) != os.devnull:
            self.seen = f"{what} outside its folder"


def _is_own_reader(event: str, arguments: tuple) -> bool:
    """Whether a process is a compiled reader that the package keeps apart."""
    return event == "subprocess.Popen" and [arguments[1][0], arguments[1][2]] == [
        sys.executable, f"{SOURCE}nymeria{os.sep}vrs_process.py",
    ]  # fmt: skip


def judge(door: Door, path: Path, folder: Path, watch: Watch) -> Verdict:
    """The verdict on what `door` does with `path`, whose files lie in `folder`."""
    watch.seen, watch.on = "", True
    try:
        result = door.read(path)
        watch.on = False
        if not watch.seen:
            fault = unsound(result, door.largest) or _other_than_plain(door, path, result)
            return Verdict("finding", fault, "", door.name) if fault else Verdict("accepted")
    except BaseException as error:  # a panic of a Rust library is no Exception
        watch.on = False
        if not watch.seen:
            return _refusal(error, folder, door.from_file)
    finally:
        watch.on = False
    return Verdict("finding", watch.seen, "", door.name)


def _refusal(error: BaseException, folder: Path, from_file: bool) -> Verdict:
    # without the lines of the source, which take longer to find than most refusals take
    frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [code for code in frames if code.co_filename.startswith(SOURCE)]
    where = f"{ours[-1].co_filename.removeprefix(SOURCE)}, {ours[-1].co_name}" if ours else "outside the package"
    message = str(error).replace(str(folder), "FOLDER")[:400]

    def finding(what: str) -> Verdict:
        return Verdict("finding", what, f"{type(error).__name__}: {message}", where)

    if isinstance(error, MemoryError):
        return finding("more than a gigabyte of memory")
    if not isinstance(error, ValueError | OSError) or type(error).__module__ != "builtins":
        return finding(f"{type(error).__name__} instead of a refusal")
    if not ours or frames[-1] is not ours[-1]:
        return finding(f"{type(error).__name__} from inside {_library(frames[-1].co_filename)}")
    if isinstance(error, UnicodeError) or (isinstance(error, OSError) and error.errno is not None):
        return finding(f"{type(error).__name__} in the system's words")
    named = str(error)
    if from_file and str(folder) not in named and not any(path.name in named for path in folder.rglob("*")):
        return finding("a refusal that names no file")
    if not _MEND.search(str(error)):
        return finding("a refusal without a mend")
    return Verdict("refused", "", message, where)


def _library(path: str) -> str:
    found = re.search(r"(?:site-packages|python3\.\d+)/([^/]+)", path)
    return found[1].removesuffix(".py") if found else path


def unsound(value: Any, largest: float) -> str:
    """What is wrong with values that were read: "" where they are finite and of a plausible size."""
    for array in _arrays(value):
        if array.dtype.kind not in "fc" or not array.size:
            continue
        if not np.isfinite(array).all():
            return "accepted with NaN or infinite values"
        if np.abs(array).max() > largest:
            return f"accepted with values over {largest:g}"
    return ""


def _arrays(value: Any) -> Iterator[np.ndarray]:
    if isinstance(value, str | bytes | type(None) | Path):
        return
    if isinstance(value, np.ndarray | float | np.floating):
        yield np.asarray(value)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _arrays(getattr(value, field.name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _arrays(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _arrays(item)
    elif hasattr(value, "detach"):
        yield value.detach().float().numpy()


def _other_than_plain(door: Door, path: Path, result: Any) -> str:
    if door.plain is None:
        return ""
    try:
        plain = door.plain(path)
    except Exception:  # it cannot tell
        return ""
    for name, wanted in plain.items():
        got, wanted = np.asarray(result[name], float), np.asarray(wanted, float)
        if got.shape != wanted.shape or not np.allclose(got, wanted, rtol=1e-4, atol=1e-4, equal_nan=True):
            return f"other {name} than an independent reading"
    return ""
