"""What a connection carries beside one request of HTTP/1.1: further requests behind it, or HTTP/1.0."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

import streamflow as sf
from streamflow import web
from tests.web import servers

pytestmark = pytest.mark.slow

PIPELINED = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n" * 2
OLD = b"GET / HTTP/1.0\r\nHost: shop\r\n\r\n"


class Live:
    """A body that never ends, and who is told how it did."""

    def __init__(self, pause):
        self.told = []
        self.opened = self.closed = 0
        self._pause = pause

    async def body(self):
        self.opened += 1
        try:
            while True:
                yield b"x" * 20_000
                await asyncio.sleep(self._pause)
        finally:
            self.closed += 1

    def respond(self):
        return web.StreamResponse(self.body(), on_disconnect=self.told.append)


def app_of(respond):
    async def endpoint(request):
        return respond()

    return Starlette(routes=[Route("/", endpoint)])


@asynccontextmanager
async def asking(url, request):
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(request)
    try:
        async with asyncio.timeout(10):
            yield reader
    finally:
        await servers.reset(writer)


@pytest.mark.may_leak(
    "complaints", "generators", reason="servers write to what is gone; a middleware that meets that leaves its own open"
)
@pytest.mark.parametrize("pause", [0.4, 600], ids=["sends", "waits"])
@pytest.mark.parametrize("middleware", [False, True])
@pytest.mark.parametrize("server", servers.IN_PYTHON)
async def test_a_client_that_has_sent_its_next_request_already_and_leaves_is_noticed(server, middleware, pause):
    """uvicorn with httptools tells only the request that came last, hypercorn reads no more before that one's turn."""
    live = Live(pause)
    async with servers.serving(app_of(live.respond), server, middleware=middleware) as url:
        async with asking(url, PIPELINED) as reader:
            await reader.readexactly(1000)
        await servers.until(lambda: live.told)
    # uvloop raises for a connection that is closed: where a middleware meets that first, it cancels.
    assert live.told[0] == "left" or (middleware and live.told[0] == "cancelled")
    assert live.opened == live.closed == len(live.told)  # a server may begin with the next one


async def breaks_off():
    yield b"row," * 25_000
    await asyncio.sleep(0.01)
    raise ValueError("row 25,001")


@pytest.mark.may_leak("generators", reason="BaseHTTPMiddleware does not close its own when it fails")
@pytest.mark.parametrize("stages", [0, 1])
@pytest.mark.parametrize("middleware", [False, True])
@pytest.mark.parametrize("server", servers.IN_PYTHON)
async def test_over_http_1_0_a_failure_in_the_middle_is_a_reset_and_no_end(server, middleware, stages):
    """H79: there the end of the connection is the end of the body."""

    def respond():
        rows = sf.stream(breaks_off())
        return web.StreamResponse(rows.map(lambda row: row) if stages else rows)

    async with servers.serving(app_of(respond), server, middleware=middleware) as url, asking(url, OLD) as reader:
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_over_http_1_0_a_response_that_the_server_cancels_is_a_reset_and_no_end():
    """H83."""
    live = Live(0.01)
    async with servers.serving(app_of(live.respond), "uvicorn-h11", timeout_graceful_shutdown=0.05) as url:
        kept = asking(url, OLD)
        reader = await kept.__aenter__()
        await reader.readexactly(1000)
    try:
        with pytest.raises(ConnectionResetError):
            await reader.read()
    finally:
        await kept.__aexit__(None, None, None)
    assert live.told == ["cancelled"]


async def test_over_http_1_0_a_whole_body_ends_with_the_connection():
    app = app_of(lambda: web.StreamResponse([b"row,"] * 30_000))
    async with servers.serving(app, "uvicorn-h11") as url, asking(url, OLD) as reader:
        answer = await reader.read()
    assert answer.partition(b"\r\n\r\n")[2] == b"row," * 30_000
