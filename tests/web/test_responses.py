"""A response is whole or visibly broken, tells exactly one of three how it ended, and leaves nothing open."""

from __future__ import annotations

import asyncio
import itertools
import logging
import zlib

import anyio
import pytest
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware

import streamflow as sf
from streamflow.testing import TrackedSource, cancel_everywhere
from streamflow.web import Sent, StreamResponse, body, outcome
from tests.web.wire import Wire, exchanged

LONG = [b"x" * 20_000] * 5


class Told:
    """Who is told how a response ended."""

    def __init__(self):
        self.calls = []

    def options(self):
        return {f"on_{name}": self._noting(name) for name in ("complete", "disconnect", "error")}

    def _noting(self, name):
        async def note(what):
            self.calls.append((name, "..."))
            await asyncio.sleep(0.001)
            self.calls[-1] = (name, what)

        return note


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def counting(made, size=10_000, end=None):
    for number in itertools.islice(itertools.count(), end):
        made.append(number)
        yield b"x" * size


# --- what is sent ----------------------------------------------------------------------------------------------------


async def test_a_body_that_is_over_before_anything_was_sent_has_its_length():
    wire = await exchanged(StreamResponse([b"a", "grün", bytearray(b"b"), memoryview(b"c")], media_type="text/csv"))
    assert (wire.status, wire.body.decode(), wire.complete) == (200, "agrünbc", True)
    assert wire.headers == {"content-type": "text/csv; charset=utf-8", "content-length": "8"}
    assert len(wire.sent) == 2


async def test_a_long_body_goes_out_in_pieces():
    wire = await exchanged(StreamResponse([b"1" * 200_000, b"2" * 10, b"3" * 10]))
    assert wire.body == b"1" * 200_000 + b"2" * 10 + b"3" * 10
    assert "content-length" not in wire.headers
    assert max(map(len, wire.bodies)) == 65_536
    assert wire.complete


async def test_a_stream_without_items_is_an_empty_body():
    wire = await exchanged(StreamResponse([]))
    assert (wire.status, wire.body, wire.headers["content-length"]) == (200, b"", "0")


async def test_headers_status_and_name_of_a_download():
    response = StreamResponse([b"a"], status_code=201, filename="orders.csv", headers={"X-Row": "1"}, media_type=None)
    response.set_cookie("seen", "1")
    wire = await exchanged(response)
    assert wire.status == 201
    assert wire.headers["content-disposition"] == 'attachment; filename="orders.csv"'
    assert wire.headers["x-row"] == "1"
    assert wire.headers["set-cookie"].startswith("seen=1")
    assert "content-type" not in wire.headers


async def test_a_head_request_gets_the_headers_and_opens_nothing():
    source, told = TrackedSource([b"a"]), Told()
    wire = await exchanged(StreamResponse(source, compress=("gzip",), **told.options()), method="HEAD")
    assert (wire.status, wire.body, wire.complete) == (200, b"", True)
    assert wire.headers["vary"] == "Accept-Encoding"
    assert not source.opened
    assert told.calls == []


async def test_a_compressed_body_says_so():
    response = StreamResponse([b"row\n"] * 10_000, media_type="text/csv", compress=("gzip",))
    wire = await exchanged(response, headers=[("Accept-Encoding", "gzip")])
    assert wire.headers["content-encoding"] == "gzip"
    assert wire.headers["vary"] == "Accept-Encoding"
    assert "content-length" not in wire.headers
    assert len(wire.body) < 1000
    assert zlib.decompress(wire.body, 31) == b"row\n" * 10_000


@pytest.mark.virtual_time
async def test_compressed_live_data_is_live():
    async def ticks():
        for number in range(3):
            yield f"tick {number}\n"
            await asyncio.sleep(10)

    seen, codec = [], zlib.decompressobj(31)
    wire = Wire(b"", headers=[("Accept-Encoding", "gzip")])
    sending = asyncio.create_task(
        StreamResponse(ticks(), media_type="text/plain", compress="gzip")(wire.scope, wire.receive, wire.send)
    )
    for _ in range(3):
        await asyncio.sleep(1)
        seen.append(codec.decompress(b"".join(wire.bodies[len(seen) :])))
        await asyncio.sleep(9)
    await sending
    assert seen == [b"tick 0\n", b"tick 1\n", b"tick 2\n"]


