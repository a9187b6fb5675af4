"""`Stream`: a lazy description that can be iterated; `Pipeline`: a stream with a sink, which can be run.

What lives here: the values a user composes. What must not: an operator's behaviour (operators/), iterating and running
(items.py, jobs.py), how a run ends (engine/).

Both are one idea, so they live in one file: `Stream.to(sink)` is a `Pipeline`, and a `Pipeline` accepts functions from
`Stream` to `Stream` as stages.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar, cast, overload

from streamflow.callables import caller
from streamflow.errors import UsageError
from streamflow.items import Items
from streamflow.jobs import Job
from streamflow.operators import batching, concurrency, elements, sinks
from streamflow.resolving import applied, is_stream_function, resolve_sink, resolve_source, resolve_stage
from streamflow.stages import GRACE, MAX_BYTES, MAXSIZE, Plan, Source, Stage
from streamflow.types import MaybeAwaitable, SourceLike

__all__ = ["Pipeline", "SinkLike", "StageLike", "Stream", "stream"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
A_contra = TypeVar("A_contra", contravariant=True)
B_co = TypeVar("B_co", covariant=True)
D = TypeVar("D")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
U = TypeVar("U")


class StageLike(Protocol[A_contra, B_co]):
    """What may stand in the place of a stage: an async generator function over items, a `Stage`, a function on streams.

    Its parameter is a `Stream` only for the type checker: a function that takes any async iterable takes a stream too.
    """

    def __call__(self, items: Stream[A_contra], /) -> AsyncIterable[B_co]:
        """Emit items."""


class SinkLike(Protocol[A_contra, R_co]):
    """What may stand in the place of a sink: a coroutine function over an async iterable, or a `Sink`."""

    def __call__(self, items: AsyncIterable[A_contra], /) -> Awaitable[R_co]:
        """Take the items and return the pipeline's value."""


def stream(source: SourceLike[T]) -> Stream[T]:
    """Begin a stream from any iterable, async iterable, channel or other stream.

    Example: `total = await sf.stream(range(10)).map(fetch, concurrency=4).count()`

    Nothing is read before it is iterated or run. Raises `UsageError` for what cannot be a source.
    """
    if isinstance(source, Stream):
        return source
    return Stream(resolve_source(source))


