"""Sinks that compare, add and question the items: min, max, sum, any, all.

What lives here: what the builtins of the same names do, over a stream. What must not: sinks that keep items (sinks.py).
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterable, Callable
from contextlib import aclosing
from inspect import isawaitable
from typing import Any, TypeVar, overload

from streamflow.errors import UsageError
from streamflow.machinery.functions.per_item import check_callable, check_plain
from streamflow.machinery.shapes import First, FirstOr, Summed
from streamflow.machinery.variables import A
from streamflow.operators.sinks import MISSING, batches_of, present
from streamflow.stages import Sink
from streamflow.types import MaybeAwaitable

__all__ = ["all", "any", "max", "min", "sum"]

D = TypeVar("D")


@overload
def min(*, key: Callable[[Any], Any] | None = ...) -> First: ...  # noqa: A001  # the standard word
@overload
def min(*, key: Callable[[Any], Any] | None = ..., default: D) -> FirstOr[D]: ...  # noqa: A001  # the standard word
def min(  # noqa: A001  # the standard word
    *, key: Callable[[Any], Any] | None = None, default: Any = MISSING
) -> Sink[Any, Any]:
    """Return the smallest item, the first of equal ones.

    Example: `await sf.stream(["kiwi", "fig", "plum"]).min(key=len)` gives `"fig"`.

    * emits when: never; its value is there at the end.
    * backpressures when: never; it holds one item.
    * completes when: the input ends.
    * on error: passes it on; items that cannot be compared are one.
    * on early stop: it never stops early.

    Args:
        key: gives what to compare (a plain function); without it the items are compared.
        default: what to return when there is no item.

    Raises `UsageError` when there is no item and no `default`. Cancellation: nothing to undo.
    """
    return _extreme("min", builtins.min, key, default)


@overload
def max(*, key: Callable[[Any], Any] | None = ...) -> First: ...  # noqa: A001  # the standard word
@overload
def max(*, key: Callable[[Any], Any] | None = ..., default: D) -> FirstOr[D]: ...  # noqa: A001  # the standard word
def max(  # noqa: A001  # the standard word
    *, key: Callable[[Any], Any] | None = None, default: Any = MISSING
) -> Sink[Any, Any]:
    """Return the largest item, the first of equal ones.

    Example: `await sf.pipeline([3, 1, 2], sf.max())` gives `3`.

    * emits when: never; its value is there at the end.
    * backpressures when: never; it holds one item.
    * completes when: the input ends.
    * on error: passes it on; items that cannot be compared are one.
    * on early stop: it never stops early.

    Args:
        key: gives what to compare (a plain function); without it the items are compared.
        default: what to return when there is no item.

    Raises `UsageError` when there is no item and no `default`. Cancellation: nothing to undo.
    """
    return _extreme("max", builtins.max, key, default)


def _extreme(name: str, choose: Any, key: Callable[[Any], Any] | None, default: Any) -> Sink[Any, Any]:
    if key is not None:
        check_plain(f"{name}(key)", key)

    async def found(items: AsyncIterable[Any]) -> Any:
        best = MISSING
        async with aclosing(batches_of(items)) as batches:
            async for batch in batches:
                best = choose(batch if best is MISSING else [best, *batch], key=key)
        return present(default if best is MISSING else best, name)

    return First(found, name=name) if default is MISSING else FirstOr(found, name=name)


@overload
def sum() -> Summed[int]: ...  # noqa: A001
@overload
def sum(start: D) -> Summed[D]: ...  # noqa: A001
def sum(start: Any = 0) -> Summed[Any]:  # noqa: A001  # the standard word
    """Add up the items: the pipeline's value.

    Example: `await sf.pipeline([3, 1, 2], sf.sum())` gives `6`.

    * emits when: never; its value is there at the end, `start` when there was no item.
    * backpressures when: never.
    * completes when: the input ends.
    * on error: passes it on; items that cannot be added are one.
    * on early stop: it never stops early.

    Args:
        start: what to add to.

    Raises `UsageError` for a `start` of text or bytes: write `"".join(await stream.collect())`. Cancellation: the sum
    is dropped.
    """
    if isinstance(start, (str, bytes, bytearray)):  # it would be copied over and over; the builtin refuses it too
        raise UsageError(
            f"sum() adds numbers; to join {type(start).__name__}, write start.join(await stream.collect())."
        )

    async def added(items: AsyncIterable[Any]) -> Any:
        total = start
        async with aclosing(batches_of(items)) as batches:
            async for batch in batches:
                total = builtins.sum(batch, total)
        return total

    return Summed(added, name="sum")


def any(fn: Callable[[A], MaybeAwaitable[object]] | None = None) -> Sink[A, bool]:  # noqa: A001  # the standard word
    """Return whether `fn` is true for some item, and end the stream there: without items, `False`.

    Example: `await sf.stream(["ok", "ok", "failed", "ok"]).any(lambda state: state == "failed")` gives `True`.

    * emits when: never; its value is there with the first item for which it is true.
    * backpressures when: `fn` is at work; and always after that item.
    * completes when: an item is true, without waiting for another; or the input ends.
    * on error: of `fn` or above: passes it on, if it comes before that.
    * on early stop: the stages above are closed before the value is returned.

    Args:
        fn: called with each item (sync or async); without it the item itself is asked.

    Raises `UsageError` when `fn` is no callable. Cancellation: nothing to undo.
    """
    return _asking("any", fn, wanted=True)


def all(fn: Callable[[A], MaybeAwaitable[object]] | None = None) -> Sink[A, bool]:  # noqa: A001  # the standard word
    """Return whether `fn` is true for every item, ending the stream at the first that is not: without items, `True`.

    Example: `await sf.pipeline(["12", "x", "7"], sf.all(str.isdigit))` gives `False`.

    * emits when: never; its value is there with the first item for which it is false, or at the end.
    * backpressures when: `fn` is at work; and always after that item.
    * completes when: an item is false, without waiting for another; or the input ends.
    * on error: of `fn` or above: passes it on, if it comes before that.
    * on early stop: the stages above are closed before the value is returned.

    Args:
        fn: called with each item (sync or async); without it the item itself is asked.

    Raises `UsageError` when `fn` is no callable. Cancellation: nothing to undo.
    """
    return _asking("all", fn, wanted=False)


def _asking(name: str, fn: Callable[[A], MaybeAwaitable[object]] | None, *, wanted: bool) -> Sink[A, bool]:
    if fn is not None:
        check_callable(name, fn)

    async def asked(items: AsyncIterable[A]) -> bool:
        async for item in items:
            answer = item if fn is None else fn(item)
            if isawaitable(answer) and fn is not None:
                answer = await answer
            if bool(answer) is wanted:
                return wanted
        return not wanted

    return Sink(asked, name=name)
