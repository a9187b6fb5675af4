"""Sources that fail, and what a pipeline over them comes to; what the tests of recovery stand on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any

import streamflow as sf
from streamflow.machinery.policies import Backoff
from streamflow.testing import Trace

SECONDS = Backoff(first=1.0, factor=2.0, most=8.0, jitter=False)
AT_ONCE = Backoff(first=1e-9, factor=1.0, jitter=False)  # a turn of the loop


class Broken(Exception):
    """What the sources here fail with."""


class Flaky:
    """A source of which each run fails: `Flaky(range(5), 2, 3)` fails after 2 items, then after 3, then never."""

    def __init__(self, items: Any, *fails: int | None, error: type[Exception] = Broken, wait: float = 0):
        self.items = items
        self.fails = iter(fails)
        self.error = error
        self.wait = wait
        self.trace = Trace()
        self.runs = 0

    async def __aiter__(self) -> AsyncGenerator[Any, None]:
        self.runs += 1
        run = self.runs
        self.trace(f"open {run}")
        try:
            fails_after = next(self.fails, None)
            items = self.items() if callable(self.items) else self.items
            for item in items if fails_after is None else itertools.islice(items, fails_after):
                await asyncio.sleep(self.wait)
                yield item
            if fails_after is not None:
                raise self.error(f"in run {run}")
        finally:
            try:
                await asyncio.sleep(0)
            finally:  # a cancellation may strike in the wait
                self.trace(f"closed {run}")


async def collected(source: Any, *stages: Any) -> list[Any]:
    result: list[Any] = await sf.pipeline(source, *stages, sf.collect())
    return result


async def got_before_failing(source: Any, *stages: Any) -> tuple[list[Any], Exception]:
    """Return what came before the error, and the error."""
    got: list[Any] = []
    try:
        await sf.pipeline(source, *stages, sf.for_each(got.append))
    except Exception as error:  # noqa: BLE001  # whatever it is: the test looks at it
        return got, error
    raise AssertionError("it did not fail")


async def failure_of(source: Any, *stages: Any) -> Exception:
    return (await got_before_failing(source, *stages))[1]


def notes_of(error: Exception) -> str:
    return "\n".join(getattr(error, "__notes__", ()))


async def failing_rows() -> AsyncIterator[int]:
    yield 1
    yield 2
    raise Broken("reset")


class Handle:
    """An async iterator that goes on where it was, as cursors and connections do."""

    def __init__(self, items: Iterable[int]) -> None:
        self._items = iter(items)

    def __aiter__(self) -> Handle:
        return self

    async def __anext__(self) -> int:
        for item in self._items:
            return item
        raise StopAsyncIteration
