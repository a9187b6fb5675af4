"""The reading end of a channel as the engine uses it: what a stage gets as its input.

What lives here: `Reader`, exclusive, moving batches. What must not: decisions about how a run ends (the conductor's),
or rules about room (the channel's).

After one wait it takes what is there into its hand and gives it out item by item; what is in the hand counts against
the bound. Nothing here awaits between taking an item and handing it on. What need not wait is a plain call (`take`):
only the waits are coroutines, since a task switch costs as much as some twenty items.

Item by item is the one loop that has a twin in C (`Items` of channel/_speed.c, against `_each` here). A wait that a
timeout cut short ends neither: the next `anext` goes on.
"""

# ruff: noqa: SLF001  # the hot loops look into the channel: a call for each question would cost more than the answers

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from itertools import islice
from operator import length_hint
from time import perf_counter
from typing import Any, Generic, TypeVar, cast

from streamflow.channel import Channel
from streamflow.channel.bound import NOTHING
from streamflow.channel.storage import speedups
from streamflow.engine.budget import Budget

__all__ = ["Reader"]

T_co = TypeVar("T_co", covariant=True)

if speedups is not None:

    class _Items(speedups.Items):  # type: ignore[misc]  # it may be missing, so its type is not known here
        """The iterator in C, with what generators have besides."""

        __slots__ = ()

        async def aclose(self) -> None:
            """End the iteration; the channel is left as it is."""
            self.finish()


