"""Operators that group items: batched.

What lives here: grouping by count and time. What must not: grouping bytes of a format (formats/).

With a clock the batch is filled from the reader's hand, and the clock only ever cuts a *wait* for more, never a take:
so no item is lost to it, and the pending wait is nobody's generator (H37).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from typing import Generic

from streamflow.engine.feeding import reading
from streamflow.engine.reader import Reader
from streamflow.limits import check_capacity
from streamflow.operators.variables import A
from streamflow.stages import Stage

__all__ = ["batched"]


def batched(n: int, *, within: float | None = None) -> Stage[A, tuple[A, ...]]:
    """Group items into tuples of `n`, or of fewer when `within` seconds have passed since the first of them.

    Example: `sf.batched(500, within=0.25)`

    * emits when: `n` items are there, or `within` seconds after the first one of the batch came, or at the end; never
      an empty batch.
    * backpressures when: the stage below does.
    * completes when: the input ends; the last partial batch is emitted first.
    * on error: a partial batch is dropped and the error passed on.
    * on early stop: a partial batch is dropped.

    Args:
        n: how many items, at least 1.
        within: seconds; `None` waits for `n` items however long that takes. The clock starts anew for each batch, when
            its first item is taken.

    Raises `UsageError` for bounds that cannot mean anything. Cancellation: a partial batch is dropped.
    """
    check_capacity("batched(n)", n)
    if within is None:
        return Stage(name=f"batched({n})", transform=lambda: _Batched(n), holds_items=n, groups=n)
    check_capacity("batched(within)", within, whole=False)

    async def batched_within(items: AsyncIterable[A]) -> AsyncGenerator[tuple[A, ...], None]:
        async with reading(items) as reader:
            while batch := await _next_batch(reader, n, within):
                yield tuple(batch)
                batch.clear()

    return Stage(batched_within, name=f"batched({n}, within={within:g})", holds_items=n, groups=n)


class _Batched(Generic[A]):
    """Without a clock: the synchronous form."""

    done = False

    def __init__(self, n: int) -> None:
        self._n = n
        self._batch: list[A] = []

    def apply(self, items: Iterator[A], /) -> Iterator[tuple[A, ...]]:
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


async def _next_batch(reader: Reader[A], n: int, within: float) -> list[A]:
    """Take items until there are `n`, or the time since the first is over, or the input ended."""
    batch: list[A] = []
    now = asyncio.get_running_loop().time
    deadline = 0.0
    while len(batch) < n and (not batch or await _before(deadline, reader)):
        hand = await reader.next_hand()
        if hand is None:
            break
        if not batch:
            deadline = now() + within
        batch.extend(itertools.islice(hand, n - len(batch)))
    return batch


async def _before(deadline: float, reader: Reader[A]) -> bool:
    """Wait for the next item or the end of the input, taking nothing; return whether either came in time."""
    if asyncio.get_running_loop().time() >= deadline:
        return False
    try:
        async with asyncio.timeout_at(deadline):
            await reader.wait()
    except TimeoutError:
        return False
    return True
