"""A cancellation that strikes a generator while it stands at a `yield`: it is thrown in there.

What lives here: `struck`, the rest of a generator's life after that. What must not: what a cancellation was meant for
(segments.py), or how items are put (writer.py).

A stage may hold an `asyncio.timeout`, a task group or an anyio scope around its `yield` (H32, H33). All three act by
cancelling the task; when the generator stands at its `yield`, that arrives in the writer's wait for room. Thrown into
the generator it reaches the scope that asked for it: the timeout turns it into `TimeoutError`, the group raises its
error, the anyio scope swallows it. The item that waited for room is put before whatever comes of that (P3).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, Self

from streamflow.engine.writer import Writer

__all__ = ["struck"]

# A generator that answers each cancellation with another item and stays in the scope that was cancelled has no end.
_FEW = 4


async def struck(
    writer: Writer[Any],
    items: AsyncIterator[Any],
    error: asyncio.CancelledError,
    asked: Callable[[], bool],
    throw: Callable[[asyncio.CancelledError], Awaitable[Any]],
) -> bool:
    """Throw `error` into the generator and go on with what comes of it; return as `Writer.pump`.

    Args:
        writer: where its items go.
        items: the generator.
        error: what struck.
        asked: tells whether the stop was asked for.
        throw: throws it in, as `athrow`.

    Raises `error` again where it cannot be thrown: the generator was at work itself, or the stop was asked for.
    """
    victim = _Victim(writer, items, throw)
    while True:
        if asked() or not victim.stands_at_yield():
            raise error
        await victim.throw(error)
        try:
            return await victim.go_on()
        except asyncio.CancelledError as again:
            error = again


class _Victim:
    """A generator, what it has handed over and could not be put yet, and what became of it."""

    def __init__(
        self,
        writer: Writer[Any],
        items: AsyncIterator[Any],
        throw: Callable[[asyncio.CancelledError], Awaitable[Any]],
    ) -> None:
        self._writer = writer
        self._items = items
        self._throw = throw
        self._ahead: deque[Any] = deque()
        self._live = isinstance(items, AsyncGenerator)
        self._failure: BaseException | None = None

    def stands_at_yield(self) -> bool:
        return self._live and bool(self._writer.unput) and len(self._ahead) < _FEW

    async def throw(self, error: asyncio.CancelledError) -> None:
        self._ahead.extendleft(self._writer.unput)
        self._writer.unput.clear()
        try:
            self._ahead.append(await self._throw(error))
        except StopAsyncIteration:
            self._live = False
        except BaseException as failure:  # noqa: BLE001  # raised again when the items before it are put
            self._live, self._failure = False, failure

    async def go_on(self) -> bool:
        if self._ahead and not await self._writer.pump(self):
            self._writer.unput += self._ahead
            return False
        if self._failure is not None:
            raise self._failure
        return not self._live or await self._writer.pump(self._items)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if not self._ahead:
            raise StopAsyncIteration
        return self._ahead.popleft()