@pytest.mark.parametrize(("said", "given"), [(10, 5), (10, 15), (10, 0), (100_000, 90_000), (90_000, 100_000)])
async def test_a_body_that_is_not_as_long_as_its_header_says_is_an_error(said, given):
    """Promise P5."""
    wire = Wire(b"")
    response = StreamResponse([b"x" * given], headers={"Content-Length": str(said)})
    with pytest.raises(sf.TruncatedError, match=f"say {said:,} bytes, and the stream gave {given:,}"):
        await response(wire.scope, wire.receive, wire.send)
    assert wire.status == 500 or not wire.complete


async def test_a_body_that_is_as_long_as_its_header_says():
    wire = await exchanged(StreamResponse(LONG, headers={"Content-Length": "100000"}))
    assert (len(wire.body), wire.complete) == (100_000, True)


async def test_a_status_without_a_body():
    wire = await exchanged(StreamResponse([], status_code=204, media_type=None))
    assert (wire.status, wire.headers, wire.complete) == (204, {}, True)
    with pytest.raises(sf.UsageError, match="204 has no body"):
        await exchanged(StreamResponse([b"a"], status_code=204))


# --- one source, several times or never ------------------------------------------------------------------------------


async def test_a_response_that_is_never_sent_leaves_nothing():
    source = TrackedSource([b"a"])
    StreamResponse(source)
    StreamResponse(counting([]))
    await asyncio.sleep(0)
    assert not source.opened


async def test_what_can_be_read_again_can_be_sent_again():
    response = StreamResponse(sf.stream([b"a", b"b"]))
    assert [(await exchanged(response)).body for _ in range(2)] == [b"ab", b"ab"]


async def test_a_generator_that_has_been_sent_is_refused_and_not_an_empty_body():
    """Promise P2."""
    response = StreamResponse(counting([], end=1))
    assert (await exchanged(response)).status == 200
    wire = Wire(b"")
    with pytest.raises(sf.UsageError, match="already been used up"):
        await response(wire.scope, wire.receive, wire.send)
    assert wire.status == 500


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_chunk": 0}, "min_chunk"),
        ({"within": -1}, "within"),
        ({"within": float("nan")}, "within"),
        ({"send_timeout": 0}, "send_timeout"),
        ({"min_rate": -1}, "min_rate"),
        ({"on_error": "log"}, "on_error"),
        ({"filename": "../x"}, "filename"),
        ({"compress": "lzma"}, "lzma"),
    ],
)
def test_what_cannot_mean_anything_is_refused_at_once(options, message):
    with pytest.raises(sf.UsageError, match=message):
        StreamResponse([b"a"], **options)


async def test_it_answers_nothing_but_http():
    with pytest.raises(sf.UsageError, match="websocket"):
        await StreamResponse([])({"type": "websocket"}, None, None)


async def test_items_of_the_wrong_type_are_a_500_before_the_headers():
    wire = Wire(b"")
    with pytest.raises(sf.UsageError, match="item 1 of its stream is of type dict"):
        await StreamResponse([{"row": 1}])(wire.scope, wire.receive, wire.send)
    assert (wire.status, wire.body) == (500, b"Internal Server Error")


async def test_an_error_that_is_an_answer_is_the_answer():
    async def missing():
        raise HTTPException(404, "no such report", headers={"X-Why": "gone"})
        yield b""

    wire = await exchanged(StreamResponse(missing()))
    assert (wire.status, wire.body, wire.headers["x-why"]) == (404, b"no such report", "gone")


async def test_with_a_framework_an_early_error_is_the_frameworks():
    wire = Wire(b"")
    wire.scope["app"] = "Starlette"
    with pytest.raises(LookupError):
        await StreamResponse(failing(0))(wire.scope, wire.receive, wire.send)
    assert wire.sent == []


# --- exactly one is told ---------------------------------------------------------------------------------------------


async def failing(after, size=20_000):
    for _ in range(after):
        yield b"x" * size
    raise LookupError("row 3")


async def test_complete_is_told_what_was_sent():
    told = Told()
    response = StreamResponse(LONG, **told.options())
    wire = await exchanged(response)
    [(name, sent)] = told.calls
    assert (name, response.outcome, outcome(wire.scope)) == ("complete", "complete", "complete")
    assert isinstance(sent, Sent)
    assert (sent.status, sent.bytes) == (200, 100_000)
    assert sent.stats.balanced


