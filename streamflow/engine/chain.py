"""Fused synchronous stages as one chain of C iterators, with exact counts between them.

What lives here: building the chain over a stretch of input, counting what passes between its stages, and telling which
stage an error came from. What must not: waiting, channels.

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
from types import CodeType, TracebackType
from typing import Any

from streamflow.errors import StageError
from streamflow.stages import Stage
from streamflow.types import Transform

__all__ = ["Brink", "Chain"]

_MANY = (1 << 63) - 1

# Iterators that give nothing of their own: when what they take from is empty, so are they.
_PASSING = {map, filter, itertools.compress}
_HAND = type(iter([]))


class _Tally:
    """Counts what passes, at C speed."""

    def __init__(self) -> None:
        self._ones = itertools.repeat(True, _MANY)

    def apply(self, items: Iterator[Any]) -> Iterator[Any]:
        return itertools.compress(items, self._ones)

    @property
    def count(self) -> int:
        return _MANY - length_hint(self._ones)


class Brink:
    """The end of a stretch of input: an empty iterator that tells whether it was asked.

    It is made of C parts, as `_Tally` is: to learn that nothing passes the filter, the one `None` must have been taken.
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
        self.transforms: list[Transform[Any, Any]] = [stage.transform() for stage in stages if stage.transform is not None]
        self._tallies: dict[int, _Tally] = {}
        self._group_of = self._groups()
        known = {self._group_of[-1]} | (set() if from_source else {self._group_of[0]})
        for edge, group in enumerate(self._group_of):
            if group not in known:
                self._tallies[edge] = _Tally()
                known.add(group)
        self._brink = Brink()
        self._passing = False
        self._steps: list[Callable[[Iterator[Any]], Iterator[Any]]] = []
        self._begins: list[int] = []
        self._lay_out()

    def _lay_out(self) -> None:
        """List what stands behind one another, transforms and tallies, and where each edge begins."""
        for edge in range(len(self.transforms) + 1):
            self._begins.append(len(self._steps))
            if edge in self._tallies:
                self._steps.append(self._tallies[edge].apply)
            if edge < len(self.transforms):
                self._steps.append(self.transforms[edge].apply)

    def _groups(self) -> list[int]:
        """Number the edges so that edges that must have the same count get the same number."""
        groups = [0]
        for stage in self.stages:
            groups.append(groups[-1] if stage.one_to_one else groups[-1] + 1)
        return groups

    def over(self, hand: Iterator[Any]) -> Iterator[Any]:
        """Return the chain over a stretch of input."""
        self._brink = brink = Brink()
        return self._wrap(itertools.chain(hand, brink.items), 0)

    def _wrap(self, items: Iterator[Any], first: int) -> Iterator[Any]:
        passing = True
        for step in self._steps[self._begins[first] :] if first else self._steps:
            items = step(items)
            passing = passing and type(items) in _PASSING
        self._passing = passing
        return items

    def is_dry(self, hand: Iterator[Any]) -> bool:
        """Whether it is certain, without asking the chain, that it has nothing more to give over this hand."""
        return self._passing and type(hand) is _HAND and not length_hint(hand)

    def prefix(self, hand: Iterator[Any], length: int) -> Iterator[Any]:
        """Return the chain of only the first `length` transforms over a stretch of input."""
        items = hand
        for transform in self.transforms[:length]:
            items = transform.apply(items)
        return items

    def check_ended(self) -> None:
        """Call when the chain gave nothing more: raise if that was not the end of its input but a stray StopIteration."""
        if not self._brink.reached and self.done_at() is None:
            names = " + ".join(stage.name for stage in self.stages)
            raise StageError(
                f"a function in {names!r} raised StopIteration, which would have ended the stream silently; "
                f"write next(iterator, default) in it, or catch StopIteration"
            )

    def done_at(self) -> int | None:
        """The index of the last transform that has enough, if any."""
        done = None
        for at, transform in enumerate(self.transforms):
            if transform.done:
                done = at
        return done

    def tails(self) -> Iterator[Iterator[Any]]:
        """At the clean end: what each transform still emits, through those after it.

        When one has enough, what those before it still hold is not wanted: nested generators would be closed there (P3).
        """
        for at in range(self.done_at() or 0, len(self.transforms)):
            yield self._wrap(self.transforms[at].finish(), at + 1)

    def counts(self, came: int | None, went: int) -> list[int]:
        """Return the count at every edge, given what came in by the channel before (`None`: source) and what went out."""
        by_group = {self._group_of[edge]: tally.count for edge, tally in self._tallies.items()}
        by_group[self._group_of[-1]] = went
        if came is not None:
            by_group[self._group_of[0]] = came
        return [by_group[group] for group in self._group_of]

    def guilty(self, error: BaseException) -> int | None:
        """Return the index of the stage that raised: the one whose function is in the traceback; `None` if unknown."""
        codes = set(_codes_of(error.__traceback__))
        silent = None
        for at, stage in enumerate(self.stages):
            code = _code_of(stage.callable)
            if code in codes:
                return at
            if code is None:
                silent = at if silent is None else silent
        return silent


def _codes_of(traceback: TracebackType | None) -> Iterator[CodeType]:
    while traceback is not None:
        yield traceback.tb_frame.f_code
        traceback = traceback.tb_next


def _code_of(function: Any) -> CodeType | None:
    """The code that shows in a traceback when this callable raises; `None` for builtins."""
    while hasattr(function, "func"):
        function = function.func
    code = getattr(function, "__code__", None) or getattr(getattr(type(function), "__call__", None), "__code__", None)
    return code if isinstance(code, CodeType) else None
