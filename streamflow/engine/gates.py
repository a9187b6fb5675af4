"""What stands between the stages of a fused chain and counts what passes, or tells that its input has ended.

What lives here: `Tally` and `Brink`, in Python out of C parts, or both in one as the `Gate` of channel/_speed.c. What
must not: stages, channels.

A tally is `compress(items, ones)` with `ones = repeat(True, N)`: it passes every item through in C, and
`length_hint(ones)` says how many have passed. A brink is an empty iterator behind the items that tells whether it was
asked.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from operator import length_hint
from typing import Any, Protocol, cast

from streamflow.channel.storage import speedups

__all__ = ["GATES", "Brink", "Tally", "make_brink", "make_tally"]

_MANY = (1 << 63) - 1


class Tally(Protocol):
    """Counts what passes, at C speed."""

    @property
    def count(self) -> int:
        """How many have passed."""

    def over(self, items: Iterator[Any], /) -> Iterator[Any]:
        """Count every item of an iterator as it passes."""

    def note(self) -> None:
        """Count one item."""


class Brink(Protocol):
    """Tells whether an iterator was asked for more than it has."""

    @property
    def dry(self) -> bool:
        """Whether it was asked for one item more than there were."""

    def over(self, items: Iterator[Any], /) -> Iterator[Any]:
        """Watch an iterator from now on, no other."""


class _Tally:
    def __init__(self) -> None:
        self._ones = itertools.repeat(True, _MANY)  # noqa: FBT003  # any true thing would do

    def over(self, items: Iterator[Any], /) -> Iterator[Any]:
        return itertools.compress(items, self._ones)

    def note(self) -> None:
        next(self._ones)

    @property
    def count(self) -> int:
        return _MANY - length_hint(self._ones)


class _Brink:
    """Made of C parts: to learn that nothing passes the filter, the one `None` must have been taken."""

    __slots__ = ("_mark",)

    def __init__(self) -> None:
        self._mark = itertools.repeat(None, 1)

    def over(self, items: Iterator[Any], /) -> Iterator[Any]:
        self._mark = itertools.repeat(None, 1)
        return itertools.chain(items, filter(None, self._mark))

    @property
    def dry(self) -> bool:
        return not length_hint(self._mark)


def make_tally() -> Tally:
    """Return a tally that has seen nothing."""
    return _Tally() if speedups is None else cast("Tally", speedups.Gate())


def make_brink() -> Brink:
    """Return a brink that watches nothing yet."""
    return _Brink() if speedups is None else cast("Brink", speedups.Gate())


GATES: tuple[type, ...] = () if speedups is None else (speedups.Gate,)
"""The types of iterators that are gates themselves: one of them needs no brink behind it and can be used again."""
