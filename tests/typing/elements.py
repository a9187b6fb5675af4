"""What type checkers see of the operators on single items, places and runs of items, edges, resources. See face.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import assert_type

import streamflow as sf
from streamflow.methods.accumulating import Accumulating
from streamflow.methods.edges import Edges
from streamflow.methods.elements import Elements
from streamflow.methods.resources import Resources
from streamflow.methods.selecting import Selecting
from streamflow.operators.accumulating import map_state, pairwise, scan, sliding
from streamflow.operators.edges import append, cycle, default_if_empty, prepend, repeat
from streamflow.operators.elements import cast, enumerate, filter_map, flatten, starmap  # noqa: A004  # standard words
from streamflow.operators.resources import map_with
from streamflow.operators.selecting import (
    dedupe,
    distinct,
    skip,
    skip_last,
    skip_while,
    take,
    take_last,
    take_while,
)


def numbers() -> Iterator[int]:
    yield 1


def pairs() -> Iterator[tuple[int, str]]:
    yield 1, "a"


def lists() -> Iterator[list[int]]:
    yield [1]


async def streams_of() -> AsyncIterator[AsyncIterator[int]]:
    yield streamed()


async def streamed() -> AsyncIterator[int]:
    yield 1


def joined(number: int, word: str) -> bytes:
    return word.encode() * number


async def joined_later(number: int, word: str) -> bytes:
    return joined(number, word)


def found(number: int) -> str | None:
    return str(number) if number else None


async def found_later(number: int) -> str | None:
    return found(number)


def length(text: str) -> int:
    return len(text)


async def small(number: int) -> bool:
    return number < 3


def longer(text: str, number: int) -> str:
    return text + str(number)


async def longer_later(text: str, number: int) -> str:
    return longer(text, number)


def step(state: float, number: int) -> tuple[float, str]:
    return state + number, str(number)


async def step_later(state: float, number: int) -> tuple[float, str]:
    return step(state, number)


async def rest(state: float) -> AsyncIterator[str]:
    yield str(state)


@asynccontextmanager
async def opened() -> AsyncGenerator[float, None]:
    yield 1.0


@contextmanager
def opened_at_once() -> Generator[float, None, None]:
    yield 1.0


async def opened_later() -> AbstractContextManager[float]:
    return opened_at_once()


def scaled(factor: float, number: int) -> str:
    return str(factor * number)


async def scaled_later(factor: float, number: int) -> str:
    return scaled(factor, number)


# --- as stages of a pipeline -------------------------------------------------------------------------------------


async def elements() -> None:
    assert_type(await sf.pipeline(pairs(), starmap(joined), sf.collect()), list[bytes])
    assert_type(await sf.pipeline(pairs(), starmap(joined_later), sf.collect()), list[bytes])
    assert_type(await sf.pipeline(numbers(), filter_map(found), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), filter_map(found_later), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), cast(bool), sf.collect()), list[bool])
    anything: list[int | None] = await sf.pipeline(numbers(), cast(int | None), sf.collect())
    # mypy has no type for a generic stage before its input is known, and takes `Any`; pyright knows.
    flat: list[int] = await sf.pipeline(lists(), flatten(), sf.collect())
    flat_later: list[int] = await sf.pipeline(streams_of(), flatten(), sf.collect())
    numbered: list[tuple[int, int]] = await sf.pipeline(numbers(), enumerate(1), sf.collect())
    assert [anything, flat, flat_later, numbered]


async def selecting() -> None:
    some: list[int] = await sf.pipeline(numbers(), take(3), skip(1), take_last(2), skip_last(1), sf.collect())
    new: list[int] = await sf.pipeline(numbers(), distinct(100), dedupe(), sf.collect())
    assert [some, new]
    assert_type(await sf.pipeline(numbers(), take_while(small), skip_while(small), sf.collect()), list[int])
    assert_type(await sf.pipeline(["a"], distinct(100, key=length), dedupe(key=length), sf.collect()), list[str])


async def accumulating() -> None:
    assert_type(await sf.pipeline(numbers(), scan(longer, ""), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), scan(longer_later, ""), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), map_state(step, float), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), map_state(step_later, float, at_end=rest), sf.collect()), list[str])
    two: list[tuple[int, int]] = await sf.pipeline(numbers(), pairwise(), sf.collect())
    more: list[tuple[int, ...]] = await sf.pipeline(numbers(), sliding(3, step=2), sf.collect())
    assert [two, more]


async def edges() -> None:
    around: list[int] = await sf.pipeline(numbers(), prepend(0), append(2), default_if_empty(3), sf.collect())
    again: list[int] = await sf.pipeline(numbers(), repeat(2), cycle(), sf.collect())
    assert [around, again]


async def resources() -> None:
    assert_type(await sf.pipeline(numbers(), map_with(opened, scaled), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), map_with(opened_at_once, scaled_later), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), map_with(opened_later, scaled), sf.collect()), list[str])


# --- as methods --------------------------------------------------------------------------------------------------


def elements_methods(
    items: Elements[int], two: Elements[tuple[int, str]], nested: Elements[list[int]], later: Elements[sf.Stream[int]]
) -> None:
    assert_type(two.starmap(joined), sf.Stream[bytes])
    assert_type(two.starmap(joined_later), sf.Stream[bytes])
    assert_type(two.starmap(lambda number, word: word * number), sf.Stream[str])
    assert_type(items.filter_map(found), sf.Stream[str])
    assert_type(items.filter_map(found_later), sf.Stream[str])
    assert_type(nested.flatten(), sf.Stream[int])
    assert_type(later.flatten(), sf.Stream[int])
    assert_type(items.enumerate(), sf.Stream[tuple[int, int]])
    assert_type(items.cast(bool), sf.Stream[bool])
    maybe: list[sf.Stream[int | None]] = [items.cast(int | None)]
    assert maybe
    assert_type(items.tap(small).filter(small), sf.Stream[int])


def selecting_methods(items: Selecting[str]) -> None:
    assert_type(items.take(3), sf.Stream[str])
    assert_type(items.take_while(str.isdigit, inclusive=True), sf.Stream[str])
    assert_type(items.take_last(3), sf.Stream[str])
    assert_type(items.skip(3), sf.Stream[str])
    assert_type(items.skip_while(lambda word: word.startswith("#")), sf.Stream[str])
    assert_type(items.skip_last(3), sf.Stream[str])
    assert_type(items.distinct(100, key=len), sf.Stream[str])
    assert_type(items.dedupe(key=lambda word: word.lower()), sf.Stream[str])


def accumulating_methods(items: Accumulating[int]) -> None:
    assert_type(items.scan(longer, ""), sf.Stream[str])
    assert_type(items.scan(longer_later, ""), sf.Stream[str])
    assert_type(items.map_state(step, float), sf.Stream[str])
    assert_type(items.map_state(step_later, float, at_end=rest), sf.Stream[str])
    assert_type(items.pairwise(), sf.Stream[tuple[int, int]])
    assert_type(items.sliding(3), sf.Stream[tuple[int, ...]])


def edges_methods(items: Edges[int]) -> None:
    assert_type(items.prepend(0), sf.Stream[int])
    assert_type(items.append("end"), sf.Stream[int | str])
    assert_type(items.default_if_empty(None), sf.Stream[int | None])
    assert_type(items.cycle(), sf.Stream[int])
    assert_type(items.repeat(2), sf.Stream[int])


def resources_methods(items: Resources[int]) -> None:
    assert_type(items.map_with(opened, scaled), sf.Stream[str])
    assert_type(items.map_with(opened_at_once, scaled_later), sf.Stream[str])
    assert_type(items.map_with(opened, lambda factor, number: str(factor * number)), sf.Stream[str])


# --- what is wrong is found --------------------------------------------------------------------------------------


def wrong(two: Elements[tuple[int, str]], items: Elements[int]) -> None:
    two.starmap(scaled)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    items.starmap(joined)  # type: ignore[misc, arg-type]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    items.flatten()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
