"""Ctrl-C and want of memory end a program with one line."""

import contextlib
import os
import resource
import signal
import sys
import time

import numpy as np
import pytest
from pyarrow.lib import ArrowException
from support.forked import forked_program, run_program

from anymo_hf import cli
from anymo_hf.interruption import ending_in_words, refusing_bad_input, was_interrupted


@pytest.mark.parametrize(
    "error, code, words",
    [
        (KeyboardInterrupt(), 130, "walk: interrupted; nothing is half-written"),
        (MemoryError(), 2, "walk: not enough memory (refused by the system)"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"), 2, "you tried 8 bytes"),
        (
            RuntimeError("unable to mmap 8 bytes from file <a>: Cannot allocate memory (12)"),
            2,
            "walk: not enough memory",
        ),
        (RuntimeError("could not create a primitive"), 2, "walk: not enough memory"),  # oneDNN's
        (ArrowException("Unknown error: Failed to launch worker thread: not now"), 2, "walk: not enough memory"),
    ],
)
def test_the_end_is_one_line(error, code, words, capsys):
    with pytest.raises(SystemExit) as end, ending_in_words("walk"):
        raise error
    said = capsys.readouterr().err
    assert end.value.code == code and words in said and len(said.strip().splitlines()) == 1


@pytest.mark.parametrize("error", [ValueError("a.csv: no\n  rows"), OSError("a.csv: no rows")])
def test_a_bad_input_is_one_line_and_ends_with_2(error, capsys):
    with pytest.raises(SystemExit) as end, refusing_bad_input():
        raise error
    assert end.value.code == 2 and capsys.readouterr().err == "error: a.csv: no rows\n"
    with pytest.raises(KeyError), refusing_bad_input():
        raise KeyError("a fault of ours")


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="a fault of ours"), ending_in_words("walk"):
        raise RuntimeError("a fault of ours")
    with pytest.raises(RuntimeError, match="primitive descriptor"), ending_in_words("walk"):
        raise RuntimeError("could not create a primitive descriptor for a convolution")
    with pytest.raises(SystemExit) as end, ending_in_words("walk"):
        raise SystemExit(3)
    assert end.value.code == 3


def test_ctrl_c_within_the_end_of_an_object_is_not_forgotten(capsys):
    class Ends:
        def __del__(self):
            raise KeyboardInterrupt if self.interrupted else KeyError("a fault of ours")

        def __init__(self, interrupted):
            self.interrupted = interrupted

    before = sys.unraisablehook
    with pytest.raises(SystemExit) as end, ending_in_words("walk"):
        Ends(interrupted=True)
        for _ in range(1000):  # one long sleep would not be woken
            time.sleep(0.01)
    said = capsys.readouterr().err
    assert end.value.code == 130 and said.startswith("\nwalk: interrupted") and len(said.strip().splitlines()) == 1
    assert sys.unraisablehook is before
    heard = []
    sys.unraisablehook = lambda unraisable: heard.append(unraisable.exc_type)
    try:
        with ending_in_words("walk"):
            Ends(interrupted=False)
    finally:
        sys.unraisablehook = before
    assert heard == [KeyError]


def a_library_that_swallows_ctrl_c():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise ValueError("could not convert the table") from None


@pytest.mark.parametrize("refusing", [refusing_bad_input, contextlib.nullcontext])
def test_an_error_that_a_library_makes_of_ctrl_c_is_ctrl_c(refusing, capsys):
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(SystemExit) as end, ending_in_words("walk"), refusing():
        a_library_that_swallows_ctrl_c()
    said = capsys.readouterr().err
    assert end.value.code == 130 and said.startswith("\nwalk: interrupted") and len(said.strip().splitlines()) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ValueError, match="no rows"), ending_in_words("walk"):  # the next one has not been interrupted
        raise ValueError("no rows")


@pytest.mark.slow
def test_real_want_of_memory_is_said():
    def walk():
        with ending_in_words("walk"):
            resource.setrlimit(resource.RLIMIT_AS, (2**34, 2**34))
            np.ones(2**32)  # 32 GB, and what is held already

    done = run_program(walk)
    assert done.returncode == 2 and done.stderr.startswith("walk: not enough memory"), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["anymo_hf.training.corpus_command", "--output", "run", "--seeds", "80", "--workers", "1"],
        [cli.main, "simulate", "--out", "run", "--procedural", "80"],
    ],
)
def test_a_program_that_is_interrupted_says_so_without_a_traceback(tmp_path, words):
    process = forked_program(*words, out=tmp_path / "said", folder=tmp_path)
    stop = time.monotonic() + 120
    while not list(tmp_path.rglob("*.parquet")) and time.monotonic() < stop:
        time.sleep(0.02)
    for _ in range(3):  # Python drops one that comes while an object is being deleted
        os.kill(process.pid, signal.SIGINT)
        process.join(40)
        if process.exitcode is not None:
            break
    assert process.exitcode == 130
    process.kill()
    said = (tmp_path / "said").read_text()
    assert "Traceback" not in said and "interrupted; nothing is half-written" in said


def test_an_interruption_is_forgotten_after_its_block():
    with pytest.raises(SystemExit), ending_in_words("first"):
        signal.raise_signal(signal.SIGINT)
    assert not was_interrupted()
    with pytest.raises(ValueError, match="of another run"), ending_in_words("second"):
        raise ValueError("of another run")


def test_ctrl_c_while_the_block_is_entered_is_a_line_too(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("anymo_hf.interruption.threading.Event", interrupted)
    with pytest.raises(SystemExit) as end, ending_in_words("walk"):
        pass
    assert end.value.code == 130 and "walk: interrupted" in capsys.readouterr().err
