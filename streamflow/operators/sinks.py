"""Sinks that end a pipeline in a value: collect, count, first, reduce, for_each, drain.

What lives here: sinks that keep what they make in memory, or nothing. What must not: sinks that write somewhere (places/).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from inspect import isawaitable
from typing import Any, TypeVar, cast

from streamflow.engine.ends import Reader
from streamflow.errors import UsageError
from streamflow.operators.concurrency import map as map_concurrently
from streamflow.operators.elements import check_callable
from streamflow.stages import Sink
from streamflow.types import MaybeAwaitable

__all__ = ["collect", "count", "drain", "first", "for_each", "reduce"]

A = TypeVar("A")
R = TypeVar("R")

_MISSING: Any = object()


async def _batches(items: AsyncIterable[A]) -> AsyncGenerator[list[A], None]:
    """Iterate in lists where the input can give them, which saves a step per item."""
    if isinstance(items, Reader):
        async for batch in cast("AsyncIterator[list[A]]", items.batches()):
            yield batch
    else:
        async for item in items:
            yield [item]


def collect() -> Sink[A, list[A]]:
    """Gather every item into a list: the pipeline's value.

    Example: `rows = await sf.pipeline(source, sf.collect())`

    It holds everything, so it is for results that fit in memory. On an error or a cancellation the list is dropped.
    """

    async def collected(items: AsyncIterable[A]) -> list[A]:
        out: list[A] = []
        async with aclosing(_batches(items)) as batches:
            async for batch in batches:
                out += batch
        return out

    return Sink(collected, name="collect")


def count() -> Sink[Any, int]:
    """Count the items: the pipeline's value. Example: `n = await sf.pipeline(source, sf.count())`."""

    async def counted(items: AsyncIterable[Any]) -> int:
        total = 0
        async with aclosing(_batches(items)) as batches:
            async for batch in batches:
                total += len(batch)
        return total

    return Sink(counted, name="count")


def drain() -> Sink[Any, None]:
    """Take every item and drop it, for pipelines that run for the effects of their stages."""

    async def drained(items: AsyncIterable[Any]) -> None:
        async with aclosing(_batches(items)) as batches:
            async for _ in batches:
                pass

    return Sink(drained, name="drain")


def first(default: R = _MISSING) -> Sink[A, A | R]:
    """Return the first item and end the stream there; the stages above are closed.

    Example: `row = await sf.pipeline(source, sf.first(default=None))`

    Raises `UsageError` when there is no item and no `default`.
    """

    async def taken(items: AsyncIterable[A]) -> A | R:
        async for item in items:
            return item
        if default is _MISSING:
            raise UsageError("first() of a stream without items; write first(default=...) if that may happen.")
        return default

    return Sink(taken, name="first")


def reduce(fn: Callable[[R, A], MaybeAwaitable[R]], initial: R) -> Sink[A, R]:
    """Fold the items into one value: `fn(value, item)` (sync or async) gives the next value.

    Example: `total = await sf.pipeline(source, sf.reduce(lambda n, row: n + row["amount"], 0))`

    Raises what `fn` raises.
    """
    check_callable("reduce", fn)

    async def reduced(items: AsyncIterable[A]) -> R:
        value = initial
        async for item in items:
            result = fn(value, item)
            value = await result if isawaitable(result) else result
        return value

    return Sink(reduced, name="reduce")


def for_each(fn: Callable[[A], MaybeAwaitable[object]], *, concurrency: int = 1) -> Sink[A, int]:
    """Call `fn` (sync or async) for each item; the pipeline's value is how many there were.

    Example: `await sf.pipeline(source, sf.for_each(send, concurrency=8))`

    Args:
        fn: called with each item; what it returns is dropped, what it raises ends the pipeline.
        concurrency: how many calls may run at once, at least 1; with more than 1 they end in any order.

    Cancellation: calls in flight are cancelled and awaited.
    """
    check_callable("for_each", fn)
    mapped = map_concurrently(fn, concurrency=concurrency, ordered=concurrency == 1)

    async def called(items: AsyncIterable[A]) -> int:
        total = 0
        async with aclosing(cast("AsyncGenerator[object, None]", mapped.function(items))) as results:
            async for _ in results:
                total += 1
                if not total % 256:
                    await asyncio.sleep(0)  # a synchronous fn must not hold the loop
        return total

    return Sink(called, name="for_each" if concurrency == 1 else f"for_each(concurrency={concurrency})")
