"""The clock: how long to wait, and the moments of a fixed grid.

What lives here: with date.py, the only questions about time that decide what happens. What must not: `time.time()`,
`time.monotonic()`, operators.

Everything goes by the clock of the running event loop: durations and deadlines are in seconds of `loop.time()`. A test
replaces it by running on a loop of its own making (`streamflow.testing.StepLoop`, whose time jumps), and with it
replaces all time here.
"""

from __future__ import annotations

import asyncio
import math

from streamflow.errors import UsageError
from streamflow.limits import check_capacity

__all__ = ["FINEST", "Grid", "has_come", "seconds_of", "sleep_until", "turn"]

FINEST = 0.0005
"""The shortest wait, in seconds, that is worth a timer: some loops round to milliseconds, and take less for nothing."""

_EARLY = 1e-6  # seconds; a timer may fire a tick of the clock too early
_SAME = 1e-9  # of a step: what floats leave of a moment that lies on the grid


def has_come(when: float) -> bool:
    """Return whether `loop.time()` is `when` by now, but for what a timer may be early."""
    return when - asyncio.get_running_loop().time() <= _EARLY


async def sleep_until(when: float) -> None:
    """Sleep until `loop.time()` is `when`, not less; a moment that has passed takes no time at all."""
    loop = asyncio.get_running_loop()
    while when - loop.time() > _EARLY:
        waiter: asyncio.Future[None] = loop.create_future()
        await _woken(waiter, loop.call_at(when, _wake, waiter))


async def turn() -> None:
    """Let every task that is ready now go first; unlike after `asyncio.sleep(0)` that holds on every kind of loop."""
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    await _woken(waiter, loop.call_soon(_wake, waiter))


async def _woken(waiter: asyncio.Future[None], handle: asyncio.Handle) -> None:
    try:
        await waiter
    finally:
        handle.cancel()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def seconds_of(name: str, value: float) -> float:
    """Return a duration, a rate or the like as a float, or refuse it as `check_capacity` does, naming the argument."""
    check_capacity(name, value, whole=False)
    try:
        return float(value)
    except OverflowError:
        raise UsageError(f"{name} is too large for a clock; a year has 31,536,000 seconds.") from None


class Grid:
    """The moments `start`, `start + step`, `start + 2 * step`, ...: each reckoned from the start, so nothing drifts.

    Example: `grid = Grid(loop.time(), 60.0)`, then `await sleep_until(grid.moment(grid.next(loop.time())))`.

    Args:
        start: moment number 0, in seconds of `loop.time()`.
        step: seconds from one moment to the next.
    """

    def __init__(self, start: float, step: float) -> None:
        """Lay the grid."""
        self._start = start
        self._step = step

    def moment(self, number: int) -> float:
        """Return when the moment with this number is."""
        return self._start + number * self._step

    def next(self, time: float) -> int:
        """Return the number of the first moment that is not before `time`."""
        steps = (time - self._start) / self._step
        return math.ceil(steps - _SAME) if math.isfinite(steps) else 0
