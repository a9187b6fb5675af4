"""Waiting in line: first come, first served, and what is done in the step in which it is one's turn.

What lives here: the two queues of futures, who is woken and when, and the one way in and out for an item. What must
not: a second place where anybody waits. An operation awaits its turn and then acts without a further await.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

from streamflow.channel.states import Stated

__all__ = ["TURN", "Lined"]

T = TypeVar("T")

# After this many operations that did not have to wait, the next one gives other tasks a turn (H10).
TURN = 256


class Lined(Stated[T]):
    """A queue whose writers and readers go on in the order in which they came."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._wanted: dict[asyncio.Future[None], int] = {}  # bytes that a waiting writer needs
        self._low_water = 1
        self._turn = TURN
        self._drains = 0
        self._waited_for_room = self._waited_for_items = 0.0

    # --- the line --------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Wake the head of either queue if it can go on now. Harmless at any time."""
        if self._putters:
            head = self._putters[0]
            if not head.done() and self._may_write(self._wanted.get(head, 0)):
                head.set_result(None)
        if self._getters:
            head = self._getters[0]
            if not head.done() and self._may_read():
                head.set_result(None)

    def _may_write(self, weight: int) -> bool:
        """Whether the writer whose turn it is need not wait any more: there is room, or it must be turned away."""
        if self._refusal is not None:
            return True
        return self.room() >= self._low_water and (self._size is None or self._fits(weight))

    def _may_read(self) -> bool:
        """Whether the reader whose turn it is need not wait: there is an item, or there will never be one."""
        return bool(self._queue) or self._over()

    async def _wait(
        self, waiters: deque[asyncio.Future[None]], may_go: Callable[[], bool], weight: int = 0, *, first: bool = False
    ) -> None:
        """Queue up until it is our turn and we may go on. The caller then acts in the same step."""
        waiter: asyncio.Future[None] = self._get_loop().create_future()
        (waiters.appendleft if first else waiters.append)(waiter)
        self._turn = TURN
        try:
            while True:
                if weight:
                    self._wanted[waiter] = weight
                await waiter
                if may_go():
                    break
                # What woke us was taken by somebody who needs no turn (a heavy `Slot.put`, `grasp`): keep the place.
                waiter = self._renewed(waiters, waiter)
        except BaseException:
            self._leave(waiters, waiter)
            self.wake()
            raise
        self._leave(waiters, waiter)

    def _renewed(self, waiters: deque[asyncio.Future[None]], waiter: asyncio.Future[None]) -> asyncio.Future[None]:
        self._wanted.pop(waiter, None)
        fresh: asyncio.Future[None] = self._get_loop().create_future()
        waiters[waiters.index(waiter)] = fresh
        return fresh

    def _leave(self, waiters: deque[asyncio.Future[None]], waiter: asyncio.Future[None]) -> None:
        self._wanted.pop(waiter, None)
        waiters.remove(waiter)  # constant time at the head, where it is unless it was cancelled

    async def _checkpoint(self) -> None:
        self._turn -= 1
        if self._turn <= 0:
            self._turn = TURN
            await asyncio.sleep(0)

    # --- getting a turn --------------------------------------------------------------------------------------------

    async def wait_for_room(self, weight: int = 0) -> None:
        """Wait until an item of `weight` bytes may be put and it is this writer's turn; put it in the same step.

        Raises `ChannelClosed` if the channel is closed to writers, `ReaderGone` if nobody reads it any more.
        Cancellation: nothing was taken or reserved.
        """
        self._refuse_if_ended()
        if self._putters or not self._fits(weight):
            await self._wait_to_write(weight)

    async def _wait_to_write(self, weight: int, *, first: bool = False) -> None:
        self._drains += 1
        start = perf_counter()
        try:
            await self._wait(self._putters, lambda: self._may_write(weight), weight, first=first)
        finally:
            self._waited_for_room += perf_counter() - start
        if self._refusal is not None:
            raise self._refusal()

    async def wait_for_items(self) -> None:
        """Wait until an item can be taken and it is this reader's turn, or the channel has ended.

        Take the item in the same step.

        Cancellation: nothing was taken.
        """
        if (self._getters or not self._queue) and not self._over():
            start = perf_counter()
            try:
                await self._wait(self._getters, self._may_read)
            finally:
                self._waited_for_items += perf_counter() - start

    # --- using it --------------------------------------------------------------------------------------------------

    def _admit(self, item: T, weight: int) -> None:
        self._queue.append(item)
        if self._size is not None:
            self._weights.append(weight)
            self._bytes += weight
            self._bytes_put += weight
        self._added(1)

    def _added(self, count: int) -> None:
        """Keep the books for `count` items that were just appended, and wake a reader."""
        self._entered += count
        self._unfinished_tasks += count
        self._finished.clear()
        if self._getters or self._putters:
            self.wake()

    def _take(self) -> T:
        if not self._queue:
            self.wake()
            raise self._ending()
        self.note_peak()
        item = self._queue.popleft()
        self._taken += 1
        if self._size is not None:
            self._bytes -= self._weights.popleft()
        self.wake()
        return item
