"""Operators that let some items pass, by their place or by what came before: take, skip, distinct and their kin.

What lives here: the operators. What must not: looking at one item alone (`filter` in elements.py), how each is done
(passing.py).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import overload

from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.functions.passing import (
    Dedupe,
    Distinct,
    Skip,
    SkipLast,
    SkipWhile,
    Take,
    TakeLast,
    TakeWhile,
)
from streamflow.machinery.functions.per_item import own_frame, per_item
from streamflow.machinery.stage_shapes import Passing
from streamflow.machinery.variables import A
from streamflow.types import MaybeAwaitable

__all__ = ["dedupe", "distinct", "skip", "skip_last", "skip_while", "take", "take_last", "take_while"]


def _check_count(name: str, n: object) -> None:
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise UsageError(f"{name} must be a whole number of items, 0 or more, not {n!r}.")


def take(n: int) -> Passing[object]:
    """Pass the first `n` items (0 or more), then end the stream; the stages above are closed. That is success.

    Example: `await sf.pipeline(range(1_000_000), sf.take(3), sf.collect())` gives `[0, 1, 2]`.

    * emits when: an item comes.
    * backpressures when: the stage below does.
    * completes when: `n` items have passed, without waiting for item n+1; or the input ends. `take(0)` pulls nothing.
    * on error: passes it on.
    * on early stop: nothing to undo.

    Args:
        n: how many items.

    Raises `UsageError` for a negative or no whole number. Cancellation: nothing to undo.
    """
    _check_count("take(n)", n)
    return Passing(name=f"take({n})", transform=lambda: Take(n), drops=True)


def take_while(fn: Callable[[A], MaybeAwaitable[object]], *, inclusive: bool = False) -> Passing[A]:
    """Pass items as long as `fn` (sync or async) returns something true, then end the stream. That is success.

    Example:
        states = ["queued", "running", "done", "archived"]
        await sf.stream(states).take_while(lambda state: state != "done", inclusive=True).collect()
        # gives ["queued", "running", "done"]

    * emits when: an item comes and `fn` says yes.
    * backpressures when: the stage below does.
    * completes when: `fn` says no for the first time, without waiting for another item; or the input ends.
    * on error: `fn`'s exception ends the stream after the items before it.
    * on early stop: nothing to undo.

    The item for which `fn` said no has been taken: without `inclusive` it is dropped, and counted as dropped.

    Args:
        fn: called with each item, in order, one call at a time, until it says no.
        inclusive: pass the item for which `fn` said no as well, as the last one.

    Raises `UsageError` when `fn` is no callable. Cancellation: an item at work is dropped with its call.
    """
    return per_item("take_while", fn, partial(TakeWhile, inclusive=inclusive), drops=True, kind=Passing)


def take_last(n: int) -> Passing[object]:
    """Pass the last `n` items (0 or more), once it is known which they are.

    Example: `await sf.pipeline(range(10), sf.take_last(3), sf.collect())` gives `[7, 8, 9]`.

    * emits when: the input has ended.
    * backpressures when: the stage below does, at the end; before that never.
    * completes when: the input ended and they have passed. `take_last(0)` pulls nothing.
    * on error: passes it on and drops the items that are held.
    * on early stop: drops the items that are held.

    Args:
        n: how many items; so many are held.

    Raises `UsageError` for a negative or no whole number. Cancellation: the items that are held are dropped.
    """
    _check_count("take_last(n)", n)
    return Passing(name=f"take_last({n})", transform=lambda: TakeLast(n), drops=True, holds_items=n)


def skip(n: int) -> Passing[object]:
    """Drop the first `n` items (0 or more) and pass all after them.

    Example: `await sf.stream(["id,amount", "1,10", "2,20"]).skip(1).collect()` gives `["1,10", "2,20"]`.

    * emits when: an item comes and `n` have been dropped.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: passes it on.
    * on early stop: nothing to undo.

    Args:
        n: how many items.

    Raises `UsageError` for a negative or no whole number. Cancellation: nothing to undo.
    """
    _check_count("skip(n)", n)
    return Passing(name=f"skip({n})", transform=lambda: Skip(n), drops=True)


def skip_while(fn: Callable[[A], MaybeAwaitable[object]]) -> Passing[A]:
    """Drop items as long as `fn` (sync or async) returns something true, and pass all after them.

    Example: `await sf.stream(["# a", "# b", "x = 1", "# c"]).skip_while(lambda line: line.startswith("#")).collect()`
    gives `["x = 1", "# c"]`.

    * emits when: an item comes for which `fn` says no, and with every item after it, about which `fn` is not asked.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: `fn`'s exception ends the stream.
    * on early stop: nothing to undo.

    Args:
        fn: called with each item, in order, one call at a time, until it says no.

    Raises `UsageError` when `fn` is no callable. Cancellation: an item at work is dropped with its call.
    """
    return per_item("skip_while", fn, SkipWhile, drops=True, kind=Passing)


def skip_last(n: int) -> Passing[object]:
    """Pass all items but the last `n` (0 or more); each waits until `n` more have come.

    Example: `await sf.stream(["1,10", "2,20", "total,30"]).skip_last(1).collect()` gives `["1,10", "2,20"]`.

    * emits when: an item comes, the one that came `n` items earlier.
    * backpressures when: the stage below does.
    * completes when: the input ends; the last `n` items are dropped.
    * on error: passes it on and drops the items that are held.
    * on early stop: drops the items that are held.

    Args:
        n: how many items; so many are held.

    Raises `UsageError` for a negative or no whole number. Cancellation: the items that are held are dropped.
    """
    _check_count("skip_last(n)", n)
    return Passing(name=f"skip_last({n})", transform=lambda: SkipLast(n), drops=True, holds_items=n)


@overload
def distinct(n: int, *, key: None = ...) -> Passing[object]: ...
@overload
def distinct(n: int, *, key: Callable[[A], MaybeAwaitable[Hashable]] | None) -> Passing[A]: ...
def distinct(n: int, *, key: Callable[[A], MaybeAwaitable[Hashable]] | None = None) -> Passing[A]:
    """Drop items that equal one of the `n` different ones seen last, so memory stays bounded.

    Example: `await sf.pipeline(["a", "b", "a", "c", "b"], sf.distinct(1000), sf.collect())` gives `["a", "b", "c"]`.

    * emits when: an item comes whose key is not remembered.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: `key`'s exception ends the stream after the items before it.
    * on early stop: nothing to undo.

    The key seen longest ago is forgotten first; being seen again keeps a key. So an item comes through twice only when
    `n` other keys have been seen between. Equal means what it means for the keys of a dict: `1`, `1.0` and `True` are
    the same.

    Args:
        n: how many keys to remember, at least 1.
        key: called with each item (sync or async); what it returns is compared, and must be hashable. By default the
            item itself.

    Raises `UsageError` for a bound that cannot mean anything and when `key` is no callable; at the item, `TypeError`
    for a key that is not hashable. Cancellation: an item at work is dropped with its call.
    """
    check_capacity("distinct(n)", n)

    @own_frame
    def refuse(value: object) -> None:
        try:
            hash(value)
        except TypeError as error:
            what = "items" if key is None else "keys"
            advice = "Give key=, such as key=lambda item: item['id']" if key is None else "Return a tuple, not a list"
            raise TypeError(f"distinct({n}) needs hashable {what}, not {type(value).__name__}. {advice}.") from error

    name, make = f"distinct({n})", partial(Distinct, n, refuse)
    if key is None:
        return Passing(name=name, transform=make, callable=refuse, drops=True, holds_items=n)
    return per_item(name, key, make, drops=True, holds_items=n, kind=Passing)


@overload
def dedupe(*, key: None = ...) -> Passing[object]: ...
@overload
def dedupe(*, key: Callable[[A], MaybeAwaitable[object]] | None) -> Passing[A]: ...
def dedupe(*, key: Callable[[A], MaybeAwaitable[object]] | None = None) -> Passing[A]:
    """Drop items that equal the item before: of a run of equal ones the first passes.

    Example: `await sf.stream([20, 20, 21, 21, 20]).dedupe().collect()` gives `[20, 21, 20]`: a change is told once.

    * emits when: an item comes whose key differs from that of the item before; the first item always passes.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: `key`'s exception, or that of a comparison, ends the stream after the items before it.
    * on early stop: nothing to undo.

    For equal items that do not follow each other see `distinct`. One object that comes twice equals itself, even if it
    was changed in between.

    Args:
        key: called with each item (sync or async); what it returns is compared by `==`. By default the item itself.

    Raises `UsageError` when `key` is no callable. Cancellation: an item at work is dropped with its call.
    """
    if key is None:
        return Passing(name="dedupe", transform=Dedupe, drops=True)
    return per_item("dedupe", key, Dedupe, drops=True, kind=Passing)
