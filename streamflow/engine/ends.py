"""The two ends of a channel as the engine uses them: one exclusive reader, one exclusive writer, moving batches.

What lives here: `Reader`, what a stage gets as its input; `Writer`, what carries a stage's output on. What must not:
decisions about how a run ends (the conductor's), or rules about room (the channel's).

A reader takes what is there into its hand after one wait and gives it out item by item; a writer extends the channel's
deque up to the exact room left and looks at the clock between batches. Nothing here awaits between taking an item and
handing it on.

Who waits is woken late rather than often: the writer when half the channel is free (or the reader has nothing left),
since a task switch costs as much as some twenty items. What need not wait is plain calls (`take`, `put_now`): only the
waits are coroutines.
"""

# ruff: noqa: SLF001  # the hot loops look into the channel: a call for each question would cost more than the answers

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from itertools import islice
from operator import length_hint
from typing import Any, Generic, TypeVar

from streamflow.channel import Channel
from streamflow.engine.budget import Budget
from streamflow.errors import ReaderGone
from streamflow.limits import byte_size

__all__ = ["Reader", "Writer"]

T = TypeVar("T")


class Reader(Generic[T]):
    """The input of a stage: an async iterator over the items of its channel.

    Example:
        async def stage(items):
            async for item in items:              # one at a time
                yield item

        async def sink(items):
            async for batch in items.batches():   # or all that is there, as a list
                await table.insert_many(batch)

    It may be left (`break`) and taken up again. An error of a stage above is raised here after the items before it;
    after that, and after the end, iteration simply ends. Cancellation: no item is lost that is not counted as discarded.
    """

    def __init__(self, channel: Channel[T], budget: Budget | None = None) -> None:
        """Read `channel`, which nobody else reads."""
        self.channel = channel
        self.budget = budget or Budget()
        self.raised: BaseException | None = None
        self.exhausted = False
        self._half = max(1, channel.maxsize // 2)
        self._since = 0.0
        self._items = self._each()
        self._batches = self._each_batch()

    def __aiter__(self) -> AsyncIterator[T]:
        """Return the iterator itself; taking it twice goes on where it was."""
        return self._items

    async def __anext__(self) -> T:
        """Return the next item: `first = await anext(items)`."""
        return await self._items.__anext__()

    async def _each(self) -> AsyncGenerator[T, None]:
        channel, half, all_of_it = self.channel, self._half, self.channel.maxsize
        putters = channel._putters
        while (hand := self.take(all_of_it) or await self.wait_hand(all_of_it)) is not None:
            for item in islice(hand, half):
                yield item
            if putters:
                channel.wake()  # half of it is free: the writer may go on while the other half is consumed
            for item in hand:
                yield item

    def batches(self) -> AsyncIterator[list[T]]:
        """Iterate over lists of items: all that is there, up to half the channel, without waiting for more.

        The items of a list count against the channel's bound until the next list is asked for.
        """
        return self._batches

    async def _each_batch(self) -> AsyncGenerator[list[T], None]:
        channel = self.channel
        while (hand := await self.next_hand()) is not None:
            batch = list(hand)
            channel.lend(len(batch) - 1)  # the stage has it whole, and the bound grants a stage one item in hand
            try:
                yield batch
            finally:
                channel.lend(0)

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

    def take(self, limit: int) -> Iterator[T] | None:
        """Return what is there, up to `limit` items, as a batch in hand; `None` where `next_hand` has to say more."""
        channel, budget = self.channel, self.budget
        hand = channel._hand
        if length_hint(hand):
            return hand  # the stage left its iteration and takes it up in another way
        if budget.left <= 0 or not channel._queue:
            return None
        size = budget.size
        hand = channel.grasp(limit if limit < size else size)
        budget.left -= length_hint(hand)
        return hand

    async def next_hand(self) -> Iterator[T] | None:
        """Return what is there, up to half the capacity, as a batch in hand, after waiting for one; `None` at the end.

        Raises the failure above. Cancellation: nothing was taken.
        """
        return self.take(self._half) or await self.wait_hand(self._half)

    async def wait_hand(self, limit: int) -> Iterator[T] | None:
        """Go on where `take` gave `None`: wait for a batch, or for a turn; `None` at the end. Raises the failure above."""
        channel = self.channel
        while True:
            if channel._queue:
                await self._pause()
            elif channel._ended and channel.over:
                return self._end()
            else:
                waiter = self._line_up()
                try:
                    await waiter
                finally:
                    self._step_out(waiter)
            if (hand := self.take(limit)) is not None:
                return hand

    async def _pause(self) -> None:
        if self.budget.look():
            self.channel.release()
            await self.budget.pause()

    def _line_up(self) -> asyncio.Future[None]:
        """Begin to wait: the future is done when there may be items, or the end."""
        channel = self.channel
        if channel._putters or channel._hand_bytes:
            channel.release()
        self._since = self.budget.rest()
        waiter: asyncio.Future[None] = (channel._loop or channel._get_loop()).create_future()
        channel._getters.append(waiter)
        return waiter

    def _step_out(self, waiter: asyncio.Future[None]) -> None:
        """End the wait, whatever ended it."""
        channel = self.channel
        channel._waited_for_items += self.budget.renew(self._since)
        channel._getters.remove(waiter)
        if channel._getters:
            channel.wake()

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
        await self.rest()

    async def rest(self) -> None:
        """Close what iterates here, in the task that iterated; the channel is left as it is."""
        await self._items.aclose()
        await self._batches.aclose()


class Writer(Generic[T]):
    """The output of a segment: puts what the segment makes into its channel until the reader leaves."""

    def __init__(self, channel: Channel[T], budget: Budget, max_bytes: int) -> None:
        """Write to `channel`, which nobody else writes; `max_bytes` applies once an item with a size in bytes comes."""
        self.channel = channel
        self.parked = False
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
        channel, left = self.channel, self._budget.left
        if left <= 0 or channel._ended or channel._size is not None:
            return 0
        room = channel._capacity - len(channel._queue) - length_hint(channel._hand) - channel._reserved - channel._lent
        if room > left:
            return left
        return room if room > 0 else 0

    async def _more(self) -> int:
        """Look at the clock, give the other tasks a turn or wait for room; 0 means that nobody reads any more.

        While it waits the segment is *parked*: its generator stands at a `yield`, so it can be closed without a cancel.
        """
        channel, budget = self.channel, self._budget
        while not channel._ended:
            if budget.left <= 0 and budget.look():
                await self._give_turn()
            elif (room := channel.room()) > 0:
                return room if room < budget.left else budget.left
            else:
                waiter = self._line_up()
                try:
                    await waiter
                finally:
                    self._step_out(waiter)
        return 0

    def _line_up(self) -> asyncio.Future[None]:
        """Begin to wait: the future is done when there may be room, or nobody reads any more."""
        channel = self.channel
        self._lighten()
        self.parked = True
        channel._drains += 1
        self._since = self._budget.rest()
        waiter: asyncio.Future[None] = (channel._loop or channel._get_loop()).create_future()
        channel._putters.append(waiter)
        return waiter

    def _step_out(self, waiter: asyncio.Future[None]) -> None:
        """End the wait, whatever ended it."""
        self.parked = False
        self.channel._waited_for_room += self._budget.renew(self._since)
        self.channel._putters.remove(waiter)

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
        """Put every item of an async iterator; return whether it came to its end (else the reader has gone)."""
        queue, getters, weightless = self.channel._queue, self.channel._getters, self._weightless
        told: asyncio.Future[None] | None = None
        known: type[Any] | None = None
        left = 0
        async for item in items:
            if type(item) is not known:
                if type(item) not in weightless and self._has_bytes(item):
                    known, left = None, 0
                    if not await self._put_weighed(item):
                        return False
                    continue
                known = type(item)
            if left <= 0:
                try:
                    left = self._ready() or await self._more()
                except asyncio.CancelledError:
                    self.unput.append(item)
                    raise
                if not left:
                    self.channel.note_dropped()
                    return False
                self._budget.left -= left
            queue.append(item)
            left -= 1
            if getters and (reader := getters[0]) is not told:
                told = reader
                if not reader.done():
                    reader.set_result(None)
        return True

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
        queue, weightless = self.channel._queue, self._weightless
        before = len(queue)
        if not weightless:  # nothing is known of these items yet: the first one tells whether they are weighed
            room = 1
        queue.extend(islice(items, room))
        added = len(queue) - before
        self._budget.left -= added
        if added and not (type(queue[-1]) in weightless and type(queue[before]) in weightless):
            self._learn(added)
            if self.channel.weighs:
                return False
        getters = self.channel._getters
        if added and getters and not getters[0].done():
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
        if any(type(item) not in weightless and self._has_bytes(item) for item in batch):
            self._spilled = batch
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
        """Put one item that counts in bytes; it waits in this writer's hand. Return whether anybody reads."""
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
        if budget.left <= 0 and budget.look():
            await self._give_turn()
        return True

    async def _wait_with(self, item: T) -> None:
        self._lighten()
        since = self._budget.rest()
        self.parked = True
        try:
            await self.channel.put(item)
        finally:
            self.parked = False
            self._budget.renew(since)
