"""Fused synchronous stages as one chain of C iterators, with exact counts between them.

What lives here: building the chain over a stretch of input, and counting what passes between its stages. What must not:
waiting, channels.

How it counts for (almost) nothing: the number of items at an *edge* (before, between and after the stages) follows from
the neighbouring edge wherever a stage emits exactly one item for each. Only where it does not, a tally is put in:
`compress(items, ones)` with `ones = repeat(True, N)` passes every item through in C, and `length_hint(ones)` says how
many have passed.

How it knows that the input really ended: a `StopIteration` that escapes from a user's function looks to `map` like the
end of its input, and rows would be lost silently (H36). So behind the input stands a `Brink` that notes when it is
reached; a chain that ends before is an error.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from operator import length_hint
from typing import Any

from streamflow.engine.blame import Blame
from streamflow.errors import StageError
from streamflow.stages import Stage
from streamflow.types import Transform

__all__ = ["Brink", "Chain", "Tally"]

_MANY = (1 << 63) - 1

# Iterators that give nothing of their own: when what they take from is empty, so are they.
_PASSING = {map, filter, itertools.compress}
# Iterators that take an item only when they are asked for one, and end only when what they take from has ended.
_LAZY = {*_PASSING, itertools.chain}
_HAND: type = type(iter([]))


class Tally:
    """Counts what passes, at C speed."""

    def __init__(self) -> None:
        """Nothing has passed."""
        self._ones = itertools.repeat(True, _MANY)  # noqa: FBT003  # any true thing would do

    def apply(self, items: Iterator[Any]) -> Iterator[Any]:
        """Count every item of an iterator as it passes."""
        return itertools.compress(items, self._ones)

    def note(self) -> None:
        """Count one item."""
        next(self._ones)

    @property
    def count(self) -> int:
        """How many have passed."""
        return _MANY - length_hint(self._ones)


class Brink:
    """The end of a stretch of input: an empty iterator that tells whether it was asked.

    It is made of C parts, as `Tally` is: to learn that nothing passes the filter, the one `None` must have been taken.
    """

    __slots__ = ("_mark", "items")

    def __init__(self) -> None:
        """Nobody has asked."""
        self._mark = itertools.repeat(None, 1)
        self.items: Iterator[Any] = filter(None, self._mark)

    @property
    def reached(self) -> bool:
        """Whether it was asked for an item."""
        return not length_hint(self._mark)


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
                self._tallies[edge] = Tally()
                known.add(group)
        self.blame = Blame(self.stages, self.transforms)
        self._brinks: dict[int, Brink] = {}
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
                self._steps.append((edge, self._tallies[edge].apply))
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
        return self._wrap(hand, 0)

    def _wrap(self, items: Iterator[Any], first: int) -> Iterator[Any]:
        self._brinks = {}
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
        self._brinks[edge] = brink = Brink()
        return itertools.chain(items, brink.items)

    def is_dry(self, hand: Iterator[Any]) -> bool:
        """Whether it is certain, without asking the chain, that it has nothing more to give over this hand."""
        return self._passing and type(hand) is _HAND and not length_hint(hand)

    def check_ended(self) -> None:
        """Call when the chain gave nothing more: raise if that was a stray StopIteration, not the end of its input."""
        done = self.done_at()
        for edge, brink in self._brinks.items():
            # What stands before a stage that has enough need not have ended.
            if not brink.reached and (done is None or edge > done):
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
        self._steps, self._begins = [], []
        self._lay_out()

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
