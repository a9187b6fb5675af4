"""Fused synchronous stages as one chain of C iterators, with exact counts between them.

What lives here: building the chain over a stretch of input, and counting what passes between its stages. What must not:
waiting, channels.

How it counts for (almost) nothing: the number of items at an *edge* (before, between and after the stages) follows from
the neighbouring edge wherever a stage emits exactly one item for each. Only where it does not, a tally is put in.

How it knows that the input really ended: a `StopIteration` that escapes from a user's function looks to `map` like the
end of its input, and rows would be lost silently (H36). So behind the input stands a brink that notes when it is
reached; a chain that ends before is an error.

Over each hand the chain is built anew, but for one that consists of `map`, `filter` and gates: these have no end of
their own, so it is kept, and its first gate is put over the next hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from operator import length_hint
from typing import TYPE_CHECKING, Any, cast

from streamflow.engine.blame import Blame
from streamflow.engine.gates import GATES, Brink, Tally, make_brink, make_tally
from streamflow.errors import StageError
from streamflow.stages import Stage
from streamflow.types import Transform

if TYPE_CHECKING:
    from streamflow.channel._speed import Gate

__all__ = ["Chain"]

# Iterators that give nothing of their own: when what they take from is empty, so are they.
_PASSING = {map, filter, itertools.compress, *GATES}
# Iterators that take an item only when they are asked for one, and end only when what they take from has ended.
_LAZY = {*_PASSING, itertools.chain}
_HAND: type = type(iter([]))


class Chain:
    """The transforms of one segment in one run.

    Edges are numbered 0 (before the first stage) to n (after the last); `from_source` says that edge 0 has no channel
    before it whose count is known.
    """

    def __init__(self, stages: Sequence[Stage[Any, Any]], *, from_source: bool) -> None:
        """Make fresh transforms, and the tallies they need."""
        self.stages = tuple(stages)
        self.transforms: list[Transform[Any, Any]] = [
            stage.transform() for stage in stages if stage.transform is not None
        ]
        self._tallies: dict[int, Tally] = {}
        self._group_of = self._groups()
        known = {self._group_of[-1]} | (set() if from_source else {self._group_of[0]})
        for edge, group in enumerate(self._group_of):
            if group not in known:
                self._tallies[edge] = make_tally()
                known.add(group)
        self.blame = Blame(self.stages, self.transforms)
        self._brinks: dict[int, Brink] = {}
        self._kept: Iterator[Any] | None = None
        self._next_tail: int | None = None
        self._passing = False
        self._steps: list[tuple[int, Callable[[Iterator[Any]], Iterator[Any]]]] = []
        self._begins: list[int] = []
        self._lay_out()

    def _lay_out(self) -> None:
        """List what stands behind one another, transforms and tallies, each with the edge it leads to."""
        for edge in range(len(self.transforms) + 1):
            self._begins.append(len(self._steps))
            if edge in self._tallies:
                self._steps.append((edge, self._tallies[edge].over))
            if edge < len(self.transforms):
                self._steps.append((edge + 1, self.transforms[edge].apply))

    def _groups(self) -> list[int]:
        """Number the edges so that edges that must have the same count get the same number."""
        groups = [0]
        for stage in self.stages:
            groups.append(groups[-1] if stage.one_to_one else groups[-1] + 1)
        return groups

    def over(self, hand: Iterator[Any]) -> Iterator[Any]:
        """Return the chain over a stretch of input."""
        if self._kept is not None:
            if type(hand) not in GATES:
                self._brinks[0].over(hand)
            return self._kept
        items = self._wrap(hand, 0)
        if GATES and self._passing:
            self._kept = items
        return items

    def _wrap(self, items: Iterator[Any], first: int) -> Iterator[Any]:
        self._brinks = {}
        self._kept = None
        passing = True
        items = self._with_brink(first, items)
        for edge, step in self._steps[self._begins[first] :] if first else self._steps:
            items = step(items)
            kind = type(items)
            if kind not in _PASSING:
                passing = False
                if kind not in _LAZY:
                    items = self._with_brink(edge, items)
        self._passing = passing
        return items

    def _with_brink(self, edge: int, items: Iterator[Any]) -> Iterator[Any]:
        if type(items) in GATES:  # a gate of its own kind of count; what it knows of its end serves here too
            self._brinks[edge] = cast("Brink", items)
            return items
        self._brinks[edge] = brink = make_brink()
        return brink.over(items)

    def is_dry(self, hand: Iterator[Any]) -> bool:
        """Whether it is certain, without asking the chain, that it has nothing more to give over this hand."""
        if type(hand) is _HAND:
            return self._passing and not length_hint(hand)
        return self._passing and type(hand) in GATES and not cast("Gate", hand).left

    def check_ended(self) -> None:
        """Call when the chain gave nothing more: raise if that was a stray StopIteration, not the end of its input."""
        for edge, brink in self._brinks.items():
            # What stands before a stage that has enough need not have ended.
            if not brink.dry and ((done := self.done_at()) is None or edge > done):
                raise self._stray_stop()

    def _stray_stop(self) -> StageError:
        calling = [at for at, stage in enumerate(self.stages) if stage.callable is not None] or [0]
        names = " + ".join(self.stages[at].name for at in calling)
        error = StageError(
            f"a function in {names!r} raised StopIteration, which would have ended the stream silently; "
            f"write next(iterator, default) in it, or catch StopIteration"
        )
        self.blame.mark(error, calling[0])
        return error

    def done_at(self) -> int | None:
        """The index of the last transform that has enough, if any."""
        done = None
        for at, transform in enumerate(self.transforms):
            if transform.done:
                done = at
        return done

    def tails(self) -> Iterator[Iterator[Any]]:
        """At the clean end: what each transform still emits, through those after it. Called again, it goes on.

        When one has enough, what those before it still hold is not wanted: nested generators would be closed there.
        """
        if self._next_tail is None:
            self._next_tail = self.done_at() or 0
        while self._next_tail < len(self.transforms):
            at = self._next_tail
            self._next_tail += 1
            yield self._wrap(self.transforms[at].finish(), at + 1)

    def cut(self, at: int) -> None:
        """Go on with only the stages before `at`; the edges after it are counted by `tally`."""
        del self.transforms[at:]
        self._brinks = {edge: brink for edge, brink in self._brinks.items() if edge <= at}
        self._steps, self._begins, self._kept = [], [], None
        self._lay_out()

    def let_go(self) -> None:
        """Hold no input any more: a report may be kept for long after its run. The counts stay."""
        self._brinks, self._kept = {}, None
        for tally in self._tallies.values():
            tally.over(iter(()))

    def tally(self, edge: int) -> Tally | None:
        """Return what counts at this edge, if its count does not follow from another one."""
        return self._tallies.get(edge)

    def counts(self, came: int | None, went: int, failed: int | None = None) -> list[int]:
        """Return the count at every edge.

        Args:
            came: what came in by the channel before; `None` for a source.
            went: what went out.
            failed: the stage that raised, if one did; up to there one item more has passed than went out.
        """
        by_group = {self._group_of[edge]: tally.count for edge, tally in self._tallies.items()}
        if came is not None:
            by_group[0] = came
        counts = []
        for edge, group in enumerate(self._group_of):
            passed = failed is None or edge > failed
            behind = passed and failed is not None and group == self._group_of[-1]
            counts.append(went if behind else by_group.get(group, went + (not passed)))
        return counts
