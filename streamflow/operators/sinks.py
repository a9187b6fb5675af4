"""Sinks that end a pipeline in a value: collect, count, first, reduce, for_each, drain.

What lives here: sinks that keep what they make in memory, or nothing. What must not: sinks that write somewhere
(places/).

Sinks that only look at the items take them in batches. Sinks that await between two items take them one at a time: a
batch in a local list would be held beside its channel, uncounted (P1).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing
from inspect import isawaitable
from typing import Any, TypeVar, cast, overload

from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.operators.concurrency import map as map_concurrently
from streamflow.operators.per_item import check_callable
from streamflow.operators.shapes import Collected, First, FirstOr
from streamflow.operators.variables import A
from streamflow.stages import Sink
from streamflow.types import MaybeAwaitable

__all__ = ["collect", "count", "drain", "first", "for_each", "reduce"]

D = TypeVar("D")
R = TypeVar("R")


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""Says that `first` was given no default; `None` is one."""


async def _batches(items: AsyncIterable[Any]) -> AsyncGenerator[list[Any], None]:
    """Iterate in lists where the input can give them, which saves a step per item."""
    if isinstance(items, Reader):
        async for batch in items.batches():
            yield batch
    else:
        async for item in items:
            yield [item]


def collect() -> Collected:
    """Gather every item into a list: the pipeline's value.

    Example: `rows = await sf.pipeline(source, sf.collect())`

    * emits when: never; its value is there at the end.
    * backpressures when: never; it holds everything, so it is for results that fit in memory.
    * completes when: the input ends.
    * on error: the list is dropped.
    * on early stop: it never stops early.

    Cancellation: the list is dropped.
    """

    async def collected(items: AsyncIterable[Any]) -> list[Any]:
        out: list[Any] = []
        async with aclosing(_batches(items)) as batches:
            async for batch in batches:
                out += batch
        return out

    return Collected(collected, name="collect")


def count() -> Sink[Any, int]:
    """Count the items: the pipeline's value.

    Example: `n = await sf.pipeline(source, sf.count())`

    * emits when: never; its value is there at the end.
    * backpressures when: never.
    * completes when: the input ends.
    * on error: the count is dropped.
    * on early stop: it never stops early.

    Cancellation: the count is dropped.
    """

    async def counted(items: AsyncIterable[Any]) -> int:
        total = 0
        async with aclosing(_batches(items)) as batches:
            async for batch in batches:
                total += len(batch)
        return total

    return Sink(counted, name="count")


def drain() -> Sink[Any, None]:
    """Take every item and drop it, for pipelines that run for the effects of their stages.

    Example: `await sf.pipeline(source, save, sf.drain())`

    * emits when: never; its value is `None`.
    * backpressures when: never.
    * completes when: the input ends.
    * on error: passes it on.
    * on early stop: it never stops early.

    Cancellation: nothing to undo.
    """

    async def drained(items: AsyncIterable[Any]) -> None:
        async with aclosing(_batches(items)) as batches:
            async for _ in batches:
                pass

    return Sink(drained, name="drain")


@overload
def first() -> First: ...
@overload
def first(default: D) -> FirstOr[D]: ...
def first(default: Any = MISSING) -> Sink[Any, Any]:
    """Return the first item and end the stream there; the stages above are closed. That is success.

    Example: `row = await sf.pipeline(source, sf.first(default=None))`

    * emits when: never; its value is there with the first item.
    * backpressures when: always after the first item, of which it takes no more than one.
    * completes when: the first item comes, without waiting for a second; or the input ends.
    * on error: passes it on, if it comes before the first item.
    * on early stop: the stages above are closed before the value is returned.

    Args:
        default: what to return when there is no item.

    Raises `UsageError` when there is no item and no `default`. Cancellation: nothing was taken.
    """

    async def taken(items: AsyncIterable[Any]) -> Any:
        async for item in items:
            return item
        if default is MISSING:
            raise UsageError("first() of a stream without items; write first(default=...) if that may happen.")
        return default

    return First(taken, name="first") if default is MISSING else FirstOr(taken, name="first")


def reduce(fn: Callable[[R, A], MaybeAwaitable[R]], initial: R) -> Sink[A, R]:
    """Fold the items into one value: `fn(value, item)` (sync or async) gives the next value.

    Example: `total = await sf.pipeline(source, sf.reduce(lambda n, row: n + row["amount"], 0))`

    * emits when: never; its value is there at the end, `initial` when there was no item.
    * backpressures when: `fn` is at work.
    * completes when: the input ends.
    * on error: `fn`'s exception ends the pipeline; the value is dropped.
    * on early stop: it never stops early.

    Args:
        fn: called with the value so far and each item, in order, one call at a time.
        initial: the first value.

    Raises `UsageError` when `fn` is no callable. Cancellation: the value is dropped.
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

    * emits when: never; its value is there at the end.
    * backpressures when: `concurrency` calls are at work.
    * completes when: the input ended and the last call returned.
    * on error: of a call: ends the pipeline at once; the other calls are cancelled and awaited.
    * on early stop: it never stops early.

    Args:
        fn: called with each item; what it returns is dropped, what it raises ends the pipeline.
        concurrency: how many calls may run at once, at least 1; with more than 1 they end in any order.

    Raises `UsageError` when `fn` is no callable, and for bounds that cannot mean anything. Cancellation: calls in
    flight are cancelled and awaited.
    """
    check_callable("for_each", fn)
    if concurrency == 1 and not isinstance(concurrency, bool):
        return Sink(lambda items: _called(fn, items), name="for_each")
    called = map_concurrently(fn, concurrency=concurrency, ordered=False)

    async def called_concurrently(items: AsyncIterable[A]) -> int:
        total = 0
        async with aclosing(cast("AsyncGenerator[object, None]", called(items))) as results:
            async for _ in results:
                total += 1
        return total

    return Sink(called_concurrently, name=f"for_each(concurrency={concurrency})")


async def _called(fn: Callable[[A], object], items: AsyncIterable[A]) -> int:
    total = 0
    async for item in items:
        result = fn(item)
        if isawaitable(result):
            await result
        total += 1
    return total
