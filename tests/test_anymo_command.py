"""Ctrl-C while the program `anymo` is being imported."""

import configparser
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import anymo_command

PROGRAM = "import anymo_command; print('begins', flush=True); anymo_command.main()"
SWALLOWS = """
import time
print("imports", flush=True)
try:
    time.sleep(60)
except BaseException:
    pass
"""


def interrupted(arguments, waits_for, seconds=0.0, **environment):
    """Exit code and words of the program that gets Ctrl-C so many seconds after it has printed a line."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | environment,
    ) as process:  # fmt: skip
        while process.stdout.readline().strip() != waits_for:
            pass
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=60)[1], process.returncode


def test_ctrl_c_during_an_import_is_a_line_and_130(tmp_path):
    (tmp_path / "anymo_hf").mkdir()
    (tmp_path / "anymo_hf" / "__init__.py").write_text(SWALLOWS)
    (tmp_path / "anymo_command.py").write_bytes(Path(anymo_command.__file__).read_bytes())
    said, code = interrupted(["--help"], "imports", PYTHONPATH=str(tmp_path))
    assert code == 130 and said == "\nanymo: interrupted before it began; run the same command again\n"


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.05, 0.3, 0.7])
def test_ctrl_c_at_any_moment_of_the_beginning_is_a_line_and_130(seconds, tmp_path):
    said, code = interrupted(["simulate", "--out", str(tmp_path), "--procedural", "80"], "begins", seconds)
    assert code == 130 and len(said.strip().splitlines()) == 1 and said.startswith("\nanymo: interrupted"), said


def test_the_installed_program_is_this_one_and_ignored_signals_stay_so(monkeypatch):
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[1] / "setup.cfg")
    module, function = setup["options.entry_points"]["console_scripts"].split("=")[1].strip().split(":")
    assert getattr(importlib.import_module(module), function) is anymo_command.main
    assert module in setup["options"]["py_modules"].split()
    before, seen = signal.getsignal(signal.SIGINT), []
    monkeypatch.setattr("anymo_hf.cli.main", lambda: seen.append(signal.getsignal(signal.SIGINT)))
    try:
        for handler in (signal.SIG_IGN, signal.default_int_handler):
            signal.signal(signal.SIGINT, handler)
            anymo_command.main()
        assert seen == [signal.SIG_IGN, signal.default_int_handler]
    finally:
        signal.signal(signal.SIGINT, before)
