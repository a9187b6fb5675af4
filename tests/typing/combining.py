"""What type checkers see of the operators that combine sources, as functions and as methods."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_type

import streamflow as sf


async def words() -> AsyncIterator[str]:
    yield ""


async def length(item: int | str) -> int:
    return len(str(item))


numbers = range(3)
texts = sf.stream(["a"])
channel: sf.Channel[bytes] = sf.Channel(1)


async def functions_standing_first() -> None:
    """Every function as a source: of one type, of two (a union), of many."""
    assert_type(await sf.pipeline(sf.chain(numbers, [1]), sf.collect()), list[int])
    assert_type(await sf.pipeline(sf.chain(numbers, words()), sf.collect()), list[int | str])
    assert_type(await sf.pipeline(sf.merge(numbers, texts, channel), sf.collect()), list[int | str | bytes])
    assert_type(await sf.pipeline(sf.merge(*[numbers, numbers]), sf.collect()), list[int])
    assert_type(await sf.pipeline(sf.merge(numbers, texts, weights=(1, 2)), sf.first()), int | str)
    assert_type(await sf.pipeline(sf.race(numbers, texts), sf.collect()), list[int | str])
    assert_type(await sf.pipeline(sf.interleave(numbers, texts, n=2), sf.collect()), list[int | str])
    assert_type(await sf.pipeline(sf.merge_sorted(numbers, [1.5]), sf.collect()), list[int | float])
    assert_type(await sf.pipeline(sf.merge_sorted(numbers, texts, key=length), sf.collect()), list[int | str])
    assert_type(await sf.pipeline(sf.zip(numbers, texts), sf.collect()), list[tuple[int, str]])
    assert_type(
        await sf.pipeline(sf.zip(numbers, texts, channel, numbers, texts, strict=True), sf.collect()),
        list[tuple[int, str, bytes, int, str]],
    )
    assert_type(await sf.pipeline(sf.zip_longest(numbers, texts), sf.collect()), list[tuple[int | None, str | None]])
    assert_type(
        await sf.pipeline(sf.zip_longest(numbers, texts, fillvalue=b""), sf.collect()),
        list[tuple[int | bytes, str | bytes]],
    )
    assert_type(await sf.pipeline(sf.zip_latest(numbers, texts), sf.collect()), list[tuple[int, str]])


async def functions_as_stages() -> None:
    """The input comes first."""
    assert_type(await sf.pipeline(numbers, sf.chain([1]), sf.collect()), list[int])
    assert_type(await sf.pipeline(numbers, sf.merge(texts), sf.collect()), list[int | str])
    assert_type(await sf.pipeline(numbers, sf.race(texts), sf.collect()), list[int | str])
    assert_type(await sf.pipeline(numbers, sf.interleave(texts), sf.collect()), list[int | str])
    assert_type(await sf.pipeline(numbers, sf.merge_sorted([1.5]), sf.collect()), list[int | float])
    assert_type(await sf.pipeline(numbers, sf.zip(texts), sf.collect()), list[tuple[int, str]])
    assert_type(
        await sf.pipeline(numbers, sf.zip(texts, channel, texts, numbers), sf.collect()),
        list[tuple[int, str, bytes, str, int]],
    )
    assert_type(await sf.pipeline(numbers, sf.zip_longest(texts), sf.collect()), list[tuple[int | None, str | None]])
    assert_type(
        await sf.pipeline(numbers, sf.zip_longest(texts, fillvalue=b""), sf.collect()),
        list[tuple[int | bytes, str | bytes]],
    )
    assert_type(await sf.pipeline(numbers, sf.zip_latest(texts, channel), sf.collect()), list[tuple[int, str, bytes]])


async def methods() -> None:
    """The same on a stream."""
    stream = sf.stream(numbers)
    assert_type(stream.chain([1]), sf.Stream[int])
    assert_type(stream.chain(texts, channel), sf.Stream[int | str | bytes])
    assert_type(stream.merge(texts, priority=True), sf.Stream[int | str])
    assert_type(stream.merge(*[numbers, numbers], end="any"), sf.Stream[int])
    assert_type(stream.race(texts), sf.Stream[int | str])
    assert_type(stream.interleave(texts, n=3), sf.Stream[int | str])
    assert_type(stream.merge_sorted(texts, key=length), sf.Stream[int | str])
    assert_type(stream.merge_sorted([2], key=lambda number: -number, reverse=True), sf.Stream[int])
    assert_type(stream.zip(texts), sf.Stream[tuple[int, str]])
    assert_type(stream.zip(texts, channel, texts, numbers, strict=True), sf.Stream[tuple[int, str, bytes, str, int]])
    assert_type(stream.zip_longest(texts), sf.Stream[tuple[int | None, str | None]])
    assert_type(stream.zip_longest(texts, fillvalue=b""), sf.Stream[tuple[int | bytes, str | bytes]])
    assert_type(stream.zip_latest(texts, channel), sf.Stream[tuple[int, str, bytes]])
    assert_type(await stream.zip(texts).map(lambda pair: pair[1]).collect(), list[str])


async def by_hand() -> None:
    """Iterated without a pipeline."""
    async for item in sf.merge(numbers, texts):
        assert_type(item, int | str)
    async for row in sf.zip(numbers, texts):
        assert_type(row, tuple[int, str])
    async for number, text in sf.zip(texts)(sf.stream(numbers)):
        assert_type(number, int)
        assert_type(text, str)


async def mistakes() -> None:
    """What must be reported."""
    sf.merge(3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    sf.merge(numbers, end="first")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    sf.zip(numbers, 3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    sf.stream(numbers).merge(3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
