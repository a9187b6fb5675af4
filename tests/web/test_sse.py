"""A stream as server-sent events: what a browser gets, and when."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import asynccontextmanager
from random import Random

import pytest
from starlette.requests import Request

import streamflow as sf
from streamflow.web.sse import Event, kept_alive, last_event_id, sse
from tests.web.browser import EventSource, Got, parsed
from tests.web.servers import IN_PYTHON, connect, fetch, hang_up, read_head, serving


def app_of(make):
    async def app(scope, receive, send):
        await make(Request(scope))(scope, receive, send)

    return app


@asynccontextmanager
async def connected(url, headers=None):
    """Give the head of the answer, the browser, and what reads until it has seen so much."""
    reader, writer = await connect(url, headers=headers)
    browser = EventSource()

    async def until(condition):
        while not condition():
            size = int(await reader.readuntil(b"\r\n"), 16)
            browser.feed((await reader.readexactly(size + 2))[:-2])

    try:
        async with asyncio.timeout(10):
            yield await read_head(reader), browser, until
    finally:
        await hang_up(writer)


# ------------------------------------------------------------------------------------------------------- heartbeat


async def kept(source, *, head=b"", opening=1.0, beat=15.0):
    """Run it on virtual time; return when each piece went out."""
    time = asyncio.get_running_loop().time
    start = time()
    alive = sf.stream(source).through(kept_alive(head, opening, beat))
    return [(round(time() - start, 3), block) async for block in alive]


@pytest.mark.virtual_time
async def test_is_heard_while_the_source_is_silent_and_loses_nothing():
    stopped = []

    async def source():
        try:
            for number in range(2):
                await asyncio.sleep(40)
                yield b"%d" % number
        except BaseException as error:
            stopped.append(error)
            raise

    got = await kept(source)

    assert [moment for moment, _ in got] == [1.0, 16.0, 31.0, 40.0, 55.0, 70.0, 80.0]
    assert [block for _, block in got] == [b":\n\n"] * 3 + [b"0"] + [b":\n\n"] * 2 + [b"1"]
    assert stopped == []


@pytest.mark.virtual_time
@pytest.mark.parametrize("seed", range(20))
async def test_nothing_is_lost_or_doubled_whenever_it_comes(seed):
    """At, shortly before and shortly after the moments of heartbeats, with a consumer that is slow now and then."""
    random = Random(seed)
    got = []

    async def source():
        for number in range(100):
            await asyncio.sleep(random.choice([0, 0.5, 1, 1 - 1e-9, 1 + 1e-9, 2, 3.7]))
            yield b"%d " % number

    async for block in sf.stream(source).through(kept_alive(b"", 1.0, 1.0)):
        if block != b":\n\n":
            got += block.split()
        await asyncio.sleep(random.choice([0, 0, 0, 2]))

    assert got == [b"%d" % number for number in range(100)]


@pytest.mark.virtual_time
async def test_a_slow_client_gets_what_has_come_meanwhile_at_once_and_no_comments_for_it():
    async def source():
        for number in range(40):
            await asyncio.sleep(5)
            yield b"%d " % number

    got = []
    async for block in sf.stream(source).through(kept_alive(b"", 1.0, 1.0)):
        got.append(block)
        await asyncio.sleep(100)

    assert len(got) <= 6
    assert b"".join(got).replace(b":\n\n", b"").split() == [b"%d" % number for number in range(40)]


@pytest.mark.virtual_time
async def test_an_item_at_the_moment_of_a_heartbeat_is_sent_and_no_comment():
    async def source():
        for moment in (1.0, 15.0, 15.0):
            await asyncio.sleep(moment)
            yield b"item"

    assert await kept(source) == [(1.0, b"item"), (16.0, b"item"), (31.0, b"item")]


@pytest.mark.virtual_time
async def test_the_first_thing_that_goes_out_has_the_head_before_it():
    async def late():
        await asyncio.sleep(2)
        yield b"late"

    assert await kept([b"now"], head=b"head") == [(0.0, b"headnow")]
    assert await kept(late, head=b"head") == [(1.0, b"head:\n\n"), (2.0, b"late")]
    assert await kept([], head=b"head") == [(0.0, b"head")]
    assert await kept([]) == []


@pytest.mark.virtual_time
async def test_a_failure_before_the_first_item_sends_nothing():
    """H78"""

    async def source():
        await asyncio.sleep(0.5)
        raise PermissionError("no")
        yield b""

    got = []
    with pytest.raises(PermissionError):
        await sf.stream(source).through(kept_alive(b"head", 1.0, 15.0)).for_each(got.append)
    assert got == []


@pytest.mark.virtual_time
async def test_what_came_before_a_failure_goes_out_first():
    async def source():
        yield b"a"
        await asyncio.sleep(1)
        raise OSError("gone")

    got = []
    with pytest.raises(OSError, match="gone"):
        await sf.stream(source).through(kept_alive(b"", 1.0, 15.0)).for_each(got.append)
    assert b"".join(got).startswith(b"a")


@pytest.mark.parametrize("name", ["heartbeat", "opens_within"])
@pytest.mark.parametrize("wrong", [0, -1, float("nan"), "5"])
def test_seconds_that_cannot_be_are_refused_at_once(name, wrong):
    with pytest.raises(sf.UsageError, match=name):
        sse([], **{name: wrong})


# ---------------------------------------------------------------------------------------------------- with a server


@pytest.mark.parametrize("server", IN_PYTHON)
async def test_a_browser_gets_each_event_before_the_next_is_made(server):
    go_on = asyncio.Event()

    async def source():
        yield Event("one\ntwo", event="greeting", id="1")
        await go_on.wait()
        yield {"n": 2}

    make = app_of(lambda _: sse(source(), retry=2500))
    async with serving(make, server) as url, connected(url) as (head, browser, until):
        assert head.status == 200
        assert head.headers["content-type"].startswith("text/event-stream")
        assert head.headers["cache-control"] == "no-store"
        assert head.headers["x-accel-buffering"] == "no"
        await until(lambda: browser.events)
        assert browser.events == [Got("one\ntwo", "greeting", "1")]
        assert browser.retry == 2500
        go_on.set()
        await until(lambda: len(browser.events) == 2)
        assert browser.events[1] == Got('{"n":2}', id="1")


async def test_the_connection_is_open_andkept_alive_before_there_is_an_event():
    go_on = asyncio.Event()

    async def source():
        await go_on.wait()
        yield "at last"

    make = app_of(lambda _: sse(source(), heartbeat=0.02, opens_within=0.01))
    async with serving(make) as url, connected(url) as (head, browser, until):
        assert head.status == 200
        await until(lambda: browser.comments == 4)
        go_on.set()
        await until(lambda: browser.events)
        assert browser.events == [Got("at last")]


async def test_a_source_that_cannot_begin_is_a_500_at_which_browsers_give_up():
    """H78"""

    async def source():
        raise PermissionError("no")
        yield ""

    async with serving(app_of(lambda _: sse(source(), retry=2500))) as url:
        answer = await fetch(url)

    assert (answer.status, answer.complete) == (500, True)


@pytest.mark.parametrize("wrong", [-1, 1.5, "3000", True])
def test_a_time_to_come_back_that_browsers_ignore_is_refused(wrong):
    with pytest.raises(sf.UsageError, match="whole number of milliseconds"):
        sse([], retry=wrong)


async def test_a_browser_that_comes_back_says_where_it_was():
    def answer(request):
        since = last_event_id(request)
        return sse([Event(f"since {since}", id="größe 7")])

    async with serving(app_of(answer)) as url:
        first = parsed((await fetch(url)).body)
        again = {"Last-Event-ID": first.last_id.encode().decode("latin-1")}
        second = parsed((await fetch_raw(url, again)).body)

    assert [event.data for event in first.events] == ["since None"]
    assert [event.data for event in second.events] == ["since größe 7"]


async def fetch_raw(url, headers):
    """The tests' client writes headers as UTF-8, so the text is what gives the bytes that a browser sends."""
    return await fetch(url, headers={name: value.encode("latin-1").decode() for name, value in headers.items()})


