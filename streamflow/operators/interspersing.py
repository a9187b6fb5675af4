"""What stands between the items, and around them: intersperse.

What lives here: separators. What must not: what comes before or after without regard to them (edges.py), bytes and
formats (formats/).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

from streamflow.machinery.stage_shapes import Adding
from streamflow.machinery.variables import B
from streamflow.operators.sinks import MISSING

__all__ = ["intersperse"]


class _Intersperse:
    done = False

    def __init__(self, separator: Any, start: Any, end: Any) -> None:
        self._separator = separator
        self._start = () if start is MISSING else (start,)
        self._end = () if end is MISSING else (end,)
        self._begun = False

    def apply(self, items: Iterator[Any], /) -> Iterator[Any]:
        return self._separated(items) if self._begun else self._begin(items)

    def _begin(self, items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            self._begun = True
            yield from self._start
            yield item
            yield from self._separated(items)
            return  # not the next round: were a StopIteration out of a function what ended it, that would hide it (H36)

    def _separated(self, items: Iterator[Any]) -> Iterator[Any]:
        return chain.from_iterable(zip(repeat(self._separator), items))  # `repeat` never ends

    def finish(self) -> Iterator[Any]:
        return chain(() if self._begun else self._start, self._end)


def intersperse(separator: B, *, start: B = MISSING, end: B = MISSING) -> Adding[B]:
    """Put `separator` between each two items, and, where they are given, `start` before the first and `end` at the end.

    Example: `await sf.stream(["1", "2"]).intersperse(",", start="[", end="]").collect()` gives
    `["[", "1", ",", "2", "]"]`.

    * emits when: an item comes: `start` or the separator, then the item; `end` when the input has ended.
    * backpressures when: the stage below does.
    * completes when: the input ended and `end` is emitted. An empty input gives `start` and `end`.
    * on error: passes it on after the items before it; `end` is not emitted, so nothing cut looks whole.
    * on early stop: `end` is not emitted.

    The separator comes with the item after it, so it never stands at the end. `start` comes with the first item too:
    what must be sent at once, before there is any item, goes into `sf.prepend`.

    Args:
        separator: what stands between two items, as one item; `None` is one.
        start: what to emit before the first item; without it nothing.
        end: what to emit after the last one, at the clean end only; without it nothing.

    Raises `UsageError` never. Cancellation: nothing to undo.
    """
    return Adding(name="intersperse", transform=lambda: _Intersperse(separator, start, end))
