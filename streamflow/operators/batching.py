"""Operators that group items: batched.

What lives here: grouping by count and time. What must not: grouping bytes of a format (formats/).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from typing import Generic, TypeVar

from streamflow.engine.ends import Reader
from streamflow.engine.feeding import reading
from streamflow.errors import EndOfChannel
from streamflow.limits import check_capacity
from streamflow.stages import Stage

__all__ = ["batched"]

A = TypeVar("A")


class _Batched(Generic[A]):
    done = False

    def __init__(self, n: int) -> None:
        self._n = n
        self._batch: list[A] = []

    def apply(self, items: Iterator[A]) -> Iterator[tuple[A, ...]]:
        # Topping up from the iterator directly keeps what was taken in `_batch` even if the iterator raises.
        while True:
            batch = self._batch
            batch.extend(itertools.islice(items, self._n - len(batch)))
            if len(batch) < self._n:
                return
            self._batch = []
            yield tuple(batch)

    def finish(self) -> Iterator[tuple[A, ...]]:
        if self._batch:
            yield tuple(self._batch)


def batched(n: int, *, within: float | None = None) -> Stage[A, tuple[A, ...]]:
    """Group items into tuples of `n`, or of fewer when `within` seconds have passed since the first of them.

    Example: `sf.batched(500, within=0.25)`

    * emits when: `n` items are there, or `within` seconds after the first one of the batch came, or at the end: never
    empty. * backpressures when: the stage below does. * completes when: the input ends; the last partial batch is emitted
    first. * on error: a partial batch is dropped and the error passed on. * on early stop: a partial batch is dropped.

    Args:
        n: how many items, at least 1.
        within: seconds; `None` waits for `n` items however long that takes.

    Raises `UsageError` for bounds that cannot mean anything. No item is lost to the clock.
    """
    check_capacity("batched(n)", n)
    if within is None:
        return Stage(name=f"batched({n})", transform=lambda: _Batched(n), holds_items=n)
    check_capacity("within", within, whole=False)

    async def batched_within(items: AsyncIterable[A]) -> AsyncGenerator[tuple[A, ...], None]:
        async with reading(items) as reader:
            while batch := await _collect(reader, n, within):
                yield tuple(batch)

    return Stage(batched_within, name=f"batched({n}, within={within:g})", holds_items=n)


async def _collect(reader: Reader[A], n: int, within: float) -> list[A]:
    """Take items until there are `n` or the time is over; the clock only ever cuts a wait, never a take."""
    try:
        batch = [await reader.get()]
    except EndOfChannel:
        return []
    deadline = asyncio.get_running_loop().time() + within
    while len(batch) < n:
        try:
            async with asyncio.timeout_at(deadline) as limit:
                await reader.wait()
        except TimeoutError:
            if not limit.expired():
                raise
            return batch
        try:
            batch.append(await reader.get())
        except EndOfChannel:
            return batch
    return batch
