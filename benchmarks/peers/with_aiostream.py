"""The jobs with aiostream: operators joined by `|`, run in a streamer context.

As in https://aiostream.readthedocs.io/en/stable/presentation.html. There is no channel: one task pulls. `pipe.map` of a
coroutine function runs up to `task_limit` calls at once: https://aiostream.readthedocs.io/en/stable/operators.html.
"""

from __future__ import annotations

from typing import Any

from aiostream import pipe, stream

from benchmarks.rivals import add_one, call, is_even, times_two

__all__ = ["calls", "hops"]


async def hops(n: int) -> int:
    """Through map, filter, map."""
    return await _count(stream.range(n) | pipe.map(add_one) | pipe.filter(is_even) | pipe.map(times_two))


async def calls(n: int, at_once: int) -> int:
    """N calls, in order, so many at once."""
    return await _count(stream.range(n) | pipe.map(call, ordered=True, task_limit=at_once))


async def _count(items: Any) -> int:
    total = 0
    async with items.stream() as streamer:
        async for _ in streamer:
            total += 1
    return total
