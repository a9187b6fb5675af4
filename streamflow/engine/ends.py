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
        try:
            return await self.channel.get()
        except BaseException as error:
            self._note_end(error)
            raise

    def _note_end(self, error: BaseException) -> None:
        if error is self.channel.failure:
            self.raised = error
        elif self.channel.state == "drained":
            self.exhausted = True

    async def next_hand(self) -> Iterator[T] | None:
        """Return what is there as a batch in hand, after waiting for one; `None` at the end. Raises the failure above."""
        channel = self.channel
        channel.release()
        if self.budget.resize():
            await self.budget.pause()
        if not channel.qsize():
            await channel.wait_for_items()
            self.budget.renew()
        if channel.qsize():
            return channel.grasp(min(self._half, self.budget.size))
        error = channel.failure
        if error is None or self.raised is not None or self.exhausted:
            self.exhausted = True
            return None
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

    async def more(self) -> int:
        """Return how many items may be put before the next look; 0 means that nobody reads any more.

        While it waits the segment is *parked*: its generator stands at a `yield`, so it can be closed without a cancel.
        """
        budget = self._budget
        channel = self.channel
        over = budget.resize()
        self.parked = True
        try:
            if over:
                await budget.pause()
            if channel.room() <= 0 or channel.weighs:
                await channel.wait_for_room()
                budget.renew()
        except ReaderGone:
            return 0
        finally:
            self.parked = False
        return 0 if channel.state == "reader gone" else min(channel.room(), budget.size)

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
                left = await self.more()
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
        while True:
            room = await self.more()
            if not room:
                return False
            if channel.weighs:
                return await self._pour_weighed(items)
            added = channel.fill(items, room)
            if not self._weightless.issuperset(map(type, islice(reversed(channel._queue), added))):  # noqa: SLF001
                spilled = self._spill(added)
                if channel.weighs:
                    return await self._pour_weighed(spilled) and await self._pour_weighed(items)
                channel._queue.extend(spilled)  # noqa: SLF001
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
