"""What one task of a run does: turns for the others (P8), and what is known of it from outside."""

from __future__ import annotations

import asyncio
import contextvars
import itertools

import pytest

import streamflow as sf
from streamflow.engine import budget
from streamflow.testing import Gate

# --- turns ----------------------------------------------------------------------------------------------------------


class Clock:
    """A clock on which every call of a user's function takes ten microseconds, and nothing else takes any time."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        return self.calls * 1e-5

    def work(self, item):
        self.calls += 1
        return item


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(budget, "perf_counter", clock)
    return clock


TOTAL = 20_000


def fused(clock):
    return [range(TOTAL), sf.map(clock.work), sf.filter(lambda x: True), sf.drain()], 2


def fused_from_a_channel(clock):
    return [range(TOTAL), sf.buffer(4096), sf.map(clock.work), sf.drain()], 3


def fused_dropping_everything(clock):
    return [range(TOTAL), sf.filter(lambda x: clock.work(x) is None), sf.drain()], 2


def fused_dropping_everything_from_a_channel(clock):
    return [range(TOTAL), sf.buffer(4096), sf.filter(lambda x: clock.work(x) is None), sf.drain()], 3


def endless_and_dropping_everything(clock):
    return [itertools.count(), sf.filter(lambda x: clock.work(x) >= TOTAL), sf.first()], 2


def batching_without_end(clock):
    return [range(TOTAL), sf.map(clock.work), sf.batched(TOTAL), sf.drain()], 2


def expanding(clock):
    return [range(20), sf.flat_map(lambda x: map(clock.work, range(TOTAL // 20))), sf.drain()], 2


def generators(clock):
    async def source():
        for number in range(TOTAL):
            yield clock.work(number)

    async def stage(items):
        async for item in items:
            yield clock.work(item)

    return [source, stage, sf.drain()], 3


def generator_dropping_everything(clock):
    async def stage(items):
        async for item in items:
            clock.work(item)
        yield "end"

    return [range(TOTAL), stage, sf.drain()], 3


def sink_that_never_waits(clock):
    async def sink(items):
        async for item in items:
            clock.work(item)

    return [range(TOTAL), sink], 2


def sink_that_takes_batches(clock):
    async def sink(items):
        async for batch in items.batches():
            for item in batch:
                clock.work(item)

    return [range(TOTAL), sink], 2


def weighed(clock):
    return [range(TOTAL), sf.map(lambda x: clock.work(b"chunk")), sf.drain()], 2


def awaiting_what_never_waits(clock):
    async def ready(item):
        return clock.work(item)

    return [range(TOTAL), sf.filter(lambda x: True), sf.map(lambda x: ready(x)), sf.drain()], 2  # noqa: PLW0108


SHAPES = [
    fused,
    fused_from_a_channel,
    fused_dropping_everything,
    fused_dropping_everything_from_a_channel,
    endless_and_dropping_everything,
    batching_without_end,
    expanding,
    generators,
    generator_dropping_everything,
    sink_that_never_waits,
    sink_that_takes_batches,
    weighed,
    awaiting_what_never_waits,
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("maxsize", [64, 4096])
async def test_what_never_waits_lets_other_tasks_run_every_hundred_items_of_a_task(clock, shape, maxsize):
    """P8, H10, H54: a millisecond of work for each task at most; the clock counts calls, so no real time is asked."""
    gaps = []

    async def ticking():
        while True:
            before = clock.calls
            await asyncio.sleep(0)
            gaps.append(clock.calls - before)

    ticker = asyncio.create_task(ticking())
    steps, tasks = shape(clock)
    await sf.pipeline(*steps, maxsize=maxsize)
    ticker.cancel()
    await asyncio.wait([ticker])

    assert clock.calls >= TOTAL
    assert max(gaps) <= 100 * tasks
    assert len(gaps) > TOTAL / (100 * tasks)


async def test_a_timeout_strikes_a_pipeline_that_never_waits():
    """P8, H10: cancellation, timers and signals depend on it."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sf.stream(itertools.count()).filter(lambda x: False).run()


