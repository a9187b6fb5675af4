"""What type checkers see of batching, grouping and buffers; never run, see face.py."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, assert_type

import streamflow as sf
from streamflow.methods.batching import Batching
from streamflow.methods.buffers import Buffers
from streamflow.methods.grouping import Grouping
from streamflow.operators.batching import batch_waiting, batched, rechunk, unbatch
from streamflow.operators.buffers import buffer, conflate
from streamflow.operators.grouping import group_adjacent, group_by, split_after, split_when
from streamflow.stages import Stage


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


def use(*_: object) -> None:
    """Stand for whatever uses a value."""


words = ["a", "b"]


async def functions() -> None:
    assert_type(batched(max_weight=1.5, weight=weigh), Stage[str, tuple[str, ...]])
    assert_type(group_adjacent(initial), Stage[str, tuple[str, tuple[str, ...]]])
    assert_type(split_when(str.isupper), Stage[str, tuple[str, ...]])
    assert_type(split_after(str.isupper), Stage[str, tuple[str, ...]])
    assert_type(group_by(initial, lambda _: lengths), Stage[str, int])
    assert_type(conflate(shorter), Stage[str, str])
    assert_type(conflate(longer), Stage[str, str])
    assert_type(conflate(add, seed=len), Stage[str, float])
    assert_type(rechunk(4), Stage[bytes | bytearray | memoryview, bytes])


async def in_pipelines() -> None:
    # What is made before its input is known may be `Any` to a checker; it must fit all the same.
    batches: list[tuple[str, ...]] = await sf.pipeline(words, batched(5), sf.collect())
    batches = await sf.pipeline(words, batched(5, within=1, max_weight=9, weight=weigh), sf.collect())
    batches = await sf.pipeline(words, batch_waiting(5), sf.collect())
    some: list[str] = await sf.pipeline(words, batched(5), unbatch(), sf.collect())
    some = await sf.pipeline(words, buffer(5, overflow="drop_oldest"), sf.collect())
    use(batches, some)
    assert_type(await sf.pipeline([b""], rechunk(5), sf.collect()), list[bytes])
    assert_type(await sf.pipeline(words, group_adjacent(initial), sf.collect()), list[tuple[str, tuple[str, ...]]])
    assert_type(await sf.pipeline(words, split_when(str.isupper), sf.collect()), list[tuple[str, ...]])
    assert_type(await sf.pipeline(words, group_by(initial, lambda _: lengths), sf.collect()), list[int])
    assert_type(await sf.pipeline(words, conflate(shorter), sf.collect()), list[str])
    assert_type(await sf.pipeline(words, conflate(add, seed=len), sf.collect()), list[float])


class Words(Batching[str], Buffers[str], Grouping[str]):
    """Stands for a stream of words."""


class Batches(Batching[tuple[str, ...]]):
    """Stands for a stream of batches."""


class Chunks(Batching[bytes]):
    """Stands for a stream of bytes."""


async def methods(some: Words, batches: Batches, chunks: Chunks) -> None:
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
