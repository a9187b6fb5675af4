"""WebSockets as sources and sinks: what is sent, how it ends, who waits for whom."""

from __future__ import annotations

import asyncio

import pytest
import websockets
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

import streamflow as sf
from streamflow.errors import FormatError, PipelineTimeout, TruncatedError, UsageError
from streamflow.testing import cancel_everywhere
from streamflow.web.refusals import ClientDisconnected
from streamflow.web.websockets import ENDS, messages, send_to
from tests.web import servers
from tests.web.reporting import Reporting, told

# ------------------------------------------------------------------------------------------------ without a server


class Client:
    """The other end of an accepted WebSocket: gives what it is to send, then waits or leaves; keeps what it got."""

    def __init__(self, *sends, leaves=None, takes=None):
        self.got = []
        self.fails = False
        self._sends = iter(sends)
        self._leaves = leaves
        self._takes = takes

    async def receive(self):
        for item in self._sends:
            if isinstance(item, (int, float)):
                await asyncio.sleep(item)
                continue
            return {"type": "websocket.receive", "text" if isinstance(item, str) else "bytes": item}
        if self._leaves is None:
            await asyncio.Event().wait()
        return {"type": "websocket.disconnect", "code": self._leaves, "reason": "so"}

    async def send(self, message):
        if self.fails:
            raise OSError("gone")
        if message["type"] == "websocket.send":
            if self._takes is not None and len(self.got) >= self._takes:
                await asyncio.Event().wait()
            self.got.append(message.get("text", message.get("bytes")))
        else:
            self.got.append(message["code"])

    async def accepted(self):
        """Return the WebSocket as a handler has it."""
        first = iter([{"type": "websocket.connect"}])

        async def receive():
            for message in first:
                return message
            return await self.receive()

        async def send(message):
            if message["type"] != "websocket.accept":
                await self.send(message)

        websocket = WebSocket({"type": "websocket", "headers": [], "path": "/"}, receive, send)
        await websocket.accept()
        return websocket


async def test_messages_come_as_text_and_bytes_until_the_client_is_done():
    websocket = await Client("a", b"b", "", b"", leaves=1000).accepted()
    assert await messages(websocket).collect() == ["a", b"b", "", b""]


async def test_a_page_that_was_left_is_a_clean_end():
    assert await messages(await Client("a", leaves=1001).accepted()).collect() == ["a"]


@pytest.mark.parametrize("code", [1005, 1006, 1011, 4000, None])
async def test_any_other_end_is_an_error_after_the_messages_before_it(code):
    """P5. Servers give 1005 for a connection that was lost, too."""
    got = []
    client = Client("a", leaves=code)
    client._leaves = code
    websocket = await client.accepted()
    if code is None:
        websocket._receive = _then_no_code(websocket._receive)
    with pytest.raises(
        ClientDisconnected, match=f"code {code or 1005}, saying 'so'; more may have been to come"
    ) as caught:
        await messages(websocket).for_each(got.append)
    assert got == ["a"]
    assert caught.value.code == (code or 1005)


def _then_no_code(receive):
    first = iter([{"type": "websocket.receive", "text": "a"}])

    async def patched():
        for message in first:
            return message
        return {"type": "websocket.disconnect", "code": None, "reason": "so"}

    return patched


async def test_the_codes_of_a_clean_end_can_be_said():
    websocket = await Client("a", leaves=1005).accepted()
    assert await messages(websocket, ends=(1000, 1005)).collect() == ["a"]


def test_a_client_that_left_is_what_starlette_knows_too():
    assert issubclass(ClientDisconnected, WebSocketDisconnect)
    assert issubclass(ClientDisconnected, TruncatedError)
    assert str(ClientDisconnected("Gone.", 1001)) == "Gone."


async def test_messages_can_be_json():
    websocket = await Client('{"a": 1}', b"[2]", leaves=1000).accepted()
    assert await messages(websocket, json=True).collect() == [{"a": 1}, [2]]


