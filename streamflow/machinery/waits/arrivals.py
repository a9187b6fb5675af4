"""The input raced against the clock, with no task and nothing lost: what the operators on time stand on.

What lives here: `Arrivals`, three questions around a reader. What must not: operators (pacing.py, timing.py).

The clock only ever cuts a *wait*, never a take (H37): `came` takes nothing, and what `take` returns is taken in the
step in which it returns.
"""

from __future__ import annotations

import math
from typing import Generic

from streamflow.engine.clock import turn
from streamflow.engine.reader import Reader
from streamflow.machinery.variables import A

__all__ = ["Arrivals"]

_TURNS = 4
"""Turns of the loop for whoever was woken at the moment of a deadline: a source takes two until its item is here."""


class Arrivals(Generic[A]):
    """What comes, and when."""

    def __init__(self, reader: Reader[A]) -> None:
        """Look at `reader`, which nobody else reads."""
        self._reader = reader
        self._channel = reader.channel

    @property
    def over(self) -> bool:
        """Whether everything was taken and nothing more will come: the input has ended, or failed."""
        return self._channel.over

    async def came(self, *, until: float = math.inf) -> bool:
        """Wait for an item or the end of the input, taking nothing; return whether that came in time.

        What comes at the very moment `until`, in seconds of `loop.time()`, is in time, whichever timer was set first.
        Cancellation: nothing was taken.
        """
        self._channel.release()  # whoever waits for room must see what has been taken
        if await self._reader.wait(until=until):
            return True
        for _ in range(_TURNS):
            await turn()
            if self._channel.qsize() or self._channel.over:
                return True
        return False

    async def take(self, limit: int | None = None) -> list[A]:
        """Take what is there, up to `limit` items and at least one; ask only after `came`, and not when it is over.

        Cancellation: nothing was taken.
        """
        limit = limit or self._channel.maxsize
        hand = self._reader.take(limit) or await self._reader.wait_hand(limit)
        assert hand is not None
        return list(hand)

    async def end(self) -> None:
        """Raise what the input failed with, if it did; ask when it is over."""
        await self._reader.next_hand()
