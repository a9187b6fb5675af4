"""Sources made of a rule: range, empty, never, failing, unfold, paginate; and what else is a source as it is."""

from __future__ import annotations

import asyncio
import builtins

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

import streamflow as sf
from streamflow.operators.sources import empty, failing, never, paginate, range, unfold  # noqa: A004  # the words
from streamflow.testing import TrackedSource, no_leaks


async def collected(source):
    return await sf.stream(source).collect()


# --- range, empty, never, failing --------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(5,), (0,), (-3,), (2, 9), (9, 2), (9, 2, -3), (0, 10, 4)])
async def test_range_is_pythons_own(arguments):
    assert await collected(range(*arguments)) == list(builtins.range(*arguments))


async def test_a_range_is_as_long_as_one_likes():
    assert await sf.stream(range(10**30)).take(2).collect() == [0, 1]


@pytest.mark.parametrize("arguments", [(1.5,), ("3",), (0, 5, 0), (None,)])
def test_range_refuses_what_pythons_own_refuses(arguments):
    with pytest.raises(sf.UsageError, match="whole numbers"):
        range(*arguments)


async def test_empty_ends_a_consumer_that_waits():
    """C7."""
    assert await sf.pipeline(empty(), sf.batched(3), sf.collect()) == []


@pytest.mark.virtual_time
async def test_never_waits_until_its_consumer_gives_up():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600):
            await collected(never())


async def test_never_can_be_cancelled():
    """X16."""
    run = asyncio.create_task(collected(never()))
    for _ in builtins.range(9):
        await asyncio.sleep(0)

    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run


async def test_failing_raises_that_very_error_in_each_run():
    error = LookupError("no such table")
    source = failing(error)

    for _ in builtins.range(2):
        with pytest.raises(LookupError) as caught:
            await collected(source)
        assert caught.value is error


async def test_failing_with_a_class_raises_a_fresh_error_in_each_run():
    source = failing(KeyError)
    with pytest.raises(KeyError) as first:
        await collected(source)
    with pytest.raises(KeyError) as second:
        await collected(source)

    assert first.value is not second.value


@pytest.mark.parametrize("error", ["text", None, int, StopIteration(), StopAsyncIteration, KeyboardInterrupt])
def test_failing_refuses_what_is_no_error_of_a_stream(error):
    with pytest.raises(sf.UsageError, match="needs an exception"):
        failing(error)


# --- unfold ------------------------------------------------------------------------------------------------------


async def test_unfold_calls_its_function_only_as_items_are_wanted():
    calls = []

    def fn(state):
        calls.append(state)
        return state, state + 1

    assert await sf.pipeline(unfold(fn, 0), sf.take(3), sf.collect(), maxsize=1) == [0, 1, 2]
    assert len(calls) <= 6


@pytest.mark.parametrize("wrong", [5, "ab", [1, 2], (1,), (1, 2, 3), ()])
async def test_unfold_refuses_what_is_no_pair(wrong):
    with pytest.raises(sf.UsageError, match=r"unfold: .* must return \(item, next_state\), or None to end"):
        await collected(unfold(lambda _: wrong, 0))


async def test_unfold_passes_an_error_on_after_the_items_before_it():
    got = []

    def fn(state):
        return 1 // state, state - 1

    with pytest.raises(ZeroDivisionError):
        await sf.stream(unfold(fn, 2)).for_each(got.append)
    assert got == [0, 1]


async def test_unfold_cancels_a_call_at_work_when_it_is_stopped():
    ended = []

    async def fn(state):
        if state:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append(state)
        return state, state + 1

    assert await sf.stream(unfold(fn, 0)).first() == 0
    assert ended in ([], [1])


def test_unfold_refuses_what_cannot_be_called():
    with pytest.raises(sf.UsageError, match="needs a function"):
        unfold(3, 0)


# --- paginate ----------------------------------------------------------------------------------------------------


class Pages:
    """A service with numbered pages, which counts the requests."""

    def __init__(self, pages, following=lambda cursor: cursor + 1):
        self.pages = pages
        self.following = following
        self.asked = []

    async def __call__(self, cursor):
        self.asked.append(cursor)
        number = cursor or 0
        return self.pages[number % len(self.pages)], self.following(number)


async def test_paginate_fetches_a_page_only_when_the_one_before_it_was_taken():
    pages = Pages([list(builtins.range(10))])

    async with sf.stream(paginate(pages)).buffer(1).open() as items:
        for number in builtins.range(8):
            assert await anext(items) == number
        assert pages.asked == [None]
        for _ in builtins.range(4):
            await anext(items)
        assert pages.asked == [None, 1]


