"""What type checkers see of the operators on time. Never run; see face.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, assert_type

import streamflow as sf


async def numbers() -> AsyncIterator[int]:
    yield 1


async def beat() -> bytes:
    return b""


def length(item: str) -> int:
    return len(item)


# --- as stages of a pipeline -------------------------------------------------------------------------------------


async def in_a_pipeline() -> None:
    assert_type(await sf.pipeline(numbers(), sf.throttle(10, per=60, burst=5), sf.spaced(0.5), sf.collect()), list[int])
    assert_type(await sf.pipeline(numbers(), sf.delay(0.5, maxsize=5), sf.collect()), list[int])
    assert_type(await sf.pipeline(numbers(), sf.debounce(0.5), sf.sample(0.5), sf.collect()), list[int])
    assert_type(await sf.pipeline(numbers(), sf.timeout(between=5), sf.collect()), list[int])
    assert_type(await sf.pipeline(numbers(), sf.timed(), sf.collect()), list[tuple[float, int]])
    assert_type(await sf.pipeline(["a"], sf.throttle(10, cost=length), sf.collect()), list[str])
    assert_type(await sf.pipeline(sf.interval(1.0), sf.collect()), list[int])
    assert_type(await sf.pipeline(sf.cron("* * * * *", timezone=UTC), sf.collect()), list[datetime])


async def heartbeats() -> None:
    stage: sf.Stage[bytes, bytes] = sf.heartbeat(15, b"")
    mixed: sf.Stage[int, int | bytes] = sf.heartbeat(15, beat)
    made: sf.Stage[int, int | str] = sf.heartbeat(15, str)
    assert_type(await sf.pipeline([b"x"], stage, sf.collect()), list[bytes])
    assert_type(await sf.pipeline(numbers(), mixed, sf.collect()), list[int | bytes])
    assert_type(await sf.pipeline(numbers(), made, sf.collect()), list[int | str])


assert_type(sf.interval(1.0, times=3), sf.Source[int])
assert_type(sf.cron("* * * * *"), sf.Source[datetime])


# --- as methods --------------------------------------------------------------------------------------------------


def paced(items: sf.Stream[str]) -> None:
    assert_type(items.throttle(10, cost=len), sf.Stream[str])
    assert_type(items.throttle(10), sf.Stream[str])
    assert_type(items.spaced(0.5), sf.Stream[str])
    assert_type(items.delay(0.5), sf.Stream[str])


def timely(items: sf.Stream[str]) -> None:
    assert_type(items.debounce(0.5), sf.Stream[str])
    assert_type(items.sample(0.5), sf.Stream[str])
    assert_type(items.timeout(first=1, total=60), sf.Stream[str])
    assert_type(items.heartbeat(15, ""), sf.Stream[str])
    assert_type(items.heartbeat(15, None), sf.Stream[str | None])
    assert_type(items.heartbeat(15, beat), sf.Stream[str | bytes])
    assert_type(items.heartbeat(15, lambda: 5), sf.Stream[str | int])
    assert_type(items.timed(), sf.Stream[tuple[float, str]])


# --- mistakes ----------------------------------------------------------------------------------------------------


def mistakes(items: sf.Stream[Any]) -> None:
    sf.throttle("10")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    sf.throttle(10, 60)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    sf.timeout(5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    items.delay(0.5, 5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    sf.cron("* * * * *", timezone=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
