"""Whether a pipeline that ended is started again, and after what pause.

What lives here: `Restart`, the rule as a value, and `Restarts`, the account of one pipeline. What must not: running
anything, waiting (kept.py).

A rule has two halves. The backoff says how long to pause: each failure in a row doubles it, and when no failure lies in
the window any more it is short again. The window says when to stop trying: a pipeline that fails too often in it has a
fault that no restart mends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.policies import Backoff

__all__ = ["Restart", "Restarts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """When a supervised pipeline is started again.

    Example: `sf.Supervisor({"orders": orders}, restart=sf.Restart(max_restarts=10, within=600.0))`

    Args:
        max_restarts: how many failures within `within` seconds are answered by a restart; after one more the pipeline
            has failed for good. 0 never restarts; `None` sets no limit.
        within: seconds for which a failure counts.
        backoff: the pauses before the restarts.
        forever: start it again also when it ended by itself, after the first pause of the backoff. That is no failure.

    Raises `UsageError` for numbers that cannot mean anything. A `UsageError` of the pipeline is never answered by a
    restart: no attempt mends it.
    """

    max_restarts: int | None = 5
    within: float = 300.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.5))
    forever: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.max_restarts is not None and (self.max_restarts != 0 or isinstance(self.max_restarts, bool)):
            check_capacity("Restart(max_restarts)", self.max_restarts)
        check_capacity("Restart(within)", self.within, whole=False)
        if not isinstance(self.backoff, Backoff):
            raise UsageError(
                f"Restart(backoff) must be a Backoff, not {self.backoff!r:.60}. Write sf.Backoff(first=1)."
            )


class Restarts:
    """The failures and pauses of one pipeline, by a rule."""

    def __init__(self, rule: Restart) -> None:
        """Begin without failures."""
        self._rule = rule
        self._failures: deque[float] = deque()
        self._pauses: Iterator[float] = iter(rule.backoff)

    def after_failure(self, error: BaseException, now: float) -> float | None:
        """Return the pause in seconds before the restart, or `None` if there is none.

        Args:
            error: what it failed with.
            now: seconds of the loop's clock.
        """
        while self._failures and now - self._failures[0] >= self._rule.within:
            self._failures.popleft()
        if not self._failures:
            self._pauses = iter(self._rule.backoff)
        self._failures.append(now)
        enough = self._rule.max_restarts is not None and len(self._failures) > self._rule.max_restarts
        return None if enough or isinstance(error, UsageError) else next(self._pauses)

    def after_end(self) -> float | None:
        """Return the pause in seconds after an end that was none of a failure, or `None` if that was it."""
        return next(iter(self._rule.backoff)) if self._rule.forever else None

    def told(self) -> str:
        """Say how many there were of how many, for the log."""
        most = "" if self._rule.max_restarts is None else f" of {self._rule.max_restarts}"
        return f"restart {len(self._failures)}{most} within {self._rule.within:g} s"
