"""Operators for which it matters when an item comes, or that none does: debounce, sample, timeout, heartbeat, timed.

What lives here: the input raced against the clock. What must not: making items wait (pacing.py), items that only the
clock makes (ticking.py).

Deadlines are moments of the event loop's clock. An item that comes at the very moment of a deadline is in time. While
the stage below is busy the generator stands at its `yield` and nothing is taken: the time that takes is nobody's
silence.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterator
from inspect import isawaitable
from typing import Any, Generic, overload

from streamflow.engine.clock import Grid, has_come, seconds_of
from streamflow.engine.feeding import reading
from streamflow.errors import PipelineTimeout, UsageError
from streamflow.machinery.stage_shapes import Adding, Labelled, Passing
from streamflow.machinery.variables import A, B
from streamflow.machinery.waits.arrivals import Arrivals

__all__ = ["debounce", "heartbeat", "sample", "timed", "timeout"]


def debounce(seconds: float) -> Passing[object]:
    """Emit an item when no other has come for `seconds`; an item that is followed sooner is dropped.

    Example:
        async def typed():
            for text, pause in [("s", 0.1), ("st", 0.5), ("stre", 0.1), ("stream", 0.5)]:
                yield text
                await asyncio.sleep(pause)

        await sf.stream(typed).debounce(0.3).collect()  # gives ["st", "stream"]

    * emits when: nothing has come for `seconds` since the last item; or at the end, at once.
    * backpressures when: the stage below does; then, of the items that wait, only the last one counts.
    * completes when: the input ends; the last item is emitted first.
    * on error: the last item is emitted at once, then the error is passed on.
    * on early stop: the item that waits is dropped.

    What is superseded is counted as dropped. An item that comes exactly `seconds` later supersedes. Over a source that
    is never silent for so long it emits nothing before the end: there `sf.sample` is what you want.

    Args:
        seconds: how long it must be silent.

    Raises `UsageError` for no number above 0. Cancellation: the item that waits is dropped.
    """
    seconds = seconds_of("debounce(seconds)", seconds)

    async def debounced(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        time = asyncio.get_running_loop().time
        async with reading(items) as reader:
            arrivals = Arrivals(reader)
            while await arrivals.came() and not arrivals.over:
                latest = (await arrivals.take())[-1]
                while await arrivals.came(until=time() + seconds) and not arrivals.over:
                    latest = (await arrivals.take())[-1]
                yield latest
            await arrivals.end()

    return Passing(debounced, name=f"debounce({seconds:g})", drops=True, output_capacity=1)


def sample(seconds: float) -> Passing[object]:
    """Emit the latest item every `seconds`, if one has come since the last time; the others are dropped.

    Example: `await sf.stream(sf.interval(0.3, times=10)).sample(1.0).collect()` gives
    `[3, 6, 9]`: the newest number of each second.

    * emits when: a moment of the grid comes and an item has come since the last one; or at the end, at once.
    * backpressures when: the stage below does; the moments that it misses are skipped.
    * completes when: the input ends; an item that no moment has sampled yet is emitted first, so the newest is known.
    * on error: an item that no moment has sampled yet is emitted at once, then the error is passed on.
    * on early stop: the item that waits is dropped.

    The grid begins when the stage starts, and does not drift. An item that comes exactly at a moment belongs to it.
    What is not sampled is counted as dropped.

    Args:
        seconds: from one moment to the next.

    Raises `UsageError` for no number above 0. Cancellation: the item that waits is dropped.
    """
    seconds = seconds_of("sample(seconds)", seconds)

    async def sampled(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        time = asyncio.get_running_loop().time
        grid = Grid(time(), seconds)
        number = 0
        async with reading(items) as reader:
            arrivals = Arrivals(reader)
            while await arrivals.came() and not arrivals.over:
                latest = (await arrivals.take())[-1]
                number = max(number + 1, grid.next(time()))
                moment = grid.moment(number)
                while not has_come(moment) and not arrivals.over:
                    if await arrivals.came(until=moment) and not arrivals.over:
                        latest = (await arrivals.take())[-1]
                yield latest
            await arrivals.end()

    return Passing(sampled, name=f"sample({seconds:g})", drops=True, output_capacity=1)


def timeout(*, first: float | None = None, between: float | None = None, total: float | None = None) -> Passing[object]:
    """Fail with `PipelineTimeout` when the input takes too long: for its first item, for the next one, or in all.

    Example: `await sf.stream(["a"]).delay(9).timeout(first=5).catch(sf.PipelineTimeout, then=["too late"]).collect()`
    gives `["too late"]`.

    * emits when: an item comes.
    * backpressures when: the stage below does; that time counts for `total` only.
    * completes when: the input ends.
    * on error: passes it on after the items before it.
    * on early stop: nothing to undo.

    The items that came in time are delivered before the error; the message says which limit passed, and at which item.
    It cuts a wait for input, so no item is lost to it. Time over which the stage below is busy can only be noticed
    afterwards: then `total` is looked at before each item is passed on. The stages above are stopped.

    Args:
        first: seconds from the start to the first item, or to the end of an empty input.
        between: seconds of waiting for the next item, or for the end. It does not limit the wait for the first one.
        total: seconds from the start to the end.

    Raises `UsageError` without any limit, and for no number above 0. Cancellation: nothing to undo.
    """
    if first is None and between is None and total is None:
        raise UsageError("timeout() has no limit; write timeout(between=5), or first= or total=, in seconds.")
    limits = _Limits(_limit("first", first), _limit("between", between), _limit("total", total))

    async def limited(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        time = asyncio.get_running_loop().time
        ends = time() + limits.total
        passed = 0
        async with reading(items) as reader:
            arrivals = Arrivals(reader)
            while True:
                due = time() + limits.wait(passed)
                if not await arrivals.came(until=min(due, ends)):
                    raise limits.error(passed, total=ends <= due)
                hand = await reader.next_hand()
                if hand is None:
                    return
                for item in hand:
                    if time() > ends:
                        raise limits.error(passed, total=True)
                    passed += 1
                    yield item

    return Passing(limited, name=f"timeout({limits})", one_to_one=True)


def _limit(name: str, value: float | None) -> float:
    return math.inf if value is None else seconds_of(f"timeout({name})", value)


class _Limits:
    """The limits of a `timeout` in seconds; infinity for none."""

    def __init__(self, first: float, between: float, total: float) -> None:
        self.first, self.between, self.total = first, between, total

    def wait(self, passed: int) -> float:
        """How long to wait for input after so many items."""
        return self.between if passed else self.first

    def error(self, passed: int, *, total: bool) -> PipelineTimeout:
        """Say which limit passed, and where."""
        if total:
            return PipelineTimeout(
                f"timeout(total={self.total:g}): the input had not ended after {self.total:g} s, at item {passed + 1}"
            )
        if not passed:
            return PipelineTimeout(f"timeout(first={self.first:g}): item 1 did not come within {self.first:g} s")
        return PipelineTimeout(
            f"timeout(between={self.between:g}): item {passed + 1} did not come within {self.between:g} s "
            f"after item {passed}"
        )

    def __str__(self) -> str:
        return ", ".join(f"{name}={value:g}" for name, value in vars(self).items() if value < math.inf)


@overload
def heartbeat(seconds: float, item: Callable[[], Awaitable[B]]) -> Adding[B]: ...
@overload
def heartbeat(seconds: float, item: Callable[[], B]) -> Adding[B]: ...
@overload
def heartbeat(seconds: float, item: B) -> Adding[B]: ...
def heartbeat(seconds: float, item: Any) -> Adding[Any]:
    """Emit `item` whenever nothing has come for `seconds`, so that whoever listens knows that the line is alive.

    Example: `await sf.stream(["a", "b"]).spaced(5.0).heartbeat(2.0, "still here").collect()` gives
    `["a", "still here", "still here", "b"]`: what keeps a silent connection open.

    * emits when: an item comes; or nothing has come for `seconds` since the last one was emitted, and again.
    * backpressures when: the stage below does; then there is no heartbeat either, and none is made up for.
    * completes when: the input ends.
    * on error: passes it on after the items before it; so does an error of a function given as `item`.
    * on early stop: nothing to undo.

    Args:
        seconds: how long it may be silent.
        item: what to emit, or a function without arguments (sync or async) that is called for each heartbeat.

    Raises `UsageError` for no number above 0. Cancellation: nothing to undo.
    """
    seconds = seconds_of("heartbeat(seconds)", seconds)

    async def kept_alive(items: AsyncIterable[A]) -> AsyncGenerator[Any, None]:
        time = asyncio.get_running_loop().time
        async with reading(items) as reader:
            arrivals = Arrivals(reader)
            while True:
                if not await arrivals.came(until=time() + seconds):
                    yield await _beat(item)
                    continue
                hand = await reader.next_hand()
                if hand is None:
                    return
                for each in hand:
                    yield each

    return Adding(kept_alive, name=f"heartbeat({seconds:g})")


async def _beat(item: Any) -> Any:
    beat = item() if callable(item) else item
    return await beat if isawaitable(beat) else beat


class _Timed(Generic[A]):
    done = False

    def __init__(self) -> None:
        self._time = asyncio.get_running_loop().time
        self._start = self._time()

    def apply(self, items: Iterator[A], /) -> Iterator[tuple[float, A]]:
        time, start = self._time, self._start
        for item in items:
            yield time() - start, item

    def finish(self) -> Iterator[tuple[float, A]]:
        return iter(())


def timed() -> Labelled[float]:
    """Pair each item with the moment at which it passes: seconds of the loop's clock since the stage started.

    Example: `await sf.stream(["a", "b"]).spaced(0.5).timed().collect()` gives `[(0.0, "a"), (0.5, "b")]`.

    * emits when: an item comes: `(seconds, item)`.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: passes it on after the items before it.
    * on early stop: nothing to undo.

    Cancellation: nothing to undo.
    """
    return Labelled(name="timed", transform=_Timed, one_to_one=True)
