"""Threads that belong to one stage in one run, for calls that block.

What lives here: `Threads`. What must not: which calls they make, and what happens when those fail (calling.py);
processes (processes.py).

Not the loop's own pool: calls that block would use it up, and others wait there (H43). A thread cannot be cancelled, so
a cancelled call is waited for (H40); one that has not begun never begins.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
from collections.abc import Callable
from typing import Any

from streamflow.callables import name_of
from streamflow.engine.shielding import until_done

__all__ = ["Threads"]


class Threads:
    """Up to `size` threads, started as calls come, ended by `close()`."""

    def __init__(self, name: str, size: int) -> None:
        """Make it; no thread is started yet. Debuggers and leak checks show the name."""
        self._name = name
        self._size = size
        self._executor: concurrent.futures.ThreadPoolExecutor | None = None

    async def call(self, fn: Callable[..., Any], *args: Any, stop: Callable[[], object] | None = None) -> Any:
        """Run `fn(*args)` in a thread, in a copy of the caller's context, and return its result.

        Raises what `fn` raises; a `StopIteration` becomes a `RuntimeError`, since a future cannot carry it.

        Cancellation: calls `stop()`, if given, waits until `fn` has returned, then raises `CancelledError`.
        """
        if self._executor is None:
            make = concurrent.futures.ThreadPoolExecutor
            self._executor = make(max_workers=self._size, thread_name_prefix=self._name)
        job = _Job(functools.partial(fn, *args))
        run = functools.partial(contextvars.copy_context().run, job)
        future = asyncio.get_running_loop().run_in_executor(self._executor, run)
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as cancelled:
            job.unwanted = True
            if stop is not None:
                stop()
            await until_done(future)
            raise cancelled from future.exception()
        return future.result()

    def close(self) -> None:
        """End the threads. No call may be at work: then they are idle, and this blocks for microseconds only."""
        if self._executor is not None:
            self._executor.shutdown(wait=True)
            self._executor = None


class _Job:
    """A call on its way to a thread."""

    def __init__(self, work: functools.partial[Any]) -> None:
        self._work = work
        self.unwanted = False

    def __call__(self) -> Any:
        if self.unwanted:
            return None
        try:
            return self._work()
        except StopIteration as stop:
            # A future refuses to carry it: on Python 3.11 whoever waits for that future would wait for ever (H36).
            raise RuntimeError(
                f"{name_of(self._work)} raised StopIteration in a thread; write next(iterator, default) there"
            ) from stop
