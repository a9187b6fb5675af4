"""Processes that belong to one stage in one run, for calls that compute.

What lives here: `Processes`. What must not: which calls they make, and what happens when those fail (calling.py); what
runs in a worker process (in_process.py). It is imported with the first stage that has `processes=`: with `pickle` it
takes as long as a twentieth of all the others.

Each call is a call in a thread, which asks a pool of processes and waits. So nothing of multiprocessing, whose locks,
pipes and starting of processes all block, is touched on the event loop. Processes are spawned, never forked: a fork of
a process with threads may inherit locked locks. A cancelled call kills the processes, since that is the only way to
stop one, and the threads that wait for them are released by it.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from streamflow.callables import name_of
from streamflow.errors import StageError, UsageError
from streamflow.machinery.crews.in_process import IGNORED, call_pickled, prepare
from streamflow.machinery.crews.workers import Threads

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor  # at run time it is fetched where the first process is made

__all__ = ["Processes", "pickled"]


class Processes:
    """Up to `size` worker processes, started as calls come, ended by `close()` or by a cancelled call."""

    def __init__(self, name: str, size: int, at_once: int, fn: bytes) -> None:
        """Make it; nothing is started yet. `at_once` calls may be at work or wait for a process; `fn` is pickled."""
        self._name = name
        self._size = size
        self._fn = fn
        self._threads = Threads(f"{name} waiter", at_once)
        self._pool: ProcessPoolExecutor | None = None
        self._making = threading.Lock()
        self._stopped = False

    async def call(self, item: Any) -> Any:
        """Call the function with `item` in a process and return its result.

        Raises what it raises, `StageError` when a worker process died, and `UsageError` for what cannot be pickled.

        Cancellation: kills all the processes; then `CancelledError` is raised. There are no further calls after it.
        """
        return await self._threads.call(self._ask, item, stop=self._kill)

    async def close(self) -> None:
        """Wait for the processes to end. Cancellation: `CancelledError` is raised after they have ended."""
        try:
            if self._pool is not None:
                await self._threads.call(functools.partial(self._pool.shutdown, wait=True, cancel_futures=True))
        finally:
            self._threads.close()

    # --- in a waiting thread -----------------------------------------------------------------------------------------

    def _ask(self, item: Any) -> Any:
        try:
            data = pickle.dumps(item)
        except Exception as error:
            raise StageError(
                f"{self._name} cannot send this item to a process: a {type(item).__name__} cannot be pickled "
                f"({error}). Give it plain data, or write threads= instead, which share everything."
            ) from error
        pool = self._opened()
        try:
            with _signals_held_back():
                future = pool.submit(call_pickled, data)
            if self._stopped:
                self._kill()  # the process may have been started after the others were killed
            answer = future.result()
        except BrokenExecutor as broken:
            self._give_up(pool)
            raise StageError(
                f"a worker process of {self._name} died while this call or one beside it was at work: it was killed "
                f"(out of memory?) or could not start. Whether its work was done nobody knows."
            ) from broken
        return pickle.loads(answer)  # noqa: S301  # from our own process, over a pipe nobody else has

    def _opened(self) -> ProcessPoolExecutor:
        with self._making:
            if self._pool is None:
                # Fetched here, in a waiting thread: these modules take as long to import as a tenth of all the others.
                spawn = import_module("multiprocessing").get_context("spawn")
                make = concurrent.futures.ProcessPoolExecutor
                if os.name == "posix":  # started by the first process, it would let the signals through again
                    import_module("multiprocessing.resource_tracker").ensure_running()
                self._pool = make(self._size, spawn, initializer=prepare, initargs=(self._fn,))
            return self._pool

    def _give_up(self, pool: ProcessPoolExecutor) -> None:
        """Let the next call have new processes, for where the failure is tried again or skipped."""
        pool.shutdown(wait=True)
        with self._making:
            if self._pool is pool and not self._stopped:
                self._pool = None

    # --- anywhere ----------------------------------------------------------------------------------------------------

    def _kill(self) -> None:
        self._stopped = True
        # There is no public way to it before Python 3.14; the dict is None once the pool has ended by itself.
        processes = getattr(self._pool, "_processes", None) or {}
        for process in list(processes.values()):
            process.kill()


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Let a process that is started here begin deaf to signals, until it says itself that it ignores them.

    A terminal and a service manager send theirs to all processes of a group. It is this thread that is deaf meanwhile;
    the main thread gets them as ever.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def pickled(fn: Callable[..., Any], workers: int) -> bytes:
    """Return a function pickled for so many processes, or raise `UsageError` with advice."""
    try:
        return pickle.dumps(fn)
    except Exception as error:
        raise UsageError(
            f"{name_of(fn)!r} cannot be sent to a process: it cannot be pickled ({error}). Define it with def at the "
            f"top of a module (no lambda, no function within a function), or write threads={workers}, which share "
            f"everything."
        ) from error
