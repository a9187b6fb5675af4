"""Where a task stands is told through coroutines, generators and everything that hides them."""

from __future__ import annotations

import asyncio
import contextlib
import types

import pytest

from streamflow.testing.stacks import describe, describe_all, frames


async def names_in(coroutine):
    """Let a task run until it waits; return the functions it stands in, outermost first."""
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    names = [frame.f_code.co_name for frame in frames(task)]
    task.cancel()
    await asyncio.wait({task})
    return names


async def wait_for_ever():
    await asyncio.get_running_loop().create_future()


class ByHand:
    def __aiter__(self):
        return self

    async def __anext__(self):
        await wait_for_ever()


class Awaitable:
    def __await__(self):
        yield from wait_for_ever().__await__()


async def generator():
    await wait_for_ever()
    yield


async def over_generator():
    async with contextlib.aclosing(generator()) as items:
        async for _ in items:
            pass


async def over_two_generators():
    async def outer():
        async with contextlib.aclosing(generator()) as items:
            async for item in items:
                yield item

    async with contextlib.aclosing(outer()) as items:
        await anext(items)


async def by_default():
    async with contextlib.aclosing(generator()) as items:
        await anext(items, None)


async def over_iterator():
    async for _ in ByHand():
        pass


async def over_awaitable():
    await Awaitable()


@types.coroutine
def old_style():
    yield from wait_for_ever().__await__()


async def over_old_style():
    await old_style()


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (wait_for_ever, ["wait_for_ever"]),
        (over_generator, ["over_generator", "generator", "wait_for_ever"]),
        (over_two_generators, ["over_two_generators", "outer", "generator", "wait_for_ever"]),
        (by_default, ["by_default", "generator", "wait_for_ever"]),
        (over_iterator, ["over_iterator", "__anext__", "wait_for_ever"]),
        (over_awaitable, ["over_awaitable", "__await__", "wait_for_ever"]),
        (over_old_style, ["over_old_style", "old_style", "wait_for_ever"]),
    ],
)
@pytest.mark.virtual_time
async def test_the_chain_of_awaits_is_followed_to_its_end(function, names):
    assert await names_in(function()) == names


@pytest.mark.virtual_time
async def test_a_task_that_has_not_started_is_told_apart():
    task = asyncio.create_task(wait_for_ever(), name="new")

    assert describe(task) == "Task 'new' has not started: wait_for_ever"
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.virtual_time
async def test_a_task_that_has_ended_stands_nowhere():
    task = asyncio.create_task(asyncio.sleep(0), name="old")
    await task

    assert list(frames(task)) == []
    assert describe(task) == "Task 'old' waits at an unknown place"


@pytest.mark.virtual_time
async def test_tasks_are_listed_by_name_innermost_line_first():
    tasks = [asyncio.create_task(over_generator(), name=name) for name in "ba"]
    await asyncio.sleep(0)

    first, second = describe_all(tasks).split("\n  Task ")
    line = wait_for_ever.__code__.co_firstlineno + 1
    assert first.startswith(f"  Task 'a' waits at {__file__}:{line} in wait_for_ever")
    assert second.startswith("'b'")
    assert first.count("called from") == 2
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
