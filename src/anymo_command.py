"""The program `anymo`. It stands outside the package, whose import takes a second in which Ctrl-C would be a traceback."""

import os
import signal
import sys


def main() -> None:
    """Runs `anymo_hf.cli.main`; Ctrl-C before that has begun ends the process with a line and 130, as it does later."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # else someone wants it otherwise, such as nohup
        signal.signal(signal.SIGINT, _end)
    from anymo_hf.cli import main as run

    signal.signal(signal.SIGINT, usual)
    run()


def _end(number: int, frame: object) -> None:
    # an exception would be caught by one of the imports, or be said as a fault of a compiled one
    sys.stderr.write("\nanymo: interrupted before it began; run the same command again\n")
    sys.stderr.flush()
    os._exit(130)
