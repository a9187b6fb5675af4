"""`Stream`: a lazy description that can be iterated; `Pipeline`: a stream with a sink, which can be run.

What lives here: the values a user composes, and the hand-over to the engine. What must not: an operator's behaviour
(operators/), or how a run ends (engine/).

Both are one idea, so they live in one file: `Stream.to(sink)` is a `Pipeline`, and a `Pipeline` accepts functions from
`Stream` to `Stream` as stages.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar, cast

from streamflow.engine.conductor import Run
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.observe.explain import explain
from streamflow.observe.report import Report
from streamflow.observe.statistics import RunStats, snapshot
from streamflow.operators import batching, concurrency, elements, sinks
from streamflow.stages import Plan, Sink, Source, Stage, caller, name_of, resolve_sink, resolve_source, resolve_stage
from streamflow.types import MaybeAwaitable, SinkFunction, SourceLike, StageFunction

__all__ = ["Items", "Pipeline", "Stream", "stream"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
R = TypeVar("R")

_MAXSIZE = 1024  # items; chosen from the curve in docs/capacity.md
_MAX_BYTES = 1 << 20
_GRACE = 10.0


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

    def __init__(self, source: Source[Any], stages: tuple[Stage[Any, Any], ...] = ()) -> None:
        """Describe it; `sf.stream(source)` is the usual way."""
        self._source = source
        self._stages = stages

    def __repr__(self) -> str:
        """Show the names of the source and the stages."""
        return f"<Stream {' > '.join([self._source.name, *(stage.name for stage in self._stages)])}>"

    # --- composing -------------------------------------------------------------------------------------------------

    def through(self, stage: StageFunction[T_co, U] | Callable[[Stream[T_co]], Stream[U]]) -> Stream[U]:
        """Put a stage of your own after this stream: an async generator function, a `Stage`, or a function on streams.

        Example: `sf.stream(rows).through(add_timestamp)`. Raises `UsageError` for what is no stage, saying what to write.
        """
        if _is_stream_function(stage):
            return cast("Stream[U]", _apply(cast("Callable[[Any], Any]", stage), self))
        return Stream(self._source, (*self._stages, resolve_stage(stage)))

    def to(
        self,
        sink: SinkFunction[T_co, R],
        *,
        name: str | None = None,
        maxsize: int = _MAXSIZE,
        max_bytes: int = _MAX_BYTES,
        grace: float = _GRACE,
    ) -> Pipeline[R]:
        """End the stream with a sink: a `Pipeline`. The arguments are those of `Pipeline`."""
        return Pipeline(self, sink, name=name, maxsize=maxsize, max_bytes=max_bytes, grace=grace)

    def map(self, fn: Callable[[T_co], MaybeAwaitable[U]], *, concurrency: int = 1, ordered: bool = True) -> Stream[U]:
        """Call `fn` for each item; see `sf.map`."""
        return self.through(_map(fn, concurrency=concurrency, ordered=ordered))

    def filter(self, fn: Callable[[T_co], MaybeAwaitable[object]]) -> Stream[T_co]:
        """Keep the items for which `fn` is true; see `sf.filter`."""
        return self.through(elements.filter(fn))

    def flat_map(self, fn: Callable[[T_co], MaybeAwaitable[Iterable[U] | AsyncIterable[U]]]) -> Stream[U]:
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
        self, *, maxsize: int = _MAXSIZE, max_bytes: int = _MAX_BYTES, grace: float = _GRACE
    ) -> AsyncGenerator[Items[T_co], None]:
        """Run the stream for a block: `async with stream.open() as items: async for item in items: ...`

        Nothing is read before the first item is asked for. At the end of the block, however it ends, the stages are
        stopped, last one first, and everything is closed before control returns. `break`, timeouts and cancel scopes in
        the block are safe: the stages run in tasks of their own.

        Raises at the `async for` what a stage raises; at the end of the block what failed while closing.
        """
        items: Items[T_co] = Items(_plan(self, None, None, maxsize, max_bytes, grace))
        try:
            yield items
        except BaseException as error:
            await items.close_after(error)
            raise
        await items.aclose()

    def __aiter__(self) -> AsyncIterator[T_co]:
        """Iterate without a block. Leaving early stops the run as soon as the iterator is dropped."""
        return Items(_plan(self, None, None, _MAXSIZE, _MAX_BYTES, _GRACE))

    async def collect(self) -> list[T_co]:
        """Run it and return every item in a list. Cancellation: ends this run and nothing else."""
        return await self.to(sinks.collect()).run()

    async def count(self) -> int:
        """Run it and return how many items there were."""
        return await self.to(sinks.count()).run()

    async def first(self, **default: Any) -> Any:
        """Run it until the first item and return that; `first(default=None)` for a stream that may be empty."""
        return await self.to(sinks.first(**default)).run()

    async def reduce(self, fn: Callable[[R, T_co], MaybeAwaitable[R]], initial: R) -> R:
        """Run it and fold the items into one value; see `sf.reduce`."""
        return await self.to(sinks.reduce(fn, initial)).run()

    async def for_each(self, fn: Callable[[T_co], MaybeAwaitable[object]], *, concurrency: int = 1) -> int:
        """Run it, calling `fn` for each item; return how many there were. See `sf.for_each`."""
        return await self.to(sinks.for_each(fn, concurrency=concurrency)).run()

    async def run(self) -> None:
        """Run it for the effects of its stages, dropping the items that come out."""
        await self.to(sinks.drain()).run()


_map = concurrency.map  # inside the class, `concurrency` is an argument


class Items(Generic[T]):
    """The items of a running stream: what `open()` gives and what `async for` over a `Stream` uses.

    The run starts with the first item asked for. Cancelling a wait for an item loses nothing: ask again.
    """

    def __init__(self, plan: Plan) -> None:
        """Prepare; nothing runs yet."""
        self._plan = plan
        self._run: Run | None = None
        self._hand: Iterator[T] = iter(())
        self._closed = False

    def __aiter__(self) -> Items[T]:
        """Return itself; iterating again goes on where it was."""
        return self

    async def __anext__(self) -> T:
        """Return the next item. At the end, and on an error, everything has been closed before it says so."""
        for item in self._hand:
            return item
        if self._closed:
            raise StopAsyncIteration
        run = self._begin()
        try:
            hand = await run.output.next_hand()  # type: ignore[union-attr]  # a run without a sink has an output
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            await self.close_after(error)
            raise
        if hand is None:
            await self.aclose()
            raise StopAsyncIteration
        self._hand = hand
        return next(hand)

    def _begin(self) -> Run:
        if self._run is None:
            self._run = Run(self._plan)
            self._run.start()
        return self._run

    async def aclose(self) -> None:
        """Stop the run and wait until everything is closed. Raises what failed while closing. Twice is harmless."""
        self._closed = True
        if self._run is not None:
            await self._run.close()

    async def close_after(self, error: BaseException) -> None:
        """Close because of `error`, which is about to be raised: what fails while closing is told on it, not instead."""
        try:
            await self.aclose()
        except asyncio.CancelledError:
            raise
        except BaseException as second:  # noqa: BLE001  # whatever it is, the first one is the one to see
            if second is not error:
                error.add_note(f"while {self._plan.name} was being closed because of it: {type(second).__name__}: {second}")

    def stats(self) -> RunStats:
        """Return the numbers of the run so far. Raises `UsageError` before the first item was asked for."""
        if self._run is None:
            raise UsageError("The stream has not started: it starts when the first item is asked for.")
        return snapshot(self._run)

    def __del__(self) -> None:
        """A dropped iterator stops its run; the loop then closes the stages, in their own tasks."""
        run = getattr(self, "_run", None)
        if run is not None and not run.over.done():
            loop = run.over.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(run.cancel)


class Pipeline(Generic[R]):
    """A source, stages and a sink: `await pipeline.run()` gives the sink's value. The object behind `sf.pipeline()`.

    Example:
        job = sf.Pipeline(objects.read(url), csv.parse(), add_timestamp, csv.format(), objects.write(target), name="orders")
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
        *steps: Any,
        name: str | None = None,
        maxsize: int = _MAXSIZE,
        max_bytes: int = _MAX_BYTES,
        grace: float = _GRACE,
    ) -> None:
        """Check and plan; nothing runs yet."""
        if not steps:
            raise UsageError("A pipeline needs a sink: sf.pipeline(source, *stages, sink), with sf.collect() for a list.")
        *stages, sink = steps
        end: Sink[Any, R] = resolve_sink(sink)
        flow: Stream[Any] = stream(source)
        for position, stage in enumerate(stages, 2):
            try:
                flow = flow.through(stage)
            except UsageError as error:
                error.add_note(f"argument {position} of the pipeline, added at {caller()}")
                raise
        self._plan = _plan(flow, end, name, maxsize, max_bytes, grace)
        self._run: Run | None = None
        self._report: Report | None = None

    def __repr__(self) -> str:
        """Show the names of its steps and where it stands."""
        plan = self._plan
        names = [plan.source.name, *(stage.name for stage in plan.stages), plan.sink.name if plan.sink else ""]
        state = "not run" if self._run is None else "running" if not self._run.over.done() else "ended"
        return f"<Pipeline {plan.name!r} {' > '.join(names)}: {state}>"

    async def run(self) -> R:
        """Run to the end; return the sink's value. May be called again after it ended, if the source can be read again.

        Returns only when the last stage has flushed, the sink has committed and everything is closed. Raises the first
        real failure bare, with a note that names the stage; several independent ones as an `ExceptionGroup`.
        Cancellation: stops every stage, sink first, waits until all are closed (at most about `grace` seconds each), then
        goes on; what the sink had accepted is committed whole or not at all.
        """
        if self._run is not None and not self._run.over.done():
            raise UsageError(f"{self._plan.name} is already running; make another Pipeline to run it twice at once.")
        self._report = None
        self._run = run = Run(self._plan)
        run.start()
        outcome, error = "succeeded", None
        try:
            return cast("R", await run.wait())
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except BaseException as failure:
            outcome, error = "failed", f"{type(failure).__name__}: {failure}"
            raise
        finally:
            self._report = Report(snapshot(run), outcome, error)

    def stats(self) -> RunStats:
        """Return the numbers of the run that goes on, or of the last one. Raises `UsageError` before the first."""
        if self._run is None:
            raise UsageError(f"{self._plan.name} has not been run: there are no numbers before `await pipeline.run()`.")
        return snapshot(self._run)

    @property
    def report(self) -> Report:
        """How the last run went. Raises `UsageError` before it has ended."""
        if self._report is None:
            raise UsageError(f"{self._plan.name} has not ended: there is a report after `await pipeline.run()`; see stats().")
        return self._report

    def explain(self) -> str:
        """Return the plan as text: tasks, channels, fused stages, threads, and the most that is held in memory."""
        return explain(self._plan)


