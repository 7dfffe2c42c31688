"""Jobs in processes: one that the system ends is told, and none outlives a parent that is killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest

from anymo_hf.simulation.engines import run_jobs


@pytest.mark.slow
def test_a_process_that_the_system_ends_is_told():
    with pytest.raises(ChildProcessError, match="ended a process, for want of memory perhaps; run it again with fewer"):
        list(run_jobs(os._exit, [9, 9], num_proc=2))


def note_and_sleep(path):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(120)


def _runs(pid):
    """False also for one that ended and nobody asked after."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks /proc which processes run")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    jobs = [str(tmp_path / name) for name in "ab"]
    code = (
        "import sys; from anymo_hf.simulation.engines import run_jobs; from test_engines import note_and_sleep\n"
        "if __name__ == '__main__': list(run_jobs(note_and_sleep, sys.argv[1:], num_proc=2))"
    )
    paths = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    parent = subprocess.Popen([sys.executable, "-c", code, *jobs], env=os.environ | {"PYTHONPATH": paths})
    try:
        end = time.monotonic() + 60
        while not all(os.path.exists(path) and os.path.getsize(path) for path in jobs):
            assert time.monotonic() < end and parent.poll() is None
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.wait()
    pids = [Path(path).read_text() for path in jobs]
    end = time.monotonic() + 20
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < end, "the workers still run"
        time.sleep(0.1)


def held_back(_):
    """Signals that a worker holds back."""
    return {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])}


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks /proc what a process holds back")
def test_ctrl_c_comes_to_workers_and_not_to_what_they_are_forked_from():
    assert [found for _, found in run_jobs(held_back, range(2), num_proc=2)] == [set(), set()]
    assert signal.SIGINT not in held_back(None)
    status = Path(f"/proc/{forkserver._forkserver._forkserver_pid}/status").read_text()
    (blocked,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigBlk"))
    assert int(blocked, 16) >> signal.SIGINT - 1 & 1


@pytest.mark.slow
def test_what_workers_are_forked_from_may_end_too(monkeypatch):
    def gone(sentinel):
        raise EOFError("unexpected EOF")

    monkeypatch.setattr(forkserver, "read_signed", gone)
    with pytest.raises(ChildProcessError, match="ended a process"):
        list(run_jobs(held_back, range(2), num_proc=2))


@pytest.mark.slow
def test_no_worker_stays_where_memory_is_too_small_for_a_thread(monkeypatch):
    start = threading.Thread.start

    def refuse(thread):
        if "Executor" in type(thread).__name__:
            raise RuntimeError("can't start new thread")
        start(thread)

    before = set(multiprocessing.active_children())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        list(run_jobs(held_back, range(2), num_proc=2))
    end = time.monotonic() + 20
    while set(multiprocessing.active_children()) - before and time.monotonic() < end:
        time.sleep(0.01)
    assert not set(multiprocessing.active_children()) - before


def test_a_pool_whose_own_thread_ended_is_told_and_leaves_no_worker(monkeypatch):
    """Where memory is too small for the thread that feeds the queue, the pool's thread dies and says nothing."""

    def fails(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(multiprocessing.queues.Queue, "_start_thread", fails)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    before = set(multiprocessing.active_children())
    with pytest.raises(ChildProcessError, match="run it again with fewer"):
        list(run_jobs(abs, range(-6, 0), num_proc=2))
    limit = time.monotonic() + 20
    while set(multiprocessing.active_children()) - before and time.monotonic() < limit:
        time.sleep(0.05)
    assert not set(multiprocessing.active_children()) - before


def interrupted_at_locks(number):
    """From now on Ctrl-C comes to this worker whenever it has taken a lock of the pool's queues."""
    take = multiprocessing.synchronize.SemLock.__enter__

    def interrupted(lock):
        taken = take(lock)
        os.kill(os.getpid(), signal.SIGINT)
        return taken

    multiprocessing.synchronize.SemLock.__enter__ = interrupted
    return number


@pytest.mark.slow
def test_ctrl_c_breaks_no_lock_of_the_pool():
    code = (
        "from anymo_hf.simulation.engines import run_jobs; from test_engines import interrupted_at_locks\n"
        "if __name__ == '__main__': print(next(run_jobs(interrupted_at_locks, range(6), num_proc=2))[0] in range(6))"
    )
    paths = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=60
    )
    assert (ended.stdout, ended.returncode) == ("True\n", 0)
    assert "Traceback" not in ended.stderr


def interrupt_once(path):
    """Ctrl-C in the first job; says which jobs began."""
    with open(path, "a") as file:
        file.write("begun\n")
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)


@pytest.mark.slow
def test_a_job_that_waits_behind_an_interrupted_one_is_not_begun(tmp_path):
    jobs = [str(tmp_path / str(number)) for number in range(8)]
    with pytest.raises(KeyboardInterrupt):
        list(run_jobs(interrupt_once, jobs, num_proc=2))
    assert len(list(tmp_path.iterdir())) <= 2  # one a worker


_INTERRUPTED_AT_A_START = """
import os, signal, sys, time
from multiprocessing import forkserver
from anymo_hf.simulation.engines import run_jobs

if __name__ == "__mp_main__":
    time.sleep(1)  # a worker that takes its time to begin
read, pids = forkserver.read_signed, []

def interrupted(sentinel):
    pids.append(read(sentinel))
    if len(pids) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGINT)
    return pids[-1]

if __name__ == "__main__":
    forkserver.read_signed = interrupted
    try:
        list(run_jobs(abs, range(-4, 0), num_proc=2))
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.slow
@pytest.mark.parametrize("start", [1, 2])
def test_ctrl_c_at_the_start_of_a_worker_takes_nothing_away_from_it(tmp_path, start):
    (tmp_path / "a.py").write_text(_INTERRUPTED_AT_A_START)
    words = [sys.executable, str(tmp_path / "a.py"), str(start)]
    paths = os.pathsep.join(sys.path)
    ended = subprocess.run(words, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("interrupted\n", "")
