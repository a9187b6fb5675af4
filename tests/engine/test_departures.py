"""An iterator that nobody can reach any more is found soon; one that somebody knows is left alone."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

import streamflow as sf
from streamflow.engine import departures

pytestmark = pytest.mark.may_leak("generators", reason="they are what is found")
virtual = pytest.mark.virtual_time

NEVER = 10**8


@pytest.fixture(autouse=True)
def _no_automatic_collection():
    """Only what somebody asks for is collected."""
    gc.collect()
    before = gc.get_threshold()
    gc.set_threshold(NEVER, NEVER, NEVER)
    departures._all.due = 0.0
    yield
    gc.set_threshold(*before)


def make_old():
    """Put all objects into the oldest generation, and collect none."""
    gc.freeze()
    gc.unfreeze()


class Numbers:
    def __init__(self):
        self.closed_in_its_task = None

    async def __call__(self):
        task = asyncio.current_task()
        try:
            for number in range(1_000_000):
                await asyncio.sleep(0)
                yield number
        finally:
            await asyncio.sleep(0)
            self.closed_in_its_task = asyncio.current_task() is task


async def bare(numbers):
    async for number in sf.stream(numbers):
        yield number


async def in_a_block(numbers):
    async with sf.stream(numbers).open() as items:
        async for number in items:
            yield number


async def left_at_its_yield(generator, circle, *, after=1.0):
    """What a framework does whose client goes: the generator stays at its `yield`, known to an exception."""

    async def send_all(generator):
        try:
            async for _ in generator:
                await asyncio.sleep(600)
        except asyncio.CancelledError as error:
            if circle:
                circle.append((error, circle))
            raise

    sending = asyncio.create_task(send_all(generator))
    await asyncio.sleep(after)
    sending.cancel()
    await asyncio.wait([sending])


async def until_closed(numbers):
    async with asyncio.timeout(1):
        while numbers.closed_in_its_task is None:  # noqa: ASYNC110  # it is in nobody's hands
            await asyncio.sleep(0.005)


@virtual
@pytest.mark.parametrize("handler", [bare, in_a_block])
@pytest.mark.parametrize("age", ["young", "old"])
async def test_a_generator_in_the_circle_of_an_exception_is_closed_soon(age, handler):
    """H76: with young objects at the first look, with old ones at the second."""
    numbers = Numbers()

    await left_at_its_yield(handler(numbers), [None])
    if age == "old":
        make_old()
    await until_closed(numbers)

    assert numbers.closed_in_its_task


async def test_without_a_circle_it_needs_no_look(monkeypatch):
    monkeypatch.setattr(departures.gc, "collect", lambda *_: pytest.fail("it looked"))
    numbers = Numbers()

    await left_at_its_yield(bare(numbers), [], after=0.02)
    await until_closed(numbers)

    assert numbers.closed_in_its_task


@virtual
async def test_an_iterator_that_somebody_knows_goes_on():
    numbers = Numbers()
    items = aiter(sf.stream(numbers))

    async def ask():
        await anext(items)
        await asyncio.sleep(600)

    asking = asyncio.create_task(ask())
    await asyncio.sleep(1)
    asking.cancel()
    await asyncio.wait([asking])
    await asyncio.sleep(10)

    assert await anext(items) == 1
    assert numbers.closed_in_its_task is None
    await items.aclose()


@virtual
async def test_who_asks_again_after_a_timeout_causes_no_look(monkeypatch):
    looks = []
    monkeypatch.setattr(departures.gc, "collect", lambda *_: looks.append(1))
    items = aiter(sf.stream(sf.interval(1)))

    async def ask():
        return await anext(items)

    assert await asyncio.create_task(ask()) == 0
    asking = asyncio.create_task(ask())
    await asyncio.wait([asking], timeout=0.5)
    asking.cancel()
    await asyncio.wait([asking])
    assert await anext(items) == 1
    await asyncio.sleep(10)
    await items.aclose()

    assert not looks


def test_looks_at_all_objects_leave_most_of_the_time_to_others():
    began = departures.perf_counter()
    departures._all.collect()
    took = departures.perf_counter() - began

    assert departures._all.due > began + departures._SHARE * took / 2


@virtual
async def test_a_look_at_all_objects_waits_until_it_is_due():
    numbers = Numbers()
    departures._all.due = departures.perf_counter() + 60

    await left_at_its_yield(bare(numbers), [None])
    make_old()
    await asyncio.sleep(30)
    was_open = numbers.closed_in_its_task is None
    await asyncio.sleep(40)
    departures._all.due = 0.0  # the clock of the processor did not go on
    await asyncio.sleep(60)

    assert was_open
    assert numbers.closed_in_its_task


async def test_a_task_that_asks_one_iterator_after_another_keeps_none_of_them():
    """A worker may live for months, and read a stream for each job."""
    noted = []
    for _ in range(3):
        items = aiter(sf.stream([1, 2]))
        assert [item async for item in items] == [1, 2]
        noted.append(weakref.ref(items._attendance))
    del items
    gc.collect()

    assert [each() for each in noted] == [None] * 3
