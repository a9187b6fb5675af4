"""A source, a stage and a sink as values, and the plan that joins them.

What lives here: the immutable descriptions. A `Stage` says what to do with items and what that costs (threads, bytes
held); it never runs anything. `resolve_*` turn what a user may hand over (plain functions, lists, generators) into these
values, or refuse it with a sentence that says what to write instead (promise P10).
What must not: tasks, channels, the event loop.

A stage has one body, in one of two forms:

* `function`: an async generator function over an async iterable. It gets a task of its own.
* `transform`: a factory of `Transform`s, synchronous; neighbours in this form are fused into one task by the planner.
  Its async form is derived from it, so an operator is implemented once.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from streamflow.errors import UsageError
from streamflow.types import SinkFunction, SourceLike, StageFunction, Transform

__all__ = [
    "NeedsAwait",
    "Plan",
    "Sink",
    "Source",
    "Stage",
    "caller",
    "resolve_sink",
    "resolve_source",
    "resolve_stage",
    "sink",
    "source",
    "stage",
]

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

_PACKAGE = __name__.partition(".")[0] + "."


def caller() -> str:
    """Return `file:line` of the nearest frame outside streamflow: where the user added the stage."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        # A dataclass's own __init__ has no file, and `Pipeline[int](...)` comes through typing.
        if not module.startswith((_PACKAGE, "typing")) and not frame.f_code.co_filename.startswith("<string"):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return "?"


def name_of(function: object) -> str:
    """Return the name a person would call this callable by."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", type(function).__name__).rpartition("<locals>.")[2]


class NeedsAwait(Exception):  # noqa: N818  # a signal to the engine, never seen by users
    """A callable that looked synchronous returned an awaitable for its first item: the stage must run in its async form."""

    def __init__(self, transform: object, item: object, awaitable: Awaitable[Any], rest: Iterator[Any]) -> None:
        super().__init__()
        self.transform = transform
        self.item = item
        self.awaitable = awaitable
        self.rest = rest


@dataclass(frozen=True, slots=True, eq=False)
class Source(Generic[T]):
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

    open: Callable[[], SourceLike[T]]
    name: str = "source"
    where: str = field(default_factory=caller)
    threads: int = 0
    holds: int = 0
    synchronous: bool = False

    def __aiter__(self) -> AsyncIterator[T]:
        """Iterate it outside a pipeline, one item at a time."""
        return _each(self.open())


@dataclass(frozen=True, slots=True, eq=False)
class Stage(Generic[A, B]):
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
    """

    function: StageFunction[A, B] = cast("StageFunction[A, B]", None)
    name: str = "stage"
    where: str = field(default_factory=caller)
    transform: Callable[[], Transform[A, B]] | None = None
    refit: Callable[[Callable[..., Any]], StageFunction[A, B]] | None = None
    callable: Callable[..., Any] | None = None
    drops: bool = False
    one_to_one: bool = False
    capacity: int | None = None
    concurrency: int = 1
    threads: int = 0
    holds: int = 0
    holds_items: int = 1

    def __post_init__(self) -> None:
        """Derive the async form of a synchronous stage."""
        if self.function is None:
            if self.transform is None:
                raise UsageError(f"Stage {self.name!r} needs a function or a transform")
            object.__setattr__(self, "function", functools.partial(run_transform, self.transform, self.refit))

    def __call__(self, items: AsyncIterable[A]) -> AsyncIterator[B]:
        """Apply it by hand, with no channel: `async for row in stage(rows)`."""
        return self.function(items)


