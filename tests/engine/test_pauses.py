"""Where an input pauses: so many seconds behind the first item since the last pause; no item is lost for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any

import pytest

from streamflow.engine.pauses import PAUSE, pausing

pytestmark = pytest.mark.virtual_time


async def at(moments: Iterable[float], end: float) -> AsyncIterator[float]:
    for moment in moments:
        await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))
        yield moment
    await asyncio.sleep(max(0.0, end - asyncio.get_running_loop().time()))


async def arrived(seconds: float | None, moments: Iterable[float], end: float) -> list[tuple[float, Any]]:
    now = asyncio.get_running_loop().time
    async with aclosing(at(moments, end)) as items, pausing(items, seconds) as arriving:
        return [(round(now(), 6), "pause" if item is PAUSE else item) async for item in arriving]


@pytest.mark.parametrize(
    ("seconds", "moments", "expected"),
    [
        (2, [0, 1, 5], [(0, 0), (1, 1), (2, "pause"), (5, 5), (7, "pause")]),
        (2, [0, 2.5, 4], [(0, 0), (2, "pause"), (2.5, 2.5), (4, 4), (4.5, "pause")]),
        (0, [1, 3], [(1, 1), (1, "pause"), (3, 3), (3, "pause")]),
        (50, [1, 3], [(1, 1), (3, 3)]),
        (None, [1, 3], [(1, 1), (3, 3)]),
        (2, [], []),
    ],
)
async def test_the_clock_starts_with_the_first_item_behind_a_pause(
    seconds: float | None, moments: list[float], expected: list[tuple[float, Any]]
) -> None:
    assert await arrived(seconds, moments, 10) == expected


async def test_a_slow_consumer_gets_the_pause_late_and_every_item_once() -> None:
    got: list[Any] = []
    async with aclosing(at([0, 1, 2, 3], 4)) as items, pausing(items, 0.5) as arriving:
        async for item in arriving:
            got.append("pause" if item is PAUSE else item)
            await asyncio.sleep(5)

    assert [item for item in got if item != "pause"] == [0, 1, 2, 3]
    assert "pause" in got


async def test_a_failure_comes_behind_the_items_before_it() -> None:
    """P3."""

    async def source() -> AsyncIterator[int]:
        yield 1
        raise OSError("mine")

    got: list[Any] = []

    async def take() -> None:
        async with aclosing(source()) as items, pausing(items, 1) as arriving:
            async for item in arriving:
                got.append(item)  # noqa: PERF401  # those before the failure are asked for

    with pytest.raises(OSError, match="mine"):
        await take()
    assert got == [1]
