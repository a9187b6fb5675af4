"""Several inner iterables read at once, behind `flat_map(concurrency=n)`.

What lives here: `Lanes`. What must not: one inner iterable at a time (elements.py), the operator (concurrency.py).

Each of up to n workers takes an item, calls the function, and reads what it gave into a *lane* of its own, at most
`ahead` items ahead of the consumer; when the lane is empty and over, it takes the next item. So an inner iterator is
opened, read and closed in one task (P7), and what is held is bounded. Who emits reads the lanes from a queue: in order,
each lane stands there once, from when its item was taken; else once for each of its items, as they come, and once for
its end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterator
from inspect import isawaitable
from time import perf_counter
from typing import Any, Generic, TypeVar

from streamflow.engine.reader import Reader
from streamflow.errors import EndOfChannel
from streamflow.machinery.crews.crew import SLICE, stray
from streamflow.machinery.crews.turns import NONE
from streamflow.machinery.tasks.dismissing import dismiss

__all__ = ["Lanes"]

A = TypeVar("A")


class _Lane:
    """What was read of one inner iterable and is not emitted; `over` when it was read to its end or failed."""

    __slots__ = ("error", "items", "number", "over", "waiting")

    def __init__(self, number: int) -> None:
        self.number = number
        self.items: deque[Any] = deque()
        self.over = False
        self.error: BaseException | None = None
        self.waiting: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Wait for room, or, when it is over, for the consumer to be through with it."""
        self.waiting = asyncio.get_running_loop().create_future()
        await self.waiting

    def go_on(self) -> None:
        waiting, self.waiting = self.waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)


class Lanes(Generic[A]):
    """The inner iterables of one stage in one run."""

    def __init__(self, fn: Callable[[A], Any], reader: Reader[A], size: int, ahead: int, *, ordered: bool) -> None:
        """Prepare; nothing is taken before `start`."""
        self._fn = fn
        self._reader = reader
        self._size = size
        self._ahead = ahead
        self._ordered = ordered
        self._workers: set[asyncio.Task[None]] = set()
        self._at_input = self._taken = self._open = 0
        self._queue: deque[_Lane] = deque()
        self._news: asyncio.Future[None] | None = None
        self._seen = perf_counter()
        self._ended = self._dismissed = False
        self._failure: BaseException | None = None
        self._late: list[BaseException] = []

    # --- the emitting side -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Hire the first worker; each that has taken an item hires the next."""
        worker = asyncio.create_task(self._work())
        self._workers.add(worker)
        worker.add_done_callback(self._left)

    async def items_are_ready(self) -> bool:
        """Wait until `next_item` has something to look at; `False` at the end. Then the input's failure is raised."""
        while not (self._queue and (self._queue[0].items or self._queue[0].over)):
            if self._ended and not self._open:
                _raise(self._failure)
                return False
            self._news = asyncio.get_running_loop().create_future()
            await self._news
            self._seen = perf_counter()
        return True

    def next_item(self) -> Any:
        """Return the next item that may leave now, or `NONE`. Raises the error of an inner iterable at its turn."""
        while self._queue:
            lane = self._queue[0]
            if lane.items:
                if not self._ordered:
                    self._queue.popleft()
                item = lane.items.popleft()
                if lane.waiting is not None and not lane.over and len(lane.items) <= self._ahead // 2:
                    lane.go_on()
                return item
            if not lane.over:
                break
            self._queue.popleft()
            self._open -= 1
            lane.go_on()
            _raise(lane.error, lane.number)
        return NONE

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)

    async def dismiss(self) -> None:
        """Cancel the workers, which close their inner iterators, and wait for them, whatever cancels meanwhile."""
        self._ended = self._dismissed = True
        try:
            await dismiss(self._workers, self._late)
        finally:
            self._queue.clear()
            self._failure = None

    # --- the workers -------------------------------------------------------------------------------------------------

    def _left(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if worker.cancelled() and not self._dismissed:
            self._end(stray("the reading of the input", None))
        elif not worker.cancelled() and (error := worker.exception()) is not None:
            self._end(error)

    def _end(self, failure: BaseException | None) -> None:
        self._ended = True
        self._failure = self._failure or failure  # of several that wait for input, one is told why it ended
        self._tell()

    async def _work(self) -> None:
        await asyncio.sleep(0)  # an eager task must not run inside the one that hires it (H24)
        while (item := await self._next()) is not NONE:
            lane = self._new_lane()
            try:
                await self._read(item, lane)
            except BaseException as error:  # noqa: BLE001  # carried to its turn
                self._failed(error, lane)
            item = None  # not held while waiting (H57)
            if self._dismissed:
                return
            lane.over = True
            self._show(lane, at_end=True)
            await lane.wait()

    async def _next(self) -> Any:
        """Return the next item, or `NONE` when there is none or none is wanted."""
        self._at_input += 1
        try:
            item = await self._reader.get()
        except EndOfChannel:
            self._end(None)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # of a stage above: it comes after the items before it
            self._end(error)
        else:
            return NONE if self._ended else item
        finally:
            self._at_input -= 1
        return NONE

    def _new_lane(self) -> _Lane:
        self._taken += 1
        self._open += 1
        lane = _Lane(self._taken)
        if self._ordered:
            self._queue.append(lane)
        if not self._at_input and len(self._workers) < self._size:
            self.start()
        return lane

    async def _read(self, item: A, lane: _Lane) -> None:
        inner = self._fn(item)
        if isawaitable(inner):
            inner = await inner
        del item
        if isinstance(inner, AsyncIterable):
            await self._read_async(aiter(inner), lane)
        else:
            await self._read_sync(iter(inner), lane)

    async def _read_async(self, inner: AsyncIterator[Any], lane: _Lane) -> None:
        try:
            async for out in inner:
                lane.items.append(out)
                self._show(lane)
                if len(lane.items) >= self._ahead:
                    await lane.wait()
        finally:
            close = getattr(inner, "aclose", None)
            if close is not None:
                await close()

    async def _read_sync(self, inner: Iterator[Any], lane: _Lane) -> None:
        try:
            for out in inner:
                lane.items.append(out)
                self._show(lane)
                if len(lane.items) >= self._ahead:
                    await lane.wait()
                elif perf_counter() - self._seen > SLICE:
                    await self._pause()
        finally:
            if isinstance(inner, Generator):
                inner.close()

    async def _pause(self) -> None:
        await asyncio.sleep(0)
        self._seen = perf_counter()

    def _show(self, lane: _Lane, *, at_end: bool = False) -> None:
        """Let the consumer know that there is something in a lane."""
        if not self._ordered:
            self._queue.append(lane)
            self._tell()
        elif self._news is not None and lane is self._queue[0] and (at_end or len(lane.items) == 1):
            self._tell()

    def _failed(self, error: BaseException, lane: _Lane) -> None:
        if self._dismissed:
            if isinstance(error, asyncio.CancelledError):
                raise error
            self._late.append(error)
        self._ended = True  # what comes after it will not be wanted
        lane.error = stray("a call of flat_map()", error) if isinstance(error, asyncio.CancelledError) else error


def _raise(error: BaseException | None, number: int | None = None) -> None:
    try:
        if error is not None:
            if number is not None:
                error.add_note(f"it was the call for item {number}, or what that gave")
            raise error
    finally:
        del error  # its traceback holds this frame: let the frame not hold the error
