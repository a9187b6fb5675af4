"""`poll`: a function that is called on a grid of times."""

from __future__ import annotations

import asyncio
import itertools

import pytest

import streamflow as sf
from streamflow.operators.polling import poll


class Calls:
    """A function that notes when it is called, takes its time, and returns one result after the other."""

    def __init__(self, results=None, *, takes=()):
        self.results = itertools.count() if results is None else iter(results)
        self.takes = iter(takes)
        self.times = []

    async def __call__(self):
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(next(self.takes, 0))
        result = next(self.results)
        if isinstance(result, Exception):
            raise result
        return result


async def emitted(source, count):
    """Return the items with the times at which they came."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    return [(item, loop.time() - start) async for item in sf.stream(source).take(count)]


@pytest.mark.virtual_time
async def test_the_first_call_is_made_at_once_and_the_next_ones_on_the_grid():
    assert await emitted(poll(Calls(), 2.5), 4) == [(0, 0), (1, 2.5), (2, 5), (3, 7.5)]


@pytest.mark.virtual_time
async def test_a_slow_call_does_not_move_the_grid():
    calls = Calls(takes=[0, 0.75, 0, 0])

    assert await emitted(poll(calls, 1), 4) == [(0, 0), (1, 1.75), (2, 2), (3, 3)]
    assert calls.times[:4] == [0, 1, 2, 3]


@pytest.mark.virtual_time
async def test_times_that_passed_during_a_call_are_left_out():
    calls = Calls(takes=[3.5, 0, 0])
    await emitted(poll(calls, 1), 3)

    assert calls.times[:3] == [0, 4, 5]


@pytest.mark.virtual_time
async def test_a_call_that_takes_exactly_its_period_is_followed_at_once():
    calls = Calls(takes=[0.1] * 20)
    await emitted(poll(calls, 0.1), 20)

    assert calls.times[:20] == pytest.approx([n / 10 for n in range(20)])


@pytest.mark.virtual_time
async def test_no_tick_is_left_out_or_comes_twice_in_a_long_run():
    """The times are multiples of the period; their errors do not add up."""
    calls = Calls()
    await emitted(poll(calls, 0.1), 3000)

    assert calls.times[:3000] == pytest.approx([n * 0.1 for n in range(3000)])


@pytest.mark.virtual_time
@pytest.mark.parametrize("every", [5e-324, 1e-12, 1e308])
async def test_a_period_may_be_as_short_or_long_as_a_float(every):
    calls = Calls(takes=[1.0] * 3)
    await emitted(poll(calls, every), 2)

    assert calls.times[:2] == [0, max(1.0, every)]


@pytest.mark.virtual_time
async def test_no_call_is_made_while_a_result_waits_for_room():
    calls = Calls()
    async with sf.stream(poll(calls, 1)).buffer(1).open() as items:
        assert await anext(items) == 0
        await asyncio.sleep(100)
        before = len(calls.times)
        got = [await anext(items) for _ in range(before)]

    assert before <= 4
    assert got == list(range(1, before + 1))


@pytest.mark.virtual_time
async def test_until_ends_it_with_the_result_that_says_so():
    calls = Calls(["queued", "running", "done", "never asked"])
    flow = sf.stream(poll(calls, 1, until=lambda status: status == "done"))

    assert await flow.collect() == ["queued", "running", "done"]
    assert calls.times == [0, 1, 2]


@pytest.mark.virtual_time
async def test_until_may_be_async():
    async def enough(number):
        await asyncio.sleep(0.25)
        return number == 2

    assert await sf.stream(poll(Calls(), 1, until=enough)).collect() == [0, 1, 2]


@pytest.mark.virtual_time
async def test_changes_only_leaves_out_what_equals_the_result_before():
    calls = Calls([None, None, 0, False, "", "", None, 1])
    flow = sf.stream(poll(calls, 1, changes_only=True, until=lambda result: result == 1))

    assert await flow.collect() == [None, 0, "", None, 1]


@pytest.mark.virtual_time
async def test_a_last_result_that_is_no_change_is_left_out_too():
    calls = Calls([1, 2, 2, 3])
    flow = sf.stream(poll(calls, 1, changes_only=True, until=lambda _: len(calls.times) == 3))

    assert await flow.collect() == [1, 2]


@pytest.mark.virtual_time
async def test_an_error_ends_it_after_the_items_before_it():
    got = []
    with pytest.raises(OSError, match="down"):
        await sf.stream(poll(Calls([1, 2, OSError("down"), 4]), 1)).for_each(got.append)

    assert got == [1, 2]


@pytest.mark.virtual_time
async def test_a_stop_cancels_the_call_at_work():
    ended = []

    async def call():
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cancelled")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            await sf.stream(poll(call, 1)).collect()
    assert ended == ["cancelled"]


@pytest.mark.virtual_time
async def test_each_run_has_a_grid_of_its_own():
    calls = Calls()
    source = poll(calls, 10)
    await emitted(source, 1)
    await asyncio.sleep(3)
    await emitted(source, 2)

    assert calls.times[-2:] == [3, 13]


@pytest.mark.parametrize("every", [0, -1, float("nan"), float("inf"), "1", True, pytest.param(10**400, id="huge")])
def test_a_period_that_cannot_mean_anything_is_refused(every):
    """F14."""
    with pytest.raises(sf.UsageError, match=r"poll\(every\)"):
        poll(Calls(), every)


def test_what_cannot_be_called_is_refused():
    with pytest.raises(sf.UsageError, match=r"poll\(fn\)"):
        poll("url", 1)
    with pytest.raises(sf.UsageError, match=r"poll\(until\)"):
        poll(Calls(), 1, until="done")
