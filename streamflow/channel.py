"""The bounded channel between two stages: an `asyncio.Queue` with an end, an exact bound, and statistics.

What lives here: one class with one set of rules. Several writers and readers may use it. What must not: tasks, stages,
anything that knows what runs at either end.

How it works
------------
*nowait first, waiting is nowait plus a queue entry.* Every operation is synchronous once it is its turn: `put` appends
and `get` pops in the very step in which the caller resumes, so an operation that raises has had no effect, and a
cancelled caller has neither lost nor doubled an item (HAZARDS H1, H3).

*Turns.* A caller that cannot go on appends a future to `_putters` or `_getters` and stays there until its turn is over.
Only the head of such a queue is ever woken, and a newcomer goes on at once only if nobody waits: first come, first
served (plain `asyncio.Queue` lets newcomers overtake, H8). Whoever leaves the queue, served or cancelled, wakes the
next; whoever was woken looks again when it resumes, and keeps its place if it still has to wait.

*The bound.* `maxsize` counts the items queued, the items in the batch that the engine's reader holds in its hand
(`length_hint` of a list iterator is exact and costs nothing per item), and the room reserved. With `max_bytes` every
item is weighed once, when it is put. One item heavier than `max_bytes` is admitted into an empty channel, so nothing
deadlocks.

*The end is a state, not an item* (H5). `close()` and `fail()` never wait and refuse new writers; what blocked writers
had handed over still goes in ahead of the end.

The state table (tests/test_channel_states.py holds every cell)
---------------------------------------------------------------
==============  ===============  =================  ================  ==============  ================
operation       open             closed, has items  drained           failed          reader gone
==============  ===============  =================  ================  ==============  ================
put, put_many   waits for room   ChannelClosed      ChannelClosed     ChannelClosed   ReaderGone
put_nowait      QueueFull: full  ChannelClosed      ChannelClosed     ChannelClosed   ReaderGone
reserve         waits for room   ChannelClosed      ChannelClosed     ChannelClosed   ReaderGone
slot.put        puts             puts               ChannelClosed     puts            ReaderGone
get, get_many   waits for items  item               EndOfChannel      item, then the  EndOfChannel
                                                                      failure
get_nowait      QueueEmpty:      item               EndOfChannel      item, then the  EndOfChannel
                empty                                                 failure
async for       waits for items  item               ends              item, then the  ends
                                                                      failure
close           closes           nothing            nothing           nothing         nothing
fail            fails            nothing            nothing           nothing         nothing
shutdown        closes           refuses waiters    nothing           refuses         nothing
                                                                      waiters
abandon         discards         discards           leaves            discards        nothing
==============  ===============  =================  ================  ==============  ================

Writers blocked and slots reserved when `close()` or `fail()` is called are served first, so the end comes after them;
when the reader goes they get `ReaderGone`, after `shutdown()` `ChannelClosed`. `shutdown(immediate=True)` also discards
what is queued. `task_done`, `join`, `stats` and the other looks at it (`qsize`, `room`, `repr`) work in every state.
"""

from __future__ import annotations

import asyncio
import math
import reprlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice, repeat, starmap
from operator import length_hint
from time import perf_counter
from typing import Any, Generic, Self, TypeVar

from streamflow.errors import ChannelClosed, EndOfChannel, ReaderGone, UsageError
from streamflow.limits import byte_size, check_capacity

__all__ = ["Channel", "ChannelStats", "Slot"]

T = TypeVar("T")

# After this many operations that did not have to wait, the next one gives other tasks a turn (H10).
_TURN = 256

_NOTHING: Iterator[Any] = iter(())


# Iterators whose `length_hint` is exact, so that their end shows without asking for a further item.
_COUNTED: tuple[type, ...] = (type(iter([])), type(iter(())), type(iter(range(0))))


def _default_size(item: object) -> int:
    return byte_size(item) or 0


def _check_weight(name: str, weight: object) -> None:
    if not isinstance(weight, int) or weight < 0:
        raise UsageError(f"{name} must be a whole number of bytes, 0 or more, not {weight!r}.")


