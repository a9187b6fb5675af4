"""Sinks that end a pipeline in items or nothing: collect, to_dict, count, first, last, single, reduce, drain.

What lives here: sinks that keep what they make in memory, or nothing. What must not: comparing and adding items
(aggregates.py), handing them to somebody (outlets.py), writing them somewhere (places/).

Sinks that only look at the items take them in batches. Sinks that await between two items take them one at a time: a
batch in a local list would be held beside its channel, uncounted (P1).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing
from inspect import isawaitable
from typing import Any, Literal, TypeVar, overload

from streamflow.engine.reader import Reader
from streamflow.errors import LimitExceeded, UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.functions.per_item import check_callable, check_plain
from streamflow.machinery.shapes import ByKey, Collected, First, FirstOr, FromPairs
from streamflow.machinery.variables import A
from streamflow.stages import Sink
from streamflow.types import MaybeAwaitable

__all__ = ["collect", "count", "drain", "first", "last", "reduce", "single", "to_dict"]

D = TypeVar("D")
K = TypeVar("K")
R = TypeVar("R")
V = TypeVar("V")


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""Says that a sink was given no default; `None` is one."""


async def batches_of(items: AsyncIterable[Any]) -> AsyncGenerator[list[Any], None]:
    """Iterate in lists where the input can give them, which saves a step per item."""
    if isinstance(items, Reader):
        async for batch in items.batches():
            yield batch
    else:
        async for item in items:
            yield [item]


def collect(limit: int | None = None) -> Collected:
    """Gather every item into a list: the pipeline's value.

    Example: `await sf.pipeline(range(3), sf.map(str), sf.collect())` gives `["0", "1", "2"]`.

    * emits when: never; its value is there at the end.
    * backpressures when: never; it holds everything, so it is for results that fit in memory.
    * completes when: the input ends.
    * on error: the list is dropped.
    * on early stop: it never stops early.

    Args:
        limit: how many items may come at most; one more is an error, which guards the memory. To have the first n and
            no error, put `sf.take(n)` before.

    Raises `UsageError` for a limit that cannot mean anything, `LimitExceeded` for one item more than that.
    Cancellation: the list is dropped.
    """
    if limit is not None:
        check_capacity("collect(limit)", limit)

    async def collected(items: AsyncIterable[Any]) -> list[Any]:
        out: list[Any] = []
        async with aclosing(batches_of(items)) as batches:
            async for batch in batches:
                out += batch
                if limit is not None and len(out) > limit:
                    raise LimitExceeded(
                        f"collect(limit={limit:,}) was given more items than that; raise the limit if they fit in "
                        f"memory, or write sf.take({limit}) before it to have the first ones."
                    )
        return out

    return Collected(collected, name="collect" if limit is None else f"collect(limit={limit})")


@overload
def to_dict(
    key: Callable[[A], K], value: Callable[[A], V], *, duplicates: Literal["error", "first", "last"] = ...
) -> Sink[A, dict[K, V]]: ...
@overload
def to_dict(
    key: Callable[[A], K], value: None = ..., *, duplicates: Literal["error", "first", "last"] = ...
) -> ByKey[A, K]: ...
@overload
def to_dict(
    key: None = ..., value: None = ..., *, duplicates: Literal["error", "first", "last"] = ...
) -> FromPairs: ...
def to_dict(
    key: Callable[[Any], Any] | None = None,
    value: Callable[[Any], Any] | None = None,
    *,
    duplicates: Literal["error", "first", "last"] = "error",
) -> Sink[Any, dict[Any, Any]]:
    """Gather the items into a dict: the pipeline's value.

    Example: `await sf.pipeline(["apple", "fig"], sf.to_dict(lambda word: word[0]))` gives `{"a": "apple", "f": "fig"}`.

    * emits when: never; its value is there at the end.
    * backpressures when: never; it holds everything, so it is for results that fit in memory.
    * completes when: the input ends.
    * on error: the dict is dropped.
    * on early stop: it never stops early.

    Args:
        key: gives the key of an item (a plain function); without it the items are pairs of a key and a value.
        value: gives the value of an item; without it, and with `key`, the value is the item.
        duplicates: what a key that comes again means: an error, or that the `"first"` or the `"last"` value stays.

    Raises `UsageError` for a `value` without `key`, when one of them is no plain function, and for a key that comes
    again. Cancellation: the dict is dropped.
    """
    if key is None and value is not None:
        raise UsageError("to_dict(value=...) needs key=...; without both the items are pairs of a key and a value.")
    for name, fn in (("key", key), ("value", value)):
        if fn is not None:
            check_plain(f"to_dict({name})", fn)
    if duplicates not in ("error", "first", "last"):
        raise UsageError(f'to_dict(duplicates) is "error", "first" or "last", not {duplicates!r}.')

    async def gathered(items: AsyncIterable[Any]) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        number = 0
        async for item in items:
            number += 1
            name, entry = item if key is None else (key(item), item if value is None else value(item))
            if name in out and duplicates == "error":
                raise UsageError(
                    f"to_dict() was given the key {name!r:.80} a second time, with item {number}. To keep one of them, "
                    f'write duplicates="first" or duplicates="last".'
                )
            if name not in out or duplicates == "last":
                out[name] = entry
        return out

    kind: type[Sink[Any, Any]] = FromPairs if key is None else ByKey if value is None else Sink
    return kind(gathered, name="to_dict")


