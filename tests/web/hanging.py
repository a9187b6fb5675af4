"""The process of test_hazards.py that may hang: one server, one client that leaves a body that never waits (H73).

`python -m tests.web.hanging StreamingResponse uvicorn-h11` prints a line of JSON, from a thread that outlives the loop.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time

from starlette.responses import Response, StreamingResponse

from streamflow.web import StreamResponse
from tests.web.servers import fetch, get_and_leave, serving, until

RESPONSES = {"StreamingResponse": StreamingResponse, "StreamResponse": StreamResponse}


class Body:
    """What the watching thread looks at."""

    chunks = 0
    closed = False
    left_at = 0.0
    beat = 0.0
    answered = 0.0

    async def endless(self):
        try:
            while True:  # as items that are in memory already: nothing here ever waits
                self.chunks += 1
                yield b"x" * 65536
        finally:
            self.closed = True


def report(body):
    """Print what is to be seen a second after the client has left, and end the process whatever its loop does."""
    while not body.left_at or (time.monotonic() < body.left_at + 1 and not body.answered):
        time.sleep(0.01)
    seen, now = body.chunks, time.monotonic()
    time.sleep(0.1)
    numbers = {
        "chunks": seen,
        "chunks in the last 0.1 s": body.chunks - seen,
        "loop alive": now - body.beat < 0.5,
        "closed": body.closed,
        "ms until a second request was answered": round(body.answered * 1000, 1) or None,
    }
    sys.stdout.write(json.dumps(numbers))
    sys.stdout.flush()
    os._exit(0)


async def heart(body):
    while True:
        body.beat = time.monotonic()
        await asyncio.sleep(0.02)


async def main(response, server):
    body = Body()

    async def app(scope, receive, send):
        if scope["path"] == "/second":
            await Response(b"still here")(scope, receive, send)
        else:
            await RESPONSES[response](body.endless())(scope, receive, send)

    threading.Thread(target=report, args=(body,), daemon=True).start()
    beating = asyncio.create_task(heart(body))
    async with serving(app, server) as url:
        await get_and_leave(url, after=200_000)
        body.left_at = time.monotonic()
        await fetch(url + "/second")
        answered = time.monotonic() - body.left_at
        await until(lambda: body.closed)
        body.answered = answered
        await beating


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
