"""An answer to a request whose body nobody reads to its end: the client gets it, and the request ends."""

from __future__ import annotations

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from streamflow import web
from streamflow.web.inbox import Inbox
from streamflow.web.lingering import linger
from tests.web import servers

pytestmark = [
    pytest.mark.slow,
    # It goes on writing to a client that has left until all that it has received has been read.
    pytest.mark.may_leak("complaints", reason="hypercorn writes to clients that have left"),
]

CHUNK = b"ea60\r\n" + b"x" * 60_000 + b"\r\n"
FORM = b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n"
MESSAGES = 300  # more than any server and the buffers on the way hold
LOOK_UP = 0.05  # seconds that a handler takes for something else; meanwhile what a server holds fills up


async def refused(request: Request):
    await asyncio.sleep(LOOK_UP)
    return PlainTextResponse(await web.body(request, max_bytes=100_000).count())


async def refused_by_length(request: Request):
    await asyncio.sleep(LOOK_UP)
    return PlainTextResponse(await web.body(request).count())


async def form(request: Request):
    async for part in web.parts(request):
        await asyncio.sleep(LOOK_UP)
        await part.read(1000)
    return PlainTextResponse()


async def enough(request: Request):
    await web.body(request).take(1).collect()
    await asyncio.sleep(LOOK_UP)
    return PlainTextResponse("enough")


async def streamed(request: Request):
    async def source():
        await asyncio.sleep(LOOK_UP)
        yield b"no thanks"

    return web.StreamResponse(source)


HANDLERS = {handler.__name__: handler for handler in (refused, refused_by_length, form, enough, streamed)}


class App:
    """Counts the requests that it has done with."""

    def __init__(self):
        self.ended = 0
        self.app = Starlette(routes=[Route(f"/{name}", by, methods=["POST"]) for name, by in HANDLERS.items()])

    async def __call__(self, scope, receive, send):
        try:
            await self.app(scope, receive, send)
        finally:
            self.ended += 1


async def posted(url, headers):
    """Send without an end; return the answer that comes meanwhile."""
    reader, writer = await servers.connect(url, "POST", headers)

    async def send():
        writer.write(b"%x\r\n%b\r\n" % (len(FORM), FORM))
        for _ in range(MESSAGES):
            writer.write(CHUNK)
            await writer.drain()

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(5):
            return await servers.read_answer(reader)
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        if not sending.cancelled():
            sending.exception()
        await servers.reset(writer)


IN_CHUNKS = {"Transfer-Encoding": "chunked", "Content-Type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("refused", IN_CHUNKS, 413),
        ("refused_by_length", {"Content-Length": str(1 << 30)}, 413),
        ("form", IN_CHUNKS, 413),
        ("enough", IN_CHUNKS, 200),
        ("streamed", IN_CHUNKS, 200),
    ],
)
@pytest.mark.parametrize("middleware", [False, True])
@pytest.mark.parametrize("server", servers.SERVERS)
async def test_an_early_answer_reaches_the_client_and_the_request_ends(server, middleware, path, headers, status):
    """hypercorn waits at its last message until somebody takes those of the client: for ever, with nobody there."""
    app = App()
    async with servers.serving(app, server, middleware=middleware) as url:
        answer = await posted(f"{url}/{path}", headers)
        if server != "granian":  # that is another process
            await servers.until(lambda: app.ended, within=5)

    assert (answer.status, answer.complete) == (status, True)


async def test_where_nobody_waits_for_it_nothing_is_dropped():
    """uvicorn stops the client by itself; there a body that has an end costs nothing."""

    async def receive():
        return pytest.fail("it was asked")

    linger(Inbox(receive), receive, asyncio.current_task())
    await asyncio.sleep(0)

    assert [task.get_name() for task in asyncio.all_tasks() if "linger" in task.get_name()] == []


async def test_what_drops_the_body_ends_with_the_request():
    queue, over = asyncio.Queue(1), asyncio.Event()
    request = asyncio.create_task(over.wait())

    linger(Inbox(queue.get), queue.get, request)
    for _ in range(20):
        await queue.put({"type": "http.request", "body": b"x", "more_body": True})
    over.set()
    await request
    (dropping,) = [task for task in asyncio.all_tasks() if "linger" in task.get_name()]
    await asyncio.wait([dropping], timeout=5)

    assert dropping.cancelled()


async def test_in_a_thread_there_is_nobody_to_do_it():
    queue = asyncio.Queue(1)

    await asyncio.to_thread(linger, Inbox(queue.get), queue.get, asyncio.current_task())
    linger(Inbox(queue.get), queue.get, None)

    assert [task for task in asyncio.all_tasks() if "linger" in task.get_name()] == []
