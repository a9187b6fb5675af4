"""A client that stays and reads nothing: whatever becomes of its connection, the source is closed and somebody told."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from streamflow import web
from tests.web import servers

pytestmark = pytest.mark.slow


class Log(logging.Handler):
    """Keeps what is logged, in whatever process that is."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.lines = []
        logger = logging.getLogger("streamflow.web")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)

    def emit(self, record):
        self.lines.append(record.getMessage())


@pytest.fixture
def log():
    logger = logging.getLogger("streamflow.web")
    level, log = logger.level, Log()
    yield log
    logger.removeHandler(log)
    logger.setLevel(level)


def app_of(log):
    """An endless response, and a page that tells what became of it."""
    told = []

    async def source():
        task = asyncio.current_task()
        try:
            while True:
                yield b"x" * 65536
        finally:
            await asyncio.sleep(0)
            told.append("closed in its task" if asyncio.current_task() is task else "closed")

    async def endless(request):
        return web.StreamResponse(source, send_timeout=0.3, on_disconnect=told.append)

    async def tell(request):
        tasks = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("streamflow")]
        return JSONResponse({"told": told, "log": log.lines, "tasks": tasks})

    return Starlette(routes=[Route("/", endless), Route("/told", tell)])


async def what_was_told(url):
    async with asyncio.timeout(10):
        while True:
            page = json.loads((await servers.fetch(f"{url}/told")).body)
            if len(page["told"]) >= 2:
                return page
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("server", servers.SERVERS)
async def test_a_client_that_reads_nothing_is_given_up(server, log):
    """granian keeps the connection, and what it has buffered, until the client goes: no more than that."""
    async with servers.serving(app_of(log), server) as url, servers.slow_reader(url) as (reader, _):
        page = await what_was_told(url)
        async with asyncio.timeout(10):
            answer = await servers.read_answer(reader)

    assert page["told"] == ["closed in its task", "stalled"]
    assert page["tasks"] == []
    (line,) = page["log"]
    assert line.startswith("response to GET /: given up after ")
    assert line.endswith("bytes: the client took nothing for longer than send_timeout")
    assert (answer.status, answer.complete) == (200, False)
