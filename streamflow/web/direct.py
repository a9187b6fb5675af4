"""Sending from within the task of a source, where there is nothing between the source and the client.

What lives here: `Direct`. What must not: what is sent, and how (sending.py).

A handler that yields large chunks is as fast as its server; a channel behind it, and a task that reads that, would cost
as much again. So an async source without stages sends its chunks itself, in the task that is its own anyway: it reads
nothing ahead, and waits where the client does not read. Everything else is as with a channel: the run that it is, the
turns it gives to others, how it is stopped and closed.

* What is held for its time (`within`) must leave while the source waits at an `await` of its own. A task of its own
  sends it; the source's next piece waits for that.
* A timeout or a cancel scope around the source's `yield` may strike while we send. It belongs in there (P7), so it is
  thrown in there. If the source goes on after that, nobody knows whether the piece was sent: that is an error.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from time import perf_counter
from typing import Any, NoReturn

from streamflow.engine.budget import Budget
from streamflow.engine.shielding import until_done
from streamflow.errors import StageError
from streamflow.items import Items
from streamflow.observe.statistics import RunStats
from streamflow.stages import Plan, Source
from streamflow.web.coalescing import Coalescer, Some, as_bytes
from streamflow.web.sending import Delivery

__all__ = ["Alone", "Direct"]

_NOTHING: tuple[Any, ...] = ()
_BRIEFLY = 0.001  # seconds


class Alone:
    """The run of a source that needs no sink, as far as a response needs it: a `Pipeline` has more and costs more.

    Example: `await Alone(Plan(source, (), None, "response")).run()`
    """

    def __init__(self, plan: Plan) -> None:
        """Nothing runs yet."""
        self._items: Items[Any] = Items(plan)

    async def run(self) -> None:
        """Run the source to its end. Cancellation: stops it and waits until it is closed, or its grace is over."""
        try:
            await self._items.some()
        except BaseException as error:
            await self._items.close_after(error)
            raise

    def stats(self) -> RunStats:
        """Return the numbers of the run."""
        return self._items.stats()


class Direct:
    """Sends what a source gives.

    Example: `Source(lambda: direct.sending(rows()))`, run with a sink that drops what comes, which is nothing.

    Args:
        delivery: sends the pieces.
        fail: called with an error of a piece that left because its time was over.
        min_chunk, within: as for `Pieces`.
    """

    def __init__(
        self, delivery: Delivery, fail: Callable[[BaseException], None], *, min_chunk: int, within: float
    ) -> None:
        """Nothing is read or sent yet."""
        self._delivery = delivery
        self._fail = fail
        self._joined = Coalescer(min_chunk)
        self._within = within
        self._loop = asyncio.get_running_loop()
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._late: asyncio.Task[None] | None = None
        self._budget = Budget()

    async def sending(self, opened: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        """Send all of it; an async generator that gives nothing. It closes what it has opened, in this task."""
        items = aiter(opened if isinstance(opened, AsyncIterable) else Source(lambda: opened))
        try:
            try:
                await self._send_each(items)
            finally:
                # A channel or a connection that iterates itself is its user's to close.
                if isinstance(items, AsyncGenerator) or (items is not opened and hasattr(items, "aclose")):
                    await items.aclose()
            await self._no_longer_late()
            await self._delivery.end(self._joined.take())
        finally:
            await self._stop_clock()
        for nothing in _NOTHING:
            yield nothing

    async def _send_each(self, items: AsyncIterator[Any]) -> None:
        joined, budget, number = self._joined, self._budget, 0
        async for chunk in items:
            number += 1
            pieces = joined.feed(chunk if type(chunk) is bytes else as_bytes(chunk, number))
            if pieces:
                await self._send(items, Some(pieces))
                self._due = math.inf
            if joined.held and self._due == math.inf:
                await self._hold(items)
            budget.left -= 1
            if budget.left <= 0 and budget.over():
                await self._send(items, None)

    async def _send(self, items: AsyncIterator[Any], some: Some | None) -> None:
        """Send some pieces, or only give others a turn, while the source stands at its `yield`.

        A cancellation then is one of the source.
        """
        try:
            if self._late is not None:
                await self._no_longer_late()
            if some is None:
                await self._budget.pause()
                return
            await self._delivery.put(some)
        except asyncio.CancelledError as error:
            if not isinstance(items, AsyncGenerator):
                raise
            await _strike(items, error)
        self._budget.renew(perf_counter())

    # --- the clock -----------------------------------------------------------------------------------------------

    async def _hold(self, items: AsyncIterator[Any]) -> None:
        """Note when what is held has to leave."""
        if not self._within:
            await self._send(items, Some((self._joined.take(),), live=True))
            return
        self._due = self._loop.time() + self._within
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._time_is_up)

    def _time_is_up(self) -> None:
        """One timer serves many pieces: it looks again when it is due."""
        self._timer = None
        if not self._joined.held:
            return
        if self._late is not None and not self._late.done():
            self._due = self._loop.time() + max(self._within, _BRIEFLY)  # what left before is still being taken
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._time_is_up)
        else:
            self._late = self._loop.create_task(self._send_late(), name="streamflow:web:late")

    async def _send_late(self) -> None:
        held = self._joined.take()
        self._due = math.inf
        try:
            if held:
                await self._delivery.put(Some((held,), live=True))
        except Exception as error:
            self._fail(error)
            raise

    async def _no_longer_late(self) -> None:
        """Wait until what is being sent late has been sent; raise what that raises."""
        while (late := self._late) is not None:
            if not late.done():
                await asyncio.wait((late,))
            if late is self._late:  # else the clock has begun the next one, just when this one was done
                self._late = None
            late.result()

    async def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._late is not None:
            self._late.cancel()
            await until_done(self._late)
            if not self._late.cancelled():
                self._late.exception()  # it has been told to `fail`


async def _strike(items: AsyncGenerator[Any, Any], error: asyncio.CancelledError) -> NoReturn:
    """Throw a cancellation in at the `yield`; raise what comes of it."""
    try:
        await items.athrow(error)
    except StopAsyncIteration:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise error from None  # the stop that was asked for, answered by a `return`
    raise StageError(
        "A timeout or a cancel scope around a `yield` ended while the client was being waited for, and whether the "
        "client got that piece is not known. Put the `yield` outside of it, or .buffer(1) after the source."
    ) from error
