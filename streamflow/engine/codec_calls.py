"""The thread of a codec that is heavy: calls wait for it in a row, and their results are taken in the same order.

What lives here: `Calls`. What must not: how a codec is fed, which is in codecs.py.

A thread that has nothing to do until the loop has woken up, and a loop that waits for a thread to wake up, are where
the time goes with quick libraries. So the next call is in the thread's queue before the one before it has ended: it
goes on at once, whatever the loop does meanwhile.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from streamflow.engine.shielding import finish
from streamflow.engine.threads import Worker
from streamflow.limits import byte_size

__all__ = ["AHEAD", "Calls", "Helping"]

B = TypeVar("B")

AHEAD = 2
"""How many calls there are at most, the one that runs included."""

Helping: TypeAlias = tuple[Iterator[B], bool]
"""Some output, and whether there may be more of it. An error comes behind the good items."""


class Calls(Generic[B]):
    """Calls that pull output of a codec, in a thread of their own, which starts with the first of them.

    Args:
        name: of the thread.

    Attributes:
        used: whether the thread was started.

    What is pulled behind an error is never taken. Cancellation: a call that runs is waited for, by `close`.
    """

    def __init__(self, name: str) -> None:
        """Start nothing."""
        self.used = False
        self._worker = Worker(name)
        self._begun: deque[asyncio.Future[Helping[B]]] = deque()

    def __len__(self) -> int:
        """Return how many results are to be taken."""
        return len(self._begun)

    def begin(self, work: Iterator[B], most: float = math.inf) -> None:
        """Pull `most` bytes of output or a little more, behind the calls begun before."""
        self.used = True
        call = partial(contextvars.copy_context().run, _pulled, work, most)
        self._begun.append(asyncio.get_running_loop().run_in_executor(self._worker.executor, call))

    def spare(self, work: Iterator[B]) -> None:
        """Put work in the row that is so little that it is done where its output is taken."""
        done: asyncio.Future[Helping[B]] = asyncio.get_running_loop().create_future()
        done.set_result((work, False))
        self._begun.append(done)

    def due(self) -> bool:
        """Return whether a result should be taken: it is there, or there must not be more calls."""
        return len(self._begun) >= AHEAD or (len(self._begun) > 0 and self._begun[0].done())

    async def take(self) -> Helping[B]:
        """Wait for the result of the first call."""
        return await self._begun.popleft()

    async def close(self) -> None:
        """Take back what has not begun, let the call that runs end, and end the thread, through any cancellation."""
        for future in self._begun:
            future.cancel()
        await finish(self._worker.close())


def _pulled(work: Iterator[B], most: float) -> Helping[B]:
    helping: list[B] = []
    size = 0
    try:
        for out in work:
            helping.append(out)
            size += byte_size(out) or 1
            if size >= most:
                return iter(helping), True
    except Exception as error:  # noqa: BLE001  # it is raised when its turn comes
        return _then(helping, error), False
    return iter(helping), False


def _then(items: list[B], error: Exception) -> Iterator[B]:
    yield from items
    raise error
