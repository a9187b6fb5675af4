"""What type checkers see of `operators/concurrency.py` and its policies. Never run; see face.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, assert_type

import streamflow as sf


async def fetch(number: int) -> str:
    return str(number)


def square(number: int) -> float:
    return number / 2


async def fetch_words(number: int) -> list[str]:
    return [str(number)]


async def stream_words(number: int) -> AsyncIterator[str]:
    yield str(number)


def keep(letter: sf.DeadLetter[int]) -> None:
    assert_type(letter.item, int)
    assert_type(letter.error, Exception)


async def functions(numbers: list[int]) -> None:
    retry = sf.Retry(5, on=(OSError, ValueError), backoff=sf.Backoff(first=1.0, jitter=False))
    errors = sf.skip_errors(ValueError, budget=5, to=keep)
    assert_type(errors, sf.ErrorPolicy)
    assert_type(sf.Retry(on=lambda error: "busy" in str(error)), sf.Retry)

    assert_type(await sf.pipeline(numbers, sf.map(fetch, concurrency="auto", key=str), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, sf.map(fetch, retry=retry, errors=errors), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, sf.map(fetch, timeout=5, max_waiting=9), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, sf.map(square, threads=4), sf.collect()), list[float])
    assert_type(await sf.pipeline(numbers, sf.map(square, processes=4), sf.collect()), list[float])
    assert_type(await sf.pipeline(numbers, sf.flat_map(fetch_words, concurrency=4), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, sf.flat_map(stream_words, concurrency=4, ahead=3), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, sf.for_each(fetch, concurrency=sf.Adaptive(2, 90))), int)

    letters: sf.Channel[sf.DeadLetter[Any]] = sf.Channel(5)
    sf.skip_errors(to=letters)

    sf.map(fetch, concurrency="many")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    sf.skip_errors(ValueError())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sf.Retry(on=BaseException)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def methods(numbers: list[int]) -> None:
    flow = sf.stream(numbers)

    assert_type(flow.map(fetch, concurrency="auto", key=lambda number: number % 3), sf.Stream[str])
    assert_type(flow.map(square, threads=2), sf.Stream[float])
    assert_type(flow.map(lambda number: number / 2, errors=sf.skip_errors()), sf.Stream[float])
    assert_type(flow.flat_map(fetch_words, concurrency=2), sf.Stream[str])
    assert_type(flow.flat_map(lambda number: [number], concurrency=2, ordered=False), sf.Stream[int])
    assert_type(await flow.for_each(fetch, concurrency=4, key=lambda number: number % 3), int)
