"""A cancellation that strikes a generator while it stands at a `yield`.

What stages see of it stands in test_endings.py (H32, H33).
"""

from __future__ import annotations

import asyncio
import itertools

import anyio
import pytest

import streamflow as sf
from streamflow.engine.budget import Budget
from streamflow.engine.striking import struck
from streamflow.engine.writer import Writer


async def numbers(log):
    for number in itertools.count():
        try:
            yield number
        except asyncio.CancelledError:
            log.append(number)
            raise


async def parked(generator):
    """A writer whose only room is taken, and that was cancelled with an item of the generator in its hand."""
    writer = Writer(sf.Channel(1), Budget(), 1 << 20)
    task = asyncio.create_task(writer.pump(generator))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert writer.unput == [1]
    return writer


async def test_it_is_thrown_in_where_the_generator_stands():
    log = []
    generator = numbers(log)
    writer = await parked(generator)
    writer.channel.get_nowait()

    with pytest.raises(asyncio.CancelledError):
        await struck(writer, generator, asyncio.CancelledError(), lambda: False, generator.athrow)

    assert log == [1]
    assert writer.channel.get_nowait() == 1  # what waited for room was put first


async def test_a_stop_that_was_asked_for_is_not_thrown_in():
    """The generator is closed then, and what its scopes would have made of it does not matter."""
    log = []
    generator = numbers(log)
    writer = await parked(generator)
    error = asyncio.CancelledError()

    with pytest.raises(asyncio.CancelledError) as caught:
        await struck(writer, generator, error, lambda: True, generator.athrow)

    assert caught.value is error
    assert log == []
    await generator.aclose()


async def test_an_iterator_that_nothing_can_be_thrown_into_just_ends():
    class Numbers:
        def __init__(self):
            self.number = -1

        def __aiter__(self):
            return self

        async def __anext__(self):
            self.number += 1
            return self.number

    writer = await parked(Numbers())
    with pytest.raises(asyncio.CancelledError):
        await struck(writer, Numbers(), asyncio.CancelledError(), lambda: False, None)


@pytest.mark.virtual_time
async def test_a_generator_that_stays_in_a_cancelled_scope_does_not_go_on_for_ever():
    """P1: what it answers each cancellation with has to be held somewhere."""
    answers = []

    async def stubborn(items):
        with anyio.move_on_after(0.01):
            async for item in items:
                while True:
                    try:
                        yield item
                        break
                    except asyncio.CancelledError:
                        answers.append(item)

    release = asyncio.Event()

    async def stuck(items):
        async for _ in items:
            await release.wait()

    task = asyncio.create_task(sf.pipeline(itertools.count(), stubborn, stuck, maxsize=1))
    await asyncio.sleep(0.05)
    release.set()
    with pytest.raises(sf.StageCancelled):
        await task

    assert 1 <= len(answers) <= 10
