"""Whose turn it is among several sources: fair, weighted, or by priority.

What lives here: `Rounds`. What must not: opening and closing sources, waiting (engine/inlets.py).

A round goes through the sources in order; who has something gives one item, who has nothing is passed over. When nobody
has anything, all are asked and the first answer is waited for.

A source that is pulled on demand has nothing just after it gave an item, though it may have the next one at once. So
before it is passed over it is asked, and the other tasks get one turn of the loop. One that does not answer then is
given further turns ever more rarely, down to one in sixteen rounds: a source that always has items starves nobody, and
a quiet one costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Generic, TypeVar

from streamflow.engine.inlet import NONE, Inlet
from streamflow.engine.inlets import Inlets

__all__ = ["Rounds"]

T = TypeVar("T")

_RARELY = 16


class Rounds(Generic[T]):
    """The order in which one operator takes from its sources.

    Example:
        while await rounds.have_something():
            for item in rounds.items():
                yield item                     # it came from `rounds.at`

    Args:
        inlets: the sources.
        weights: how many turns each has in a round; `None` for one each.
        priority: an earlier source goes first whenever it has something.
        all_of_them: go on until all have ended; else end with the first that does.
    """

    def __init__(
        self,
        inlets: Inlets[T],
        *,
        weights: Sequence[int] | None = None,
        priority: bool = False,
        all_of_them: bool = True,
    ) -> None:
        """Take nothing yet."""
        self._inlets = inlets
        self._order = _spread(inlets.all, weights) if weights is not None else list(inlets.all)
        self._round = iter(self._order)
        self._again: list[Inlet[T]] = []
        self._priority = priority
        self._all = all_of_them
        self._begun = self._idle = self._pausing = False
        self.at: Inlet[T] = inlets.all[0] if inlets.all else Inlet(0, "")

    async def have_something(self) -> bool:
        """Wait until `items` may have something; `False` at the end. Cancellation: nothing was taken."""
        if not self._order:
            return False
        if self._idle:
            await self._inlets.wait(self._lacking())
        elif self._again:
            await self._give_turn()
        return True

    def _lacking(self) -> list[Inlet[T]]:
        return [inlet for inlet in self._inlets.all if inlet.lacks()]

    async def _give_turn(self) -> None:
        lacking = self._lacking()
        for inlet in lacking:
            if not inlet.passed:
                inlet.span = min(_RARELY, inlet.span * 2 or 1)
            inlet.passed = inlet.span
        await self._inlets.give_turn(lacking)

    def items(self) -> Iterator[T]:
        """Give items, taking each when it is asked for, until the sources have to be waited for.

        Raises the failure of a source at its turn: after the items that came before it.
        """
        if self._idle:
            self._round = iter(self._order)
        self._idle = self._pausing = False
        return self._first_come() if self._priority else self._in_turn()

    def _in_turn(self) -> Iterator[T]:
        gave = bool(self._again)
        while self._order:
            for inlet in chain(self._resumed(), self._round):
                item = next(inlet.hand, NONE)
                if item is NONE and (item := self._look(inlet)) is NONE:
                    if self._pausing:
                        return
                    continue
                gave = True
                self.at = inlet
                yield item
            self._round = iter(self._order)
            if not gave:
                self._idle = True
                return
            gave = False

    def _first_come(self) -> Iterator[T]:
        self._again.clear()
        while self._order:
            for inlet in self._order:
                item = next(inlet.hand, NONE)
                if item is NONE and (item := self._look(inlet)) is NONE:
                    if self._pausing:
                        return
                    continue
                self.at = inlet
                yield item
                break
            else:
                self._idle = True
                return

    def _resumed(self) -> list[Inlet[T]]:
        """Return the source at which the round was interrupted, to go on with."""
        again, self._again = self._again, []
        return again

    def _look(self, inlet: Inlet[T]) -> Any:
        """Return an item of a source whose hand is empty, if there is one; else note what is to be done about it."""
        if inlet.refill():
            inlet.passed = inlet.span = 0
            return next(inlet.hand)
        if inlet.ended:
            self._drop(inlet)
        elif inlet.passed:
            inlet.passed -= 1
        else:
            self._pausing = True
            self._idle = all(other.lacks() for other in self._order)
            if not self._idle:
                self._again.append(inlet)
        return NONE

    def _drop(self, ended: Inlet[T]) -> None:
        self._order = [inlet for inlet in self._order if inlet is not ended]
        if not self._all:
            self._order, self._pausing = [], True


def _spread(inlets: Sequence[Inlet[T]], weights: Sequence[int]) -> list[Inlet[T]]:
    """Lay out a round in which each source has its number of turns, evenly spread: A B A A for 3 and 1."""
    turns = [((turn + 0.5) / weight, number) for number, weight in enumerate(weights) for turn in range(weight)]
    return [inlets[number] for _, number in sorted(turns)]
