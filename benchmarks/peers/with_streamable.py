"""The jobs with streamable: chained operations on a `stream`, iterated.

As in https://github.com/ebonnal/streamable (README, "operate" and "iterate"). There is no channel. It can be
iterated with `for`, which is faster, and with `async for`, which does not stop the event loop while a source waits.
"""

from __future__ import annotations

from streamable import stream

from benchmarks.rivals import add_one, call, is_even, times_two

__all__ = ["calls", "hops", "hops_async"]


def hops(n: int) -> int:
    """Through map, filter, map, iterated with `for`."""
    total = 0
    for _ in stream(range(n)).map(add_one).filter(is_even).map(times_two):
        total += 1
    return total


async def hops_async(n: int) -> int:
    """The same with `async for`."""
    total = 0
    async for _ in stream(range(n)).map(add_one).filter(is_even).map(times_two):
        total += 1
    return total


async def calls(n: int, at_once: int) -> int:
    """N calls, in order, so many at once."""
    total = 0
    async for _ in stream(range(n)).map(call, concurrency=at_once):
        total += 1
    return total
