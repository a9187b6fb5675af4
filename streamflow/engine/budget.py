"""How long a segment may go on before it gives the other tasks a turn (promise P8).

What lives here: one clock per segment. What must not: channels, stages.

A turn begins when the segment was woken and ends when it waits again, or when a slice of time is used up. The clock is
looked at after every `size` items. That number starts at one, so the first item of a quiet pipeline leaves at once; it
doubles while that many items take less than a quarter of a slice, and falls in proportion when they take more than half
of one. So a fast operator hardly notices the clock, and a slow synchronous function holds the loop for a slice or for
one call, whichever is longer. A function that suddenly turns slow is noticed after `_LARGEST` calls at the latest.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

__all__ = ["Budget"]

_SLICE = 0.0005  # seconds; four busy segments then leave a 1 ms ticker at about 2-3 ms, under the 5 ms promised
_LARGEST = 1024  # one look for each channel of the default capacity; with 512, such a channel costs a twentieth more


class Budget:
    """The turns of one segment.

    `left` is how many items may pass before the next look at the clock, for whoever moves them to count down; `due`
    says that the last look found the turn to be over; `paused` sums the seconds given away.
    """

    __slots__ = ("_began", "_looked", "due", "left", "paused", "size")

    def __init__(self) -> None:
        """Start a turn."""
        self.size = self.left = 1
        self.due = False
        self.paused = 0.0
        self._began = self._looked = perf_counter()

    def look(self) -> bool:
        """Look at the clock after `size` items; return whether the turn is over: as many again would not fit in it."""
        now = perf_counter()
        took = now - self._looked
        if took < _SLICE / 4:
            if self.size < _LARGEST:
                self.size <<= 1
        elif took > _SLICE / 2:
            self._shrink(took)
        self._looked = now
        self.left = self.size
        self.due = now - self._began + took > _SLICE
        return self.due

    def over(self) -> bool:
        """Whether the turn is over, after a look at the clock where that is due."""
        return self.due or (self.left <= 0 and self.look())

    def rest(self) -> float:
        """The segment is about to wait for something: return the time, in seconds."""
        now = perf_counter()
        if now - self._looked > _SLICE / 2:
            self._shrink(now - self._looked)
        return now

    def _shrink(self, took: float) -> None:
        self.size = max(1, int(self.size * _SLICE / 2 / took))

    def renew(self, since: float) -> float:
        """The segment has waited since `rest()`: its turn starts anew. Return the seconds it waited."""
        self._began = self._looked = now = perf_counter()
        self.left = self.size
        self.due = False
        return now - since

    async def pause(self) -> None:
        """Give the other tasks a turn."""
        start = perf_counter()
        await asyncio.sleep(0)
        self.paused += self.renew(start)
