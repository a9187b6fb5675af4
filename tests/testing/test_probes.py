"""The helpers beside a stage under test count and wait as they say."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest

from streamflow.errors import UsageError
from streamflow.testing import Gate, SlowSink, Trace, TrackedSource, must_call


async def test_a_source_records_what_was_taken_and_that_it_was_closed():
    source = TrackedSource("abc")

    assert [item async for item in source] == ["a", "b", "c"]

    assert (source.taken, source.opened, source.closed) == (3, 1, 1)
    assert source.tasks == [asyncio.current_task().get_name()]
    source.verify()


async def test_a_source_can_be_endless_and_left_early():
    source = TrackedSource(itertools.count(), delay=0)

    async with contextlib.aclosing(aiter(source)) as items:
        async for item in items:
            if item == 4:
                break

    assert source.taken == 5
    source.verify()


async def test_a_source_fails_after_its_items():
    source = TrackedSource([1], error=OSError("gone"))

    with pytest.raises(OSError, match="gone"):
        [item async for item in source]

    source.verify()


async def test_a_source_still_open_is_told():
    source = TrackedSource([1])
    items = aiter(source)
    await anext(items)

    with pytest.raises(AssertionError, match="opened 1 times and closed 0 times"):
        source.verify()
    await items.aclose()


async def test_a_source_closed_by_another_task_is_told():
    """H30"""
    source = TrackedSource([1])
    items = aiter(source)
    await anext(items)

    async def stranger():
        await items.aclose()

    await asyncio.create_task(stranger(), name="stranger")

    with pytest.raises(AssertionError, match="another task than its own: stranger"):
        source.verify()


@pytest.mark.virtual_time
async def test_a_source_waits_before_each_item():
    loop = asyncio.get_running_loop()

    assert [loop.time() async for _ in TrackedSource("abc", delay=60)] == [60, 120, 180]


@pytest.mark.virtual_time
async def test_a_slow_sink_takes_what_its_gate_lets_through():
    sink, source = SlowSink(), TrackedSource(range(5))
    run = asyncio.create_task(sink(source))

    await asyncio.sleep(1)
    assert (sink.items, source.taken, sink.gate.waiting) == ([], 0, 1)

    sink.gate.let(2)
    await asyncio.sleep(1)
    assert sink.items == [0, 1]

    sink.gate.open()
    assert await run == [0, 1, 2, 3, 4]
    source.verify()


@pytest.mark.virtual_time
async def test_a_cancelled_passage_uses_up_no_permission():
    gate = Gate()
    first, second = asyncio.create_task(gate.passage()), asyncio.create_task(gate.passage())
    await asyncio.sleep(1)
    assert gate.waiting == 2

    gate.let(1)
    first.cancel()
    await asyncio.wait({first, second})

    assert (first.cancelled(), second.cancelled(), gate.waiting) == (True, False, 0)


@pytest.mark.virtual_time
async def test_as_many_pass_as_were_let():
    gate = Gate()
    tasks = [asyncio.create_task(gate.passage()) for _ in range(5)]
    gate.let(2)
    gate.let(1)
    await asyncio.sleep(1)

    assert [task.done() for task in tasks] == [True, True, True, False, False]

    gate.open()
    await asyncio.wait(tasks)


def test_a_gate_that_lets_nobody_through_is_refused():
    with pytest.raises(UsageError, match="call open"):
        Gate().let(0)


def test_must_call_passes_arguments_and_value_on():
    with must_call(max, times=2) as biggest:
        assert biggest(1, 2) == 2
        assert biggest([3], key=abs) == 3


async def test_must_call_counts_coroutine_functions():
    async def answer():
        return 42

    with must_call(answer) as asked:
        assert await asked() == 42


@pytest.mark.parametrize(("times", "calls"), [(1, 0), (1, 2), (0, 1)])
def test_a_wrong_number_of_calls_is_told(times, calls):
    with pytest.raises(AssertionError, match=f"abs must be called {times} times and was called {calls} times"):  # noqa: PT012, SIM117
        with must_call(abs, times) as counted:
            for _ in range(calls):
                counted(1)


def test_must_call_does_not_hide_the_bodys_error():
    with pytest.raises(KeyError, match="own"), must_call(abs):
        raise KeyError("own")


@pytest.mark.virtual_time
async def test_a_trace_has_events_and_times_in_order():
    trace = Trace()
    trace("opened")
    await asyncio.sleep(5)
    trace("read")
    trace("closed")

    assert trace.events == ["opened", "read", "closed"]
    assert trace.times == [0, 5, 5]
    assert trace.in_order("opened", "closed")
    assert not trace.in_order("closed", "opened")
    assert not trace.in_order("opened", "opened")
