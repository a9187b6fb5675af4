"""The job with anyio's memory object streams: a task for each stage, a bounded stream at each boundary.

As in https://anyio.readthedocs.io/en/stable/streams.html#memory-object-streams: each end is used as a context manager,
the receiving end is iterated, and the tasks live in a task group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import anyio

from benchmarks.rivals import add_one, is_even, times_two

__all__ = ["hops"]


async def _produce(numbers: Iterable[int], target: Any) -> None:
    async with target:
        for number in numbers:
            await target.send(number)


async def _map(fn: Callable[[int], int], source: Any, target: Any) -> None:
    async with source, target:
        async for item in source:
            await target.send(fn(item))


async def _filter(fn: Callable[[int], bool], source: Any, target: Any) -> None:
    async with source, target:
        async for item in source:
            if fn(item):
                await target.send(item)


async def hops(n: int, maxsize: int) -> int:
    """Through four bounded streams and five tasks."""
    (to_a, a), (to_b, b), (to_c, c), (to_d, d) = (anyio.create_memory_object_stream[int](maxsize) for _ in range(4))
    total = 0
    async with anyio.create_task_group() as group:
        group.start_soon(_produce, range(n), to_a)
        group.start_soon(_map, add_one, a, to_b)
        group.start_soon(_filter, is_even, b, to_c)
        group.start_soon(_map, times_two, c, to_d)
        async with d:
            async for _ in d:
                total += 1
    return total
