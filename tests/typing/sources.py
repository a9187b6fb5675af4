"""What type checkers see of the sources. Never run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Never, assert_type

import streamflow as sf
from streamflow.operators.polling import poll
from streamflow.operators.pushing import Push, push
from streamflow.operators.queues import from_queue, from_reader
from streamflow.operators.sources import empty, failing, never, paginate, range, unfold  # noqa: A004  # the words
from streamflow.operators.threaded import threaded
from streamflow.places import processes

# --- what users write --------------------------------------------------------------------------------------------


def halved(number: int) -> tuple[str, int] | None:
    return (str(number), number // 2) if number else None


async def halved_later(number: int) -> tuple[str, int] | None:
    return halved(number)


def page(cursor: int | None) -> tuple[list[str], int | None]:
    return [str(cursor)], None


async def page_later(cursor: int | None) -> tuple[list[str], int | None]:
    return page(cursor)


def numbered_page(cursor: int) -> tuple[list[str], int | None]:
    return page(cursor)


async def numbered_page_later(cursor: int) -> tuple[list[str], int | None]:
    return page(cursor)


def status() -> str:
    return "done"


async def status_later() -> str:
    return "done"


async def is_done(status: str) -> bool:
    return status == "done"


def rows() -> Iterator[int]:
    yield 1


async def pushed(events: Push[int]) -> None:
    await events.put(1)
    events.put_nowait(1)
    events.put_threadsafe(1, timeout=2.0)
    events.close_threadsafe()
    await events.put("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def as_it_is(events: Push[int]) -> AsyncIterator[int]:
    async for event in events:
        yield assert_type(event, int)


# --- what comes of it --------------------------------------------------------------------------------------------


async def rules() -> None:
    assert_type(range(3), sf.Source[int])
    assert_type(range(3, 9, 2), sf.Source[int])
    assert_type(empty(), sf.Source[Never])
    assert_type(never(), sf.Source[Never])
    assert_type(failing(ValueError), sf.Source[Never])
    assert_type(await sf.stream(range(3)).map(str).collect(), list[str])
    assert_type(unfold(halved, 9), sf.Source[str])
    assert_type(unfold(halved_later, 9), sf.Source[str])
    assert_type(paginate(page), sf.Source[str])
    assert_type(paginate(page_later), sf.Source[str])
    assert_type(paginate(numbered_page, start=1), sf.Source[str])
    assert_type(paginate(numbered_page_later, start=1), sf.Source[str])
    assert_type(await sf.pipeline(unfold(halved_later, 9), sf.collect()), list[str])

    unfold(halved, "9")  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    failing("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    unfold(halved, "9")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]


def clocks() -> None:
    assert_type(poll(status, 1.0), sf.Source[str])
    assert_type(poll(status_later, 1.0), sf.Source[str])
    assert_type(poll(status_later, 1.0, until=is_done, changes_only=True), sf.Source[str])


def threads() -> None:
    assert_type(threaded(rows), sf.Source[int])
    assert_type(threaded(rows(), maxsize=9), sf.Source[int])
    assert_type(threaded(lambda: [b"x"], name="x"), sf.Source[bytes])


def queues(numbers: asyncio.Queue[int], ending: asyncio.Queue[int | None], reader: asyncio.StreamReader) -> None:
    assert_type(from_queue(numbers), sf.Source[int])
    assert_type(from_queue(numbers, until=-1, task_done=False), sf.Source[int])
    assert_type(from_queue(ending, until=None), sf.Source[int])
    assert_type(from_reader(reader, chunk=4096), sf.Source[bytes])

    from_queue(reader)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


async def pushes() -> None:
    events: Push[int] = push(16, overflow="drop_oldest")
    assert_type(await sf.stream(events).collect(), list[int])
    assert_type(events.dropped, int)
    assert_type(events.stats(), sf.ChannelStats)
    push(16, overflow="drop")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def programs() -> None:
    assert_type(processes.read("ls", "-l"), sf.Source[bytes])
    assert_type(processes.through("sort"), sf.Stage[bytes, bytes])
    assert_type(processes.write("psql"), sf.Sink[bytes, None])
    assert_type(await sf.pipeline(processes.read("ls"), processes.through("sort"), sf.collect()), list[bytes])
    assert_type(await sf.stream(processes.read("ls")).through(processes.through("sort")).collect(), list[bytes])
