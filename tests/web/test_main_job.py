"""The main job behind an endpoint: many clients at once send rows, and each gets back every row it sent."""

from __future__ import annotations

import asyncio
import csv as plain_csv
import gzip as plain_gzip
import io

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from streamflow import csv, gzip, web
from tests.web.servers import IN_PYTHON, fetch, serving

pytestmark = pytest.mark.slow

CLIENTS = 40


async def add_timestamp(rows):
    async for row in rows:
        row["ts"] = "2026-11-23T00:00:00Z"
        yield row


async def job(request):
    rows = web.body(request).through(csv.parse()).through(add_timestamp)
    return web.StreamResponse(rows.through(csv.format()).through(gzip.compress(1)), media_type="application/gzip")


app = Starlette(routes=[Route("/job", job, methods=["POST"])])


def rows_of(client: int, number: int) -> bytes:
    text = io.StringIO()
    writer = plain_csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "note"])
    writer.writerows([f"{client}-{row}", f'says "{row}",\nand more: é'] for row in range(number))
    return text.getvalue().encode()


async def rows_back(url: str, client: int) -> int:
    sent = rows_of(client, 37 * (client + 1))
    answer = await fetch(f"{url}/job", "POST", body=sent, within=60)

    assert answer.status == 200
    assert answer.complete
    found = list(plain_csv.DictReader(io.StringIO(plain_gzip.decompress(answer.body).decode(), newline="")))
    right = list(plain_csv.DictReader(io.StringIO(sent.decode(), newline="")))
    assert found == [{**row, "ts": "2026-11-23T00:00:00Z"} for row in right]
    return len(found)


@pytest.mark.parametrize("middleware", [False, True], ids=["bare", "BaseHTTPMiddleware"])
@pytest.mark.parametrize("server", IN_PYTHON)
async def test_for_every_request_rows_in_are_rows_out(server, middleware):
    """H74"""
    async with serving(app, server, middleware=middleware) as url:
        counts = await asyncio.gather(*(rows_back(url, client) for client in range(CLIENTS)))

    assert counts == [37 * (client + 1) for client in range(CLIENTS)]
