"""Read-ahead of one: the next block is fetched while the one before it is used.

What lives here: `ReadAhead`. What must not: what a fetch is. It never runs two fetches at once, so order is kept and a
reader holds at most two blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from streamflow.engine.shielding import until_done

__all__ = ["ReadAhead"]


class ReadAhead:
    """Successive fetches, one ahead of the reader; an empty block is the end.

    Example: `while block := await ahead.next(): ...`, and `await ahead.close()` in the `finally`.

    Args:
        fetch: a coroutine function that returns the next block, and `b""` at the end.
        cancels: whether a fetch under way is cancelled by `close()`; otherwise it is waited for (a thread cannot be
            stopped).
    """

    def __init__(self, fetch: Callable[[], Coroutine[Any, Any, bytes]], *, cancels: bool) -> None:
        """Make it; nothing is fetched before the first `next()`."""
        self._fetch = fetch
        self._cancels = cancels
        self._task: asyncio.Task[bytes] | None = None

    async def next(self) -> bytes:
        """Return the next block. Cancellation: nothing is lost; the fetch goes on, for the next call or for `close`."""
        task = self._task = self._task or self._start()
        await asyncio.wait((task,))
        self._task = None
        block = task.result()
        if block:
            self._task = self._start()
        return block

    async def close(self) -> None:
        """End the fetch under way and forget what it brings. Call it inside `finish`, where nothing interrupts it."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._cancels:
            task.cancel()
        await until_done(task)
        if not task.cancelled():
            task.exception()  # nobody will read on, so a failure of the read-ahead no longer matters

    def _start(self) -> asyncio.Task[bytes]:
        return asyncio.create_task(self._fetch(), name="streamflow:read-ahead")
