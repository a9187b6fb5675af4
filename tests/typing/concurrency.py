"""What type checkers see of `operators/concurrency.py` and its policies. Never run; see face.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, assert_type

import streamflow as sf
from streamflow.machinery.adaptive import Adaptive
from streamflow.machinery.policies import Backoff, DeadLetter, ErrorPolicy, Retry, skip_errors
from streamflow.operators.concurrency import flat_map, for_each
from streamflow.operators.concurrency import map as mapped


async def fetch(number: int) -> str:
    return str(number)


def square(number: int) -> float:
    return number / 2


async def fetch_words(number: int) -> list[str]:
    return [str(number)]


async def stream_words(number: int) -> AsyncIterator[str]:
    yield str(number)


def keep(letter: DeadLetter[int]) -> None:
    assert_type(letter.item, int)
    assert_type(letter.error, Exception)


async def functions(numbers: list[int]) -> None:
    retry = Retry(5, on=(OSError, ValueError), backoff=Backoff(first=1.0, jitter=False))
    errors = skip_errors(ValueError, budget=5, to=keep)
    assert_type(errors, ErrorPolicy)
    assert_type(Retry(on=lambda error: "busy" in str(error)), Retry)

    assert_type(await sf.pipeline(numbers, mapped(fetch, concurrency="auto", key=str), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, mapped(fetch, retry=retry, errors=errors), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, mapped(fetch, timeout=5, max_waiting=9), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, mapped(square, threads=4), sf.collect()), list[float])
    assert_type(await sf.pipeline(numbers, mapped(square, processes=4), sf.collect()), list[float])
    assert_type(await sf.pipeline(numbers, flat_map(fetch_words, concurrency=4), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, flat_map(stream_words, concurrency=4, ahead=3), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, for_each(fetch, concurrency=Adaptive(2, 90))), int)

    letters: sf.Channel[DeadLetter[Any]] = sf.Channel(5)
    skip_errors(to=letters)

    mapped(fetch, concurrency="many")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    skip_errors(ValueError())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Retry(on=BaseException)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def methods(numbers: list[int]) -> None:
    flow = sf.stream(numbers)

    assert_type(flow.map(fetch, concurrency="auto", key=lambda number: number % 3), sf.Stream[str])
    assert_type(flow.map(square, threads=2), sf.Stream[float])
    assert_type(flow.map(lambda number: number / 2, errors=skip_errors()), sf.Stream[float])
    assert_type(flow.flat_map(fetch_words, concurrency=2), sf.Stream[str])
    assert_type(flow.flat_map(lambda number: [number], concurrency=2, ordered=False), sf.Stream[int])
    assert_type(await flow.for_each(fetch, concurrency=4, key=lambda number: number % 3), int)
