"""How long a segment may go on before it gives the other tasks a turn (promise P8).

What lives here: one clock per segment. What must not: channels, stages.

A batch starts with one item, so the first item of a quiet pipeline leaves at once. It doubles while it takes less than
half a slice and halves when it takes more than one: a fast operator reaches thousands of items for each look at the
clock, and a slow synchronous function never holds the loop longer than about a slice and one call.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

__all__ = ["Budget"]

_SLICE = 0.0005  # seconds; four busy segments then leave a 1 ms ticker at about 2-3 ms, under the 5 ms promised
_LARGEST = 1 << 14


class Budget:
    """The turn of one segment; `paused` sums the seconds it gave away."""

    __slots__ = ("_since", "paused", "size")

    def __init__(self) -> None:
        """Start a turn."""
        self.size = 1
        self.paused = 0.0
        self._since = perf_counter()

    def renew(self) -> None:
        """The segment has just waited for something: its turn starts anew."""
        self._since = perf_counter()

    def resize(self) -> bool:
        """Choose the size of the next batch from the time since the turn began; return whether the turn is over."""
        spent = perf_counter() - self._since
        if spent > _SLICE:
            self.size = max(1, self.size >> 1) if spent > 2 * _SLICE else self.size
            return True
        if self.size < _LARGEST:
            self.size <<= 1
        return False

    async def pause(self) -> None:
        """Give the other tasks a turn."""
        start = perf_counter()
        await asyncio.sleep(0)
        self._since = perf_counter()
        self.paused += self._since - start
