"""Items with their moments, for the tests of the operators on time.

What lives here: a source that emits at given moments, and a run that notes when items come out. What must not: tests.

Time is the loop's: on a `StepLoop` it jumps, so an hour takes no time and every moment is exact.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import streamflow as sf
from streamflow.stages import Stage

Timed = list[tuple[float, Any]]


async def at(
    events: Iterable[tuple[float, Any]], *, ends: float = 0.0, error: Exception | None = None
) -> AsyncIterator[Any]:
    """Emit items, each at its moment in seconds of the loop's clock; end, or fail with `error`, not before `ends`."""
    for moment, item in events:
        await _come(moment)
        yield item
    await _come(ends)
    if error is not None:
        raise error


async def _come(moment: float) -> None:
    left = moment - asyncio.get_running_loop().time()
    if left > 0:
        await asyncio.sleep(left)


async def timeline(source: Any, *stages: Stage[Any, Any], got: Timed | None = None, busy: float = 0.0) -> Timed:
    """Run it; return what comes out with its moments. The sink is busy for so many seconds with each item."""
    got = [] if got is None else got
    time = asyncio.get_running_loop().time

    async def sink(items: Any) -> Timed:
        async for item in items:
            got.append((round(time(), 9), item))
            if busy:
                await asyncio.sleep(busy)
        return got

    return await sf.pipeline(source, *stages, sink)


def moments(out: Timed) -> list[float]:
    """Return the moments alone."""
    return [moment for moment, _ in out]
