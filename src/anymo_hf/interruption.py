"""How a program ends that is interrupted, got a bad input or has too little memory: with one line, not with a traceback."""

from __future__ import annotations

import _thread
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from .thread_room import threads_with_room

_AGAIN = 0.05  # seconds
_interrupted = False
INTERRUPTED = 130  # exit code of a program that Ctrl-C ended, as shells have it
# how torch's allocator, its oneDNN, Python's threads and pyarrow's say that there is no memory; none has a class of its own
_NO_MEMORY = re.compile(
    "can(?:'t|not) allocate memory|not enough memory|can't start new thread|bad_alloc|launch worker thread"
    "|could not create a (?:primitive(?! desc)|memory)",
    re.IGNORECASE,
)


@contextmanager
def ending_in_words(program: str) -> Iterator[None]:
    """Ends the process with 130 after Ctrl-C and with 2 where memory is short, and a line on standard error.

    Args:
        program: the name that the line begins with.

    Raises:
        SystemExit: in both cases; other errors pass.
    """
    global _interrupted
    usual, handler, own = sys.unraisablehook, signal.getsignal(signal.SIGINT), False
    try:
        try:
            _interrupted, ended = False, threading.Event()
            sys.unraisablehook = partial(_hear_again, usual, ended)
            own = handler is signal.default_int_handler and threading.current_thread() is threading.main_thread()
            if own:
                signal.signal(signal.SIGINT, _hear)
            try:
                with threads_with_room():
                    yield
            finally:
                ended.set()
        except Exception as error:
            if _interrupted:  # a library made an error of its own of Ctrl-C
                raise KeyboardInterrupt from error
            raise
    except KeyboardInterrupt as error:
        print(
            f"\n{program}: interrupted; nothing is half-written, and what was finished is kept for the same command",
            file=sys.stderr,
        )
        raise SystemExit(INTERRUPTED) from error
    except Exception as error:
        if not lacks_memory(error):
            raise
        print(
            f"{program}: not enough memory ({' '.join(str(error).split())[:200] or 'refused by the system'}); what was "
            "finished is kept, run the same command again with more, or with fewer processes or a smaller batch",
            file=sys.stderr,
        )
        raise SystemExit(2) from error
    finally:
        sys.unraisablehook, _interrupted = usual, False
        if own:
            signal.signal(signal.SIGINT, handler)


def was_interrupted() -> bool:
    """Whether Ctrl-C came in the block of `ending_in_words`: an error since then may be what a library made of it."""
    return _interrupted


@contextmanager
def holding_ctrl_c() -> Iterator[None]:
    """Ctrl-C within the block, in the main thread, comes at its end."""
    usual, came = signal.getsignal(signal.SIGINT), list[bool]()
    if usual is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if came:
            signal.raise_signal(signal.SIGINT)


def _hear(number: int, frame: Any) -> None:
    global _interrupted
    _interrupted = True
    signal.default_int_handler(number, frame)


def _hear_again(usual: Callable[[Any], object], ended: threading.Event, unraisable: Any) -> None:
    """Ctrl-C within the end of an object, such as a table of `datasets`, which Python prints and forgets, comes again."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _thread.start_new_thread(_interrupt_later, (ended,))  # at once it would fall into this function
    else:
        usual(unraisable)


def _interrupt_later(ended: threading.Event) -> None:
    if not ended.wait(_AGAIN):  # after the block it would hit what has nothing to do with it
        _thread.interrupt_main()


@contextmanager
def refusing_bad_input() -> Iterator[None]:
    """Ends the process with 2 and the line `error: ...` on standard error after a ValueError or OSError.

    Raises:
        SystemExit: then; other errors pass.
        KeyboardInterrupt: the error is what a library made of Ctrl-C.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        if was_interrupted():
            raise KeyboardInterrupt from error
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from error


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that the system refused memory."""
    unnamed = isinstance(error, RuntimeError) or type(error).__name__ == "ArrowException"
    return isinstance(error, MemoryError) or unnamed and _NO_MEMORY.search(str(error)) is not None