async def test_the_first_item_of_a_quiet_pipeline_leaves_at_once():
    gate = asyncio.Event()

    async def source():
        yield "first"
        await gate.wait()

    async with sf.stream(source).map(str).buffer(64).filter(bool).open() as items:
        async with asyncio.timeout(5):
            assert await anext(items) == "first"
        gate.set()


# --- one task, one context -----------------------------------------------------------------------------------------


_request = contextvars.ContextVar("request", default=None)


async def test_a_stage_runs_in_one_task_and_one_context_from_beginning_to_end():
    """H34, P7: it starts from the caller's context, and tokens can be reset."""
    tasks = []

    def stage_named(name):
        async def stage(items):
            tasks.append((name, asyncio.current_task()))
            assert _request.get() == "outer"
            token = _request.set(name)
            try:
                async for item in items:
                    assert _request.get() == name
                    yield item
            finally:
                tasks.append((name, asyncio.current_task()))
                _request.reset(token)

        return stage

    _request.set("outer")
    got = await sf.pipeline(range(10), stage_named("a"), stage_named("b"), sf.take(3), sf.collect(), maxsize=1)

    assert got == [0, 1, 2]
    assert _request.get() == "outer"
    for name in "ab":
        first, last = [task for which, task in tasks if which == name]
        assert first is last
    assert len({task for _, task in tasks}) == 2


async def test_tasks_are_named_after_their_stages():
    names = set()

    async def parse(items):
        names.update(task.get_name() for task in asyncio.all_tasks())
        async for item in items:
            yield item

    await sf.pipeline([1], sf.map(str), parse, sf.collect())

    assert {"streamflow: list + map", "streamflow: parse", "streamflow: collect"} <= names


# --- states --------------------------------------------------------------------------------------------------------


async def test_the_state_of_each_stage_can_be_seen_while_it_runs():
    """P9"""
    gate = asyncio.Event()

    async def source():
        for number in itertools.count():
            yield number

    async def stuck(items):
        async for item in items:
            await gate.wait()
            yield item

    job = sf.Pipeline(source, stuck, sf.take(1), sf.collect(), maxsize=1)
    task = asyncio.create_task(job.run())
    for _ in range(20):
        await asyncio.sleep(0)

    assert [row.state for row in job.stats().stages] == [
        "waiting for room",
        "working",
        "waiting for input",
        "waiting for input",
    ]
    gate.set()
    await task
    assert [row.state for row in job.stats().stages] == ["stopped", "stopped", "finished", "finished"]


async def test_failed_and_aborted_are_states_too():
    def fail(_):
        raise ValueError

    job = sf.Pipeline([1], sf.map(fail), sf.collect())
    task = asyncio.create_task(job.run())
    with pytest.raises(ValueError):  # noqa: PT011
        await task
    assert [row.state for row in job.stats().stages] == ["failed", "failed", "aborted"]
    assert [row.failed for row in job.stats().stages] == [0, 1, 0]


async def test_a_wait_that_goes_on_counts_in_the_numbers_of_a_running_pipeline() -> None:
    """P9: a task that has been waiting for long is not shown as having worked all that time."""
    gate = Gate()

    async def stopped(items) -> None:
        async for _ in items:
            await gate.passage()

    job = sf.Pipeline(range(1000), sf.map(str), sf.buffer(2), sf.map(len), stopped, maxsize=2)
    running = asyncio.create_task(job.run())
    for _ in range(50):
        await asyncio.sleep(0)
    assert job.stats().stages[0].state == "waiting for room"
    before = job.stats().stages[0]
    for _ in range(1000):
        await asyncio.sleep(0)
    after = job.stats().stages[0]
    gate.open()
    await running
    waited = after.waiting_for_room - before.waiting_for_room
    assert waited > 0
    assert after.working - before.working < waited
