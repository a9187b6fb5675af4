"""Pipelines in an application's lifespan: begun after what they need, drained before it goes, with real servers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

import streamflow as sf
from streamflow.serving.restarting import Restart
from streamflow.serving.supervisor import Supervisor
from streamflow.web.lifespan import lifespan
from streamflow.web.shared import Shared
from streamflow.web.shutdown import Shutdown
from streamflow.web.sse import sse
from tests.web.servers import IN_PYTHON, Answer, connect, fetch, listener, read_head, reset, serving, until

virtual = pytest.mark.virtual_time


async def ticking() -> AsyncGenerator[int, None]:
    number = 0
    while True:
        yield number
        number += 1
        await asyncio.sleep(0.02)


class Server:
    """What is known of uvicorn's."""

    should_exit = False
    force_exit = False

    def handle_exit(self, number: int, frame: object) -> None: ...


def committing(log: list[str]) -> sf.Pipeline[None]:
    """A pipeline without an end, whose sink says what became of what it got."""
    return sf.Pipeline(sf.Source(ticking), committing_sink(log))


def committing_sink(log: list[str]) -> sf.Sink[Any, None]:
    async def kept(items: AsyncIterable[int]) -> None:
        log.append("opened")
        got = 0
        try:
            async for _ in items:
                got += 1
        except BaseException:
            log.append("aborted")
            raise
        log.append("committed" if got else "empty")

    return sf.Sink(kept)


# --- without a server ----------------------------------------------------------------------------------------------


async def test_the_users_own_lifespan_begins_first_and_ends_last() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def own(app: Any) -> AsyncIterator[dict[str, str]]:
        log.append("pool open")
        app.state.pool = "the pool"
        yield {"pool": "the pool"}
        log.append("pool closed")

    def pipelines(app: Any) -> dict[str, Any]:
        log.append(f"made with {app.state.pool}")
        return {"ticks": lambda: committing(log)}

    app = Starlette()
    async with lifespan(pipelines, own=own)(app) as state:
        assert state is not None
        assert app.state.supervisor is state["supervisor"]
        assert state["pool"] == "the pool"
        await until(lambda: app.state.supervisor.stats()["ticks"].begun)

    assert log == ["pool open", "made with the pool", "opened", "committed", "pool closed"]


async def test_what_the_own_lifespan_raises_is_raised_and_what_had_begun_is_ended() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def own(app: Any) -> AsyncIterator[None]:
        yield
        raise RuntimeError("the pool does not close")

    with pytest.raises(RuntimeError, match="the pool does not close"):
        async with lifespan({"ticks": lambda: committing(log)}, own=own)(Starlette()):
            await until(lambda: log)
    assert log[0] == "opened"
    assert len(log) == 2


async def test_a_mistake_is_told_before_the_server_starts_and_the_own_lifespan_ends() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def own(app: Any) -> AsyncIterator[None]:
        try:
            yield
        finally:
            log.append("closed")

    with pytest.raises(sf.UsageError, match="by name"):
        async with lifespan(lambda app: [1], own=own)(Starlette()):  # type: ignore[arg-type, return-value]  # the mistake
            pytest.fail("it began")
    assert log == ["closed"]


async def test_a_pipeline_that_fails_for_good_does_not_end_the_application(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "streamflow")
    supervisor = Supervisor(
        {"bad": lambda: sf.Pipeline(sf.failing(OSError("gone")), sf.drain())}, restart=Restart(max_restarts=0)
    )
    async with lifespan(supervisor)(Starlette()):
        await until(lambda: not supervisor.health().healthy)
        await asyncio.sleep(0)