def _plan(
    flow: Stream[Any], sink: Sink[Any, Any] | None, name: str | None, maxsize: int, max_bytes: int, grace: float
) -> Plan:
    check_capacity("maxsize", maxsize)
    check_capacity("max_bytes", max_bytes)
    check_capacity("grace", grace, whole=False)
    source, stages = flow._source, flow._stages  # noqa: SLF001  # one file, one idea
    return Plan(source, stages, sink, name or ("pipeline" if sink else "stream"), maxsize, max_bytes, grace)


def _is_stream_function(thing: object) -> bool:
    """Whether it can only be a function from `Stream` to `Stream`: a plain function that is no (async) generator."""
    if isinstance(thing, (Stage, Sink)) or hasattr(thing, "__streamflow_maker__") or not inspect.isroutine(thing):
        return False
    return not (
        inspect.isasyncgenfunction(thing) or inspect.isgeneratorfunction(thing) or inspect.iscoroutinefunction(thing)
    )


def _apply(function: Callable[[Stream[Any]], Any], flow: Stream[Any]) -> Stream[Any]:
    advice = f"To call it for each item write sf.map({name_of(function)})."
    try:
        result = function(flow)
    except Exception as error:
        raise UsageError(
            f"{name_of(function)!r} is not an async generator function, so it was called with the Stream and raised "
            f"{type(error).__name__}: {error}. {advice}"
        ) from error
    if not isinstance(result, Stream):
        if isinstance(result, Awaitable) and inspect.iscoroutine(result):
            result.close()
        raise UsageError(
            f"{name_of(function)!r} was called with the Stream and returned {type(result).__name__}, not a Stream. {advice}"
        )
    return result
