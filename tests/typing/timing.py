"""What type checkers see of the operators on time. Never run; see face.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, assert_type

import streamflow as sf
from streamflow.methods.pacing import Pacing
from streamflow.methods.timing import Timing
from streamflow.operators.pacing import delay, spaced, throttle
from streamflow.operators.ticking import cron, interval
from streamflow.operators.timing import debounce, heartbeat, sample, timed, timeout
from streamflow.stages import Source, Stage


async def numbers() -> AsyncIterator[int]:
    yield 1


async def beat() -> bytes:
    return b""


def length(item: str) -> int:
    return len(item)


# --- as stages of a pipeline -------------------------------------------------------------------------------------


async def in_a_pipeline() -> None:
    # mypy has no type for a generic stage before its input is known, and takes `Any`; pyright knows.
    paced: list[int] = await sf.pipeline(numbers(), throttle(10, per=60, burst=5), spaced(0.5), sf.collect())
    later: list[int] = await sf.pipeline(numbers(), delay(0.5, maxsize=5), sf.collect())
    fewer: list[int] = await sf.pipeline(numbers(), debounce(0.5), sample(0.5), sf.collect())
    limited: list[int] = await sf.pipeline(numbers(), timeout(between=5), sf.collect())
    moments: list[tuple[float, int]] = await sf.pipeline(numbers(), timed(), sf.collect())
    assert [paced, later, fewer, limited, moments]
    assert_type(await sf.pipeline(["a"], throttle(10, cost=length), sf.collect()), list[str])
    assert_type(await sf.pipeline(interval(1.0), sf.collect()), list[int])
    assert_type(await sf.pipeline(cron("* * * * *", timezone=UTC), sf.collect()), list[datetime])


async def heartbeats() -> None:
    stage: Stage[bytes, bytes] = heartbeat(15, b"")
    mixed: Stage[int, int | bytes] = heartbeat(15, beat)
    made: Stage[int, int | str] = heartbeat(15, str)
    assert_type(await sf.pipeline([b"x"], stage, sf.collect()), list[bytes])
    assert_type(await sf.pipeline(numbers(), mixed, sf.collect()), list[int | bytes])
    assert_type(await sf.pipeline(numbers(), made, sf.collect()), list[int | str])


assert_type(interval(1.0, times=3), Source[int])
assert_type(cron("* * * * *"), Source[datetime])


# --- as methods --------------------------------------------------------------------------------------------------


def paced(items: Pacing[str]) -> None:
    assert_type(items.throttle(10, cost=len), sf.Stream[str])
    assert_type(items.throttle(10), sf.Stream[str])
    assert_type(items.spaced(0.5), sf.Stream[str])
    assert_type(items.delay(0.5), sf.Stream[str])


def timely(items: Timing[str]) -> None:
    assert_type(items.debounce(0.5), sf.Stream[str])
    assert_type(items.sample(0.5), sf.Stream[str])
    assert_type(items.timeout(first=1, total=60), sf.Stream[str])
    assert_type(items.heartbeat(15, ""), sf.Stream[str])
    assert_type(items.heartbeat(15, None), sf.Stream[str | None])
    assert_type(items.heartbeat(15, beat), sf.Stream[str | bytes])
    assert_type(items.heartbeat(15, lambda: 5), sf.Stream[str | int])
    assert_type(items.timed(), sf.Stream[tuple[float, str]])


# --- mistakes ----------------------------------------------------------------------------------------------------


def mistakes(items: Pacing[Any]) -> None:
    throttle("10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    throttle(10, 60)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    timeout(5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    items.delay(0.5, 5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    cron("* * * * *", timezone=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
