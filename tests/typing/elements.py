"""What type checkers see of the operators on single items, places and runs of items, edges, resources. See face.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import assert_type

import streamflow as sf


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
    assert_type(await sf.pipeline(pairs(), sf.starmap(joined), sf.collect()), list[bytes])
    assert_type(await sf.pipeline(pairs(), sf.starmap(joined_later), sf.collect()), list[bytes])
    assert_type(await sf.pipeline(numbers(), sf.filter_map(found), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), sf.filter_map(found_later), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), sf.cast(bool), sf.collect()), list[bool])
    # A union is no type to a checker, so what it is must be said.
    anything: list[int | None] = await sf.pipeline(numbers(), sf.cast(int | None), sf.collect())
    assert anything
    assert_type(await sf.pipeline(lists(), sf.flatten(), sf.collect()), list[int])
    assert_type(await sf.pipeline(streams_of(), sf.flatten(), sf.collect()), list[int])
    assert_type(await sf.pipeline(numbers(), sf.enumerate(1), sf.collect()), list[tuple[int, int]])


async def selecting() -> None:
    assert_type(
        await sf.pipeline(numbers(), sf.take(3), sf.skip(1), sf.take_last(2), sf.skip_last(1), sf.collect()), list[int]
    )
    assert_type(await sf.pipeline(numbers(), sf.distinct(100), sf.dedupe(), sf.collect()), list[int])
    assert_type(await sf.pipeline(numbers(), sf.take_while(small), sf.skip_while(small), sf.collect()), list[int])
    assert_type(await sf.pipeline(["a"], sf.distinct(100, key=length), sf.dedupe(key=length), sf.collect()), list[str])


async def accumulating() -> None:
    assert_type(await sf.pipeline(numbers(), sf.scan(longer, ""), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), sf.scan(longer_later, ""), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), sf.map_state(step, float), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), sf.map_state(step_later, float, at_end=rest), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), sf.pairwise(), sf.collect()), list[tuple[int, int]])
    assert_type(await sf.pipeline(numbers(), sf.sliding(3, step=2), sf.collect()), list[tuple[int, ...]])


async def edges() -> None:
    assert_type(
        await sf.pipeline(numbers(), sf.prepend(0), sf.append(2), sf.default_if_empty(3), sf.collect()), list[int]
    )
    assert_type(await sf.pipeline(numbers(), sf.repeat(2), sf.cycle(), sf.collect()), list[int])


async def resources() -> None:
    assert_type(await sf.pipeline(numbers(), sf.map_with(opened, scaled), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), sf.map_with(opened_at_once, scaled_later), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), sf.map_with(opened_later, scaled), sf.collect()), list[str])


# --- as methods --------------------------------------------------------------------------------------------------


def elements_methods(
    items: sf.Stream[int],
    two: sf.Stream[tuple[int, str]],
    nested: sf.Stream[list[int]],
    later: sf.Stream[sf.Stream[int]],
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


def selecting_methods(items: sf.Stream[str]) -> None:
    assert_type(items.take(3), sf.Stream[str])
    assert_type(items.take_while(str.isdigit, inclusive=True), sf.Stream[str])
    assert_type(items.take_last(3), sf.Stream[str])
    assert_type(items.skip(3), sf.Stream[str])
    assert_type(items.skip_while(lambda word: word.startswith("#")), sf.Stream[str])
    assert_type(items.skip_last(3), sf.Stream[str])
    assert_type(items.distinct(100, key=len), sf.Stream[str])
    assert_type(items.dedupe(key=lambda word: word.lower()), sf.Stream[str])


def accumulating_methods(items: sf.Stream[int]) -> None:
    assert_type(items.scan(longer, ""), sf.Stream[str])
    assert_type(items.scan(longer_later, ""), sf.Stream[str])
    assert_type(items.map_state(step, float), sf.Stream[str])
    assert_type(items.map_state(step_later, float, at_end=rest), sf.Stream[str])
    assert_type(items.pairwise(), sf.Stream[tuple[int, int]])
    assert_type(items.sliding(3), sf.Stream[tuple[int, ...]])


def edges_methods(items: sf.Stream[int]) -> None:
    assert_type(items.prepend(0), sf.Stream[int])
    assert_type(items.append("end"), sf.Stream[int | str])
    assert_type(items.default_if_empty(None), sf.Stream[int | None])
    assert_type(items.cycle(), sf.Stream[int])
    assert_type(items.repeat(2), sf.Stream[int])


def resources_methods(items: sf.Stream[int]) -> None:
    assert_type(items.map_with(opened, scaled), sf.Stream[str])
    assert_type(items.map_with(opened_at_once, scaled_later), sf.Stream[str])
    assert_type(items.map_with(opened, lambda factor, number: str(factor * number)), sf.Stream[str])


# --- what is wrong is found --------------------------------------------------------------------------------------


def wrong(two: sf.Stream[tuple[int, str]], items: sf.Stream[int]) -> None:
    two.starmap(scaled)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    items.starmap(joined)  # type: ignore[misc, arg-type]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    items.flatten()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
