"""A command as a process of its own, forked after the imports, and the faults that are set within it before it starts."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torture.commands import Command

_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink"}
_LISTINGS = ("os.listdir", "os.scandir")
_WRITES = os.O_WRONLY | os.O_RDWR
_BEGINNING = 0.005  # seconds of a command in which a process of its own would still be importing it, in Python's words


@dataclass
class Watch:
    """What happens within a process: changes below `out/`, readings below `in/`, and what progress bars show.

    Args:
        place: the folder of the trial.
        on_change, on_read: called with the number of the event, from 1, before it happens; `on_read` with the path, too.
        on_bar: called with the words of a bar and the number of its step, when it has made that.
    """

    place: Path
    on_change: Callable[[int], None] = lambda number: None
    on_read: Callable[[int, str], None] = lambda number, path: None
    on_bar: Callable[[str, int], None] = lambda bar, number: None
    changes: int = 0
    reads: int = 0
    bars: dict[str, int] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)  # folders below `in/` that it has looked into, from `place`

    def start(self) -> None:
        """Looks from now on; cannot be ended."""
        out, below = f"{self.place / 'out'}/", f"{self.place / 'in'}/"
        busy = False

        def hook(event: str, arguments: tuple) -> None:
            nonlocal busy
            if busy or not arguments or event not in ("open", *_LISTINGS) and event not in _CHANGES:
                return
            path = arguments[0]
            if isinstance(path, bytes):
                path = os.fsdecode(path)
            if not isinstance(path, str | os.PathLike):
                return
            path = os.path.join(self.place, path)
            if os.path.islink(path):  # a builder reads a part of its source through links elsewhere
                path = os.path.realpath(path)
            writes = event != "open" or bool((arguments[2] or 0) & _WRITES)
            busy = True
            try:
                if event in _LISTINGS:
                    if f"{path}/".startswith(below):
                        self.listed.add(os.path.relpath(path, self.place))
                elif writes and path.startswith(out):
                    self.changes += 1
                    self.on_change(self.changes)
                elif event == "open" and path.startswith(below):
                    self.reads += 1
                    self.on_read(self.reads, path)
            finally:
                busy = False

        sys.addaudithook(hook)
        self._watch_bars()

    def _watch_bars(self) -> None:
        from tqdm import std

        update, iterate = std.tqdm.update, std.tqdm.__iter__

        def seen(bar: Any) -> None:
            name = getattr(bar, "desc", None) or getattr(bar, "unit", None) or "bar"  # a disabled bar has no words
            self.bars[name] = self.bars.get(name, 0) + 1
            self.on_bar(name, self.bars[name])

        def counted(bar: Any, n: float | None = 1) -> Any:
            done = update(bar, n)
            seen(bar)
            return done

        def counted_items(bar: Any) -> Any:
            for item in iterate(bar):
                yield item
                seen(bar)

        std.tqdm.update, std.tqdm.__iter__ = counted, counted_items


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Args:
        code: exit code, or minus the signal that ended it.
        errors: end of what it said on standard error.
        seconds: that it took.
    """

    code: int
    errors: str
    seconds: float

    @property
    def traceback(self) -> bool:
        """Whether the user saw code instead of words."""
        return "Traceback (most recent call last)" in self.errors


@dataclass
class Running:
    """A process under way; `place` holds its files, and `NAME.err` beside them what it says."""

    pid: int
    said: Path
    started: float
    status: int | None = None

    def poll(self) -> bool:
        """Whether it has ended."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def send(self, number: int, group: bool = False) -> None:
        """A signal to the process, or as from a terminal to all that it started."""
        if not self.poll():
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if group else os.kill)(self.pid, number)

    def wait(self, seconds: float) -> Ended | None:
        """Its end; None when it did not come in time, and it was killed."""
        stop = time.monotonic() + seconds
        while not self.poll() and time.monotonic() < stop:
            time.sleep(0.003)
        late = not self.poll()
        if late:
            self.send(signal.SIGKILL, group=True)
            while not self.poll():
                time.sleep(0.003)
        self._end_workers(5)
        code = self.status if self.status is not None else 0
        text = self.said.read_text(errors="replace") if self.said.is_file() else ""
        return None if late else Ended(code, text[-6000:], time.monotonic() - self.started)

    def workers(self) -> list[int]:
        """Processes of its group besides itself that do its work: Python's own tracker of resources does none."""
        return [pid for pid in self._others() if b"resource_tracker" not in _words_of(pid)]

    def _others(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.pid:
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[2]) == self.pid and fields[0] != "Z":
                    found.append(int(entry.name))
        return found

    def _end_workers(self, seconds: float) -> None:
        stop = time.monotonic() + seconds
        while (left := self._others()) and time.monotonic() < stop:
            time.sleep(0.02)
        for pid in left:  # a resource tracker, or an orphan
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def start(
    command: Command,
    place: Path,
    url: str = "",
    before: Callable[[Watch], None] = lambda watch: None,
    tell: Path | None = None,
) -> Running:
    """Forks a process that runs the command in `place`.

    Args:
        command: what to run.
        place: holds `in/` and `out/`; the process's folder.
        url: of the command's server.
        before: sets faults within the process, in its `Watch`.
        tell: where the process leaves, at its end, what it did: changes, reads, bars and bytes of memory.
    """
    said = place.with_name(f"{place.name}.{time.monotonic_ns()}.err")
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Running(pid, said, time.monotonic())
    code = 1
    try:
        os.setpgid(0, 0)
        for number, path in ((0, os.devnull), (1, os.devnull), (2, str(said))):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 -- the process's own
        # before the command begins Ctrl-C ends the process, and what comes after its end finds nobody: neither is its own
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.chdir(place)
        watch, grown = Watch(place), _memory("VmSize")
        before(watch)
        watch.start()
        code = _run(command, url)
        if tell is not None:
            tell.write_text(
                json.dumps({"changes": watch.changes, "reads": watch.reads, "bars": watch.bars,
                            "listed": sorted(watch.listed), "memory": max(0, _memory("VmPeak") - grown)})
            )  # fmt: skip
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(command: Command, url: str) -> int:
    """As an interpreter would: the exit code of a command, and a traceback where it lets an error through."""
    words, began = command.words(url), time.monotonic()
    faulthandler.disable()  # pytest's; torch that is refused memory may end by a signal, which the campaign counts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            command.program(words)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except KeyboardInterrupt:
        if time.monotonic() - began < _BEGINNING:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        traceback.print_exc()
        return 130
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def in_a_process(work: Callable[[], Any]) -> Any:
    """What `work` gives, computed in a forked process, so that no thread is left in this one; JSON values.

    Raises:
        RuntimeError: it failed, with its traceback.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        for number in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        try:
            text = json.dumps({"value": work()})
        except BaseException:
            text = json.dumps({"failed": traceback.format_exc()})
        with os.fdopen(writing, "w") as file:
            file.write(text)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    os.waitpid(pid, 0)
    answer = json.loads(text) if text else {"failed": "the process was ended"}
    if "failed" in answer:
        raise RuntimeError(answer["failed"])
    return answer["value"]


def _words_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def limit_memory(more: int) -> None:
    """Lets this process have so many bytes more than now."""
    size = _memory("VmSize") + more
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _memory(field_name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field_name):
            return 1024 * int(line.split()[1])
    raise KeyError(field_name)
