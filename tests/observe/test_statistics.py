"""The numbers of a run: exact after each ending, and true while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.engine.nested import VALUES
from streamflow.testing import Gate, SlowSink, StepLoop, TrackedSource


class Broken(Exception):
    """What the tests raise."""


async def same(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield item


def flow(stats: sf.RunStats) -> list[tuple[str, int, int, int, int]]:
    """Return name, in, out, dropped, failed of each stage."""
    return [(row.name, row.items_in, row.items_out, row.dropped, row.failed) for row in stats.stages]


def fail_at(number: int) -> Any:
    def check(item: int) -> int:
        if item == number:
            raise Broken
        return item

    return check


# --- counts at the end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("later", [False, True], ids=["sync source", "async source"])
async def test_every_stage_counts_what_goes_in_and_out(later: bool) -> None:
    source: Any = TrackedSource(range(100)) if later else range(100)
    job = (
        sf.stream(source)
        .map(lambda number: number + 1)
        .filter(lambda number: number % 2)
        .through(same)
        .flat_map(lambda number: [number] * 3)
        .batched(40)
        .to(sf.collect())
    )
    await job.run()

    stats = job.report.stats
    assert [row[1:] for row in flow(stats)[1:]] == [
        (100, 100, 0, 0),
        (100, 50, 50, 0),
        (50, 50, 0, 0),
        (50, 150, 0, 0),
        (150, 4, 0, 0),
        (4, 0, 0, 0),
    ]
    assert stats.stages[0].items_out == 100
    assert stats.finished
    assert stats.balanced
    assert stats.discarded == 0


async def test_positions_kinds_and_tasks_say_where_a_stage_stands() -> None:
    job = sf.stream(range(3)).map(str).buffer(2).through(same).to(sf.count())
    await job.run()

    rows = [(row.position, row.kind, row.task, row.name) for row in job.report.stats.stages]
    assert rows == [(1, "source", 1, "range"), (2, "stage", 1, "map"), (4, "stage", 2, "same"), (5, "sink", 3, "count")]


async def test_a_failure_is_counted_where_it_happened_and_nowhere_else() -> None:
    job = sf.stream(range(100)).through(same).map(fail_at(7)).through(same).to(sf.collect())
    with pytest.raises(Broken):
        await job.run()

    assert [row.failed for row in job.report.stats.stages] == [0, 0, 1, 0, 0]
    assert job.report.stats.stages[2].state == "failed"
    assert job.report.stats.balanced


@pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
async def test_an_item_that_failed_in_a_filter_was_not_dropped_by_it(later: bool) -> None:
    async def keep_later(number: int) -> bool:
        return bool(fail_at(7)(number) % 2)

    job = sf.stream(range(100)).filter(keep_later if later else lambda number: fail_at(7)(number) % 2).to(sf.collect())
    with pytest.raises(Broken):
        await job.run()

    assert flow(job.report.stats)[1] == ("filter", 8, 3, 4, 1)


async def test_a_concurrent_stage_counts_too() -> None:
    async def call(number: int) -> int:
        await asyncio.sleep(0)
        return number

    job = sf.stream(range(50)).map(call, concurrency=4).to(sf.count())
    await job.run()

    assert flow(job.report.stats)[1] == ("map(concurrency=4)", 50, 50, 0, 0)


ENDINGS = {
    "exhausted": lambda flow: flow,
    "enough": lambda flow: flow.take(5),
    "failure in a fused stage": lambda flow: flow.map(fail_at(20)),
    "failure in an async stage": lambda flow: flow.map(fail_at(20)).through(same).through(same),
    "failure under concurrency": lambda flow: flow.map(fail_at(20), concurrency=3),
    "batches": lambda flow: flow.batched(7, within=60.0).take(2),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("maxsize", [1, 4, 64])
async def test_the_account_balances_however_a_run_ends(ending: str, maxsize: int) -> None:
    """L4: per channel, put = got + discarded; what goes out of a task comes into the next or is discarded."""
    stream: Any = sf.stream(TrackedSource(range(100))).through(same).map(lambda number: number)
    job = ENDINGS[ending](stream).to(sf.collect(), maxsize=maxsize)
    with contextlib.suppress(Broken):
        await job.run()

    stats = job.report.stats
    assert stats.balanced
    for channel in stats.channels:
        assert (channel.items, channel.put) == (0, channel.got + channel.discarded)
        assert channel.peak <= channel.maxsize == maxsize


@pytest.mark.parametrize("fused", [False, True], ids=["a generator writes", "a chain writes"])
async def test_the_account_does_not_balance_when_an_item_was_lost(fused: bool) -> None:
    """L4: or it would say nothing."""

    async def losing(items: AsyncIterable[int]) -> list[int]:
        got = []
        async for item in items:
            got.append(item)
            await asyncio.sleep(0)
            queue = job._run.channels[-1]._queue
            if queue and not lost:
                lost.append(queue.pop())
        return got

    lost: list[int] = []
    flow = sf.stream(range(1000)).through(same)
    job: Any = (flow.map(str) if fused else flow).to(losing)
    got = await job.run()

    assert (len(got), len(lost)) == (999, 1)
    assert not job.report.stats.balanced


@given(st.integers(0, 60), st.integers(0, 90))
def test_the_account_balances_when_a_run_is_cancelled(count: int, steps: int) -> None:
    """L4."""
    with asyncio.Runner(loop_factory=StepLoop) as runner:
        stats = runner.run(_cancelled(count, steps))

    assert stats.balanced
    assert all(channel.items == 0 for channel in stats.channels)


async def _cancelled(count: int, steps: int) -> sf.RunStats:
    flow = sf.stream(TrackedSource(range(count), delay=0)).through(same).map(lambda number: number, concurrency=2)
    job = flow.to(sf.for_each(lambda _: asyncio.sleep(0)), maxsize=2)
    run = asyncio.create_task(job.run())
    for _ in range(steps):
        await asyncio.sleep(0)
    run.cancel()
    await asyncio.wait([run])
    return job.stats() if steps else await _never_began(job)


async def _never_began(job: sf.Pipeline[int]) -> sf.RunStats:
    """X1: cancelled before its first step, it has not been run at all."""
    with pytest.raises(sf.UsageError, match="has not been run"):
        job.stats()
    await asyncio.wait([run := asyncio.create_task(job.run())])
    run.result()
    return job.stats()


async def test_bytes_are_counted_where_items_have_a_size() -> None:
    job = sf.stream([b"abc", b"", b"defgh"]).through(same).map(len).to(sf.collect())
    await job.run()

    assert [(row.bytes_in, row.bytes_out) for row in job.report.stats.stages] == [(0, 8), (8, 8), (8, 0), (0, 0)]


# --- while it runs -----------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
@pytest.mark.usefixtures("loop_clock")
async def test_live_numbers_say_what_each_task_is_doing() -> None:
    gate = Gate()
    job = sf.stream(TrackedSource(itertools.count(), delay=0)).through(same).to(SlowSink(gate), maxsize=2)
    run = asyncio.create_task(job.run())
    await asyncio.sleep(5)

    assert [row.state for row in job.stats().stages] == ["waiting for room", "waiting for room", "working"]
    assert not job.stats().finished
    assert job.stats().seconds == 5.0
    assert job.stats().balanced
    gate.let(3)
    await asyncio.sleep(1)
    assert job.stats().stages[-1].items_in >= 3
    run.cancel()
    await asyncio.wait([run])
    assert {row.state for row in job.stats().stages} == {"stopped"}
    assert job.stats().finished


@pytest.mark.virtual_time
async def test_live_numbers_of_a_silent_source_show_everybody_waiting_for_input() -> None:
    async def silent() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 0

    job = sf.stream(silent()).through(same).to(sf.count())
    run = asyncio.create_task(job.run())
    await asyncio.sleep(5)

    assert [row.state for row in job.stats().stages] == ["working", "waiting for input", "waiting for input"]
    run.cancel()
    await asyncio.wait([run])


@pytest.mark.virtual_time
async def test_a_stream_that_is_iterated_has_numbers_too() -> None:
    async with sf.stream(range(10)).map(str).open(maxsize=4) as items:
        with pytest.raises(sf.UsageError, match="has not started"):
            items.stats()
        await anext(items)

        assert items.stats().stages[1].items_out >= 1
        assert items.stats().balanced


@pytest.mark.virtual_time
@pytest.mark.usefixtures("loop_clock")
async def test_seconds_are_those_at_work_and_those_of_waiting() -> None:
    """The source is at work 1 s for each of 4 items; the stage 3 s for each, which makes the source wait."""

    async def slowly(items: AsyncIterable[int]) -> AsyncIterator[int]:
        async for item in items:
            await asyncio.sleep(3)
            yield item

    job = sf.stream(TrackedSource(range(4), delay=1.0)).through(slowly).to(sf.count(), maxsize=1)
    await job.run()

    source, stage, sink = job.report.stats.stages
    assert job.report.stats.seconds == pytest.approx(13.0)
    assert source.working == pytest.approx(4.0)
    assert (stage.working, stage.waiting_for_input) == pytest.approx((12.0, 1.0))
    assert sink.waiting_for_input == pytest.approx(13.0)
    assert source.waiting_for_room > 0


def test_numbers_before_a_run_are_refused_with_what_to_write() -> None:
    """P10."""
    job = sf.stream([1]).to(sf.count(), name="job")

    with pytest.raises(sf.UsageError, match=r"there are no numbers before `await pipeline.run\(\)`"):
        job.stats()
    with pytest.raises(sf.UsageError, match=r"job has not ended: there is a report after `await pipeline.run\(\)`"):
        _ = job.report


# --- runs within runs ------------------------------------------------------------------------------------------------


async def test_what_is_discarded_inside_is_part_of_what_is_discarded() -> None:
    job = sf.stream(range(100)).group_by(lambda n: n % 3, lambda _: sf.take(1)).to(sf.count())
    await job.run()

    stats = job.report.stats
    assert sum(channel.discarded for channel in stats.channels) == 0
    assert stats.discarded == stats.nested[0].discarded == 97
    assert stats.balanced


async def test_an_open_stream_has_what_is_nested_in_it_too() -> None:
    async with sf.stream([1, 2]).merge(TrackedSource([3])).open() as items:
        async for _ in items:
            pass

        assert [one.name for one in items.stats().nested] == ["source 2 of merge"]


def test_a_nested_account_that_does_not_balance_makes_the_whole_unbalanced() -> None:
    whole = sf.RunStats("job", 1.0, True, (), (), (sf.NestedStats("a"),))
    broken = sf.RunStats("job", 1.0, True, (), (), (sf.NestedStats("a"), sf.NestedStats("b", balanced=False)))

    assert (whole.balanced, broken.balanced) == (True, False)


# --- what stages have found out --------------------------------------------------------------------------------------


async def test_values_of_stages_are_in_the_statistics_and_in_the_report() -> None:
    job = sf.stream([b"abc"]).through(sf.checksum("md5")).through(sf.checksum("crc32")).through(sf.checksum("md5"))
    ended = job.to(sf.drain())
    await ended.run()

    md5 = hashlib.md5(b"abc", usedforsecurity=False).hexdigest()
    assert ended.report.stats.values == {
        "checksum.md5": md5,
        "checksum.crc32": "352441c2",
        "checksum.md5 (2)": md5,
    }
    assert f"checksum.md5 (2): {md5}" in str(ended.report)


async def test_a_value_of_a_part_is_no_value() -> None:
    failed = sf.stream([b"abc"]).through(sf.checksum("md5", expected="0" * 32)).to(sf.drain())
    with pytest.raises(sf.ChecksumMismatch):
        await failed.run()
    stopped = sf.stream(itertools.repeat(b"a")).through(sf.checksum()).take(1).to(sf.drain())
    await stopped.run()

    assert (failed.report.stats.values, stopped.report.stats.values) == ({}, {})


async def test_values_of_nested_runs_are_bounded() -> None:
    async def each(items: Any) -> Any:
        async for item in items:
            yield await sf.pipeline([item], sf.checksum("md5"), sf.collect())

    job = sf.stream([b"%d" % number for number in range(100)]).through(each).to(sf.drain())
    await job.run()

    assert len(job.report.stats.values) == VALUES
