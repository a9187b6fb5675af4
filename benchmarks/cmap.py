"""What a concurrent call costs: N calls, 32 at once, of a coroutine that gives the loop one turn.

What lives here: `map(concurrency=32)` next to what people write by hand.
"""

from __future__ import annotations

import asyncio
from functools import partial

import streamflow as sf
from benchmarks.rounds import LOOPS, Contender, alternate, seconds_on
from benchmarks.tables import machine, table

__all__ = ["run"]

_AT_ONCE = 32


async def _call(n: int) -> int:
    await asyncio.sleep(0)
    return n


async def _nothing_between(n: int) -> int:
    """The calls alone, one after another."""
    total = 0
    for number in range(n):
        await _call(number)
        total += 1
    return total


async def _mapped(n: int, *, ordered: bool) -> int:
    return await sf.pipeline(range(n), sf.map(_call, concurrency=_AT_ONCE, ordered=ordered), sf.count())


async def _gathered(n: int) -> int:
    """`gather` over a semaphore: all N tasks exist from the start."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> int:
        async with gate:
            return await _call(number)

    return len(await asyncio.gather(*(one(number) for number in range(n))))


async def _workers(n: int) -> int:
    """32 workers over two bounded queues; the order is lost."""
    jobs: asyncio.Queue[int | None] = asyncio.Queue(_AT_ONCE)
    results: asyncio.Queue[int] = asyncio.Queue(_AT_ONCE)

    async def work() -> None:
        while (number := await jobs.get()) is not None:
            await results.put(await _call(number))

    async def produce() -> None:
        for number in range(n):
            await jobs.put(number)
        for _ in range(_AT_ONCE):
            await jobs.put(None)

    async with asyncio.TaskGroup() as group:
        group.create_task(produce())
        for _ in range(_AT_ONCE):
            group.create_task(work())
        for _ in range(n):
            await results.get()
    return n


_JOBS = {
    "the calls alone, one after another": _nothing_between,
    "`sf.map(call, concurrency=32)`": partial(_mapped, ordered=True),
    "`sf.map(call, concurrency=32, ordered=False)`": partial(_mapped, ordered=False),
    "32 workers over two `asyncio.Queue`s": _workers,
    "`asyncio.gather` over a semaphore (unbounded)": _gathered,
}


def run(*, items: int = 50_000, rounds: int = 5) -> str:
    """Measure on both loops; return the table."""
    columns = {}
    for loop_name, loop in LOOPS.items():
        contenders = [Contender(name, seconds_on(loop, partial(job, items), items)) for name, job in _JOBS.items()]
        columns[loop_name] = alternate(contenders, rounds=rounds, items=items)
    rows = []
    for name in _JOBS:
        timings = [columns[loop_name][name] for loop_name in LOOPS]
        alone = [next(iter(columns[loop_name].values())).median for loop_name in LOOPS]
        cells = zip(timings, alone, strict=True)
        rows.append([name, *(f"{timing.median / base:.1f}x ({timing.median:,.0f} ns)" for timing, base in cells)])
    text = f"{items:,} calls, median of {rounds} rounds, per call. {machine()}"
    return f"{text}\n\n{table(['', *LOOPS], rows)}"