@virtual
async def test_when_the_server_begins_to_stop_live_streams_end_and_pipelines_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """H83: a server waits for its open responses before it tells the application to shut down."""
    server = Server()
    monkeypatch.setattr(signal, "getsignal", lambda _: server.handle_exit)
    log: list[str] = []
    prices = Shared(sf.interval(1.0))
    app = Starlette()
    async with lifespan({"ticks": lambda: committing(log)}, shared=[prices])(app), asyncio.TaskGroup() as group:
        client = group.create_task(prices.stream().collect())
        live = group.create_task(sf.stream(sf.interval(1.0)).take_until(app.state.supervisor.stopping).count())
        await asyncio.sleep(3.5)
        assert not client.done()

        server.should_exit = True
        assert await client == [0, 1, 2, 3]
        assert await live == 4
        assert log == ["opened"]
        assert not app.state.supervisor.ready
        assert app.state.supervisor.health().states == {"ticks": "running"}
    assert log == ["opened", "committed"]


@virtual
async def test_one_that_closes_slowly_keeps_neither_the_others_nor_a_hurry_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """H83, H85."""
    server = Server()
    monkeypatch.setattr(signal, "getsignal", lambda _: server.handle_exit)
    loop = asyncio.get_running_loop()
    log: list[str] = []

    async def slow() -> AsyncGenerator[int, None]:
        try:
            while True:
                yield 1
                await asyncio.sleep(1)
        finally:
            await asyncio.sleep(4)
            log.append("slow closed")

    first, second = Shared(sf.Source(slow)), Shared(sf.interval(1.0))
    app = Starlette()
    begin = loop.time()
    async with (
        lifespan({"ticks": lambda: committing(log)}, shared=[first, second])(app),
        asyncio.TaskGroup() as group,
    ):
        clients = [group.create_task(each.stream().collect()) for each in (first, second)]
        await asyncio.sleep(3.5)
        server.should_exit = True
        await clients[1]
        assert loop.time() - begin < 5
        server.force_exit = True
        await until(lambda: "aborted" in log)
        assert log == ["opened", "aborted"]
    assert log == ["opened", "aborted", "slow closed"]


@virtual
async def test_a_server_that_is_in_a_hurry_cancels_what_is_being_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    """H85."""
    server = Server()
    monkeypatch.setattr(signal, "getsignal", lambda _: server.handle_exit)
    loop = asyncio.get_running_loop()
    log: list[str] = []

    async def stuck(number: int) -> int:
        await asyncio.sleep(10_000)
        return number

    def pipeline() -> sf.Pipeline[Any]:
        return sf.Pipeline(sf.interval(1.0), sf.map(stuck), committing_sink(log))

    async with lifespan({"stuck": pipeline}, drain=5000)(Starlette()):
        await asyncio.sleep(2.5)
        loop.call_later(10, setattr, server, "should_exit", True)
        loop.call_later(20, setattr, server, "force_exit", True)

    assert 20 < loop.time() < 40
    assert log == ["opened", "aborted"]


@pytest.mark.parametrize("draining", [False, True])
@virtual
async def test_a_server_that_cancels_the_lifespan_drains_no_more_and_all_is_closed(draining: bool) -> None:
    loop = asyncio.get_running_loop()
    log: list[str] = []
    leave = asyncio.Event()

    async def stuck(number: int) -> int:
        await asyncio.sleep(10_000)
        return number

    @asynccontextmanager
    async def own(app: Any) -> AsyncIterator[None]:
        try:
            yield
        finally:
            log.append("pool closed")

    def pipeline() -> sf.Pipeline[Any]:
        return sf.Pipeline(sf.interval(1.0), sf.map(stuck), committing_sink(log))

    async def serve() -> None:
        async with lifespan({"stuck": pipeline}, own=own, drain=5000)(Starlette()):
            await leave.wait()

    server = asyncio.create_task(serve())
    await asyncio.sleep(2.5)
    if draining:
        leave.set()
        await asyncio.sleep(10)
        assert log == ["opened"]
    begin = loop.time()
    server.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server
    assert loop.time() - begin < 20
    assert log == ["opened", "aborted", "pool closed"]


