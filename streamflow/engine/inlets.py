"""Several sources read side by side by one task: what `merge`, `zip` and their kin stand on.

What lives here: opening them, closing them, and the wait for any of them. What must not: whose turn it is (the
operators), what one source is (inlet.py).

One future is put into the lines of all channels that are waited for, so waiting for a hundred sources takes no task.
"""

# ruff: noqa: SLF001  # a wait is noted on the reader of the operator's input, as its own waits are

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import Any, Generic, TypeVar, cast

from streamflow.engine.demand import AT_ONCE, Demand
from streamflow.engine.feeding import Feeder
from streamflow.engine.inlet import NONE, Inlet, Pulled, Read
from streamflow.engine.nested import heeding
from streamflow.engine.reader import Reader
from streamflow.resolving import parts_of
from streamflow.types import SourceLike

__all__ = ["Inlets", "beside_an_input", "inlets_of"]

T = TypeVar("T")


class Inlets(Generic[T]):
    """The sources of one operator in one run, in order."""

    def __init__(self) -> None:
        """Have none yet."""
        self.all: list[Inlet[T]] = []
        self.input: Read[T] | None = None
        self._count = 1
        self._paused = True

    async def wait(self, lacking: Sequence[Inlet[T]]) -> None:
        """Wait until one of those that lack something has an item or has ended.

        Cancellation: nothing was taken. None of them is pulled any more when this returns.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._ask(lacking, waiter, waiter)

    async def give_turn(self, lacking: Sequence[Inlet[T]]) -> None:
        """Let the other tasks run, so that those that lack something can answer if they have not far to go."""
        await self._ask(lacking, None, asyncio.sleep(0))

    async def _ask(
        self, lacking: Sequence[Inlet[T]], waiter: asyncio.Future[None] | None, answer: Awaitable[None]
    ) -> None:
        self._count = 1 if self._paused else min(AT_ONCE, 2 * self._count)
        since = self._rest()
        for inlet in lacking:
            inlet.ask(waiter, self._count)
        try:
            await answer
        finally:
            for inlet in lacking:
                inlet.rest(waiter)
            self._renew(since)
        self._paused = False
        asyncio.get_running_loop().call_soon(self._note_pause)

    def _note_pause(self) -> None:
        """The loop has run on since the last wait: the consumer does something else between two items."""
        self._paused = True

    def _rest(self) -> float:
        """Note on the operator's input that the task waits: time that it does not work."""
        if self.input is None:
            return 0.0
        reader = self.input.reader
        reader._since = reader.budget.rest()
        return reader._since

    def _renew(self, since: float) -> None:
        if self.input is not None:
            reader = self.input.reader
            reader._since = 0.0
            reader.channel._waited_for_items += reader.budget.renew(since)

    async def wait_for(self, inlet: Inlet[T]) -> bool:
        """Wait until the hand of this one, which is empty, can be refilled, and do so; `False` when it has ended.

        Meanwhile the others that lack something are asked as well, so that no time is lost when their turn comes.
        """
        while not inlet.refill():
            if inlet.ended:
                return False
            await self.wait([other for other in self.all if other.lacks()])
        return True

    async def next_of(self, inlet: Inlet[T]) -> T | Any:
        """Return the next item of one whose hand is empty; `NONE` at its end, with which it leaves the list."""
        if await self.wait_for(inlet):
            return next(inlet.hand)
        self.all.remove(inlet)
        return NONE


@asynccontextmanager
async def inlets_of(
    operator: str,
    sources: Sequence[SourceLike[Any]],
    *,
    first: int = 1,
    on_demand: bool = True,
    further: bool | None = None,
    plain_too: bool = True,
) -> AsyncGenerator[Inlets[Any], None]:
    """Open the sources of an operator side by side; at the end of the block all are closed.

    All are asked to stop at once; then each is waited for, the last one first. What fails in closing is raised, or told
    on the error that ended the block.

    Args:
        operator: its name, for errors.
        sources: the input, if there is one, and the further sources.
        first: the number of the first of them, for errors.
        on_demand: whether further sources are pulled only while somebody waits for them; else they run `AHEAD`.
        further: whether they stand beside the input of a stage, and so are drained with its run; default: whether that
            input is among them. Those that a stage combines for one of its items are not: the item is in flight.
        plain_too: whether plain iterables end as well when the run is drained, or are left when the others have ended.
    """
    further = beside_an_input(sources) if further is None else further
    inlets: Inlets[Any] = Inlets()
    async with AsyncExitStack() as stack:
        for number, source in enumerate(sources, first):
            inlet = _inlet(operator, number, source, Demand() if on_demand else None, further=further)
            inlets.all.append(inlet)
            if isinstance(inlet, Pulled):
                stack.enter_context(closing(inlet))
                if plain_too:
                    stack.enter_context(heeding(inlet.drain, further=further))
            elif isinstance(inlet, Read) and inlet.feeder is not None:
                await stack.enter_async_context(inlet.feeder)
            elif isinstance(inlet, Read):
                inlets.input = inlets.input or inlet
        stack.callback(_stop, tuple(inlets.all))
        await asyncio.sleep(0)  # the runs begin, so that one that is asked can answer at once
        yield inlets


def _stop(inlets: Sequence[Inlet[Any]]) -> None:
    for inlet in inlets:
        if isinstance(inlet, Read) and inlet.feeder is not None:
            inlet.feeder.stop()


def beside_an_input(sources: Iterable[SourceLike[Any]]) -> bool:
    """Return whether the input of a stage is among these."""
    return any(isinstance(source, Reader) for source in sources)


def _inlet(operator: str, number: int, source: SourceLike[T], demand: Demand | None, *, further: bool) -> Inlet[T]:
    if isinstance(source, Reader):
        return Read(number, "the input" if number == 1 else "a reader", source)
    first, stages = parts_of(source)
    if first.synchronous and not stages:
        return Pulled(number, first.name, cast("Iterable[T]", first.open()))
    feeder = Feeder(source, name=f"source {number} of {operator}", demand=demand, further=further)
    return Read(number, first.name, feeder.reader, feeder, demand)
