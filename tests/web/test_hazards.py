"""The traps H73 to H83: each is shown with a bare `StreamingResponse`, then that ours has none of it.

Where the first half fails one day, Starlette or the server has mended it, and docs/web.md needs a new reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import os
import shutil
import subprocess
import sys

import httpx2
import pytest
from fastapi import Depends, FastAPI, Request
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse
from starlette.routing import Route

from streamflow import web
from streamflow.web import StreamResponse
from tests.web.servers import (
    IN_PYTHON,
    SERVERS,
    connect,
    fetch,
    get_and_leave,
    hang_up,
    read_answer,
    read_head,
    serving,
    slow_reader,
    until,
)
from tests.web.wire import Wire

BARE, OURS = StreamingResponse, StreamResponse

# Servers are started for each test: that takes some tenths of a second.
slow = pytest.mark.slow
servers = pytest.mark.parametrize("server", IN_PYTHON)
matrix = pytest.mark.parametrize(
    ("server", "spec", "middleware"),
    [(server, spec, middleware) for server in SERVERS for spec, middleware in [("2.3", True), ("2.4", False)]]
    + [(SERVERS[1], "2.3", False), (SERVERS[1], "2.4", True)],
)
middleware_leaks = pytest.mark.may_leak("generators", reason="BaseHTTPMiddleware does not close its own when it fails")
in_python = pytest.mark.parametrize(
    ("server", "spec", "middleware"),
    [(server, spec, middleware) for server in IN_PYTHON for spec, middleware in [("2.3", False), ("2.4", True)]]
    + [(SERVERS[1], "2.3", True), (SERVERS[1], "2.4", False)],
)


def app_of(respond):
    """An ASGI app of a function that returns a response."""

    async def app(scope, receive, send):
        await respond()(scope, receive, send)

    return app


# --- H73: a client that leaves hangs the process -----------------------------------------------------------------


def seen_in_a_process(response, server):
    command = [sys.executable, "-m", "tests.web.hanging", response, server]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return json.loads(done.stdout)


@slow
@servers
def test_a_client_that_leaves_a_body_that_never_waits_hangs_the_process_of_a_bare_response(server):
    """H73: what is to be mended."""
    seen = seen_in_a_process("StreamingResponse", server)
    assert not seen["loop alive"]
    assert not seen["closed"]
    assert seen["chunks in the last 0.1 s"] > 10


@slow
@servers
def test_a_client_that_leaves_a_body_that_never_waits_stops_it(server):
    """H73: the loop lives, the body is closed, and the next request is answered."""
    seen = seen_in_a_process("StreamResponse", server)
    assert seen["loop alive"]
    assert seen["closed"]
    assert seen["chunks"] < 1000
    assert seen["ms until a second request was answered"]


# --- H74: upload, transform and download in one request ------------------------------------------------------------


async def uppercase(chunks):
    async for chunk in chunks:
        yield chunk.upper()


async def bare_duplex(request):
    return BARE(uppercase(request.stream()))


async def our_duplex(request):
    return OURS(web.body(request).through(uppercase))


async def mixed_duplex(request):
    return OURS(uppercase(request.stream()))


async def post_rows(url, rows=20):
    reader, writer = await connect(url, "POST", {"Connection": "close", "Transfer-Encoding": "chunked"})
    try:
        for number in range(rows):
            if writer.transport.is_closing():
                break
            writer.write(b"6\r\nrow%02d\n\r\n" % number)
            await asyncio.sleep(0.003)
        if not writer.transport.is_closing():
            writer.write(b"0\r\n\r\n")
        async with asyncio.timeout(5):
            return await read_answer(reader)
    finally:
        await hang_up(writer)


def duplex_app(endpoint):
    return Starlette(routes=[Route("/", endpoint, methods=["POST"])])


@slow
@servers
async def test_a_bare_response_loses_an_upload_that_it_transforms(server):
    """H74: status 200, a clean end, and rows are missing."""
    async with serving(duplex_app(bare_duplex), server) as url:
        answer = await post_rows(url)
    assert (answer.status, answer.complete) == (200, True)
    assert answer.body.count(b"ROW") < 20


@slow
@matrix
async def test_upload_transform_and_download_in_one_request(server, spec, middleware):
    """H74: every row comes back."""
    async with serving(duplex_app(our_duplex), server, spec=spec, middleware=middleware) as url:
        answer = await post_rows(url)
    assert (answer.status, answer.complete) == (200, True)
    assert answer.body == b"".join(b"ROW%02d\n" % number for number in range(20))


@slow
@servers
@pytest.mark.may_leak("generators", reason="a generator around a generator, without streamflow between them")
async def test_a_body_that_is_read_past_the_inbox_is_refused_loudly(server, monkeypatch):
    """H74: `request.stream()` beside a response that watches for a disconnect cannot work."""
    monkeypatch.setattr("streamflow.web.client._CLAIM", 0.05)
    async with serving(duplex_app(mixed_duplex), server) as url:
        answer = await post_rows(url, 80)  # long enough for the time in which somebody has to say that he reads it
    assert not (answer.status == 200 and answer.complete)


@slow
@servers
@pytest.mark.may_leak("generators", reason="a generator around a generator, without streamflow between them")
async def test_a_short_body_that_is_read_past_the_inbox_is_refused_too(server):
    """H74: it is over before the time has passed in which somebody has to say that he reads it."""
    async with serving(duplex_app(mixed_duplex), server) as url:
        answer = await post_rows(url)
    assert not (answer.status == 200 and answer.complete)


# --- H75, H76, H77: what is closed, when, and where ------------------------------------------------------------------


class Diary:
    """A body that writes down what happens to it."""

    def __init__(self, chunk=b"x" * 10, pause=0.005):
        self.lines = []
        self.chunk = chunk
        self.pause = pause

    async def body(self):
        mine = asyncio.current_task()
        try:
            while True:
                yield self.chunk
                await asyncio.sleep(self.pause)
        finally:
            try:
                await asyncio.sleep(0.001)
                await asyncio.sleep(0.001)
                self.lines.append("cleaned up" if asyncio.current_task() is mine else "cleaned up in another task")
            except BaseException:
                self.lines.append("cleanup was cut short")
                raise


@slow
@servers
async def test_a_bare_response_cuts_cleanup_short_and_runs_its_background_task_for_a_client_that_left(server):
    """H75."""
    diary = Diary()

    async def succeeded():
        diary.lines.append("background")

    app = app_of(lambda: BARE(diary.body(), background=BackgroundTask(succeeded)))
    async with serving(app, server) as url:
        await get_and_leave(url, after=200)
        await until(lambda: len(diary.lines) == 2)
    assert diary.lines == ["cleanup was cut short", "background"]


@slow
@in_python
async def test_cleanup_runs_to_its_end_and_only_the_disconnect_is_told(server, spec, middleware):
    """H75: then exactly one of the three is called."""
    diary = Diary()

    def respond():
        told = diary.lines.append
        return OURS(
            diary.body(),
            within=0,
            on_complete=lambda sent: told("complete"),
            on_disconnect=told,
            on_error=lambda error: told("error"),
        )

    async with serving(app_of(respond), server, spec=spec, middleware=middleware) as url:
        await get_and_leave(url, after=200)
        await until(lambda: len(diary.lines) == 2)
    assert diary.lines == ["cleaned up", "left"]


@pytest.mark.may_leak("generators", reason="that is what the bare response does")
async def test_a_bare_response_leaves_its_generator_open_when_the_client_leaves_within_a_send():
    """H76: it is closed by the garbage collector, in another task."""
    diary = Diary(b"x" * 65536)
    wire = Wire(b"", per_send=60)
    body = diary.body()
    sending = asyncio.create_task(BARE(body)(wire.scope, wire.receive, wire.send))
    await asyncio.sleep(0.01)
    wire.leave()
    await sending
    assert diary.lines == []
    assert body.ag_frame is not None
    del body, sending
    gc.collect()
    await until(lambda: diary.lines)
    assert diary.lines != ["cleaned up"]


async def test_the_generator_is_closed_before_the_response_returns_when_the_client_leaves_within_a_send():
    """H76."""
    diary = Diary(b"x" * 65536)
    wire = Wire(b"", per_send=60)
    sending = asyncio.create_task(OURS(diary.body())(wire.scope, wire.receive, wire.send))
    await asyncio.sleep(0.01)
    wire.leave()
    await sending
    assert diary.lines == ["cleaned up"]


class Connection:
    closed = False

    async def aclose(self):
        await asyncio.sleep(0)
        self.closed = True

    async def rows(self):
        try:
            yield b"row"
        finally:
            await self.aclose()


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
async def test_a_bare_response_never_closes_what_a_client_left_before_the_first_byte(spec):
    """H77: the generator never began, so its `finally` never runs."""
    connection, wire = Connection(), Wire(b"", spec=spec)
    wire.leave()
    with contextlib.suppress(Exception):
        await BARE(connection.rows())(wire.scope, wire.receive, wire.send)
    assert not connection.closed


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
async def test_what_a_client_left_before_the_first_byte_is_closed(spec):
    """H77."""
    connection, wire = Connection(), Wire(b"", spec=spec)
    wire.leave()
    await OURS(connection.rows())(wire.scope, wire.receive, wire.send)
    assert connection.closed


# --- H78, H79: errors --------------------------------------------------------------------------------------------


async def forbidden():
    raise PermissionError("the bucket says no")
    yield b""


async def breaks_off():
    yield b'{"rows": [' + b"1," * 20_000
    await asyncio.sleep(0.01)
    raise ValueError("row 3")


both_kinds_of_app = pytest.mark.parametrize("framework", [False, True], ids=["plain", "starlette"])


def app_with(respond, framework):
    async def endpoint(request):
        return respond()

    return Starlette(routes=[Route("/", endpoint)]) if framework else app_of(respond)


@slow
@servers
@both_kinds_of_app
async def test_a_bare_response_says_200_before_it_knows(server, framework):
    """H78."""
    async with serving(app_with(lambda: BARE(forbidden()), framework), server) as url:
        answer = await fetch(url)
    assert answer.status == 200


@slow
@matrix
@both_kinds_of_app
async def test_an_error_before_the_first_byte_is_a_500_with_a_body(server, framework, spec, middleware):
    """H78."""
    app = app_with(lambda: OURS(forbidden()), framework)
    async with serving(app, server, spec=spec, middleware=middleware) as url:
        answer = await fetch(url)
    assert (answer.status, answer.complete, answer.body) == (500, True, b"Internal Server Error")


async def library_says(url):
    """What an HTTP client library makes of it."""
    async with httpx2.AsyncClient() as client:
        try:
            answer = await client.get(url)
        except httpx2.HTTPError as error:
            return type(error).__name__
    return answer.status_code, len(answer.content)


@slow
@servers
async def test_behind_a_middleware_a_bare_response_that_fails_in_the_middle_looks_whole(server):
    """H79: without framing nobody sees that it is half a body; and `BaseHTTPMiddleware` frames it."""
    async with serving(app_of(lambda: BARE(breaks_off())), server, middleware=True) as url:
        answer = await fetch(url)
        assert (answer.status, answer.complete) == (200, True)
        assert await library_says(url) == (200, len(answer.body))


@slow
@middleware_leaks
@pytest.mark.parametrize(("spec", "middleware"), [("2.3", 0), ("2.4", 0), ("2.3", 1), ("2.3", 3)])
@pytest.mark.parametrize("server", SERVERS)
async def test_a_body_that_fails_in_the_middle_is_a_broken_transfer(server, spec, middleware):
    """H79: for who reads the wire and for a client library, through any number of middlewares."""
    app = app_of(lambda: OURS(breaks_off()))
    for _ in range(middleware - 1):
        app = httpmiddleware(app)
    async with serving(app, server, spec=spec, middleware=middleware > 0) as url:
        answer = await fetch(url)
        assert (answer.status, answer.complete) == (200, False)
        assert await library_says(url) in {"RemoteProtocolError", "ReadError"}


@slow
@middleware_leaks
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("middleware", [False, True])
@pytest.mark.parametrize("server", SERVERS)
async def test_curl_reports_a_broken_transfer(server, middleware):
    """H79."""
    async with serving(app_of(lambda: OURS(breaks_off())), server, middleware=middleware) as url:
        curl = await asyncio.create_subprocess_exec("curl", "-sS", "-o", os.devnull, url, stderr=subprocess.PIPE)
        _, said = await curl.communicate()
    assert curl.returncode in {18, 56}, said  # a partial file, a failure in receiving
    assert said


def httpmiddleware(app):
    from starlette.middleware.base import BaseHTTPMiddleware  # noqa: PLC0415  # next to its only use

    async def forward(request, call_next):
        return await call_next(request)

    return BaseHTTPMiddleware(app, dispatch=forward)


# --- H80: chunks are memory ------------------------------------------------------------------------------------------


async def held_for_a_client_that_does_not_read(response, server):
    """Return how many bytes the transport holds, and how many chunks were made."""
    made, transports = [], []

    async def large():
        for number in itertools.count():
            made.append(number)
            yield bytes(16 << 20)
            await asyncio.sleep(0)

    async def app(scope, receive, send):
        transports.append(receive.__self__.transport)
        await response(large())(scope, receive, send)

    async with serving(app, server) as url, slow_reader(url) as (reader, _):
        await read_head(reader)
        await until(lambda: transports[0].get_write_buffer_size() > 60_000)
        await asyncio.sleep(0.05)
        return transports[0].get_write_buffer_size(), len(made)


@slow
@pytest.mark.parametrize("server", SERVERS[:2])
async def test_a_bare_response_holds_a_whole_chunk_for_each_client_that_does_not_read(server):
    """H80."""
    held, _ = await held_for_a_client_that_does_not_read(BARE, server)
    assert held > 4 << 20


@slow
@pytest.mark.parametrize("server", SERVERS[:2])
async def test_large_chunks_are_sent_in_pieces(server):
    """H80: what a server holds is one piece beyond its own mark."""
    held, made = await held_for_a_client_that_does_not_read(OURS, server)
    assert held <= 64 * 1024 + 66_000
    assert made <= 3


# --- H81: dependencies with yield --------------------------------------------------------------------------------


def shop(response, log, may_commit):
    app = FastAPI()

    async def transaction(request: Request):
        try:
            yield "connection"
            log.append("commit" if may_commit(request) else "rollback")
        finally:
            log.append("closed")

    @app.get("/{rows}")
    async def orders(rows: int, connection=Depends(transaction)):  # noqa: B008  # FastAPI's way
        async def body():
            for _ in range(rows):
                yield b"row"
                await asyncio.sleep(0.005)

        return response(body())

    return app


@slow
async def test_a_dependency_takes_a_disconnect_for_success_with_a_bare_response():
    """H81: a transaction would be committed."""
    log = []
    async with serving(shop(BARE, log, lambda request: True)) as url:
        await get_and_leave(url + "/1000000", after=150)
        await until(lambda: "closed" in log)
    assert log == ["commit", "closed"]


@slow
@pytest.mark.parametrize("spec", ["2.3", "2.4"])
async def test_a_dependency_can_ask_how_the_response_ended(spec):
    """H81."""
    log = []
    committing = shop(OURS, log, lambda request: web.outcome(request) == "complete")
    async with serving(committing, spec=spec) as url:
        assert (await fetch(url + "/3")).body == b"rowrowrow"
        await until(lambda: "closed" in log)
        assert log == ["commit", "closed"]
        log.clear()
        await get_and_leave(url + "/1000000", after=150)
        await until(lambda: "closed" in log)
    assert log == ["rollback", "closed"]


# --- H82: send says nothing ----------------------------------------------------------------------------------------


class Counter:
    def __init__(self):
        self.made = 0
        self.closed = False

    async def body(self):
        try:
            while True:
                self.made += 1
                yield b"x" * 1000
                await asyncio.sleep(0.001)
        finally:
            self.closed = True


@slow
@pytest.mark.parametrize("server", SERVERS[:2])
async def test_with_asgi_2_4_a_bare_response_goes_on_for_a_client_that_left(server):
    """H82: it waits for an `OSError` that no `send` of this server raises."""
    counter = Counter()
    app = app_of(lambda: BARE(counter.body()))
    async with serving(app, server, spec="2.4", timeout_graceful_shutdown=0.05) as url:
        await get_and_leave(url, after=5000)
        made = counter.made
        await until(lambda: counter.made > made + 100)
        assert not counter.closed


@slow
@pytest.mark.parametrize("abort", [True, False], ids=["reset", "closed"])
@in_python
async def test_a_client_that_left_stops_the_source(server, spec, middleware, abort):
    """H82: on every version of ASGI."""
    counter = Counter()
    async with serving(app_of(lambda: OURS(counter.body())), server, spec=spec, middleware=middleware) as url:
        await get_and_leave(url, after=5000, abort=abort)
        await until(lambda: counter.closed)


# --- H83: the server shuts down --------------------------------------------------------------------------------------


async def diary_of_a_shutdown(respond, middleware=False):
    diary = Diary()
    app = app_of(lambda: respond(diary))
    async with serving(app, timeout_graceful_shutdown=0.05, middleware=middleware) as url:
        reader, writer = await connect(url)
        await reader.readexactly(200)
    await until(lambda: diary.lines)
    await hang_up(writer)
    return diary.lines


@slow
async def test_a_shutdown_cuts_the_cleanup_of_a_bare_response_short():
    """H83."""
    assert await diary_of_a_shutdown(lambda diary: BARE(diary.body())) == ["cleanup was cut short"]


@slow
@pytest.mark.parametrize("middleware", [False, True])
async def test_cleanup_runs_to_its_end_when_the_server_cancels_the_request(middleware):
    """H83: natively, or through a middleware's scope."""

    def respond(diary):
        return OURS(diary.body(), within=0, on_disconnect=diary.lines.append)

    lines = await diary_of_a_shutdown(respond, middleware)
    await until(lambda: len(lines) == 2)
    assert lines == ["cleaned up", "cancelled"]
