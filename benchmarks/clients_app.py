"""The server of `clients.py`: endless and large responses, an object store, and what is left of it all.

What lives here: the handlers, and serving them on a free port of loopback. What must not: clients, judging.

`python -m benchmarks.clients_app FOLDER [--small]` prints the port and serves until its standard input ends; objects
lie in the folder. With `--small` the buffers of the system are small, so that a client that does not read is felt at
once.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

import streamflow as sf
from streamflow import objects, web

__all__ = ["BLOCK", "SENT_AHEAD", "app"]

BLOCK = 4_096
"""Bytes of one item of the endless response."""

SENT_AHEAD = 16_384
"""The size asked for the system's buffer behind each connection; Linux takes twice as much."""

_PATIENCE = 3.0  # seconds for a client that reads nothing
_folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
_state = {"produced": 0, "begun": 0, "open": 0, "foreign": 0}


async def _endless() -> AsyncGenerator[bytes, None]:
    """A cursor over a table without end; it notes whether it is closed in the task in which it was read."""
    mine = asyncio.current_task()
    _state["begun"] += 1
    _state["open"] += 1
    try:
        while True:
            await asyncio.sleep(0)
            _state["produced"] += BLOCK
            yield b"x" * BLOCK
    finally:
        await asyncio.sleep(0)  # what closes a real cursor waits, too
        _state["open"] -= 1
        _state["foreign"] += asyncio.current_task() is not mine


async def _answer_endless(_request: Request) -> Any:
    return web.StreamResponse(_endless())


async def _answer_impatiently(_request: Request) -> Any:
    return web.StreamResponse(_endless(), send_timeout=_PATIENCE)


async def _answer_state(_request: Request) -> Any:
    gc.collect()
    return JSONResponse(
        {
            **_state,
            "tasks": len(asyncio.all_tasks()),
            "files": len(os.listdir("/proc/self/fd")),  # names only
            "memory": _kib("VmRSS") * 1024,
            "peak": _kib("VmHWM") * 1024,
        }
    )


def _kib(what: str) -> int:
    """What Linux says of this process's memory; unlike `getrusage` it does not begin with that of the parent."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1])
    raise LookupError(what)


async def _answer_ping(_request: Request) -> Any:
    return PlainTextResponse("pong")


def _url(request: Request) -> str:
    return (_folder / request.path_params["name"]).as_uri()


async def _store(request: Request) -> Any:
    written = await sf.pipeline(web.body(request, max_bytes=1 << 40), objects.write(_url(request)))
    return JSONResponse({"bytes": written.bytes})


async def _fetch(request: Request) -> Any:
    return web.StreamResponse(objects.read(_url(request)))


app = Starlette(
    routes=[
        Route("/endless", _answer_endless),
        Route("/impatient", _answer_impatiently),
        Route("/state", _answer_state),
        Route("/ping", _answer_ping),
        Route("/objects/{name}", _store, methods=["PUT"]),
        Route("/objects/{name}", _fetch, methods=["GET"]),
    ]
)


def _serve() -> None:
    with socket.socket() as listening:
        if "--small" in sys.argv:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_AHEAD)
        listening.bind(("127.0.0.1", 0))
        listening.listen(4096)
        config = uvicorn.Config(app, lifespan="off", log_level="critical", timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        threading.Thread(target=lambda: (sys.stdin.read(), setattr(server, "should_exit", True)), daemon=True).start()
        print(listening.getsockname()[1], flush=True)
        server.run(sockets=[listening])


if __name__ == "__main__":
    _serve()
