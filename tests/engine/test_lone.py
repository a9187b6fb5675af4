"""One task by itself keeps the promises of a run: nobody is let go before it has ended, and what failed is told."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import weakref

import anyio
import pytest

import streamflow as sf
from streamflow.engine.lone import Lone
from streamflow.engine.nested import here
from streamflow.engine.unfinished import hurry, left_running, running
from streamflow.observe.statistics import snapshot
from streamflow.stages import Plan, Source
from tests.engine.scenes import Boom
from tests.engine.test_conductor import settle


def lone(work, *, grace=10.0):
    return Lone(Plan(Source(list, name="rows"), (), None, "response", 3, 1 << 20, grace), work)


async def test_it_runs_in_a_task_of_its_own_and_is_forgotten():
    tasks, ledgers = [], []

    async def work():
        tasks.append(asyncio.current_task())
        ledgers.append(here.get())

    run = lone(work)
    await run.run()
    assert ledgers == [run.nested]
    assert tasks[0] is not asyncio.current_task()
    assert tasks[0].get_name() == "streamflow: rows"
    assert not running
    gone = weakref.ref(run)
    del run
    tasks.clear()
    await asyncio.sleep(0)
    gc.collect()
    assert gone() is None


async def test_what_it_raises_is_raised_bare_and_says_where():
    """P4"""
    error = Boom("at once")

    async def work():
        raise error

    with pytest.raises(Boom) as caught:
        await lone(work).run()
    assert caught.value is error
    assert "in stage 1 of 1 of response: 'rows'" in error.__notes__[0]


async def test_a_cancellation_that_nobody_asked_for_is_a_failure():
    """H16"""

    async def work():
        raise asyncio.CancelledError

    with pytest.raises(sf.StageCancelled, match="stage 'rows' ended in a CancelledError although nobody cancelled it"):
        await lone(work).run()


async def cancelled_in(work, *, scope, **options):
    """Cancel it natively, or by an anyio scope, once it has begun; whatever comes of it is raised."""
    begun, run = asyncio.Event(), None

    async def beginning():
        begun.set()
        await work()

    run = lone(beginning, **options)
    if scope:
        with anyio.CancelScope() as outer:
            asyncio.get_running_loop().call_later(1, outer.cancel)
            await run.run()
        return run
    task = asyncio.create_task(run.run())
    await begun.wait()
    task.cancel()
    await task
    return run


@pytest.mark.parametrize("scope", [False, True])
@pytest.mark.virtual_time
async def test_cancelled_it_is_waited_for_until_its_cleanup_is_over(scope):
    """P5, H25 to H27"""
    log = []

    async def work():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(5)
            log.append("closed")

    with contextlib.suppress(asyncio.CancelledError):
        await cancelled_in(work, scope=scope)
    assert log == ["closed"]


@pytest.mark.virtual_time
async def test_an_error_of_its_cleanup_is_told_on_the_cancellation():
    async def work():
        try:
            await asyncio.sleep(3600)
        finally:
            raise Boom("while closing")

    with pytest.raises(asyncio.CancelledError) as caught:
        await cancelled_in(work, scope=False)
    assert "also met" in caught.value.__notes__[0]
    assert "while closing" in caught.value.__notes__[0]


@pytest.mark.virtual_time
async def test_one_that_swallows_a_cancellation_is_cancelled_twice_more_and_then_left():
    """H14"""
    swallowed, release = [], asyncio.Event()

    async def work():
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                swallowed.append(asyncio.get_running_loop().time())

    with pytest.raises(asyncio.CancelledError) as caught:
        await cancelled_in(work, scope=False, grace=10)
    assert [round(at - swallowed[0]) for at in swallowed[:3]] == [0, 10, 11]
    assert "StageDidNotStop: stage 'rows' was asked to stop and did not within 10 s" in caught.value.__notes__[0]
    assert left_running() == ["streamflow: rows"]
    assert not running

    release.set()
    await settle()
    assert left_running() == []


@pytest.mark.parametrize("steps", range(4))
async def test_cancelled_before_or_as_it_begins_it_has_ended_when_that_goes_on(steps):
    """H77"""
    log = []

    async def work():
        log.append("opened")
        try:
            await asyncio.sleep(3600)
        finally:
            log.append("closed")

    run = lone(work)
    task = asyncio.create_task(run.run())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log in ([], ["opened", "closed"])
    assert not running


@pytest.mark.virtual_time
async def test_in_a_hurry_its_cleanup_is_cut_short_and_it_is_named():
    """H85"""
    log = []

    async def work():
        try:
            await asyncio.sleep(3600)
        finally:
            try:
                await asyncio.sleep(3600)
            finally:
                log.append("cut short")

    run = lone(work, grace=1000)
    task = asyncio.create_task(run.run())
    await asyncio.sleep(1)
    assert hurry() == []
    task.cancel()
    await asyncio.sleep(1)
    assert hurry() == ["'rows' of response"]
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["cut short"]


@pytest.mark.virtual_time
async def test_its_numbers_and_those_of_the_runs_inside_it():
    async def work():
        await asyncio.sleep(3)
        await sf.pipeline(range(5), sf.collect(), name="inside")

    run = lone(work)
    await run.run()
    stats = snapshot(run)
    assert (stats.name, stats.finished, stats.balanced) == ("response", True, True)
    assert [(stage.kind, stage.name, stage.state) for stage in stats.stages] == [("source", "rows", "finished")]
    assert [(inside.name, inside.runs, inside.items_out) for inside in stats.nested] == [("inside", 1, 5)]


async def test_within_another_run_it_is_counted_there_and_has_its_grace():
    graces = []

    async def sends(items):
        async for _ in items:
            run = lone(asyncio.Event().wait if not graces else failing)
            graces.append(run)
            with contextlib.suppress(TimeoutError, Boom):
                await asyncio.wait_for(run.run(), 0.01)

    async def failing():
        raise Boom("inside")

    job = sf.stream([1, 2]).to(sends, grace=3)
    await job.run()
    assert [run.grace for run in graces] == [3, 3]
    [nested] = job.stats().nested
    assert (nested.name, nested.runs, nested.running, nested.failed) == ("response", 2, 0, 1)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
@pytest.mark.parametrize("waits", [False, True])
async def test_an_eager_task_may_run_at_once(waits):
    """H24: nothing has to be wired first."""
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    log = []

    async def work():
        log.append(here.get())
        if waits:
            await asyncio.sleep(0)
        raise Boom("after it")

    run = lone(work)
    with pytest.raises(Boom) as caught:
        await run.run()
    assert log == [run.nested]
    assert here.get() is None
    assert "in stage 1 of 1 of response: 'rows'" in caught.value.__notes__[0]
    assert not running
