"""A reader over any async iterable."""

from __future__ import annotations

import asyncio
import itertools

import pytest

import streamflow as sf
from streamflow.engine.feeding import reading
from streamflow.engine.reader import Reader
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
    assert "while reading was being closed because of it: OSError: closing" in caught.value.__notes__

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
