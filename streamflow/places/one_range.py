"""One range of an object on its way: what of it has come, for whoever takes it, and the task that brings it.

What lives here: `OneRange`. What must not: which ranges are asked for, versions.

It is brought to its end whether or not anybody takes what has come.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing

from streamflow.engine.shielding import until_done
from streamflow.places.stores import Fetched, Stored

__all__ = ["OneRange"]


class OneRange:
    """The range of `length` bytes at `start`, which a store brings.

    Example: `while not one.over: await one.wait(); ... one.take()`.

    Args:
        get: asks the store.
        block: into pieces of how many bytes an answer is cut that comes at one go.

    `brought` and `taken` count bytes; `stored` is the version, once the answer has begun; `over` is said when nothing
    more will come, `seconds` how long that took.
    """

    def __init__(self, start: int, length: int, block: int, get: Callable[[], Awaitable[Fetched]]) -> None:
        """Begin the request."""
        self.start = start
        self.length = length
        self._block = block
        self.brought = 0
        self.taken = 0
        self.stored: Stored | None = None
        self._pieces: deque[bytes | memoryview] = deque()
        self._news = asyncio.Event()
        self._began = asyncio.get_running_loop().time()
        self.seconds = 0.0
        self.over = False
        self._task = asyncio.create_task(self._bring(get), name="streamflow:read-ahead")

    async def _bring(self, get: Callable[[], Awaitable[Fetched]]) -> None:
        try:
            fetched = await get()
            self.stored = fetched.stored
            if isinstance(fetched.data, (bytes, memoryview)):
                for piece in _cut(fetched.data, self._block):
                    self._came(piece)
                return
            async with aclosing(fetched.data) as pieces:
                async for piece in pieces:
                    self._came(piece)
        finally:
            self.seconds = asyncio.get_running_loop().time() - self._began
            self.over = True
            self._news.set()

    def _came(self, piece: bytes | memoryview) -> None:
        if piece:
            self._pieces.append(piece)
            self.brought += len(piece)
            self._news.set()

    async def wait(self) -> None:
        """Wait until there is something to take, or it is over. Cancellation: nothing is lost."""
        while not self._pieces and not self.over:
            self._news.clear()
            await self._news.wait()

    def take(self) -> bytes | memoryview:
        """Return the next piece, an empty one if there is none."""
        if not self._pieces:
            return b""
        piece = self._pieces.popleft()
        self.taken += len(piece)
        return piece

    async def end(self) -> None:
        """Raise what it ended with, if that was an error. Call it when it is over. Cancellation: then drop it."""
        if not self._task.done():  # it is a turn after it has said so
            await asyncio.wait((self._task,))
        self._task.result()

    def drop(self) -> None:
        """Ask it to stop."""
        self._task.cancel()

    async def dropped(self) -> None:
        """Wait until it has stopped. Call it inside `finish`, where nothing interrupts it."""
        await until_done(self._task)
        if not self._task.cancelled():
            self._task.exception()  # nobody will read on, so a failure of the read-ahead no longer matters


def _cut(data: bytes | memoryview, size: int) -> Iterator[bytes | memoryview]:
    if len(data) <= size:
        yield data
        return
    view = memoryview(data)
    for at in range(0, len(view), size):
        yield view[at : at + size]
