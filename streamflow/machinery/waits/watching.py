"""Further sources that an operator watches beside its input: what take_until and with_latest_from stand on.

What lives here: `Watch`, one such source, `watching`, which opens them and closes them, and the wait for the input or
for news of one of them. What must not: what the news mean (until.py, latest.py); sources whose items are emitted
(engine/inlets.py).

A watch stands in line at the channel of its source from the beginning. So its first item, its end or its failure is
noted when it happens, also while the operator's generator stands at a `yield`; and no task is needed for that.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from inspect import isawaitable
from operator import length_hint
from typing import Any, NamedTuple, cast

from streamflow.engine.demand import Demand
from streamflow.engine.feeding import Feeder
from streamflow.engine.inlet import Inlet, Read
from streamflow.engine.inlets import Inlets
from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.resolving import parts_of
from streamflow.stages import Source, Stage
from streamflow.types import SourceLike

__all__ = ["Parts", "Watch", "input_or_news", "parts_for", "watching"]


class Parts(NamedTuple):
    """A source and the stages after it, as a `Stream` hands them out."""

    source: Source[Any]
    stages: tuple[Stage[Any, Any], ...] = ()

    @property
    def plain(self) -> bool:
        """Whether it is an iterable that needs no run: its items are there, or come by a call of `next`."""
        return self.source.synchronous and not self.stages

    @property
    def __streamflow_parts__(self) -> tuple[Source[Any], tuple[Stage[Any, Any], ...]]:
        """What `Feeder` asks for."""
        return self.source, self.stages


def parts_for(operator: str, source: object) -> Parts:
    """Return the parts of a further source, or refuse it naming the operator."""
    if isawaitable(source):  # a future is an iterable, too, but of nothing that is meant
        getattr(source, "close", int)()  # a coroutine; else Python would warn of it too
        raise UsageError(
            f"{operator} needs a source, and {type(source).__name__} is an awaitable. "
            f"Write an async generator function that awaits it and then yields."
        )
    try:
        return Parts(*parts_of(source))
    except UsageError as error:
        error.add_note(f"in {operator}")
        raise


class Watch(Inlet[Any]):
    """A further source with a run of its own.

    `at` is the moment of its first item, in seconds of `loop.time()`, infinity before. `changed` says that its first
    item, its end or its failure has come.
    """

    def __init__(self, number: int, feeder: Feeder[Any], demand: Demand | None) -> None:
        """Stand in line."""
        super().__init__(number, feeder.plan.source.name)
        self.at = math.inf
        self.changed = False
        self.feeder = feeder
        self._read = Read(number, self.name, feeder.reader, feeder, demand)
        self._waiter: asyncio.Future[None] | None = None
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._news.add_done_callback(self._note)
        self._read.ask(self._news, 1)

    def _note(self, news: asyncio.Future[None]) -> None:
        self.changed = True
        if not self._read.is_over():
            self.at = news.get_loop().time()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def check(self) -> None:
        """Raise what the source failed with, if it did, unless an item came before."""
        if self._read.is_over():
            self._read.refill()

    def lacks(self) -> bool:
        """Return whether there is no news yet."""
        return not self.changed

    def ask(self, waiter: asyncio.Future[None] | None, count: int) -> None:  # noqa: ARG002  # it asks by itself
        """`waiter` is to be done when there is news."""
        self._waiter = waiter

    def rest(self, waiter: asyncio.Future[None] | None) -> None:  # noqa: ARG002  # there is one
        """Nobody waits."""
        self._waiter = None

    def leave(self) -> None:
        """Leave the line, and let the run begin to stop."""
        self._news.remove_done_callback(self._note)
        self._read.rest(self._news)
        self.feeder.stop()


@asynccontextmanager
async def watching(
    operator: str, sources: Sequence[Parts], *, first_only: bool = False
) -> AsyncGenerator[list[Watch], None]:
    """Open further sources and watch them for a block; at its end all are closed, each in its own task.

    Args:
        operator: its name, for errors.
        sources: what to watch.
        first_only: pull each only until its first item has come.
    """
    watches: list[Watch] = []
    async with AsyncExitStack() as stack:
        for number, parts in enumerate(sources, 1):
            demand = Demand() if first_only else None
            feeder = Feeder(cast("SourceLike[Any]", parts), name=f"source {number} of {operator}", demand=demand)
            await stack.enter_async_context(feeder)
            watches.append(Watch(number, feeder, demand))
        stack.callback(_leave, watches)
        yield watches


def _leave(watches: Sequence[Watch]) -> None:
    for watch in watches:
        watch.leave()


async def input_or_news(reader: Reader[Any], watches: Sequence[Watch]) -> bool:
    """Wait until an item can be taken or the input has ended, or until there is news; return whether it is the input.

    Cancellation: nothing was taken.
    """
    channel = reader.channel
    if not (length_hint(channel.in_hand()) or channel.qsize() or channel.over or _any_changed(watches)):
        inlets: Inlets[Any] = Inlets()
        inlets.input = Read(0, "the input", reader)
        await inlets.wait([inlets.input, *watches])
    return length_hint(channel.in_hand()) > 0 or channel.qsize() > 0 or channel.over


def _any_changed(watches: Sequence[Watch]) -> bool:
    return any(watch.changed for watch in watches)
