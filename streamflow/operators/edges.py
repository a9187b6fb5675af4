"""Operators at the two ends of a stream: what comes before, after, instead of nothing, and all of it again.

What lives here: prepend, append, default_if_empty, cycle, repeat. What must not: joining streams (combining.py),
beginning again because of an error (recovery.py).

`cycle` and `repeat` read what stands above them from its start again: each round is a run of its own. A source that is
an iterator would give nothing in the second round, as if it were empty, so it is refused then (P2).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, cast

from streamflow.engine.feeding import reading
from streamflow.engine.nested import told_to_end
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.stage_shapes import Adding, Passing
from streamflow.machinery.variables import A, B
from streamflow.resolving import parts_of
from streamflow.stages import Source, Stage
from streamflow.types import SourceLike

__all__ = ["append", "cycle", "default_if_empty", "prepend", "repeat"]


def prepend(*items: B) -> Adding[B]:
    """Emit these items first, before the input is asked for anything, and then the input.

    Example: `await sf.stream(["1,10", "2,20"]).prepend("id,amount").collect()` gives `["id,amount", "1,10", "2,20"]`.

    * emits when: at once; then when an item comes.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: passes it on, after these items.
    * on early stop: nothing to undo.

    It has a task of its own, as it must not wait for the input. A whole stream before this one: `chain`.

    Args:
        items: what to emit, each as one item.

    Raises `UsageError` when there is none. Cancellation: nothing to undo.
    """
    _check_some("prepend", items)

    async def prepended(rest: AsyncIterable[A]) -> AsyncGenerator[A | B, None]:
        for first in items:
            yield first
        async for item in rest:
            yield item

    return Adding(prepended, name="prepend", holds_items=len(items))


def append(*items: B) -> Adding[B]:
    """Emit these items after the last one of the input.

    Example: `await sf.pipeline(["1,10", "2,20"], sf.append("total,30"), sf.collect())` gives
    `["1,10", "2,20", "total,30"]`.

    * emits when: an item comes; these when the input has ended.
    * backpressures when: the stage below does.
    * completes when: the input ended and these items are emitted.
    * on error: passes it on; these items are not emitted, so nothing cut looks whole.
    * on early stop: these items are not emitted.

    A whole stream after this one: `chain`.

    Args:
        items: what to emit, each as one item.

    Raises `UsageError` when there is none. Cancellation: these items are not emitted.
    """
    _check_some("append", items)
    return Adding(name="append", transform=lambda: _Append(items), holds_items=len(items))


def _check_some(operator: str, items: tuple[object, ...]) -> None:
    if not items:
        raise UsageError(f"{operator}() has no effect without items: write {operator}(first, second).")


class _Append:
    done = False

    def __init__(self, items: tuple[Any, ...]) -> None:
        self._items = items

    def apply(self, items: Iterator[Any], /) -> Iterator[Any]:
        return items

    def finish(self) -> Iterator[Any]:
        return iter(self._items)


class _DefaultIfEmpty:
    done = False

    def __init__(self, item: Any) -> None:
        self._instead: tuple[Any, ...] = (item,)

    def apply(self, items: Iterator[Any], /) -> Iterator[Any]:
        return self._watch(items) if self._instead else items

    def _watch(self, items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            self._instead = ()
            yield item
            yield from items

    def finish(self) -> Iterator[Any]:
        return iter(self._instead)


def default_if_empty(item: B) -> Adding[B]:
    """Pass the input; if it ends without a single item, emit `item` instead.

    Example: `await sf.pipeline([], sf.default_if_empty("nothing found"), sf.collect())` gives `["nothing found"]`.

    * emits when: an item comes; `item` when the input has ended and none came.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: passes it on; `item` is not emitted.
    * on early stop: nothing to undo.

    Args:
        item: what to emit then; `None` is an item.

    Raises `UsageError` never. Cancellation: nothing to undo.
    """
    return Adding(name="default_if_empty", transform=lambda: _DefaultIfEmpty(item))


def cycle() -> Passing[object]:
    """Read the input again whenever it has ended, for ever; every time the source is opened anew.

    Example: `await sf.stream(["red", "green"]).cycle().take(5).collect()` gives
    `["red", "green", "red", "green", "red"]`.

    * emits when: an item comes.
    * backpressures when: the stage below does.
    * completes when: a round gives no item at all; otherwise never.
    * on error: passes it on; the input is not read again.
    * on early stop: the round that runs is stopped and closed.

    Unlike `itertools.cycle` it remembers nothing: each round is a new run of the source and of the stages
    above. So the source must be one that can be read again: a list, a generator function, a file to read. An iterator
    or a generator that runs already gives an error at the second round, and never a silent end.

    Raises `UsageError` for such a source. Cancellation: the round that runs is stopped and closed.
    """

    async def cycled(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        source, came = _again("cycle()", items), True
        while came and not told_to_end():
            came = False
            async with reading(source, maxsize=_AHEAD) as reader:
                async for item in reader:
                    came = True
                    yield item

    return Passing(cycled, name="cycle", holds_items=2 * _AHEAD + 1, reopens=True)


def repeat(times: int) -> Passing[object]:
    """Read the input `times` times, one after another; every time the source is opened anew.

    Example: `await sf.stream([1, 2]).repeat(3).collect()` gives `[1, 2, 1, 2, 1, 2]`.

    * emits when: an item comes.
    * backpressures when: the stage below does.
    * completes when: the last round has ended; a round may be empty.
    * on error: passes it on; the input is not read again.
    * on early stop: the round that runs is stopped and closed.

    The source must be one that can be read again, as for `cycle`.

    Args:
        times: how many times in all, at least 1.

    Raises `UsageError` for anything but a whole number of at least 1, and at the second round for a source that can be
    read only once. Cancellation: the round that runs is stopped and closed.
    """
    check_capacity("repeat(times)", times)

    async def repeated(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        source = _again(f"repeat({times})", items)
        for _ in range(times):
            if told_to_end():
                return
            async with reading(source, maxsize=_AHEAD) as reader:
                async for item in reader:
                    yield item

    return Passing(repeated, name=f"repeat({times})", holds_items=2 * _AHEAD + 1, reopens=True)


_AHEAD = 64
"""How many items of a round are read ahead at most."""


def _again(operator: str, items: SourceLike[A]) -> SourceLike[A]:
    """Return the same input with a source that refuses to be opened a second time if it can be read only once."""
    source, stages = parts_of(items)
    return cast("SourceLike[A]", _Parts(replace(source, open=_Opener(operator, source)), stages))


class _Parts:
    """A stream as `reading` takes it."""

    def __init__(self, source: Source[Any], stages: tuple[Stage[Any, Any], ...]) -> None:
        self.__streamflow_parts__ = source, stages


class _Opener:
    """Opens a source, and notices when it gives the very same iterator as before."""

    def __init__(self, operator: str, source: Source[Any]) -> None:
        self._operator = operator
        self._source = source
        self._before: object = None

    def __call__(self) -> SourceLike[Any]:
        opened = self._source.open()
        if opened is self._before and isinstance(opened, (Iterator, AsyncIterator)):
            raise UsageError(
                f"{self._operator} must read its source again, and {self._source.name!r} is an iterator, which can be "
                f"read only once. Pass a list, or the generator function without calling it."
            )
        self._before = opened
        return opened
