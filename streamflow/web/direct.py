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
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, NoReturn

from streamflow.engine.shielding import until_done
from streamflow.errors import StageError
from streamflow.stages import Source
from streamflow.web.coalescing import PIECE, Coalescer, as_bytes
from streamflow.web.inbox import Message
from streamflow.web.sending import TURNS, Delivery

__all__ = ["Direct"]

_BRIEFLY = 0.001  # seconds


class Direct:
    """Sends what a source gives.

    Example: `await direct.sending(rows())`, in the task that is to be that of the rows.

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
        self._at_yield = False
        self._straight: Callable[[Message], Awaitable[None]] | None = None

    async def sending(self, opened: Iterable[Any] | AsyncIterable[Any]) -> None:
        """Send all of it. It closes what it has opened, in this task."""
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

    async def _send_each(self, items: AsyncIterator[Any]) -> None:
        """Send each chunk while the source stands at its `yield`; a cancellation then is one of the source."""
        joined, least, number, left, most = self._joined, self._joined.least, 0, 0, 1
        token = self._delivery.token
        try:
            async for chunk in items:
                self._at_yield = True
                number += 1
                data = chunk if type(chunk) is bytes else as_bytes(chunk, number)
                if self._straight and least <= len(data) <= PIECE and not joined.held and self._late is None:
                    self._delivery.bytes += len(data)
                    await self._straight({"type": "http.response.body", "body": data, "more_body": True})
                else:
                    for piece in joined.feed(data):
                        await self._send(piece)
                    if joined.held and self._due == math.inf:
                        await self._hold()
                left -= 1
                if TURNS.last is not token:  # with many clients that is the rule
                    TURNS.last, left = token, most
                elif left <= 0:
                    left = most = await self._delivery.turn()
                self._at_yield = False
        except asyncio.CancelledError as error:
            if not self._at_yield or not isinstance(items, AsyncGenerator):
                raise
            await _strike(items, error)

    async def _send(self, piece: bytes) -> None:
        await self._no_longer_late()
        await self._delivery.send(piece)
        self._due = math.inf
        self._straight = self._delivery.straight

    # --- the clock -----------------------------------------------------------------------------------------------

    async def _hold(self) -> None:
        """Note when what is held has to leave."""
        if not self._within:
            await self._delivery.send(self._joined.take())
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
                await self._delivery.send(held)
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
