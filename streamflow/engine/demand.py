"""A source that is pulled only while somebody waits for it: what `merge` and `zip` put before their further sources.

What lives here: `Demand`, the gate, and `gated`, which puts it before a source. What must not: who waits, and for what
(inlets.py).

The gate is open while its reader waits and has not got what it asked for. So while a merge stands at its `yield`, none
of its sources is pulled; what was asked for before may still arrive. A reader asks for one item, and for more where its
consumer takes them without a pause: a switch between tasks costs more than most items. What iterates itself and is its
user's, a channel say, is asked for one at a time: another reader may want the rest.

The gate stands outside the source's generator: a cancellation that strikes a timeout or a scope around the generator's
`yield` is thrown in there, as striking.py does.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from streamflow.channel.storage import Storage
from streamflow.engine.budget import Budget
from streamflow.stages import Source

__all__ = ["AT_ONCE", "Demand", "gated"]

AT_ONCE = 16
"""How many items of a further source are asked for at once where the consumer takes them without a pause."""


class Demand:
    """Whether a source may be pulled now.

    `asked` is how many items the reader waits for, 0 where it does not, and `most` the most that may be; `output` is
    what has arrived for it. `budget` is told that a wait is no work; `stopping` says whether a cancellation is meant
    for the run.
    """

    __slots__ = ("_parked", "asked", "budget", "most", "output", "stopping")

    def __init__(self) -> None:
        """Start closed. The run that the source belongs to fills in the rest."""
        self.asked = 0
        self.most = AT_ONCE
        self.output: Storage[Any] = deque()
        self.budget = Budget()
        self.stopping: Callable[[], bool] = bool
        self._parked: asyncio.Future[None] | None = None

    def ask(self, count: int) -> None:
        """The reader begins to wait for so many items, or fewer."""
        self.asked = min(count, self.most)
        if self._parked is not None and not self._parked.done():
            self._parked.set_result(None)

    def one_at_a_time(self) -> None:
        """Never ask for more than one item."""
        self.most = 1
        self.asked = min(self.asked, 1)

    def withdraw(self) -> None:
        """The reader waits no longer."""
        self.asked = 0

    async def wait(self) -> None:
        """Wait until the gate is open. Cancellation: nothing was pulled."""
        while len(self.output) >= self.asked:
            self._parked = asyncio.get_running_loop().create_future()
            since = self.budget.rest()
            try:
                await self._parked
            finally:
                self._parked = None
                self.budget.renew(since)


def gated(source: Source[Any], demand: Demand) -> Source[Any]:
    """Return the same source with the gate before it."""
    return replace(source, open=lambda: _Gate(source.open(), demand), synchronous=False)


class _Gate:
    """What was opened, to be iterated once."""

    def __init__(self, opened: Iterable[Any] | AsyncIterable[Any], demand: Demand) -> None:
        self._opened = opened
        self._demand = demand

    def __aiter__(self) -> AsyncIterator[Any]:
        opened, demand = self._opened, self._demand
        if not isinstance(opened, AsyncIterable):
            return _one_by_one(iter(opened), demand)
        items = aiter(opened)
        if isinstance(items, AsyncGenerator):
            return _GatedGenerator(items, demand)
        if items is not opened:
            return _GatedOwned(items, demand)
        demand.one_at_a_time()  # what iterates itself is its user's, and stays open: a channel, a connection
        return _Gated(items, demand)


async def _one_by_one(items: Iterator[Any], demand: Demand) -> AsyncGenerator[Any, None]:
    nothing = object()
    try:
        await demand.wait()
        while (item := next(items, nothing)) is not nothing:
            yield item
            if len(demand.output) >= demand.asked:
                await demand.wait()
    finally:
        if inspect.isgenerator(items):
            items.close()


class _Gated:
    """An async iterator behind the gate."""

    def __init__(self, items: AsyncIterator[Any], demand: Demand) -> None:
        self._items = items
        self._pull = items.__anext__
        self._demand = demand

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    def __anext__(self) -> Awaitable[Any]:
        demand = self._demand
        return self._pull() if len(demand.output) < demand.asked else self._pull_later()

    async def _pull_later(self) -> Any:
        await self._demand.wait()
        return await self._pull()


class _GatedOwned(_Gated):
    """One that was made for this run."""

    async def aclose(self) -> None:
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()


class _GatedGenerator(_Gated):
    """An async generator behind the gate; it is one itself, so that it is closed and struck like one."""

    _items: AsyncGenerator[Any, None]

    @property
    def ag_await(self) -> object:
        """Where it stands, for who asks."""
        return self._items.ag_await or self._items  # type: ignore[attr-defined]  # of a generator, not of the protocol

    async def _pull_later(self) -> Any:
        try:
            await self._demand.wait()
        except asyncio.CancelledError as error:
            if self._demand.stopping():
                raise
            return await self._items.athrow(error)  # something around its `yield` asked for that
        return await self._pull()

    def asend(self, value: None) -> Awaitable[Any]:
        return self._items.asend(value)

    def athrow(self, *error: Any) -> Awaitable[Any]:
        return self._items.athrow(*error)

    async def aclose(self) -> None:
        await self._items.aclose()
