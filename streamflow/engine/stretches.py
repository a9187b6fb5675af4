"""A synchronous source as the input of a fused chain: stretch by stretch.

What lives here: `Stretches`, which gives a plain iterator the face of a `Reader`. What must not: stages, channels.

A chain that drops every item never gets to its output, where the clock is looked at. So its input is cut: between two
stretches the other tasks have their turn, even under an endless source of which nothing passes (P8).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Generic, TypeVar

from streamflow.engine.budget import Budget
from streamflow.engine.chain import Brink

__all__ = ["Stretches"]

T = TypeVar("T")


class Stretches(Generic[T]):
    """Takes from `items`, lazily, as many at once as the budget allows."""

    def __init__(self, items: Iterator[T], budget: Budget) -> None:
        """Take nothing yet."""
        self._brink = Brink()
        self._items: Iterator[T] = itertools.chain(items, self._brink.items)
        self._budget = budget

    def take(self, _limit: int = 0) -> Iterator[T] | None:
        """Return the next stretch; `None` where `wait_hand` has to pause or to say that the source has ended."""
        return None if self._brink.reached or self._budget.look() else itertools.islice(self._items, self._budget.size)

    async def next_hand(self) -> Iterator[T] | None:
        """Return the next stretch, after a turn of the other tasks where it is due; `None` at the end."""
        return self.take() or await self.wait_hand()

    async def wait_hand(self, _limit: int = 0) -> Iterator[T] | None:
        """Give the other tasks a turn; then return the next stretch, `None` at the end."""
        if self._brink.reached:
            return None
        await self._budget.pause()
        return itertools.islice(self._items, self._budget.size)
