"""Batches that fill: by count, by weight, and with a clock.

What lives here: the work behind `batched`. What must not: checking arguments (batching.py).
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterator
from inspect import isawaitable
from typing import Any, Generic

from streamflow.engine.feeding import reading
from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.limits import byte_size
from streamflow.machinery.variables import A
from streamflow.types import StageFunction

__all__ = ["Counted", "Weighed", "by_count_and_time", "by_weight_and_time", "bytes_of"]

INTERNAL = ("by_count_and_time", "by_weight_and_time", "bytes_of")


class Counted(Generic[A]):
    """By count only, without a clock: a transform at C speed."""

    done = False

    def __init__(self, n: int) -> None:
        """Begin with an empty batch."""
        self._n = n
        self._batch: list[A] = []

    def apply(self, items: Iterator[A], /) -> Iterator[tuple[A, ...]]:
        """Fill batches from as much input as is there now."""
        # Topping up from the iterator directly keeps what was taken in `_batch` even if the iterator raises.
        while True:
            batch = self._batch
            batch.extend(itertools.islice(items, self._n - len(batch)))
            if len(batch) < self._n:
                return
            self._batch = []
            yield tuple(batch)

    def finish(self) -> Iterator[tuple[A, ...]]:
        """The last partial batch."""
        if self._batch:
            yield tuple(self._batch)


class Weighed:
    """By count and weight: a `Pack`."""

    def __init__(self, n: int, max_weight: float) -> None:
        """Begin with an empty batch."""
        self._n = n
        self._max_weight = max_weight
        self._weight: float = 0
        self.items: list[Any] = []

    def add(self, item: Any, weight: Any, /) -> list[tuple[Any, ...]]:
        """Take an item; return what is complete: the batch it does not fit into, the batch it completes, or both."""
        _check_weight(weight)
        full: list[tuple[Any, ...]] = []
        if self.items and self._weight + weight > self._max_weight:
            full += self.finish()
        self.items.append(item)
        self._weight += weight
        if self._weight >= self._max_weight or len(self.items) == self._n:
            full += self.finish()
        return full

    def finish(self) -> list[tuple[Any, ...]]:
        """Begin anew; return the batch so far, unless it is empty."""
        batch = tuple(self.items)
        self.items.clear()
        self._weight = 0
        return [batch] if batch else []


def _check_weight(weight: Any) -> None:
    if not isinstance(weight, (int, float)) or not weight >= 0:
        raise UsageError(f"batched(weight) must return a number, 0 or more, for each item; not {weight!r:.60}.")


def bytes_of(item: object) -> int:
    """Return the size of an item in bytes, or raise `UsageError` where it has none."""
    size = byte_size(item)
    if size is None:
        raise UsageError(
            f"batched(max_weight) counts bytes, and an item of type {type(item).__name__} has no size in bytes. "
            f"Say what it weighs: weight=len, or weight=lambda item: ..."
        )
    return size


def by_count_and_time(n: int, within: float) -> StageFunction[A, tuple[A, ...]]:
    """Return the stage's function for a count and a clock."""

    async def batched_within(items: AsyncIterable[A]) -> AsyncGenerator[tuple[A, ...], None]:
        async with reading(items) as reader:
            while batch := await _next_batch(reader, n, within):
                yield tuple(batch)
                batch.clear()

    return batched_within


async def _next_batch(reader: Reader[A], n: int, within: float) -> list[A]:
    """Take items until there are `n`, or the time since the first is over, or the input ended."""
    batch: list[A] = []
    now = asyncio.get_running_loop().time
    deadline = 0.0
    while len(batch) < n and (not batch or (now() < deadline and await reader.wait(until=deadline))):
        hand = await reader.next_hand()
        if hand is None:
            break
        if not batch:
            deadline = now() + within
        batch.extend(itertools.islice(hand, n - len(batch)))
    return batch


_END: Any = object()


class _Clocked:
    """A batch by weight, and when it must leave."""

    def __init__(self, pack: Weighed, within: float) -> None:
        self._pack = pack
        self._within = within
        self._now = asyncio.get_running_loop().time
        self.deadline = math.inf

    def add(self, item: Any, weight: Any) -> list[tuple[Any, ...]]:
        """As the pack does; a batch whose time is over goes without the item."""
        came = self._now()
        full = self.flush() if came >= self.deadline else []
        full += self._pack.add(item, weight)
        if len(self._pack.items) <= 1:
            self.deadline = came + self._within if self._pack.items else math.inf
        return full

    def flush(self) -> list[tuple[Any, ...]]:
        self.deadline = math.inf
        return self._pack.finish()


def by_weight_and_time(
    make: Callable[[], Weighed], weigh: Callable[[Any], float | Awaitable[float]], within: float
) -> StageFunction[Any, tuple[Any, ...]]:
    """Return the stage's function for a weight, perhaps a count, and a clock."""

    async def batched_within(items: AsyncIterable[Any]) -> AsyncGenerator[tuple[Any, ...], None]:
        async with reading(items) as reader:
            clocked = _Clocked(make(), within)
            while True:
                if not await reader.wait(until=clocked.deadline):
                    full = clocked.flush()
                    yield full.pop()
                hand = await reader.next_hand()
                if hand is None:
                    break
                while (item := next(hand, _END)) is not _END:
                    weight = weigh(item)
                    full = clocked.add(item, await weight if isawaitable(weight) else weight)
                    while full:
                        yield full.pop(0)  # not held while waiting for the next one (H57)
            full = clocked.flush()
            while full:
                yield full.pop()

    return batched_within
