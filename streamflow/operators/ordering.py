"""Operators that combine sources by the order of their items: merge_sorted.

What lives here: merging what is sorted. What must not: sorting, which would have to hold everything.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator, Callable, Sequence
from inspect import isawaitable
from typing import Any, TypeAlias, TypeVar, overload

from streamflow.engine.inlet import NONE, Inlet
from streamflow.engine.inlets import Inlets, inlets_of
from streamflow.errors import FormatError
from streamflow.machinery.functions.per_item import check_callable
from streamflow.machinery.several.combinations import Merged
from streamflow.types import MaybeAwaitable, SourceLike

__all__ = ["merge_sorted"]

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")

Output = AsyncGenerator[Any, None]

_Head: TypeAlias = "tuple[Any, int, int, Any, Inlet[Any]]"  # its key, the source's number, its own number, the item


@overload
def merge_sorted(
    source: SourceLike[T1], /, *, key: Callable[[T1], MaybeAwaitable[Any]] | None = ..., reverse: bool = ...
) -> Merged[T1]: ...
@overload
def merge_sorted(
    source: SourceLike[T1],
    source2: SourceLike[T2],
    /,
    *,
    key: Callable[[T1 | T2], MaybeAwaitable[Any]] | None = ...,
    reverse: bool = ...,
) -> Merged[T1 | T2]: ...
@overload
def merge_sorted(
    source: SourceLike[T1],
    source2: SourceLike[T2],
    source3: SourceLike[T3],
    /,
    *,
    key: Callable[[T1 | T2 | T3], MaybeAwaitable[Any]] | None = ...,
    reverse: bool = ...,
) -> Merged[T1 | T2 | T3]: ...
@overload
def merge_sorted(
    *sources: SourceLike[T], key: Callable[[T], MaybeAwaitable[Any]] | None = ..., reverse: bool = ...
) -> Merged[T]: ...
def merge_sorted(
    *sources: SourceLike[Any], key: Callable[[Any], MaybeAwaitable[Any]] | None = None, reverse: bool = False
) -> Merged[Any]:
    """Merge sources that are sorted already into one sorted stream.

    Example: `await sf.pipeline(sf.merge_sorted([1, 4, 6], [2, 5]), sf.collect())` gives `[1, 2, 4, 5, 6]`.

    * emits when: each source that has not ended has an item; the smallest leaves.
    * backpressures when: the stage below does; one item of each source is held, up to 17 where the stage
      below takes them without a pause.
    * completes when: all sources have ended.
    * on error: of a source or of `key`: raised when its next item is needed; the others are closed.
    * on early stop: all sources are closed, each in its own task.

    Equal items leave in the order of their sources. A source that turns out not to be sorted is an error: the output
    would be silently wrong.

    Args:
        sources: what is merged with the input, or with each other; each is sorted.
        key: returns (or, as a coroutine function, awaits) what to compare an item by; default: the item itself.
        reverse: the sources are sorted from large to small, and so is the output.

    Raises `UsageError` for what cannot be a source, and when `key` is no callable; `FormatError` that names the item
    which is out of order. Cancellation: all sources are closed; items that are held are dropped.
    """
    if key is not None:
        check_callable("merge_sorted(key)", key)

    async def merged(sources: Sequence[SourceLike[Any]]) -> Output:
        keys = _Keys(key, reverse=reverse)
        async with inlets_of("merge_sorted", sources) as inlets:
            heads = await _first_of_each(inlets, keys)
            while heads:
                before, number, count, item, inlet = heads[0]
                yield item
                item = next(inlet.hand, NONE)
                if item is NONE and (item := await inlets.next_of(inlet)) is NONE:
                    heapq.heappop(heads)
                    continue
                value = await keys.of(item) if keys.awaited else keys.now(item)
                if value < before:
                    raise _out_of_order(inlet, count + 1)
                heapq.heapreplace(heads, (value, number, count + 1, item, inlet))

    return Merged.of("merge_sorted", sources, merged, rows=True)


async def _first_of_each(inlets: Inlets[Any], keys: _Keys) -> list[_Head]:
    heads: list[_Head] = [
        (await keys.of(item), inlet.number, 1, item, inlet)
        for inlet in tuple(inlets.all)
        if (item := await inlets.next_of(inlet)) is not NONE
    ]
    heapq.heapify(heads)
    return heads


def _out_of_order(inlet: Inlet[Any], count: int) -> FormatError:
    return FormatError(
        f"merge_sorted: {inlet} is not sorted: its item {count} belongs before item {count - 1}. "
        f"Sort it first, or give the key= and reverse= that it is sorted by."
    )


class _Keys:
    """What items are compared by. The first result tells whether the callable has to be awaited."""

    def __init__(self, key: Callable[[Any], Any] | None, *, reverse: bool) -> None:
        self._key = key or _itself
        self._reverse = reverse
        self.awaited = False
        self.now: Callable[[Any], Any] = (lambda item: _Down(self._key(item))) if reverse else self._key

    async def of(self, item: Any) -> Any:
        value = self._key(item)
        if self._key is not _itself and isawaitable(value):
            self.awaited = True
            value = await value
        return _Down(value) if self._reverse else value


def _itself(item: T) -> T:
    return item


class _Down:
    """A key that is the smaller the larger its value is."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __lt__(self, other: _Down) -> Any:
        return other._value < self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Down) and bool(self._value == other._value)

    __hash__ = None  # type: ignore[assignment]  # a key that is compared, never looked up
