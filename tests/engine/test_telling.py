"""What the engine says about an error or a task."""

from __future__ import annotations

import asyncio

import pytest

from streamflow.engine.telling import described, whereabouts


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "text"),
    [(ValueError("bad row"), "ValueError: bad row"), (Mute(), "Mute"), (KeyError("k"), "KeyError: 'k'")],
)
def test_an_error_is_described_even_if_it_cannot_speak(error, text):
    assert described(error) == text


async def waiting():
    await asyncio.Event().wait()


async def test_a_task_stands_where_the_users_code_waits():
    async def outer():
        await waiting()

    task = asyncio.create_task(outer())
    await asyncio.sleep(0)

    assert whereabouts(task) == f"{__file__}:{waiting.__code__.co_firstlineno + 1}"
    task.cancel()
    await asyncio.wait([task])


async def test_a_generator_is_looked_into():
    async def rows():
        yield 1
        await waiting()

    async def pulling():
        async for _ in generator:
            pass

    generator = rows()
    task = asyncio.create_task(pulling())
    await asyncio.sleep(0)

    assert whereabouts(task, generator) == f"{__file__}:{waiting.__code__.co_firstlineno + 1}"
    task.cancel()
    await asyncio.wait([task])


async def test_a_task_that_has_ended_stands_nowhere():
    task = asyncio.create_task(asyncio.sleep(0))
    await task

    assert whereabouts(task) == "an unknown place"
