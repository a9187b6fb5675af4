"""The body of a request as a source: its limits, its ends, and who may read it."""

from __future__ import annotations

import asyncio
import json
import os
import socket

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import streamflow as sf
from streamflow.errors import LimitExceeded, PipelineTimeout, TruncatedError, UsageError
from streamflow.places import memory, objects
from streamflow.testing import cancel_everywhere
from streamflow.web.inbox import Inbox
from streamflow.web.patience import Patience
from streamflow.web.refusals import ClientDisconnected, RequestTimeout, RequestTooLarge
from streamflow.web.requests import body
from streamflow.web.responses import StreamResponse
from tests.web import servers
from tests.web.reporting import Reporting, told
from tests.web.wire import Wire

# ------------------------------------------------------------------------------------------------ without a server


def message(data=b"", more=True):
    return {"type": "http.request", "body": data, "more_body": more}


GONE = {"type": "http.disconnect"}


def asked(*messages, headers=(), version="1.1"):
    """A request whose messages come at once; a number among them is so many seconds of silence."""
    waiting = iter(messages)

    async def receive():
        for item in waiting:
            if isinstance(item, dict):
                return item
            await asyncio.sleep(item)
        return await asyncio.Event().wait()

    raw = [(name.lower().encode(), str(value).encode()) for name, value in headers]
    return Request({"type": "http", "method": "POST", "headers": raw, "http_version": version, "path": "/"}, receive)


async def test_the_body_comes_as_the_server_cuts_it():
    request = asked(message(b"ab"), message(), message(b"c"), message(b"", more=False))
    assert await body(request).collect() == [b"ab", b"c"]


async def test_a_body_that_nobody_sent_is_empty():
    assert await body(asked(message(more=False))).collect() == []


async def test_a_length_over_the_limit_is_refused_before_anything_is_read():
    with pytest.raises(RequestTooLarge, match=r"The body has 11 bytes; 10 are allowed. If .* say max_bytes=") as caught:
        body(asked(headers=[("Content-Length", 11)]), max_bytes=10)
    assert (caught.value.status_code, caught.value.detail) == (413, "The body has 11 bytes; 10 are allowed.")
    assert caught.value.headers == {"Connection": "close"}


async def test_bytes_over_the_limit_are_counted_where_no_length_is_given():
    with pytest.raises(RequestTooLarge, match="12 bytes so far; 10 are allowed"):
        await body(asked(message(b"x" * 6), message(b"x" * 6), version="2"), max_bytes=10).collect()


async def test_a_body_of_just_the_limit_is_allowed():
    request = asked(message(b"x" * 6), message(b"x" * 4, more=False), headers=[("Content-Length", 10)])
    assert await body(request, max_bytes=10).collect() == [b"x" * 6, b"x" * 4]


async def test_over_http_2_the_answer_names_no_connection():
    with pytest.raises(RequestTooLarge) as caught:
        body(asked(headers=[("Content-Length", 11)], version="2"), max_bytes=10)
    assert caught.value.headers is None


def test_the_errors_are_those_of_both_worlds():
    assert isinstance(RequestTooLarge("It is", 1, "max_bytes"), (LimitExceeded, HTTPException))
    assert issubclass(RequestTooLarge, LimitExceeded)
    assert issubclass(RequestTimeout, PipelineTimeout)
    assert issubclass(RequestTimeout, HTTPException)
    assert issubclass(ClientDisconnected, TruncatedError)
    assert issubclass(ClientDisconnected, ClientDisconnect)
    assert not issubclass(ClientDisconnected, HTTPException)


@pytest.mark.virtual_time
async def test_a_client_that_sends_nothing_is_given_the_window():
    started = asyncio.get_running_loop().time()
    with pytest.raises(RequestTimeout, match=r"min_rate=100 .* window=5 s: 0 bytes in 5\.0 s") as caught:
        await body(asked(), min_rate=100, window=5).collect()
    assert asyncio.get_running_loop().time() - started == 5
    assert (caught.value.status_code, caught.value.detail) == (408, "The body of the request did not come in time.")


@pytest.mark.virtual_time
async def test_a_client_that_sends_at_the_minimum_rate_is_never_cut_off():
    sent = [part for _ in range(100) for part in (4.5, message(b"x" * 450))]
    assert len(await body(asked(*sent, message(more=False)), min_rate=100, window=5).collect()) == 100


@pytest.mark.virtual_time
async def test_a_client_that_sends_too_slowly_is_cut_off_although_it_sends():
    sent = [part for _ in range(100) for part in (1, message(b"x" * 50))]
    with pytest.raises(RequestTimeout, match="min_rate"):
        await body(asked(*sent, message(more=False)), min_rate=100, window=5).collect()


