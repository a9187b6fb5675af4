"""What an item in flight holds: ten thousand calls that all wait at once, in a process of their own.

What lives here: the calls, the ways to have them all waiting, and the peak of memory each takes. Run as
`python -m benchmarks.inflight WAY N` it holds N calls at once, and ends.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import streamflow as sf
from benchmarks.memory import peak_of
from benchmarks.presence import has_library

__all__ = ["WAYS", "kib_per_item"]

_FEW = 10


class _Gate:
    """Lets every call through when the last of them has arrived."""

    def __init__(self, calls: int) -> None:
        self._missing = calls
        self._open = asyncio.Event()

    async def __call__(self, item: int) -> int:
        self._missing -= 1
        if not self._missing:
            self._open.set()
        await self._open.wait()
        return item


async def _mapped(n: int) -> int:
    return await sf.pipeline(range(n), sf.map(_Gate(n), concurrency=n), sf.count())


async def _unordered(n: int) -> int:
    return await sf.pipeline(range(n), sf.map(_Gate(n), concurrency=n, ordered=False), sf.count())


async def _gathered(n: int) -> int:
    call = _Gate(n)
    return len(await asyncio.gather(*(call(number) for number in range(n))))


async def _grouped(n: int) -> int:
    call = _Gate(n)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call(number)) for number in range(n)]
    return len(tasks)


async def _streamable(n: int) -> int:
    from streamable import stream  # noqa: PLC0415  # it may not be installed

    total = 0
    async for _ in stream(range(n)).map(_Gate(n), concurrency=n):
        total += 1
    return total


async def _aiostream(n: int) -> int:
    from aiostream import pipe, stream  # noqa: PLC0415  # it may not be installed

    gate, total = _Gate(n), 0

    async def call(item: int) -> int:
        return await gate(item)

    async with (stream.range(n) | pipe.map(call, task_limit=n)).stream() as items:
        async for _ in items:
            total += 1
    return total


WAYS: dict[str, tuple[Callable[[int], Awaitable[int]], str]] = {
    "map": (_mapped, "`sf.map(call, concurrency=10_000)`"),
    "unordered": (_unordered, "`sf.map(call, concurrency=10_000, ordered=False)`"),
    "gather": (_gathered, "`asyncio.gather`"),
    "group": (_grouped, "`asyncio.TaskGroup`"),
    "streamable": (_streamable, "streamable"),
    "aiostream": (_aiostream, "aiostream"),
}
"""The ways to hold N calls, and their names for people."""


def kib_per_item(n: int) -> dict[str, float]:
    """KiB held for each of N calls in flight, over what the same way holds with a few; for the ways installed here."""
    ways = [way for way in WAYS if way not in ("streamable", "aiostream") or has_library(way)]
    return {way: (_peak(way, n) - _peak(way, _FEW)) / (n - _FEW) for way in ways}


def _peak(way: str, n: int) -> float:
    return peak_of(["-m", "benchmarks.inflight", way, str(n)])[0] * 1024


async def _hold(way: str, n: int) -> None:
    found = await WAYS[way][0](n)
    if found != n:
        raise AssertionError(f"{found} calls ended, not {n}")


if __name__ == "__main__":
    asyncio.run(_hold(sys.argv[1], int(sys.argv[2])))
