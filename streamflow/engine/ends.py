"""The two ends of a channel as the engine uses them: one exclusive reader, one exclusive writer, moving batches.

What lives here: `Reader`, what a stage gets as its input; `Writer`, what carries a stage's output on. What must not:
decisions about how a run ends (the conductor's), or rules about room (the channel's).

A reader takes up to half a channel into its hand after one wait and gives it out item by item; a writer extends the
channel's deque up to the exact room left and looks at the clock between batches. Nothing here awaits between taking an
item and handing it on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from itertools import islice
from operator import length_hint
from time import perf_counter
from typing import Any, Generic, TypeVar

from streamflow.channel import Channel
from streamflow.engine.budget import Budget
from streamflow.errors import ReaderGone
from streamflow.limits import byte_size

__all__ = ["Reader", "Writer"]

T = TypeVar("T")

_NO_BYTES = (int, float, str, bool, type(None), dict, list, tuple)


class Reader(Generic[T]):
    """The input of a stage: an async iterator over the items of its channel.

    Example:
        async def stage(items):
            async for item in items:              # one at a time
                yield item

        async def sink(items):
            async for batch in items.batches():   # or all that is there, as a list
                await table.insert_many(batch)

    It may be left (`break`) and taken up again. An error of a stage above is raised here after the items before it; after
    that, and after the end, iteration simply ends. Cancellation: no item is lost that is not counted as discarded.
    """

    def __init__(self, channel: Channel[T], budget: Budget | None = None) -> None:
        """Read `channel`, which nobody else reads."""
        self.channel = channel
        self.budget = budget or Budget()
        self.raised: BaseException | None = None
        self.exhausted = False
        self._half = max(1, channel.maxsize // 2)
        self._items = self._each()
        self._batches = self._each_batch()

    def __aiter__(self) -> AsyncIterator[T]:
        """Return the iterator itself; taking it twice goes on where it was."""
        return self._items

    async def __anext__(self) -> T:
        """Return the next item: `first = await anext(items)`."""
        return await self._items.__anext__()

    async def _each(self) -> AsyncGenerator[T, None]:
        while (hand := await self.next_hand()) is not None:
            for item in hand:
                yield item

    def batches(self) -> AsyncIterator[list[T]]:
        """Iterate over lists of items: all that is there, up to half the channel's capacity, without waiting for more."""
        return self._batches

    async def _each_batch(self) -> AsyncGenerator[list[T], None]:
        while (hand := await self.next_hand()) is not None:
            yield list(hand)

    async def get(self) -> T:
        """Take one item; several tasks of a stage may do so at once, first come, first served.

        Raises `EndOfChannel` at the end, and the error of the stage above. Cancellation: nothing was taken.
        """
        for item in self.channel.in_hand():
            return item  # what an `async for` of the same stage had grasped comes first
        try:
            return await self.channel.get()
        except BaseException as error:
            self._note_end(error)
            raise

    async def wait(self) -> None:
        """Wait until an item can be taken or the input has ended, taking nothing. Cancellation: nothing was taken."""
        channel = self.channel
        if not length_hint(channel.in_hand()) and not channel.qsize():
            await channel.wait_for_items()

    def _note_end(self, error: BaseException) -> None:
        if error is self.channel.failure:
            self.raised = error
        elif self.channel.state == "drained":
            self.exhausted = True

    async def next_hand(self) -> Iterator[T] | None:
        """Return what is there as a batch in hand, after waiting for one; `None` at the end. Raises the failure above."""
        channel = self.channel
        left = channel.in_hand()
        if length_hint(left):
            return left  # the stage left its iteration and takes it up in another way
        budget = self.budget
        if budget.resize():
            await budget.pause()
        if not channel.qsize():
            channel.release()
            await channel.wait_for_items()
            budget.renew()
            if not channel.qsize():
                return self._end()
        half, size = self._half, budget.size
        return channel.grasp(half if half < size else size)

    def _end(self) -> None:
        error = self.channel.failure
        if error is None or self.raised is not None or self.exhausted:
            self.exhausted = True
            return
        self.raised = error
        raise error

    async def close(self) -> None:
        """Leave the channel: what was not taken is discarded and counted, the stage above is told."""
        self.channel.abandon()
        await self._items.aclose()
        await self._batches.aclose()


