"""Work in processes that are forked from the test's own: each is as real as a started one and need not import for seconds.

What is said about a new interpreter (what it imports, how a program starts) is tested with a new interpreter.
"""

import multiprocessing
import multiprocessing.connection
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_FORK = multiprocessing.get_context("fork")


def forked(function, *arguments, out=os.devnull, err=None, folder=".", **environment):
    """A process, started, that calls a function in a folder; `join()` waits for its end.

    What it prints goes to the files `out` and `err`, both to `out` without the second; variables are added to its own.
    """
    files = [out, err or out]
    process = _FORK.Process(target=_call, args=(function, arguments, files, folder, environment))
    process.start()
    return process


def forked_program(program, *words, **options):
    """`forked` for what reads its words from `sys.argv`: a function, a script's path or a module's name."""
    return forked(_run_program, program, words, **options)


def run_program(program, *words, **options):
    """`forked_program` to its end; gives a `CompletedProcess`."""
    with tempfile.TemporaryDirectory() as place:
        files = Path(place, "out"), Path(place, "err")
        process = forked_program(program, *words, out=files[0], err=files[1], **options)
        process.join()
        return subprocess.CompletedProcess([program, *words], process.exitcode, *(path.read_text() for path in files))


def forked_ranks(function, *arguments, folder, **environment):
    """Two processes, started, of one distributed run on this machine; they print to `folder`/0.txt and 1.txt."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"ACCELERATE_USE_CPU": "true", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= environment
    return [
        forked(function, *arguments, out=folder / f"{rank}.txt", **common, RANK=str(rank), LOCAL_RANK=str(rank))
        for rank in range(2)
    ]


def finish_ranks(ranks, folder):
    """Waits for ranks; one that fails ends the other, and what they said is shown, as it is after five minutes."""
    end = time.monotonic() + 300
    while any(rank.is_alive() for rank in ranks) and not any(rank.exitcode for rank in ranks):
        # asked again every second: what else the test's process starts meanwhile may keep a sentinel open
        multiprocessing.connection.wait([rank.sentinel for rank in ranks if rank.exitcode is None], timeout=1)
        if time.monotonic() > end:
            break
    for rank in ranks:
        rank.kill()
        rank.join()
    said = [(folder / f"{number}.txt").read_text()[-3000:] for number in range(len(ranks))]
    assert [rank.exitcode for rank in ranks] == [0, 0], said


def _call(function, arguments, files, folder, environment):
    os.environ.update(environment)
    os.chdir(folder)
    for number, path in enumerate(files, 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
    # in place of pytest's, which keep what is printed among the parent's
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background inherit a deaf one
    if "accelerate.state" in sys.modules:  # the parent's run is not this one's
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(True)
    function(*arguments)


def _run_program(program, words):
    sys.argv = [str(program), *map(str, words)]
    if callable(program):
        program()
    elif Path(program).suffix == ".py":
        runpy.run_path(str(program), run_name="__main__")
    else:
        sys.modules.pop(program, None)
        runpy.run_module(program, run_name="__main__", alter_sys=True)
