"""The server of `load.py`: the same streaming handlers, answered by Starlette's own response and by streamflow's.

What lives here: the handlers, and serving them on a free port of loopback. What must not: asking them.

`python -m benchmarks.load_app` prints the port and serves until its standard input ends. The server is uvicorn with
httptools and uvloop, as its documentation advises.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from streamflow import web

__all__ = ["BLOCKS", "MORE", "ROWS", "SIZES", "app"]

ROWS, BLOCKS, MORE = 1_000, 16, 256
_ROW = b'{"id": 123456, "name": "Ada Lovelace", "cents": 9995, "note": "as agreed"}\n'
_BLOCK = b"x" * 65_536
SIZES = {"rows": ROWS * len(_ROW), "blocks": BLOCKS * len(_BLOCK), "more": MORE * len(_BLOCK)}
"""The bytes of each body."""


async def _rows() -> AsyncGenerator[bytes, None]:
    """A cursor that hands over row by row, and waits for the next ones now and then."""
    for number in range(ROWS):
        if number % 100 == 0:
            await asyncio.sleep(0)
        yield _ROW


async def _blocks(number: int = BLOCKS) -> AsyncGenerator[bytes, None]:
    for _ in range(number):
        await asyncio.sleep(0)
        yield _BLOCK


def _route(path: str, make: Callable[[Any], Any], body: Callable[[], AsyncGenerator[bytes, None]]) -> Route:
    async def handler(_request: object) -> Any:
        return make(body())

    return Route(path, handler)


app = Starlette(
    routes=[
        _route(f"/{what}/{who}", make, body)
        for who, make in (("starlette", StreamingResponse), ("streamflow", web.StreamResponse))
        for what, body in (("rows", _rows), ("blocks", _blocks), ("more", partial(_blocks, MORE)))
    ]
)


def _serve() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        config = uvicorn.Config(app, loop="uvloop", http="httptools", lifespan="off", log_level="critical")
        server = uvicorn.Server(config)
        threading.Thread(target=lambda: (sys.stdin.read(), setattr(server, "should_exit", True)), daemon=True).start()
        print(listening.getsockname()[1], flush=True)
        server.run(sockets=[listening])


if __name__ == "__main__":
    _serve()
