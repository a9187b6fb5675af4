"""What type checkers see of nested stages; never run, see face.py."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, assert_type

import streamflow as sf


async def lengths(words: AsyncIterable[str]) -> AsyncIterator[int]:
    async for word in words:
        yield len(word)


async def halves(numbers: AsyncIterable[int]) -> AsyncIterator[float]:
    async for number in numbers:
        yield number / 2


@sf.stage
async def texts(numbers: AsyncIterable[float], digits: int) -> AsyncIterator[str]:
    async for number in numbers:
        yield f"{number:.{digits}f}"


def functions() -> None:
    assert_type(sf.fuse(lengths), sf.Stage[str, int])
    assert_type(sf.fuse(lengths, halves), sf.Stage[str, float])
    assert_type(sf.fuse(lengths, halves, texts(2)), sf.Stage[str, str])
    assert_type(sf.fuse(lengths, halves, texts(2), lengths), sf.Stage[str, int])
    assert_type(sf.fuse(lengths, halves, texts(2), lengths, halves), sf.Stage[str, float])
    assert_type(sf.fuse(lengths, halves, texts(2), lengths, halves, texts(1)), sf.Stage[str, str])
    assert_type(sf.fuse(lengths, halves, texts(2), lengths, halves, texts(1), lengths), sf.Stage[str, Any])
    assert_type(sf.fuse(sf.fuse(lengths, halves), texts(2)), sf.Stage[str, str])
    assert_type(sf.fuse(lengths, sf.map(float), sf.take(2)), sf.Stage[str, float])


async def methods() -> None:
    words = sf.stream(["a", "b"])
    assert_type(words.fuse(lengths), sf.Stream[int])
    assert_type(words.fuse(lengths, halves), sf.Stream[float])
    assert_type(words.fuse(lengths, halves, texts(2)), sf.Stream[str])
    assert_type(words.fuse(lengths, halves, texts(2), lengths), sf.Stream[int])
    assert_type(words.fuse(lengths, halves, texts(2), lengths, halves), sf.Stream[float])
    assert_type(words.fuse(lengths, halves, texts(2), lengths, halves, texts(1)), sf.Stream[str])
    assert_type(await sf.pipeline(["a"], sf.fuse(lengths, halves), sf.collect()), list[float])


def mistakes() -> None:
    sf.fuse(halves, lengths)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
