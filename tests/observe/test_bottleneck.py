"""The bottleneck sentence names the stage that is slow, in virtual time, and the advice fits it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

import streamflow as sf
from streamflow.observe.bottleneck import advice, bottleneck, sentence
from streamflow.testing import TrackedSource

pytestmark = [pytest.mark.virtual_time, pytest.mark.usefixtures("loop_clock")]


def slowed(seconds: float, name: str) -> Any:
    """Return a stage that takes so many seconds for each item."""

    async def stage(items: AsyncIterable[int]) -> AsyncIterator[int]:
        async for item in items:
            await asyncio.sleep(seconds)
            yield item

    stage.__qualname__ = name
    return stage


async def report_of(source: float, middle: float, sink: float) -> sf.Report:
    """Run three stages that take so many seconds for each of 20 items."""

    async def save(_: int) -> None:
        await asyncio.sleep(sink)

    job = sf.stream(TrackedSource(range(20), delay=source)).through(slowed(middle, "middle")).to(sf.for_each(save))
    await job.run()
    return job.report


async def test_a_slow_source_is_named() -> None:
    report = await report_of(source=1.0, middle=0.1, sink=0.1)

    assert report.bottleneck.startswith("The bottleneck is 'TrackedSource', at work ")
    assert "'middle' below it waited 90% for input" in report.bottleneck
    assert "above it" not in report.bottleneck
    assert "larger blocks, or more reads at once in 'TrackedSource'" in report.advice


async def test_a_slow_stage_is_named() -> None:
    report = await report_of(source=0.0, middle=1.0, sink=0.1)

    assert report.bottleneck.startswith("The bottleneck is 'middle', at work ")
    assert "'for_each' below it waited 90% for input" in report.bottleneck
    assert "'TrackedSource' above it waited" in report.bottleneck
    assert "let 'middle' do several things at once if it waits for something" in report.advice
    assert "Larger channels will not help" in report.advice


async def test_a_slow_sink_is_named() -> None:
    report = await report_of(source=0.0, middle=0.1, sink=1.0)

    assert report.bottleneck.startswith("The bottleneck is 'for_each', at work ")
    assert "below it" not in report.bottleneck
    assert "let 'for_each' write larger batches" in report.advice


async def test_a_slow_sink_makes_those_above_it_wait_for_room() -> None:
    async def save(_: int) -> None:
        await asyncio.sleep(1)

    job = sf.stream(TrackedSource(range(50))).through(slowed(0.0, "middle")).to(sf.for_each(save), maxsize=1)
    await job.run()

    assert job.report.stats.stages[1].waiting_for_room > 40
    assert "'middle' above it waited 9" in job.report.bottleneck


async def test_a_concurrent_stage_that_is_full_is_named_with_its_number() -> None:
    async def call(number: int) -> int:
        await asyncio.sleep(1)
        return number

    job = sf.stream(range(100)).map(call, concurrency=4).to(sf.count())
    await job.run()

    assert job.report.bottleneck.startswith("The bottleneck is 'map(concurrency=4)', at work 100% of the time")
    assert "raise concurrency= of 'map(concurrency=4)' above 4" in job.report.advice


async def test_a_concurrent_stage_that_waits_for_its_source_is_not_named() -> None:
    async def call(number: int) -> int:
        await asyncio.sleep(2)
        return number

    job = sf.stream(TrackedSource(range(30), delay=1.0)).map(call, concurrency=8).to(sf.count())
    await job.run()

    assert job.report.bottleneck.startswith("The bottleneck is 'TrackedSource'")


async def test_fused_stages_are_named_together() -> None:
    now = asyncio.get_running_loop().time

    def burn(number: int) -> int:
        asyncio.get_running_loop()._now = now() + 0.5  # type: ignore[attr-defined]  # the clock of the StepLoop
        return number

    job = sf.stream(range(20)).map(burn).filter(bool).to(sf.count())
    await job.run()

    assert job.report.bottleneck.startswith("The bottleneck is 'range + map + filter', at work 100% of the time")


async def test_a_stage_with_threads_is_told_to_do_cheaper_work() -> None:
    report = await report_of(source=0.0, middle=1.0, sink=0.0)
    rows = tuple(replace(row, threads=1) if row.name == "middle" else row for row in report.stats.stages)

    assert "make the work of 'middle' cheaper" in advice(replace(report.stats, stages=rows))


async def test_where_nobody_is_busy_nobody_is_blamed() -> None:
    report = await report_of(source=1.0, middle=0.1, sink=0.1)
    stats = replace(report.stats, seconds=1000.0)

    assert sentence(stats).startswith("No single stage is the bottleneck: the busiest, 'TrackedSource', was at work 2%")
    assert advice(stats) == "The stages overlap well. To go faster, make the busiest ones cheaper."


async def test_before_anything_ran_there_is_no_bottleneck() -> None:
    stats = sf.RunStats("job", 0.0, finished=False, stages=(), channels=())

    assert bottleneck(stats) is None
    assert sentence(stats) == "Nothing has run yet, so there is no bottleneck."
    assert advice(stats)
