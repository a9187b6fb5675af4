"""Operators on single items: map, filter, flat_map, tap, take, buffer.

What lives here: operators whose state fits in one small object. What must not: tasks, channels, clocks (concurrency.py,
batching.py).

Each has a synchronous form that the planner fuses into chains of C iterators, and an async form around the same callable
for callables that return awaitables. A coroutine function is seen at once; a lambda that returns a coroutine is found out
by its first item, which is not called again.
"""

from __future__ import annotations

import builtins
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from inspect import isawaitable
from typing import Any, Generic, TypeVar, cast

from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.stages import NeedsAwait, Stage, is_coroutine_function
from streamflow.types import MaybeAwaitable, StageFunction

__all__ = ["buffer", "filter", "flat_map", "map_each", "take", "tap"]

A = TypeVar("A")
B = TypeVar("B")


def check_callable(operator: str, function: object) -> None:
    """Refuse what cannot be called, naming the operator."""
    if not callable(function):
        raise UsageError(f"{operator} needs a function to call for each item, not {type(function).__name__} {function!r:.60}")


class _PerItem(Generic[A, B]):
    """A transform around one callable; the first result tells whether the callable is synchronous after all."""

    done = False

    def __init__(self, fn: Callable[[A], Any]) -> None:
        self.fn = fn
        self._probed = False

    def apply(self, items: Iterator[A]) -> Iterator[B]:
        return self._all(items) if self._probed else self._probe(items)

    def _probe(self, items: Iterator[A]) -> Iterator[B]:
        for item in items:
            result = self.fn(item)
            if isawaitable(result) or isinstance(result, AsyncIterable):
                raise NeedsAwait(self, item, cast("Awaitable[Any]", result), items)
            self._probed = True
            yield from self._first(item, result)
            yield from self._all(items)

    def _all(self, items: Iterator[A]) -> Iterator[B]:
        raise AssertionError

    def _first(self, item: A, result: Any) -> Iterable[B]:
        raise AssertionError

    def finish(self) -> Iterator[B]:
        return iter(())


class _Map(_PerItem[A, B]):
    def _all(self, items: Iterator[A]) -> Iterator[B]:
        return map(self.fn, items)

    def _first(self, item: A, result: Any) -> Iterable[B]:  # noqa: ARG002  # the shape all four share
        return (result,)


class _Filter(_PerItem[A, A]):
    def _all(self, items: Iterator[A]) -> Iterator[A]:
        return builtins.filter(self.fn, items)

    def _first(self, item: A, result: Any) -> Iterable[A]:
        return (item,) if result else ()


class _FlatMap(_PerItem[A, B]):
    def _all(self, items: Iterator[A]) -> Iterator[B]:
        return itertools.chain.from_iterable(map(self.fn, items))

    def _first(self, item: A, result: Any) -> Iterable[B]:  # noqa: ARG002
        return cast("Iterable[B]", result)


class _Tap(_PerItem[A, A]):
    def _all(self, items: Iterator[A]) -> Iterator[A]:
        return map(self._call, items)

    def _call(self, item: A) -> A:
        self.fn(item)
        return item

    def _first(self, item: A, result: Any) -> Iterable[A]:  # noqa: ARG002
        return (item,)


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


async def settled(value: Any) -> Any:
    """Return the value, awaiting it if it is awaitable."""
    return await value if isawaitable(value) else value


def _map_awaiting(fn: Callable[[A], Any]) -> StageFunction[A, B]:
    async def mapped(items: AsyncIterable[A]) -> AsyncGenerator[B, None]:
        async for item in items:
            yield await settled(fn(item))

    return mapped