class Writer(Generic[T]):
    """The output of a segment: puts what the segment makes into its channel until the reader leaves."""

    def __init__(self, channel: Channel[T], budget: Budget, max_bytes: int) -> None:
        """Write to `channel`, which nobody else writes; `max_bytes` applies once an item with a size in bytes comes."""
        self.channel = channel
        self.parked = False
        self._budget = budget
        self._max_bytes = max_bytes
        self._weightless: set[type[Any]] = set(_NO_BYTES)

    def _ready(self) -> int:
        """Return how many items may be put before the next look, without waiting; 0: see `_more`."""
        channel, budget = self.channel, self._budget
        if budget.resize() or channel.weighs or channel.closing:
            return 0
        room, size = channel.room(), budget.size
        return max(0, room if room < size else size)

    async def _more(self) -> int:
        """Wait for room, or give the other tasks a turn; 0 means that nobody reads any more.

        While it waits the segment is *parked*: its generator stands at a `yield`, so it can be closed without a cancel.
        """
        channel = self.channel
        self.parked = True
        try:
            if channel.room() > 0:
                await self._budget.pause()
            if channel.room() <= 0 or channel.weighs:
                await channel.wait_for_room()
                self._budget.renew()
        except ReaderGone:
            return 0
        finally:
            self.parked = False
        return 0 if channel.closing else min(channel.room(), self._budget.size)

    async def pump(self, items: AsyncIterator[T]) -> bool:
        """Put every item of an async iterator; return whether it came to its end (else the reader has gone)."""
        queue = self.channel._queue  # noqa: SLF001  # the hot loop: one append per item
        getters = self.channel._getters  # noqa: SLF001
        weightless = self._weightless
        left = 0
        async for item in items:
            if type(item) not in weightless and self._has_bytes(item):
                if not await self._put_weighed(item):
                    return False
                left = 0
                continue
            if not left:
                left = self._ready() or await self._more()
                if not left:
                    self.channel.note_dropped()
                    return False
            queue.append(item)
            left -= 1
            if getters and not getters[0].done():
                getters[0].set_result(None)
        return True

    async def pour(self, items: Iterator[T]) -> bool:
        """Put every item of an iterator, at C speed and in timed batches; return as `pump`."""
        channel = self.channel
        queue = channel._queue  # noqa: SLF001  # the hot loop: one extend per batch
        getters = channel._getters  # noqa: SLF001
        weightless = self._weightless
        while True:
            room = self._ready() or await self._more()
            if not room:
                return False
            if channel.weighs:
                return await self._pour_weighed(items)
            before = len(queue)
            queue.extend(islice(items, room))
            added = len(queue) - before
            if added and not (type(queue[-1]) in weightless and type(queue[before]) in weightless):
                spilled = self._spill(added)
                if channel.weighs:
                    return await self._pour_weighed(spilled) and await self._pour_weighed(items)
                queue.extend(spilled)
            if getters and not getters[0].done():
                channel.wake()
            if added < room:
                return True

    def _has_bytes(self, item: T) -> bool:
        """Whether this item, of a type not seen before, is to be weighed; the first with a size in bytes decides."""
        if not self.channel.weighs:
            if byte_size(item) is None:
                self._weightless.add(type(item))
                return False
            self.channel.limit_bytes(self._max_bytes)
            self._weightless.clear()
        return True

    def _spill(self, added: int) -> Iterator[T]:
        """Types not seen before came in: take them back into the hand, and learn whether items must be weighed."""
        queue = self.channel._queue  # noqa: SLF001
        batch: deque[T] = deque()
        for _ in range(added):
            batch.appendleft(queue.pop())
        for item in batch:
            if type(item) not in self._weightless and self._has_bytes(item):
                break
        return iter(batch)

    async def _pour_weighed(self, items: Iterator[T]) -> bool:
        start = perf_counter()
        for item in items:
            if not await self._put_weighed(item):
                return False
            if perf_counter() - start > 0.0005:
                self.parked = True
                await self._budget.pause()
                self.parked = False
                start = perf_counter()
        return True

    async def _put_weighed(self, item: T) -> bool:
        """Put one item that counts in bytes; it waits in this writer's hand. Return whether anybody reads."""
        channel = self.channel
        try:
            with contextlib.suppress(asyncio.QueueFull):
                channel.put_nowait(item)
                return True
            self.parked = True
            await channel.put(item)
        except ReaderGone:
            channel.note_dropped()
            return False
        finally:
            self.parked = False
        self._budget.renew()
        return True
