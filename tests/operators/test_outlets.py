"""`into`: the target's room sets the pace, its reader sees the end only after a clean end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

import streamflow as sf
from streamflow.testing import Outcome, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What a source fails with."""


def broken_after(count: int) -> Callable[[], AsyncIterator[int]]:
    async def source() -> AsyncIterator[int]:
        for number in range(count):
            yield number
        raise Broken

    return source


async def test_a_full_channel_holds_the_source_back() -> None:
    channel = sf.Channel[int](2)
    source = TrackedSource(itertools.count())
    run = asyncio.create_task(sf.pipeline(source, sf.into(channel), maxsize=1))
    for _ in range(50):
        await asyncio.sleep(0)

    assert 2 < source.taken <= 2 + 4  # the channel, one in each hand, one in the pipeline's own channel
    assert [await channel.get() for _ in range(3)] == [0, 1, 2]
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert channel.state == "open"


async def test_the_reader_of_a_channel_sees_the_end() -> None:
    channel = sf.Channel[int](2)
    async with asyncio.TaskGroup() as group:
        count = group.create_task(sf.stream(range(9)).into(channel, then="close"))
        got = [item async for item in channel]

    assert got == list(range(9))
    assert count.result() == 9


async def test_a_channel_is_left_open_for_further_writers() -> None:
    channel = sf.Channel[int](9)
    for start in (0, 3):
        await sf.stream(range(start, start + 3)).into(channel)
    channel.close()

    assert [item async for item in channel] == list(range(6))


async def test_the_reader_of_a_channel_sees_the_failure_after_the_items_before_it() -> None:
    """P5."""
    channel = sf.Channel[int](9)
    with pytest.raises(Broken):
        await sf.pipeline(broken_after(2), sf.into(channel, then="close"))

    assert [await channel.get(), await channel.get()] == [0, 1]
    with pytest.raises(Broken):
        await channel.get()


async def test_the_reader_of_a_channel_sees_that_its_writer_was_cancelled() -> None:
    """P5, X7."""
    channel = sf.Channel[int](1)
    run = asyncio.create_task(sf.pipeline(itertools.count(), sf.into(channel, then="close")))
    assert await channel.get() == 0
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    with pytest.raises(sf.StageCancelled, match="was cancelled"):
        _ = [item async for item in channel]


async def test_a_reader_that_has_gone_is_an_error() -> None:
    channel = sf.Channel[int](1)
    channel.abandon()

    with pytest.raises(sf.ReaderGone):
        await sf.stream([1]).into(channel)


async def test_a_queue_gets_the_items_and_is_left() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(9)

    assert await sf.stream(range(3)).into(queue) == 3
    assert [queue.get_nowait() for _ in range(3)] == [0, 1, 2]


def test_a_queue_has_no_end_to_close() -> None:
    with pytest.raises(sf.UsageError, match=r"sf\.Channel"):
        sf.into(asyncio.Queue(3), then="close")


@pytest.mark.parametrize("target", [[], None, print, "file"])
def test_what_cannot_be_written_to_is_refused(target: Any) -> None:
    with pytest.raises(sf.UsageError, match=r"sf\.for_each"):
        sf.into(target)


def test_then_is_one_of_two_words() -> None:
    with pytest.raises(sf.UsageError, match='"close" or "leave"'):
        sf.into(sf.Channel(1), then="end")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(sf.UsageError, match='"close" or "leave"'):
        sf.into(sf.Channel(1), then=["close"])  # type: ignore[arg-type]  # a list cannot be hashed


async def test_an_anyio_stream_sets_the_pace_and_sees_the_end() -> None:
    send, receive = anyio.create_memory_object_stream[int](1)
    async with asyncio.TaskGroup() as group:
        group.create_task(sf.stream(range(5)).into(send, then="close"))
        async with receive:
            got = [item async for item in receive]

    assert got == [0, 1, 2, 3, 4]


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.StreamWriter, asyncio.Future[bytes | OSError]]]:
    """Give a writer to a server on loopback, and what the server will have read in the end."""
    received: asyncio.Future[bytes | OSError] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            received.set_result(await reader.read())
        except OSError as error:
            received.set_result(error)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        yield writer, received
        writer.close()
        await received
        await asyncio.sleep(0)


async def test_a_stream_writer_is_written_and_drained() -> None:
    async with connection() as (writer, received):
        chunks = [b"x" * 70_000 for _ in range(20)]
        assert await sf.stream(chunks).into(writer, then="close") == 20
        assert await received == b"".join(chunks)


async def test_a_connection_is_aborted_after_a_failure() -> None:
    """P5: the other side must not take it for the end."""
    chunks = sf.stream(broken_after(200)).map(lambda _: b"x" * 1_000_000)
    async with connection() as (writer, received):
        with pytest.raises(Broken):
            await chunks.into(writer, then="close")
        assert writer.transport.is_closing()
        assert isinstance(await received, (bytes, OSError))


def test_cancelled_at_any_step_a_reader_never_sees_a_clean_end_of_part_of_it() -> None:
    class Transfer:
        def __init__(self) -> None:
            self.got: list[int] = []
            self.ended = False

        async def __call__(self) -> None:
            channel = sf.Channel[int](2)

            async def read() -> None:
                try:
                    async for item in channel:
                        self.got.append(item)
                    self.ended = True
                except sf.StageCancelled:
                    pass

            reader = asyncio.create_task(read())
            try:
                await sf.pipeline(range(5), sf.into(channel, then="close"))
            finally:
                with anyio.CancelScope(shield=True):
                    while not reader.done():
                        try:
                            await asyncio.wait([reader], timeout=1)
                        except asyncio.CancelledError:
                            continue
                        reader.cancel()

    def check(transfer: Transfer, _outcome: Outcome) -> None:
        assert transfer.got == list(range(len(transfer.got)))
        assert not transfer.ended or len(transfer.got) == 5

    cancel_everywhere(Transfer, check)
