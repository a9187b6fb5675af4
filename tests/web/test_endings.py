"""What is told at the end of a response, and what becomes of a function that is told and fails."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

import streamflow as sf
from streamflow import web
from tests.web import servers

pytestmark = pytest.mark.slow


class Ending:
    """An app whose functions note that they were told, and fail; it keeps what it raised."""

    def __init__(self, source):
        self.told = []
        self.raised = []
        self.outcomes = []
        self._source = source
        self._app = Starlette(routes=[Route("/", self._answer)])

    async def _answer(self, request):
        return web.StreamResponse(
            self._source,
            on_complete=lambda sent: self._tell("complete"),
            on_disconnect=lambda reason: self._tell("disconnect"),
            on_error=lambda error: self._tell("error"),
        )

    def _tell(self, ended):
        self.told.append(ended)
        raise LookupError("no ledger")

    async def __call__(self, scope, receive, send):
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            self.raised.append(error)
            raise
        finally:
            self.outcomes.append(web.outcome(scope))


async def breaks_off():
    yield b"x" * 100_000
    raise ValueError("order 500 is broken")


async def endless():
    while True:
        await asyncio.sleep(0.01)
        yield b"x" * 100


@pytest.mark.parametrize("server", servers.IN_PYTHON)
async def test_a_failure_after_the_last_byte_is_raised_and_the_client_has_everything(server):
    """Nobody else is told; the server logs it."""
    app = Ending([b"x" * 100_000])
    async with servers.serving(app, server) as url:
        answer = await servers.fetch(url)
        await servers.until(lambda: app.outcomes)

    assert (answer.status, len(answer.body), answer.complete) == (200, 100_000, True)
    assert (app.told, app.outcomes) == (["complete"], ["complete"])
    assert [str(error) for error in app.raised] == ["no ledger"]


@pytest.mark.parametrize("server", servers.IN_PYTHON)
async def test_a_failure_of_who_is_told_of_a_failure_is_logged_beside_it(server, caplog):
    app = Ending(breaks_off)
    async with servers.serving(app, server) as url:
        answer = await servers.fetch(url)
        await servers.until(lambda: app.outcomes)

    assert not answer.complete
    assert (app.told, app.outcomes) == (["error"], ["error"])
    assert [str(error) for error in app.raised] == ["order 500 is broken"]
    assert "response to GET /: on_error failed" in caplog.text
    assert "no ledger" in caplog.text


@pytest.mark.parametrize("server", servers.IN_PYTHON)
async def test_a_failure_of_who_is_told_that_the_client_has_left_is_logged(server, caplog):
    app = Ending(endless)
    async with servers.serving(app, server) as url:
        await servers.get_and_leave(url, after=300)
        await servers.until(lambda: app.outcomes)

    assert (app.told, app.outcomes, app.raised) == (["disconnect"], ["disconnect"], [])
    assert "response to GET /: on_disconnect failed" in caplog.text
    assert "no ledger" in caplog.text


@pytest.mark.parametrize("stages", [0, 1])
@pytest.mark.parametrize("does", ["fails", "does not end"])
async def test_a_cleanup_that_fails_when_the_client_has_left_is_logged(stages, does, caplog):
    """Nobody is there to be raised to: the rollback of a transaction must not fail unseen."""
    told = []

    async def rows():
        try:
            while True:
                yield b"x" * 20_000
                await asyncio.sleep(0.001)
        finally:
            if does == "fails":
                raise LookupError("no rollback")
            while not released.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await released.wait()

    async def app(scope, receive, send):
        source = sf.stream(rows())
        flow = source.map(lambda row: row) if stages else source
        await web.StreamResponse(flow, grace=0.05, on_disconnect=told.append)(scope, receive, send)

    released = asyncio.Event()
    async with servers.serving(app) as url:
        await servers.get_and_leave(url, after=50_000)
        await servers.until(lambda: told)
        released.set()
    (logged,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert ("LookupError: no rollback" if does == "fails" else "StageDidNotStop") in logged
    assert "'rows'" in logged or does == "fails"
    assert told == ["left"]