async def test_what_is_no_json_is_an_error_with_its_number():
    websocket = await Client("1", "{", leaves=1000).accepted()
    with pytest.raises(FormatError, match="Message 2 of the WebSocket is not JSON"):
        await messages(websocket, json=True).collect()


async def test_messages_are_read_once():
    websocket = await Client("a", leaves=1000).accepted()
    await messages(websocket).collect()
    with pytest.raises(UsageError, match="read already, and each comes only once"):
        await messages(websocket).collect()


async def test_a_websocket_that_is_not_accepted_is_refused():
    client = Client()
    websocket = WebSocket({"type": "websocket", "headers": [], "path": "/"}, client.receive, client.send)
    with pytest.raises(UsageError, match=r"await websocket\.accept\(\)"):
        await messages(websocket).collect()
    with pytest.raises(UsageError, match=r"await websocket\.accept\(\)"):
        await sf.pipeline(["a"], send_to(websocket))


async def test_items_are_sent_as_what_they_are_and_the_end_is_told():
    client = Client()
    assert await sf.pipeline(["a", b"b", bytearray(b"c"), memoryview(b"d")], send_to(await client.accepted())) == 4
    assert client.got == ["a", b"b", b"c", b"d", 1000]


async def test_items_are_sent_as_json():
    client = Client()
    await sf.pipeline([{"a": "\u00e4"}, [1, None]], send_to(await client.accepted(), json=True))
    assert client.got == ['{"a":"\u00e4"}', "[1,null]", 1000]


async def test_a_connection_can_be_left_open():
    client = Client()
    websocket = await client.accepted()
    await sf.pipeline(["a"], send_to(websocket, close=False))
    await sf.pipeline(["b"], send_to(websocket))
    assert client.got == ["a", "b", 1000]


async def test_an_item_that_is_no_message_is_refused_with_what_to_write():
    client = Client()
    with pytest.raises(UsageError, match=r"A message is text or bytes, not dict\. .*json=True"):
        await sf.pipeline([{"a": 1}], send_to(await client.accepted()))
    assert client.got == [1011]


async def test_a_failure_is_told_and_is_no_clean_end():
    def failing():
        yield "a"
        raise ValueError("row 2")

    client = Client()
    with pytest.raises(ValueError, match="row 2"):
        await sf.pipeline(failing, send_to(await client.accepted()))
    assert client.got == ["a", 1011]


async def test_a_cancelled_stream_is_told_too():
    async def quiet():
        yield "a"
        await asyncio.Event().wait()

    client = Client()
    run = asyncio.ensure_future(sf.pipeline(quiet, send_to(await client.accepted())))
    await servers.until(lambda: client.got)
    run.cancel()
    await asyncio.wait([run])
    assert run.cancelled()
    assert client.got == ["a", 1011]


@pytest.mark.virtual_time
async def test_a_client_that_leaves_a_quiet_stream_ends_it_at_once():
    """H82: no send tells it."""
    websocket = await Client(5.0, leaves=1006).accepted()
    with pytest.raises(ClientDisconnected, match="code 1006"):
        await sf.pipeline(sf.interval(1000), sf.map(str), send_to(websocket))
    assert asyncio.get_running_loop().time() == 5


@pytest.mark.virtual_time
async def test_a_client_that_says_goodbye_has_had_enough():
    closed = []

    async def ticks():
        try:
            while True:
                yield "tick"
                await asyncio.sleep(2)
        finally:
            closed.append("source")

    client = Client(5.0, leaves=1001)
    assert await sf.pipeline(ticks, send_to(await client.accepted())) == 3
    assert (client.got, closed) == (["tick"] * 3, ["source"])


@pytest.mark.virtual_time
async def test_a_client_may_be_bound_to_get_everything():
    websocket = await Client(5.0, leaves=1000).accepted()
    with pytest.raises(ClientDisconnected, match="code 1000"):
        await sf.pipeline(sf.interval(2), sf.map(str), send_to(websocket, ends=()))


