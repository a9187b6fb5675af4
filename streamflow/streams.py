"""`Stream`: a lazy description that can be iterated; `Pipeline`: a stream with a sink, which can be run.

What lives here: the values a user composes. What must not: an operator's behaviour (operators/), iterating and running
(items.py, jobs.py), how a run ends (engine/).

Both are one idea, so they live in one file: `Stream.to(sink)` is a `Pipeline`, and a `Pipeline` accepts functions from
`Stream` to `Stream` as stages.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from streamflow.blocking import Blocking
from streamflow.callables import caller
from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.items import Items, Opened
from streamflow.jobs import Job
from streamflow.methods.accumulating import Accumulating
from streamflow.methods.aggregates import Aggregates
from streamflow.methods.balancing import Balancing
from streamflow.methods.batching import Batching
from streamflow.methods.branching import Branching
from streamflow.methods.buffers import Buffers
from streamflow.methods.combining import Combining
from streamflow.methods.concurrency import Concurrency
from streamflow.methods.cycles import Cycles
from streamflow.methods.edges import Edges
from streamflow.methods.elements import Elements
from streamflow.methods.fanning import Fanning
from streamflow.methods.fusing import Fusing
from streamflow.methods.grouping import Grouping
from streamflow.methods.interspersing import Interspersing
from streamflow.methods.latest import Latest
from streamflow.methods.ordering import Ordering
from streamflow.methods.outlets import Outlets
from streamflow.methods.pacing import Pacing
from streamflow.methods.recovery import Recovery
from streamflow.methods.resources import Resources
from streamflow.methods.selecting import Selecting
from streamflow.methods.sinks import Sinks
from streamflow.methods.timing import Timing
from streamflow.methods.until import Until
from streamflow.methods.zipping import Zipping
from streamflow.operators.sinks import drain
from streamflow.resolving import applied, is_stream_function, resolve_sink, resolve_source, resolve_stage
from streamflow.stages import GRACE, MAX_BYTES, MAXSIZE, Plan, Source, Stage
from streamflow.types import SourceLike

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

    For the type checker its parameter is a `Stream` and a `Reader` at once, so it may ask for either, or for any async
    iterable. It gets a `Stream` if that is what it asks for, else a `Reader`.
    """

    def __call__(self, items: _Input[A_contra], /) -> AsyncIterable[B_co]:
        """Emit items."""


class SinkLike(Protocol[A_contra, R_co]):
    """What may stand in the place of a sink: a coroutine function over an async iterable, or a `Sink`."""

    def __call__(self, items: Reader[A_contra], /) -> Awaitable[R_co]:
        """Take the items and return the pipeline's value."""


def stream(source: SourceLike[T]) -> Stream[T]:
    """Begin a stream from any iterable, async iterable, channel or other stream.

    Example: `total = await sf.stream(range(10)).map(fetch, concurrency=4).count()`

    Nothing is read before it is iterated or run. Raises `UsageError` for what cannot be a source.
    """
    if isinstance(source, Stream):
        return source
    return Stream(resolve_source(source))


class Stream(
    Accumulating[T_co],
    Aggregates[T_co],
    Balancing[T_co],
    Batching[T_co],
    Branching[T_co],
    Buffers[T_co],
    Combining[T_co],
    Concurrency[T_co],
    Cycles[T_co],
    Edges[T_co],
    Elements[T_co],
    Fanning[T_co],
    Fusing[T_co],
    Grouping[T_co],
    Interspersing[T_co],
    Latest[T_co],
    Ordering[T_co],
    Outlets[T_co],
    Pacing[T_co],
    Recovery[T_co],
    Resources[T_co],
    Selecting[T_co],
    Sinks[T_co],
    Timing[T_co],
    Until[T_co],
    Zipping[T_co],
):
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
        return f"<Stream {self._described()}>"

    def _described(self) -> str:
        return " > ".join([self._source.name, *(stage.name for stage in self._stages)])

    @property
    def __streamflow_parts__(self) -> tuple[Source[T_co], tuple[Stage[Any, Any], ...]]:
        """What `parts_of` asks for: the source and the stages."""
        return self._source, self._stages

    # --- composing -------------------------------------------------------------------------------------------------

    def through(self, stage: StageLike[T_co, U]) -> Stream[U]:
        """Put a stage of your own after this stream: an async generator function, a `Stage`, or a function on streams.

        Example: `sf.stream(rows).through(add_timestamp)`. Raises `UsageError` for what is no stage, saying what to
        write.
        """
        if is_stream_function(stage):
            return cast("Stream[U]", applied(stage, self))
        resolved = resolve_stage(stage)
        return self._again(resolved) if resolved.reopens else Stream(self._source, (*self._stages, resolved))

    def _again(self, stage: Stage[T_co, U]) -> Stream[U]:
        """Make a source of a stage that may need what stands above it again: each iteration of it is a run."""
        above = self
        parts: list[Source[Any] | Stage[Any, Any]] = [self._source, *self._stages]
        return Stream(
            Source(
                lambda: stage.function(above),
                name=f"{stage.name} of {self._described()}",
                where=stage.where,
                threads=sum(part.threads for part in parts),
                holds=sum(part.holds for part in parts),
                holds_items=sum(part.holds_items for part in [*parts, stage]),
                composite=True,
                whole=self._source.whole,
            )
        )

    def _stream_of(self, source: Source[U]) -> Stream[U]:
        return Stream(source)

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

    # --- running ---------------------------------------------------------------------------------------------------

    def open(self, *, maxsize: int = MAXSIZE, max_bytes: int = MAX_BYTES, grace: float = GRACE) -> Opened[T_co]:
        """Run the stream for a block: `async with stream.open() as items: async for item in items: ...`.

        Nothing is read before the first item is asked for. At the end of the block, however it ends, the stages are
        stopped, last one first, and everything is closed before control returns. `break`, timeouts and cancel scopes in
        the block are safe: the stages run in tasks of their own. The arguments are those of `Pipeline`.

        Raises at the `async for` what a stage raises; at the end of the block what failed while closing.
        """
        return Opened(Items(Plan(self._source, self._stages, None, "stream", maxsize, max_bytes, grace)))

    async def run(self) -> None:
        """Run it for the effects of its stages, dropping the items that come out; see `sf.drain`.

        Cancellation: ends this run.
        """
        await self.to(drain()).run()

    def blocking(self) -> Blocking[T_co]:
        """Iterate in an ordinary thread: `with stream.blocking() as items: for item in items: ...`.

        The run has a thread and an event loop of its own until the end of the block. Raises `UsageError` where an event
        loop runs (write `async for` there). Ctrl-C stops the run and waits until everything is closed.
        """
        plan = Plan(self._source, self._stages, None, "stream")
        return Blocking(lambda: Items(plan), self._described())

    def __aiter__(self) -> AsyncIterator[T_co]:
        """Iterate without a block. Leaving early stops the run as soon as the iterator is dropped."""
        return Items(Plan(self._source, self._stages, None, "stream"))


if TYPE_CHECKING:

    class _Input(Stream[T_co], Reader[T_co]):  # type: ignore[misc]  # nothing is one; a stage asks for one or the other
        """What a stage gets, to a type checker."""


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