def _never_an_end(error: BaseException) -> BaseException:
    """Do as generators do: raised at a reader's `async for`, these two would look like a clean end (P5)."""
    if not isinstance(error, (StopIteration, StopAsyncIteration)):
        return error
    disguised = RuntimeError(f"the writer failed with {type(error).__name__}")
    disguised.__cause__ = error
    return disguised


@dataclass(frozen=True, slots=True)
class ChannelStats:
    """What a channel has seen so far: a snapshot; `put == got + discarded + items` always holds.

    `items`, `peak`, `put`, `got` and `discarded` count items; `bytes`, `peak_bytes` and `bytes_put` count bytes (0
    where items are not weighed); `drains` counts how often a writer had to wait for room; the two waits are seconds.
    """

    name: str
    state: str
    maxsize: int
    max_bytes: int | None
    items: int
    bytes: int
    put: int
    got: int
    discarded: int
    bytes_put: int
    peak: int
    peak_bytes: int
    drains: int
    waited_for_room: float
    waited_for_items: float
    writers_waiting: int
    readers_waiting: int


class Channel(asyncio.Queue[T]):
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

    Cancellation: a `put` or `get` that raises, cancelled or not, has had no effect. The module's table says what each
    method does in each state.
    """

    # What asyncio.Queue keeps, where its published types are silent.
    _get_loop: Callable[[], asyncio.AbstractEventLoop]
    _loop: asyncio.AbstractEventLoop | None
    _finished: asyncio.Event
    _unfinished_tasks: int
    _queue: deque[T]
    _getters: deque[asyncio.Future[None]]
    _putters: deque[asyncio.Future[None]]

    def __init__(
        self,
        maxsize: int = 1024,
        *,
        max_bytes: int | None = None,
        size: Callable[[T], int] | None = None,
        name: str = "channel",
    ) -> None:
        """Make an open, empty channel."""
        check_capacity("maxsize", maxsize)
        if max_bytes is not None:
            check_capacity("max_bytes", max_bytes)
        elif size is not None:
            raise UsageError("size= has no effect without max_bytes=; give the bound in bytes as well.")
        super().__init__(maxsize)
        self.name = name
        self.max_bytes = max_bytes
        self._capacity = maxsize
        self._wanted: dict[asyncio.Future[None], int] = {}  # bytes that a waiting writer needs
        self._size: Callable[[T], int] | None = None if max_bytes is None else size or _default_size
        self._weights: deque[int] = deque()
        self._bytes = 0
        self._hand: Iterator[T] = _NOTHING
        self._hand_bytes = 0
        self._reserved = 0
        self._reserved_bytes = 0
        self._low_water = 1
        self._lent = 0
        self._ended = False
        self._refusal: Callable[[], ChannelClosed] | None = None
        self._failure: BaseException | None = None
        self._turn = _TURN
        self._taken = self._discarded = self._dropped = self._bytes_put = 0
        self._peak = self._peak_bytes = self._drains = 0
        self._waited_for_room = self._waited_for_items = 0.0

    # --- the state, and what follows from it ---------------------------------------------------------------------

    @property
    def state(self) -> str:
        """`open`, `closed` (items are left), `drained`, `failed` or `reader gone`."""
        if self._refusal == self._gone:
            return "reader gone"
        if self._failure is not None:
            return "failed"
        if not self._ended:
            return "open"
        return "drained" if self._over() else "closed"

    def room(self) -> int:
        """Return how many more items may be put now; exact, items in the reader's hand included."""
        return self._capacity - len(self._queue) - length_hint(self._hand) - self._reserved - self._lent

    def held(self) -> int:
        """Return how many items are in the channel now, those in the reader's hand included."""
        return len(self._queue) + length_hint(self._hand)

    def full(self) -> bool:
        """Return whether a `put_nowait` of an item without weight would be refused."""
        return bool(self._putters) or not self._fits(0)

    def _fits(self, weight: int) -> bool:
        if self.room() <= 0:
            return False
        if self._size is None or not weight:
            return self._size is None or self._bytes + self._reserved_bytes <= self._byte_limit
        used = self._bytes + self._reserved_bytes
        return used + weight <= self._byte_limit or not (used or self.held() or self._reserved)

    @property
    def _byte_limit(self) -> float:
        return math.inf if self.max_bytes is None else self.max_bytes

    def _over(self) -> bool:
        """Whether no reader will ever get another item: neither a writer admitted before the end nor a slot is left."""
        if self._queue or not self._ended:
            return False
        return self._refusal is not None or not (self._putters or self._reserved)

    def _weigh(self, item: T) -> int:
        if self._size is None:
            return 0
        weight = self._size(item)
        _check_weight("the size of an item", weight)
        return weight

    def limit_bytes(self, max_bytes: int) -> None:
        """Start to weigh: from now on items count in bytes as well. For the engine, at the first item that has a size.

        Where items are weighed already it only changes the limit. For the one exclusive writer, while it does not wait.
        """
        check_capacity("max_bytes", max_bytes)
        self.max_bytes = max_bytes
        if self._size is None:
            self._size = _default_size
            self._weights.extend(map(_default_size, self._queue))
            self._bytes = sum(self._weights)
            self._bytes_put += self._bytes
        self.wake()

    @property
    def over(self) -> bool:
        """Whether no reader will ever get another item."""
        return self._over()

    @property
    def closing(self) -> bool:
        """Whether it has ended for new writers."""
        return self._ended

    @property
    def failure(self) -> BaseException | None:
        """The error given to `fail()`, once a reader has taken everything put before it; else `None`."""
        return self._failure if self._over() else None

    @property
    def weighs(self) -> bool:
        """Whether items are counted in bytes as well."""
        return self._size is not None

    # --- turns -----------------------------------------------------------------------------------------------------

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
        self._turn = _TURN
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

    def low_water(self, room: int) -> None:
        """Wake a writer that waits only when there is room for so many items. For the engine's one exclusive writer.

        A reader that has nothing left makes room for all, so `room` must not be above `maxsize`.
        """
        self._low_water = room

    async def _checkpoint(self) -> None:
        self._turn -= 1
        if self._turn <= 0:
            self._turn = _TURN
            await asyncio.sleep(0)

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

    def _refuse_if_ended(self) -> None:
        if self._refusal is not None:
            raise self._refusal()
        if self._ended:
            raise ChannelClosed(f"{self.name} is {self.state}: nothing can be put after the end") from self._failure

    def _gone(self) -> ReaderGone:
        return ReaderGone(f"the reader of {self.name} has left: nothing put now would ever be taken")

    def _shut(self) -> ChannelClosed:
        return ChannelClosed(f"{self.name} was shut down: nothing can be put any more")

    # --- writing ---------------------------------------------------------------------------------------------------

    def _admit(self, item: T, weight: int) -> None:
        self._queue.append(item)
        if self._size is not None:
            self._weights.append(weight)
            self._bytes += weight
            self._bytes_put += weight
        self._added(1)

    def _added(self, count: int) -> None:
        """Keep the books of `join()` for `count` items that were just appended, and wake a reader."""
        self._unfinished_tasks += count
        self._finished.clear()
        if self._getters or self._putters:
            self.wake()

    def note_peak(self) -> None:
        """Note how full it is. Between two takes it only grows, so looking just before each take sees every peak."""
        held = len(self._queue) + length_hint(self._hand)
        if held > self._peak:
            self._peak = held
        if self._bytes > self._peak_bytes:
            self._peak_bytes = self._bytes

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
            wanted = min(self.room(), _TURN) if self._size is None else 1
            added = self.fill(source, wanted) if self._size is None else await self._put_next(source)
            self._turn -= added
            total += added
            if added < wanted:
                break
        return total

    def fill(self, source: Iterator[T], limit: int) -> int:
        """Move up to `limit` items from an iterator into the channel at C speed; return how many.

        For a writer whose turn it is (`wait_for_room`), with `limit` at most `room()`, where items are not weighed.
        Fewer than `limit` means that the iterator is exhausted. When it raises, the items before the error are in.
        """
        queue = self._queue
        before = len(queue)
        try:
            queue.extend(islice(source, limit))
        finally:
            # Only this writer appends here, and nothing else runs in between: the growth is what it added.
            added = len(queue) - before
            if added:
                self._added(added)
            else:
                self.wake()  # a turn that was not used passes on
        return added

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

    @asynccontextmanager
    async def reserve(self, nbytes: int = 0) -> AsyncGenerator[Slot[T], None]:
        """Reserve room for one item before producing it, so that a source fetches only when there is room.

        Example:
            async with channel.reserve() as slot:
                slot.put(await connection.fetch_one())

        Args:
            nbytes: how heavy the item may become, in bytes; needed where the channel has `max_bytes`.

        Waits and raises as `put`. Leaving without `slot.put` gives the room back. Cancellation: likewise. Readers wait
        for a slot that was reserved before `close()` or `fail()`: the end comes after its item.
        """
        _check_weight("nbytes", nbytes)
        await self._checkpoint()
        await self.wait_for_room(nbytes)
        self._reserved += 1
        self._reserved_bytes += nbytes
        slot = Slot(self, nbytes)
        self.wake()
        try:
            yield slot
        finally:
            slot.release()

    def put_reserved(self, item: T, nbytes: int) -> None:
        """Put an item into room that was reserved; for `Slot`."""
        if self._refusal is not None:
            raise self._refusal()
        weight = self._weigh(item)
        others = self._bytes + self._reserved_bytes - nbytes
        if weight > nbytes and others + weight > self._byte_limit and others + self.held() + self._reserved > 1:
            raise UsageError(
                f"{self.name}: an item of {weight} bytes does not fit into the {nbytes} bytes reserved. "
                f"Write channel.reserve(nbytes=...) with the largest size it may have."
            )
        self._reserved -= 1
        self._reserved_bytes -= nbytes
        self._admit(item, weight)

    def unreserve(self, nbytes: int) -> None:
        """Give reserved room back; for `Slot`."""
        self._reserved -= 1
        self._reserved_bytes -= nbytes
        self.wake()

    # --- reading ---------------------------------------------------------------------------------------------------

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

    def _ending(self) -> BaseException:
        if self._failure is None or self._refusal == self._gone:
            return EndOfChannel(f"{self.name} has ended: it was closed and everything has been taken")
        # The same object for every reader, without growing its traceback each time.
        return self._failure.with_traceback(self._failure_traceback)

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

    def grasp(self, limit: int) -> Iterator[T]:
        """Take up to `limit` items into the hand of the one exclusive reader, at C speed; return the hand.

        For the engine's reader when it is its turn and its last hand is consumed. What is left in the hand counts
        against the bound until it is consumed; a single item goes straight on to the stage and does not.
        """
        queue = self._queue
        if self._size is not None:
            return self._grasp_weighed(limit)
        count = len(queue)
        if count > self._peak:
            self._peak = count
        if count <= limit:
            batch = list(queue)
            queue.clear()
        else:
            batch = list(starmap(queue.popleft, repeat((), limit)))  # never asks an item whether it equals something
        self._taken += len(batch)
        hand = iter(batch)
        self._hand = hand if len(batch) > 1 else _NOTHING
        if self._putters and self._capacity - count + 1 >= self._low_water:
            self.wake()
        return hand

    def _grasp_weighed(self, limit: int) -> Iterator[T]:
        """Keep the hand light; its bytes count until the next grasp."""
        self.note_peak()
        self._bytes -= self._hand_bytes
        batch: list[T] = []
        weight = 0
        while self._queue and len(batch) < limit and weight * 16 <= self._byte_limit:
            batch.append(self._queue.popleft())
            weight += self._weights.popleft()
        self._taken += len(batch)
        hand = iter(batch)
        single = len(batch) == 1
        self._hand = _NOTHING if single else hand
        self._hand_bytes = 0 if single else weight
        self._bytes -= weight if single else 0
        self.wake()
        return hand

    def lend(self, count: int) -> None:
        """Count so many items, which the exclusive reader gave to its stage at once, against the bound; 0 ends that."""
        self._lent = count
        if self._putters:
            self.wake()

    def in_hand(self) -> Iterator[T]:
        """Return what the exclusive reader has grasped and not consumed."""
        return self._hand

    def release(self) -> None:
        """The exclusive reader has consumed its hand: let a waiting writer see the room."""
        if self._hand_bytes:
            self._bytes -= self._hand_bytes
            self._hand_bytes = 0
        if self._putters:
            self.wake()

    def note_dropped(self) -> None:
        """Count an item that a writer had made and could not put because the reader left."""
        self._dropped += 1

    # --- the end ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the channel cleanly: readers take what is left, then their iteration ends.

        Never waits; twice is harmless.
        Writers that wait now are served before the end; later ones get `ChannelClosed`.
        """
        if not self._ended:
            self._ended = True
            self.wake()

    def fail(self, error: BaseException) -> None:
        """End the channel with an error, which readers get after the items put before it. Never waits.

        After `close()`, `fail()` or `abandon()` it does nothing: the first ending stands.
        """
        if not isinstance(error, BaseException):
            raise UsageError(f"fail() needs an exception object, not {error!r}. To end without an error write close().")
        if not self._ended:
            self._failure = _never_an_end(error)
            self._failure_traceback = error.__traceback__
            self.close()

    def abandon(self) -> list[T]:
        """Leave as the reader: nothing will be taken any more. Return the items that were not delivered.

        They are counted as discarded. Waiting and later writers get `ReaderGone`. Twice is harmless.
        """
        self.note_peak()
        in_hand = list(self._hand)
        self._taken -= len(in_hand)
        left = [*in_hand, *self._queue]
        self._hand = _NOTHING
        self._queue.clear()
        self._weights.clear()
        self._bytes = self._hand_bytes = 0
        self._discarded += len(left)
        self._forget_tasks(len(left))
        self._end_writers(self._gone)
        return left

    def shutdown(self, immediate: bool = False) -> None:  # noqa: FBT001, FBT002  # asyncio.Queue's own signature
        """End the channel as `asyncio.Queue.shutdown` does (Python 3.13), on every Python version.

        Unlike `close()` it turns waiting writers away with `ChannelClosed`; `immediate=True` also discards what is
        queued.
        """
        if immediate:
            self._forget_tasks(len(self._queue))
            self._discarded += len(self._queue)
            self._queue.clear()
            self._weights.clear()
            self._bytes = self._hand_bytes
        self._end_writers(self._refusal or self._shut)

    def _forget_tasks(self, count: int) -> None:
        """What was discarded will never be `task_done()`: let `join()` return."""
        self._unfinished_tasks = max(0, self._unfinished_tasks - count)
        if not self._unfinished_tasks:
            self._finished.set()

    def _end_writers(self, refusal: Callable[[], ChannelClosed]) -> None:
        self._ended = True
        self._refusal = refusal
        for waiter in self._putters:
            if not waiter.done():
                waiter.set_result(None)  # each looks at the refusal when it resumes
        self.wake()

    # --- watching --------------------------------------------------------------------------------------------------

    def stats(self) -> ChannelStats:
        """Return a snapshot of the counters."""
        self.note_peak()
        items = self.held()
        got = self._taken - length_hint(self._hand)
        return ChannelStats(
            name=self.name,
            state=self.state,
            maxsize=self._capacity,
            max_bytes=self.max_bytes,
            items=items,
            bytes=self._bytes,
            put=got + items + self._discarded + self._dropped,
            got=got,
            discarded=self._discarded + self._dropped,
            bytes_put=self._bytes_put,
            peak=self._peak,
            peak_bytes=self._peak_bytes,
            drains=self._drains,
            waited_for_room=self._waited_for_room,
            waited_for_items=self._waited_for_items,
            writers_waiting=len(self._putters),
            readers_waiting=len(self._getters),
        )

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


class Slot(Generic[T]):
    """Room for one item, reserved by `Channel.reserve()`."""

    def __init__(self, channel: Channel[T], nbytes: int) -> None:
        """Hold the room that `reserve` set aside."""
        self._channel = channel
        self._nbytes = nbytes
        self._held = True

    def put(self, item: T) -> None:
        """Put the item into the reserved room, without waiting.

        Raises `UsageError` for a second item, or for one heavier than what was reserved and is free; `ReaderGone` when
        nobody reads any more.
        """
        if not self._held:
            raise UsageError("This slot was used. Reserve once for each item: async with channel.reserve() as slot.")
        self._channel.put_reserved(item, self._nbytes)
        self._held = False

    def release(self) -> None:
        """Give the room back if it was not used."""
        if self._held:
            self._held = False
            self._channel.unreserve(self._nbytes)
