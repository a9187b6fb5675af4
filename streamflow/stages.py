"""A source, a stage and a sink as values, and the plan that joins them.

What lives here: the immutable descriptions, and the decorators that make them from functions. A `Stage` says what to do
with items and what that costs (threads, bytes held); it never runs anything.
What must not: tasks, channels, the event loop; guessing what a user's object stands for (resolving.py).

A stage has one body, in one of two forms:

* `function`: an async generator function over an async iterable. It gets a task of its own.
* `transform`: a factory of `Transform`s, synchronous; neighbours in this form are fused into one task by the planner.
  Its async form is derived from it (transforms.py), so an operator is implemented once.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from streamflow.callables import caller, is_coroutine_function, name_of, unwrapped
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.transforms import NeedsAwait, resumed, run_transform
from streamflow.types import SinkFunction, SourceLike, StageFunction, Transform

__all__ = [
    "GRACE",
    "MAXSIZE",
    "MAX_BYTES",
    "NeedsAwait",
    "Plan",
    "Sink",
    "Source",
    "Stage",
    "resumed",
    "sink",
    "source",
    "stage",
]

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")
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


@dataclass(frozen=True, slots=True, eq=False)
class Source(Generic[T_co]):
    """Where items come from, as a value that can be opened again for each run.

    Example: `Source(lambda: range(10), name="numbers")`. Usually made by `@sf.source`, or from any iterable.

    Args:
        open: returns a fresh iterable or async iterable; called once per run, in the source's own task.
        name: shown in plans, reports and errors.
        where: `file:line` where it was made; found by itself.
        threads: how many worker threads it uses, for `explain()`.
        holds: bytes it may hold beside its channel (read-ahead), for `explain()`.
        synchronous: whether `open` gives a plain iterable that never blocks; then it is fused with the stages after it.
    """

    open: Callable[[], SourceLike[T_co]]
    name: str = "source"
    where: str = field(default_factory=caller)
    threads: int = 0
    holds: int = 0
    synchronous: bool = False

    def __aiter__(self) -> AsyncIterator[T_co]:
        """Iterate it outside a pipeline, one item at a time."""
        return _each(self.open())


@dataclass(frozen=True, slots=True, eq=False)
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
        concurrency: how many calls may run at once.
        threads: worker threads it uses.
        holds: bytes it may hold beside its channels.
        holds_items: items it may hold beside its channels.
        groups: how many items an emitted one may consist of, for `explain()`.
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
    concurrency: int = 1
    threads: int = 0
    holds: int = 0
    holds_items: int = 1
    groups: int = 1

    def __post_init__(self) -> None:
        """Derive the async form of a synchronous stage."""
        if self.function is _DERIVED:
            if self.transform is None:
                raise UsageError(f"Stage {self.name!r} needs a function or a transform.")
            object.__setattr__(self, "function", functools.partial(run_transform, self.transform, self.refit))

    def __call__(self, items: AsyncIterable[A_contra]) -> AsyncIterator[B_co]:
        """Apply it by hand, with no channel: `async for row in stage(rows)`."""
        return self.function(items)


@dataclass(frozen=True, slots=True, eq=False)
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

    def __call__(self, items: AsyncIterable[A_contra]) -> Awaitable[R_co]:
        """Run it by hand over any async iterable: `await sink(rows)`."""
        return self.function(items)


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
        """Check the limits."""
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


def source(function: Callable[P, SourceLike[T]]) -> Callable[P, Source[T]]:
    """Turn a (sync or async) generator function into a maker of sources; its arguments are given when it is used.

    Example:
        @sf.source
        async def rows(connection, query):
            async for row in connection.cursor(query):
                yield row

        await sf.pipeline(rows(connection, "select 1"), sf.collect())

    Raises `TypeError` where it is called with arguments that the function does not take, and `UsageError` when
    `function` is a coroutine function (it has no `yield`).
    """
    refuse_coroutine_function(function)
    signature = inspect.signature(function)

    @functools.wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> Source[T]:
        signature.bind(*args, **kwargs)
        opener = functools.partial(function, *args, **kwargs)
        return Source(opener, name=name_of(function), synchronous=inspect.isgeneratorfunction(function))

    make.__streamflow_maker__ = make  # type: ignore[attr-defined]  # lets `rows` stand for `rows()`
    return make


def stage(function: Callable[Concatenate[AsyncIterable[A], P], AsyncIterator[B]]) -> Callable[P, Stage[A, B]]:
    """Turn an async generator function into a maker of stages: its first parameter is the input, the rest comes early.

    Example:
        @sf.stage
        async def enrich(rows, client):
            async for row in rows:
                yield row | await client.get(row["id"])

        sf.pipeline(source, enrich(client), sink)

    A stage without further parameters may be used with or without the call. Raises `TypeError` where the arguments do
    not fit, and `UsageError` when `function` is a coroutine function (it has no `yield`) or a synchronous generator.
    """
    refuse_coroutine_function(function)
    if inspect.isgeneratorfunction(unwrapped(function)):
        raise UsageError(
            f"{name_of(function)!r} is a synchronous generator function; a stage awaits its input: write `async def` "
            f"and `async for`, or use sf.flat_map for one item into several."
        )
    signature = inspect.signature(function)

    @functools.wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> Stage[A, B]:
        signature.bind(None, *args, **kwargs)

        def body(items: AsyncIterable[A]) -> AsyncIterator[B]:
            return function(items, *args, **kwargs)

        return Stage(body, name=name_of(function))

    make.__streamflow_maker__ = make  # type: ignore[attr-defined]  # lets `enrich` stand for `enrich()`
    return make


def sink(function: Callable[Concatenate[AsyncIterable[A], P], Awaitable[R]]) -> Callable[P, Sink[A, R]]:
    """Turn a coroutine function into a maker of sinks: the first parameter is the input, the rest is given early.

    Example:
        @sf.sink
        async def insert(rows, table):
            async for row in rows:
                await table.insert(row)

        await sf.pipeline(source, insert(table))

    Raises `TypeError` where the arguments do not fit, and `UsageError` when `function` has a `yield`.
    """
    if inspect.isasyncgenfunction(unwrapped(function)) or inspect.isgeneratorfunction(unwrapped(function)):
        raise UsageError(
            f"{name_of(function)!r} has a `yield`, so it is a stage whose items would go nowhere. "
            f"A sink returns its value; write @sf.stage for a stage."
        )
    signature = inspect.signature(function)

    @functools.wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> Sink[A, R]:
        signature.bind(None, *args, **kwargs)

        def body(items: AsyncIterable[A]) -> Awaitable[R]:
            return function(items, *args, **kwargs)

        return Sink(body, name=name_of(function))

    make.__streamflow_maker__ = make  # type: ignore[attr-defined]  # lets `insert` stand for `insert()`
    return make


def refuse_coroutine_function(function: object) -> None:
    if is_coroutine_function(function):
        raise UsageError(
            f"{name_of(function)!r} is a coroutine function (async def without yield), so it emits no items. "
            f"Write `yield` in it to make it a stage; to call it for each item write sf.map({name_of(function)}); "
            f"to end the pipeline with it put it last, as the sink."
        )
