"""The items of a running stream: a sink takes what it wants of them, and hands back what it did not consume."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import Any

import pytest

import streamflow as sf
from streamflow.errors import UsageError
from streamflow.testing import Outcome, TrackedSource, cancel_everywhere


async def take_two(items: AsyncIterable[int]) -> list[int]:
    got: list[int] = []
    async for item in items:
        got.append(item)
        if len(got) == 2:
            break
    return got


@pytest.mark.parametrize("maxsize", [1, 2, 3, 1024])
async def test_what_a_sink_does_not_take_is_still_there(maxsize: int) -> None:
    async with sf.stream(range(9)).map(str).open(maxsize=maxsize) as items:
        assert await items.into(sf.first()) == "0"
        assert await items.into(sf.first()) == "1"
        assert await anext(items) == "2"
        assert await items.into(take_two) == ["3", "4"]
        assert await items.into(sf.any(lambda text: text == "6"))
        assert [item async for item in items] == ["7", "8"]
        assert await items.into(sf.collect()) == []


async def test_between_two_sinks_the_stages_are_the_same() -> None:
    source = TrackedSource(range(9))
    async with sf.stream(source).open() as items:
        await items.into(sf.first())
        await items.into(sf.count())

    assert source.opened == source.closed == 1


async def test_an_error_of_the_sink_closes_everything() -> None:
    source = TrackedSource(itertools.count())
    async with sf.stream(source).open() as items:
        with pytest.raises(sf.UsageError, match="more than one"):
            await items.into(sf.single())
        assert source.closed == 1
        assert [item async for item in items] == []


async def test_an_error_of_a_stage_is_raised_once_and_closes_everything() -> None:
    async with sf.stream([1, 0]).map(lambda number: 1 / number).open() as items:
        assert await items.into(sf.first()) == 1
        with pytest.raises(ZeroDivisionError):
            await items.into(sf.collect())
        assert [item async for item in items] == []


async def test_what_is_no_sink_is_refused() -> None:
    async with sf.stream(range(3)).open() as items:
        with pytest.raises(sf.UsageError, match="is not a sink"):
            await items.into(3)  # type: ignore[arg-type]  # what is tested
        assert await items.into(sf.count()) == 3


async def test_a_sink_and_a_loop_at_once_are_refused() -> None:
    async def never() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 1

    async with sf.stream(never).open() as items:
        waiting = asyncio.create_task(items.into(sf.first()))
        await asyncio.sleep(0)
        with pytest.raises(sf.UsageError, match="Two tasks"):
            await anext(items)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting


def test_cancelled_at_any_step_nothing_that_was_not_taken_is_lost() -> None:
    class Reading:
        def __init__(self) -> None:
            self.got: list[Any] = []

        async def take(self, items: AsyncIterable[Any]) -> None:
            async for item in items:
                self.got.append(item)
                if len(self.got) % 2 == 0:
                    break

        async def __call__(self) -> None:
            async with sf.stream(range(6)).open(maxsize=2) as items:
                while len(self.got) < 6:
                    await items.into(self.take)

    def check(reading: Reading, _outcome: Outcome) -> None:
        assert reading.got == list(range(len(reading.got)))

    cancel_everywhere(Reading, check)


class Endless:
    """A source that says whether it is closed."""

    def __init__(self) -> None:
        self.closed = False

    async def __call__(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(1_000_000):
                await asyncio.sleep(1)
                yield number
        finally:
            self.closed = True


@pytest.mark.virtual_time
@pytest.mark.parametrize("pause", [0, 10], ids=["while it waits for an item", "between two items"])
async def test_a_bare_loop_that_is_cancelled_closes_its_stream_though_the_exception_is_kept(pause: float) -> None:
    """P7: the traceback of the exception holds all the frames it went through."""
    source = Endless()

    async def loop() -> None:
        async for _ in sf.stream(source):
            await asyncio.sleep(pause)

    task = asyncio.create_task(loop())
    await asyncio.sleep(5.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as kept:
        await task
    await asyncio.sleep(0.01)

    assert source.closed
    assert kept.value.__traceback__ is not None


async def test_a_block_is_entered_once() -> None:
    block = sf.stream([1]).open()
    async with block:
        pass

    with pytest.raises(UsageError, match=r"entered before\. Call open\(\) again"):
        async with block:
            pass
