"""A reader over any async iterable."""

from __future__ import annotations

import asyncio
import itertools

import pytest

import streamflow as sf
from streamflow.engine.feeding import Costs, Feeder, costs_of, reading
from streamflow.engine.reader import Reader
from streamflow.stages import MAX_BYTES
from streamflow.testing import KINDS, TrackedSource, cancel_everywhere


async def test_inside_a_pipeline_a_stage_has_a_reader_already():
    seen = []

    async def stage(items):
        async with reading(items) as reader:
            seen.append(reader is items)
            async for item in reader:
                yield item

    assert await sf.pipeline([1, 2], stage, sf.collect()) == [1, 2]
    assert seen == [True]


async def test_elsewhere_a_task_of_its_own_feeds_one_and_closes_the_iterable():
    source = TrackedSource(itertools.count())

    async with reading(source) as reader:
        assert isinstance(reader, Reader)
        assert [await reader.get() for _ in range(3)] == [0, 1, 2]

    source.verify()
    assert source.closed == 1
    assert source.taken <= 3 + 16 + 16 + 1  # the channel, the hand, the item that waits


async def test_the_bound_is_as_given():
    source = TrackedSource(itertools.count())

    async with reading(source, maxsize=1) as reader:
        await reader.get()
        for _ in range(50):
            await asyncio.sleep(0)
        assert source.taken <= 3
    source.verify()


async def test_the_error_of_the_iterable_comes_after_the_items_before_it():
    """P3"""
    source = TrackedSource([1, 2], error=ValueError("row 3"))
    got = []

    with pytest.raises(ValueError, match="row 3"):  # noqa: PT012  # the whole block is what raises
        async with reading(source) as reader:
            async for item in reader:
                got.append(item)  # noqa: PERF401  # keeps what came before the error

    assert got == [1, 2]
    source.verify()


async def test_leaving_with_an_error_closes_the_iterable_and_keeps_that_error():
    """H18: what fails while closing is told on it, not instead."""

    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            raise OSError("closing")

    with pytest.raises(ValueError, match="the first") as caught:  # noqa: PT012
        async with reading(source()) as reader:
            await reader.get()
            raise ValueError("the first")
    assert "while reading of source was being closed because of it: OSError: closing" in caught.value.__notes__

    with pytest.raises(OSError, match="closing"):
        async with reading(source()) as reader:
            await reader.get()


async def test_a_stream_can_be_read():
    closed = []

    async def rows():
        try:
            for number in itertools.count():
                yield number
        finally:
            await asyncio.sleep(0)
            closed.append("rows")

    async with reading(sf.stream(rows).map(str)) as reader:
        assert await reader.get() == "0"
    assert closed == ["rows"]


async def test_what_fails_in_closing_is_not_lost_to_a_stop():
    """As if nested: a generator that is closed early or cancelled ends with what its source raises then."""

    async def source():
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            raise OSError("closing")

    async def stage(items):
        async with reading(source()) as reader:
            while True:
                yield await reader.get()

    for taken in (1, 2):
        items = stage(None)
        assert await anext(items) == 1
        waiting = asyncio.create_task(anext(items)) if taken == 2 else None
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="closing"):  # noqa: PT012  # one of the two
            if waiting is not None:
                waiting.cancel()
                await waiting
            await items.aclose()


async def test_a_feeder_can_be_stopped_before_it_is_left():
    source = TrackedSource(itertools.count())

    async with Feeder(source) as feeder:
        assert await feeder.reader.get() == 0
        feeder.stop()
        feeder.stop()
        for _ in range(20):
            await asyncio.sleep(0)
        assert source.closed == 1
    source.verify()


def test_what_a_further_source_costs():
    numbers, task = [1], TrackedSource([1])
    sources = [numbers, task, sf.stream(task).map(str), sf.stream(task).buffer(5), sf.Channel(3)]

    assert costs_of([numbers]) == Costs(0, 0, 0)
    assert costs_of([task, sf.Channel(3)]) == Costs(16 + 16, 2 * MAX_BYTES, 0)
    assert costs_of([sf.stream(task).map(str)]) == Costs(2 * (2 * 64 + 1) + 1, 2 * MAX_BYTES, 0)
    assert costs_of(sources, on_demand=False).items == max(
        costs_of([source], on_demand=False).items for source in sources
    )
    assert costs_of([]) == Costs()


class Reading:
    """Read some of an endless source, cancelled after every step."""

    def __init__(self):
        self.source = TrackedSource(itertools.count(), delay=0)

    async def __call__(self):
        async with reading(self.source, maxsize=2) as reader:
            return [await reader.get() for _ in range(4)]

    def check(self, outcome):
        self.source.verify()
        assert outcome.ended != "returned" or outcome.value == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_after_every_step_the_iterable_is_closed(kind):
    assert cancel_everywhere(Reading, Reading.check, kinds=(kind,)) > 15
