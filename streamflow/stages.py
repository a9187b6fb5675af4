"""A source, a stage and a sink as values, and the plan that joins them.

What lives here: the immutable descriptions. A `Stage` says what to do with items and what that costs (threads, bytes
held); it never runs anything.
What must not: tasks, channels, the event loop; the decorators (makers.py); guessing what a user's object stands for
(resolving.py).

A stage has one body, in one of two forms:

* `function`: an async generator function over an async iterable. It gets a task of its own.
* `transform`: a factory of `Transform`s, synchronous; neighbours in this form are fused into one task by the planner.
  Its async form is derived from it (transforms.py), so an operator is implemented once.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from streamflow.callables import caller
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.transforms import NeedsAwait, resumed, run_transform
from streamflow.types import SinkFunction, SourceLike, StageFunction, Transform

__all__ = [
    "GRACE",
    "MAXSIZE",
    "MAX_BYTES",
    "Combination",
    "CompositeSink",
    "NeedsAwait",
    "Plan",
    "Sink",
    "Source",
    "Stage",
    "composite_sink",
    "resumed",
]

T = TypeVar("T")
A_contra = TypeVar("A_contra", contravariant=True)
B_co = TypeVar("B_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)
T_co = TypeVar("T_co", covariant=True)

MAXSIZE = 1024
"""Capacity of a channel in items, where nobody says otherwise; chosen from the curve in docs/capacity.md."""

MAX_BYTES = 1 << 20
"""Capacity of a channel in bytes, for items that have a size in bytes."""

GRACE = 10.0
"""Seconds that stages may take to stop."""

# Stands for "derive it from the transform"; no stage ever has it for long.
_DERIVED: StageFunction[Any, Any] = cast("StageFunction[Any, Any]", None)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Source(Generic[T_co]):
    """Where items come from, as a value that can be opened again for each run.

    Example: `Source(lambda: range(10), name="numbers")`. Usually made by `@sf.source`, or from any iterable.

    Args:
        open: returns a fresh iterable or async iterable; called once per run, in the source's own task.
        name: shown in plans, reports and errors.
        where: `file:line` where it was made; found by itself.
        threads: how many worker threads it uses, for `explain()`.
        holds: bytes it may hold beside its channel (read-ahead), for `explain()`.
        holds_items: items it may hold beside its channel, for `explain()`.
        output_capacity: the most items that a channel below may hold, down to the next `buffer(n)`, as for a `Stage`.
        synchronous: whether `open` gives a plain iterable that never blocks; then it is fused with the stages after it.
        composite: whether it reads further sources in runs of their own and ends when they do; then a drain ends those.
        whole: whether its items are pieces of one whole, such as the blocks of a file; then a drain lets it come to its
            end, since half of a whole would pass for all of it.
    """

    open: Callable[[], SourceLike[T_co]]
    name: str = "source"
    where: str = field(default_factory=caller)
    threads: int = 0
    holds: int = 0
    holds_items: int = 0
    output_capacity: int | None = None
    synchronous: bool = False
    composite: bool = False
    whole: bool = False

    def __repr__(self) -> str:
        """Show its name."""
        return f"<Source {self.name!r}>"

    def __aiter__(self) -> AsyncIterator[T_co]:
        """Iterate it outside a pipeline, one item at a time."""
        return _each(self.open())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Stage(Generic[A_contra, B_co]):
    """What to do with the items, as a value: it can be used in any number of pipelines.

    Example: `Stage(add_timestamp, name="stamp")`. Usually made by `@sf.stage` or by an operator such as `sf.map(fn)`.

    Args:
        function: the async form; derived from `transform` when only that is given.
        transform: makes the synchronous form, one object per run.
        refit: for operators over a callable: builds `function` again around another callable.
        callable: the user's callable inside `transform`, to tell which fused stage an error came from.
        drops: whether it may emit fewer items than it takes on purpose; the difference is counted as dropped.
        one_to_one: whether it emits exactly one item for each.
        capacity: for `buffer(n)`: the capacity of the channel at this boundary, in items.
        output_capacity: the most that the channels below may hold, in items, until a `buffer(n)` says otherwise: for a
            stage that looks at whether the consumer is busy (`conflate`), which channels would hide from it.
        concurrency: how many calls may run at once.
        threads: worker threads it uses.
        holds: bytes it may hold beside its channels.
        holds_items: items it may hold beside its channels.
        groups: how many items an emitted one may consist of, for `explain()`.
        reopens: whether it may need what stands above it from the start again (`retry`, `repeat`). Then its function
            gets an async iterable of which each `aiter` is a run of its own.
        nested: the stages that it consists of, which the engine nests in one task (`fuse`).
    """

    function: StageFunction[A_contra, B_co] = _DERIVED
    name: str = "stage"
    where: str = field(default_factory=caller)
    transform: Callable[[], Transform[A_contra, B_co]] | None = None
    refit: Callable[[Callable[..., Any]], StageFunction[A_contra, B_co]] | None = None
    callable: Callable[..., Any] | None = None
    drops: bool = False
    one_to_one: bool = False
    capacity: int | None = None
    output_capacity: int | None = None
    concurrency: int = 1
    threads: int = 0
    holds: int = 0
    holds_items: int = 1
    groups: int = 1
    reopens: bool = False
    nested: tuple[Stage[Any, Any], ...] = ()

    def __post_init__(self) -> None:
        """Derive the async form of a synchronous stage."""
        if self.function is _DERIVED:
            if self.transform is None:
                raise UsageError(f"Stage {self.name!r} needs a function or a transform.")
            object.__setattr__(self, "function", functools.partial(run_transform, self.transform, self.refit))

    def __repr__(self) -> str:
        """Show its name."""
        return f"<Stage {self.name!r}>"

    def __call__(self, items: AsyncIterable[A_contra]) -> AsyncIterator[B_co]:
        """Apply it by hand, with no channel: `async for row in stage(rows)`."""
        return self.function(items)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Combination(Stage[A_contra, B_co]):
    """A stage with further sources, which is a source itself where it stands first: `merge`, `zip`, `chain`.

    Example: `sf.pipeline(sf.merge(a, b), sink)` merges two; `sf.pipeline(a, sf.merge(b), sink)` does the same.

    Args:
        alone: what it is as a source: the combination of its own sources only.
    """

    alone: Source[B_co] = field(kw_only=True)

    def __aiter__(self) -> AsyncIterator[B_co]:
        """Iterate the combination of its own sources outside a pipeline."""
        return aiter(self.alone)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sink(Generic[A_contra, R_co]):
    """Where items go; its return value is the pipeline's value.

    Example: `Sink(save_all, name="database")`. Usually made by `@sf.sink`.

    Args:
        function: a coroutine function over an async iterable. Returning means committed; an exception or a cancellation
            means that nothing half-written may be left (promise P6).
        name, where, threads, holds: as for `Source`.
    """

    function: SinkFunction[A_contra, R_co]
    name: str = "sink"
    where: str = field(default_factory=caller)
    threads: int = 0
    holds: int = 0

    def __repr__(self) -> str:
        """Show its name."""
        return f"<Sink {self.name!r}>"

    def __call__(self, items: AsyncIterable[A_contra]) -> Awaitable[R_co]:
        """Run it by hand over any async iterable: `await sink(rows)`."""
        return self.function(items)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CompositeSink(Sink[A_contra, R_co]):
    """A sink with stages before it: `sf.write("orders.csv.gz")` formats, compresses and writes.

    In a pipeline its stages are stages like any other: they show in plans and reports, and channels join them. Made by
    `composite_sink`.

    Args:
        stages: what the items pass first.
        last: the sink at their end, which gives the value.
    """

    stages: tuple[Stage[Any, Any], ...] = ()
    last: Sink[Any, R_co] = field(kw_only=True)


def composite_sink(stages: tuple[Stage[Any, Any], ...], last: Sink[Any, R_co], name: str) -> Sink[Any, R_co]:
    """Return a sink that passes the items through the stages to the last sink, also where it is called by hand."""

    async def function(items: AsyncIterable[Any]) -> R_co:
        async with AsyncExitStack() as flows:
            for stage in stages:
                items = stage.function(items)
                if isinstance(items, AsyncGenerator):
                    flows.push_async_callback(items.aclose)
            return await last.function(items)

    threads = last.threads + sum(stage.threads for stage in stages)
    holds = last.holds + sum(stage.holds for stage in stages)
    return CompositeSink(function, name, last.where, threads, holds, stages=stages, last=last)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A source, stages and a sink (`None`: the consumer iterates), with the limits of the channels between them.

    Args:
        maxsize: capacity of every channel in items, unless a `buffer(n)` says otherwise.
        max_bytes: capacity in bytes for items that have a size in bytes.
        grace: how long stages may take to stop once they were asked, in seconds.

    Raises `UsageError` for limits that cannot mean anything.
    """

    source: Source[Any]
    stages: tuple[Stage[Any, Any], ...]
    sink: Sink[Any, Any] | None
    name: str
    maxsize: int = MAXSIZE
    max_bytes: int = MAX_BYTES
    grace: float = GRACE

    def __post_init__(self) -> None:
        """Check the limits, and set out the stages of a sink that has some."""
        if isinstance(self.sink, CompositeSink):
            object.__setattr__(self, "stages", (*self.stages, *self.sink.stages))
            object.__setattr__(self, "sink", self.sink.last)
        check_capacity("maxsize", self.maxsize)
        check_capacity("max_bytes", self.max_bytes)
        check_capacity("grace", self.grace, whole=False)


def _each(items: SourceLike[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        return items.__aiter__()

    async def each() -> AsyncGenerator[T, None]:
        for item in items:
            yield item

    return each()