@dataclass(frozen=True, slots=True, eq=False)
class Sink(Generic[A, R]):
    """Where items go; its return value is the pipeline's value.

    Example: `Sink(save_all, name="database")`. Usually made by `@sf.sink`.

    Args:
        function: a coroutine function over an async iterable. Returning means committed; an exception or a cancellation
            means that nothing half-written may be left (promise P6).
        name, where, threads, holds: as for `Source`.
    """

    function: SinkFunction[A, R]
    name: str = "sink"
    where: str = field(default_factory=caller)
    threads: int = 0
    holds: int = 0

    def __call__(self, items: AsyncIterable[A]) -> Awaitable[R]:
        """Run it by hand over any async iterable: `await sink(rows)`."""
        return self.function(items)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A source, stages and a sink (`None`: the consumer iterates), with the limits of the channels between them.

    Args:
        maxsize: capacity of every channel in items, unless a `buffer(n)` says otherwise.
        max_bytes: capacity in bytes for items that have a size in bytes.
        grace: how long stages may take to stop once they were asked, in seconds.
    """

    source: Source[Any]
    stages: tuple[Stage[Any, Any], ...]
    sink: Sink[Any, Any] | None
    name: str
    maxsize: int
    max_bytes: int
    grace: float


async def run_transform(
    make: Callable[[], Transform[A, B]],
    refit: Callable[[Callable[..., Any]], StageFunction[A, B]] | None,
    items: AsyncIterable[A],
) -> AsyncGenerator[B, None]:
    """Run a transform item by item: the async form of a synchronous stage."""
    transform = make()
    async for item in items:
        try:
            for out in transform.apply(iter((item,))):
                yield out
        except NeedsAwait as signal:
            if signal.transform is not transform or refit is None:
                raise
            async with aclosing(resumed(refit, signal, items)) as outs:
                async for out in outs:
                    yield out
            return
        if transform.done:
            break
    for out in transform.finish():
        yield out


async def resumed(
    refit: Callable[[Callable[..., Any]], StageFunction[Any, Any]], signal: NeedsAwait, items: AsyncIterable[Any]
) -> AsyncGenerator[Any, None]:
    """Go on in the async form from the item whose call returned an awaitable; that call is not made twice."""
    transform = cast("Any", signal.transform)
    first: list[Awaitable[Any]] = [signal.awaitable]

    def call(item: Any) -> Any:
        return first.pop() if first else transform.fn(item)

    async def again() -> AsyncGenerator[Any, None]:
        yield signal.item
        for item in signal.rest:
            yield item
        async for item in items:
            yield item

    feed = again()
    outs = refit(call)(feed)
    try:
        async for out in outs:
            yield out
    finally:
        for generator in (outs, feed):
            if isinstance(generator, AsyncGenerator):
                await generator.aclose()


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

    Raises `TypeError` where it is called with arguments that the function does not take.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> Source[T]:
        signature.bind(*args, **kwargs)
        opener = functools.partial(function, *args, **kwargs)
        return Source(opener, name=name_of(function), synchronous=inspect.isgeneratorfunction(function))

    return make


def stage(function: Callable[Concatenate[AsyncIterable[A], P], AsyncIterator[B]]) -> Callable[P, Stage[A, B]]:
    """Turn an async generator function into a maker of stages: the first parameter is the input, the rest is given early.

    Example:
        @sf.stage
        async def enrich(rows, client):
            async for row in rows:
                yield row | await client.get(row["id"])

        sf.pipeline(source, enrich(client), sink)

    A stage without further parameters may be used with or without the call. Raises `TypeError` where the arguments do
    not fit, and `UsageError` when `function` is a coroutine function (it has no `yield`).
    """
    _refuse_coroutine_function(function)
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

    Raises `TypeError` where the arguments do not fit.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> Sink[A, R]:
        signature.bind(None, *args, **kwargs)

        def body(items: AsyncIterable[A]) -> Awaitable[R]:
            return function(items, *args, **kwargs)

        return Sink(body, name=name_of(function))

    make.__streamflow_maker__ = make  # type: ignore[attr-defined]  # lets `insert` stand for `insert()`
    return make


def _unwrap(function: object) -> object:
    """Return the plain function under partials and callable objects, to ask what kind it is."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and callable(function):
        return getattr(type(function), "__call__", function)  # noqa: B004  # the method itself is wanted
    return function


def is_coroutine_function(function: object) -> bool:
    """Return whether calling it gives a coroutine (an `async def` without `yield`), seen through partials and objects."""
    return inspect.iscoroutinefunction(_unwrap(function))


def _refuse_coroutine_function(function: object) -> None:
    if is_coroutine_function(function):
        raise UsageError(
            f"{name_of(function)!r} is a coroutine function (async def without yield), so it emits no items. "
            f"Write `yield` in it to make it a stage; to call it for each item write sf.map({name_of(function)}); "
            f"to end the pipeline with it put it last, as the sink."
        )


