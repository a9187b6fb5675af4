"""Responses in services as users write them: real servers, FastAPI and Starlette, plain handlers too."""

from __future__ import annotations

import asyncio
import gc

import httpx2
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

import streamflow as sf
from streamflow import web
from streamflow.testing import TrackedSource
from tests.web.servers import IN_PYTHON, connect, fetch, get_and_leave, read_head, serving, slow_reader, until

pytestmark = pytest.mark.slow
servers = pytest.mark.parametrize("server", IN_PYTHON)


async def endless(chunk=b"x" * 10_000):
    while True:
        yield chunk
        await asyncio.sleep(0.001)


# --- plain handlers ------------------------------------------------------------------------------------------------


def plain(source):
    """Handlers that know streams but no `StreamResponse`."""
    app = FastAPI()
    rows = sf.stream(source).map(lambda number: {"row": number})

    @app.get("/list")
    async def listed():
        return [row async for row in rows.take(3)]

    @app.get("/yielded")
    async def yielded():
        async for row in rows:
            yield row

    @app.get("/bare")
    async def bare():
        return StreamingResponse(str(row) async for row in rows)

    return app


async def test_async_for_in_a_handler():
    source = TrackedSource(range(1_000_000), delay=0.001)
    async with serving(plain(source)) as url, httpx2.AsyncClient() as client:
        assert (await client.get(url + "/list")).json() == [{"row": 0}, {"row": 1}, {"row": 2}]
        await until(lambda: source.opened == source.closed == 1)


@pytest.mark.parametrize("path", ["/yielded", "/bare"])
async def test_a_handler_that_yields_sends_every_row(path):
    async with serving(plain(TrackedSource(range(50)))) as url:
        answer = await fetch(url + path)
    assert answer.complete
    assert answer.body.count(b"row") == 50


@pytest.mark.may_leak("generators", reason="the framework does not close the handler's; what streamflow runs is closed")
@pytest.mark.parametrize("path", ["/yielded", "/bare"])
async def test_a_handler_that_yields_is_stopped_by_a_client_that_leaves(path):
    """The source is closed in its own task; with a bare response when its iterator is collected (H76)."""
    source = TrackedSource(range(1_000_000), delay=0.001)

    def closed():
        gc.collect()
        return source.opened == source.closed == 1

    async with serving(plain(source)) as url:
        await get_and_leave(url + path, after=300)
        await until(closed)
        source.verify()


# --- clients ---------------------------------------------------------------------------------------------------------


@servers
async def test_a_connection_serves_one_response_after_another(server):
    async def report(request):
        return web.StreamResponse([b"x" * int(request.query_params["size"])] * 3)

    async with serving(Starlette(routes=[Route("/", report)]), server) as url, httpx2.AsyncClient() as client:
        for size in (1, 0, 100_000, 1):
            answer = await client.get(url, params={"size": size})
            assert answer.content == b"x" * size * 3


@servers
@pytest.mark.parametrize("middleware", [False, True])
async def test_a_client_that_reads_nothing_is_cut_off_and_its_connection_closed(server, middleware):
    """Also behind a middleware, where the transport is farther away."""
    told, source = [], TrackedSource([b"x" * 65_536] * 1_000)

    async def app(scope, receive, send):
        response = web.StreamResponse(source, send_timeout=0.2, on_disconnect=told.append)
        await response(scope, receive, send)

    async with serving(app, server, middleware=middleware) as url, slow_reader(url) as (reader, _):
        await read_head(reader)
        await until(lambda: told)
        with pytest.raises(ConnectionResetError):
            await reader.read()
    assert told == ["stalled"]
    source.verify()
    assert source.taken < 200


@servers
async def test_clients_that_vanish_at_any_moment_leave_nothing(server):
    """Every response ends, each source is closed in its own task."""
    told, sources = [], []

    async def app(scope, receive, send):
        source = TrackedSource([b"x" * 3_000] * 100, delay=0)
        sources.append(source)
        ways = {f"on_{name}": lambda what, name=name: told.append(name) for name in ("complete", "disconnect", "error")}
        await web.StreamResponse(source, **ways)(scope, receive, send)

    async with serving(app, server) as url:
        async with asyncio.TaskGroup() as clients:
            for number in range(60):
                clients.create_task(get_and_leave(url, after=number * 4_000, abort=number % 2 == 0))
        await until(lambda: len(told) == len(sources))
    assert "error" not in told
    assert "disconnect" in told
    for source in sources:
        source.verify()


@servers
async def test_a_client_that_closes_its_half_only_is_served_or_given_up_but_never_left(server):
    """What a half-closed connection means is the server's choice; the source must end in any case."""
    told = []

    async def app(scope, receive, send):
        response = web.StreamResponse(
            TrackedSource([b"x" * 1000] * 50, delay=0),
            on_complete=lambda sent: told.append("complete"),
            on_disconnect=told.append,
        )
        await response(scope, receive, send)

    async with serving(app, server) as url:
        _, writer = await connect(url)
        writer.write_eof()
        await until(lambda: told)
        writer.close()
    assert told in (["complete"], ["left"])


@servers
async def test_a_quiet_stream_hears_that_its_client_left(server):
    told = []

    async def quiet():
        yield b"x" * 20_000
        await asyncio.sleep(3600)

    async def app(scope, receive, send):
        await web.StreamResponse(quiet(), on_disconnect=told.append)(scope, receive, send)

    async with serving(app, server) as url:
        await get_and_leave(url, after=20_000)
        await until(lambda: told)
    assert told == ["left"]
