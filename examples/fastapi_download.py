"""A download of any size out of a web handler, at the speed of the client, with nothing left behind when it goes.

    python -m uvicorn --app-dir examples fastapi_download:app
    curl http://127.0.0.1:8000/orders.csv?rows=1000000 | head -3

The handler is the same in FastAPI, which is Starlette underneath: put `@app.get("/orders.csv")` above it. A slow client
makes the rows wait; a client that leaves ends the generator, and with it every stage above.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

import streamflow as sf
from streamflow import csv


@sf.source
def orders(rows: int) -> Iterator[dict[str, object]]:
    """Stand in for a database cursor."""
    for number in range(rows):
        yield {"id": number, "customer": "Zoë", "total": number * 1.19}


async def download(request: Request) -> StreamingResponse:
    """Send the orders as CSV, as they are made."""
    blocks = sf.stream(orders(int(request.query_params.get("rows", "1000")))).through(csv.format())

    async def body() -> AsyncIterator[bytes]:
        async with blocks.open() as items:
            async for block in items:
                yield block
                await asyncio.sleep(0)  # so that the server hears of a client that has left

    return StreamingResponse(body(), media_type="text/csv")


app = Starlette(routes=[Route("/orders.csv", download)])
