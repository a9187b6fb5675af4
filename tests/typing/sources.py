"""What type checkers see of the sources. Never run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Never, assert_type

import streamflow as sf

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


async def pushed(events: sf.Push[int]) -> None:
    await events.put(1)
    events.put_nowait(1)
    events.put_threadsafe(1, timeout=2.0)
    events.close_threadsafe()
    await events.put("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def as_it_is(events: sf.Push[int]) -> AsyncIterator[int]:
    async for event in events:
        yield assert_type(event, int)


# --- what comes of it --------------------------------------------------------------------------------------------


async def rules() -> None:
    assert_type(sf.range(3), sf.Source[int])
    assert_type(sf.range(3, 9, 2), sf.Source[int])
    assert_type(sf.empty(), sf.Source[Never])
    assert_type(sf.never(), sf.Source[Never])
    assert_type(sf.failing(ValueError), sf.Source[Never])
    assert_type(await sf.stream(sf.range(3)).map(str).collect(), list[str])
    assert_type(sf.unfold(halved, 9), sf.Source[str])
    assert_type(sf.unfold(halved_later, 9), sf.Source[str])
    assert_type(sf.paginate(page), sf.Source[str])
    assert_type(sf.paginate(page_later), sf.Source[str])
    assert_type(sf.paginate(numbered_page, start=1), sf.Source[str])
    assert_type(sf.paginate(numbered_page_later, start=1), sf.Source[str])
    assert_type(await sf.pipeline(sf.unfold(halved_later, 9), sf.collect()), list[str])

    sf.unfold(halved, "9")  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    sf.failing("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sf.unfold(halved, "9")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]


def clocks() -> None:
    assert_type(sf.poll(status, 1.0), sf.Source[str])
    assert_type(sf.poll(status_later, 1.0), sf.Source[str])
    assert_type(sf.poll(status_later, 1.0, until=is_done, changes_only=True), sf.Source[str])


def threads() -> None:
    assert_type(sf.threaded(rows), sf.Source[int])
    assert_type(sf.threaded(rows(), maxsize=9), sf.Source[int])
    assert_type(sf.threaded(lambda: [b"x"], name="x"), sf.Source[bytes])


def queues(numbers: asyncio.Queue[int], ending: asyncio.Queue[int | None], reader: asyncio.StreamReader) -> None:
    assert_type(sf.from_queue(numbers), sf.Source[int])
    assert_type(sf.from_queue(numbers, until=-1, task_done=False), sf.Source[int])
    assert_type(sf.from_queue(ending, until=None), sf.Source[int])
    assert_type(sf.from_reader(reader, chunk=4096), sf.Source[bytes])

    sf.from_queue(reader)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


async def pushes() -> None:
    events: sf.Push[int] = sf.push(16, overflow="drop_oldest")
    assert_type(await sf.stream(events).collect(), list[int])
    assert_type(events.dropped, int)
    assert_type(events.stats(), sf.ChannelStats)
    sf.push(16, overflow="drop")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def programs() -> None:
    assert_type(sf.processes.read("ls", "-l"), sf.Source[bytes])
    assert_type(sf.processes.through("sort"), sf.Stage[bytes, bytes])
    assert_type(sf.processes.write("psql"), sf.Sink[bytes, None])
    assert_type(await sf.pipeline(sf.processes.read("ls"), sf.processes.through("sort"), sf.collect()), list[bytes])
    assert_type(await sf.stream(sf.processes.read("ls")).through(sf.processes.through("sort")).collect(), list[bytes])
