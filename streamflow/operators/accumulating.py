"""Operators that carry something from item to item: scan, map_state, pairwise, sliding.

What lives here: running values and overlapping windows. What must not: groups that do not overlap (batching.py,
grouping.py), which items pass (selecting.py).

The state of a run lives in the transform, of which each run has its own.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar, overload

from streamflow.callables import is_coroutine_function, unwrapped
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.functions.per_item import Form, Spread, check_callable, check_plain, per_item
from streamflow.machinery.stage_shapes import Batches, Pairs
from streamflow.machinery.variables import A, B
from streamflow.stages import Stage
from streamflow.types import MaybeAwaitable

__all__ = ["map_state", "pairwise", "scan", "sliding"]

S = TypeVar("S")


class _Scan(Form):
    def __init__(self, initial: Any) -> None:
        self._value = initial

    def given(self, item: Any) -> Any:
        return self._value, item

    def over(self, fn: Any, items: Iterator[Any]) -> Iterator[Any]:
        call, value = Spread.plain(fn), self._value
        try:
            for item in items:
                value = call(value, item)
                yield value
        finally:
            self._value = value


def scan(fn: Callable[[B, A], MaybeAwaitable[B]], initial: B) -> Stage[A, B]:
    """Fold the items into a running value and emit it after each item: `fn(value, item)` gives the next value.

    Example: `await sf.stream([100, -30, 50]).scan(lambda balance, change: balance + change, 0).collect()` gives
    `[100, 70, 120]`.

    * emits when: `fn` has returned: one value for each item. `initial` itself is not emitted.
    * backpressures when: the stage below does.
    * completes when: the input ends; without items it emits nothing.
    * on error: `fn`'s exception ends the stream after the values before it.
    * on early stop: the value is dropped.

    Unlike `itertools.accumulate(initial=...)` it does not begin with `initial`; for that write
    `.scan(fn, initial).prepend(initial)`. For the last value only see `reduce`; for a state that is not what is
    emitted, `map_state`.

    Args:
        fn: called with the value so far and each item (sync or async), in order, one call at a time. It returns the
            next value and leaves the one before as it is, which has been emitted already.
        initial: the first value `fn` is called with; every run begins with it.

    Raises `UsageError` when `fn` is no callable. Cancellation: the value is dropped, an item at work with its call.
    """
    return per_item("scan", fn, partial(_Scan, initial), spread=True, one_to_one=True)


class _MapState(Form):
    """The state is made when it is first wanted: of two forms in a run, one to find out with, only one makes it."""

    def __init__(self, make: Callable[[], Any], at_end: Callable[[Any], Any] | None) -> None:
        self._make: Callable[[], Any] | None = make
        self._state: Any = None
        self._at_end = at_end

    def _begin(self) -> None:
        if self._make is not None:
            self._state, self._make = self._make(), None

    def given(self, item: Any) -> Any:
        self._begin()
        return self._state, item

    def over(self, fn: Any, items: Iterator[Any]) -> Iterator[Any]:
        call, self._make = Spread.plain(fn), None
        for item in items:
            pair = call(self._state, item)
            try:
                self._state, result = pair
            except (TypeError, ValueError):
                raise TypeError(
                    f"map_state: the function must return (state, result), a pair, not {type(pair).__name__}."
                ) from None
            yield result

    def ending(self) -> Any:
        if self._at_end is None:
            return ()
        self._begin()
        return self._at_end(self._state)


@overload
def map_state(
    fn: Callable[[S, A], Awaitable[tuple[S, B]] | tuple[S, B]],
    make: Callable[[], S],
    *,
    at_end: Callable[[S], Iterable[B] | AsyncIterable[B] | Awaitable[Iterable[B]]] | None = ...,
) -> Stage[A, B]: ...
@overload
def map_state(
    fn: Callable[[S, A], Awaitable[tuple[S, B]]],
    make: Callable[[], S],
    *,
    at_end: Callable[[S], Iterable[B] | AsyncIterable[B] | Awaitable[Iterable[B]]] | None = ...,
) -> Stage[A, B]: ...
def map_state(
    fn: Callable[[Any, A], Any], make: Callable[[], Any], *, at_end: Callable[[Any], Any] | None = None
) -> Stage[A, Any]:
    """Map with a state that goes from item to item: `fn(state, item)` returns the next state and the result to emit.

    Example:
        def rise(last, price):
            return price, price - last

        await sf.stream([10, 12, 11]).map_state(rise, lambda: 10).collect()  # gives [0, 2, -1]

    * emits when: `fn` has returned: one result for each item; at the end what `at_end` returns.
    * backpressures when: the stage below does.
    * completes when: the input ended and what `at_end` returned is emitted.
    * on error: `fn`'s exception ends the stream after the results before it; `at_end` is not called.
    * on early stop: the state is dropped; `at_end` is not called.

    For no result or several of them return a list and write `.flatten()` after it.

    Args:
        fn: called with the state and each item (sync or async), in order, one call at a time; returns a pair.
        make: called once per run, without arguments; returns the first state. `list` and `dict` will do.
        at_end: called with the last state (sync or async) when the input ended cleanly, also when there was no item;
            returns an iterable of further results, or it is an async generator function.

    Raises `UsageError` when one of them is no callable; at the item, `TypeError` when `fn` returns no pair.
    Cancellation: the state is dropped, an item at work with its call.
    """
    check_callable("map_state", fn)
    if not callable(make):
        raise UsageError(
            f"map_state(fn, make) needs a function that makes the state of each run, not {make!r:.60}. "
            f"Write lambda: {make!r:.60}."
        )
    check_plain("map_state(make)", make)
    if at_end is not None and not callable(at_end):
        raise UsageError(f"map_state(at_end) must be a function of the last state, not {at_end!r:.60}.")
    later = is_coroutine_function(at_end) or inspect.isasyncgenfunction(unwrapped(at_end))
    form = partial(_MapState, make, at_end)
    return per_item("map_state", fn, form, spread=True, awaits=later, one_to_one=at_end is None)


class _Pairwise:
    done = False

    def __init__(self) -> None:
        self._last: tuple[Any, ...] = ()

    def apply(self, items: Iterator[Any], /) -> Iterator[tuple[Any, Any]]:
        if not self._last:
            for item in items:
                self._last = (item,)
                break
            else:
                return
        (last,) = self._last
        try:
            for item in items:
                pair = last, item
                last = item
                yield pair
        finally:
            self._last = (last,)

    def finish(self) -> Iterator[tuple[Any, Any]]:
        return iter(())


def pairwise() -> Pairs:
    """Emit each item together with the one before it: `(first, second)`, `(second, third)` and so on.

    Example: `await sf.pipeline([1, 2, 4], sf.pairwise(), sf.collect())` gives `[(1, 2), (2, 4)]`.

    * emits when: an item comes, from the second on.
    * backpressures when: the stage below does.
    * completes when: the input ends; of a single item nothing is emitted.
    * on error: passes it on.
    * on early stop: nothing to undo.

    Cancellation: nothing to undo.
    """
    return Pairs(name="pairwise", transform=_Pairwise, groups=2)


class _Sliding:
    done = False

    def __init__(self, n: int, step: int) -> None:
        self._window: deque[Any] = deque(maxlen=n)
        self._missing = n
        self._step = step

    def apply(self, items: Iterator[Any], /) -> Iterator[tuple[Any, ...]]:
        append, window, step, missing = self._window.append, self._window, self._step, self._missing
        try:
            for item in items:
                append(item)
                missing -= 1
                if not missing:
                    missing = step
                    yield tuple(window)
        finally:
            self._missing = missing

    def finish(self) -> Iterator[tuple[Any, ...]]:
        return iter(())


def sliding(n: int, *, step: int = 1) -> Batches[object]:
    """Emit windows of exactly `n` items as tuples, each beginning `step` items after the one before.

    Example: `await sf.pipeline([1, 2, 3, 4], sf.sliding(3), sf.collect())` gives `[(1, 2, 3), (2, 3, 4)]`.

    * emits when: the last item of a window comes.
    * backpressures when: the stage below does.
    * completes when: the input ends; a window that is not full then is dropped, so fewer than `n` items give nothing.
    * on error: the window that is not full is dropped and the error passed on.
    * on early stop: the window that is not full is dropped.

    With a `step` above `n` the items between two windows are in none. With `step=n` the windows do not overlap; then
    `batched(n)` also gives the last, smaller one.

    Args:
        n: how many items a window has, at least 1.
        step: by how many items it moves on, at least 1.

    Raises `UsageError` for bounds that cannot mean anything. Cancellation: the window that is not full is dropped.
    """
    check_capacity("sliding(n)", n)
    check_capacity("sliding(step)", step)
    name = f"sliding({n})" if step == 1 else f"sliding({n}, step={step})"
    return Batches(name=name, transform=lambda: _Sliding(n, step), holds_items=n, groups=n)