@pytest.mark.virtual_time
async def test_the_time_that_our_own_stages_take_is_not_the_clients_fault():
    async def slow(chunks):
        async for chunk in chunks:
            await asyncio.sleep(60)
            yield chunk

    request = asked(*[message(b"x")] * 20, 2, message(more=False))
    flow = body(request, min_rate=100, window=5, timeout=3).through(slow)
    async with flow.open(maxsize=1) as items:
        assert len([item async for item in items]) == 20


@pytest.mark.virtual_time
async def test_the_whole_wait_for_a_client_is_limited():
    sent = [part for _ in range(100) for part in (1, message(b"x" * 1000))]
    with pytest.raises(RequestTimeout, match=r"timeout=9\.5: 9,000 bytes in 9\.5 s"):
        await body(asked(*sent), timeout=9.5).collect()


@pytest.mark.virtual_time
async def test_without_limits_a_client_may_be_silent():
    assert await body(asked(1e6, message(b"x", more=False)), min_rate=None).collect() == [b"x"]


def test_patience_is_filled_up_only_to_the_window():
    patience = Patience(None, 10, 5)
    patience.received(10**9)
    patience.waited(4)
    assert patience.left() == 1
    patience.received(20)
    assert patience.left() == 3


@pytest.mark.parametrize(
    "limits", [{"max_bytes": 0}, {"timeout": 0}, {"min_rate": -1}, {"window": 0}, {"max_bytes": None}]
)
def test_limits_that_cannot_mean_anything_are_refused(limits):
    with pytest.raises(UsageError, match=next(iter(limits))):
        body(asked(), **limits)


async def test_a_client_that_leaves_before_the_end_is_an_error_and_nothing_is_committed():
    request = asked(message(b"abc"), GONE)
    with pytest.raises(ClientDisconnected):
        await sf.pipeline(body(request), objects.write("memory://gone/key"))
    assert memory.bucket("gone").keys() == []


async def test_what_came_before_the_client_left_is_delivered_first():
    got = []
    with pytest.raises(ClientDisconnected):
        await body(asked(message(b"abc"), GONE)).for_each(got.append)
    assert got == [b"abc"]


async def test_a_body_shorter_than_its_length_is_no_clean_end():
    """P5, where the server should have noticed."""
    with pytest.raises(ClientDisconnected, match="ended after 3 of the 5 bytes"):
        await body(asked(message(b"abc", more=False), headers=[("Content-Length", 5)])).collect()


async def test_a_length_says_nothing_about_a_body_that_was_decompressed():
    headers = [("Content-Length", 5), ("Content-Encoding", "gzip")]
    assert await body(asked(message(b"abc", more=False), headers=headers)).collect() == [b"abc"]


async def test_the_stream_of_a_body_runs_once():
    flow = body(asked(message(b"abc", more=False)))
    assert await flow.count() == 1
    with pytest.raises(UsageError, match="read already, and it comes only once"):
        await flow.count()


async def test_two_streams_of_one_body_are_refused():
    request = asked(message(b"abc", more=False))
    first, second = body(request), body(request)
    assert await first.count() == 1
    with pytest.raises(UsageError, match="read already"):
        await second.count()


async def test_a_body_that_somebody_streamed_away_is_refused_instead_of_waited_for():
    request = asked(message(b"abc", more=False))
    assert [chunk async for chunk in request.stream()] == [b"abc", b""]
    with pytest.raises(UsageError, match=r"request\.stream\(\)"):
        body(request)


async def test_a_body_that_the_framework_has_read_and_kept_is_given_from_there():
    request = asked(message(b"abc", more=False))
    assert await request.body() == b"abc"
    assert await body(request).collect() == [b"abc"]


@pytest.mark.virtual_time
async def test_a_wait_that_is_cut_short_loses_nothing():
    request = asked(message(b"a"), 5, message(b"b", more=False))
    async with body(request).open() as items:
        assert await anext(items) == b"a"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await anext(items)
        assert await anext(items) == b"b"


@pytest.mark.virtual_time
async def test_what_is_not_read_of_a_body_is_given_back_to_whoever_watches_the_client():
    """A response that has read enough of the upload still notices that the client goes."""
    request = asked(message(b"a"), 1, message(b"b"), 1, GONE)
    sent = []

    async def answer():
        yield str(await body(request).first())
        await asyncio.Event().wait()

    async def send(part):
        sent.append(part)

    response = StreamResponse(answer)
    await response(request.scope, request.receive, send)
    assert response.outcome == "disconnect"


