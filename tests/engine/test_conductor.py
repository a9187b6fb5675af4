"""The state machine of a run: who is asked to stop and when, what settles, what is remembered and forgotten.

What every ending looks like from outside stands in test_endings.py and test_cancellation.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import weakref

import pytest

import streamflow as sf
from streamflow.engine import unfinished
from streamflow.engine.conductor import Run
from streamflow.stages import Plan
from tests.engine.scenes import Boom


def plan_of(flow, sink=None, *, grace=10.0, name="test"):
    stream = sf.stream(flow)
    resolved = sf.Pipeline([], sink)._plan.sink if sink is not None else None
    return Plan(stream._source, stream._stages, resolved, name, 3, 1 << 20, grace)


async def endless():
    for number in itertools.count():
        yield number


async def collect(items):
    return [item async for item in items]


async def forever(items):
    async for _ in items:
        await asyncio.Event().wait()


async def settle():
    for _ in range(30):
        await asyncio.sleep(0)


# --- what a run gives ----------------------------------------------------------------------------------------------


async def test_a_run_with_a_sink_gives_its_value_as_often_as_it_is_asked():
    """C2"""
    run = Run(plan_of([1, 2], collect))
    assert run.output is None
    run.start()

    assert await run.wait() == [1, 2]
    assert await run.wait() == [1, 2]
    assert run.result() == [1, 2]


async def test_a_run_without_a_sink_is_read_from_its_output():
    run = Run(plan_of([1, 2]))
    run.start()

    assert [item async for item in run.output] == [1, 2]
    await run.close()
    await run.close()
    assert [channel.state for channel in run.channels] == ["reader gone"]


async def test_cancelling_a_run_twice_or_after_its_end_does_nothing_more():
    """X6"""
    run = Run(plan_of(endless, forever))
    run.start()
    await settle()
    run.cancel()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run.wait()

    done = Run(plan_of([1], collect))
    done.start()
    await done.wait()
    done.cancel()
    assert await done.wait() == [1]


async def test_several_may_wait_for_one_run():
    run = Run(plan_of([1, 2], collect))
    run.start()

    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(run.wait()) for _ in range(3)]
    assert [wait.result() for wait in waits] == [[1, 2]] * 3


# --- who is asked --------------------------------------------------------------------------------------------------


async def test_a_segment_is_asked_once_and_a_parked_one_is_not_cancelled(monkeypatch):
    """The commonest bug of all: a second request lands in the cleanup that the first one began."""
    cancels = []

    async def stage(items):
        try:
            async for item in items:
                yield item
        finally:
            for _ in range(5):
                await asyncio.sleep(0)

    run = Run(plan_of(sf.stream(endless).through(stage).through(stage), forever))
    run.start()
    await settle()
    for segment in run.segments:
        name, cancel = segment.plan.name, segment.task.cancel
        segment.task = _Counting(segment.task, lambda name=name, cancel=cancel: cancels.append(name) or cancel())
    run.cancel()
    run.cancel()
    for segment in run.segments:
        run._stop(segment) if segment.asked else None
    await asyncio.wait([run.over])

    assert cancels == ["forever"]


class _Counting:
    """A task whose `cancel` is watched."""

    def __init__(self, task, cancel):
        self._task = task
        self.cancel = cancel

    def __getattr__(self, name):
        return getattr(self._task, name)


async def test_segments_that_have_not_begun_are_called_off_together():
    """X1"""
    opened = []

    async def source():
        opened.append("source")
        yield 1

    run = Run(plan_of(sf.stream(source).buffer(1).map(str), collect))
    run.start()
    await asyncio.sleep(0)
    run.cancel()
    await asyncio.wait([run.over])

    assert opened == []
    assert all(segment.stopped for segment in run.segments)


async def test_a_very_long_pipeline_ends_in_every_way():
    """No ending depends on the depth of the call stack."""

    async def passing(items):
        async for item in items:
            yield item

    flow = sf.stream(endless)
    for _ in range(400):
        flow = flow.through(passing)
    assert await flow.take(2).to(sf.collect(), maxsize=1).run() == [0, 1]

    task = asyncio.create_task(flow.to(forever, maxsize=1).run())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# --- what is remembered --------------------------------------------------------------------------------------------


async def test_a_run_that_nobody_holds_is_not_collected_halfway():
    """H19: the loop keeps only weak references to tasks."""
    log = []
    release = []

    async def source():
        waits = asyncio.get_running_loop().create_future()
        release.append(weakref.ref(waits))
        try:
            yield 1
            await waits  # held by nothing but this frame
        finally:
            log.append("closed")

    run = Run(plan_of(source, collect))
    run.start()
    over = run.over
    del run
    await settle()
    gc.collect()
    assert log == []

    release[0]().set_result(None)
    await asyncio.wait([over])
    assert log == ["closed"]


async def test_a_run_that_has_ended_is_forgotten():
    run = Run(plan_of([1], collect))
    run.start()
    await run.wait()
    gone = weakref.ref(run)
    del run
    gc.collect()

    assert gone() is None
    assert not unfinished.running


async def test_every_timer_of_a_run_is_gone_when_it_is_over():
    run = Run(plan_of(endless, collect))
    run.start()
    run.cancel()
    await asyncio.wait([run.over])

    assert run._timers
    assert all(timer.cancelled() for timer in run._timers)


# --- whose fault it was --------------------------------------------------------------------------------------------


async def test_what_a_given_up_stage_does_later_changes_nothing():
    """H14"""
    release = asyncio.Event()

    async def stubborn():
        yield 1
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        raise Boom("too late")

    run = Run(plan_of(stubborn, sf.first(), grace=0.01))
    run.start()
    with pytest.raises(sf.StageDidNotStop) as caught:
        await run.wait()
    release.set()
    await settle()

    with pytest.raises(sf.StageDidNotStop) as again:
        run.result()
    assert again.value is caught.value
    assert "in stage 1 of 2 of test: 'stubborn'" in caught.value.__notes__[0]
    assert not unfinished._given_up


async def test_a_task_that_was_given_up_is_not_collected():
    """H19: it still holds what it holds, and may yet end well."""
    log = []
    release = []

    async def stubborn():
        yield 1
        waits = asyncio.get_running_loop().create_future()
        release.append(weakref.ref(waits))
        while not waits.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([waits])
        log.append("ended")

    with pytest.raises(sf.StageDidNotStop):
        await sf.stream(stubborn).to(sf.first(), grace=0.01).run()
    gc.collect()

    release[0]().set_result(None)
    await settle()
    assert log == ["ended"]


async def test_three_independent_failures_are_one_group_in_the_order_sink_first():
    """E6, P4"""

    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            raise Boom("source")

    async def stage(items):
        try:
            async for item in items:
                yield item
        finally:
            raise Boom("stage")

    async def sink(items):
        async for _ in items:
            raise Boom("sink")

    with pytest.raises(ExceptionGroup, match="job: 3 stages failed independently") as caught:
        await sf.pipeline(source, stage, sink, name="job", maxsize=1)
    assert [str(error) for error in caught.value.exceptions] == ["sink", "stage", "source"]


async def test_a_failure_that_is_no_exception_makes_the_group_a_base_one():
    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            raise KeyboardInterrupt

    async def sink(items):
        async for _ in items:
            raise Boom("sink")

    with pytest.raises(BaseExceptionGroup) as caught:
        await sf.pipeline(source, sink, maxsize=1)
    assert not isinstance(caught.value, ExceptionGroup)
    assert [type(error) for error in caught.value.exceptions] == [Boom, KeyboardInterrupt]


async def test_the_same_error_from_two_stages_is_one_cause():
    error = Boom("one and the same")

    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            raise error

    async def sink(items):
        async for _ in items:
            raise error

    with pytest.raises(Boom) as caught:
        await sf.pipeline(source, sink, maxsize=1)
    assert caught.value is error


async def test_a_note_that_cannot_be_made_does_not_stop_the_machine():
    class Locked(Exception):
        def add_note(self, note):
            raise TypeError(note)

    def fail(_):
        raise Locked

    with pytest.raises(Locked):
        await sf.pipeline([1], sf.map(fail), sf.collect())