@pytest.mark.parametrize("code", [1000, 1006])
async def test_a_send_that_fails_is_told_apart_by_how_the_client_left(code):
    """The error of a send says only that the client is gone."""
    client = Client("x", leaves=code)
    websocket = await client.accepted()
    client.fails = True
    flow = sf.stream(["a"]).to(send_to(websocket, incoming="drop"))
    if code == 1000:
        assert await flow.run() == 0
    else:
        with pytest.raises(ClientDisconnected, match="code 1006"):
            await flow.run()
    assert client.got == []


async def test_a_stream_whose_server_never_waits_hears_of_the_leaving():
    """H73, H82: send neither waits nor raises."""
    client = Client("x", leaves=1006)
    websocket = await client.accepted()
    with pytest.raises(ClientDisconnected):
        await sf.pipeline(_endless, send_to(websocket, incoming="drop"))
    assert len(client.got) < 10


def _endless():
    while True:
        yield "x"


@pytest.mark.virtual_time
async def test_a_client_that_takes_nothing_is_timed_out():
    client = Client(takes=2)
    with pytest.raises(PipelineTimeout, match="send_timeout=30"):
        await sf.pipeline(["a", "b", "c", "d"], send_to(await client.accepted()))
    assert client.got == ["a", "b"]
    assert asyncio.get_running_loop().time() == 30


async def test_a_message_that_nobody_reads_is_refused():
    client = Client("hello")
    with pytest.raises(UsageError, match=r"nobody reads\. .* incoming='drop'"):
        await sf.pipeline(_quiet, send_to(await client.accepted()))
    assert client.got == [1011]


@pytest.mark.virtual_time
async def test_messages_can_be_dropped():
    client = Client("ping", "ping")
    await sf.pipeline(sf.stream(["a"]).spaced(5), send_to(await client.accepted(), incoming="drop"))
    assert client.got == ["a", 1000]


async def test_messages_can_be_read_elsewhere():
    client = Client("mine")
    websocket = await client.accepted()

    async def answers():
        yield "a"
        yield await websocket.receive_text()

    await sf.pipeline(answers, send_to(websocket, incoming="elsewhere"))
    assert client.got == ["a", "mine", 1000]


async def _quiet():
    await asyncio.Event().wait()
    yield "never"


def test_options_that_cannot_mean_anything_are_refused():
    websocket = WebSocket({"type": "websocket", "headers": [], "path": "/"}, None, None)
    with pytest.raises(UsageError, match="'refuse', 'drop' or 'elsewhere'"):
        send_to(websocket, incoming="ignore")
    with pytest.raises(UsageError, match="send_timeout"):
        send_to(websocket, send_timeout=0)


async def test_an_echo_ends_with_its_client():
    client = Client("a", b"b", leaves=1000)
    websocket = await client.accepted()
    assert await sf.pipeline(messages(websocket), send_to(websocket)) == 2
    assert client.got == ["a", b"b"]


class Sending:
    """Sends two messages to a client that sends one; what the client has got tells how it ended."""

    def __init__(self):
        self.client = Client(0.5, "ignored", 5.0)

    async def __call__(self):
        flow = sf.stream(["a", "b"]).spaced(1.0)
        return await sf.pipeline(flow, send_to(await self.client.accepted(), incoming="drop"))


def test_a_stream_to_a_client_that_is_cancelled_at_any_moment_never_looks_complete():
    """P6, P7."""

    def check(sending, outcome):
        got = sending.client.got
        assert got == ["a", "b", 1000] if outcome.ended == "returned" or 1000 in got else got[-1:] in ([], [1011])

    assert cancel_everywhere(Sending, check) > 50


# ----------------------------------------------------------------------------------------------- with real servers


def app_of(ends=ENDS, **options):
    """An app that sends back in capitals, or sends without end, and tells how that ended."""
    reporting = Reporting()

    async def echo(websocket):
        await websocket.accept()
        flow = messages(websocket, ends=ends)
        await reporting.run(sf.pipeline(flow, sf.map(str.upper), send_to(websocket)))

    async def much(websocket):
        await websocket.accept()
        flow = sf.stream(_endless).map(lambda x: x * 65536)
        await reporting.run(flow.to(send_to(websocket, **options)).run())

    return Starlette(routes=[reporting.route, WebSocketRoute("/echo", echo), WebSocketRoute("/much", much)])


