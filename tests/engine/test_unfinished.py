"""What a program asks when it is to end: which runs are not over, which tasks were given up."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re

import pytest

import streamflow as sf
from streamflow.engine.conductor import Run
from streamflow.engine.unfinished import hurry, left_running
from tests.engine.test_conductor import endless, forever, plan_of, settle


async def _cleaning(log, name, times):
    """A cleanup that takes for ever and swallows so many cancellations."""
    for _ in range(times):
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await asyncio.sleep(3600)
            finally:
                log.append(name)


@pytest.mark.virtual_time
async def test_hurry_ends_the_grace_and_says_what_is_open():
    """H85: also the grace of those that are asked only later."""
    log = []

    async def slow(items):
        try:
            async for item in items:
                yield item
        finally:
            await _cleaning(log, "slow", 1)

    async def stubborn():
        try:
            for number in itertools.count():
                yield number
        finally:
            await _cleaning(log, "stubborn", 5)

    loop = asyncio.get_running_loop()
    task = asyncio.create_task(sf.pipeline(stubborn, slow, forever, grace=1000, maxsize=2, name="job"))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.sleep(5)
    start = loop.time()

    assert hurry() == ["'stubborn' of job", "'slow' of job"]
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert loop.time() - start < 5
    assert log == ["slow", "stubborn", "stubborn"]
    [note] = [note for note in caught.value.__notes__ if "StageDidNotStop" in note]
    assert re.search(
        rf"stage 'stubborn' was asked to stop and did not within 1 s; it is left running at {__file__}:\d+", note
    )
    for _ in range(5):
        [task.cancel() for task in asyncio.all_tasks() - {asyncio.current_task()}]
        await asyncio.sleep(0)


async def test_hurry_leaves_other_loops_and_runs_that_are_not_stopping_alone():
    """A signal handler runs in one loop; runs in another thread are none of its business."""
    foreign = asyncio.new_event_loop()

    async def start():
        run = Run(plan_of(endless, forever))
        run.start()
        await settle()
        return run

    other = await asyncio.to_thread(foreign.run_until_complete, start())
    mine = await start()

    assert hurry() == []
    await settle()
    assert not mine.over.done()
    assert (mine.grace, other.grace) == (1.0, 10.0)
    assert not any(segment.asked for segment in [*mine.segments, *other.segments])

    mine.cancel()
    await asyncio.wait([mine.over])

    async def stop():
        other.cancel()
        await asyncio.wait([other.over])

    await asyncio.to_thread(foreign.run_until_complete, stop())
    foreign.close()


async def test_a_task_that_was_given_up_is_named_until_it_has_ended():
    """H14"""
    release = asyncio.Event()

    async def stubborn():
        yield 1
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    with pytest.raises(sf.StageDidNotStop):
        await sf.stream(stubborn).to(sf.first(), grace=0.01).run()
    assert left_running() == ["streamflow: stubborn"]

    release.set()
    await settle()
    assert left_running() == []