def count() -> Sink[Any, int]:
    """Count the items: the pipeline's value.

    Example: `await sf.stream(["a", "b", "c"]).count()` gives `3`.

    * emits when: never; its value is there at the end.
    * backpressures when: never.
    * completes when: the input ends.
    * on error: the count is dropped.
    * on early stop: it never stops early.

    Cancellation: the count is dropped.
    """

    async def counted(items: AsyncIterable[Any]) -> int:
        total = 0
        async with aclosing(batches_of(items)) as batches:
            async for batch in batches:
                total += len(batch)
        return total

    return Sink(counted, name="count")


def drain() -> Sink[Any, None]:
    """Take every item and drop it, for pipelines that run for the effects of their stages.

    Example: `await sf.pipeline(["a", "b"], sf.tap(print), sf.drain())` gives `None`, and prints both letters.

    * emits when: never; its value is `None`.
    * backpressures when: never.
    * completes when: the input ends.
    * on error: passes it on.
    * on early stop: it never stops early.

    Cancellation: nothing to undo.
    """

    async def drained(items: AsyncIterable[Any]) -> None:
        async with aclosing(batches_of(items)) as batches:
            async for _ in batches:
                pass

    return Sink(drained, name="drain")


@overload
def first() -> First: ...
@overload
def first(default: D) -> FirstOr[D]: ...
def first(default: Any = MISSING) -> Sink[Any, Any]:
    """Return the first item and end the stream there; the stages above are closed. That is success.

    Example: `await sf.stream([3, 8, 12]).filter(lambda number: number > 5).first(default=None)` gives `8`.

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
        return present(default, "first")

    return First(taken, name="first") if default is MISSING else FirstOr(taken, name="first")


@overload
def last() -> First: ...
@overload
def last(default: D) -> FirstOr[D]: ...
def last(default: Any = MISSING) -> Sink[Any, Any]:
    """Return the last item.

    Example: `await sf.pipeline([19.5, 20.0, 21.5], sf.last())` gives `21.5`.

    * emits when: never; its value is there at the end.
    * backpressures when: never; it holds one item.
    * completes when: the input ends.
    * on error: passes it on.
    * on early stop: it never stops early.

    Args:
        default: what to return when there is no item.

    Raises `UsageError` when there is no item and no `default`. Cancellation: nothing to undo.
    """

    async def kept(items: AsyncIterable[Any]) -> Any:
        found = default
        async with aclosing(batches_of(items)) as batches:
            async for batch in batches:
                found = batch[-1]
        return present(found, "last")

    return First(kept, name="last") if default is MISSING else FirstOr(kept, name="last")


@overload
def single() -> First: ...
@overload
def single(default: D) -> FirstOr[D]: ...
def single(default: Any = MISSING) -> Sink[Any, Any]:
    """Return the only item there is; more than one is an error.

    Example: `await sf.stream(["ann", "bob"]).filter(lambda name: name.startswith("b")).single()` gives `"bob"`.

    * emits when: never; its value is there at the end.
    * backpressures when: after the second item, which is an error.
    * completes when: the input ends.
    * on error: passes it on.
    * on early stop: it stops with its error at the second item; the stages above are closed.

    Args:
        default: what to return when there is no item.

    Raises `UsageError` when there is no item and no `default`, and when there is more than one. Cancellation: nothing
    to undo.
    """

    async def only(items: AsyncIterable[Any]) -> Any:
        found = MISSING
        async for item in items:
            if found is not MISSING:
                raise UsageError("single() of a stream with more than one item; write first() to take the first one.")
            found = item
        return present(default if found is MISSING else found, "single")

    return First(only, name="single") if default is MISSING else FirstOr(only, name="single")


def present(value: Any, sink: str) -> Any:
    """Return what a sink has found, or raise that it has found nothing and was given no default."""
    if value is MISSING:
        raise UsageError(f"{sink}() of a stream without items; write {sink}(default=...) if that may happen.")
    return value


def reduce(fn: Callable[[R, A], MaybeAwaitable[R]], initial: R) -> Sink[A, R]:
    """Fold the items into one value: `fn(value, item)` (sync or async) gives the next value.

    Example: `await sf.stream([2, 3, 4]).reduce(lambda product, factor: product * factor, 1)` gives `24`.

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