class Stream(Generic[T_co]):
    """A source and the stages after it: immutable, lazy, reusable.

    Example:
        rows = sf.stream(orders).filter(valid).map(enrich, concurrency=16)

        async with rows.open() as items:        # the way for `async for`: everything is closed at the end of the block
            async for row in items:
                ...

        async for row in rows: ...              # allowed, and as safe: a dropped iterator stops the run
        await rows.to(objects.write(url)).run() # a sink makes it a pipeline

    Every operator is also a function that returns a stage, for `pipeline()`: `sf.map(fn)`.
    """

    __slots__ = ("_source", "_stages")

    def __init__(self, source: Source[T_co], stages: tuple[Stage[Any, Any], ...] = ()) -> None:
        """Describe it; `sf.stream(source)` is the usual way."""
        self._source: Source[Any] = source
        self._stages = stages

    def __repr__(self) -> str:
        """Show the names of the source and the stages."""
        return f"<Stream {' > '.join([self._source.name, *(stage.name for stage in self._stages)])}>"

    # --- composing -------------------------------------------------------------------------------------------------

    def through(self, stage: StageLike[T_co, U]) -> Stream[U]:
        """Put a stage of your own after this stream: an async generator function, a `Stage`, or a function on streams.

        Example: `sf.stream(rows).through(add_timestamp)`. Raises `UsageError` for what is no stage, saying what to
        write.
        """
        if is_stream_function(stage):
            return cast("Stream[U]", applied(stage, self))
        return Stream(self._source, (*self._stages, resolve_stage(stage)))

    def to(
        self,
        sink: SinkLike[T_co, R],
        *,
        name: str | None = None,
        maxsize: int = MAXSIZE,
        max_bytes: int = MAX_BYTES,
        grace: float = GRACE,
    ) -> Pipeline[R]:
        """End the stream with a sink: a `Pipeline`. The arguments are those of `Pipeline`."""
        return Pipeline(self, sink, name=name, maxsize=maxsize, max_bytes=max_bytes, grace=grace)

    @overload
    def map(self, fn: Callable[[T_co], Awaitable[U]], *, concurrency: int = ..., ordered: bool = ...) -> Stream[U]: ...
    @overload
    def map(self, fn: Callable[[T_co], U], *, concurrency: int = ..., ordered: bool = ...) -> Stream[U]: ...
    def map(self, fn: Callable[[T_co], Any], *, concurrency: int = 1, ordered: bool = True) -> Stream[Any]:
        """Call `fn` for each item and emit what it returns; see `sf.map`."""
        return self.through(_map(fn, concurrency=concurrency, ordered=ordered))

    def filter(self, fn: Callable[[T_co], MaybeAwaitable[object]]) -> Stream[T_co]:
        """Keep the items for which `fn` is true; see `sf.filter`."""
        return self.through(elements.filter(fn))

    @overload
    def flat_map(self, fn: Callable[[T_co], Awaitable[Iterable[U] | AsyncIterable[U]]]) -> Stream[U]: ...
    @overload
    def flat_map(self, fn: Callable[[T_co], Iterable[U] | AsyncIterable[U]]) -> Stream[U]: ...
    def flat_map(self, fn: Callable[[T_co], Any]) -> Stream[Any]:
        """Emit every item of the iterables that `fn` returns; see `sf.flat_map`."""
        return self.through(elements.flat_map(fn))

    def tap(self, fn: Callable[[T_co], MaybeAwaitable[object]]) -> Stream[T_co]:
        """Call `fn` with each item and pass it on; see `sf.tap`."""
        return self.through(elements.tap(fn))

    def take(self, n: int) -> Stream[T_co]:
        """Pass the first `n` items and end; see `sf.take`."""
        return self.through(elements.take(n))

    def batched(self, n: int, *, within: float | None = None) -> Stream[tuple[T_co, ...]]:
        """Group items into tuples by count and time; see `sf.batched`."""
        return self.through(batching.batched(n, within=within))

    def buffer(self, n: int) -> Stream[T_co]:
        """Put a channel of `n` items here; see `sf.buffer`."""
        return self.through(elements.buffer(n))

    # --- running ---------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def open(
        self, *, maxsize: int = MAXSIZE, max_bytes: int = MAX_BYTES, grace: float = GRACE
    ) -> AsyncGenerator[Items[T_co], None]:
        """Run the stream for a block: `async with stream.open() as items: async for item in items: ...`.

        Nothing is read before the first item is asked for. At the end of the block, however it ends, the stages are
        stopped, last one first, and everything is closed before control returns. `break`, timeouts and cancel scopes in
        the block are safe: the stages run in tasks of their own. The arguments are those of `Pipeline`.

        Raises at the `async for` what a stage raises; at the end of the block what failed while closing.
        """
        items: Items[T_co] = Items(Plan(self._source, self._stages, None, "stream", maxsize, max_bytes, grace))
        try:
            yield items
        except BaseException as error:
            await items.close_after(error)
            raise
        await items.aclose()

    def __aiter__(self) -> AsyncIterator[T_co]:
        """Iterate without a block. Leaving early stops the run as soon as the iterator is dropped."""
        return Items(Plan(self._source, self._stages, None, "stream"))

    async def collect(self) -> list[T_co]:
        """Run it and return every item in a list; see `sf.collect`.

        Cancellation: ends this run and nothing else.
        """
        return await self.to(sinks.collect()).run()

    async def count(self) -> int:
        """Run it and return how many items there were; see `sf.count`. Cancellation: ends this run."""
        return await self.to(sinks.count()).run()

    @overload
    async def first(self) -> T_co: ...
    @overload
    async def first(self, default: D) -> T_co | D: ...
    async def first(self, default: Any = sinks.MISSING) -> Any:
        """Run it until the first item and return that, or `default`; see `sf.first`. Cancellation: ends this run."""
        return await self.to(sinks.first(default)).run()

    async def reduce(self, fn: Callable[[R, T_co], MaybeAwaitable[R]], initial: R) -> R:
        """Run it and fold the items into one value; see `sf.reduce`. Cancellation: ends this run."""
        return await self.to(sinks.reduce(fn, initial)).run()

    async def for_each(self, fn: Callable[[T_co], MaybeAwaitable[object]], *, concurrency: int = 1) -> int:
        """Run it, calling `fn` for each item; return how many there were; see `sf.for_each`.

        Cancellation: ends this run.
        """
        return await self.to(sinks.for_each(fn, concurrency=concurrency)).run()

    async def run(self) -> None:
        """Run it for the effects of its stages, dropping the items that come out; see `sf.drain`.

        Cancellation: ends this run.
        """
        await self.to(sinks.drain()).run()


_map = concurrency.map  # inside the class, `concurrency` is an argument


class Pipeline(Job[R_co]):
    """A source, stages and a sink: `await pipeline.run()` gives the sink's value. The object behind `sf.pipeline()`.

    Example:
        job = sf.Pipeline(objects.read(url), csv.parse(), add_timestamp, csv.format(), objects.write(copy))
        print(job.explain())
        await job.run()
        print(job.report)

    Args:
        source: an iterable, async iterable, `Channel`, `Stream` or `Source`.
        steps: stages, then the sink as the last one.
        name: shown in errors, plans and reports.
        maxsize: capacity of each channel in items, at least 1.
        max_bytes: capacity of each channel in bytes, for items that have a size in bytes.
        grace: how many seconds stages may take to stop when they are asked to.

    Raises `UsageError` for anything that cannot be what its place says, before anything is opened or read.
    """

    def __init__(
        self,
        source: SourceLike[Any],
        *steps: *tuple[*tuple[Any, ...], SinkLike[Any, R_co]],
        name: str | None = None,
        maxsize: int = MAXSIZE,
        max_bytes: int = MAX_BYTES,
        grace: float = GRACE,
    ) -> None:
        """Check and plan; nothing runs yet."""
        if not steps:
            raise UsageError(
                "A pipeline needs a sink: sf.pipeline(source, *stages, sink), with sf.collect() for a list."
            )
        flow = _composed(source, steps[:-1])
        source, stages = flow._source, flow._stages  # noqa: SLF001  # one file, one idea
        super().__init__(Plan(source, stages, resolve_sink(steps[-1]), name or "pipeline", maxsize, max_bytes, grace))


def _composed(source: SourceLike[Any], stages: tuple[Any, ...]) -> Stream[Any]:
    flow = stream(source)
    for position, stage in enumerate(stages, 2):
        try:
            flow = flow.through(stage)
        except UsageError as error:
            error.add_note(f"argument {position} of the pipeline, added at {caller()}")
            raise
    return flow
