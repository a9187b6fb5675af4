"""Sources that ask again and again: poll.

What lives here: calling a function on a grid of times. What must not: ticks without a call (ticking.py), trying again
after an error (recovery.py).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeVar, overload

from streamflow.callables import name_of
from streamflow.engine.clock import Grid, seconds_of
from streamflow.machinery.functions.per_item import check_callable
from streamflow.stages import Source
from streamflow.types import MaybeAwaitable

__all__ = ["poll"]

T = TypeVar("T")

_UNLIKE: Any = object()  # what no result is equal to


# The second form tells mypy what the first tells pyright, as for `flat_map`.
@overload
def poll(
    fn: Callable[[], Awaitable[T]],
    every: float,
    *,
    until: Callable[[T], MaybeAwaitable[object]] | None = None,
    changes_only: bool = False,
) -> Source[T]: ...
@overload
def poll(
    fn: Callable[[], T],
    every: float,
    *,
    until: Callable[[T], MaybeAwaitable[object]] | None = None,
    changes_only: bool = False,
) -> Source[T]: ...
def poll(
    fn: Callable[[], Any],
    every: float,
    *,
    until: Callable[[Any], MaybeAwaitable[object]] | None = None,
    changes_only: bool = False,
) -> Source[Any]:
    """Call `fn` (sync or async) at once and then every so many seconds, and emit what it returns.

    Example:
        states = iter(["queued", "running", "running", "done"])
        job = sf.poll(lambda: next(states), 5.0, until=lambda state: state == "done", changes_only=True)
        await sf.stream(job).timed().collect()  # gives [(0.0, "queued"), (5.0, "running"), (15.0, "done")]

    * emits when: a call has returned.
    * backpressures when: the stage below does; no call is made while a result waits for room.
    * completes when: `until` says so; otherwise never.
    * on error: of `fn` or `until`: ends the stream after the items before it; `retry` below it starts again.
    * on early stop: a call at work is cancelled.

    The times lie on a grid that begins with the first call: a call that takes long does not move the later ones, and
    times that passed meanwhile are left out, not made up for.

    Args:
        fn: called without arguments, one call at a time.
        every: the period in seconds.
        until: called with each result (sync or async); the one for which it returns something true is the last.
        changes_only: whether a result that equals the one before it is left out.

    Raises `UsageError` for a period that cannot mean anything and for what cannot be called. Cancellation: a call at
    work is cancelled.
    """
    check_callable("poll(fn)", fn)
    every = seconds_of("poll(every)", every)
    if until is not None:
        check_callable("poll(until)", until)
    polled = functools.partial(_polled, fn, every, until, changes_only=changes_only)
    return Source(polled, name=f"poll({name_of(fn)}, {every:g})")


async def _polled(
    fn: Callable[[], Any], every: float, until: Callable[[Any], Any] | None, *, changes_only: bool
) -> AsyncGenerator[Any, None]:
    time = asyncio.get_running_loop().time
    grid = Grid(time(), every)
    number = 0
    last = _UNLIKE
    while True:
        result = await _called(fn)
        over = until is not None and await _called(until, result)
        if not changes_only or last is _UNLIKE or result != last:
            yield result
        if over:
            return
        last = result
        number = max(number + 1, grid.next(time()))
        await asyncio.sleep(grid.moment(number) - time())  # gives a turn even where the moment is now


async def _called(fn: Callable[..., Any], *args: Any) -> Any:
    result = fn(*args)
    return await result if isawaitable(result) else result
