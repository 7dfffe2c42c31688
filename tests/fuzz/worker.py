"""A process that tries spoiled files one after another, and its watchdog: time, memory and crashes are findings too."""

from __future__ import annotations

import faulthandler
import mmap
import multiprocessing
import os
import random
import resource
import shutil
import struct
import tempfile
import time
import warnings
from collections.abc import Callable, Set
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from .door import Door
from .mutations import mutate, put
from .verdict import Verdict, Watch, judge

HANG = 10.0  # seconds of a reader's own time
_WAIT = 6 * HANG  # seconds on the clock, for a reader that sleeps
MEMORY = 1 << 30  # bytes above what reading the sound files needs
_IN_MEMORY = "/dev/shm"  # a file written a thousand times over takes milliseconds on a disk, and none here
_SHARED = struct.Struct("qddq")  # number, start on the clock, start of its own time, whether to stop

Result = tuple[int, str, str, Verdict]  # number, file, how it was spoiled, verdict


def _spoil(files: dict[str, bytes], seed: int, door: str, number: int) -> tuple[str, str, object]:
    rng = random.Random(f"{seed}/{door}/{number}")
    name = rng.choice(sorted(files))
    how, spoiled = mutate(name, files[name], rng)
    return name, how, spoiled


def _work(
    door: Door,
    seed: int,
    start: int,
    stop: int,
    fatal: dict[int, Verdict],
    root: Path,
    shared: mmap.mmap,
    out: Connection,
) -> None:
    """The worker: sends lists of results; ends at `stop`, when told to, or with its parent."""
    parent = os.getppid()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    crashes = (root / "crash.txt").open("w")
    os.dup2(crashes.fileno(), 2)
    faulthandler.enable(crashes)
    os.environ["RUST_BACKTRACE"] = "0"  # naming the frames of a panic takes a second each time
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    folder = root / "work" / "in"
    folder.mkdir(parents=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(root / "work" / "tmp")
    (root / "work" / "tmp").mkdir()
    os.chdir(root / "work")
    path = door.write(folder)
    files = {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
    spoilable = {name: content for name, content in files.items() if door.spoil(folder / name)}
    watch = Watch(root / "work")
    sound = judge(door, path, folder, watch)
    if sound.kind != "accepted":
        raise RuntimeError(f"{door.name}: its sound files are {sound}")
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEMORY, MEMORY))
    held: list[Result] = []
    sent = time.monotonic()
    for number in range(start, stop):
        if _SHARED.unpack_from(shared)[3] or os.getppid() != parent:
            break
        name, how, spoiled = _spoil(spoilable, seed, door.name, number)
        if number in fatal:
            held.append((number, name, how, fatal[number]))
            continue
        put(folder / name, spoiled)
        began = time.process_time()
        # the number last, so that the watchdog never sees it with the times of another
        struct.pack_into("dd", shared, 8, time.monotonic(), began)
        struct.pack_into("q", shared, 0, number)
        verdict = judge(door, path, folder, watch)
        struct.pack_into("q", shared, 0, -1)
        if time.process_time() - began > HANG:
            verdict = Verdict("finding", f"over {HANG:g} s", "", verdict.where)
        put(folder / name, files[name])
        if verdict.kind == "finding" or number % 64 == 0:
            verdict = _left_over(folder, files.keys() | door.leaves, verdict)
        held.append((number, name, how, verdict))
        if time.monotonic() - sent > 0.2:
            out.send(held)
            held, sent = [], time.monotonic()
    out.send(held)
    out.close()


def _left_over(folder: Path, known: Set[str], verdict: Verdict) -> Verdict:
    """A finding where a reader left files behind, beside those that are known."""
    found = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file() or file.is_symlink()}
    strange = sorted(found - known) + sorted(file.name for file in (folder.parent / "tmp").iterdir())
    for name in found - known:
        (folder / name).unlink()
    for file in (folder.parent / "tmp").iterdir():
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    if strange and verdict.kind != "finding":
        return Verdict("finding", "files left behind", ", ".join(strange)[:200])
    return verdict


def _own_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def try_door(door: Door, seed: int, start: int, stop: int, until: float, tell: Callable[[list[Result]], None]) -> None:
    """Tries the spoiled files `start` to `stop` of a door, by their numbers, in a process of its own.

    Args:
        door: the reader.
        seed, start, stop: which files.
        until: `time.monotonic()` at which to stop.
        tell: gets the results, in order, each once.

    Raises:
        RuntimeError: the sound files are not read.
    """
    fatal: dict[int, Verdict] = {}
    context = multiprocessing.get_context("fork")
    while start < stop and time.monotonic() < until:
        place = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
        with (
            tempfile.TemporaryDirectory(prefix="anymo-fuzz-", dir=place) as root,
            mmap.mmap(-1, _SHARED.size) as shared,
        ):
            _SHARED.pack_into(shared, 0, -1, time.monotonic(), 0.0, 0)
            receive, send = context.Pipe(duplex=False)
            worker = context.Process(target=_work, args=(door, seed, start, stop, fatal, Path(root), shared, send))
            worker.start()
            send.close()
            hung = -1
            while True:
                if receive.poll(0.2):
                    try:
                        results = receive.recv()
                    except EOFError:
                        break
                    if results:
                        tell(results)
                        start = results[-1][0] + 1
                if time.monotonic() >= until:
                    struct.pack_into("q", shared, _SHARED.size - 8, 1)
                number, began, own, _ = _SHARED.unpack_from(shared)
                if number >= 0 and worker.is_alive():
                    waited = time.monotonic() - began
                    if waited > _WAIT or (waited > HANG and _own_seconds(worker.pid) - own > HANG):
                        hung = number
                        worker.kill()
            worker.join()
            number = hung if hung >= 0 else _SHARED.unpack_from(shared)[0]
            if worker.exitcode == 0:
                if start < stop and time.monotonic() < until:
                    continue
                return
            said = (Path(root) / "crash.txt").read_text(errors="replace") if (Path(root) / "crash.txt").exists() else ""
            if 0 <= number < start:  # it was done after all
                continue
            if number < 0:
                raise RuntimeError(f"{door.name}: the worker ended with {worker.exitcode}: {said[-2000:]}")
            what = f"over {HANG:g} s" if hung >= 0 else f"the process dies ({worker.exitcode})"
            where = next((line.strip() for line in said.splitlines() if "anymo_hf/" in line), "")
            fatal[number] = Verdict("finding", what, said[-300:], where.partition("anymo_hf/")[2][:120])