def resolve_source(thing: object) -> Source[Any]:
    """Return the source that `thing` stands for.

    Raises `UsageError` for what cannot be one: a number, a string (it would be read letter by letter), a generator that
    has been used up, a stage in the place of the source.
    """
    if isinstance(thing, Source):
        return thing
    if isinstance(thing, (str, bytes, bytearray)):
        raise UsageError(
            f"The source is a {type(thing).__name__}, which would be read one character at a time. "
            f"Write [{thing[:20]!r}] for one item, or objects.read(url) / files.read(path) to read what it names."
        )
    function = _unwrap(thing)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        opener = _opener_of_function(cast("Callable[[], SourceLike[Any]]", thing))
        return Source(opener, name=name_of(thing), synchronous=inspect.isgeneratorfunction(function))
    if not isinstance(thing, (Iterable, AsyncIterable)):
        hint = " It is a stage; the source comes first." if isinstance(thing, Stage) or callable(thing) else ""
        raise UsageError(
            f"The source must be an iterable or an async iterable, not {type(thing).__name__}.{hint} "
            f"Write sf.pipeline(source, *stages, sink)."
        )
    name = name_of(thing) if inspect.isgenerator(thing) or inspect.isasyncgen(thing) else type(thing).__name__
    synchronous = not isinstance(thing, AsyncIterable)
    return Source(functools.partial(_still_fresh, thing), name=name, synchronous=synchronous)


def _opener_of_function(function: Callable[[], SourceLike[Any]]) -> Callable[[], SourceLike[Any]]:
    try:
        inspect.signature(function).bind()
    except TypeError:
        raise UsageError(
            f"The source {name_of(function)!r} is a generator function that still needs arguments. "
            f"Call it: sf.pipeline({name_of(function)}(...), ...). If it is a stage, the source is missing before it."
        ) from None
    return function


def _still_fresh(thing: Any) -> Any:
    """Open an iterable; a generator that was used up would silently give zero items, so it is refused (P2)."""
    used_up = (inspect.isgenerator(thing) and thing.gi_frame is None) or (
        inspect.isasyncgen(thing) and thing.ag_frame is None
    )
    if used_up:
        raise UsageError(
            f"The source {name_of(thing)!r} is a generator that has already been used up or closed; it would give no items. "
            f"Pass the generator function itself, or a list, to run more than once."
        )
    return thing


def resolve_stage(thing: object) -> Stage[Any, Any]:
    """Return the stage that `thing` stands for, or raise `UsageError` saying what to write instead."""
    if isinstance(thing, Stage):
        return thing
    maker = getattr(thing, "__streamflow_maker__", None)
    if maker is not None:
        made = _made_without_arguments(maker)
        if isinstance(made, Stage):
            return made
    if inspect.isasyncgenfunction(_unwrap(thing)):
        return Stage(cast("StageFunction[Any, Any]", thing), name=name_of(thing))
    _refuse_coroutine_function(thing)
    raise UsageError(f"{_describe(thing)} is not a stage. {_stage_advice(thing)}")


def _made_without_arguments(maker: Callable[[], Any]) -> Any:
    try:
        return maker()
    except TypeError as error:
        raise UsageError(f"{name_of(maker)!r} needs arguments ({error}). Write {name_of(maker)}(...).") from None


def _describe(thing: object) -> str:
    return repr(name_of(thing)) if callable(thing) else f"{type(thing).__name__} {thing!r:.60}"


def _stage_advice(thing: object) -> str:
    if inspect.isasyncgen(thing) or inspect.isgenerator(thing):
        return "It is a generator that already runs; give the function itself, without calling it."
    if isinstance(thing, Sink):
        return "It is a sink: a pipeline has one, and it comes last."
    if inspect.isgeneratorfunction(_unwrap(thing)):
        return "It is a synchronous generator function; write `async def` and `async for`."
    if callable(thing):
        return f"To call it for each item write sf.map({name_of(thing)}); a stage is an async generator function over items."
    return "A stage is an async generator function: async def stage(items): async for item in items: yield item."


def resolve_sink(thing: object) -> Sink[Any, Any]:
    """Return the sink that `thing` stands for, or raise `UsageError` saying what to write instead."""
    if isinstance(thing, Sink):
        return thing
    maker = getattr(thing, "__streamflow_maker__", None)
    made = _made_without_arguments(maker) if maker is not None else None
    if isinstance(made, Sink):
        return made
    if is_coroutine_function(thing):
        return Sink(cast("SinkFunction[Any, Any]", thing), name=name_of(thing))
    if isinstance(thing, Stage) or made is not None or inspect.isasyncgenfunction(_unwrap(thing)):
        raise UsageError(
            f"The last argument, {thing.name if isinstance(thing, Stage) else name_of(thing)!r}, is a stage: its items would "
            f"go nowhere. End the pipeline with a sink, such as sf.collect(), sf.for_each(fn) or objects.write(url)."
        )
    raise UsageError(
        f"{_describe(thing)} is not a sink. A sink is a coroutine function over an async iterable: "
        f"async def sink(items): async for item in items: ..."
    )
