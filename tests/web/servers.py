"""Real servers on loopback for the tests of `streamflow.web`, and clients that behave badly.

What lives here: `serving`, which runs an ASGI app in one of the servers of `SERVERS`; raw clients, which see what is on
the wire. What must not: assertions, apps.

The servers `IN_PYTHON` run in this process and on this event loop, so that a test sees what the app sees. granian runs
in a fork: what an app keeps there, a test has to ask for by a request.

    async with serving(app, server="hypercorn", spec="2.4", middleware=True) as url:
        answer = await fetch(url + "/rows")
        assert answer.complete

A test whose server may hang runs it in a process of its own: `python -c` with these same means.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import struct
import sys
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlsplit

from starlette.middleware.base import BaseHTTPMiddleware

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

SERVERS = ("uvicorn-h11", "uvicorn-httptools", "hypercorn", "granian")
IN_PYTHON = SERVERS[:3]
"""Those that run on the event loop of the test."""

DEADLINE = 50.0
"""Seconds for a test and its server, so that none hangs: many more than the longest takes on a busy machine."""

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


# ------------------------------------------------------------------------------------------------------------ servers


@asynccontextmanager
async def serving(
    app: App,
    server: str = "uvicorn-httptools",
    *,
    spec: str | None = None,
    middleware: bool = False,
    lifespan: bool = False,
    **options: Any,
) -> AsyncGenerator[str, None]:
    """Serve `app` until the end of the block; gives the URL without a slash at its end.

    `spec` is what `scope["asgi"]["spec_version"]` shall say; `middleware` puts a `BaseHTTPMiddleware` that does nothing
    around the app; without `lifespan` the app never sees a lifespan. `options` go to the server's own configuration.
    Connections that are still open at the end are given a second. The whole block has `DEADLINE` seconds.
    """
    wrapped = _with_lifespan(_with_spec(_with_middleware(app, middleware), spec), lifespan)
    start = {"uvicorn": _uvicorn, "hypercorn": _hypercorn, "granian": _granian}[server.partition("-")[0]]
    async with asyncio.timeout(DEADLINE), start(wrapped, server, options) as port:
        yield f"http://127.0.0.1:{port}"


def _with_middleware(app: App, wanted: bool) -> App:
    async def forward(request, call_next):
        return await call_next(request)

    return BaseHTTPMiddleware(app, dispatch=forward) if wanted else app


def _with_spec(app: App, spec: str | None) -> App:
    async def patched(scope, receive, send):
        await app({**scope, "asgi": {**scope["asgi"], "spec_version": spec}}, receive, send)

    return app if spec is None else patched


def _with_lifespan(app: App, wanted: bool) -> App:
    async def without(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})

    return app if wanted else without


def listener() -> socket.socket:
    """Return a socket that is bound to a free port of loopback."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", 0))
    return bound


@asynccontextmanager
async def _uvicorn(app: App, name: str, options: Mapping[str, Any]) -> AsyncGenerator[int, None]:
    import uvicorn  # noqa: PLC0415  # as below: only the server that is asked for

    settings = {"ws": "none", "timeout_graceful_shutdown": 1, "log_level": "critical", "log_config": None, **options}
    config = uvicorn.Config(app, http=name.partition("-")[2] or "auto", lifespan="on", **settings)
    server, stop = uvicorn.Server(config), asyncio.Event()

    async def main_loop():
        await server.on_tick(0)
        await stop.wait()

    server.main_loop = main_loop  # its own looks every 0.1 s whether it shall stop
    server.capture_signals = contextlib.nullcontext  # the signals are pytest's
    bound = listener()
    task = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        await until(lambda: server.started or task.done())
        yield bound.getsockname()[1]
    finally:
        with contextlib.suppress(TimeoutError):  # where one is left, its shutdown looks every 0.1 s
            await until(lambda: not server.server_state.connections, within=0.05)
        server.should_exit = True
        stop.set()
        await task
        bound.close()


@asynccontextmanager
async def _hypercorn(app: App, name: str, options: Mapping[str, Any]) -> AsyncGenerator[int, None]:
    from hypercorn.asyncio import serve  # noqa: PLC0415
    from hypercorn.config import Config  # noqa: PLC0415

    bound, stop = listener(), asyncio.Event()
    port = bound.getsockname()[1]
    config = Config.from_mapping(
        {"bind": f"fd://{bound.detach()}", "graceful_timeout": 1, "loglevel": "CRITICAL", "errorlog": None, **options}
    )
    task = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    try:
        await _reachable(port, task)
        yield port
    finally:
        stop.set()
        await task