async def test_a_shared_stream_that_cannot_be_opened_ends_what_had_begun() -> None:
    log: list[str] = []
    prices = Shared([1])
    async with prices:
        with pytest.raises(sf.UsageError):
            async with lifespan({"ticks": lambda: committing(log)}, shared=[prices])(Starlette()):
                pytest.fail("it began")
    assert "opened" not in log or log[-1] in {"committed", "empty", "aborted"}


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put the handlers of signals back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_the_server_that_stops_is_seen_by_its_signal_handler_and_nothing_else_is() -> None:
    server, seen = Server(), Shutdown()
    for handler in (signal.SIG_DFL, lambda number, frame: None, server.handle_exit):
        signal.signal(signal.SIGTERM, handler)
        assert not seen.begun()
    server.should_exit = True
    assert seen.begun()
    assert not seen.hurried()
    server.force_exit = True
    assert seen.hurried()
    assert signal.getsignal(signal.SIGTERM) == server.handle_exit


@pytest.mark.usefixtures("handlers")
def test_signals_are_noted_where_that_is_asked_for_and_passed_on() -> None:
    got: list[int] = []

    def former(number: int, frame: object) -> None:
        got.append(number)

    signal.signal(signal.SIGTERM, former)
    seen = Shutdown()
    with seen.noting():
        signal.raise_signal(signal.SIGTERM)
        assert (seen.begun(), seen.hurried(), got) == (True, False, [signal.SIGTERM])
        with pytest.raises(KeyboardInterrupt):  # the handler that pytest runs with
            signal.raise_signal(signal.SIGINT)
        assert seen.hurried()
    assert signal.getsignal(signal.SIGTERM) is former

    with seen.noting():
        later = Server().handle_exit
        signal.signal(signal.SIGTERM, later)
    assert signal.getsignal(signal.SIGTERM) == later


async def test_it_can_begin_again_as_test_clients_do() -> None:
    log: list[str] = []
    supervisor = Supervisor({"ticks": lambda: committing(log)})
    prices = Shared([1, 2, 3])
    app = Starlette()
    around = lifespan(supervisor, shared=[prices])
    for _ in range(2):
        async with around(app):
            await until(lambda: supervisor.stats()["ticks"].begun)
            assert await prices.stream().collect() == [1, 2, 3]
    assert log == ["opened", "committed"] * 2


# --- with servers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", IN_PYTHON)
async def test_it_is_drained_by_the_server_and_seen_by_every_request(server: str) -> None:
    log: list[str] = []
    app = Starlette(routes=[Route("/", seen)], lifespan=lifespan({"ticks": lambda: committing(log)}))
    async with serving(app, server, lifespan=True) as url:
        await until(lambda: app.state.supervisor.stats()["ticks"].begun)
        answer = await fetch(url)
        assert (answer.status, json.loads(answer.body)) == (200, {"ticks": "running"})

    assert log == ["opened", "committed"]


async def seen(request: Any) -> JSONResponse:
    supervisor = request.app.state.supervisor
    assert request.state.supervisor is supervisor
    return JSONResponse(supervisor.health().states)


async def test_it_is_the_lifespan_of_a_fastapi_application() -> None:
    log: list[str] = []
    app = FastAPI(lifespan=lifespan({"ticks": lambda: committing(log)}))

    @app.get("/")
    async def seen(request: Request) -> dict[str, str]:
        return dict(request.state.supervisor.health().states)

    async with serving(app, lifespan=True) as url:
        answer = await fetch(f"{url}/")
        assert answer.body == b'{"ticks":"running"}'
    assert log[0] == "opened"