class Reader(Generic[T_co]):
    """The input of a stage: an async iterator over the items of its channel.

    Example:
        async def stage(items):
            async for item in items:              # one at a time
                yield item

        async def sink(items):
            async for batch in items.batches():   # or all that is there, as a list
                await table.insert_many(batch)

    It may be left (`break`) and taken up again, also when a timeout struck: `async with asyncio.timeout(1): await
    anext(items)` loses nothing. Ask `items` itself for more after that, not an iterator kept from before
    (`aiter(items)`): in pure Python that is a generator, which a timeout ends.

    An error of a stage above is raised here after the items before it; after that, and after the end, iteration simply
    ends. Cancellation: no item is lost but for what is counted.
    """

    def __init__(self, channel: Channel[T_co], budget: Budget | None = None) -> None:
        """Read `channel`, which nobody else reads."""
        self.channel = channel
        self.budget = budget or Budget()
        self.raised: BaseException | None = None
        self.exhausted = False
        self._half = max(1, channel.maxsize // 2)
        self._since = 0.0
        self._closed = False
        self._items = self._iterator()
        self._batches: Any = self._each_batch()

    def _iterator(self) -> AsyncGenerator[T_co, None]:
        if speedups is None:
            return self._each()
        return cast("AsyncGenerator[T_co, None]", _Items(self._refill, self._halfway, self._half))

    def __aiter__(self) -> AsyncIterator[T_co]:
        """Return the iterator itself; taking it twice goes on where it was."""
        if speedups is None and getattr(self._items, "ag_frame", None) is None and not self._closed:
            self._items = self._each()  # a generator that a timeout struck is over; the input is not
        return self._items

    async def __anext__(self) -> T_co:
        """Return the next item: `first = await anext(items)`."""
        return await aiter(self).__anext__()

    def _refill(self) -> Iterator[T_co] | Coroutine[Any, Any, Iterator[T_co] | None]:
        return self.take(self.channel.maxsize) or self.wait_hand(self.channel.maxsize)

    def _halfway(self) -> None:
        if self.channel._putters:
            self.channel.wake()  # half of it is free: the writer may go on while the other half is consumed

    async def _each(self) -> AsyncGenerator[T_co, None]:
        half, all_of_it = self._half, self.channel.maxsize
        while (hand := self.take(all_of_it) or await self.wait_hand(all_of_it)) is not None:
            for item in islice(hand, half):
                yield item
            self._halfway()
            for item in hand:
                yield item

    def batches(self) -> AsyncIterator[list[T_co]]:
        """Iterate over lists of items: all that is there, up to half the channel, without waiting for more.

        The items of a list count against the channel's bound until the next list is asked for.
        """
        if self._batches.ag_frame is None and not self._closed:
            self._batches = self._each_batch()  # as in `__aiter__`
        return cast("AsyncIterator[list[T_co]]", self._batches)

    async def _each_batch(self) -> AsyncGenerator[list[T_co], None]:
        channel = self.channel
        while (batch := self._borrow() or await self._wait_batch()) is not None:
            try:
                yield batch
            finally:
                channel.lend(0)

    def _borrow(self) -> list[T_co] | None:
        """Return what is there as a list, up to half the channel; `None` where `_wait_batch` has to say more."""
        channel, budget = self.channel, self.budget
        if not channel._queue or budget.over() or length_hint(channel._hand) or channel._size is not None:
            return None
        batch = channel.borrow(self._half if self._half < budget.size else budget.size)
        budget.left -= len(batch)
        return batch

    async def _wait_batch(self) -> list[T_co] | None:
        hand = await self.next_hand()
        if hand is None:
            return None
        batch = list(hand)
        self.channel.lend(len(batch) - 1)  # the stage has it whole, and the bound grants a stage one item in hand
        return batch

    async def get(self) -> T_co:
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

    async def wait(self, *, until: float = math.inf) -> bool:
        """Wait until an item can be taken or the input has ended, taking nothing; return whether that came in time.

        Example: `if await items.wait(until=loop.time() + 5): item = await items.get()`

        Args:
            until: when to give up, in seconds of `loop.time()`. An item that is there already is in time.

        Cancellation: nothing was taken.
        """
        channel = self.channel
        if length_hint(channel.in_hand()) or channel.qsize():
            return True
        channel.release()
        if until == math.inf:
            await channel.wait_for_items()
            return True
        try:
            async with asyncio.timeout_at(until):
                await channel.wait_for_items()
        except TimeoutError:
            return channel.qsize() > 0 or channel.over
        return True

    def _note_end(self, error: BaseException) -> None:
        if error is self.channel.failure:
            self.raised = error
        elif self.channel.state == "drained":
            self.exhausted = True

    def take(self, limit: int) -> Iterator[T_co] | None:
        """Return what is there, up to `limit` items, as a batch in hand; `None` where `next_hand` has to say more."""
        channel, budget = self.channel, self.budget
        hand = channel._hand
        if hand is not NOTHING:
            if length_hint(hand):
                return hand  # the stage left its iteration and takes it up in another way
            channel._hand = NOTHING
        if not channel._queue or ((budget.left <= 0 or budget.due) and budget.over()):
            return None
        size, before = budget.size, channel._taken
        hand = channel.grasp(limit if limit < size else size)
        budget.left -= channel._taken - before
        return hand

    async def next_hand(self) -> Iterator[T_co] | None:
        """Return what is there, up to half the capacity, as a batch in hand, after waiting for one; `None` at the end.

        Raises the failure above. Cancellation: nothing was taken.
        """
        return self.take(self._half) or await self.wait_hand(self._half)

    async def wait_hand(self, limit: int) -> Iterator[T_co] | None:
        """Go on where `take` gave `None`: wait for a batch or a turn; `None` at the end. Raises the failure above."""
        channel, budget = self.channel, self.budget
        while True:
            if channel._queue:
                await self._pause()
            elif channel._ended and channel.over:
                self._end()
                return None
            else:
                if channel._putters or channel._hand_bytes:
                    channel.release()
                self._since = since = budget.rest()
                waiter: asyncio.Future[None] = asyncio.Future(loop=channel._loop or channel._get_loop())
                channel._getters.append(waiter)
                try:
                    await waiter
                finally:
                    self._since = 0.0
                    channel._waited_for_items += budget.renew(since)
                    channel._getters.remove(waiter)
                    if channel._getters:
                        channel.wake()
            if (hand := self.take(limit)) is not None:
                return hand

    async def _pause(self) -> None:
        if self.budget.over():
            self.channel.release()
            await self.budget.pause()

    def waiting(self) -> float:
        """Return for how many seconds it has been waiting now; 0 when it is not."""
        return perf_counter() - self._since if self._since else 0.0

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
        self._closed = True
        await self._items.aclose()
        await self._batches.aclose()
