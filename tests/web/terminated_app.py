"""The server that `test_terminated.py` ends: `python -m tests.web.terminated_app FOLDER GRACE` prints its port.

Slow downloads, slow uploads into an object store in the folder, on uvicorn with its own handling of signals.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

import streamflow as sf
from streamflow import objects, web

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
LINES = 60
begun = []


async def _lines():
    for number in range(LINES):
        await asyncio.sleep(0.01)
        yield f"line {number:03} {'x' * 80}\n"


async def accepted(_request):
    return PlainTextResponse(str(len(begun)))


async def download(_request):
    begun.append(1)
    return web.StreamResponse(_lines(), media_type="text/plain", within=0)


async def upload(request):
    begun.append(1)
    url = (FOLDER / request.path_params["name"]).absolute().as_uri()
    written = await sf.pipeline(web.body(request), objects.write(url))
    return JSONResponse({"bytes": written.bytes})


app = Starlette(
    routes=[Route("/begun", accepted), Route("/download", download), Route("/{name}", upload, methods=["PUT"])],
    lifespan=web.lifespan(),  # so that the server waits until what it has cancelled is closed
)

if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        config = uvicorn.Config(
            app, lifespan="on", log_level="critical", timeout_graceful_shutdown=int(sys.argv[2]), loop="auto"
        )
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        uvicorn.Server(config).run(sockets=[listening])
