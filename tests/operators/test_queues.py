"""`from_queue` and `from_reader`: asyncio's own queue and reader as sources."""

from __future__ import annotations

import asyncio
import queue as blocking
import sys

import pytest

import streamflow as sf
from streamflow.operators.queues import from_queue, from_reader
from streamflow.testing import cancel_everywhere


def filled(*items, maxsize=0):
    queue = asyncio.Queue(maxsize)
    for item in items:
        queue.put_nowait(item)
    return queue


# --- from_queue --------------------------------------------------------------------------------------------------


async def test_it_ends_at_the_item_that_means_the_end():
    queue = filled(1, 2, "stop", 3)

    assert await sf.stream(from_queue(queue, until="stop")).collect() == [1, 2]
    assert queue.get_nowait() == 3


async def test_without_an_end_every_falsy_item_is_data():
    """H5, E7: `None` is an item like any other."""
    queue = filled(None, 0, "", False)

    assert await sf.stream(from_queue(queue)).take(4).collect() == [None, 0, "", False]


async def test_none_may_be_the_end_and_no_other_falsy_item_is():
    assert await sf.stream(from_queue(filled(0, "", False, None), until=None)).collect() == [0, "", False]


async def test_join_returns_when_all_was_taken():
    queue = filled(1, 2, None)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(sf.stream(from_queue(queue, until=None)).count())
        await queue.join()


async def test_join_does_not_wait_for_what_was_taken_and_discarded():
    queue = filled(*range(10))

    await sf.stream(from_queue(queue)).first()
    while not queue.empty():
        queue.get_nowait()
        queue.task_done()

    async with asyncio.timeout(5):
        await queue.join()


async def test_stages_may_say_themselves_when_an_item_is_done():
    queue = filled(1, 2, None)
    seen = []

    async def work(item):
        await asyncio.sleep(0)
        seen.append((item, queue._unfinished_tasks))
        queue.task_done()

    await sf.stream(from_queue(queue, until=None, task_done=False)).for_each(work)

    assert [item for item, _ in seen] == [1, 2]
    assert queue._unfinished_tasks == 0


async def test_a_slow_consumer_holds_the_writers_of_a_bounded_queue_back():
    queue = asyncio.Queue(2)
    put = []

    async def write():
        for number in range(100):
            await queue.put(number)
            put.append(number)

    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(write())
        async with sf.stream(from_queue(queue)).buffer(1).open() as items:
            assert await anext(items) == 0
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(put) <= 6
        writing.cancel()


@pytest.mark.skipif(sys.version_info < (3, 13), reason="Queue.shutdown is new in Python 3.13")
@pytest.mark.parametrize("immediate", [False, True])
async def test_a_queue_that_is_shut_down_ends_it(immediate):
    """H4."""
    queue = filled(1, 2)
    queue.shutdown(immediate)

    assert await sf.stream(from_queue(queue)).collect() == ([] if immediate else [1, 2])


@pytest.mark.skipif(sys.version_info < (3, 13), reason="Queue.shutdown is new in Python 3.13")
async def test_a_shutdown_ends_it_while_it_waits():
    """H4."""
    queue = asyncio.Queue()
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(sf.stream(from_queue(queue)).collect())
        await asyncio.sleep(0)
        queue.put_nowait(1)
        for _ in range(9):
            await asyncio.sleep(0)
        queue.shutdown()

    assert run.result() == [1]


class Handover:
    """A run over a queue that is cancelled while items are put; then the rest is counted."""

    def __init__(self):
        self.queue = asyncio.Queue()
        self.got = []

    async def __call__(self):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.write())
            # By hand, so that nothing is taken ahead.
            source = aiter(from_queue(self.queue, until=None))
            try:
                async for item in source:
                    self.got.append(item)
            finally:
                await source.aclose()

    async def write(self):
        for number in range(3):
            self.queue.put_nowait(number)
            await asyncio.sleep(0)
        self.queue.put_nowait(None)


