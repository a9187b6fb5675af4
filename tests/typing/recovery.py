"""What type checkers see of retry, resumable, catch and fallback. Never run; see face.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import streamflow as sf


def rows_after(place: int | None) -> Iterator[dict[str, int]]:
    yield {"id": place or 0}


async def stream_after(place: int) -> AsyncIterator[str]:
    yield str(place)


async def open_after(place: int) -> list[str]:
    return [str(place)]


def row_id(row: dict[str, int]) -> int:
    return row["id"]


def words(error: OSError) -> list[str]:
    return [str(error)]


async def words_later(error: OSError) -> list[str]:
    return [str(error)]


async def stream_words(error: OSError) -> AsyncIterator[str]:
    yield str(error)


def log(error: Exception) -> None:
    print(error)  # noqa: T201  # what a user's handler may do


def is_worth_it(error: Exception) -> bool:
    return "429" in str(error)


numbers = range(3)


def sources() -> None:
    assert_type(sf.resumable(rows_after, row_id), sf.Resumable[dict[str, int]])
    assert_type(sf.resumable(stream_after, len, start=0), sf.Resumable[str])
    assert_type(sf.resumable(open_after, len, start=0), sf.Resumable[str])
    assert_type(sf.stream(sf.resumable(rows_after, row_id)), sf.Stream[dict[str, int]])


async def functions() -> None:
    assert_type(await sf.pipeline(numbers, sf.retry(resume="after"), sf.collect()), list[int])
    assert_type(
        await sf.pipeline(numbers, sf.retry(2, on=(OSError, ValueError), reset_after=None), sf.collect()), list[int]
    )
    assert_type(
        await sf.pipeline(numbers, sf.retry(on=is_worth_it, backoff=sf.Backoff(first=1)), sf.collect()), list[int]
    )
    assert_type(await sf.pipeline(numbers, sf.catch(OSError, then="stop"), sf.collect()), list[int])
    assert_type(await sf.pipeline(numbers, sf.catch(OSError, ValueError, then=["cut"]), sf.collect()), list[int | str])
    assert_type(await sf.pipeline(numbers, sf.catch(OSError, then=words), sf.collect()), list[int | str])
    assert_type(await sf.pipeline(numbers, sf.catch(OSError, then=words_later), sf.collect()), list[int | str])
    assert_type(await sf.pipeline(numbers, sf.catch(OSError, then=stream_words), sf.collect()), list[int | str])
    assert_type(await sf.pipeline(numbers, sf.catch(OSError, then=log), sf.collect()), list[int])
    assert_type(await sf.pipeline(numbers, sf.fallback([1]), sf.collect()), list[int])
    assert_type(await sf.pipeline(numbers, sf.fallback(["a"], sf.stream("b")), sf.collect()), list[int | str])
    assert_type(sf.stream(numbers).through(sf.retry(resume="after")), sf.Stream[int])
    assert_type(sf.stream(numbers).through(sf.catch(OSError, then="stop")), sf.Stream[int])
    assert_type(sf.stream(numbers).through(sf.catch(OSError, then=words)), sf.Stream[int | str])
    assert_type(sf.stream(numbers).through(sf.fallback(["a"])), sf.Stream[int | str])


async def methods(flow: sf.Stream[int]) -> None:
    assert_type(flow.retry(resume="start"), sf.Stream[int])
    assert_type(flow.catch(OSError, then="stop"), sf.Stream[int])
    assert_type(flow.catch(OSError, then=["cut"]), sf.Stream[int | str])
    assert_type(flow.catch(OSError, then=words), sf.Stream[int | str])
    assert_type(flow.catch(OSError, then=words_later), sf.Stream[int | str])
    assert_type(flow.catch(OSError, then=stream_words), sf.Stream[int | str])
    assert_type(flow.catch(OSError, then=log), sf.Stream[int])
    assert_type(flow.fallback([1]), sf.Stream[int])
    assert_type(flow.fallback(["a"], resume="after"), sf.Stream[int | str])


def wrong(flow: sf.Stream[int]) -> None:
    flow.retry(resume="beginning")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    flow.catch(any_error, then="stop")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType, reportCallIssue]
    flow.catch(OSError, then=3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    flow.fallback(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


any_error: type[BaseException] = BaseException
