"""The writing end of a channel as the engine uses it: what carries a stage's output on.

What lives here: `Writer`, exclusive, moving batches, and how it learns whether its items are to be weighed. What must
not: decisions about how a run ends (the conductor's), or rules about room (the channel's).

It extends the channel's deque up to the exact room left, and looks at the clock between batches. When there is no room
it is woken late rather than often: when half the channel is free, or the reader has nothing left. What need not wait is
a plain call (`put_now`).
"""

# ruff: noqa: SLF001  # the hot loops look into the channel: a call for each question would cost more than the answers

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from operator import length_hint
from time import perf_counter
from types import AsyncGeneratorType
from typing import Any, Generic, TypeVar

from streamflow.channel import Channel
from streamflow.channel.bound import NOTHING
from streamflow.channel.storage import fill, speedups
from streamflow.engine.budget import Budget
from streamflow.errors import ReaderGone
from streamflow.limits import byte_size

__all__ = ["Writer"]

T = TypeVar("T")


class Writer(Generic[T]):
    """The output of a segment: puts what the segment makes into its channel until the reader leaves."""

    def __init__(self, channel: Channel[T], budget: Budget, max_bytes: int) -> None:
        """Write to `channel`, which nobody else writes; `max_bytes` applies once an item with a size in bytes comes."""
        self.channel = channel
        self.parked = False
        self.ending = False
        """Whether the item in its hand is to be the last one: it puts that, and then says that no more is wanted."""
        self.input: Channel[Any] | None = None
        """The channel that a fused chain reads: told before each wait that its hand has become lighter."""
        self._budget = budget
        self._max_bytes = max_bytes
        self._weightless: set[type[Any]] = set()
        self._spilled: deque[T] = deque()
        self.unput: list[T] = []
        """What was taken from the stage and could not be put because a cancellation struck; one item at most."""
        self._since = 0.0
        channel.low_water(max(1, channel.maxsize // 2))

    def _ready(self) -> int:
        """Return how many items may be put before the next look, without waiting; 0 or less: see `_more`."""
        channel, budget = self.channel, self._budget
        if channel._ended or channel._size is not None or ((budget.left <= 0 or budget.due) and budget.over()):
            return 0
        left = budget.left
        room = channel._capacity - len(channel._queue) - channel._reserved - channel._lent
        if channel._hand is not NOTHING:
            room -= length_hint(channel._hand)
        if room > left:
            return left
        return room if room > 0 else 0

    async def _more(self, *held: T) -> int:
        """Look at the clock, give the other tasks a turn or wait for room; 0 means that no more is wanted.

        While it waits the segment is *parked*: its generator stands at a `yield`, so it can be closed without a cancel.
        `held` is the item in the writer's hand: where there is no room for it, it is kept in `unput` or counted.
        """
        channel, budget = self.channel, self._budget
        try:
            while not channel._ended:
                if budget.over():
                    await self._give_turn()
                elif (room := channel.room()) > 0:
                    if self.ending:
                        return self._put_last(held)
                    return room if room < budget.left else budget.left
                else:
                    self._lighten()
                    self.parked = True
                    channel._drains += 1
                    self._since = since = budget.rest()
                    waiter: asyncio.Future[None] = asyncio.Future(loop=channel._loop or channel._get_loop())
                    channel._putters.append(waiter)
                    try:
                        await waiter
                    finally:
                        self.parked = False
                        self._since = 0.0
                        channel._waited_for_room += budget.renew(since)
                        channel._putters.remove(waiter)
        except asyncio.CancelledError:
            self.unput += held
            raise
        for _ in held:
            channel.note_dropped()
        return 0

    def _put_last(self, held: tuple[T, ...]) -> int:
        channel = self.channel
        channel._queue.extend(held)
        channel._entered += len(held)
        channel.wake()
        return 0

    async def put_unput(self) -> None:
        """Put what a cancellation kept from being put, when the writer is ending."""
        held = tuple(self.unput)
        self.unput.clear()
        for item in held:
            await (self._put_weighed(item) if self.channel.weighs else self._more(item))

    async def _give_turn(self) -> None:
        self._lighten()
        self.parked = True
        try:
            await self._budget.pause()
        finally:
            self.parked = False

    def _lighten(self) -> None:
        if self.input is not None and self.input._putters:
            self.input.wake()

    async def pump(self, items: AsyncIterator[T]) -> bool:
        """Put every item of an async iterator; return whether it came to its end (else nobody wants more of it).

        Room is counted as used when it is granted, and what is left of it is taken back: nothing is counted per item.
        """
        if speedups is not None and type(items) is AsyncGeneratorType and not self.channel.weighs:
            ended = await self._pump_generator(items)
            if ended is not None:
                return ended
        return await self._pump_each(items)

    async def _pump_generator(self, items: AsyncGeneratorType[T, Any]) -> bool | None:
        """Do as `_pump_each` with the loop in C; return `None` when items are to be weighed, which is done there."""
        channel = self.channel
        pump = speedups.Pump(items, channel._queue, channel._getters, channel.wake, self._weightless)
        channel._in_batch = True
        try:
            while await pump:  # it holds an item: of a type that is not known, or for which no room is left
                if type(pump.item) not in self._weightless and self._has_bytes(pump.item):
                    channel._entered -= pump.left
                    pump.left = 0
                    return None if await self._put_weighed(pump.give()) else False
                if pump.left <= 0:
                    room = self._ready() or await self._more(pump.item)
                    if not room:
                        return False
                    self._budget.left -= room
                    channel._entered += room
                    pump.left = room
            return True
        finally:
            channel._entered -= pump.left
            channel._in_batch = False

    async def _pump_each(self, items: AsyncIterator[T]) -> bool:
        channel = self.channel
        queue, getters, weightless = channel._queue, channel._getters, self._weightless
        told: asyncio.Future[None] | None = None
        known: type[Any] | None = None
        left = 0
        channel._in_batch = True
        try:
            async for item in items:
                if type(item) is not known and (known := type(item)) not in weightless and self._has_bytes(item):
                    channel._entered -= left
                    known, left = None, 0
                    if not await self._put_weighed(item):
                        return False
                    continue
                if left <= 0:
                    left = self._ready() or await self._more(item)
                    if not left:
                        return False
                    self._budget.left -= left
                    channel._entered += left
                queue.append(item)
                left -= 1
                if getters and (reader := getters[0]) is not told:
                    told = reader
                    if not reader.done():
                        reader.set_result(None)
            return True
        finally:
            channel._entered -= left
            channel._in_batch = False

    def drop(self) -> None:
        """Count what will never be put."""
        for _ in self.unput:
            self.channel.note_dropped()
        self.unput.clear()

    def put_now(self, items: Iterator[T]) -> bool:
        """Put items of an iterator while that needs no wait; return whether it is exhausted, else see `pour`."""
        room = self._ready()
        return bool(room) and self._fill(items, room)

    async def pour(self, items: Iterator[T]) -> bool:
        """Put every item of an iterator, at C speed and in timed batches; return as `pump`."""
        channel = self.channel
        while not channel.weighs:
            room = await self._more()
            if not room:
                return False
            if self._fill(items, room):
                return True
        return await self._pour_weighed(items)

    def _fill(self, items: Iterator[T], room: int) -> bool:
        """Put up to `room` items; return whether the iterator is exhausted."""
        channel, queue, weightless = self.channel, self.channel._queue, self._weightless
        before = len(queue)
        if not weightless:  # nothing is known of these items yet: the first one tells whether they are weighed
            room = 1
        channel._in_batch = True
        try:
            fill(queue, items, room)
        finally:
            added = len(queue) - before
            channel._entered += added
            channel._in_batch = False
        if not added:
            return True
        self._budget.left -= added
        if type(queue[-1]) not in weightless or type(queue[before]) not in weightless:
            self._learn(added)
            if channel._size is not None:
                return False
        getters = channel._getters
        if getters and not getters[0].done():
            getters[0].set_result(None)
        return added < room

    def _has_bytes(self, item: T) -> bool:
        """Whether this item, of a type not seen before, is to be weighed; the first with a size in bytes decides."""
        if not self.channel.weighs:
            if byte_size(item) is None:
                self._weightless.add(type(item))
                return False
            self.channel.limit_bytes(self._max_bytes)
            self._weightless.clear()
        return True

    def _learn(self, added: int) -> None:
        """Types not seen before came in: take the batch back, and put it again unless its items must be weighed."""
        queue, weightless = self.channel._queue, self._weightless
        batch = deque(queue.pop() for _ in range(added))
        batch.reverse()
        weighed = False
        try:
            weighed = any(type(item) not in weightless and self._has_bytes(item) for item in batch)
        finally:  # asking an item for its size may fail
            if weighed:
                self._spilled = batch
                self.channel._entered -= added
            else:
                queue.extend(batch)

    async def _pour_weighed(self, items: Iterator[T]) -> bool:
        if not await self._put_spilled():
            return False
        for item in items:
            if not await self._put_weighed(item):
                return False
        return True

    async def _put_spilled(self) -> bool:
        spilled = self._spilled
        try:
            while spilled:
                if not await self._put_weighed(spilled.popleft()):
                    return False
            return True
        finally:
            for _ in spilled:
                self.channel.note_dropped()
            spilled.clear()

    async def _put_weighed(self, item: T) -> bool:
        """Put one item that counts in bytes; it waits in this writer's hand. Return whether more may follow."""
        channel, budget = self.channel, self._budget
        try:
            try:
                channel.put_nowait(item)
            except asyncio.QueueFull:
                await self._wait_with(item)
        except ReaderGone:
            channel.note_dropped()
            return False
        except BaseException:
            self.unput.append(item)
            raise
        budget.left -= 1
        if budget.over():
            await self._give_turn()
        return not (self.ending or channel._ended)  # the reader may have left in that turn, and asked nobody to stop

    async def _wait_with(self, item: T) -> None:
        self._lighten()
        self._since = self._budget.rest()
        self.parked = True
        try:
            await self.channel.put(item)
        finally:
            self.parked = False
            self._budget.renew(self._since)
            self._since = 0.0

    def waiting(self) -> float:
        """Return for how many seconds it has been waiting for room now; 0 when it is not."""
        return perf_counter() - self._since if self._since else 0.0