def _filter_awaiting(fn: Callable[[A], Any]) -> StageFunction[A, A]:
    async def filtered(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        async for item in items:
            if await settled(fn(item)):
                yield item

    return filtered


def _flat_map_awaiting(fn: Callable[[A], Any]) -> StageFunction[A, B]:
    async def flattened(items: AsyncIterable[A]) -> AsyncGenerator[B, None]:
        async for item in items:
            inner = await settled(fn(item))
            if isinstance(inner, AsyncGenerator):
                async with aclosing(inner):
                    async for out in inner:
                        yield out
            elif isinstance(inner, AsyncIterable):
                async for out in inner:
                    yield out
            else:
                for out in inner:
                    yield out

    return flattened


def _tap_awaiting(fn: Callable[[A], Any]) -> StageFunction[A, A]:
    async def tapped(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        async for item in items:
            await settled(fn(item))
            yield item

    return tapped


def _per_item(
    name: str,
    fn: Callable[..., Any],
    make: Callable[[Callable[..., Any]], _PerItem[Any, Any]],
    awaiting: Callable[[Callable[..., Any]], StageFunction[Any, Any]],
    *,
    one_to_one: bool = False,
    drops: bool = False,
) -> Stage[Any, Any]:
    """Build the stage of an operator around a callable: synchronous and fusible, unless it is a coroutine function."""
    check_callable(name, fn)
    if is_coroutine_function(fn):
        return Stage(awaiting(fn), name=name, callable=fn, one_to_one=one_to_one, drops=drops)
    return Stage(
        name=name, transform=lambda: make(fn), refit=awaiting, callable=fn, one_to_one=one_to_one, drops=drops
    )


def map_each(fn: Callable[[A], MaybeAwaitable[B]]) -> Stage[A, B]:
    """Call `fn` for each item, one after another: `sf.map(fn)` without `concurrency`."""
    return _per_item("map", fn, _Map, _map_awaiting, one_to_one=True)


def filter(fn: Callable[[A], MaybeAwaitable[object]]) -> Stage[A, A]:  # noqa: A001  # the standard word
    """Keep the items for which `fn` (sync or async) returns something true.

    Example: `sf.filter(lambda row: row["amount"] != "0")`

    * emits when: an item is kept. * backpressures when: the stage below does. * completes when: the input ends.
    * on error: `fn`'s exception ends the stream after the items before it. * on early stop: nothing to undo.

    What is not kept is counted as dropped. Cancellation: an item at work is dropped with its call.
    """
    return _per_item("filter", fn, _Filter, _filter_awaiting, drops=True)


def flat_map(fn: Callable[[A], MaybeAwaitable[Iterable[B] | AsyncIterable[B]]]) -> Stage[A, B]:
    """Call `fn` for each item and emit every item of the iterable (or async iterable) that it returns.

    Example: `sf.flat_map(str.split)`

    * emits when: an inner item is there; inner iterables are read lazily, one at a time. * backpressures when: the stage
    below does. * completes when: the input and the last inner iterable end. * on error: of `fn` or of an inner iterable:
    ends the stream after the items before it. * on early stop: the open inner generator is closed.
    """
    return _per_item("flat_map", fn, _FlatMap, _flat_map_awaiting)


def tap(fn: Callable[[A], MaybeAwaitable[object]]) -> Stage[A, A]:
    """Call `fn` (sync or async) with each item and pass the item on unchanged, for counting, logging, checking.

    Example: `sf.tap(print)`

    * emits when: `fn` has returned. * backpressures when: the stage below does. * completes when: the input ends.
    * on error: `fn`'s exception ends the stream; it is not swallowed. * on early stop: nothing to undo.
    """
    return _per_item("tap", fn, _Tap, _tap_awaiting, one_to_one=True)


def take(n: int) -> Stage[A, A]:
    """Pass the first `n` items (0 or more), then end the stream; the stages above are closed. That is success.

    Example: `sf.take(3)`

    * emits when: an item comes. * backpressures when: the stage below does. * completes when: `n` items have passed,
    without waiting for item n+1; `take(0)` pulls nothing. * on error: passes it on. * on early stop: nothing to undo.

    Raises `UsageError` for a negative or no whole number.
    """
    if n != 0 or isinstance(n, bool):
        check_capacity("take(n)", n)
    return Stage(name=f"take({n})", transform=lambda: _Take(n), drops=True)


def buffer(n: int) -> Stage[A, A]:
    """Put a channel of `n` items here, so that both sides run in tasks of their own; changes no item.

    Example: `pipeline(source, sf.map(parse), sf.buffer(64), sf.map(load), sink)` lets parse run 64 items ahead.

    * emits when, completes when, on error, on early stop: as the channel does. * backpressures when: `n` items wait.

    Raises `UsageError` for anything but a whole number of at least 1.
    """
    check_capacity("buffer(n)", n)
    return Stage(_unchanged, name=f"buffer({n})", capacity=n, one_to_one=True)


async def _unchanged(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
    async for item in items:
        yield item
