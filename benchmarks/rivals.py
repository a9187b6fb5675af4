"""The same small job without streamflow: add one, keep the even ones, double.

What lives here: the limit (nothing but iterators), and what people write by hand. What must not: streamflow.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

__all__ = [
    "add_one",
    "call",
    "count",
    "double",
    "even_only",
    "incremented",
    "is_even",
    "iterators",
    "nested",
    "numbers",
    "queues",
    "switches",
    "times_two",
]

_END = object()


def add_one(n: int) -> int:
    """Return n + 1."""
    return n + 1


def is_even(n: int) -> bool:
    """Return whether n is even."""
    return n % 2 == 0


def times_two(n: int) -> int:
    """Return 2 n."""
    return n * 2


async def call(n: int) -> int:
    """Give the loop one turn: the least that a call which waits can do."""
    await asyncio.sleep(0)
    return n


async def numbers(n: int) -> AsyncGenerator[int, None]:
    """Emit 0 to n - 1."""
    for number in range(n):
        yield number


async def incremented(items: AsyncIterator[int]) -> AsyncGenerator[int, None]:
    """Add one to each item."""
    async for item in items:
        yield item + 1


async def even_only(items: AsyncIterator[int]) -> AsyncGenerator[int, None]:
    """Keep the even items."""
    async for item in items:
        if item % 2 == 0:
            yield item


async def double(items: AsyncIterator[int]) -> AsyncGenerator[int, None]:
    """Double each item."""
    async for item in items:
        yield item * 2


async def count(items: AsyncIterator[int]) -> int:
    """Count the items one by one."""
    total = 0
    async for _ in items:
        total += 1
    return total


def iterators(n: int) -> int:
    """`map(filter(map(range)))`, the limit for synchronous functions."""
    total = 0
    for _ in map(times_two, filter(is_even, map(add_one, range(n)))):
        total += 1
    return total


async def nested(n: int) -> int:
    """Four async generators, one inside the other, the limit for asynchronous stages: no task, no channel."""
    return await count(double(even_only(incremented(numbers(n)))))


class _Token:
    """Room for one token between two tasks: what is left of a channel without its items."""

    def __init__(self) -> None:
        self._there = False
        self._waiter: asyncio.Future[None] | None = None

    async def turn(self, *, there: bool) -> None:
        """Put the token there, or take it away, once the other side has done the opposite."""
        if self._there is there:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._there = there
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def switches(n: int, maxsize: int) -> int:
    """Nothing but the task switches of five tasks in a row: one token for every `maxsize` items at each boundary.

    What is left of a pipeline with channels of that size when all but asyncio's futures and tasks is taken out.
    """
    tokens = [_Token() for _ in range(4)]

    async def stage(at: int) -> None:
        for _ in range(n // maxsize):
            if at:
                await tokens[at - 1].turn(there=False)
            if at < 4:
                await tokens[at].turn(there=True)

    async with asyncio.TaskGroup() as group:
        for at in range(5):
            group.create_task(stage(at))
    return n // 2


async def queues(n: int, maxsize: int) -> int:
    """A task for each stage and an `asyncio.Queue` at each boundary, one `put` and one `get` for each item."""
    q = [asyncio.Queue[object](maxsize) for _ in range(4)]

    async def produce() -> None:
        for number in range(n):
            await q[0].put(number)
        await q[0].put(_END)

    async def stage(source: asyncio.Queue[object], target: asyncio.Queue[object], at: int) -> None:
        while (item := await source.get()) is not _END:
            assert isinstance(item, int)
            if at == 0:
                await target.put(item + 1)
            elif at == 1:
                if item % 2 == 0:
                    await target.put(item)
            else:
                await target.put(item * 2)
        await target.put(_END)

    async with asyncio.TaskGroup() as group:
        group.create_task(produce())
        for at in range(3):
            group.create_task(stage(q[at], q[at + 1], at))
        total = 0
        while await q[3].get() is not _END:
            total += 1
        return total
