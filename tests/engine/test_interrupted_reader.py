"""A reader whose wait was cut short by a timeout goes on, with nothing lost, in C and in Python."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import anyio
import pytest

import streamflow as sf
from streamflow.channel import Channel
from streamflow.channel.storage import speedups
from streamflow.engine import reader as readers
from streamflow.engine import writer as writers
from streamflow.engine.budget import Budget
from streamflow.engine.reader import Reader

FORMS = ("Python",) if speedups is None else ("C", "Python")


@pytest.fixture(params=FORMS, autouse=True)
def form(request, monkeypatch):
    """Which of the two loops over the items of a reader is used."""
    if request.param == "Python":
        monkeypatch.setattr(readers, "speedups", None)
        monkeypatch.setattr(writers, "speedups", None)
    return request.param


@pytest.fixture
async def reader():
    reader: Reader[Any] = Reader(Channel(8), Budget())
    yield reader
    await reader.close()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def put(reader: Reader[Any], *items: Any) -> None:
    for item in items:
        reader.channel.put_nowait(item)


async def rest_of(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


CUTS = {
    "asyncio.timeout": lambda: asyncio.timeout(0),
    "anyio.fail_after": lambda: anyio.fail_after(0),
}


@pytest.fixture(params=CUTS.values(), ids=CUTS.keys())
def cut(request):
    """A timeout that strikes at once."""
    return request.param


async def test_after_a_timeout_an_iteration_gives_every_item(reader, cut):
    """H32"""
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with _either(cut()):
                await anext(reader)
    put(reader, 1, 2, 3)
    reader.channel.close()
    assert await rest_of(reader) == [1, 2, 3]


async def test_after_a_timeout_in_the_middle_the_next_iteration_goes_on_where_it_was(reader, cut):
    put(reader, 1, 2)
    seen = []

    async def look() -> None:
        async with _either(cut()):
            async for item in reader:
                seen.append(item)

    with pytest.raises(TimeoutError):
        await look()
    put(reader, 3)
    seen.append(await anext(reader))
    put(reader, 4)
    reader.channel.close()
    seen += await rest_of(reader)
    assert seen == [1, 2, 3, 4]


async def test_an_item_that_comes_together_with_the_timeout_is_not_lost(reader):
    """The wait is over and cancelled in the same turn."""
    waiting = asyncio.ensure_future(anext(reader))
    await settle()
    put(reader, 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    reader.channel.close()
    assert await rest_of(reader) == [1]


async def test_nobody_waits_in_the_channel_after_a_timeout(reader, cut):
    with pytest.raises(TimeoutError):
        async with _either(cut()):
            await anext(reader)
    assert reader.channel.stats().readers_waiting == 0
    assert reader.waiting() == 0


async def test_an_error_from_above_after_a_timeout_is_raised_once(reader, cut):
    error = ValueError("from above")
    with pytest.raises(TimeoutError):
        async with _either(cut()):
            await anext(reader)
    put(reader, 1)
    reader.channel.fail(error)
    assert await anext(reader) == 1
    with pytest.raises(ValueError, match="from above") as caught:
        await anext(reader)
    assert caught.value is error
    assert await rest_of(reader) == []


async def test_an_end_after_a_timeout_is_an_end(reader, cut):
    with pytest.raises(TimeoutError):
        async with _either(cut()):
            await anext(reader)
    reader.channel.close()
    assert await rest_of(reader) == []
    assert reader.exhausted


async def test_a_reader_that_was_closed_after_a_timeout_gives_nothing_more(reader, cut):
    with pytest.raises(TimeoutError):
        async with _either(cut()):
            await anext(reader)
    await reader.close()
    assert await rest_of(reader) == []


async def test_a_second_task_is_refused_while_the_first_one_waits_and_the_first_gets_its_item(reader):
    first = asyncio.ensure_future(anext(reader))
    await settle()
    with pytest.raises(RuntimeError, match="already running"):
        await anext(reader)
    put(reader, 1)
    assert await first == 1


async def test_it_cannot_be_closed_while_somebody_waits_in_it(reader):
    waiting = asyncio.ensure_future(anext(reader))
    await settle()
    with pytest.raises(RuntimeError, match="already running"):
        await reader.rest()
    put(reader, 1)
    assert await waiting == 1


async def test_a_stage_goes_on_after_a_timeout_with_nothing_lost():
    """What a user writes who flushes when nothing came for a while."""
    released = asyncio.Event()

    async def source():
        for number in range(20):
            if number % 5 == 0:
                released.clear()
                await released.wait()
            yield number

    async def stage(items):
        pauses = 0
        while True:
            try:
                async with asyncio.timeout(0):
                    yield await anext(items)
            except TimeoutError:
                pauses += 1
                released.set()
                await settle()
            except StopAsyncIteration:
                break
            if pauses >= 3:
                break
        async for item in items:
            yield item
            released.set()

    got = await sf.pipeline(source, stage, rest_of, maxsize=4)
    assert got == list(range(20))


async def test_an_iteration_inside_an_iteration_after_a_timeout_takes_turns(reader, cut):
    with pytest.raises(TimeoutError):
        async with _either(cut()):
            await anext(reader)
    put(reader, 1, 2, 3, 4)
    reader.channel.close()
    seen = []
    async for item in reader:
        seen.append(item)
        seen.append(await anext(reader))
    assert seen == [1, 2, 3, 4]


async def test_the_iterator_itself_kept_over_a_timeout(reader, cut, form):
    """`aiter(items)` is a generator in Python, and what strikes one in a wait ends it; in C it goes on."""
    items = aiter(reader)
    with pytest.raises(TimeoutError):
        async with _either(cut()):
            await anext(items)
    put(reader, 1, 2)
    reader.channel.close()
    assert await rest_of(items) == ([1, 2] if form == "C" else [])
    assert await rest_of(reader) == ([] if form == "C" else [1, 2])  # the reader itself has lost nothing


async def test_its_iterator_can_be_closed_like_a_generator(reader):
    put(reader, 1, 2)
    async with aclosing(aiter(reader)) as items:
        assert await anext(items) == 1
    assert await rest_of(items) == []


class _either:  # noqa: N801  # a plain function of a context would hide the traceback
    """Enter an async or a plain context manager."""

    def __init__(self, context: Any) -> None:
        self.context = context

    async def __aenter__(self) -> Any:
        return await self.context.__aenter__() if hasattr(self.context, "__aenter__") else self.context.__enter__()

    async def __aexit__(self, *error: object) -> Any:
        if hasattr(self.context, "__aexit__"):
            return await self.context.__aexit__(*error)
        return self.context.__exit__(*error)