@pytest.mark.parametrize("after", [0, 1, 5])
async def test_an_error_is_told_and_raised_and_logged_with_its_stage(after, caplog):
    told, wire = Told(), Wire(b"")
    response = StreamResponse(sf.stream(failing(after)).map(bytes), **told.options())
    with pytest.raises(LookupError, match="row 3") as caught:
        await response(wire.scope, wire.receive, wire.send)
    assert told.calls == [("error", caught.value)]
    assert (response.outcome, outcome(wire.scope)) == ("error", "error")
    assert wire.status == 500 if not after else not wire.complete
    [record] = caplog.records
    assert (record.name, record.levelno) == ("streamflow.web", logging.ERROR)
    assert record.exc_info[1] is caught.value
    assert "in stage 1 of" in caught.value.__notes__[0]


@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.parametrize("spec", ["2.3", "2.4"])
@pytest.mark.parametrize("steps", range(0, 60, 2))
async def test_a_client_that_leaves_at_any_moment(steps, spec, tells):
    """H75 to H77, H82: one is told, and the generator is closed in its own task before the response returns."""
    told, wire, source = Told(), Wire(b"", spec=spec, tells=tells), TrackedSource(LONG * 3)
    sending = asyncio.create_task(
        StreamResponse(source, **told.options())(wire.scope, wire.receive, wire.send), name="request"
    )
    await turns(steps)
    wire.leave()
    await sending
    [(name, what)] = told.calls
    assert name == ("complete" if wire.ended and wire.status == 200 else "disconnect")
    assert name == "complete" or what == "left"
    assert source.opened == source.closed


@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.virtual_time
async def test_a_client_that_leaves_a_quiet_stream(tells):
    source, told, wire = TrackedSource([b"a"], delay=3600), Told(), Wire(b"", tells=tells)
    sending = asyncio.create_task(StreamResponse(source, **told.options())(wire.scope, wire.receive, wire.send))
    await asyncio.sleep(100)
    wire.leave()
    await asyncio.sleep(1)
    assert sending.done()
    assert told.calls == [("disconnect", "left")]
    assert source.opened == source.closed == 1


async def test_behind_a_middleware_a_client_that_left_before_the_first_byte_is_no_error():
    async def quiet():
        await asyncio.sleep(3600)
        yield b""

    async def forward(request, call_next):
        return await call_next(request)

    told, wire = Told(), Wire(b"")
    app = BaseHTTPMiddleware(StreamResponse(quiet(), **told.options()), dispatch=forward)
    sending = asyncio.create_task(app(wire.scope, wire.receive, wire.send))
    await asyncio.sleep(0.01)
    wire.leave()
    await sending
    assert told.calls == [("disconnect", "left")]


async def test_functions_may_be_plain():
    called = []
    await exchanged(StreamResponse([b"a"], on_complete=lambda sent: called.append(sent.bytes)))
    assert called == [1]


async def test_a_failure_of_who_is_told_of_completion_is_raised():
    def broken(sent):
        raise ValueError("no ledger")

    with pytest.raises(ValueError, match="no ledger"):
        await exchanged(StreamResponse([b"a"], on_complete=broken))


async def test_a_failure_of_who_is_told_of_an_error_does_not_hide_it(caplog):
    def broken(error):
        raise ValueError("no ledger")

    with pytest.raises(LookupError):
        await exchanged(StreamResponse(failing(0), on_error=broken))
    assert "on_error failed" in caplog.text


@pytest.mark.virtual_time
async def test_who_is_told_has_the_grace_and_no_more():
    async def slow(sent):
        await asyncio.sleep(3600)

    with pytest.raises(sf.PipelineTimeout, match="within 2 s"):
        await exchanged(StreamResponse([b"a"], on_complete=slow, grace=2))


@pytest.mark.virtual_time
async def test_who_is_told_of_an_error_and_takes_too_long_does_not_hide_it(caplog):
    async def slow(error):
        await asyncio.sleep(3600)

    wire = Wire(b"")
    with pytest.raises(LookupError):
        await StreamResponse(failing(0), on_error=slow, grace=2)(wire.scope, wire.receive, wire.send)
    assert "within 2 s" in caplog.text


async def test_a_background_task_of_the_framework_runs():
    ran = []
    response = StreamResponse([b"a"])

    async def background():
        ran.append(1)

    response.background = background
    await exchanged(response)
    assert ran == [1]


# --- cancelled -------------------------------------------------------------------------------------------------------


