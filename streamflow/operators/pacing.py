"""Operators that slow items down: throttle, spaced, delay. All of them keep every item and its order.

What lives here: when an item that has come may leave. What must not: what happens when none comes (timing.py).

They wait with the item in hand and take no other meanwhile (`delay`: as many as it may hold), so the channel above
fills and the source waits: that is the backpressure. The clock is the event loop's.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from inspect import iscoroutine
from itertools import repeat
from typing import Any, overload

from streamflow.callables import is_coroutine_function
from streamflow.engine.clock import FINEST, has_come, seconds_of, sleep_until
from streamflow.engine.feeding import reading
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.functions.per_item import check_callable
from streamflow.machinery.stage_shapes import Passing
from streamflow.machinery.variables import A
from streamflow.machinery.waits.arrivals import Arrivals

__all__ = ["delay", "spaced", "throttle"]

_LATE = 0.02  # seconds; the coarsest timers there are (Windows) are 0.016 s late


class _Bucket:
    """A token bucket, kept as the moment at which it would be full again.

    It counts from the moment at which it was last full, so the moments lie on a grid and no rounding adds up. A sleep
    that ended late is caught up with, or the rate would fall by it at every sleep.
    """

    def __init__(self, unit: float, burst: float) -> None:
        self._unit = unit  # seconds until one unit is there again
        self._burst = burst
        self._full_at = -math.inf
        self._spent = 0.0  # units since then
        self._late = 0.0

    def spend(self, units: float, now: float) -> float:
        """Take so many units; return the moment at which they are there, which may have passed."""
        if self._full_at + self._spent * self._unit <= now - self._late:
            self._full_at, self._spent, self._late = now, 0.0, 0.0
        self._spent += units
        return self._full_at + (self._spent - self._burst) * self._unit

    def slept_too_long_by(self, seconds: float) -> None:
        """Let what is behind be caught up with."""
        self._late = min(seconds, _LATE)


@overload
def throttle(rate: float, *, per: float = ..., burst: float = ..., cost: None = ...) -> Passing[object]: ...
@overload
def throttle(rate: float, *, per: float = ..., burst: float = ..., cost: Callable[[A], float] | None) -> Passing[A]: ...
def throttle(
    rate: float, *, per: float = 1.0, burst: float = 1, cost: Callable[[A], float] | None = None
) -> Passing[A]:
    """Let through at most `rate` items in `per` seconds; the others wait for their turn, none is dropped.

    Example: `await sf.stream(["a", "b", "c", "d"]).throttle(2, burst=2).timed().collect()` gives
    `[(0.0, "a"), (0.0, "b"), (0.5, "c"), (1.0, "d")]`: two at once, then two a second.

    * emits when: an item comes and the bucket holds its cost; each time on the grid that the rate gives.
    * backpressures when: the bucket is empty, or the stage below does.
    * completes when: the input ends.
    * on error: passes it on after the items before it.
    * on early stop: the item that waits for its turn is dropped.

    It is a token bucket of `burst` units, full at the start, into which `rate` units flow every `per` seconds. So after
    idle time `burst` items pass at once. An item that costs more than the burst waits for the rest of its cost. Waits
    of less than half a millisecond are added up, since no timer is finer; so a rate of a billion costs no sleep.

    Args:
        rate: units per `per` seconds; without `cost` an item is one unit.
        per: seconds.
        burst: units that may pass at once after idle time.
        cost: gives the units of an item, 0 or more, as a plain function: `len` makes `rate` bytes per second.

    Raises `UsageError` for numbers that cannot mean anything, now or when `cost` returns one. Cancellation: the item
    that waits is dropped.
    """
    rate, per = seconds_of("throttle(rate)", rate), seconds_of("throttle(per)", per)
    burst = seconds_of("throttle(burst)", burst)
    unit = per / rate
    if unit == math.inf:
        raise UsageError(f"throttle({rate:g}, per={per:g}) would never let a second item through.")
    if cost is not None:
        _check_cost(cost)

    async def throttled(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        time = asyncio.get_running_loop().time
        bucket = _Bucket(unit, burst)
        async for item in items:
            due = bucket.spend(1.0 if cost is None else _cost_of(cost, item), time())
            if due - time() > FINEST:
                await sleep_until(due)
                bucket.slept_too_long_by(time() - due)
            yield item

    return Passing(throttled, name=f"throttle({rate:g}, per={per:g})", callable=cost, one_to_one=True)


def _check_cost(cost: Callable[[A], float]) -> None:
    check_callable("throttle(cost)", cost)
    if is_coroutine_function(cost):
        raise UsageError("throttle(cost) must be a plain function; put the cost on the item with sf.map() before it.")


def _cost_of(cost: Callable[[A], float], item: A) -> float:
    units: Any = cost(item)
    try:
        if 0 <= units < math.inf:
            return float(units)
    except (TypeError, OverflowError):
        if iscoroutine(units):
            units.close()
    raise UsageError(f"throttle(cost) must return a number of units, 0 or more, not {units!r:.60} for {item!r:.60}.")


def spaced(seconds: float) -> Passing[object]:
    """Emit items at least `seconds` apart: the next one waits until so long after the one before.

    Example: `await sf.stream(["a", "b", "c"]).spaced(0.5).timed().collect()` gives
    `[(0.0, "a"), (0.5, "b"), (1.0, "c")]`.

    * emits when: an item comes and `seconds` have passed since the last one was emitted; at once when it took longer.
    * backpressures when: it waits, or the stage below does.
    * completes when: the input ends; it does not wait after the last item.
    * on error: passes it on after the items before it, without a wait.
    * on early stop: the item that waits is dropped.

    Unlike `throttle(1, per=seconds)` it never catches up: no two items leave closer than that. What waits in the
    channel below may be taken out of it faster.

    Args:
        seconds: the least time between two items.

    Raises `UsageError` for no number above 0. Cancellation: the item that waits is dropped.
    """
    seconds = seconds_of("spaced(seconds)", seconds)

    async def spaced_out(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        time = asyncio.get_running_loop().time
        free_at = -math.inf
        async for item in items:
            await sleep_until(free_at)
            free_at = time() + seconds
            yield item

    return Passing(spaced_out, name=f"spaced({seconds:g})", one_to_one=True)


def delay(seconds: float, *, maxsize: int = 16) -> Passing[object]:
    """Emit each item `seconds` after it was taken, so that order and distances stay as they are.

    Example: `await sf.stream(["a", "b"]).spaced(1.0).delay(30.0).timed().collect()` gives `[(30.0, "a"), (31.0, "b")]`.

    * emits when: an item has been held for `seconds`.
    * backpressures when: `maxsize` items are held, or the stage below does.
    * completes when: the input has ended and the last item was held for its time.
    * on error: passes it on after the items before it, which are held for their time first.
    * on early stop: the items it holds are dropped.

    Faster than `maxsize` items in `seconds` it cannot be: then the items above wait, and their time starts later. While
    the stage below lets it wait it takes nothing either.

    Args:
        seconds: how long each item is held.
        maxsize: how many items it holds at most.

    Raises `UsageError` for bounds that cannot mean anything. Cancellation: the items it holds are dropped.
    """
    seconds = seconds_of("delay(seconds)", seconds)
    check_capacity("delay(maxsize)", maxsize)

    async def delayed(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        time = asyncio.get_running_loop().time
        held: deque[tuple[float, A]] = deque()
        async with reading(items) as reader:
            arrivals = Arrivals(reader)
            while held or not arrivals.over:
                due = held[0][0] if held else math.inf
                if len(held) == maxsize or arrivals.over:
                    await sleep_until(due)
                elif await arrivals.came(until=due) and not arrivals.over:
                    taken = await arrivals.take(maxsize - len(held))
                    held.extend(zip(repeat(time() + seconds), taken))
                while held and has_come(held[0][0]):
                    yield held.popleft()[1]
            await arrivals.end()

    return Passing(delayed, name=f"delay({seconds:g})", holds_items=maxsize, one_to_one=True)
