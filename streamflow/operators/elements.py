"""Operators on single items: starmap, filter, filter_map, flatten, tap, enumerate, cast, and `map` one at a time.

What lives here: operators that look at each item alone. What must not: tasks, channels, clocks (concurrency.py,
batching.py), what depends on the items before (selecting.py, accumulating.py).

Each has a synchronous form that the planner fuses into chains of C iterators, and an async form around the same
callable for callables that return awaitables (per_item.py). A coroutine function is seen at once; a lambda that returns
a coroutine is found out by its first item, which is not called again.
"""

from __future__ import annotations

import builtins
import itertools
import operator
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from types import UnionType
from typing import Any, TypeVar, TypeVarTuple, overload

from streamflow.errors import UsageError
from streamflow.machinery.functions.per_item import FILTER, FLAT_MAP, MAP, TAP, Form, Spread, own_frame, per_item
from streamflow.machinery.stage_shapes import Flattened, Labelled, Passing
from streamflow.machinery.variables import A, B
from streamflow.stages import Stage
from streamflow.types import MaybeAwaitable

__all__ = [
    "cast",
    "enumerate",
    "filter",
    "filter_map",
    "flat_map_each",
    "flatten",
    "map_each",
    "starmap",
    "tap",
]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def map_each(fn: Callable[[A], MaybeAwaitable[B]]) -> Stage[A, B]:
    """Call `fn` for each item, one after another: `sf.map(fn)` without `concurrency`."""
    return per_item("map", fn, MAP, MAP.awaiting, one_to_one=True)


class _Starmap(Form):
    def over(self, fn: Any, items: Iterator[Any]) -> Iterator[Any]:
        return itertools.starmap(Spread.plain(fn), items)


# The second form tells mypy what the first tells pyright: a coroutine function gives what its coroutines return.
@overload
def starmap(fn: Callable[[*Ts], Awaitable[B] | B]) -> Stage[tuple[*Ts], B]: ...
@overload
def starmap(fn: Callable[[*Ts], Awaitable[B]]) -> Stage[tuple[*Ts], B]: ...
def starmap(fn: Callable[..., Any]) -> Stage[Any, Any]:
    """Call `fn` (sync or async) with the members of each item as its arguments, and emit what it returns.

    Example: `await sf.pipeline([(2, 5), (3, 2)], sf.starmap(pow), sf.collect())` gives `[32, 9]`.

    * emits when: `fn` has returned.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: `fn`'s exception ends the stream after the items before it.
    * on early stop: nothing to undo.

    Args:
        fn: called as `fn(*item)` for each item (a tuple, a list, any iterable), in order, one call at a time.

    Raises `UsageError` when `fn` is no callable. Cancellation: an item at work is dropped with its call.
    """
    return per_item("starmap", fn, _Starmap(), MAP.awaiting, spread=True, one_to_one=True)