async def test_when_a_body_has_been_read_nothing_is_kept_in_the_scope_that_holds_it():
    request = asked(message(b"a", more=False))
    await body(request).count()
    assert not [key for key, value in request.scope.items() if isinstance(value, Inbox)]


class Upload:
    """Puts a body that comes in two parts into a store."""

    def __init__(self):
        self.store = memory.MemoryStore()

    async def __call__(self):
        request = asked(1, message(b"a"), 1, message(b"b", more=False))
        return await sf.pipeline(body(request), objects.write("memory://cancelled/key", store=self.store))


def test_an_upload_that_is_cancelled_at_any_moment_leaves_all_or_nothing():
    """P6, P7."""

    def check(upload, outcome):
        assert upload.store.uploads == 0
        stored = list(map(upload.store.content, upload.store.keys()))
        assert stored == [b"ab"] if outcome.ended == "returned" else stored in ([], [b"ab"])

    assert cancel_everywhere(Upload, check) > 50


# ----------------------------------------------------------------------------------------------- with real servers


def app_of(kind="starlette", **limits):
    """An app, in Starlette or FastAPI, that puts uploads into a store and tells how they ended."""
    reporting = Reporting()

    async def upload(request: Request):
        place = objects.write(f"memory://uploads/{request.path_params['name']}")
        flow = body(request, **limits).tap(lambda chunk: reporting.note("begun"))
        stored = await reporting.run(flow.to(place).run())
        return JSONResponse({"bytes": stored.bytes})

    async def download(request: Request):
        return Response(memory.bucket("uploads").content(request.path_params["name"]))

    if kind == "fastapi":
        app = fastapi.FastAPI()
        app.put("/{name}")(upload)
        app.routes.append(reporting.route)
        return app
    routes = [reporting.route, Route("/{name}", upload, methods=["PUT"]), Route("/{name}", download)]
    return Starlette(routes=routes)


def chunked(*pieces):
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


everywhere = pytest.mark.parametrize("server", servers.SERVERS)
kinds = pytest.mark.parametrize("kind", ["starlette", "fastapi"])
IN_CHUNKS = {"Transfer-Encoding": "chunked"}


async def sent(url, data, headers, *, within=10):
    """Send a request that may stay unfinished; return the answer."""
    reader, writer = await servers.connect(url, "PUT", headers)
    try:
        async with asyncio.timeout(within):
            writer.write(data)
            return await servers.read_answer(reader, "PUT")
    finally:
        await servers.hang_up(writer)


@pytest.mark.slow
@everywhere
@pytest.mark.parametrize("middleware", [False, True])
async def test_an_upload_goes_straight_into_an_object_store(server, middleware):
    data = bytes(range(256)) * 4000
    async with servers.serving(app_of(), server, middleware=middleware) as url:
        whole = await servers.fetch(f"{url}/whole", "PUT", body=data)
        pieces = chunked(*[data[at : at + 7000] for at in range(0, len(data), 7000)], b"")
        parts = await sent(f"{url}/parts", pieces, IN_CHUNKS)
        stored = [(await servers.fetch(f"{url}/{name}")).body for name in ("whole", "parts")]
    assert [json.loads(answer.body) for answer in (whole, parts)] == [{"bytes": len(data)}] * 2
    assert stored == [data, data]


@pytest.mark.slow
@everywhere
@kinds
async def test_too_much_is_answered_with_413_and_too_slow_with_408(server, kind):
    """By the length before anything is read, and counted where there is none; nothing is stored."""
    async with servers.serving(app_of(kind, max_bytes=100_000, min_rate=1000, window=0.2), server) as url:
        announced = await sent(f"{url}/announced", b"", {"Content-Length": "100001"})
        counted = await sent(f"{url}/counted", chunked(b"x" * 60_000, b"x" * 60_000), IN_CHUNKS)
        slow = await sent(f"{url}/slow", chunked(b"x"), IN_CHUNKS)
        outcomes, keys, uploads = await told(url)
    assert (announced.status, counted.status, slow.status) == (413, 413, 408)
    assert b"100,001 bytes; 100,000 are allowed" in announced.body
    assert b"did not come in time" in slow.body
    assert [name for name in outcomes if name != "begun"] == ["RequestTooLarge", "RequestTimeout"]
    assert not {"announced", "counted", "slow"} & set(keys)
    assert uploads == 0


@pytest.mark.slow
@pytest.mark.parametrize("server", ["uvicorn-h11", "uvicorn-httptools"])
async def test_a_client_that_asks_first_is_refused_before_it_sends_anything(server):
    """With `Expect: 100-continue`, as curl does."""
    async with servers.serving(app_of(max_bytes=1000), server) as url:
        headers = {"Content-Length": "2000", "Expect": "100-continue"}
        assert (await sent(f"{url}/asked", b"", headers)).status == 413