async def test_responses_that_the_server_cancels_are_closed_before_the_own_lifespan_ends() -> None:
    """H83: uvicorn cancels what is open after its limit and does not wait for it."""
    log: list[str] = []

    @asynccontextmanager
    async def own(app: Any) -> AsyncIterator[None]:
        yield
        log.append("pool closed")

    async def rows() -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "row"
                await asyncio.sleep(0.01)
        finally:
            await asyncio.sleep(0.3)
            log.append("rolled back")

    async def endless(request: Any) -> Any:
        return sse(sf.Source(rows))

    app = Starlette(routes=[Route("/", endless)], lifespan=lifespan(own=own))
    async with serving(app, lifespan=True, timeout_graceful_shutdown=0.1) as url:
        reader, writer = await connect(url)
        await read_head(reader)
    await reset(writer)

    assert log == ["rolled back", "pool closed"]


# --- with signals, in a process of its own -------------------------------------------------------------------------

PROGRAM = """
import asyncio, os, signal
from pathlib import Path
from starlette.applications import Starlette
from starlette.routing import Mount, Route
import streamflow as sf
from streamflow import files
from streamflow.web.lifespan import lifespan
from streamflow.web.shared import Shared
from streamflow.web.shutdown import Shutdown
from streamflow.web.sse import sse
from streamflow.web.sse import sse

folder = Path(os.environ["FOLDER"])
drain, pace = float(os.environ["DRAIN"]), float(os.environ["PACE"])

async def rows():
    try:
        number = 0
        while True:
            yield b"%08d\\n" % number
            number += 1
            await asyncio.sleep(0.001)
    finally:
        await asyncio.sleep(0.01)
        (folder / "source.closed").touch()

async def slow(row):
    await asyncio.sleep(pace)
    return row

def job():
    return sf.Pipeline(sf.Source(rows), sf.map(slow), files.write(folder / "rows.txt"), maxsize=4)

prices = Shared(sf.interval(0.01), slow="latest")

async def live(request):
    return sse(prices.stream())

kept = lifespan({"rows": job}, shared=[prices], drain=drain, note_signals="NOTE" in os.environ)
app = Starlette(routes=[Route("/live", live)], lifespan=kept)

async def main():
    import uvicorn
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="info"))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn raises them again at its end
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await task
    print("left", sorted(task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}), flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


def once(test: Callable[..., Any]) -> Callable[..., None]:
    """Run a test on one loop only: to the process it watches it is all the same."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


class Process:
    """The program above, until it ends: by itself, or in the server that `command` starts."""

    def __init__(self, folder: Path, *command: str, drain: float, pace: float, **environment: str) -> None:
        (folder / "program.py").write_text(textwrap.dedent(PROGRAM))
        paths = f"{folder}{os.pathsep}{Path(sf.__file__).parents[1]}"
        numbers = {"FOLDER": str(folder), "DRAIN": str(drain), "PACE": str(pace)}
        self._running = subprocess.Popen(
            [sys.executable, "-W", "error", *(command or [str(folder / "program.py")])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, **numbers, **environment},
        )

    def port(self) -> int:
        assert self._running.stdout is not None
        line = self._running.stdout.readline()
        return int(line) if line else pytest.fail(self.ended()[1])

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._running.send_signal(number)

    def ended(self) -> tuple[str, str]:
        try:
            return self._running.communicate(timeout=20)
        finally:
            self._running.kill()


def wait_for(path: Path) -> None:
    end = time.monotonic() + 10
    while not any(path.parent.glob(path.name)):
        assert time.monotonic() < end, f"there is no {path}"
        time.sleep(0.01)


OURS = {"program.py", "__pycache__", "source.closed"}


def results(folder: Path) -> list[str]:
    """What the pipeline left behind beside the mark of its source."""
    return sorted(path.name for path in folder.iterdir() if path.name not in OURS)


