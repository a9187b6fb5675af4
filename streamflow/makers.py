"""From functions to sources, stages and sinks: the decorators `@sf.source`, `@sf.stage` and `@sf.sink`.

What lives here: the decorators. What must not: what a source, a stage or a sink is (stages.py), guessing what an object
stands for that nobody has decorated (resolving.py).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar

from streamflow.callables import is_coroutine_function, name_of, unwrapped
from streamflow.errors import UsageError
from streamflow.stages import Sink, Source, Stage
from streamflow.types import SourceLike

__all__ = ["refuse_coroutine_function", "sink", "source", "stage"]

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")


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
    """Refuse, where an async generator function is wanted, what would emit nothing."""
    if is_coroutine_function(function):
        raise UsageError(
            f"{name_of(function)!r} is a coroutine function (async def without yield), so it emits no items. "
            f"Write `yield` in it to make it a stage; to call it for each item write sf.map({name_of(function)}); "
            f"to end the pipeline with it put it last, as the sink."
        )
