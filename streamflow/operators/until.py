"""Operators that wait for a sign from another source: take_until, skip_until.

What lives here: the sign, and which side of it an item is on. What must not: conditions on the items (selecting.py),
on the clock (timing.py).

A sign is given at a moment. An item that comes at that very moment is still on the side before it, whoever of the two
was first there; so both operators together give the whole stream.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

import anyio

from streamflow.engine.feeding import Costs, costs_of, reading
from streamflow.engine.inlet import NONE
from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.machinery.stage_shapes import Passing
from streamflow.machinery.variables import A
from streamflow.machinery.waits.arrivals import Arrivals
from streamflow.machinery.waits.watching import Parts, Watch, input_or_news, parts_for, watching
from streamflow.stages import Source
from streamflow.types import SourceLike

__all__ = ["Sign", "skip_until", "take_until"]

Sign: TypeAlias = "SourceLike[object] | asyncio.Event | anyio.Event"
"""What gives a sign: any source, by its first item, or an event, by being set."""


def take_until(other: Sign) -> Passing[object]:
    """Pass the items until another source gives its first item, or an event is set; then end.

    Example:
        shutdown = asyncio.Event()
        asyncio.get_running_loop().call_later(1.0, shutdown.set)
        await sf.stream(range(10)).spaced(0.3).take_until(shutdown).collect()  # gives [0, 1, 2, 3]

    * emits when: an item comes, and no sign has been given.
    * backpressures when: the stage below does.
    * completes when: the input ends, or the sign is given. A busy stage below is not interrupted: it ends afterwards.
    * on error: passes it on after the items before it; an error of the other source, before its first item, is raised
      at once.
    * on early stop: the other source is closed, in its own task.

    Only an item is a sign; a source that ends without one never stops anything. An item that comes at the very moment
    of the sign still passes. What waits above because the stage below was busy does not: it is discarded and counted,
    as with `take`. So put it next to the source, with `.buffer(1)` between, to leave little behind. Either way what
    stands below is finished as at any end: the last batch, the commit.

    A list with an item, or an event that is set already, is a sign before the first item: then nothing is emitted.

    Args:
        other: any source, of which one item is pulled; or an `asyncio.Event` or `anyio.Event`.

    Raises `UsageError` for what can be neither. Cancellation: both are closed.
    """
    parts, costs = _sign_of("take_until", other)

    async def passed(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        async with reading(items) as reader, _awaiting("take_until", other, parts) as sign:
            while await sign.comes_after_input_of(reader):
                hand = await reader.next_hand()
                if hand is None:
                    return
                while not sign.is_past() and (item := next(hand, NONE)) is not NONE:
                    yield item

    return _stage(f"take_until({parts.source.name})", passed, costs)


def skip_until(other: Sign) -> Passing[object]:
    """Drop the items until another source gives its first item, or an event is set; then pass all that follow.

    Example:
        calibrated = asyncio.Event()
        asyncio.get_running_loop().call_later(1.0, calibrated.set)
        await sf.stream(range(6)).spaced(0.3).skip_until(calibrated).collect()  # gives [4, 5]

    * emits when: an item comes, and the sign has been given.
    * backpressures when: the stage below does, after the sign; before it the input is taken as it comes.
    * completes when: the input ends.
    * on error: passes it on after the items before it; an error of the other source, before its first item, is raised
      at once.
    * on early stop: the other source is closed, in its own task.

    Only an item is a sign; if the source ends without one, every item is dropped. Dropped items are counted. An item
    that comes at the very moment of the sign is dropped too. The other source is closed when it has given the sign.

    A list with an item, or an event that is set already, is a sign before the first item: then everything passes.

    Args:
        other: any source, of which one item is pulled; or an `asyncio.Event` or `anyio.Event`.

    Raises `UsageError` for what can be neither. Cancellation: both are closed.
    """
    parts, costs = _sign_of("skip_until", other)

    async def passed(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        async with reading(items) as reader:
            async with _awaiting("skip_until", other, parts) as sign:
                while await sign.comes_after_input_of(reader):
                    hand = await reader.next_hand()
                    if hand is None:
                        return
                    deque(hand, maxlen=0)
            async for item in reader:
                yield item

    return _stage(f"skip_until({parts.source.name})", passed, costs)


def _stage(name: str, function: Any, costs: Costs) -> Passing[object]:
    return Passing(
        function,
        name=name,
        drops=True,
        holds=costs.bytes,
        holds_items=1 + costs.items,
        threads=costs.threads,
    )


def _sign_of(operator: str, other: Sign) -> tuple[Parts, Costs]:
    """Return what to watch, and what that costs."""
    if isinstance(other, (asyncio.Event, anyio.Event)):
        event = other
        return Parts(Source(lambda: _set(event), name="Event")), Costs(1)
    if isinstance(other, threading.Event):
        raise UsageError(
            f"{operator}: nobody can await a threading.Event. Give an asyncio.Event, and in the thread write "
            f"loop.call_soon_threadsafe(event.set)."
        )
    return parts_for(operator, other), costs_of([other])


async def _set(event: asyncio.Event | anyio.Event) -> AsyncGenerator[None, None]:
    await event.wait()
    yield


class _Awaited:
    """The sign in one run; without a `watch` it was given before, or never will be."""

    def __init__(self, watch: Watch | None = None, *, given: bool = False) -> None:
        self._at = -math.inf if given else math.inf
        self._watches = [watch] if watch is not None else []
        self._time = asyncio.get_running_loop().time

    def _look(self) -> float:
        """Return at which moment it was given. Raises the failure of the other source."""
        for watch in self._watches:
            if watch.changed:
                watch.check()
                self._at = watch.at
                self._watches = []
        return self._at

    def is_past(self) -> bool:
        """Whether it was given before this very moment. Raises the failure of the other source."""
        return (not self._watches or self._watches[0].changed) and self._look() < self._time()

    async def comes_after_input_of(self, reader: Reader[Any]) -> bool:
        """Wait for an item, the end of the input, or the sign; `False` for the sign. Cancellation: nothing is taken."""
        while not self.is_past():
            if self._look() < math.inf:
                return await Arrivals(reader).came(until=self._at)  # what comes at the very moment is before it
            if await input_or_news(reader, self._watches):
                return True
        return False


@asynccontextmanager
async def _awaiting(operator: str, other: Sign, parts: Parts) -> AsyncGenerator[_Awaited, None]:
    """Wait for the sign beside a block."""
    if isinstance(other, (asyncio.Event, anyio.Event)) and other.is_set():
        yield _Awaited(given=True)
    elif parts.plain:
        yield _Awaited(given=_has_one(cast("Iterable[Any]", parts.source.open())))
    else:
        async with watching(operator, [parts], first_only=True) as watches:
            yield _Awaited(watches[0])


def _has_one(items: Iterable[Any]) -> bool:
    iterator = iter(items)
    try:
        return next(iterator, NONE) is not NONE
    finally:
        if inspect.isgenerator(iterator):
            iterator.close()
