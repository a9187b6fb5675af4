"""The jobs of `growth.py`: as many stages, or as many pipelines, as they are told.

What lives here: the jobs for `contend.py`; and pipelines side by side, measured in this process when it is run as
`python -m benchmarks.growth_jobs KIND N`. What must not: comparing.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from typing import Any

import streamflow as sf
from benchmarks.processes import ROOT

__all__ = ["PER_PIPELINE", "channels", "functions", "measured", "stages"]

PER_PIPELINE = 1_000
_WARM = 6  # turns of the loop until every task waits
_REPEATED = 200  # pipelines at least, one group after another, where few run at once


def _same(item: int) -> int:
    return item


async def _passing(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    async for item in items:
        yield item


async def functions(items: int, number: int) -> int:
    """So many functions in one task."""
    return await sf.pipeline(range(items), *(sf.map(_same) for _ in range(number)), sf.count())


async def channels(items: int, number: int) -> int:
    """So many functions, with a channel behind each."""
    steps = [step for _ in range(number) for step in (sf.map(_same), sf.buffer(1024))]
    return await sf.pipeline(range(items), *steps, sf.count())


async def stages(items: int, number: int) -> int:
    """So many async generators."""
    return await sf.pipeline(range(items), *[_passing] * number, sf.count())


# --- side by side -----------------------------------------------------------------------------------------------------


async def _pipeline(gate: asyncio.Event) -> int:
    async def source() -> AsyncGenerator[int, None]:
        await gate.wait()
        for number in range(PER_PIPELINE):
            yield number

    return await sf.pipeline(source, _passing, sf.count())


async def _queues(gate: asyncio.Event) -> int:
    """Three tasks and two queues."""
    first, second = asyncio.Queue[Any](1024), asyncio.Queue[Any](1024)
    total = 0

    async def source() -> None:
        await gate.wait()
        for number in range(PER_PIPELINE):
            await first.put(number)
        await first.put(_queues)

    async def stage() -> None:
        while (item := await first.get()) is not _queues:
            await second.put(item)
        await second.put(_queues)

    async with asyncio.TaskGroup() as group:
        group.create_task(source())
        group.create_task(stage())
        while await second.get() is not _queues:
            total += 1
    return total


_KINDS: dict[str, Callable[[asyncio.Event], Awaitable[int]]] = {"pipelines": _pipeline, "queues": _queues}


def measured(kind: str, number: int) -> dict[str, float]:
    """Run so many at once in a fresh process; return `start` (µs each), `kib` (each) and `nanoseconds` (per item)."""
    command = [sys.executable, "-m", "benchmarks.growth_jobs", kind, str(number)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    found: dict[str, float] = json.loads(ended.stdout)
    return found


async def _side_by_side(job: Callable[[asyncio.Event], Awaitable[int]], number: int) -> dict[str, float]:
    """Start them, let them all wait, weigh them; then let them run to the end."""
    await _group(job, 10)
    groups = [await _group(job, number) for _ in range(max(1, _REPEATED // number))]
    start, run, _ = (sum(group[at] for group in groups) / len(groups) / number for at in range(3))
    tracemalloc.start()
    _, _, held = await _group(job, number)
    return {"start": start * 1e6, "kib": held / number / 1024, "nanoseconds": run / PER_PIPELINE * 1e9}


async def _group(job: Callable[[asyncio.Event], Awaitable[int]], number: int) -> tuple[float, float, float]:
    """Return the seconds until all wait, the seconds until all have ended, and the bytes held between, if traced."""
    gc.collect()
    gate, before, begun = asyncio.Event(), tracemalloc.get_traced_memory()[0], time.process_time()
    tasks = [asyncio.ensure_future(job(gate)) for _ in range(number)]
    for _ in range(_WARM):
        await asyncio.sleep(0)
    waiting = time.process_time()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    gate.set()
    results = await asyncio.gather(*tasks)
    ended = time.process_time()
    if set(results) != {PER_PIPELINE}:
        raise AssertionError(f"some lost items: {set(results)}")
    return waiting - begun, ended - waiting, held


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_side_by_side(_KINDS[sys.argv[1]], int(sys.argv[2])))))
