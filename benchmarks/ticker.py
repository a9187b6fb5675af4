"""Whether the loop stays alive: a ticker of 1 ms beside a busy pipeline (promise P8).

What lives here: the ticker and the pipelines that leave the loop no pause of their own.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from statistics import median, quantiles

import streamflow as sf
from benchmarks.results import Ratio, Result, slug
from benchmarks.rivals import add_one, is_even, times_two
from benchmarks.rounds import LOOPS, LoopFactory
from benchmarks.tables import machine, table

__all__ = ["run"]

_GOAL = 5.0  # milliseconds
_SLOW = 0.0003  # seconds


def _slow(n: int) -> int:
    end = time.perf_counter() + _SLOW
    while time.perf_counter() < end:
        pass
    return n


async def _busy(items: AsyncIterator[int]) -> AsyncGenerator[int, None]:
    async for item in items:
        yield item + 1


_JOBS: dict[str, Callable[[], Awaitable[object]]] = {
    "functions, fused": lambda: sf.pipeline(
        itertools.count(), sf.map(add_one), sf.filter(is_even), sf.map(times_two), sf.drain()
    ),
    "a filter that drops everything": lambda: sf.pipeline(itertools.count(), sf.filter(lambda n: n < 0), sf.drain()),
    "three async generators": lambda: sf.pipeline(itertools.count(), _busy, _busy, _busy, sf.drain()),
    "a function of 0.3 ms": lambda: sf.pipeline(itertools.count(), sf.map(_slow), sf.drain()),
    "three functions of 0.3 ms in tasks of their own": lambda: sf.pipeline(
        itertools.count(), *(step for _ in range(3) for step in (sf.map(_slow), sf.buffer(64))), sf.drain()
    ),
}


async def _lateness(job: Callable[[], Awaitable[object]], seconds: float) -> list[float]:
    """Run the job for so many seconds; return the milliseconds between two ticks."""
    task = asyncio.ensure_future(job())
    pauses = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        await asyncio.sleep(0.001)
        pauses.append((time.perf_counter() - start) * 1e3)
    task.cancel()
    await asyncio.wait([task])
    return pauses


def _measure(loop: LoopFactory, job: Callable[[], Awaitable[object]], seconds: float) -> list[float]:
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_lateness(job, seconds))


def run(*, seconds: float = 2.0) -> Result:
    """Measure every pipeline on both loops."""
    rows, ratios = [], []
    for name, job in _JOBS.items():
        cells = []
        for on, loop in LOOPS.items():
            pauses = _measure(loop, job, seconds)
            cells += [f"{median(pauses):.2f} ms", f"{quantiles(pauses, n=100)[98]:.1f} ms"]
            what = f"median tick beside {name}, on {on}"
            ratios.append(
                Ratio(
                    f"ticker.{slug(name)}-{on}",
                    what,
                    median(pauses),
                    at_most=_GOAL,
                    unit="ms",
                )
            )
        rows.append([name, *cells])
    columns = ("median tick", "99th per cent")
    head = ["beside it", *(f"{loop}: {column}" for loop in LOOPS for column in columns)]
    text = f"A task that sleeps 1 ms at a time, for {seconds:g} s beside each pipeline. {machine()}"
    return Result(f"{text}\n\n{table(head, rows)}", ratios)
