"""What type checkers see of the sinks: as the end of a pipeline, and as terminals of a stream. Never run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import assert_type

import anyio.abc

import streamflow as sf

numbers = range(3)
flow = sf.stream(numbers)


async def add(total: float, item: int) -> float:
    return total + item


async def is_even(number: int) -> bool:
    return number % 2 == 0


async def in_batches(items: sf.Reader[int]) -> int:
    total = 0
    async for batch in items.batches():
        total += len(batch)
    return total


async def both(items: AsyncIterable[int]) -> tuple[int, ...]:
    return tuple([item async for item in items])


async def sinks() -> None:
    """Every sink's own value."""
    assert_type(await sf.pipeline(numbers, sf.collect(limit=9)), list[int])
    assert_type(await sf.pipeline(numbers, sf.to_dict(str)), dict[str, int])
    assert_type(await sf.pipeline(numbers, sf.to_dict(str, float)), dict[str, float])
    assert_type(await sf.pipeline([("a", 1)], sf.to_dict()), dict[str, int])
    assert_type(await sf.pipeline(["a"], sf.to_dict(len)), dict[int, str])
    assert_type(await sf.pipeline(numbers, sf.count()), int)
    assert_type(await sf.pipeline(numbers, sf.drain()), None)
    assert_type(await sf.pipeline(numbers, sf.first()), int)
    assert_type(await sf.pipeline(numbers, sf.first(default="")), int | str)
    assert_type(await sf.pipeline(numbers, sf.last()), int)
    assert_type(await sf.pipeline(numbers, sf.last(default="")), int | str)
    assert_type(await sf.pipeline(numbers, sf.single()), int)
    assert_type(await sf.pipeline(numbers, sf.single(None)), int | None)
    assert_type(await sf.pipeline(numbers, sf.reduce(add, 0.0)), float)
    assert_type(await sf.pipeline(numbers, sf.min()), int)
    assert_type(await sf.pipeline(numbers, sf.max(key=abs, default=None)), int | None)
    assert_type(await sf.pipeline(numbers, sf.sum()), int)
    assert_type(await sf.pipeline([0.5], sf.sum()), float | int)
    assert_type(await sf.pipeline([0.5], sf.sum(0.0)), float)
    assert_type(await sf.pipeline(numbers, sf.any(is_even)), bool)
    assert_type(await sf.pipeline(numbers, sf.any(lambda number: number > 2)), bool)
    assert_type(await sf.pipeline(numbers, in_batches), int)
    assert_type(await sf.pipeline(numbers, sf.all()), bool)
    assert_type(await sf.pipeline(numbers, sf.for_each(print)), int)
    assert_type(await sf.pipeline(numbers, sf.into(sf.Channel[int](4), then="close")), int)


async def terminals(writer: asyncio.StreamWriter, stream: anyio.abc.ObjectSendStream[int]) -> None:
    """The same as methods, which know the items."""
    assert_type(await flow.collect(3), list[int])
    assert_type(await flow.to_dict(str), dict[str, int])
    assert_type(await flow.to_dict(str, float), dict[str, float])
    assert_type(await flow.enumerate().to_dict(), dict[int, int])
    assert_type(await flow.sum(0.5), int | float)
    assert_type(await flow.count(), int)
    assert_type(await flow.first(), int)
    assert_type(await flow.first(""), int | str)
    assert_type(await flow.last(), int)
    assert_type(await flow.last(None), int | None)
    assert_type(await flow.single(), int)
    assert_type(await flow.single(default=""), int | str)
    assert_type(await flow.reduce(add, 0.0), float)
    assert_type(await flow.min(), int)
    assert_type(await flow.min(key=lambda number: -number), int)
    assert_type(await flow.max(default=None), int | None)
    assert_type(await flow.sum(), int)
    assert_type(await flow.any(lambda number: number > 2), bool)
    assert_type(await flow.all(is_even), bool)
    assert_type(await flow.for_each(print), int)
    assert_type(await flow.map(str).map(str.encode).into(writer), int)
    assert_type(await flow.into(stream, then="close"), int)
    assert_type(await flow.into(asyncio.Queue[int](3)), int)


async def rests() -> None:
    """A sink that hands back what it did not consume."""
    async with flow.map(str).open() as items:
        assert_type(await items.into(sf.first()), str)
        assert_type(await items.into(sf.count()), int)
        async for item in items:
            assert_type(item, str)
    async with flow.open() as ints:
        assert_type(await ints.into(both), tuple[int, ...])


def threads() -> None:
    """A stream in an ordinary thread."""
    with flow.map(str).blocking() as items:
        for item in items:
            assert_type(item, str)
    assert_type(list(flow.blocking()), list[int])


async def mistakes() -> None:
    """What must be reported."""
    await flow.to_dict()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await flow.to_dict(str, duplicates="none")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await flow.all(str.upper)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await flow.into("target")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(["a"], sf.to_dict(is_even))  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(["a"], sf.reduce(add, 0.0))  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    sf.count(3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    sf.drain(3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
