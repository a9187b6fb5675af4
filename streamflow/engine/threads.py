"""One thread that does blocking work in order, for a file, a codec or a client that belongs to one owner.

What lives here: `Worker`. What must not: pools shared between owners (readers that wait for ever would use them up and
block the very stage that could wake them), and what the work is.

How it works. A thread cannot be cancelled. So a cancelled `call` waits until the running function has returned and only
then raises; otherwise its owner would close a descriptor that the thread still writes to, and the number would by then
belong to somebody else's file. Cancel means: no new calls. Functions therefore should be short (a block of 1 MiB, not a
whole file).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple

from streamflow.engine.shielding import until_done
from streamflow.errors import UsageError

__all__ = ["Worker"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Worker:
    """A dedicated thread, started at the first call and ended by `close()`.

    Example:
        async with Worker("gzip") as worker:
            data = await worker.call(zlib.compress, block)

    Args:
        name: the thread's name, as debuggers and the leak checks show it.
    """

    def __init__(self, name: str) -> None:
        """Make it; no thread is started yet."""
        self.name = name
        self._executor: concurrent.futures.ThreadPoolExecutor | None = None
        self._closed = False

    def __repr__(self) -> str:
        """Return the name and whether its thread runs."""
        state = "closed" if self._closed else "idle" if self._executor is None else "started"
        return f"<Worker {self.name!r} {state}>"

    @property
    def executor(self) -> concurrent.futures.ThreadPoolExecutor:
        """The executor of one thread, for libraries that take one (aiofiles); `call` alone survives cancellation."""
        if self._closed:
            raise UsageError(f"The worker {self.name!r} has been closed; make a new one")
        if self._executor is None:
            self._executor = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix=self.name)
        return self._executor

    async def call(self, fn: Callable[[*Ts], R], *args: *Ts, adopt: Callable[[R], Any] | None = None) -> R:
        """Run `fn(*args)` in the thread, after the calls made before, and return its result.

        Example: `handle = await worker.call(open, path, adopt=lambda handle: handle.close())`.

        Args:
            fn: a synchronous function; it sees the caller's context variables.
            args: its positional arguments.
            adopt: called in the thread with the result when the caller was cancelled and so will never receive it.

        Raises what `fn` raises; a `StopIteration` becomes a `RuntimeError`, since a future cannot carry it.

        Cancellation: waits until `fn` has returned (and `adopt` after it), then raises `CancelledError`; a failure of
        `fn` is then its `__cause__`. An anyio scope's cancellation arrives at the caller's next await after this one;
        the result is not lost.
        """
        executor = self.executor
        future = _submit(executor, functools.partial(fn, *args))
        cancelled = await until_done(future)
        if cancelled is None:
            return future.result()
        try:
            if adopt is not None and future.exception() is None:
                await until_done(adopted := _submit(executor, functools.partial(adopt, future.result())))
                raise cancelled from adopted.exception()
            raise cancelled from future.exception()
        finally:
            del cancelled  # no cycle between the exception and this frame

    async def close(self) -> None:
        """Wait for the calls made so far and for the thread to end. Closing twice is allowed.

        Cancellation: `CancelledError` is raised after the thread has ended.
        """
        self._closed = True
        if self._executor is None:
            return
        executor = self._executor
        try:
            # When this last call is answered the thread is idle, so joining it below blocks for microseconds only.
            await _drained(executor)
        finally:
            executor.shutdown(wait=True)
            self._executor = None

    async def __aenter__(self) -> Self:
        """Return the worker."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()


def _submit(executor: concurrent.futures.ThreadPoolExecutor, work: Callable[[], R]) -> asyncio.Future[R]:
    run = functools.partial(contextvars.copy_context().run, _guarded, work)
    return asyncio.get_running_loop().run_in_executor(executor, run)


async def _drained(executor: concurrent.futures.ThreadPoolExecutor) -> None:
    if (cancelled := await until_done(_submit(executor, _nothing))) is not None:
        try:
            raise cancelled
        finally:
            del cancelled


def _guarded(work: Callable[[], R]) -> R:
    try:
        return work()
    except StopIteration as stop:
        # A future refuses to carry it: on Python 3.11 whoever waits for that future would wait for ever.
        name = getattr(getattr(work, "func", work), "__qualname__", repr(work))
        raise RuntimeError(f"{name} raised StopIteration in a thread; write next(iterator, end) there") from stop


def _nothing() -> None:
    """Mark a place in the thread's queue."""