@asynccontextmanager
async def _granian(app: App, name: str, options: Mapping[str, Any]) -> AsyncGenerator[int, None]:
    """Serve in a fork: at the end of its process granian's runtime aborts, so the child leaves without an end."""
    with listener() as free:
        port = free.getsockname()[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the child uses no thread of ours
        child = os.fork()
    if not child:
        _granian_process(app, port, {"log_enabled": False, "websockets": False, **options})
    try:
        await _reachable(port)
        yield port
    finally:
        os.kill(child, signal.SIGKILL)
        await until(lambda: os.waitpid(child, os.WNOHANG)[0])


def _granian_process(app: App, port: int, options: Mapping[str, Any]) -> NoReturn:
    from granian.constants import Interfaces  # noqa: PLC0415
    from granian.server.embed import Server  # noqa: PLC0415

    try:
        _die_with_the_parent()
        asyncio.events._set_running_loop(None)  # that is the parent's
        server = Server(app, "127.0.0.1", port, interface=Interfaces.ASGI, **options)
        asyncio.run(server.serve())
    finally:
        os._exit(1)


def _die_with_the_parent() -> None:
    """Leave no server behind when a test run is killed: it holds the output open, and who reads that would wait."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


async def _reachable(port: int, server: asyncio.Task[None] | None = None) -> None:
    async def answers() -> bool:
        if server is not None and server.done():
            server.result()
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return True
        return False

    async with asyncio.timeout(10):
        while not await answers():  # noqa: ASYNC110  # it is another process
            await asyncio.sleep(0.01)


async def until(condition: Callable[[], object], *, within: float = 10) -> None:
    """Poll until `condition()` is true; raises `TimeoutError` after so many seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110  # any condition
            await asyncio.sleep(0.005)


# ------------------------------------------------------------------------------------------------------------ clients


@dataclass
class Answer:
    """What came over the wire. `complete` says whether the body came to the end that its framing announces."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False


async def connect(
    url: str, method: str = "GET", headers: Mapping[str, str] | None = None, *, room: int | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect and send the head of a request. `room` is the receive buffer in bytes, for clients that read slowly."""
    parts = urlsplit(url)
    plain = socket.socket()
    plain.setblocking(False)
    if room is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    try:
        async with asyncio.timeout(10):
            await asyncio.get_running_loop().sock_connect(plain, (parts.hostname, parts.port))
    except BaseException:
        plain.close()
        raise
    reader, writer = await asyncio.open_connection(sock=plain, limit=room or 1 << 16)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {path} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    return reader, writer


async def fetch(
    url: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b"", *, within: float = 10
) -> Answer:
    """Ask, read all there is, and say whether the answer was whole, as curl would."""
    more = {"Content-Length": str(len(body))} if body else {}
    reader, writer = await connect(url, method, {"Connection": "close", **more, **(headers or {})})
    try:
        async with asyncio.timeout(within):
            writer.write(body)
            return await read_answer(reader, method)
    finally:
        await hang_up(writer)


async def read_head(reader: asyncio.StreamReader) -> Answer:
    """Read a status line and headers."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
    pairs = (line.split(": ", 1) for line in lines[1:] if ": " in line)
    return Answer(int(lines[0].split(" ")[1]), {name.lower(): value for name, value in pairs})


async def read_answer(reader: asyncio.StreamReader, method: str = "GET") -> Answer:
    """Read a whole answer, or as much of it as comes."""
    try:
        answer = await read_head(reader)
    except (asyncio.IncompleteReadError, OSError):
        return Answer(0)
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        if method == "HEAD" or answer.status in {204, 304}:
            answer.complete = True
        elif answer.headers.get("transfer-encoding") == "chunked":
            await _read_chunks(reader, answer)
        else:
            answer.body = await reader.readexactly(int(answer.headers["content-length"]))
            answer.complete = True
    return answer


async def _read_chunks(reader: asyncio.StreamReader, answer: Answer) -> None:
    while size := int(await reader.readuntil(b"\r\n"), 16):
        answer.body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    answer.complete = True


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close as a client does that is done; what the server does not take in five seconds it will never take."""
    writer.close()
    try:
        async with asyncio.timeout(5):
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    except TimeoutError:
        await reset(writer)


async def reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the server gets a reset, not an end."""
    with contextlib.suppress(OSError, AttributeError):  # the server may have been first
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def get_and_leave(
    url: str, *, after: int = 1, hold: float = 0.0, abort: bool = True, method: str = "GET"
) -> bytes:
    """Ask, read `after` bytes of the answer (head included), wait `hold` seconds, and vanish.

    `abort` leaves with a reset, else with an end. Returns what was read.
    """
    reader, writer = await connect(url, method, room=None if hold == 0 else 4096)
    got = b""
    try:
        async with asyncio.timeout(10):
            while len(got) < after and (data := await reader.read(65536)):
                got += data
        await asyncio.sleep(hold)
    finally:
        await (reset(writer) if abort else hang_up(writer))
    return got


@asynccontextmanager
async def slow_reader(
    url: str, *, room: int = 4096
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter], None]:
    """Ask with a small receive buffer, then read only what the test reads: `await reader.read(1000)`."""
    reader, writer = await connect(url, room=room)
    try:
        yield reader, writer
    finally:
        await reset(writer)
