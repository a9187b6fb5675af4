"""Goals as data: which two contenders are compared, and what their ratio should be.

What lives here: the list's element, and forming the ratios from times. What must not: measuring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.processes import Times
from benchmarks.results import Ratio

__all__ = ["Goal", "judged"]


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio to form: `first / second`, names of contenders; without a limit it is only watched.

    `key` and `what` are those of the `Ratio`.
    """

    key: str
    what: str
    first: str
    second: str
    at_most: float | None = None
    at_least: float | None = None


def judged(goals: Sequence[Goal], times: Mapping[str, Times]) -> list[Ratio]:
    """The ratios of the goals whose two contenders ran: the median over the rounds, with the least and the most."""
    return [_ratio(goal, times) for goal in goals if goal.first in times and goal.second in times]


def _ratio(goal: Goal, times: Mapping[str, Times]) -> Ratio:
    pairs = zip(times[goal.first].nanoseconds, times[goal.second].nanoseconds, strict=True)
    found = [first / second for first, second in pairs]
    spread = f"{min(found):.3g} to {max(found):.3g}"
    return Ratio(goal.key, goal.what, median(found), goal.at_most, goal.at_least, spread=spread)
