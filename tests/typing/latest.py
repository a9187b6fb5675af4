"""What type checkers see of the operators for which the latest counts, of those that wait, and of intersperse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import assert_type

import anyio

import streamflow as sf


async def numbers() -> AsyncIterator[int]:
    yield 1


async def search(number: int) -> list[str]:
    return [str(number)]


async def follow(number: int) -> AsyncIterator[str]:
    yield str(number)


def digits(number: int) -> list[str]:
    return list(str(number))


# --- as stages of a pipeline -------------------------------------------------------------------------------------


async def latest() -> None:
    assert_type(await sf.pipeline(numbers(), sf.switch_map(search), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), sf.switch_map(follow), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), sf.switch_map(digits), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers(), sf.with_latest_from(["a"]), sf.collect()), list[tuple[int, str]])
    assert_type(
        await sf.pipeline(numbers(), sf.with_latest_from(["a"], follow(1), [b""]), sf.collect()),
        list[tuple[int, str, str, bytes]],
    )


async def until(event: asyncio.Event, other: anyio.Event) -> None:
    assert_type(await sf.pipeline(numbers(), sf.take_until(event), sf.take_until(other), sf.collect()), list[int])
    assert_type(
        await sf.pipeline(numbers(), sf.skip_until(["now"]), sf.skip_until(sf.stream([1])), sf.collect()), list[int]
    )


async def separators() -> None:
    stage: sf.Stage[str, str] = sf.intersperse(",", start="[", end="]")
    assert_type(await sf.pipeline(["a"], stage, sf.collect()), list[str])
    mixed: sf.Stage[int, int | None] = sf.intersperse(None)
    assert_type(await sf.pipeline(numbers(), mixed, sf.collect()), list[int | None])


# --- as methods --------------------------------------------------------------------------------------------------


def latest_methods(items: sf.Stream[int]) -> None:
    assert_type(items.switch_map(search), sf.Stream[str])
    assert_type(items.switch_map(follow), sf.Stream[str])
    assert_type(items.switch_map(digits), sf.Stream[str])
    assert_type(items.switch_map(lambda number: [number]), sf.Stream[int])
    assert_type(items.with_latest_from(["a"]), sf.Stream[tuple[int, str]])
    assert_type(items.with_latest_from(["a"], follow(1)), sf.Stream[tuple[int, str, str]])
    assert_type(items.with_latest_from(["a"], [1], [b""], [1.0]), sf.Stream[tuple[int, str, int, bytes, float]])


def until_methods(items: sf.Stream[int], event: asyncio.Event) -> None:
    assert_type(items.take_until(event), sf.Stream[int])
    assert_type(items.skip_until(follow(1)), sf.Stream[int])


def separator_methods(items: sf.Stream[int], words: sf.Stream[str]) -> None:
    assert_type(items.intersperse(None), sf.Stream[int | None])
    assert_type(words.intersperse(",", start="[", end="]"), sf.Stream[str])


# --- mistakes ----------------------------------------------------------------------------------------------------


def wrong(items: sf.Stream[str], until: sf.Stream[str]) -> None:
    items.switch_map(search)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    until.take_until(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    items.with_latest_from(3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    sf.intersperse()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
