"""Runs within runs: what is counted, that it stays small, and that nothing is kept that is over."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import pytest

import streamflow as sf
from streamflow.engine.conductor import Run
from streamflow.engine.feeding import Feeder
from streamflow.engine.nested import NAMES, Ledger, here
from streamflow.stages import GRACE, Plan
from streamflow.testing import TrackedSource


class Broken(Exception):
    """What the tests raise."""


async def same(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield item


async def slow(items: AsyncIterable[Any]) -> int:
    count = 0
    async for _ in items:
        await asyncio.sleep(1)
        count += 1
    return count


def some(count: int) -> TrackedSource[int]:
    return TrackedSource(range(count), delay=0)


async def nested_in(job: sf.Pipeline[Any]) -> dict[str, tuple[int, int, int, int, int]]:
    """Run it; return by name: runs, in, out, dropped, discarded."""
    with contextlib.suppress(Broken):
        await job.run()
    stats = job.report.stats
    assert stats.balanced
    assert all(one.running == one.items == 0 for one in stats.nested)
    return {one.name: (one.runs, one.items_in, one.items_out, one.dropped, one.discarded) for one in stats.nested}


# --- what is counted -------------------------------------------------------------------------------------------------


async def test_a_pipeline_without_runs_inside_has_nothing_nested() -> None:
    assert await nested_in(sf.stream(some(3)).through(same).map(str).to(sf.count())) == {}


async def test_further_sources_are_counted() -> None:
    merged = await nested_in(sf.stream(range(5)).merge(some(10), some(20)).to(sf.count()))
    zipped = await nested_in(sf.stream(range(5)).zip(some(5)).to(sf.count()))

    assert merged == {"source 2 of merge": (1, 10, 10, 0, 0), "source 3 of merge": (1, 20, 20, 0, 0)}
    assert zipped == {"source 2 of zip": (1, 5, 5, 0, 0)}


async def test_what_a_further_source_had_brought_and_nobody_wanted_is_discarded_and_counted() -> None:
    job = sf.stream([1]).chain(sf.stream(range(100)).through(same)).take(3).to(sf.collect(), maxsize=1)
    (counted,) = (await nested_in(job)).values()

    runs, came, went, dropped, discarded = counted
    assert (runs, dropped) == (1, 0)
    assert came > went >= 2
    assert discarded > 0
    assert job.report.stats.discarded >= discarded


@pytest.mark.virtual_time
@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest"])
async def test_what_a_branch_without_room_lost_is_counted(overflow: Any) -> None:
    """F17."""
    copies = sf.broadcast(sf.count(), slow, overflow=["block", overflow], maxsize=4)
    seen = await nested_in(sf.Pipeline(range(500), copies))

    _, came, went, dropped, discarded = seen["branch 2 of broadcast"]
    assert seen["branch 1 of broadcast"] == (1, 500, 500, 0, 0)
    assert went + dropped == 500
    assert dropped == copies.stats()[1].dropped > 400
    assert came == (500 if overflow == "drop_oldest" else went)
    assert discarded == 0


@pytest.mark.virtual_time
async def test_what_a_branch_of_a_tee_lost_is_counted_by_the_run_that_reads_it() -> None:
    """F17."""
    fast, late = sf.tee(some(100), 2, overflow="drop_newest", maxsize=3)

    async def each_second(items: AsyncIterable[int]) -> AsyncIterator[int]:
        async for item in items:
            await asyncio.sleep(1)
            yield item

    seen = await nested_in(sf.stream(fast).merge(sf.stream(late).through(each_second)).to(sf.count()))

    assert seen["tee of TrackedSource"] == (1, 100, 100, 0, 0)
    runs, came, went, dropped, discarded = seen["tee[1]"]
    assert (runs, came + dropped, went, discarded) == (0, 100, came, 0)
    assert dropped > 0


async def test_a_filter_inside_a_branch_counts_what_it_drops() -> None:
    seen = await nested_in(sf.Pipeline(range(10), sf.broadcast([sf.filter(lambda n: n % 2), sf.count()])))

    assert seen == {"branch 1 of broadcast": (1, 10, 5, 5, 0)}


async def test_what_a_group_does_not_want_is_counted() -> None:
    """Also what comes for it when its run is over."""
    job = sf.stream(range(1000)).group_by(lambda n: n % 7, lambda _: sf.take(1)).to(sf.count())

    assert await nested_in(job) == {"groups of group_by": (7, 1000, 7, 0, 993)}


@pytest.mark.virtual_time
async def test_each_attempt_of_a_retry_is_a_run() -> None:
    tries: list[int] = []

    async def flaky() -> AsyncIterator[int]:
        tries.append(1)
        yield 1
        if len(tries) < 3:
            raise Broken

    job = sf.stream(flaky).retry(5, on=Broken, resume="start").to(sf.collect())
    assert await nested_in(job) == {"reading of flaky": (3, 3, 3, 0, 0)}
    assert [one.failed for one in job.report.stats.nested] == [2]


async def test_streams_that_a_stage_opens_are_counted_together() -> None:
    def inner(number: int) -> sf.Stream[int]:
        return sf.stream(some(number)).map(str)

    seen = await nested_in(sf.stream(range(30)).flat_map(inner, concurrency=3).to(sf.count()))

    assert seen == {"stream": (30, 435, 435, 0, 0)}


async def test_a_run_inside_a_nested_run_is_counted_beside_it_by_the_outermost_one() -> None:
    inside = sf.stream(some(4)).merge(some(2)).through(same)
    job = sf.stream(range(3)).merge(inside).to(sf.count())

    assert await nested_in(job) == {"source 2 of merge": (2, 4 + 2, 6 + 2, 0, 0)}


@pytest.mark.virtual_time
async def test_live_numbers_show_what_goes_on() -> None:
    async def waiting() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    job = sf.stream(waiting()).merge(waiting()).to(sf.count())
    run = asyncio.create_task(job.run())
    await asyncio.sleep(1)
    stats = job.stats()
    run.cancel()
    await asyncio.wait([run])

    assert [(one.name, one.running) for one in stats.nested] == [("source 2 of merge", 1)]
    assert stats.balanced
    assert [(one.running, one.failed) for one in job.stats().nested] == [(0, 0)]


async def test_the_account_does_not_balance_when_an_item_was_lost_in_a_nested_channel() -> None:
    """L4: or it would say nothing."""

    async def losing(reader: Any) -> AsyncIterator[int]:
        async with Feeder(sf.stream(some(50)).through(same), name="robbed", maxsize=4) as feeder:
            async for item in feeder.reader:
                await asyncio.sleep(0)
                queue = feeder.channels[0]._queue
                if queue and not lost:
                    lost.append(queue.pop())
                yield item
        async for _ in reader:
            pass

    lost: list[int] = []
    job = sf.stream([1]).through(losing).to(sf.count(), maxsize=4)
    count = await job.run()

    assert (count, len(lost)) == (49, 1)
    assert [(one.name, one.balanced) for one in job.report.stats.nested] == [("robbed", False)]
    assert not job.report.stats.balanced
    assert "robbed (DOES NOT BALANCE)" in str(job.report)
    assert "THE ACCOUNT DOES NOT BALANCE" in str(job.report)


async def test_a_stage_that_is_run_by_hand_counts_nowhere() -> None:
    assert here.get() is None
    stage = sf.group_by(lambda n: n % 2, lambda _: sf.take(1))
    assert sorted([item async for item in stage.function(some(9))]) == [0, 1]


# --- that it stays small ---------------------------------------------------------------------------------------------


async def test_thousands_of_groups_are_one_entry() -> None:
    job = sf.stream(range(3000)).group_by(lambda n: n, lambda _: same, max_open=5).to(sf.count())

    assert await nested_in(job) == {"groups of group_by": (3000, 3000, 3000, 0, 0)}


async def test_of_names_there_are_not_more_than_some() -> None:
    async def named(number: int) -> int:
        return await sf.pipeline([number], sf.count(), name=f"job {number}")

    seen = await nested_in(sf.stream(range(100)).map(named, concurrency=3).to(sf.count()))

    assert len(seen) == NAMES + 1
    assert seen["others"] == (100 - NAMES, 100 - NAMES, 100 - NAMES, 0, 0)


async def test_a_run_that_is_over_is_not_kept() -> None:
    """Neither by the outer run nor by a cycle of references."""
    runs: list[weakref.ref[Run]] = []

    async def watching(number: int) -> int:
        job = sf.stream(range(number)).through(same).to(sf.count())
        count = await job.run()
        assert job._run is not None
        runs.append(weakref.ref(job._run))
        return count

    gc.disable()
    try:
        job = sf.stream(range(5)).map(watching).to(sf.collect())
        await job.run()
        gone_before = [ref() is None for ref in runs]
        gc.collect()
        assert [ref() for ref in runs] == [None] * 5
    finally:
        gc.enable()
    assert len(gone_before) == 5


async def test_an_iterator_that_is_dropped_when_its_run_is_over_is_forgotten_too() -> None:
    """What it had not given out is discarded and counted."""

    async def first_of(number: int) -> int:
        items = aiter(sf.stream(range(number)))
        first = await anext(items)
        await asyncio.sleep(0)
        return first

    job = sf.stream([5] * 20).map(first_of).through(same).to(sf.count())
    seen = await nested_in(job)

    runs, came, went, _, discarded = seen["stream"]
    assert runs == 20
    assert came == went + discarded == 100
    assert job._run is not None
    assert not job._run.nested._live


async def test_a_run_that_outlives_the_nested_one_that_started_it_belongs_to_the_outer_one() -> None:
    left: list[asyncio.Task[int]] = []
    go_on = asyncio.Event()

    async def waiting() -> AsyncIterator[int]:
        yield 1
        await go_on.wait()

    async def starting(items: AsyncIterable[int]) -> AsyncIterator[int]:
        left.append(asyncio.create_task(sf.pipeline(waiting(), sf.count(), name="late")))
        await asyncio.sleep(0)
        async for item in items:
            yield item

    job = sf.stream(some(2)).merge(sf.stream(some(2)).through(starting)).to(sf.count())
    await job.run()
    running = {one.name: one.running for one in job.stats().nested}
    go_on.set()
    await left[0]

    assert running == {"source 2 of merge": 0, "late": 1}
    assert {one.name: one.running for one in job.stats().nested} == {"source 2 of merge": 0, "late": 0}


def test_entries_may_come_and_go_in_several_threads() -> None:
    """What runs in a worker thread inherits the context."""
    ledger = Ledger(1.0)

    def work() -> None:
        token = here.set(ledger)
        for _ in range(20):
            asyncio.run(_counted(3))
        here.reset(token)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [(one.runs, one.items_in) for one in ledger.stats()] == [(60, 180)]


async def _counted(number: int) -> int:
    return await sf.pipeline(range(number), sf.count())


# --- what it takes over ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "expected"), [(GRACE, 3.0), (7.0, 7.0)], ids=["default", "its own"])
async def test_a_nested_run_has_the_grace_of_the_outer_one_unless_it_has_its_own(own: float, expected: float) -> None:
    graces: list[float] = []

    async def nesting(number: int) -> int:
        run = Run(Plan(sf.Source(lambda: [number]), (), None, "inner", grace=own))
        run.start()
        graces.append(run.grace)
        await run.close()
        return number

    await sf.stream([1]).map(nesting).to(sf.collect(), grace=3.0).run()

    assert graces == [expected]
