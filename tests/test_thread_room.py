"""A thread for which memory is too small is refused, where Python would wait for it for ever."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from anymo_hf.interruption import ending_in_words
from anymo_hf.thread_room import _stack, threads_with_room


def _ends(free, guard):
    """Exit code of a process that begins a thread when it may take so many bytes more; None where it waits for ever."""
    pid = os.fork()
    if pid == 0:
        import resource

        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            with guard:
                size = 4096 * int(Path("/proc/self/statm").read_text().split()[0])
                resource.setrlimit(resource.RLIMIT_AS, (size + free,) * 2)
                with ThreadPoolExecutor(1) as pool:
                    pool.submit(abs, -1).result()
            os._exit(0)
        except SystemExit as end:
            os._exit(end.code)
        finally:
            os._exit(1)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return None


@pytest.mark.skipif(not os.path.isfile("/proc/self/statm"), reason="asks /proc for a process's memory")
def test_a_thread_with_a_stack_and_no_more_is_refused():
    # from too little for its stack to enough for its first lines; Python waits for ever at some of them
    ends = {_ends(_stack() + pages * 4096, ending_in_words("walk")) for pages in range(0, 12, 2)}
    assert ends == {2}


def test_threads_begin_as_usual_where_there_is_room():
    usual, began = threading.Thread.start, threading.Event()
    with threads_with_room():
        threading.Thread(target=began.set).start()
        assert began.wait(10)
    assert threading.Thread.start is usual


def test_only_want_of_memory_ends_a_thread_without_a_traceback(monkeypatch):
    def fail(error):
        raise error("no room for a thread")

    told = []
    monkeypatch.setattr(threading, "excepthook", lambda ended: told.append(ended.exc_type))
    for error in (MemoryError, OSError):
        with threads_with_room():
            thread = threading.Thread(target=fail, args=(error,))
            thread.start()
            thread.join()
    assert told == [OSError]
