"""A reader over any source, for operators that need more of their input than `async for` gives, or more than one input.

What lives here: `reading`, and `Feeder`, the run behind it. What must not: operators; several sources at once
(inlets.py).

A source that is no reader yet gets a run of its own: its generator lives in one task and one context for its whole life
and is closed there (P7), whatever the operator does that reads it. A stream's stages run as a plan, not as one
generator around another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar, cast

from streamflow.engine.conductor import Run
from streamflow.engine.demand import AT_ONCE, Demand, gated
from streamflow.engine.names import in_source
from streamflow.engine.planner import segments_of
from streamflow.engine.reader import Reader
from streamflow.resolving import parts_of
from streamflow.stages import GRACE, MAX_BYTES, Plan, Source, Stage
from streamflow.types import SourceLike

__all__ = ["AHEAD", "Costs", "Feeder", "costs_of", "reading"]

T = TypeVar("T")

AHEAD = 64
"""Capacity, in items, of each channel of a source that an operator reads beside its input."""


class Feeder(Run, Generic[T]):
    """The run that feeds one reader from one source, for an `async with` block; at its end everything is closed.

    Args:
        items: any source.
        name: for errors: "source 2 of merge"; default "reading of" and the source's name.
        maxsize: capacity of each channel in items.
        max_bytes: the same in bytes, for items that have a size in bytes.
        demand: pull the source only while this is asked; not where a `buffer(n)` stands after it, which says to run
            ahead.
        further: whether it is a source beside the input of a stage, which is drained with the run that the stage is
            in. Inside the source of that run everything is.
    """

    def __init__(
        self,
        items: SourceLike[T],
        *,
        name: str | None = None,
        maxsize: int = AHEAD,
        max_bytes: int = MAX_BYTES,
        demand: Demand | None = None,
        further: bool = False,
    ) -> None:
        """Plan it; nothing runs yet."""
        source, stages = parts_of(items)
        if demand is not None and all(stage.capacity is None for stage in stages):
            demand.stopping = lambda: self.segments[0].asked or self.segments[0].drained
            source = gated(source, demand)
        super().__init__(Plan(source, stages, None, name or f"reading of {source.name}", maxsize, max_bytes, GRACE))
        self.reader = cast("Reader[T]", self.output)
        self._further = further
        if demand is not None:
            demand.output = self.reader.channel._queue  # noqa: SLF001  # looked at for every item
            demand.budget = self.segments[0].budget

    async def __aenter__(self) -> Self:
        """Start."""
        self.start()
        of_source = in_source()
        if self._outer is not None and (of_source or self._further):
            self._outer.heed(self.drain, of_source=of_source)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close; what fails in closing is told on the error that ends the block, or raised where that is only a stop.

        As if nested: a generator whose `finally` fails while it is closed or cancelled ends with that failure.
        """
        if error is None or isinstance(error, (GeneratorExit, asyncio.CancelledError)):
            await self.close()
        else:
            await self.close_after(error)

    def stop(self) -> None:
        """Ask it to stop, without waiting for that: the end of the block waits."""
        self.attend()
        self.reader.channel.abandon()
        self._stop(self.segments[-1])


@asynccontextmanager
async def reading(
    items: SourceLike[T], *, maxsize: int = 16, max_bytes: int = MAX_BYTES
) -> AsyncGenerator[Reader[T], None]:
    """Give a `Reader` over `items`: inside a pipeline that is what a stage gets anyway; elsewhere a task feeds one.

    Example:
        async def stage(items):
            async with reading(items) as reader:
                item = await reader.get()

    Args:
        items: what a stage was given, or any source (a list, a `Stream`, an async generator).
        maxsize: how many items may be read ahead where it is not a reader already.
        max_bytes: the same in bytes, for items that have a size in bytes.

    Cancellation and leaving: the feeding run, if there is one, is stopped and `items` closed in its own task.
    """
    if isinstance(items, Reader):
        yield items
        return
    async with Feeder(items, maxsize=maxsize, max_bytes=max_bytes) as feeder:
        yield feeder.reader


class Costs(NamedTuple):
    """What reading further sources costs an operator, for `explain()`: items and bytes held, worker threads."""

    items: int = 0
    bytes: int = 0
    threads: int = 0


def costs_of(sources: Iterable[SourceLike[Any]], *, on_demand: bool = True) -> Costs:
    """Return what the runs of further sources may hold, and their threads; not on demand they run one at a time."""
    each = [_cost(*parts_of(source), on_demand=on_demand) for source in sources]
    together: Callable[[Iterable[int]], int] = sum if on_demand else max
    items, held, threads = (together(column) for column in zip(Costs(), *each, strict=True))
    return Costs(items, held, threads)


def _cost(source: Source[Any], stages: tuple[Stage[Any, Any], ...], *, on_demand: bool) -> Costs:
    held = source.holds + sum(stage.holds for stage in stages)
    threads = source.threads + sum(stage.threads for stage in stages)
    if source.synchronous and not stages:
        return Costs(source.holds_items, held, threads)
    if on_demand and not stages:
        return Costs(AT_ONCE + source.holds_items, held + MAX_BYTES, threads)
    segments = segments_of(Plan(source, stages, None, source.name, AHEAD))
    # A channel can be full while what its reader took at once from it is still held, and each task has one in hand.
    items = source.holds_items + sum(2 * segment.capacity + 1 for segment in segments)
    return Costs(items + sum(stage.holds_items for stage in stages), held + len(segments) * MAX_BYTES, threads)