def test_an_id_that_is_not_there_or_empty_is_none():
    assert last_event_id(Request({"type": "http", "headers": []})) is None
    assert last_event_id(Request({"type": "http", "headers": [(b"last-event-id", b"")]})) is None


def test_an_id_that_is_no_utf8_does_not_break_the_handler():
    assert last_event_id(Request({"type": "http", "headers": [(b"last-event-id", b"\xff7")]})) == "\ufffd7"


async def test_compressed_events_are_live_too():
    go_on = asyncio.Event()

    async def source():
        yield "first"
        await go_on.wait()
        yield "second"

    asking = {"Accept-Encoding": "gzip"}
    make = app_of(lambda _: sse(source(), compress=("gzip",)))
    async with serving(make) as url, connected(url, asking) as (head, browser, until):
        gunzip = zlib.decompressobj(31)
        plain, browser.feed = browser.feed, lambda data: plain(gunzip.decompress(data))
        assert head.headers["content-encoding"] == "gzip"
        await until(lambda: browser.events)
        go_on.set()
        await until(lambda: len(browser.events) == 2)
        assert [event.data for event in browser.events] == ["first", "second"]


def test_headers_of_the_user_replace_ours():
    response = sse([], headers={"Cache-Control": "no-cache", "x-more": "1"})

    assert response.headers.getlist("cache-control") == ["no-cache"]
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-more"] == "1"
