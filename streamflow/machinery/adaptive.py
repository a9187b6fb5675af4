"""How many calls at once a service bears, found out while they run.

What lives here: `Adaptive`, the description, and `Limiter`, which finds the limit in one run. What must not: workers
and calls (ruled_crew.py, calling.py).

How it works: additive increase, multiplicative decrease, as TCP finds the speed of a line. Calls are looked at in
rounds of as many as may run at once (at least four). The mean seconds of a round are compared with the best that was
seen, smoothed:

* Slower than `tolerance` times the best: the service queues what it gets, so the limit is multiplied by `decrease`.
  The same at once when a retry had to hide an error. Calls that began before a cut say nothing about the new limit and
  are not looked at, so one overload cuts once.
* Slower only as far as chance may be (twice the standard error of the mean, from the spread within the round): no cut.
  Without this, calls of very different length would keep the limit at its lowest.
* Not slower, and the limit was reached in the round: one more at once. Until the first cut twice as many instead.
* `tolerance * decrease` is below 1: after a cut fewer calls run than where calls began to slow down, so the best is
  measured afresh there, and cannot creep upwards with the load that the limit itself makes.
* A best that has become wrong (the service is slower today) is forgotten little by little.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from streamflow.callables import is_coroutine_function
from streamflow.errors import UsageError
from streamflow.limits import check_capacity

__all__ = ["Adaptive", "Limiter"]

_SMALLEST_ROUND = 4
_LEARNING = 0.5  # of the way from the best to a better round
_FORGETTING = 0.02  # of the way from the best to a worse round
_CHANCE = 2.0  # standard errors of the mean


@dataclass(frozen=True, slots=True)
class Adaptive:
    """A concurrency that finds its own limit: more calls while they stay quick, fewer when they become slow or fail.

    Example: `sf.map(fetch, concurrency=sf.Adaptive(high=200, on_change=gauge.set))`

    Args:
        low: the limit to start with, which it never goes below.
        high: the limit it never goes above.
        tolerance: by which factor calls may become slower than they are when few run, above 1.
        decrease: what the limit is multiplied by when they do, below `1 / tolerance`.
        on_change: a (sync) function called with the new limit each time it changes.

    Raises `UsageError` for numbers that cannot mean anything.
    """

    low: int = 1
    high: int = 64
    tolerance: float = field(default=1.4, kw_only=True)
    decrease: float = field(default=0.65, kw_only=True)
    on_change: Callable[[int], object] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_capacity("Adaptive(low)", self.low)
        check_capacity("Adaptive(high)", self.high)
        check_capacity("Adaptive(tolerance)", self.tolerance, whole=False)
        check_capacity("Adaptive(decrease)", self.decrease, whole=False)
        told: object = self.on_change
        if told is not None and (not callable(told) or is_coroutine_function(told)):
            raise UsageError(f"Adaptive(on_change) must be a plain function of the limit, not {told!r:.60}.")
        if self.low >= self.high:
            raise UsageError(
                f"Adaptive(low={self.low}, high={self.high}) leaves nothing to find out; write low below high, or "
                f"concurrency={self.high} for a fixed limit."
            )
        if self.tolerance <= 1:
            raise UsageError(f"Adaptive(tolerance) must be above 1, not {self.tolerance!r}: a factor of the best.")
        if self.tolerance * self.decrease >= 1:
            raise UsageError(
                f"Adaptive(decrease={self.decrease:g}) must be below 1 / tolerance = {1 / self.tolerance:.2g}, or the "
                f"limit would stay where calls are slow already."
            )


class Limiter:
    """The limit of one run."""

    def __init__(self, adaptive: Adaptive) -> None:
        """Begin with the lowest limit."""
        self.limit = adaptive.low
        self._adaptive = adaptive
        self._rising_fast = True
        self.age = 0
        self._at_work = 0
        self._best: float | None = None
        self._begin_round()

    def _begin_round(self) -> None:
        self._seconds: list[float] = []
        self._most = self._at_work

    def began(self) -> int:
        """Note that a call begins; what is returned is to be given back at its end."""
        self._at_work += 1
        self._most = max(self._most, self._at_work)
        return self.age

    def ended(self, age: int, seconds: float | None) -> None:
        """Note that a call ended after so many seconds; `None` when it failed, which says nothing of its speed."""
        self._at_work -= 1
        if age != self.age or seconds is None:
            return
        self._seconds.append(seconds)
        if len(self._seconds) >= max(_SMALLEST_ROUND, self.limit):
            self._judge(*_mean_and_error(self._seconds))
            self._begin_round()

    def struggled(self, age: int) -> None:
        """Note that a call failed and is tried again."""
        if age == self.age:
            self._cut()

    def _judge(self, mean: float, error: float) -> None:
        best = mean if self._best is None else self._best
        self._best = best + (mean - best) * (_LEARNING if mean < best else _FORGETTING)
        if mean - _CHANCE * error > self._adaptive.tolerance * best:
            self._cut()
            return
        if self._most >= self.limit:
            self._change(2 * self.limit if self._rising_fast else self.limit + 1)

    def _cut(self) -> None:
        self._rising_fast = False
        self.age += 1
        self._change(int(self.limit * self._adaptive.decrease))
        self._begin_round()

    def _change(self, limit: int) -> None:
        limit = min(max(limit, self._adaptive.low), self._adaptive.high)
        if limit != self.limit:
            self.limit = limit
            if self._adaptive.on_change is not None:
                self._adaptive.on_change(limit)


def _mean_and_error(seconds: list[float]) -> tuple[float, float]:
    """Return the mean and its standard error."""
    count = len(seconds)
    mean = sum(seconds) / count
    variance = sum((each - mean) ** 2 for each in seconds) / (count - 1)
    return mean, math.sqrt(variance / count)