def filter(fn: Callable[[A], MaybeAwaitable[object]]) -> Passing[A]:  # noqa: A001  # the standard word
    """Keep the items for which `fn` (sync or async) returns something true.

    Example: `await sf.stream([3, -1, 0, 4]).filter(lambda amount: amount > 0).collect()` gives `[3, 4]`.

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
    return per_item("filter", fn, FILTER, FILTER.awaiting, drops=True, kind=Passing)


class _FilterMap(Form):
    def over(self, fn: Any, items: Iterator[Any]) -> Iterator[Any]:
        return builtins.filter(partial(operator.is_not, None), map(fn, items))


@overload
def filter_map(fn: Callable[[A], Awaitable[B | None] | B | None]) -> Stage[A, B]: ...
@overload
def filter_map(fn: Callable[[A], Awaitable[B | None]]) -> Stage[A, B]: ...
def filter_map(fn: Callable[[A], Any]) -> Stage[A, Any]:
    """Call `fn` (sync or async) for each item and emit what it returns, unless that is `None`.

    Example: `await sf.pipeline(["one", "eins", "two"], sf.filter_map({"one": 1, "two": 2}.get), sf.collect())` gives
    `[1, 2]`.

    * emits when: `fn` has returned anything but `None`.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: `fn`'s exception ends the stream after the items before it.
    * on early stop: nothing to undo.

    Only `None` is dropped, and counted as dropped. `0`, `""` and `False` are data.

    Args:
        fn: called with each item, in order, one call at a time.

    Raises `UsageError` when `fn` is no callable. Cancellation: an item at work is dropped with its call.
    """
    return per_item("filter_map", fn, _FilterMap(), drops=True)


def flat_map_each(fn: Callable[[A], Any]) -> Stage[A, Any]:
    """Call `fn` for each item, one after another: `sf.flat_map(fn)` without `concurrency`."""
    return per_item("flat_map", fn, FLAT_MAP, FLAT_MAP.awaiting)


class _Later(AsyncIterable[T]):
    """An async iterable that says what is wrong where it is taken for a plain one."""

    def __init__(self, inner: AsyncIterable[T]) -> None:
        self._inner = inner

    def __aiter__(self) -> AsyncIterator[T]:
        return aiter(self._inner)

    def __iter__(self) -> Iterator[T]:
        raise TypeError(
            f"flatten(): a plain iterable came first, and this item is an async one, {type(self._inner).__name__}. "
            f"Make them all the same, or write sf.flat_map(fn) with a coroutine function fn, which takes both."
        )


def flatten() -> Flattened:
    """Emit every item of the items, which are iterables or async iterables, one after another.

    Example: `await sf.stream([[1, 2], [], [3]]).flatten().collect()` gives `[1, 2, 3]`.

    * emits when: an inner item is there; inner iterables are read lazily, one at a time.
    * backpressures when: the stage below does.
    * completes when: the input and the last inner iterable end.
    * on error: of an inner iterable: ends the stream after the items before it; so does an item that is no iterable.
    * on early stop: the inner iterator that is open is closed.

    One level only: what is inside the inner iterables is passed as it is. A string gives its characters, a dict its
    keys. The stage undoes `batched`.

    Cancellation: the open inner iterator is closed.
    """

    @own_frame
    def opened(inner: Any) -> Any:
        if hasattr(inner, "__iter__"):
            return inner
        if isinstance(inner, AsyncIterable):
            return _Later(inner)
        raise TypeError(f"flatten() needs items that are iterables, and this one is of type {type(inner).__name__}.")

    return per_item("flatten", opened, FLAT_MAP, FLAT_MAP.awaiting, kind=Flattened)


def tap(fn: Callable[[A], MaybeAwaitable[object]]) -> Passing[A]:
    """Call `fn` (sync or async) with each item and pass the item on unchanged, for counting, logging, checking.

    Example: `await sf.pipeline([3, 4], sf.tap(print), sf.sum())` gives `7`, and prints both numbers.

    * emits when: `fn` has returned.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: `fn`'s exception ends the stream after the items before it; it is not swallowed.
    * on early stop: nothing to undo.

    Args:
        fn: called with each item, in order, one call at a time; what it returns is dropped.

    Raises `UsageError` when `fn` is no callable. Cancellation: an item at work is dropped with its call.
    """
    return per_item("tap", fn, TAP, TAP.awaiting, one_to_one=True, kind=Passing)


class _Enumerate:
    """The transform; `enumerate` itself knows where it stands."""

    done = False

    def __init__(self, start: int) -> None:
        self._numbered: builtins.enumerate[Any] = builtins.enumerate((), start)

    def apply(self, items: Iterator[Any], /) -> Iterator[tuple[int, Any]]:
        # What an `enumerate` is made of, by the copying protocol: its class, and (its iterator, the next number).
        number: Any = self._numbered.__reduce__()[1][1]
        self._numbered = builtins.enumerate(items, number)
        return self._numbered

    def finish(self) -> Iterator[tuple[int, Any]]:
        return iter(())


def enumerate(start: int = 0) -> Labelled[int]:  # noqa: A001  # the standard word
    """Number the items: emit `(number, item)` for each.

    Example: `await sf.stream(["red", "green"]).enumerate(1).collect()` gives `[(1, "red"), (2, "green")]`.

    * emits when: an item comes.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: passes it on.
    * on early stop: nothing to undo.

    Args:
        start: the number of the first item, any whole number.

    Raises `UsageError` when `start` is no whole number. Cancellation: nothing to undo.
    """
    if isinstance(start, bool) or not isinstance(start, int):
        raise UsageError(f"enumerate(start) must be a whole number, not {start!r}.")
    name = f"enumerate({start})" if start else "enumerate"
    return Labelled(name=name, transform=lambda: _Enumerate(start), one_to_one=True)


class _Cast:
    """The transform; the number is for the message."""

    done = False

    def __init__(self, type_: Any, refuse: Callable[[int, object], None]) -> None:
        self._type = type_
        self._refuse = refuse
        self._number = 0

    def apply(self, items: Iterator[Any], /) -> Iterator[Any]:
        type_, before = self._type, self._number
        number = before
        try:
            for number, item in builtins.enumerate(items, before + 1):
                if not isinstance(item, type_):
                    self._refuse(number, item)
                yield item
        finally:
            self._number = number

    def finish(self) -> Iterator[Any]:
        return iter(())


# `B` must follow from `type_`; a union is no type to type checkers, so there the result is `Any`.
@overload
def cast(type_: type[B]) -> Stage[Any, B]: ...
@overload
def cast(type_: UnionType) -> Stage[Any, Any]: ...
def cast(type_: Any) -> Stage[Any, Any]:
    """Check that every item is an instance of `type_`, and say so to type checkers; changes no item.

    Example: `await sf.stream([1, "2"]).cast(int).catch(TypeError, then=lambda error: [str(error)]).collect()` gives
    `[1, "cast(int): item 2 is of type str, not int."]`.

    * emits when: an item comes.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: an item of another type ends the stream with a `TypeError`, after the items before it.
    * on early stop: nothing to undo.

    The message has the number of the item and both types, never the item. As with `isinstance`, an instance of a
    subclass is one: `True` is an `int`.

    Args:
        type_: a class or a union of classes (`int | None`). Of a generic type the class alone can be checked: `list`,
            not `list[int]`.

    Raises `UsageError` for what `isinstance` cannot check. Cancellation: nothing to undo.
    """
    try:
        isinstance(None, type_)
    except TypeError:
        raise UsageError(
            f"cast(type_) needs a class or a union of classes, such as int or int | None, not {type_!r:.60}."
        ) from None
    wanted = getattr(type_, "__name__", None) or str(type_)

    @own_frame
    def refuse(number: int, item: object) -> None:
        raise TypeError(f"cast({wanted}): item {number} is of type {type(item).__name__}, not {wanted}.")

    return Stage(name=f"cast({wanted})", transform=lambda: _Cast(type_, refuse), callable=refuse, one_to_one=True)