@pytest.mark.slow
@once
async def test_sigterm_drains_what_was_read_is_committed_and_live_responses_end(tmp_path: Path) -> None:
    """H83, with an endless response open and no limit of the server's: it would wait for ever."""
    process = Process(tmp_path, drain=10, pace=0.001)
    try:
        port = await asyncio.to_thread(process.port)
        live = asyncio.create_task(fetch(f"http://127.0.0.1:{port}/live", within=15))
        await asyncio.to_thread(wait_for, tmp_path / ".rows.txt*")
        await asyncio.sleep(0.3)
        process.signal()
        answer = await live
    finally:
        out, err = await asyncio.to_thread(process.ended)

    assert answer.complete, "a live response ends properly"
    assert answer.body.count(b"data: ") > 5
    assert "left []" in out
    assert "Application shutdown complete" in err
    assert "Traceback" not in err
    assert results(tmp_path) == ["rows.txt"]
    lines = (tmp_path / "rows.txt").read_text().splitlines()
    assert lines == [f"{number:08d}" for number in range(len(lines))]
    assert len(lines) > 50
    assert (tmp_path / "source.closed").exists()


@pytest.mark.slow
@once
async def test_what_is_not_drained_in_time_is_cancelled_before_the_server_is_gone_and_nothing_is_committed(
    tmp_path: Path,
) -> None:
    """H83."""
    process = Process(tmp_path, drain=0.3, pace=3600)
    try:
        await asyncio.to_thread(process.port)
        await asyncio.sleep(0.2)
        process.signal()
    finally:
        out, err = await asyncio.to_thread(process.ended)

    assert "left []" in out
    assert "Pipeline rows was cancelled before it was drained." in err
    assert "Traceback" not in err
    assert results(tmp_path) == []
    assert (tmp_path / "source.closed").exists()


@pytest.mark.slow
@once
async def test_a_server_in_a_hurry_is_not_kept_waiting_and_still_nothing_is_half_committed(tmp_path: Path) -> None:
    """H83, H85: uvicorn calls the second Ctrl-C a forced exit."""
    process = Process(tmp_path, drain=3600, pace=3600)
    try:
        await asyncio.to_thread(process.port)
        await asyncio.sleep(0.2)
        process.signal()
        await asyncio.sleep(0.5)
        process.signal(signal.SIGINT)
    finally:
        out, err = await asyncio.to_thread(process.ended)

    assert "left []" in out
    assert "Pipeline rows was cancelled before it was drained." in err
    assert results(tmp_path) == []
    assert (tmp_path / "source.closed").exists()


COMMANDS = {
    "granian": ("-W", "ignore", "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}"),
    "hypercorn": ("-W", "ignore", "-m", "hypercorn", "--workers", "0", "--bind", "127.0.0.1:{port}"),
}


@pytest.mark.slow
@pytest.mark.parametrize("server", COMMANDS)
@once
async def test_a_server_that_tells_late_that_it_stops_is_drained_as_well(server: str, tmp_path: Path) -> None:
    """H83: they would wait for the live response for ever; hypercorn, on Python 3.11, breaks it off."""
    with listener() as free:
        port = free.getsockname()[1]
    command = [word.format(port=port) for word in COMMANDS[server]]
    process = Process(tmp_path, *command, "program:app", drain=10, pace=0.001, NOTE="yes")
    try:
        await asyncio.to_thread(wait_for, tmp_path / ".rows.txt*")
        live = asyncio.create_task(when_it_serves(f"http://127.0.0.1:{port}/live"))
        await asyncio.sleep(1)
        process.signal()
        answer = await live
    finally:
        _, err = await asyncio.to_thread(process.ended)

    assert answer.body.count(b"data: ") > 5
    assert answer.complete
    assert results(tmp_path) == ["rows.txt"], err
    lines = (tmp_path / "rows.txt").read_text().splitlines()
    assert lines == [f"{number:08d}" for number in range(len(lines))]
    assert (tmp_path / "source.closed").exists()


async def when_it_serves(url: str) -> Answer:
    async with asyncio.timeout(15):
        while True:
            with contextlib.suppress(OSError):
                return await fetch(url, within=15)
            await asyncio.sleep(0.01)
