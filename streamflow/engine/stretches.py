"""A synchronous source as the input of a fused chain: stretch by stretch.

What lives here: `Stretches`, which gives a plain iterator the face of a `Reader`. What must not: stages, channels.

A chain that drops every item never gets to its output, where the clock is looked at. So its input is cut: between two
stretches the other tasks have their turn, even under an endless source of which nothing passes (P8).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from streamflow.channel.storage import speedups
from streamflow.engine.budget import Budget
from streamflow.engine.gates import make_brink

if TYPE_CHECKING:
    from streamflow.channel._speed import Gate

__all__ = ["Stretches", "stretches"]


class Stretches:
    """Takes from `items`, lazily, as many at once as the budget allows."""

    def __init__(self, items: Iterator[Any], budget: Budget) -> None:
        """Take nothing yet."""
        self._brink = make_brink()
        self._items = self._brink.over(items)
        self._budget = budget

    @property
    def count(self) -> int | None:
        """How many were taken; `None` where nobody counted."""
        return None

    def take(self, _limit: int = 0) -> Iterator[Any] | None:
        """Return the next stretch; `None` where `wait_hand` has to pause or to say that the source has ended."""
        return None if self._ended() or self._budget.look() else self._cut()

    async def next_hand(self) -> Iterator[Any] | None:
        """Return the next stretch, after a turn of the other tasks where it is due; `None` at the end."""
        return self.take() or await self.wait_hand()

    async def wait_hand(self, _limit: int = 0) -> Iterator[Any] | None:
        """Give the other tasks a turn; then return the next stretch, `None` at the end."""
        if self._ended():
            return None
        await self._budget.pause()
        return self._cut()

    def stop(self) -> None:
        """Take no more from the source: it ends here, at the latest when the stretch does that is being taken."""
        self._items = self._brink.over(iter(()))

    def let_go(self) -> None:
        """Hold the source no more; the count stays."""
        self._items = iter(())

    def _ended(self) -> bool:
        return self._brink.dry

    def _cut(self) -> Iterator[Any]:
        return itertools.islice(self._items, self._budget.size)


class _Gated(Stretches):
    """The same with one gate that cuts, counts and knows the end."""

    def __init__(self, items: Iterator[Any], budget: Budget) -> None:
        self._gate: Gate = speedups.Gate().over(items)
        self._source = items  # it may be at work when it is stopped: the gate alone would let go of it
        self._budget = budget

    @property
    def count(self) -> int:
        return self._gate.count

    def stop(self) -> None:
        self._gate.over(iter(()))

    def let_go(self) -> None:
        self._gate.over(iter(()))
        self._source = iter(())

    def _ended(self) -> bool:
        return self._gate.ended

    def _cut(self) -> Iterator[Any]:
        return self._gate.let(self._budget.size)


def stretches(items: Iterator[Any], budget: Budget) -> Stretches:
    """Return `items` as the input of a chain."""
    return (Stretches if speedups is None else _Gated)(items, budget)
