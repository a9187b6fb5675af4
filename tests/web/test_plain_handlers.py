"""Streams inside handlers whose response is FastAPI's own."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterable

import pytest
from fastapi import FastAPI

import streamflow as sf
from tests.web.servers import IN_PYTHON, fetch, get_and_leave, serving, until

pytestmark = pytest.mark.slow


class Rows:
    """A source that writes down where it was closed."""

    def __init__(self, pause: float) -> None:
        self.pause = pause
        self.closed_in_its_task: bool | None = None

    async def __call__(self):
        task = asyncio.current_task()
        number = 0
        try:
            while True:
                await asyncio.sleep(self.pause)
                number += 1
                yield {"id": number}
        finally:
            await asyncio.sleep(0)
            self.closed_in_its_task = asyncio.current_task() is task


def app_of(rows):
    app = FastAPI()

    @app.get("/opened")
    async def opened() -> AsyncIterable[dict]:
        async with sf.stream(rows).open() as items:
            async for item in items:
                yield item

    @app.get("/bare")
    async def bare() -> AsyncIterable[dict]:
        async for item in sf.stream(rows):
            yield item

    @app.get("/first")
    async def first() -> dict:
        async for item in sf.stream(rows):
            if item["id"] == 3:
                return item
        return {}

    return app


@pytest.mark.parametrize("server", IN_PYTHON)
@pytest.mark.parametrize("path", ["opened", "bare"])
async def test_a_handler_that_yields_items_closes_the_stream_when_its_client_leaves(server, path):
    rows = Rows(0.01)

    async with serving(app_of(rows), server) as url:
        await get_and_leave(f"{url}/{path}", after=200)
        await until(lambda: gc.collect() >= 0 and rows.closed_in_its_task is not None)

    assert rows.closed_in_its_task


async def test_a_block_closes_the_stream_without_the_garbage_collector():
    rows = Rows(0.01)
    gc.disable()
    try:
        async with serving(app_of(rows)) as url:
            await get_and_leave(f"{url}/opened", after=200)
            await until(lambda: rows.closed_in_its_task is not None)
    finally:
        gc.enable()

    assert rows.closed_in_its_task


async def test_a_handler_that_has_enough_closes_the_stream():
    rows = Rows(0)

    async with serving(app_of(rows)) as url:
        answer = await fetch(f"{url}/first")
        await until(lambda: rows.closed_in_its_task is not None)

    assert answer.body == b'{"id":3}'
    assert rows.closed_in_its_task
