"""The sources that are made of a rule, a clock, a thread, a queue or a push, each with what it emits."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

from streamflow.operators.polling import poll
from streamflow.operators.pushing import Push, push
from streamflow.operators.queues import from_queue, from_reader
from streamflow.operators.sources import empty, failing, never, paginate, range, unfold  # noqa: A004  # the words
from streamflow.operators.threaded import threaded
from tests.operators.contracts import FALSY, AnyCase, Broken, SourceCase

PAGES: dict[Any, tuple[list[Any], Any]] = {
    None: ([0, ""], 1),
    1: ([], 0),
    0: ([None, False], "next"),
    "next": ([9], None),
}


def halved(number: int) -> tuple[int, int] | None:
    return (number, number // 2) if number else None


async def halved_later(number: int) -> tuple[int, int] | None:
    return halved(number)


def falsy(state: list[Any]) -> tuple[Any, list[Any]] | None:
    return (state[0], state[1:]) if state else None


async def page(cursor: Any) -> tuple[list[Any], Any]:
    await asyncio.sleep(0)
    return PAGES[cursor]


def counted() -> Any:
    return itertools.count().__next__


def counted_later() -> Any:
    numbers = itertools.count()

    async def count() -> int:
        return next(numbers)

    return count


def rows() -> Iterator[Any]:
    yield from FALSY


def failing_rows() -> Iterator[int]:
    yield 1
    yield 2
    raise Broken


def filled_queue() -> asyncio.Queue[Any]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    for item in (*FALSY, "end", "later"):
        queue.put_nowait(item)
    return queue


def filled_reader() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(b"abcdefg")
    reader.feed_eof()
    return reader


def filled_push() -> Push[Any]:
    pushed: Push[Any] = push()
    for item in FALSY:
        pushed.put_nowait(item)
    pushed.close()
    return pushed


def failed_push() -> Push[int]:
    pushed: Push[int] = push(2, overflow="drop_oldest")
    for item in (1, 2, 3):
        pushed.put_nowait(item)
    pushed.fail(Broken())
    return pushed


CASES: list[AnyCase] = [
    SourceCase("range", lambda: range(4), [0, 1, 2, 3]),
    SourceCase("range", lambda: range(5, -1, -2), [5, 3, 1]),
    SourceCase("range", lambda: range(0), []),
    SourceCase("empty", empty, []),
    SourceCase("never", never, [], endless=True),
    SourceCase("failing", lambda: failing(Broken), [], error=Broken),
    SourceCase("failing", lambda: failing(Broken("always")), [], error=Broken),
    SourceCase("unfold", lambda: unfold(halved, 9), [9, 4, 2, 1]),
    SourceCase("unfold", lambda: unfold(halved_later, 9), [9, 4, 2, 1]),
    SourceCase("unfold", lambda: unfold(lambda state: halved_later(state), 9), [9, 4, 2, 1]),  # noqa: PLW0108  # seen late
    SourceCase("unfold", lambda: unfold(falsy, [*FALSY]), FALSY),
    SourceCase("unfold", lambda: unfold(lambda n: (n, n + 1), 0), [0, 1, 2], endless=True),
    SourceCase("paginate", lambda: paginate(PAGES.__getitem__), [0, "", None, False, 9]),
    SourceCase("paginate", lambda: paginate(page), [0, "", None, False, 9]),
    SourceCase("paginate", lambda: paginate(page, start=0), [None, False, 9]),
    SourceCase("poll", lambda: poll(counted(), 0.01), [0, 1, 2], endless=True, virtual=True, repeatable=False),
    SourceCase(
        "poll", lambda: poll(counted_later(), 0.01, until=lambda n: n > 1), [0, 1, 2], virtual=True, repeatable=False
    ),
    SourceCase("poll", lambda: poll(lambda: None, 1, until=lambda _: True, changes_only=True), [None], virtual=True),
    SourceCase("threaded", lambda: threaded(rows), FALSY),
    SourceCase("threaded", lambda: threaded([1, 2, 3], maxsize=1, name="three"), [1, 2, 3]),
    SourceCase("threaded", lambda: threaded(itertools.count), [0, 1, 2], endless=True),
    SourceCase("threaded", lambda: threaded(failing_rows), [1, 2], error=Broken),
    SourceCase("from_queue", lambda: from_queue(filled_queue(), until="end"), FALSY, repeatable=False),
    SourceCase("from_queue", lambda: from_queue(filled_queue()), FALSY, endless=True, repeatable=False),
    SourceCase("from_reader", lambda: from_reader(filled_reader(), chunk=3), [b"abc", b"def", b"g"], repeatable=False),
    SourceCase("push", filled_push, FALSY, repeatable=False),
    SourceCase("push", failed_push, [2, 3], error=Broken, repeatable=False),
]
