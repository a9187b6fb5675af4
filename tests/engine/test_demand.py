"""A source that is pulled only while somebody waits for it."""

from __future__ import annotations

import asyncio
import itertools

import pytest

import streamflow as sf
from streamflow.engine.demand import AT_ONCE, Demand, gated
from streamflow.engine.feeding import Feeder
from streamflow.resolving import resolve_source
from streamflow.testing import TrackedSource


async def turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


def plain():
    """Give numbers, in the task that pulls them."""
    yield from itertools.count()


class Borrowed:
    """An iterator that is its user's: closing it is his."""

    def __init__(self):
        self.taken = 0
        self.closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.taken += 1
        return self.taken

    async def aclose(self):
        self.closed = True


SOURCES = {
    "generator": lambda: TrackedSource(itertools.count()),
    "waiting generator": lambda: TrackedSource(itertools.count(), delay=0),
    "plain iterable": lambda: plain,
    "iterator": Borrowed,
    "stream": lambda: sf.stream(TrackedSource(itertools.count())),
    "stream of a plain iterable": lambda: sf.stream(itertools.count()).map(lambda number: number),
}


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES.keys())
async def test_nothing_is_pulled_unless_it_is_asked_for(make):
    demand = Demand()
    async with Feeder(make(), demand=demand) as feeder:
        channel = feeder.reader.channel
        await turns()
        assert channel.qsize() == 0
        demand.ask(1)
        await turns()
        came = channel.qsize()
        assert came >= 1
        await turns()
        assert channel.qsize() == came
        await feeder.reader.get()
        demand.withdraw()
        await turns()
        assert channel.qsize() == came - 1


@pytest.mark.parametrize("count", [1, 5, AT_ONCE, 100])
async def test_as_many_as_are_asked_for_arrive_and_no_more(count):
    demand = Demand()
    source = TrackedSource(itertools.count())

    async with Feeder(source, demand=demand):
        demand.ask(count)
        await turns()
        assert source.taken == min(count, AT_ONCE)
    source.verify()


async def test_an_iterator_that_is_its_users_gives_one_at_a_time_and_is_not_closed():
    demand = Demand()
    borrowed = Borrowed()

    async with Feeder(borrowed, demand=demand):
        demand.ask(AT_ONCE)
        await turns()

    assert borrowed.taken == 1
    assert not borrowed.closed


async def test_what_was_opened_for_the_run_is_closed():
    closed = []

    class Rows:
        def __aiter__(self):
            rows = Borrowed()
            closed.append(rows)
            return rows

    async with Feeder(Rows(), demand=Demand()):
        await turns()

    assert [rows.closed for rows in closed] == [True]


async def test_a_generator_is_closed_where_it_stands_and_not_cancelled():
    ended = []

    async def source():
        try:
            yield 1
        except BaseException as error:
            ended.append(type(error))
            raise

    demand = Demand()
    async with Feeder(source, demand=demand) as feeder:
        demand.ask(1)
        assert await feeder.reader.get() == 1
        await turns()

    assert ended == [GeneratorExit]


@pytest.mark.virtual_time
async def test_a_timeout_around_a_yield_strikes_while_nothing_is_asked_for():
    """H32."""

    async def limited():
        async with asyncio.timeout(1):
            yield 1
            yield 2

    demand = Demand()
    with pytest.raises(TimeoutError):  # noqa: PT012  # the whole block is what raises
        async with Feeder(limited, demand=demand) as feeder:
            demand.ask(1)
            assert await feeder.reader.get() == 1
            demand.withdraw()
            await asyncio.sleep(5)
            await feeder.reader.get()


async def test_a_generator_on_demand_still_takes_what_is_thrown_and_sent():
    """The engine throws into it what strikes it at its `yield`."""

    async def source():
        while True:
            try:
                yield 1
            except KeyError:
                yield 2

    demand = Demand()
    demand.ask(1)
    items = aiter(gated(resolve_source(source), demand).open())

    assert await anext(items) == 1
    assert await items.athrow(KeyError()) == 2
    assert await items.asend(None) == 1
    await items.aclose()


async def test_it_can_be_said_where_a_source_on_demand_stands():
    async def source():
        yield await asyncio.Event().wait()

    demand = Demand()
    demand.ask(1)
    feeder = Feeder(source, demand=demand)
    async with feeder:
        await turns()
        assert feeder.segments[0].generator.ag_await is not None
