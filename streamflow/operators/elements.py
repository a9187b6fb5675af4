"""Operators on single items: filter, flat_map, tap, take, buffer, and `map` one call at a time.

What lives here: operators whose state fits in one small object. What must not: tasks, channels, clocks (concurrency.py,
batching.py).

Each has a synchronous form that the planner fuses into chains of C iterators (per_item.py), and an async form around
the same callable for callables that return awaitables. A coroutine function is seen at once; a lambda that returns a
coroutine is found out by its first item, which is not called again.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator
from inspect import isawaitable
from typing import Any, Generic, overload

from streamflow.limits import check_capacity
from streamflow.operators.per_item import FILTER, FLAT_MAP, MAP, TAP, per_item
from streamflow.operators.variables import A, B
from streamflow.stages import Stage
from streamflow.types import MaybeAwaitable, StageFunction

__all__ = ["buffer", "filter", "flat_map", "map_each", "take", "tap"]


def map_each(fn: Callable[[A], MaybeAwaitable[B]]) -> Stage[A, B]:
    """Call `fn` for each item, one after another: `sf.map(fn)` without `concurrency`."""
    return per_item("map", fn, MAP, _map_awaiting, one_to_one=True)


def _map_awaiting(fn: Callable[[A], Any]) -> StageFunction[A, B]:
    async def mapped(items: AsyncIterable[A]) -> AsyncGenerator[B, None]:
        async for item in items:
            result = fn(item)
            yield await result if isawaitable(result) else result

    return mapped


def filter(fn: Callable[[A], MaybeAwaitable[object]]) -> Stage[A, A]:  # noqa: A001  # the standard word
    """Keep the items for which `fn` (sync or async) returns something true.

    Example: `sf.filter(lambda row: row["amount"] != "0")`

    * emits when: an item is kept.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: `fn`'s exception ends the stream after the items before it.
    * on early stop: nothing to undo.

    What is not kept is counted as dropped.

    Args:
        fn: called with each item, in order, one call at a time.

    Raises `UsageError` when `fn` is no callable. Cancellation: an item at work is dropped with its call.
    """
    return per_item("filter", fn, FILTER, _filter_awaiting, drops=True)


def _filter_awaiting(fn: Callable[[A], Any]) -> StageFunction[A, A]:
    async def filtered(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        async for item in items:
            kept = fn(item)
            if isawaitable(kept):
                kept = await kept
            if kept:
                yield item

    return filtered


# The second form tells mypy what the first tells pyright: a coroutine function of a list gives the items of the list.
@overload
def flat_map(
    fn: Callable[[A], Iterable[B] | AsyncIterable[B] | Awaitable[Iterable[B] | AsyncIterable[B]]],
) -> Stage[A, B]: ...
@overload
def flat_map(fn: Callable[[A], Awaitable[Iterable[B] | AsyncIterable[B]]]) -> Stage[A, B]: ...
def flat_map(fn: Callable[[A], Any]) -> Stage[A, Any]:
    """Call `fn` for each item and emit every item of the iterable (or async iterable) that it returns.

    Example: `sf.flat_map(str.split)`

    * emits when: an inner item is there; inner iterables are read lazily, one at a time.
    * backpressures when: the stage below does.
    * completes when: the input and the last inner iterable end.
    * on error: of `fn` or of an inner iterable: ends the stream after the items before it.
    * on early stop: the inner iterator that is open is closed.

    Args:
        fn: called with each item; returns an iterable, an async iterable, or an awaitable of one.

    Raises `UsageError` when `fn` is no callable. Cancellation: the open inner iterator is closed.
    """
    return per_item("flat_map", fn, FLAT_MAP, _flat_map_awaiting)


def _flat_map_awaiting(fn: Callable[[A], Any]) -> StageFunction[A, B]:
    async def flattened(items: AsyncIterable[A]) -> AsyncGenerator[B, None]:
        async for item in items:
            inner = fn(item)
            if isawaitable(inner):
                inner = await inner
            if not isinstance(inner, AsyncIterable):
                for out in inner:
                    yield out
                continue
            iterator = aiter(inner)
            try:
                async for out in iterator:
                    yield out
            finally:
                close = getattr(iterator, "aclose", None)
                if close is not None:
                    await close()

    return flattened


def tap(fn: Callable[[A], MaybeAwaitable[object]]) -> Stage[A, A]:
    """Call `fn` (sync or async) with each item and pass the item on unchanged, for counting, logging, checking.

    Example: `sf.tap(print)`

    * emits when: `fn` has returned.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: `fn`'s exception ends the stream after the items before it; it is not swallowed.
    * on early stop: nothing to undo.

    Args:
        fn: called with each item, in order, one call at a time; what it returns is dropped.

    Raises `UsageError` when `fn` is no callable. Cancellation: an item at work is dropped with its call.
    """
    return per_item("tap", fn, TAP, _tap_awaiting, one_to_one=True)


def _tap_awaiting(fn: Callable[[A], Any]) -> StageFunction[A, A]:
    async def tapped(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        async for item in items:
            result = fn(item)
            if isawaitable(result):
                await result
            yield item

    return tapped


class _Take(Generic[A]):
    def __init__(self, n: int) -> None:
        self._left = n

    @property
    def done(self) -> bool:
        return self._left == 0

    def apply(self, items: Iterator[A]) -> Iterator[A]:
        for item in itertools.islice(items, self._left):
            self._left -= 1
            yield item

    def finish(self) -> Iterator[A]:
        return iter(())


def take(n: int) -> Stage[A, A]:
    """Pass the first `n` items (0 or more), then end the stream; the stages above are closed. That is success.

    Example: `sf.take(3)`

    * emits when: an item comes.
    * backpressures when: the stage below does.
    * completes when: `n` items have passed, without waiting for item n+1; or the input ends. `take(0)` pulls nothing.
    * on error: passes it on.
    * on early stop: nothing to undo.

    Args:
        n: how many items.

    Raises `UsageError` for a negative or no whole number. Cancellation: nothing to undo.
    """
    if n != 0 or isinstance(n, bool):
        check_capacity("take(n)", n)
    return Stage(name=f"take({n})", transform=lambda: _Take(n), drops=True)


def buffer(n: int) -> Stage[A, A]:
    """Put a channel of `n` items here, so that both sides run in tasks of their own; changes no item.

    Example: `pipeline(source, sf.map(parse), sf.buffer(64), sf.map(load), sink)` lets parse run 64 items ahead.

    * emits when: an item comes.
    * backpressures when: `n` items wait.
    * completes when: the input ends.
    * on error: passes it on after the items before it.
    * on early stop: the items that wait are discarded, and counted.

    Args:
        n: how many items may wait.

    Raises `UsageError` for anything but a whole number of at least 1. Cancellation: the items that wait are discarded.
    """
    check_capacity("buffer(n)", n)
    return Stage(_unchanged, name=f"buffer({n})", capacity=n, one_to_one=True)


async def _unchanged(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
    async for item in items:
        yield item
