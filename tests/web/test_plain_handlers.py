"""Streams inside handlers whose response is FastAPI's own: closed soon after the client has left, each in its task."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterable

import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse
from starlette.requests import ClientDisconnect

import streamflow as sf
from tests.web.servers import IN_PYTHON, fetch, get_and_leave, serving, slow_reader, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.may_leak("generators", reason="Starlette leaves the handler's own generator at its yield"),
]

SOON = 2  # seconds; it takes about 0.03
NEVER = 10**8


@pytest.fixture
def _no_automatic_collection():
    """Only what somebody asks for is collected."""
    gc.collect()
    before = gc.get_threshold()
    gc.set_threshold(NEVER, NEVER, NEVER)
    yield
    gc.set_threshold(*before)


class Rows:
    """A source that writes down where it was closed: rows of some bytes, with pauses or without."""

    def __init__(self, pause: float | None, size: int = 10) -> None:
        self.pause = pause
        self.size = size
        self.opened = 0
        self.closed: list[bool] = []

    async def __call__(self):
        task = asyncio.current_task()
        self.opened += 1
        number = 0
        try:
            while True:
                if self.pause is not None:
                    await asyncio.sleep(self.pause)
                number += 1
                yield {"id": number, "text": "x" * self.size}
        finally:
            await asyncio.sleep(0)
            self.closed.append(asyncio.current_task() is task)


WAITING = {"pause": 0.01}
"""The client leaves while the next row is waited for."""

SENDING = {"pause": None, "size": 200_000}
"""The client leaves while a row is being sent."""


def app_of(rows):
    app = FastAPI()

    @app.get("/opened")
    async def opened() -> AsyncIterable[dict]:
        async with sf.stream(rows).open() as items:
            async for item in items:
                yield item

    @app.get("/bare")
    async def bare() -> AsyncIterable[dict]:
        async for item in sf.stream(rows).map(lambda item: item):
            yield item

    _give_other_classes(app, rows)
    return app


def _give_other_classes(app, rows):
    @app.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterable[dict]:
        async for item in sf.stream(rows):
            yield item

    @app.get("/text", response_class=StreamingResponse)
    async def text() -> AsyncIterable[str]:
        async for item in sf.stream(rows):
            yield item["text"]

    @app.get("/response")
    async def response():
        return StreamingResponse(sf.stream(rows).map(lambda item: item["text"]))

    @app.get("/first")
    async def first() -> dict:
        async for item in sf.stream(rows):
            if item["id"] == 3:
                return item
        return {}


async def left(url, client):
    """Begin to read, and leave: at once, or when the server has long been waiting for us."""
    if client == "leaves":
        await get_and_leave(url, after=200)
        return
    async with slow_reader(url) as (reader, _):
        await reader.read(200)
        gc.collect()  # what has lived for long is not looked at
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("server", IN_PYTHON)
@pytest.mark.parametrize(("pace", "client"), [(WAITING, "leaves"), (SENDING, "stalls first")], ids=["waits", "sends"])
@pytest.mark.parametrize("path", ["opened", "bare", "events", "text", "response"])
@pytest.mark.usefixtures("_no_automatic_collection")
async def test_a_handler_that_yields_items_closes_the_stream_soon_after_its_client_has_left(server, path, pace, client):
    """H75, H76: `StreamingResponse` leaves the handler at its `yield`, held by the circle of an exception."""
    rows = Rows(**pace)

    async with serving(app_of(rows), server) as url:
        await left(f"{url}/{path}", client)
        await until(lambda: rows.closed, within=SOON)

    assert rows.closed == [True]


@pytest.mark.parametrize("pace", [WAITING, SENDING], ids=["waits", "sends"])
@pytest.mark.usefixtures("_no_automatic_collection")
async def test_that_holds_behind_a_middleware(pace):
    rows = Rows(**pace)

    async with serving(app_of(rows), middleware=True) as url:
        await left(f"{url}/bare", "stalls first")
        await until(lambda: rows.closed, within=SOON)

    assert rows.closed == [True]


@pytest.mark.parametrize("path", ["opened", "bare", "text", "response"])
@pytest.mark.usefixtures("_no_automatic_collection")
async def test_that_holds_where_the_server_raises_in_send(path):
    """As servers do since ASGI 2.4: H82."""
    rows, scope = Rows(None), {"type": "http", "method": "GET", "path": f"/{path}", "query_string": b"", "headers": []}
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)
        if len(sent) > 3:
            raise OSError

    with pytest.raises(ClientDisconnect):
        await app_of(rows)({**scope, "asgi": {"version": "3.0", "spec_version": "2.4"}}, receive, send)
    await until(lambda: rows.closed, within=SOON)

    assert rows.closed == [True]


@pytest.mark.parametrize("pace", [WAITING, SENDING], ids=["waits", "sends"])
async def test_that_holds_with_granian(pace):
    """It is another process, with the collector as it always is."""
    rows = Rows(**pace)
    app = app_of(rows)
    app.get("/told")(lambda: rows.closed)

    async with serving(app, "granian") as url:
        await left(f"{url}/bare", "stalls first")
        async with asyncio.timeout(SOON):
            while (await fetch(f"{url}/told")).body != b"[true]":  # noqa: ASYNC110  # it is another process
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("pace", [WAITING, SENDING], ids=["waits", "sends"])
async def test_that_holds_for_many_clients_that_leave_at_once(pace):
    """With the collector as it always is, which makes young objects old."""
    rows = Rows(**pace)

    async with serving(app_of(rows)) as url:
        await asyncio.gather(*(left(f"{url}/bare", "stalls first") for _ in range(20)))
        await until(lambda: rows.opened == len(rows.closed), within=SOON)

    assert rows.closed == [True] * 20


@pytest.mark.usefixtures("_no_automatic_collection")
async def test_a_handler_that_has_enough_closes_the_stream():
    rows = Rows(0)

    async with serving(app_of(rows)) as url:
        answer = await fetch(f"{url}/first")
        await until(lambda: rows.closed, within=SOON)

    assert answer.status == 200
    assert rows.closed == [True]
