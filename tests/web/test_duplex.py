"""Upload, parse, transform and download in one request: rows in are rows out, whoever reads and writes when (H74)."""

from __future__ import annotations

import asyncio

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from streamflow import csv
from streamflow.web.multipart import parts
from streamflow.web.requests import body
from streamflow.web.responses import StreamResponse
from tests.web import servers
from tests.web.reporting import Reporting, told

pytestmark = pytest.mark.slow

IN_CHUNKS = {"Transfer-Encoding": "chunked", "Connection": "close"}


def doubled(row):
    return [*row, str(2 * int(row[0]))]


def app_of(kind="starlette", *, send_timeout=30.0, **limits):
    """An app that gives the rows back with one more column, and tells how that ended."""
    reporting = Reporting()

    async def double(request: Request):
        flow = body(request, **limits).through(csv.parse(header=False)).map(doubled)
        return StreamResponse(
            flow.through(csv.format(header=False, lineterminator="\n")),
            media_type="text/csv",
            send_timeout=send_timeout,
            on_complete=lambda sent: reporting.note("complete"),
            on_disconnect=reporting.note,
            on_error=lambda error: reporting.note(type(error).__name__),
        )

    if kind == "fastapi":
        app = fastapi.FastAPI()
        app.post("/")(double)
        app.routes.append(reporting.route)
        return app
    return Starlette(routes=[reporting.route, Route("/", double, methods=["POST"])])


def rows(start, stop):
    return b"".join(b"%d,row %d\n" % (number, number) for number in range(start, stop))


def expected(count):
    return "".join(f"{number},row {number},{2 * number}\n" for number in range(count)).encode()


def pieces(count, size):
    """The rows as chunks of HTTP that are not cut where the rows are."""
    data = rows(0, count)
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


async def all_first(reader, writer, count):
    """Send everything; only then read."""
    for piece in pieces(count, 60_000):
        writer.write(piece)
        await writer.drain()
    return await servers.read_answer(reader)


