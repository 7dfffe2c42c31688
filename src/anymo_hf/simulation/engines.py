"""Where independent jobs run: in this process, in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any

from ..interruption import holding_ctrl_c
from ..thread_room import look_for_room

ENGINES = ("local", "ray")


def run_jobs(
    function: Callable[[Any], Any], jobs: Sequence[Any], engine: str = "local", num_proc: int = 1
) -> Iterator[tuple[int, Any]]:
    """Yields `(index, function(jobs[index]))` in whatever order jobs finish.

    Args:
        function: importable by name, so that other processes find it.
        jobs: picklable arguments.
        engine: "local" for this machine, "ray" for the cluster that `ray.init` finds (`RAY_ADDRESS`), or a local one of
            `num_proc` workers; its machines must see the same paths.
        num_proc: jobs at a time.

    Raises:
        ValueError: an unknown engine or a count below 1.
        ImportError: ray is not installed.
        ChildProcessError: the system ended a process.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if num_proc < 1:
        raise ValueError(f"num_proc must be at least 1, got {num_proc}")
    if engine == "ray":
        yield from _with_ray(function, jobs, num_proc)
    elif num_proc == 1 or len(jobs) < 2:
        yield from ((index, function(job)) for index, job in enumerate(jobs))
    else:
        yield from _with_processes(function, jobs, num_proc)


def _with_processes(function, jobs, num_proc) -> Iterator[tuple[int, Any]]:
    # a fork of this process may hang once torch has started threads, so workers are forked from one that has only
    # imported what this one has of the package, for seconds, as each of them would have to
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([name for name in list(sys.modules) if name.startswith("anymo_hf.")])
    _start_server()
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(min(num_proc, len(jobs)), context, initializer=_begin)
    try:
        try:
            # a worker whose start it met, the pool would not know of, and leave without its queues
            with holding_ctrl_c():
                futures = {pool.submit(_interruptible, function, job): index for index, job in enumerate(jobs)}
        except (EOFError, ConnectionError) as error:  # the one that they are forked from was ended
            raise BrokenProcessPool(str(error)) from error
        threading.Thread(target=_end_with, args=(_manager(pool), list(futures)), daemon=True).start()
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "the system ended a process, for want of memory perhaps; run it again with fewer (--num-proc), it goes "
            "on where it was"
        ) from error
    finally:
        manager = _manager(pool)
        orphaned = manager is not None and not manager.is_alive()
        try:
            pool.shutdown(cancel_futures=True)
        except RuntimeError:  # its thread was not started, for want of memory
            orphaned = True
        if orphaned:  # the workers would wait for that thread for ever
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()


def _manager(pool: ProcessPoolExecutor) -> threading.Thread | None:
    """The thread that hands jobs to the pool's workers and takes their results; None before the first job."""
    return getattr(pool, "_executor_manager_thread", None)


def _end_with(manager: threading.Thread | None, futures: list[Future]) -> None:
    """Fails what is not done once the pool's thread has ended: without memory for another thread it does so in silence."""
    if manager is None:
        return
    manager.join()
    for future in futures:
        with suppress(InvalidStateError):  # done or cancelled
            future.set_exception(BrokenProcessPool("the thread of the pool ended"))


def _start_server() -> None:
    """Starts what workers are forked from; Ctrl-C, which would end its imports with a traceback, does not reach it."""
    from multiprocessing import forkserver, resource_tracker  # Windows has neither

    resource_tracker.ensure_running()  # it sets the mask itself, and would set it back
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


class _CtrlC:
    """What a worker makes of Ctrl-C: the end of its job and of those that wait.

    Elsewhere it would break a lock of the pool's queues, for which all workers, and then their parent, wait for ever.
    """

    came = in_job = False

    @classmethod
    def hear(cls, *_: Any) -> None:
        cls.came = True
        if cls.in_job:
            raise KeyboardInterrupt


def _begin() -> None:
    """Lets Ctrl-C come to this worker again, and ends it when its parent is killed, which it would not notice by itself."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    look_for_room()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    signal.signal(signal.SIGINT, _CtrlC.hear)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _interruptible(function: Callable[[Any], Any], job: Any) -> Any:
    try:
        _CtrlC.in_job = True
        if _CtrlC.came:
            raise KeyboardInterrupt
        return function(job)
    finally:
        _CtrlC.in_job = False


def _with_ray(function, jobs, num_proc) -> Iterator[tuple[int, Any]]:
    try:
        import ray
    except ImportError as error:
        raise ImportError("the engine ray needs Ray: pip install 'anymo-hf[ray]', or use the engine local") from error
    started = not ray.is_initialized()
    if started and os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False)
    elif started:
        ray.init(num_cpus=num_proc, include_dashboard=False, log_to_driver=False)
    try:
        remote = ray.remote(num_cpus=1)(function)
        waiting: dict[Any, int] = {}
        rest = iter(enumerate(jobs))
        # a few more than run at a time, so that no worker waits and no queue grows with the archive
        limit = 2 * max(num_proc, int(ray.cluster_resources().get("CPU", 1)))
        while True:
            while len(waiting) < limit and (job := next(rest, None)) is not None:
                waiting[remote.remote(job[1])] = job[0]
            if not waiting:
                return
            for reference in ray.wait(list(waiting))[0]:
                yield waiting.pop(reference), ray.get(reference)
    finally:
        if started:
            ray.shutdown()
