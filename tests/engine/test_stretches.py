"""A synchronous source, cut into stretches."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest

import streamflow as sf
from streamflow.engine import budget as module
from streamflow.engine.budget import Budget
from streamflow.engine.stretches import Stretches


class Boom(Exception):
    pass


async def into(items: list[int], stretches: Stretches[int]) -> list[int]:
    while (stretch := await stretches.next_hand()) is not None:
        items.extend(stretch)
    return items


async def everything(stretches: Stretches[int]) -> list[int]:
    return await into([], stretches)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 100, 5000])
async def test_the_stretches_together_are_the_source(length):
    """L2"""
    assert await everything(Stretches(iter(range(length)), Budget())) == list(range(length))


async def test_nothing_is_taken_before_a_stretch_is_consumed():
    """F1"""
    source = iter(range(10))
    stretches = Stretches(source, Budget())
    stretch = stretches.take()
    assert stretch is not None
    assert next(source) == 0
    assert next(stretch) == 1


async def test_a_source_that_fails_gives_the_items_before_first():
    """P3"""

    def failing() -> Iterator[int]:
        yield from range(3)
        raise Boom

    seen: list[int] = []
    with pytest.raises(Boom):
        await into(seen, Stretches(failing(), Budget()))
    assert seen == [0, 1, 2]


async def test_it_ends_for_good():
    stretches = Stretches(iter([1]), Budget())
    assert await everything(stretches) == [1]
    assert stretches.take() is None
    assert await stretches.next_hand() is None


async def test_a_turn_is_given_between_two_stretches_when_it_is_due(monkeypatch):
    """P8"""
    monkeypatch.setattr(module, "perf_counter", itertools.count(step=2 * module._SLICE).__next__)
    stretches = Stretches(iter(range(10)), Budget())
    assert stretches.take() is None
    task = asyncio.ensure_future(everything(stretches))
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    assert task.result() == list(range(10))
    assert turns >= 10


async def test_an_endless_source_of_which_nothing_passes_can_be_cancelled():
    """P8, F7, X16: the chain never gets to its output."""
    task = asyncio.ensure_future(sf.pipeline(itertools.count(), sf.filter(lambda n: n < 0), sf.drain()))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