def ws(url, path):
    return url.replace("http", "ws") + path


WS_SERVERS = [
    pytest.param("uvicorn-httptools", {"ws": "websockets-sansio"}, id="uvicorn-sansio"),
    pytest.param("uvicorn-h11", {"ws": "wsproto"}, id="uvicorn-wsproto"),
    pytest.param("hypercorn", {}, id="hypercorn"),
    pytest.param("granian", {"websockets": True}, id="granian"),
]
everywhere = pytest.mark.parametrize(("server", "options"), WS_SERVERS)
ENDS_OF = {"hypercorn": (1006,)}  # it says so however the client ends


@pytest.mark.slow
@everywhere
async def test_an_echo_with_a_real_client_in_turns(server, options):
    app = app_of(ENDS_OF.get(server, ENDS))
    async with servers.serving(app, server, **options) as url, websockets.connect(ws(url, "/echo")) as client:
        for number in range(100):
            await client.send(f"row {number}")
            assert await client.recv() == f"ROW {number}"
        await client.close()
        outcomes, *_ = await told(url)
    assert outcomes == [100]


@pytest.mark.slow
@everywhere
async def test_an_echo_with_a_real_client_that_reads_while_it_sends(server, options):
    app, count = app_of(ENDS_OF.get(server, ENDS)), 500
    async with servers.serving(app, server, **options) as url, websockets.connect(ws(url, "/echo")) as client:

        async def send():
            for number in range(count):
                await client.send(f"row {number}")

        sending = asyncio.create_task(send())
        assert [await client.recv() for _ in range(count)] == [f"ROW {number}" for number in range(count)]
        await sending
        await client.close()
        outcomes, *_ = await told(url)
    assert outcomes == [count]


@pytest.mark.slow
@everywhere
async def test_a_client_that_vanishes_is_an_error_for_both_ends(server, options):
    async with servers.serving(app_of(), server, **options) as url:
        reading = await websockets.connect(ws(url, "/echo"))
        sending = await websockets.connect(ws(url, "/much"))
        assert await sending.recv() == "x" * 65536
        for client in (reading, sending):
            client.transport.abort()
        outcomes, *_ = await told(url, 2)
        await asyncio.wait({asyncio.ensure_future(client.wait_closed()) for client in (reading, sending)})
    assert outcomes == ["ClientDisconnected"] * 2


@pytest.mark.slow
@everywhere
async def test_a_client_that_reads_nothing_stops_the_stream(server, options):
    async with servers.serving(app_of(send_timeout=0.3), server, **options) as url:
        client = await websockets.connect(ws(url, "/much"), max_queue=1, ping_interval=None, compression=None)
        outcomes, *_ = await told(url)
        client.transport.abort()
        await client.wait_closed()
    assert outcomes == ["PipelineTimeout"]


@pytest.mark.slow
@everywhere
async def test_a_client_can_tell_a_whole_stream_from_one_that_failed(server, options):
    async def whole(websocket):
        await websocket.accept()
        await sf.pipeline(["a", "b"], send_to(websocket))

    async def broken(websocket):
        await websocket.accept()
        await sf.pipeline(["a", 2], send_to(websocket))

    app = Starlette(routes=[WebSocketRoute("/whole", whole), WebSocketRoute("/broken", broken)])
    async with servers.serving(app, server, **options) as url:
        found = {}
        for path in ("/whole", "/broken"):
            async with websockets.connect(ws(url, path)) as client:
                try:
                    found[path] = [await client.recv(), await client.recv(), await client.recv()]
                except websockets.ConnectionClosed as closed:
                    found[path] = closed.rcvd.code
    assert found == {"/whole": 1000, "/broken": 1011}


async def test_json_too_deep_for_the_parser_is_an_error_that_names_the_message():
    with pytest.raises(FormatError, match="Message 1 of the WebSocket is not JSON"):
        await messages(await Client("[" * 200_000).accepted(), json=True).collect()
