"""One inner iterable at a time, the latest: what switch_map stands on.

What lives here: `Switch`, which takes the input, and replaces the inner iterable at each item. What must not: the
operator and its words (latest.py).

How it works. One task takes the input as soon as it comes, so a busy consumer holds nobody back. For each item it
starts a run for the inner iterable, which calls the function, opens what it gives, reads a few items ahead and closes
it, all in a task of its own (P7). When the next item comes it stops that run, waits until it has ended, and starts the
next one; of the items that come meanwhile only the last counts. The stage's generator gives out what the present run
has brought.

What the inner iterable had brought and a busy consumer had not asked for is dropped with it. A consumer that was
waiting gets it: it would have been given out in this very turn of the loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from inspect import isasyncgen, isawaitable
from typing import Any, Generic, TypeVar

from streamflow.callables import is_coroutine_function, name_of
from streamflow.channel import Channel
from streamflow.engine.feeding import Feeder
from streamflow.engine.inlet import NONE, Read
from streamflow.engine.nested import Numbers, here
from streamflow.engine.reader import Reader
from streamflow.machinery.tasks.owned import Owned
from streamflow.stages import Source

__all__ = ["AHEAD", "Switch"]

A = TypeVar("A")

AHEAD = 16
"""How many items of the inner iterable may be read and wait."""

_NAME = "switch_map"


class Switch(Generic[A]):
    """The inner iterables of one stage in one run.

    Args:
        fn: gives the inner iterable for an item, or an awaitable of it.
        reader: the input.
        where: `file:line` of the stage, for errors.
    """

    def __init__(self, fn: Callable[[A], Any], reader: Reader[A], where: str) -> None:
        """Prepare; nothing is taken yet."""
        self._fn = fn
        self._reader = reader
        self._where = where
        self._inner: Read[Any] | None = None
        self._kept: deque[Any] = deque()
        self._ended = False
        self._failure: BaseException | None = None
        self._news: asyncio.Future[None] | None = None
        self._tasks = Owned(self._end)
        self._ledger = here.get()

    # --- the emitting side -------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def taking(self) -> AsyncGenerator[Switch[A], None]:
        """Take the input for a block; at its end the inner iterable that is open is closed."""
        async with self._tasks:
            self._tasks.start(self._take)
            yield self

    async def something_is_there(self) -> bool:
        """Wait until `next_item` has something to look at; `False` at the end. Raises the failure of the input."""
        while not self._kept and (self._inner is None or self._inner.lacks()):
            if self._inner is None and self._ended:
                self._raise_failure()
                return False
            await self._wait()
        return True

    async def _wait(self) -> None:
        self._news = waiter = asyncio.get_running_loop().create_future()
        inner = self._inner
        if inner is not None:
            inner.ask(waiter, 1)
        try:
            await waiter
        finally:
            self._news = None
            if inner is not None:
                inner.rest(waiter)

    def next_item(self) -> Any:
        """Return the next item that is there, or `NONE`. Raises the failure of the inner iterable at its turn."""
        if self._kept:
            return self._kept.popleft()
        inner = self._inner
        if inner is None:
            return NONE
        item = next(inner.hand, NONE)
        if item is NONE and inner.refill():
            item = next(inner.hand, NONE)
        if inner.ended:
            self._inner = None
        return item

    def _raise_failure(self) -> None:
        error, self._failure = self._failure, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback holds this frame: let the frame not hold the error

    # --- the taking side ---------------------------------------------------------------------------------------------

    def _end(self, failure: BaseException | None) -> None:
        """No further item comes; after what is there comes this failure."""
        self._ended, self._failure = True, failure
        if failure is not None:
            self._inner = None
        self._tell()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _take(self) -> None:
        item = await self._newest()
        while item is not NONE:
            async with self._run_for(item):
                item = await self._newest()
                if item is NONE:
                    self._end(None)
                    await asyncio.get_running_loop().create_future()  # until the stage has emitted what is left of it
        self._end(None)

    async def _newest(self) -> Any:
        """Wait for items, take all that are there, and return the last one; `NONE` at the end of the input."""
        reader = self._reader
        hand, newest = await reader.next_hand(), NONE
        while hand is not None:
            newest = deque(hand, maxlen=1)[0]
            hand = reader.take(reader.channel.maxsize)
        return newest

    @asynccontextmanager
    async def _run_for(self, item: A) -> AsyncGenerator[None, None]:
        """Run the inner iterable for a block. What fails while it is being stopped is raised, or told on the error."""
        source = Source(partial(_opened, self._fn, item), name=name_of(self._fn), where=self._where)
        async with Feeder[Any](source, name=_NAME, maxsize=AHEAD) as feeder:
            self._inner = Read(1, source.name, feeder.reader, feeder)
            self._tell()
            try:
                yield
            except asyncio.CancelledError:
                await feeder.close()
                raise
            except Exception:
                self._inner = None
                self._kept.extend(_taken(feeder.reader.channel))  # the error comes after it
                raise
            self._leave(feeder)
            await feeder.close(failing=True)

    def _leave(self, feeder: Feeder[Any]) -> None:
        """Have no more of an inner iterable; what a consumer that waits would have been given is kept for it."""
        self._inner = None
        if self._news is not None:
            self._kept.extend(_taken(feeder.reader.channel))
            self._tell()
            return
        if self._ledger is not None and self._kept:
            self._ledger.add(_NAME, Numbers(dropped=len(self._kept)))
        self._kept.clear()
        feeder.reader.channel.abandon()


def _taken(channel: Channel[Any]) -> list[Any]:
    """Take everything that is there, and leave."""
    taken = list(channel.in_hand())
    while channel.qsize():
        taken += channel.grasp(channel.qsize())
    channel.abandon()
    return taken


def _opened(fn: Callable[[Any], Any], item: Any) -> Any:
    """Call the function, in the task of the run; a coroutine function is called when the first item is asked for."""
    if is_coroutine_function(fn):
        return _awaited(partial(fn, item))
    inner = fn(item)
    return _awaited(lambda: inner) if isawaitable(inner) else inner


async def _awaited(call: Callable[[], Awaitable[Any]]) -> AsyncGenerator[Any, None]:
    inner = await call()
    if not isinstance(inner, AsyncIterable):
        for out in inner:
            yield out
        return
    iterator = aiter(inner)
    try:
        async for out in iterator:
            yield out
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None and (
            isasyncgen(inner) or iterator is not inner
        ):  # else it is its user's, a connection say
            await close()
