"""The operations: putting, getting, and looking at it.

What lives here: what users call, each made of a turn and one step. What must not: rules of its own about room, turns or
the end.
"""

from __future__ import annotations

import asyncio
import reprlib
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import length_hint
from typing import Self, TypeVar

from streamflow.channel.ending import Ending
from streamflow.channel.stats import ChannelStats
from streamflow.channel.turns import TURN
from streamflow.errors import EndOfChannel
from streamflow.limits import check_capacity

__all__ = ["Channel"]

T = TypeVar("T")

# Iterators whose `length_hint` is exact, so that their end shows without asking for a further item.
_COUNTED: tuple[type, ...] = (type(iter([])), type(iter(())), type(iter(range(0))))


class Channel(Ending[T]):
    """A bounded channel: `await put()` is the drain, `close()` is the end.

    Example:
        channel = sf.Channel[bytes](16, max_bytes=4 << 20)

        async def produce():
            async for chunk in socket:
                await channel.put(chunk)      # waits while the channel is full
            channel.close()

        async for chunk in channel:           # ends when the channel is closed and drained
            ...

    Args:
        maxsize: how many items it holds at most (the high-water mark), at least 1.
        max_bytes: how many bytes it holds at most, `None` to count items only. One heavier item passes when empty.
        size: gives the bytes of an item; default: `len` of bytes-like items, `nbytes` where there is one, else 0.
        name: shown in statistics and `repr`.

    Raises `UsageError` for a bound of 0, a negative, infinite or no number, and for a `size` without `max_bytes`.

    Cancellation: a `put` or `get` that raises, cancelled or not, has had no effect. The table in
    `streamflow.channel` says what each method does in each state.
    """

    # --- writing ---------------------------------------------------------------------------------------------------

    async def put(self, item: T) -> None:
        """Put one item, waiting for room and for the writers that came before.

        Raises `ChannelClosed` after `close()` or `fail()`, `ReaderGone` when nobody reads any more.
        Cancellation: the item was not put.
        """
        await self._checkpoint()
        weight = self._weigh(item)
        await self.wait_for_room(weight)
        self._admit(item, weight)

    def put_nowait(self, item: T) -> None:
        """Put one item now. Raises `asyncio.QueueFull` when there is no room or other writers wait; else as `put`."""
        self._refuse_if_ended()
        weight = self._weigh(item)
        if self._putters or not self._fits(weight):
            raise asyncio.QueueFull
        self._admit(item, weight)

    async def put_many(self, items: Iterable[T]) -> int:
        """Put every item of an iterable, taking each from it only when there is room; return how many.

        Faster than `put` in a loop. Raises as `put`, and what the iterable raises: the items before are in the channel.
        It asks for a further item only when there is room, so only a list, tuple or range (whose end shows) is known to
        be exhausted at once when its last item fills the channel. Other writers may put between its items.
        Cancellation: what was taken from the iterable is in the channel, the rest still in the iterable; with
        `max_bytes` one item that was taken to be weighed may be dropped, and is counted as discarded.
        """
        self._refuse_if_ended()
        source = iter(items)
        total = 0
        while not (isinstance(source, _COUNTED) and not length_hint(source)):
            await self._checkpoint()
            await self.wait_for_room()
            wanted = min(self.room(), TURN) if self._size is None else 1
            added = self.fill(source, wanted) if self._size is None else await self._put_next(source)
            self._turn -= added
            total += added
            if added < wanted:
                break
        return total

    async def _put_next(self, source: Iterator[T]) -> int:
        """Weigh and put the next item, for a writer whose turn it is; return how many that were: 0 at the end."""
        try:
            for item in islice(source, 1):
                self._admit(item, await self._room_for(item))
                return 1
            return 0
        finally:
            self.wake()  # a turn that was not used passes on

    async def _room_for(self, item: T) -> int:
        """Wait at the head of the writers until an item that was taken already fits; return its weight."""
        try:
            weight = self._weigh(item)
            if not self._fits(weight):
                await self._wait_to_write(weight, first=True)
        except BaseException:
            self._dropped += 1  # taken from the iterable and put nowhere: the account says so
            raise
        return weight

    # --- reading ---------------------------------------------------------------------------------------------------

    async def get(self) -> T:
        """Take one item, waiting for one and for the readers that came before.

        Raises `EndOfChannel` at the end, and the failure after `fail()`. Cancellation: nothing was taken.
        """
        await self._checkpoint()
        await self.wait_for_items()
        return self._take()

    def get_nowait(self) -> T:
        """Take one item now.

        Raises `asyncio.QueueEmpty` when none is free (one is kept for each reader that waits); else as `get`.
        """
        if len(self._queue) <= len(self._getters) and not self._over():
            raise asyncio.QueueEmpty
        return self._take()

    async def get_many(self, limit: int | None = None) -> list[T]:
        """Wait for at least one item, then take all that are free, up to `limit`: each waiting reader keeps one.

        Raises and cancels as `get`.
        """
        if limit is not None:
            check_capacity("limit", limit)
        await self._checkpoint()
        await self.wait_for_items()
        items = [self._take()]
        for _ in range(min(len(self._queue) - len(self._getters), (limit or self._capacity) - 1)):
            items.append(self._take())  # noqa: PERF401  # each take keeps the books
        self._turn -= len(items)
        return items

    def __aiter__(self) -> Self:
        """Take items one at a time until the end; several readers may do so side by side.

        It may be left (`break`, a timeout around `anext`) and taken up again: no generator could end early.
        """
        return self

    async def __anext__(self) -> T:
        """Take one item as `get`; the end ends the iteration, a failure is raised."""
        try:
            return await self.get()
        except EndOfChannel as end:
            # A stage that failed with the end of some other channel has failed: that is no end of this one (P5).
            if end is self._failure:
                raise
            raise StopAsyncIteration from None

    # --- watching --------------------------------------------------------------------------------------------------

    def account(self) -> tuple[int, int, int, int]:
        """Return the counts put, got, discarded, items of `stats()`: put = got + discarded + items, or one was lost."""
        in_hand = length_hint(self._hand)
        items, got, discarded = len(self._queue) + in_hand, self._taken - in_hand, self._discarded
        put = self._put_so_far(got + items + discarded)
        return put + self._dropped, got, discarded + self._dropped, items

    def stats(self) -> ChannelStats:
        """Return a snapshot of the counters."""
        self.note_peak()
        put, got, discarded, items = self.account()
        return ChannelStats(
            name=self.name,
            state=self.state,
            maxsize=self._capacity,
            max_bytes=self.max_bytes,
            items=items,
            bytes=self._bytes,
            put=put,
            got=got,
            discarded=discarded,
            bytes_put=self._bytes_put,
            peak=self._peak,
            peak_bytes=self._peak_bytes,
            drains=self._drains,
            waited_for_room=self._waited_for_room,
            waited_for_items=self._waited_for_items,
            writers_waiting=len(self._putters),
            readers_waiting=len(self._getters),
        )

    def _put_so_far(self, seen: int) -> int:
        """Return how many items went in, as counted where they went in; `seen` is what has become of them.

        Batches are counted when they end. Before, nobody can say more than what is seen, and the account balances
        whatever happens; so it does for a writer that was given up in the middle of one.
        """
        return seen if self._in_batch else self._entered

    def _format(self) -> str:
        """What `repr` shows: the name, the state, counts and waiters, and the first items shortened."""
        parts = [f"maxsize={self._capacity}", f"name={self.name!r}", self.state, f"items={self.held()}"]
        if self.max_bytes is not None:
            parts.append(f"bytes={self._bytes}/{self.max_bytes}")
        if self._queue:
            parts.append(f"_queue={reprlib.repr(list(islice(self._queue, 4)))}")
        parts += [f"_getters[{len(self._getters)}]"] * bool(self._getters)
        parts += [f"_putters[{len(self._putters)}]"] * bool(self._putters)
        parts += [f"tasks={self._unfinished_tasks}"] * bool(self._unfinished_tasks)
        return " ".join(parts)
