"""What is timed in `latency.py`: each way does its thing once and returns the seconds it took.

What lives here: streamflow's ways, and those without it. What must not: repeating and comparing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import Any

import streamflow as sf

__all__ = ["CANCELS", "FIRSTS", "INTERVAL", "ITEMS", "STAGES", "STARTS"]

STAGES = 5
INTERVAL = 0.05  # seconds
_CALM = 12  # turns of the loop until nothing moves any more: one for each hop, and some
_PATIENCE = 10.0  # seconds


def _same(item: Any) -> Any:
    return item


async def _passing(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    async for item in items:
        yield item


async def _turns(number: int = _CALM) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


# --- one item through an idle pipeline --------------------------------------------------------------------------------


async def _through(flow: Callable[[sf.Channel[int], Callable[[object], None]], Coroutine[Any, Any, object]]) -> float:
    """Send some items, one after another, through something that waits; return the median seconds of the way."""
    loop, channel = asyncio.get_running_loop(), sf.Channel[int](16)
    arrived: asyncio.Future[None] = loop.create_future()

    def arrive(_item: object) -> None:
        arrived.set_result(None)

    task = asyncio.ensure_future(flow(channel, arrive))
    seconds = []
    for number in range(11):
        await _turns()
        arrived = loop.create_future()
        start = perf_counter()
        channel.put_nowait(number)
        await arrived
        seconds.append(perf_counter() - start)
    channel.close()
    await task
    return sorted(seconds)[len(seconds) // 2]


async def _nested(channel: sf.Channel[int], arrive: Callable[[object], None]) -> None:
    items: AsyncIterator[int] = channel
    for _ in range(STAGES):
        items = _passing(items)
    async for item in items:
        arrive(item)


async def _stages(channel: sf.Channel[int], arrive: Callable[[object], None]) -> None:
    await sf.pipeline(channel, *[_passing] * STAGES, _to(arrive))


async def _functions(channel: sf.Channel[int], arrive: Callable[[object], None]) -> None:
    await sf.pipeline(channel, *(sf.map(_same) for _ in range(STAGES)), _to(arrive))


def _to(arrive: Callable[[object], None]) -> Callable[[AsyncIterable[object]], Awaitable[None]]:
    async def sink(items: AsyncIterable[object]) -> None:
        async for item in items:
            arrive(item)

    return sink


async def _queues(channel: sf.Channel[int], arrive: Callable[[object], None]) -> None:
    """A task for each stage, and a queue between two."""
    queues = [asyncio.Queue[Any](1024) for _ in range(STAGES + 1)]

    async def source() -> None:
        async for item in channel:
            await queues[0].put(item)
        await queues[0].put(_queues)

    async def stage(at: int) -> None:
        while (item := await queues[at].get()) is not _queues:
            await queues[at + 1].put(item)
        await queues[at + 1].put(_queues)

    async with asyncio.TaskGroup() as group:
        group.create_task(source())
        for at in range(STAGES):
            group.create_task(stage(at))
        while (item := await queues[STAGES].get()) is not _queues:
            arrive(item)


ITEMS = {
    "nested generators, in one task": partial(_through, _nested),
    "streamflow, functions": partial(_through, _functions),
    "streamflow, async generators": partial(_through, _stages),
    "`asyncio.Queue` by hand": partial(_through, _queues),
}

# --- the first item of a slow source ----------------------------------------------------------------------------------


async def _slow() -> AsyncGenerator[int, None]:
    for number in range(1_000):
        await asyncio.sleep(INTERVAL)
        yield number


async def _first(*, nested: bool) -> float:
    start = perf_counter()
    if not nested:
        await sf.pipeline(_slow, *[_passing] * STAGES, sf.first())
        return perf_counter() - start
    generators: list[AsyncGenerator[Any, None]] = [_slow()]
    for _ in range(STAGES):
        generators.append(_passing(generators[-1]))
    await anext(generators[-1])
    seconds = perf_counter() - start
    for generator in reversed(generators):
        await generator.aclose()
    return seconds


FIRSTS = {
    "nested generators": partial(_first, nested=True),
    "streamflow, async generators, and all closed": partial(_first, nested=False),
}

# --- from a cancellation until all is clean ---------------------------------------------------------------------------


async def _cancelled(start_all: Callable[[list[int], int], Coroutine[Any, Any, object]], number: int) -> float:
    """Cancel something that waits; return the seconds until it has ended. Each of `number` must have cleaned up."""
    clean: list[int] = []
    task = asyncio.ensure_future(start_all(clean, number))
    await _turns()
    start = perf_counter()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    seconds = perf_counter() - start
    if len(clean) != number:
        raise AssertionError(f"{len(clean)} of {number} have cleaned up")
    return seconds


async def _pipeline_to_cancel(clean: list[int], number: int) -> None:
    async def stage(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        try:
            async for item in items:
                yield item
        finally:
            clean.append(1)

    await sf.pipeline(sf.never(), *[stage] * number, sf.drain())


async def _tasks_to_cancel(clean: list[int], number: int) -> None:
    async def wait() -> None:
        try:
            await asyncio.sleep(_PATIENCE)
        finally:
            clean.append(1)

    async with asyncio.TaskGroup() as group:
        for _ in range(number):
            group.create_task(wait())


CANCELS = {
    "a `TaskGroup` of 100 tasks, cancelled all at once": partial(_cancelled, _tasks_to_cancel, 100),
    "streamflow, 100 async generators, sink first": partial(_cancelled, _pipeline_to_cancel, 100),
    "streamflow, 10 async generators": partial(_cancelled, _pipeline_to_cancel, 10),
    "streamflow, 1,000 async generators": partial(_cancelled, _pipeline_to_cancel, 1_000),
}

# --- starting and ending ----------------------------------------------------------------------------------------------


async def _started(job: Callable[[], Awaitable[object]]) -> float:
    start = perf_counter()
    await job()
    return perf_counter() - start


async def _two_stages() -> object:
    return await sf.pipeline([1], _passing, _passing, sf.collect())


async def _two_functions() -> object:
    return await sf.pipeline([1], sf.map(_same), sf.map(_same), sf.collect())


async def _two_tasks() -> list[int]:
    """A task for the source and each stage, three queues, and an end mark."""
    queues = [asyncio.Queue[Any](1024) for _ in range(3)]
    collected: list[int] = []

    async def source() -> None:
        await queues[0].put(1)
        await queues[0].put(_two_tasks)

    async def stage(at: int) -> None:
        while (item := await queues[at].get()) is not _two_tasks:
            await queues[at + 1].put(item)
        await queues[at + 1].put(_two_tasks)

    async with asyncio.TaskGroup() as group:
        group.create_task(source())
        group.create_task(stage(0))
        group.create_task(stage(1))
        while (item := await queues[2].get()) is not _two_tasks:
            collected.append(item)
    return collected


STARTS = {
    "tasks and queues by hand": partial(_started, _two_tasks),
    "streamflow, async generators": partial(_started, _two_stages),
    "streamflow, functions": partial(_started, _two_functions),
}
