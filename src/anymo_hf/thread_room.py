"""No thread is begun without room for it: Python waits for ever for one whose memory ends before its first line.

https://github.com/python/cpython/issues/140746
"""

from __future__ import annotations

import mmap
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

if sys.platform != "win32":
    import resource

# of Parquet's readers in pandas and pyarrow: the threads of pyarrow are waited for in the same way
WITHOUT_THREADS = {"use_threads": False, "pre_buffer": False}
_STACK = 8 * 2**20  # bytes, where the system sets no limit of its own
# glibc takes 128 MB and keeps a half of it as the thread's heap; the rest is more than Python needs
_MORE = 160 * 2**20


@contextmanager
def threads_with_room() -> Iterator[None]:
    """Threads that this process starts meanwhile, libraries' too, begin or raise MemoryError; those of C++ are not meant.

    One that ends for want of memory writes no traceback: what waits for its work says it.
    """
    start, usual = threading.Thread.start, threading.excepthook

    def start_with_room(thread: threading.Thread) -> None:
        look_for_room()
        start(thread)

    def end_quietly(ended: threading.ExceptHookArgs) -> None:
        if not issubclass(ended.exc_type, MemoryError):
            usual(ended)

    threading.Thread.start = start_with_room  # type: ignore[method-assign]
    threading.excepthook = end_quietly
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]
        threading.excepthook = usual


def look_for_room(threads: int = 1) -> None:
    """Asks for the memory of so many threads and gives it back.

    Raises:
        MemoryError: the system refuses it.
    """
    if sys.platform == "win32":  # has no such limit
        return
    try:
        mmap.mmap(-1, threads * _stack() + _MORE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except OSError as error:
        raise MemoryError("no room for a thread") from error


def _stack() -> int:
    limit = resource.getrlimit(resource.RLIMIT_STACK)[0]
    return threading.stack_size() or (_STACK if limit == resource.RLIM_INFINITY else limit)