def test_a_cancelled_wait_for_an_item_takes_none():
    """X22."""

    def check(state, _outcome):
        left = [state.queue.get_nowait() for _ in range(state.queue.qsize())]
        everything = state.got + left
        assert everything[:3] == list(range(min(3, len(everything))))

    cancel_everywhere(Handover, check)


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        (blocking.Queue(), r"sf\.threaded\(iter\(queue\.get, last\)\)"),
        ([1, 2], "not list"),
        (sf.Channel(1), r"sf\.stream\(channel\)"),
    ],
)
def test_what_is_no_queue_of_asyncio_is_refused_with_advice(wrong, advice):
    with pytest.raises(sf.UsageError, match=advice):
        from_queue(wrong)


async def test_a_blocking_queue_is_read_as_the_advice_says():
    queue = blocking.Queue()
    for item in (1, 2, None):
        queue.put(item)

    assert await sf.stream(iter(queue.get, None)).collect() == [1, 2]


# --- from_reader -------------------------------------------------------------------------------------------------


def reader_of(*chunks, limit=65_536, end=True):
    reader = asyncio.StreamReader(limit=limit)
    for chunk in chunks:
        reader.feed_data(chunk)
    if end:
        reader.feed_eof()
    return reader


async def test_chunks_are_at_most_as_long_as_said():
    chunks = await sf.stream(from_reader(reader_of(b"abc", b"defg"), chunk=3)).collect()

    assert chunks == [b"abc", b"def", b"g"]


async def test_bytes_that_are_there_do_not_wait_for_a_whole_chunk():
    reader = reader_of(b"ab", end=False)
    async with sf.stream(from_reader(reader)).open() as chunks:
        assert await anext(chunks) == b"ab"
        reader.feed_data(b"c")
        assert await anext(chunks) == b"c"


async def test_an_empty_connection_is_an_empty_stream():
    """C7."""
    assert await sf.stream(from_reader(reader_of())).collect() == []


async def test_lines_longer_than_the_readers_limit_come_whole_through_the_text_format():
    """H64: the reader's own iteration throws such a line away."""
    data = [b"short\n", b"x" * 250, b"\nnext\n"]

    lines = await sf.stream(from_reader(reader_of(*data, limit=100))).through(sf.text.lines()).collect()
    with pytest.raises(ValueError, match="limit"):
        await sf.stream(reader_of(*data, limit=100)).collect()

    assert [len(line) for line in lines] == [5, 250, 4]


async def test_the_error_of_a_connection_comes_after_the_bytes_before_it():
    reader = reader_of(b"ab", end=False)
    got = []

    async def sink(chunks):
        async for chunk in chunks:
            got.append(chunk)
            reader.set_exception(ConnectionResetError("by peer"))

    with pytest.raises(ConnectionResetError, match="by peer"):
        await sf.pipeline(from_reader(reader), sink)
    assert got == [b"ab"]


async def test_a_slow_consumer_stops_the_transport_and_an_early_end_leaves_the_connection_open():
    served = asyncio.get_running_loop().create_future()

    async def serve(_reader, writer):
        writer.write(b"x" * 4_000_000)
        served.set_result(await _reader.read(5))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    async with sf.stream(from_reader(reader)).buffer(1).open() as chunks:
        first = await anext(chunks)
        assert 0 < len(first) <= 65_536
        assert len(reader._buffer) <= 3 * 65_536
    writer.write(b"alive")
    assert await served == b"alive"
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


def test_what_is_no_reader_is_refused():
    with pytest.raises(sf.UsageError, match=r"needs an asyncio\.StreamReader, not bytes"):
        from_reader(b"abc")


@pytest.mark.parametrize("chunk", [0, -1, 1.5, True])
async def test_a_chunk_that_cannot_be_is_refused(chunk):
    """F14."""
    with pytest.raises(sf.UsageError, match="chunk"):
        from_reader(asyncio.StreamReader(), chunk=chunk)