async def test_an_empty_page_is_no_end():
    pages = Pages([[], [0], [], []], following=lambda number: number + 1 if number < 3 else None)

    assert await collected(paginate(pages)) == [0]
    assert pages.asked == [None, 1, 2, 3]


async def test_only_none_is_the_last_cursor():
    """E7."""
    cursors = iter(["", 0.0, None])

    assert await collected(paginate(lambda cursor: ([cursor], next(cursors)))) == [None, "", 0.0]


async def test_a_cursor_that_comes_at_once_again_is_an_error_before_its_page_comes_twice():
    got = []

    with pytest.raises(sf.UsageError, match=r"the cursor 'x' came again.*sf\.unfold"):
        await sf.stream(paginate(lambda cursor: ([cursor], "x"))).for_each(got.append)
    assert got == [None, "x"]


@pytest.mark.parametrize("before", [0, 1, 5])
@pytest.mark.parametrize("length", [2, 3, 7, 40])
async def test_cursors_that_run_in_a_circle_are_an_error(before, length):
    following = {n: n + 1 for n in builtins.range(before + length - 1)} | {before + length - 1: before}

    with pytest.raises(sf.UsageError, match="came again"):
        await sf.pipeline(paginate(lambda cursor: ([cursor], following[cursor]), start=0), sf.take(500), sf.drain())


async def test_cursors_need_not_be_hashable():
    """A page of DynamoDB says where to go on with a dict."""

    def fetch(cursor):
        number = cursor["n"]
        return [number], {"n": number + 1} if number < 40 else None

    assert await collected(paginate(fetch, start={"n": 0})) == list(builtins.range(41))


@pytest.mark.parametrize(("wrong", "message"), [(([1], 2, 3), "must return"), ([1, 2], "must return"), (None, "must")])
async def test_paginate_refuses_what_is_no_pair(wrong, message):
    with pytest.raises(sf.UsageError, match=f"paginate: .* {message}"):
        await collected(paginate(lambda _: wrong))


@pytest.mark.parametrize("items", ["text", b"bytes", 5, None])
async def test_paginate_refuses_a_page_that_is_no_list_of_items(items):
    with pytest.raises(sf.UsageError, match="the items of a page"):
        await collected(paginate(lambda _: (items, None)))


# --- what is a source as it is -----------------------------------------------------------------------------------


async def test_the_items_of_another_stream_that_is_open_are_a_source_and_stay_open():
    source = TrackedSource(builtins.range(5000))

    async with sf.stream(source).open() as items:
        assert await sf.stream(items).take(2).to(sf.collect(), maxsize=1).run() == [0, 1]
        assert source.closed == 0
        rest = await sf.stream(items).collect()
    source.verify()
    assert 2 <= rest[0] <= 5  # what the first one had taken ahead
    assert rest == list(builtins.range(rest[0], 5000))


async def test_the_owner_of_open_items_closes_them_when_their_reader_failed():
    source = TrackedSource(builtins.range(5000))

    async with sf.stream(source).open() as items:
        with pytest.raises(ZeroDivisionError):
            await sf.stream(items).map(lambda n: 1 // n).count()
        assert source.closed == 0
    source.verify()


async def test_an_object_stream_of_anyio_is_a_source_and_stays_its_owners():
    send, receive = anyio.create_memory_object_stream[int](10)
    for number in builtins.range(5):
        send.send_nowait(number)
    with send, receive:
        assert await sf.stream(receive).take(2).to(sf.collect(), maxsize=1).run() == [0, 1]
        assert receive.statistics().open_receive_streams == 1
        send.close()
        assert (await sf.stream(receive).collect())[-1] == 4


async def test_a_byte_stream_of_anyio_is_a_source():
    send, receive = anyio.create_memory_object_stream[bytes](10)
    for chunk in (b"ab", b"c", b"de"):
        send.send_nowait(chunk)
    with receive:
        send.close()
        async with BufferedByteReceiveStream(receive) as stream:
            assert b"".join(await sf.stream(stream).collect()) == b"abcde"


async def test_a_socket_of_anyio_is_a_source_and_is_not_closed():
    async def greet(client):
        async with client:
            await client.send(b"hello")
            await client.send_eof()
            await client.receive()

    with no_leaks(ignore=["tasks"]):
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, greet)
            port = listener.extra(anyio.abc.SocketAttribute.local_port)
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                assert b"".join(await sf.stream(stream).collect()) == b"hello"
                await stream.send(b"still open")
            tasks.cancel_scope.cancel()
