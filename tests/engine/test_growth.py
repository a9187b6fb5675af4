"""What a run costs grows with its stages and no faster, and nothing of it stays. Counted in lines that run."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import streamflow as sf

FEW, MANY = 25, 100


async def passing(items):
    async for item in items:
        yield item


async def failing():
    yield 1
    raise OSError("disk")


async def sink(items):
    return [item async for item in items]


async def _ended(number: int) -> None:
    assert await sf.pipeline([1], *[passing] * number, sink) == [1]


async def _failed(number: int) -> None:
    with pytest.raises(OSError, match="disk"):
        await sf.pipeline(failing, *[passing] * number, sink)


async def _cancelled(number: int) -> None:
    run = asyncio.ensure_future(sf.pipeline(sf.never(), *[passing] * number, sink))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    run.cancel()
    await asyncio.wait([run])
    assert run.cancelled()


async def _enough(number: int) -> None:
    await sf.pipeline([1, 2], *[passing] * number, sf.first())


async def _reported(number: int) -> None:
    pipeline = sf.Pipeline([1], *[passing] * number, sink)
    await pipeline.run()
    assert len(pipeline.report.stats.stages) == number + 2


def _lines(call: Callable[[], object]) -> int:
    """How many lines of streamflow a call runs."""
    count = 0

    def on_line(_frame: Any, event: str, _arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return on_line

    def on_call(frame: Any, _event: str, _arg: Any) -> Any:
        return on_line if frame.f_globals.get("__name__", "").startswith("streamflow") else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


JOBS = [_ended, _failed, _cancelled, _enough, _reported]


def _is_flat(few: int, many: int) -> bool:
    return many < 1.1 * MANY / FEW * few


@pytest.mark.parametrize("job", JOBS)
def test_four_times_the_stages_take_four_times_the_work(job: Callable[[int], Awaitable[None]]) -> None:
    with asyncio.Runner() as runner:
        runner.run(job(1))
        few, many = (_lines(lambda number=number: runner.run(job(number))) for number in (FEW, MANY))

    assert _is_flat(few, many)


async def test_so_it_is_with_the_numbers_of_stages_in_one_task() -> None:
    lines = []
    for number in (FEW, MANY):
        pipeline = sf.Pipeline([1], *(sf.filter(bool) for _ in range(number)), sink)
        await pipeline.run()
        lines.append(_lines(pipeline.stats))

    assert _is_flat(*lines)


@pytest.mark.parametrize("job", JOBS)
async def test_nothing_of_a_run_stays(job: Callable[[int], Awaitable[None]]) -> None:
    for _ in range(20):
        await job(2)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(100):
        await job(2)
    gc.collect()

    assert len(gc.get_objects()) < before + 50