class Cancelled:
    """A response that is cancelled: by a server, or by a middleware's scope."""

    def __init__(self):
        self.told, self.wire = Told(), Wire(b"")
        self.source = TrackedSource(LONG)

    async def __call__(self):
        response = StreamResponse(self.source, **self.told.options())
        await response(self.wire.scope, self.wire.receive, self.wire.send)

    async def check(self, _):
        assert self.source.opened == self.source.closed
        assert len(self.told.calls) == (1 if self.wire.scope.get("streamflow.outcome") else 0)
        for name, what in self.told.calls:
            assert what != "..."
            assert name == "complete" if self.wire.complete else what == "cancelled"


def test_cancelled_at_every_step_it_closes_and_tells_once():
    """H83."""
    cancel_everywhere(Cancelled, Cancelled.check)


@pytest.mark.parametrize("kind", ["native", "anyio"])
async def test_a_cancellation_goes_on_when_everything_is_closed(kind):
    """H83."""
    told, wire, source = Told(), Wire(b"", per_send=0.001), TrackedSource(LONG * 100)
    response = StreamResponse(source, **told.options())
    scope = anyio.CancelScope()

    async def request():
        with scope:
            await response(wire.scope, wire.receive, wire.send)
        raise asyncio.CancelledError

    sending = asyncio.create_task(request())
    await asyncio.sleep(0.02)
    scope.cancel() if kind == "anyio" else sending.cancel()
    await asyncio.wait([sending])
    assert sending.cancelled()
    assert told.calls == [("disconnect", "cancelled")]
    assert source.opened == source.closed == 1
    assert not wire.complete


# --- pace ------------------------------------------------------------------------------------------------------------


async def test_a_client_that_does_not_read_stops_the_source():
    made, wire = [], Wire(b"")
    sending = asyncio.create_task(StreamResponse(counting(made))(wire.scope, wire.receive, wire.send))
    await turns(20)
    wire.hold()
    await turns(200)
    produced, taken = len(made), sum(map(len, wire.bodies)) // 10_000
    assert produced - taken <= 6 + 1 + 2 + 7  # the channel, the generator's hand, a piece, what the server took last
    await turns(500)
    assert len(made) == produced
    wire.go_on()
    await turns(100)
    assert len(made) > produced
    wire.leave()
    await sending


class Transport:
    aborted = False

    def abort(self):
        self.aborted = True

    def get_extra_info(self, name):
        return None


class ServedWire(Wire):
    """One whose server can be seen, as uvicorn's can."""

    def __init__(self, *messages, **options):
        super().__init__(*messages, **options)
        self.transport = Transport()


def behind_closures(function):
    async def wrapped(*arguments):
        return await function(*arguments)

    return wrapped


@pytest.mark.virtual_time
async def test_a_client_that_reads_nothing_for_the_send_timeout_is_cut_off():
    """Closing would wait for it; aborting does not."""
    told, wire = Told(), ServedWire(b"")
    response = StreamResponse(counting([]), send_timeout=30, **told.options())
    wire.hold()
    start = asyncio.get_running_loop().time()
    await response(wire.scope, behind_closures(wire.receive), behind_closures(wire.send))
    assert 30 <= asyncio.get_running_loop().time() - start < 31
    assert told.calls == [("disconnect", "stalled")]
    assert wire.transport.aborted


@pytest.mark.virtual_time
async def test_where_the_transport_is_out_of_reach_the_server_is_told_by_an_error_it_cannot_send():
    told, wire = Told(), Wire(b"")
    wire.hold()
    await StreamResponse(counting([]), send_timeout=5, **told.options())(wire.scope, wire.receive, wire.send)
    assert told.calls == [("disconnect", "stalled")]


@pytest.mark.virtual_time
async def test_a_client_that_takes_each_piece_in_time_is_served_however_long_it_takes():
    told, wire = Told(), Wire(b"", per_send=29)
    await StreamResponse(counting([], 20_000, 40), send_timeout=30, **told.options())(
        wire.scope, wire.receive, wire.send
    )
    assert [name for name, _ in told.calls] == ["complete"]
    assert wire.complete


@pytest.mark.virtual_time
async def test_a_client_that_reads_too_slowly_is_cut_off():
    told, wire = Told(), ServedWire(b"", per_send=10)
    await StreamResponse(counting([], 20_000), min_rate=5_000, **told.options())(wire.scope, wire.receive, wire.send)
    assert told.calls == [("disconnect", "slow")]
    assert wire.transport.aborted


@pytest.mark.virtual_time
async def test_a_slow_stream_is_not_the_clients_fault():
    async def drips():
        for _ in range(20):
            yield b"x"
            await asyncio.sleep(60)

    told, wire = Told(), Wire(b"", per_send=0.1)
    await StreamResponse(drips(), min_rate=5, **told.options())(wire.scope, wire.receive, wire.send)
    assert [name for name, _ in told.calls] == ["complete"]