async def interleaved(reader, writer, count):
    """Read what comes while sending."""
    answer = asyncio.create_task(servers.read_answer(reader))
    for piece in pieces(count, max(7, count // 100)):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    return await answer


async def posted(url, way, count, *, within=30):
    reader, writer = await servers.connect(url, "POST", IN_CHUNKS)
    try:
        async with asyncio.timeout(within):
            return await way(reader, writer, count)
    finally:
        # To send the rest may take for ever.
        await (servers.hang_up if writer.is_closing() else servers.reset)(writer)


def serving(app, server, **options):
    """Serve; hypercorn else watches a connection for 5 s after it is gone."""
    return servers.serving(app, server, **options, **({"keep_alive_timeout": 0.1} if server == "hypercorn" else {}))


# It goes on writing to a client that has left until all that it has received has been read, and asyncio complains.
HYPERCORN = pytest.param(
    "hypercorn", marks=pytest.mark.may_leak("complaints", reason="it writes to clients that have left")
)
everywhere = pytest.mark.parametrize("server", servers.SERVERS)
wherever_it_breaks = pytest.mark.parametrize("server", ["uvicorn-h11", "uvicorn-httptools", HYPERCORN, "granian"])
kinds = pytest.mark.parametrize("kind", ["starlette", "fastapi"])


@everywhere
@pytest.mark.parametrize("middleware", [False, True])
@pytest.mark.parametrize("spec", ["2.3", "2.4"])
async def test_fifty_rows_come_back(server, middleware, spec):
    """H74: a bare response loses them all, with status 200."""
    async with serving(app_of(), server, middleware=middleware, spec=spec) as url:
        answers = [await posted(url, way, 50) for way in (all_first, interleaved)]
        outcomes, *_ = await told(url, 2)
    assert [(answer.status, answer.complete) for answer in answers] == [(200, True)] * 2
    assert [answer.body for answer in answers] == [expected(50)] * 2
    assert outcomes == ["complete"] * 2


@pytest.mark.parametrize(
    ("server", "way", "middleware"),
    [
        *[(server, interleaved, False) for server in servers.SERVERS],
        ("uvicorn-httptools", interleaved, True),
        ("uvicorn-httptools", all_first, False),
        ("granian", all_first, False),
    ],
)
async def test_two_hundred_thousand_rows_come_back(server, way, middleware):
    """H74, and nothing is kept but what the buffers on the way hold."""
    async with serving(app_of(), server, middleware=middleware) as url:
        answer = await posted(url, way, 200_000)
    assert (answer.status, answer.complete) == (200, True)
    assert answer.body == expected(200_000)


@wherever_it_breaks
async def test_a_client_that_reads_nothing_while_it_sends_too_much_for_the_buffers_is_cut_off(server):
    """Each would wait for the other for ever. It is no clean end, and no rows are kept for it."""
    async with serving(app_of(send_timeout=0.3), server) as url:
        posting = asyncio.create_task(posted(url, all_first, 1_200_000))
        outcomes, *_ = await told(url)
        if server == "granian":
            posting.cancel()  # it gives up the request, but holds on to the connection
        (end,) = await asyncio.gather(posting, return_exceptions=True)
    assert outcomes == ["stalled"]
    assert isinstance(end, (OSError, asyncio.CancelledError)) or not end.complete


async def form_back(request: Request):
    async def contents():
        async for part in parts(request):
            async with part.stream.open() as chunks:
                async for chunk in chunks:
                    yield chunk.upper()

    return StreamResponse(contents)


@everywhere
async def test_the_parts_of_a_form_come_back(server):
    """H74, for forms."""
    begin = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    form = begin + b"x" * 300_000 + b"\r\n" + begin + b"y" * 10 + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    async with serving(Starlette(routes=[Route("/", form_back, methods=["POST"])]), server) as url:
        answer = await servers.fetch(url, "POST", headers, form)
    assert (answer.status, answer.complete) == (200, True)
    assert answer.body == b"X" * 300_000 + b"Y" * 10


@everywhere
@kinds
async def test_a_limit_that_passes_before_the_first_byte_is_an_answer(server, kind):
    async with serving(app_of(kind, max_bytes=1000, min_rate=1000, window=0.2), server) as url:
        large = await posted(url, interleaved_until_refused, 500)
        slow = await posted(url, unfinished, 5)
        outcomes, *_ = await told(url, 2)
    assert (large.status, large.complete) == (413, True)
    assert (slow.status, slow.complete) == (408, True)
    assert outcomes == ["RequestTooLarge", "RequestTimeout"]


async def interleaved_until_refused(reader, writer, count):
    """Send all at once; what the server does with it is its business."""
    writer.write(b"".join(pieces(count, 60_000)))
    return await servers.read_answer(reader)


async def unfinished(reader, writer, count):
    """Send some, and stay."""
    data = rows(0, count)
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
    return await servers.read_answer(reader)


@everywhere
@pytest.mark.parametrize(
    ("kind", "limit"), [("starlette", {"max_bytes": 1_100_000}), ("fastapi", {"window": 0.2})], ids=["bytes", "rate"]
)
async def test_a_limit_that_passes_later_breaks_the_transfer(server, kind, limit):
    """The status is gone by then, so the end of the body must not come."""
    async with serving(app_of(kind, **limit), server) as url:
        answer = await posted(url, unfinished, 50_000 if "window" in limit else 80_000)
        outcomes, *_ = await told(url)
    assert (answer.status, answer.complete) == (200, False)
    assert outcomes == ["RequestTimeout" if "window" in limit else "RequestTooLarge"]


@wherever_it_breaks
@pytest.mark.parametrize("leave", [servers.hang_up, servers.reset])
async def test_a_client_that_leaves_during_its_upload_stops_the_download(server, leave):
    async with serving(app_of(), server) as url:
        reader, writer = await servers.connect(url, "POST", IN_CHUNKS)
        data = rows(0, 50_000)
        writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        assert (await servers.read_head(reader)).status == 200
        await leave(writer)
        outcomes, *_ = await told(url)
    assert outcomes == ["left"]
