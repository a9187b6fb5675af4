"""Read-ahead of one: the next block is fetched while the one before it is used.

What lives here: `ReadAhead`. What must not: what a fetch is. It never runs two fetches at once, so order is kept and a
reader holds at most two blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamflow.engine.shielding import until_done

__all__ = ["ReadAhead"]


class ReadAhead:
    """Successive fetches, one ahead of the reader; an empty block is the end.

    Example: `while block := await ahead.next(): ...`, and `await ahead.close()` in the `finally`.

    Args:
        fetch: begins to fetch the next block, `b""` at the end: a call in a thread's queue, or a task.
        cancels: whether a fetch under way is cancelled by `close()`; otherwise it is waited for (a thread cannot be
            stopped).
    """

    def __init__(self, fetch: Callable[[], asyncio.Future[bytes]], *, cancels: bool) -> None:
        """Make it; nothing is fetched before the first `next()`."""
        self._fetch = fetch
        self._cancels = cancels
        self._begun: asyncio.Future[bytes] | None = None

    async def next(self) -> bytes:
        """Return the next block. Cancellation: nothing is lost; the fetch goes on, for the next call or for `close`."""
        fetched = self._begun = self._begun or self._fetch()
        if not fetched.done():
            await asyncio.wait((fetched,))
        self._begun = None
        try:
            block = fetched.result()
        finally:
            del fetched  # a failure's traceback holds this frame: no cycle
        if block:
            self._begun = self._fetch()
        return block

    async def close(self) -> None:
        """End the fetch under way and forget what it brings. Call it inside `finish`, where nothing interrupts it."""
        fetched, self._begun = self._begun, None
        if fetched is None:
            return
        if self._cancels:
            fetched.cancel()
        await until_done(fetched)
        if not fetched.cancelled():
            fetched.exception()  # nobody will read on, so a failure of the read-ahead no longer matters
