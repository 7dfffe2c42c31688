"""The faults: each starts a command once, does it harm, and puts the world right again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torture.commands import Command
from torture.process import Ended, Running, Watch, limit_memory, start

_GENEROUS = "256m"  # of a disk that is not full


@dataclass(frozen=True)
class Reference:
    """A run that nobody disturbed.

    Args:
        digest: of its results.
        seconds, changes, reads, memory: what it took; `changes` and `reads` count events, `memory` is in bytes.
        bytes: of its results, and `largest` of the largest file.
        bars: steps of every progress bar.
        listed: folders of the input that it looked into, from the trial's.
    """

    digest: dict[str, str]
    seconds: float
    changes: int
    reads: int
    memory: int
    bytes: int
    largest: int
    bars: dict[str, int]
    listed: list[str]


@dataclass
class Attempt:
    """What a fault needs to know: the command, where it runs, a run that nobody disturbed, and chance."""

    command: Command
    place: Path
    url: str
    reference: Reference
    rng: np.random.Generator
    mounted: bool
    bar: str = ""  # that was interrupted

    @property
    def patience(self) -> float:
        """Seconds after which a process counts as hung."""
        return 60 + 20 * self.reference.seconds

    def start(self, before: Callable[[Watch], None] = lambda watch: None) -> Running:
        """The command under way."""
        return start(self.command, self.place, self.url, before)

    def finish(self, running: Running) -> list[Ended | None]:
        """Its end, None where it hung."""
        return [running.wait(self.patience)]

    def moment(self) -> float:
        """Seconds into a run."""
        return float(self.rng.uniform(0, 1.05 * self.reference.seconds))

    def pick(self, count: int) -> int:
        """A number from 1 to `count`."""
        return int(self.rng.integers(1, max(1, count) + 1))


def _sleep(running: Running, seconds: float) -> None:
    stop = time.monotonic() + seconds
    while time.monotonic() < stop and not running.poll():
        time.sleep(0.002)


def _end_itself(number: int) -> None:
    os.kill(os.getpid(), number)


def kill_at_a_change(attempt: Attempt) -> list[Ended | None]:
    """SIGKILL just before a file is written, renamed or deleted."""
    at = attempt.pick(attempt.reference.changes)

    def before(watch: Watch) -> None:
        watch.on_change = lambda number: _end_itself(signal.SIGKILL) if number == at else None

    return attempt.finish(attempt.start(before))


def kill_at_a_moment(attempt: Attempt) -> list[Ended | None]:
    """SIGKILL at any time."""
    running = attempt.start()
    _sleep(running, attempt.moment())
    running.send(signal.SIGKILL)
    return attempt.finish(running)


def stop_and_go_on(attempt: Attempt) -> list[Ended | None]:
    """SIGSTOP and SIGCONT, three times."""
    running = attempt.start()
    for _ in range(3):
        _sleep(running, attempt.moment() / 3)
        running.send(signal.SIGSTOP, group=True)
        time.sleep(float(attempt.rng.uniform(0.02, 0.3)))
        running.send(signal.SIGCONT, group=True)
    return attempt.finish(running)


def full_disk(attempt: Attempt) -> list[Ended | None]:
    """A file system with room for a part of the results; where none may be mounted, a limit on the size of a file."""
    if not attempt.mounted:
        size = attempt.pick(attempt.reference.largest)

        def before(watch: Watch) -> None:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        return attempt.finish(attempt.start(before))
    disk = os.statvfs(attempt.place / "out")
    used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    room = 4096 * (attempt.pick(attempt.reference.bytes) // 4096)
    _remount(attempt.place, f"size={used + max(4096, room)}")
    ended = attempt.finish(attempt.start())
    _remount(attempt.place, f"size={_GENEROUS}")
    return ended


def read_only_folder(attempt: Attempt) -> list[Ended | None]:
    """Nothing may be written in the output folder."""
    out = attempt.place / "out"
    if attempt.mounted:
        _remount(attempt.place, "ro")
    else:
        out.chmod(0o555)
    ended = attempt.finish(attempt.start())
    if attempt.mounted:
        _remount(attempt.place, "rw")
    else:
        out.chmod(0o755)
    return ended


def vanishing_input(attempt: Attempt) -> list[Ended | None]:
    """A file that the command has seen is taken away when it begins to read a file, and put back after its end."""
    files = sorted(path for path in (attempt.place / "in").glob(attempt.command.may_vanish) if path.is_file())
    path, gone = files[int(attempt.rng.integers(len(files)))], attempt.place / "gone"
    at, folder = attempt.pick(attempt.reference.reads), str(path.parent.relative_to(attempt.place))

    def before(watch: Watch) -> None:
        def reading(number: int, read: str) -> None:
            # one that goes before its folder is looked into was never there for the command
            seen = folder in watch.listed or folder not in attempt.reference.listed or read == str(path)
            if number >= at and seen and path.is_file():
                os.replace(path, gone)

        watch.on_read = reading

    ended = attempt.finish(attempt.start(before))
    if gone.is_file():
        os.replace(gone, path)
    return ended


def clock_set_back(attempt: Attempt) -> list[Ended | None]:
    """`time.time` goes back by up to a year in the middle, and what was written before lies in the future."""
    at, back = attempt.pick(attempt.reference.changes), float(attempt.rng.uniform(3600, 3.2e7))
    for path in (attempt.place / "out").rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() + back, time.time() + back))

    def before(watch: Watch) -> None:
        real, real_ns = time.time, time.time_ns

        def set_back(number: int) -> None:
            if number == at:
                time.time, time.time_ns = lambda: real() - back, lambda: real_ns() - int(back * 1e9)

        watch.on_change = set_back

    return attempt.finish(attempt.start(before))


def two_at_once(attempt: Attempt) -> list[Ended | None]:
    """The same command a second time before the first has ended, in the same output folder."""
    first = attempt.start()
    _sleep(first, attempt.moment() / 2 * attempt.rng.integers(2))
    second = attempt.start()
    return attempt.finish(first) + attempt.finish(second)


def low_memory(attempt: Attempt) -> list[Ended | None]:
    """A limit on memory (`ulimit -v`) below what a run takes."""
    more = attempt.pick(attempt.reference.memory)
    return attempt.finish(attempt.start(lambda watch: limit_memory(more)))


def worker_killed(attempt: Attempt) -> list[Ended | None]:
    """SIGKILL for one of the processes that the command started."""
    running = attempt.start()
    _sleep(running, attempt.moment())
    stop = time.monotonic() + attempt.reference.seconds
    while not (workers := running.workers()) and not running.poll() and time.monotonic() < stop:
        time.sleep(0.01)
    if workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(workers[int(attempt.rng.integers(len(workers)))], signal.SIGKILL)
    return attempt.finish(running)


def interrupt_at_a_bar(attempt: Attempt) -> list[Ended | None]:
    """Ctrl-C while a progress bar moves."""
    bars = attempt.reference.bars
    attempt.bar = sorted(bars)[int(attempt.rng.integers(len(bars)))]
    at = attempt.pick(bars[attempt.bar])

    def before(watch: Watch) -> None:
        def seen(bar: str, number: int) -> None:
            if (bar, number) == (attempt.bar, at):
                os.killpg(0, signal.SIGINT)

        watch.on_bar = seen

    return attempt.finish(attempt.start(before))


def interrupt_at_a_moment(attempt: Attempt) -> list[Ended | None]:
    """Ctrl-C at any time, to all processes, as a terminal sends it."""
    running = attempt.start()
    _sleep(running, attempt.moment())
    running.send(signal.SIGINT, group=True)
    return attempt.finish(running)


FAULTS: dict[str, Callable[[Attempt], list[Ended | None]]] = {
    function.__name__.replace("_", " "): function
    for function in (
        kill_at_a_change, kill_at_a_moment, stop_and_go_on, full_disk, read_only_folder, vanishing_input, clock_set_back,
        two_at_once, low_memory, worker_killed, interrupt_at_a_bar, interrupt_at_a_moment,
    )
}  # fmt: skip


def possible(fault: str, command: Command, reference: Reference) -> bool:
    """Whether a fault can happen to a command at all."""
    return (
        (fault != "worker killed" or command.workers)
        and (fault != "interrupt at a bar" or bool(reference.bars))
        and (fault not in ("kill at a change", "full disk") or reference.changes > 0)
        # a file that is gone before the command reads any was never there for it
        and (fault != "vanishing input" or reference.reads > 0)
    )


# -- a disk of its own ---------------------------------------------------------------------------------------------------


def may_mount(folder: Path) -> bool:
    """Whether this process may mount a small file system."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        mount(folder)
    except (OSError, subprocess.CalledProcessError):
        return False
    unmount(folder)
    return True


def mount(folder: Path) -> None:
    """A tmpfs of its own at `folder`."""
    _quietly("mount", "-t", "tmpfs", "-o", f"size={_GENEROUS}", "tmpfs", str(folder))


def unmount(folder: Path) -> None:
    """Takes it away again, where there is one."""
    if os.path.ismount(folder):
        _quietly("umount", str(folder))


def _remount(place: Path, option: str) -> None:
    _quietly("mount", "-o", f"remount,{option}", str(place / "out"))


def _quietly(*words: str) -> Any:
    if shutil.which(words[0]) is None:
        raise OSError(f"{words[0]} is not there")
    return subprocess.run(words, check=True, capture_output=True)