# --- the body of the request -----------------------------------------------------------------------------------------


class Asked:
    """What `body()` needs of a request."""

    def __init__(self, wire):
        self.scope, self.receive, self.headers = wire.scope, wire.receive, {}


@pytest.mark.virtual_time
async def test_a_body_that_nobody_reads_is_refused():
    """H74."""
    wire = Wire(b"lost", method="POST")
    with pytest.raises(sf.UsageError, match=r"web\.body\(request\)"):
        await StreamResponse(TrackedSource([b"a"] * 3, delay=1))(wire.scope, wire.receive, wire.send)


@pytest.mark.virtual_time
@pytest.mark.parametrize(("method", "options"), [("POST", {"ignore_body": True}), ("GET", {}), ("OPTIONS", {})])
async def test_a_body_that_does_not_matter_is_dropped_and_a_disconnect_behind_it_seen(method, options):
    told, wire = Told(), Wire(b"one", b"two", method=method)
    response = StreamResponse(TrackedSource([b"a"] * 3, delay=100), **options, **told.options())
    sending = asyncio.create_task(response(wire.scope, wire.receive, wire.send))
    await asyncio.sleep(10)
    wire.leave()
    await sending
    assert told.calls == [("disconnect", "left")]


@pytest.mark.virtual_time
async def test_a_body_that_is_read_late_is_kept():
    wire = Wire(b"up", b"load", method="POST")
    late = sf.stream(TrackedSource([b"first "], delay=10)).chain(body(Asked(wire)))
    wire = await exchanged(StreamResponse(late), wire)
    assert (wire.status, wire.body) == (200, b"first upload")


async def test_a_client_that_leaves_in_the_middle_of_its_upload_is_a_disconnect():
    told, wire = Told(), Wire(b"up", method="POST")
    wire._coming[0]["more_body"] = True
    sending = asyncio.create_task(
        StreamResponse(body(Asked(wire)), **told.options())(wire.scope, wire.receive, wire.send)
    )
    await turns(50)
    wire.leave()
    await sending
    assert told.calls == [("disconnect", "left")]


async def test_a_path_with_line_breaks_writes_no_lines_into_the_log(caplog):
    wire = Wire(b"")
    wire.scope["path"] = "/a\r\n12:00 ERROR forged"

    async def failing():
        raise ValueError("no")
        yield b""

    with pytest.raises(ValueError, match="no"):
        await StreamResponse(failing())(wire.scope, wire.receive, wire.send)
    assert len(caplog.messages[0].splitlines()) == 1


async def test_a_first_piece_longer_than_the_headers_promise_is_answered_with_a_500():
    wire = Wire(b"")
    with pytest.raises(sf.TruncatedError, match="headers say 5 bytes"):
        await StreamResponse([b"x" * 20_000], headers={"Content-Length": "5"})(wire.scope, wire.receive, wire.send)
    assert wire.status == 500


async def test_a_cancellation_after_the_last_byte_goes_on_though_who_is_told_fails(caplog):
    """Promise P6."""
    wire = Wire(b"")

    def refuse(_sent):
        raise ValueError("not now")

    async def send(message):
        await wire.send(message)
        if wire.complete:
            sending.cancel()

    async def send_it():
        await StreamResponse([b"a"], on_complete=refuse)(wire.scope, wire.receive, send)

    sending = asyncio.create_task(send_it())
    await asyncio.wait([sending])
    assert sending.cancelled()
    assert "on_complete failed" in caplog.text


@pytest.mark.parametrize("option", [{"maxsize": 0}, {"max_bytes": -1}, {"grace": float("nan")}])
def test_capacities_that_cannot_mean_anything_are_refused_at_once(option):
    with pytest.raises(sf.UsageError, match=next(iter(option))):
        StreamResponse([b"a"], **option)


@pytest.mark.parametrize(
    "options",
    [{"headers": {"X-Name": "a\r\nSet-Cookie: b=c"}}, {"headers": {"X-Name\n": "a"}}, {"media_type": "text/csv\0"}],
)
def test_a_header_that_would_go_on_as_another_is_refused_and_not_shown(options):
    with pytest.raises(sf.UsageError, match="line break or NUL") as refused:
        StreamResponse([b"a"], **options)
    assert "Set-Cookie" not in str(refused.value)
