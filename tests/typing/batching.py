"""What type checkers see of batching, grouping and buffers; never run, see face.py."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, assert_type

import streamflow as sf


async def weigh(word: str) -> int:
    return len(word)


async def initial(word: str) -> str:
    return word[0]


def shorter(word: str, other: str) -> str:
    return min(word, other, key=len)


async def longer(word: str, other: str) -> str:
    return max(word, other, key=len)


def add(total: float, word: str) -> float:
    return total + len(word)


async def lengths(words: AsyncIterable[str]) -> AsyncIterator[int]:
    async for word in words:
        yield len(word)


words = ["a", "b"]


async def functions() -> None:
    assert_type(sf.group_by(initial, lambda _: lengths), sf.Stage[str, int])
    assert_type(sf.conflate(shorter), sf.Stage[str, str])
    assert_type(sf.conflate(longer), sf.Stage[str, str])
    assert_type(sf.conflate(add, seed=len), sf.Stage[str, float])
    assert_type(sf.rechunk(4), sf.Stage[bytes | bytearray | memoryview, bytes])


async def in_pipelines() -> None:
    assert_type(await sf.pipeline(words, sf.batched(5), sf.collect()), list[tuple[str, ...]])
    assert_type(
        await sf.pipeline(words, sf.batched(5, within=1, max_weight=9, weight=weigh), sf.collect()),
        list[tuple[str, ...]],
    )
    assert_type(await sf.pipeline(words, sf.batch_waiting(5), sf.collect()), list[tuple[str, ...]])
    assert_type(await sf.pipeline(words, sf.batched(5), sf.unbatch(), sf.collect()), list[str])
    assert_type(await sf.pipeline(words, sf.buffer(5, overflow="drop_oldest"), sf.collect()), list[str])
    assert_type(await sf.pipeline([b""], sf.rechunk(5), sf.collect()), list[bytes])
    assert_type(await sf.pipeline(words, sf.group_adjacent(initial), sf.collect()), list[tuple[str, tuple[str, ...]]])
    assert_type(await sf.pipeline(words, sf.split_when(str.isupper), sf.collect()), list[tuple[str, ...]])
    assert_type(await sf.pipeline(words, sf.group_by(initial, lambda _: lengths), sf.collect()), list[int])
    assert_type(await sf.pipeline(words, sf.conflate(shorter), sf.collect()), list[str])
    assert_type(await sf.pipeline(words, sf.conflate(add, seed=len), sf.collect()), list[float])


async def methods(some: sf.Stream[str], batches: sf.Stream[tuple[str, ...]], chunks: sf.Stream[bytes]) -> None:
    assert_type(some.batched(5, within=1, max_weight=9, weight=len), sf.Stream[tuple[str, ...]])
    assert_type(some.batched(max_weight=9, weight=lambda word: len(word) + 1), sf.Stream[tuple[str, ...]])
    assert_type(some.batch_waiting(5), sf.Stream[tuple[str, ...]])
    assert_type(batches.unbatch(), sf.Stream[str])
    assert_type(chunks.rechunk(5), sf.Stream[bytes])
    assert_type(some.group_adjacent(len), sf.Stream[tuple[int, tuple[str, ...]]])
    assert_type(some.group_adjacent(initial), sf.Stream[tuple[str, tuple[str, ...]]])
    assert_type(some.group_adjacent(lambda word: word[0]), sf.Stream[tuple[str, tuple[str, ...]]])
    assert_type(some.split_after(lambda word: word.isupper()), sf.Stream[tuple[str, ...]])
    assert_type(some.split_when(lambda word: word.isupper()), sf.Stream[tuple[str, ...]])
    assert_type(some.group_by(lambda word: word[0], lambda _: lengths), sf.Stream[int])
    assert_type(some.group_by(initial, lambda _: lengths), sf.Stream[int])
    assert_type(some.group_by(initial, lambda _: (lengths, sf.map(str))), sf.Stream[Any])
    assert_type(some.buffer(5, overflow="fail"), sf.Stream[str])
    assert_type(some.conflate(shorter), sf.Stream[str])
    assert_type(some.conflate(lambda _, latest: latest), sf.Stream[str])
    assert_type(some.conflate(longer), sf.Stream[str])
    assert_type(some.conflate(add, seed=len), sf.Stream[float])
    some.buffer(5, overflow="drop")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    some.rechunk(5)  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
