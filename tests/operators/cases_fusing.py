"""The cases of `operators/fusing.py` for the tests that every operator is run through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from streamflow.operators.batching import batched
from streamflow.operators.combining import chain
from streamflow.operators.concurrency import map  # noqa: A004  # the standard word
from streamflow.operators.elements import filter  # noqa: A004  # the standard word
from streamflow.operators.fusing import fuse
from streamflow.operators.selecting import take
from streamflow.operators.timing import timeout
from tests.operators.contracts import Case


async def twice(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield item
        yield item


async def boxed(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield (item,)


async def boxed_slowly(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in items:
        await asyncio.sleep(0)
        yield (item,)


def box(item: Any) -> Any:
    return (item,)


async def box_later(item: Any) -> Any:
    await asyncio.sleep(0)
    return (item,)


def all_boxed_twice(items: list[Any]) -> list[Any]:
    return [(out,) for item in items for out in (item, item)]


def all_in_two_boxes(items: list[Any]) -> list[Any]:
    return [((item,),) for item in items]


def boxed_pairs(items: list[Any]) -> list[Any]:
    return [tuple((item,) for item in items[at : at + 2]) for at in range(0, len(items), 2)]


CASES = [
    Case("fuse", lambda: fuse(twice, boxed), all_boxed_twice, asynchronous=lambda: fuse(twice, boxed_slowly)),
    Case(
        "fuse",
        lambda: fuse(map(box), boxed, filter(len)),
        all_in_two_boxes,
        asynchronous=lambda: fuse(map(box_later), boxed_slowly),
    ),
    Case(
        "fuse",
        lambda: fuse(boxed, map(box, concurrency=2)),
        all_in_two_boxes,
        asynchronous=lambda: fuse(map(box_later, concurrency=2), boxed),
    ),
    Case("fuse", lambda: fuse(map(box), map(box)), all_in_two_boxes),
    Case("fuse", lambda: fuse(boxed, take(4), boxed), lambda items: all_in_two_boxes(items[:4])),
    Case("fuse", lambda: fuse(boxed, timeout(between=9.0), boxed), all_in_two_boxes),
    Case(
        "fuse",
        lambda: fuse(boxed, chain(["more"]), boxed),
        lambda items: [*all_in_two_boxes(items), ("more",)],
        before_error=all_in_two_boxes,
    ),
    Case(
        "fuse",
        lambda: fuse(boxed, batched(2)),
        boxed_pairs,
        before_error=lambda items: boxed_pairs(items[: len(items) // 2 * 2]),
    ),
]
