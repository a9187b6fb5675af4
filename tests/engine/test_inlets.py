"""Several sources read side by side by one task."""

from __future__ import annotations

import asyncio
import itertools

import pytest

import streamflow as sf
from streamflow.engine import budget
from streamflow.engine.inlet import NONE, Inlet, Pulled, Read
from streamflow.engine.inlets import inlets_of
from streamflow.testing import KINDS, TrackedSource, cancel_everywhere


async def every(seconds, *items):
    for item in items:
        await asyncio.sleep(seconds)
        yield item


async def test_plain_iterables_are_pulled_and_everything_else_is_read():
    sources = [[1], range(2), sf.stream([1]), sf.stream([1]).map(str), TrackedSource([1]), sf.Channel(1)]

    async with inlets_of("test", sources) as inlets:
        kinds = [type(inlet) for inlet in inlets.all]

    assert kinds == [Pulled, Pulled, Pulled, Read, Read, Read]


async def test_the_input_of_a_stage_is_read_where_it_is():
    seen = []

    async def stage(items):
        async with inlets_of("test", (items, [5])) as inlets:
            seen.append(inlets.input is inlets.all[0])
            inlet = inlets.all[0]
            while await inlets.wait_for(inlet):
                for item in inlet.hand:
                    yield item

    assert await sf.pipeline(TrackedSource([1, 2]), stage, sf.collect()) == [1, 2]
    assert seen == [True]


@pytest.mark.virtual_time
async def test_waiting_ends_with_the_first_answer():
    async with inlets_of("test", [every(3, "a"), every(2, "b"), every(4, "c")]) as inlets:
        await inlets.wait(inlets.all)
        assert asyncio.get_running_loop().time() == 2
        assert [inlet.lacks() for inlet in inlets.all] == [True, False, True]
        assert inlets.all[1].refill()
        assert next(inlets.all[1].hand) == "b"


@pytest.mark.virtual_time
async def test_while_one_is_waited_for_the_others_are_asked_as_well():
    async with inlets_of("test", [every(5, "a"), every(5, "b")]) as inlets:
        assert [await inlets.next_of(inlet) for inlet in tuple(inlets.all)] == ["a", "b"]
        assert asyncio.get_running_loop().time() == 5


async def test_an_end_is_told_from_nothing_for_now():
    async with inlets_of("test", [TrackedSource([]), []]) as inlets:
        read, pulled = inlets.all
        assert read.lacks()
        assert not read.is_over()
        assert await inlets.next_of(read) is NONE
        assert (read.ended, read.is_over(), read.lacks()) == (True, True, False)
        assert not pulled.lacks()
        assert await inlets.next_of(pulled) is NONE
        assert inlets.all == []


async def test_pulling_ahead_twice_loses_nothing():
    async with inlets_of("test", [iter(range(5))]) as inlets:
        (pulled,) = inlets.all
        assert pulled.refill()
        assert pulled.refill()
        assert list(pulled.hand) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("paused", [False, True])
async def test_a_consumer_without_a_pause_is_asked_for_more_at_once(paused, monkeypatch):
    monkeypatch.setattr(budget, "perf_counter", lambda: 0.0)  # else a busy machine may end a stretch early
    source = TrackedSource(itertools.count())
    ahead = []

    async with inlets_of("test", [source]) as inlets:
        (inlet,) = inlets.all
        for _ in range(40):
            if not next(inlet.hand, None):
                await inlets.next_of(inlet)
            ahead.append(source.taken)
            if paused:
                await asyncio.sleep(0)

    steps = {after - before for before, after in itertools.pairwise([0, *ahead])}
    assert steps <= {0, 1} if paused else steps == {0, 1, 2, 4, 8, 16}


async def test_opening_that_fails_closes_what_was_opened():
    source = TrackedSource(itertools.count(), delay=0)

    def fails():
        raise OSError("not there")

    with pytest.raises(OSError, match="not there"):
        async with inlets_of("test", [source, sf.Source(fails, synchronous=True)]):
            raise AssertionError("not reached")

    assert source.opened == source.closed


async def test_a_bare_inlet_names_itself():
    assert str(Inlet(3, "rows")) == "source 3 (rows)"


class Waiting:
    """Wait for sources of both kinds, cancelled after every step."""

    def __init__(self):
        self.sources = [TrackedSource(range(3), delay=0), TrackedSource(range(3), delay=1)]

    async def __call__(self):
        got = []
        async with inlets_of("test", [*self.sources, [7]]) as inlets:
            for inlet in tuple(inlets.all):
                while await inlets.wait_for(inlet):
                    got += inlet.hand
        return got

    def check(self, outcome):
        for source in self.sources:
            source.verify()
        assert outcome.ended != "returned" or outcome.value == [0, 1, 2, 0, 1, 2, 7]


@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_after_every_step_everything_is_closed(kind):
    assert cancel_everywhere(Waiting, Waiting.check, kinds=(kind,)) > 15