WAYS = [
    ("length", servers.hang_up),
    ("chunked", servers.reset),
    ("length", servers.reset),
    ("chunked", servers.hang_up),
]


@pytest.mark.slow
@everywhere
@pytest.mark.parametrize("middleware", [False, True])
async def test_a_client_that_leaves_during_an_upload_is_an_error_and_nothing_is_committed(server, middleware):
    async with servers.serving(app_of(), server, middleware=middleware) as url:
        for number, (framing, leave) in enumerate(WAYS):
            headers = {"Content-Length": "1000"} if framing == "length" else IN_CHUNKS
            _, writer = await servers.connect(f"{url}/left", "PUT", headers)
            writer.write(b"x" * 500 if framing == "length" else chunked(b"x" * 500))
            await told(url, 2 * number + 1)
            await leave(writer)
            outcomes, keys, uploads = await told(url, 2 * number + 2)
            assert outcomes[-2:] == ["begun", "ClientDisconnected"], (framing, leave)
    assert "left" not in keys
    assert uploads == 0


ROOM = 64 << 10  # of the sockets on both sides, in bytes; the kernel takes twice as much
CHANNEL = 64 << 10


@pytest.mark.slow
@everywhere
async def test_a_sink_that_takes_nothing_stops_the_client(server, monkeypatch):
    """What the client can send is what the buffers on the way hold; nothing of it is lost."""
    listener, gate = servers.listener, asyncio.Event()

    def small():
        bound = listener()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        return bound

    async def sink(chunks):
        taken = 0
        async for chunk in chunks:
            await gate.wait()
            taken += len(chunk)
        return taken

    async def upload(request):
        gate.clear()
        return JSONResponse(await sf.pipeline(body(request), sink, max_bytes=CHANNEL))

    async def opened(request):
        gate.set()
        return JSONResponse({})

    monkeypatch.setattr(servers, "listener", small)
    routes = [Route("/much", upload, methods=["PUT"]), Route("/open", opened)]
    size = 16 << 20
    async with servers.serving(Starlette(routes=routes), server) as url:
        reader, writer = await servers.connect(f"{url}/much", "PUT", {"Content-Length": str(size)})
        plain = writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        went = await _sent_until_it_stalls(plain, size)
        await servers.fetch(f"{url}/open")
        writer.write(bytes(size - went))
        async with asyncio.timeout(20):
            assert json.loads((await servers.read_answer(reader)).body) == size
        await servers.hang_up(writer)
    assert went < 2 << 20


async def _sent_until_it_stalls(plain, size):
    """Send zeros until the socket takes no more for a while; return how many went."""
    went = quiet = 0
    view = memoryview(bytes(1 << 16))
    with socket.socket(fileno=os.dup(plain.fileno())) as own:  # asyncio guards its own
        while went < size and quiet < 40:
            try:
                went += own.send(view[: size - went])
                quiet = 0
            except BlockingIOError:
                quiet += 1
            await asyncio.sleep(0.005 if quiet else 0)
    return went


@pytest.mark.parametrize(("method", "options"), [("GET", {}), ("POST", {"ignore_body": True})])
async def test_a_body_that_was_dropped_before_it_was_asked_for_is_an_error_and_no_empty_body(method, options):
    """H74."""
    wire = Wire(b"some", b"thing", method=method)

    async def asking_late():
        for _ in range(20):
            await asyncio.sleep(0)
        async with body(Request(wire.scope, wire.receive)).open() as chunks:
            async for chunk in chunks:
                yield chunk

    with pytest.raises(UsageError, match="dropped before it was asked for"):
        await StreamResponse(asking_late(), **options)(wire.scope, wire.receive, wire.send)
    assert not wire.complete


async def test_a_body_that_was_asked_for_and_is_never_read_is_an_error_of_the_response_and_no_hang(monkeypatch):
    """H74. Behind what nobody takes no disconnect could be seen."""
    monkeypatch.setattr("streamflow.web.client._CLAIM", 0.01)
    wire = Wire(b"some", b"thing", method="POST")

    async def quiet():
        yield b"a"
        await asyncio.Event().wait()

    async def changes_its_mind(request):
        body(request)
        return StreamResponse(quiet(), within=0)

    app = Starlette(routes=[Route("/", changes_its_mind, methods=["POST"])])
    async with asyncio.timeout(5):
        with pytest.raises(UsageError, match="a body that nobody reads"):
            await app(wire.scope, wire.receive, wire.send)
