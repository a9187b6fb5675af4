"""An async source that sends for itself: nothing is read ahead, held for too long or lost; it is closed in its task."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import zlib

import anyio
import pytest

import streamflow as sf
from streamflow.engine import budget
from streamflow.testing import TrackedSource, cancel_everywhere
from streamflow.web import StreamResponse
from streamflow.web.direct import Direct
from tests.web.wire import Wire, exchanged


async def at(*moments):
    """Give each item at its moment."""
    start = asyncio.get_running_loop().time()
    for moment, item in moments:
        await asyncio.sleep(start + moment - asyncio.get_running_loop().time())
        yield item


class Timed(Wire):
    """Notes when each body was sent."""

    def __init__(self, *messages, **options):
        super().__init__(*messages, **options)
        self.times = []

    async def send(self, message):
        await super().send(message)
        if message.get("body"):
            self.times.append((round(asyncio.get_running_loop().time() - self.start, 3), bytes(message["body"])))

    async def taken(self, source, **options):
        self.start = asyncio.get_running_loop().time()
        await StreamResponse(source, **options)(self.scope, self.receive, self.send)
        return self.times


@pytest.mark.virtual_time
async def test_what_is_held_leaves_while_the_source_waits():
    times = await Timed(b"").taken(at((0, b"a"), (0.2, b"b"), (0.9, b"c"), (2, b"d")), within=0.5)
    assert times == [(0.5, b"ab"), (1.4, b"c"), (2.0, b"d")]


@pytest.mark.virtual_time
async def test_the_clock_starts_anew_with_each_piece():
    chunks = at((0.1, b"a"), (0.4, b"b" * 100), (0.5, b"c"), (0.8, b"d"), (3, b"e"))
    times = await Timed(b"").taken(chunks, min_chunk=50, within=0.5)
    assert times == [(0.4, b"a" + b"b" * 100), (1.0, b"cd"), (3.0, b"e")]


@pytest.mark.virtual_time
async def test_without_time_nothing_is_held():
    assert await Timed(b"").taken(at((0.1, b"a"), (0.2, b"b")), within=0) == [(0.1, b"a"), (0.2, b"b")]


@pytest.mark.virtual_time
async def test_what_comes_while_a_late_piece_is_being_taken_leaves_after_it_and_in_order():
    wire = Timed(b"", per_send=2)
    times = await wire.taken(at((0, b"a"), (1, b"b"), (2, b"c" * 100), (9, b"d")), min_chunk=50, within=0.5)
    assert b"".join(body for _, body in times) == b"ab" + b"c" * 100 + b"d"
    assert times[0] == (2.5, b"a")


@pytest.mark.virtual_time
async def test_a_quiet_source_does_not_keep_back_what_came_while_a_late_piece_was_being_taken():
    times = await Timed(b"", per_send=2).taken(at((0, b"a"), (1, b"b"), (100, b"c")), within=0.5)
    assert [body for _, body in times] == [b"a", b"b", b"c"]
    assert times[1][0] < 10


@pytest.mark.virtual_time
async def test_live_data_is_flushed_out_of_the_compressor():
    wire, codec = Timed(b"", headers=[("Accept-Encoding", "gzip")]), zlib.decompressobj(31)
    times = await wire.taken(at((0, b"a"), (10, b"b"), (20, b"c")), compress="gzip", within=0.5, media_type="text/csv")
    assert [(moment, codec.decompress(body)) for moment, body in times] == [(0.5, b"a"), (10.5, b"b"), (20, b"c")]


async def test_nothing_is_read_ahead():
    wire, source = Wire(b""), TrackedSource([b"x" * 20_000] * 100)
    sending = asyncio.create_task(StreamResponse(source)(wire.scope, wire.receive, wire.send))
    for _ in range(20):
        await asyncio.sleep(0)
    wire.hold()
    for _ in range(200):
        await asyncio.sleep(0)
    assert source.taken - len(wire.bodies) <= 2
    wire.leave()
    await sending
    source.verify()


async def test_a_source_that_never_waits_gives_others_turns_though_it_sends_nothing():
    """Promise P8."""

    async def much_of_nothing():
        for _ in range(200_000):
            yield b""

    wire, beats = Wire(b""), 0
    sending = asyncio.create_task(StreamResponse(much_of_nothing())(wire.scope, wire.receive, wire.send))
    while not sending.done():
        beats += 1
        await asyncio.sleep(0)
    assert beats > 20


async def test_a_timeout_around_a_yield_is_the_sources_own(monkeypatch):
    """Promise P7."""
    monkeypatch.setattr("streamflow.web.exchange._BREAKING", 0.01)

    async def impatient():
        async with asyncio.timeout(0.02):
            yield b"x" * 20_000

    wire = Wire(b"")
    wire.hold()
    with pytest.raises(TimeoutError):
        await StreamResponse(impatient())(wire.scope, wire.receive, wire.send)


async def test_a_source_that_goes_on_after_its_own_timeout_is_an_error_and_not_a_lost_piece(monkeypatch):
    """Promise P2."""
    monkeypatch.setattr("streamflow.web.exchange._BREAKING", 0.01)

    async def undeterred():
        for _ in itertools.count():
            with anyio.move_on_after(0.02):
                yield b"x" * 20_000

    wire = Wire(b"")
    wire.hold()
    with pytest.raises(sf.StageError, match=r"\.buffer\(1\)"):
        await StreamResponse(undeterred())(wire.scope, wire.receive, wire.send)
    assert not wire.complete


async def test_a_late_piece_that_cannot_be_sent_ends_the_response():
    async def quiet():
        yield b"a"
        await asyncio.sleep(3600)

    async def refuse(message):
        raise RuntimeError("no such header")

    wire = Wire(b"")
    with pytest.raises(RuntimeError, match="no such header"):
        await StreamResponse(quiet(), within=0.001)(wire.scope, wire.receive, refuse)


async def test_a_channel_is_its_users_to_close():
    channel = sf.Channel(10)
    await channel.put(b"a")
    channel.close()
    assert (await exchanged(StreamResponse(channel))).body == b"a"


class Slow:
    """A response whose pieces leave late, which is cancelled."""

    def __init__(self):
        self.wire, self.calls = Wire(b""), []
        self.source = TrackedSource([b"a", b"b" * 20_000, b"c"], delay=1)

    async def __call__(self):
        response = StreamResponse(
            self.source,
            within=0.5,
            on_complete=lambda sent: self.calls.append("complete"),
            on_disconnect=self.calls.append,
        )
        await response(self.wire.scope, self.wire.receive, self.wire.send)

    def check(self, _):
        self.source.verify()
        assert self.calls in ([], ["complete"], ["cancelled"])
        assert (self.calls == ["complete"]) == self.wire.complete


def test_cancelled_at_every_step_it_is_closed_in_its_task():
    """H83."""
    cancel_everywhere(Slow, Slow.check)


async def test_a_source_that_answers_its_cancellation_by_returning_has_not_failed():
    """Where it stands at its `yield`, as anywhere else."""

    async def obliging():
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                yield b"x" * 20_000

    wire, calls = Wire(b""), []
    response = StreamResponse(obliging(), on_disconnect=calls.append, on_error=calls.append)
    sending = asyncio.create_task(response(wire.scope, wire.receive, wire.send))
    for _ in range(50):
        await asyncio.sleep(0)
    wire.hold()
    for _ in range(50):
        await asyncio.sleep(0)
    wire.leave()
    await sending
    assert wire.bodies
    assert calls == ["left"]


async def test_a_source_that_returns_after_its_own_timeout_is_an_error_and_not_a_lost_piece(monkeypatch):
    """Promise P2."""
    monkeypatch.setattr("streamflow.web.exchange._BREAKING", 0.01)

    async def giving_up():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                yield b"x" * 20_000

    wire = Wire(b"")
    wire.hold()
    with pytest.raises(sf.StageError, match=r"\.buffer\(1\)"):
        await StreamResponse(giving_up())(wire.scope, wire.receive, wire.send)
    assert not wire.complete


class OneAtATime:
    """A delivery that takes its time, and notes what it was given and whether anything came meanwhile."""

    def __init__(self):
        self.taken, self.busy, self.overlapped = b"", False, False

    async def send(self, data):
        self.overlapped |= self.busy
        self.busy = True
        for _ in range(10):
            await asyncio.sleep(0)
        self.taken += data
        self.busy = False

    async def turn(self):
        return 1

    straight = token = None

    async def end(self, rest):
        self.taken += rest


async def test_the_clock_that_strikes_as_a_late_piece_has_left_starts_one_that_is_waited_for_too():
    delivery = OneAtATime()
    direct = Direct(delivery, pytest.fail, min_chunk=50, within=60)

    def strike(_=None):
        direct._due = 0.0
        direct._time_is_up()

    async def chunks():
        yield b"a"
        strike()
        await asyncio.sleep(0)  # it has taken what was held
        direct._late.add_done_callback(strike)
        yield b"b"
        yield b"c" * 70_000

    await direct.sending(chunks())
    assert delivery.taken == b"ab" + b"c" * 70_000
    assert not delivery.overlapped


async def test_sources_that_never_wait_take_turns_with_each_other(monkeypatch):
    """P8: what takes longer than a slice is followed by a turn of the others, however many responses there are."""
    monkeypatch.setattr(budget, "perf_counter", itertools.count(step=2 * budget._SLICE).__next__)
    log = []

    async def busy(name):
        for _ in range(30):
            log.append(name)
            yield b"x" * 65_536

    await asyncio.gather(*(exchanged(StreamResponse(busy(name))) for name in "ab"))
    runs = [len(list(run)) for _, run in itertools.groupby(log[4:-4])]
    assert max(runs) == 1


async def test_a_turn_that_another_response_had_is_a_turn(monkeypatch):
    monkeypatch.setattr(budget, "perf_counter", itertools.count(step=2 * budget._SLICE).__next__)
    pauses = []
    pause = budget.Budget.pause

    async def counted(self):
        pauses.append(self)
        await pause(self)

    monkeypatch.setattr(budget.Budget, "pause", counted)

    async def polite():
        for _ in range(100):
            await asyncio.sleep(0)
            yield b"x" * 65_536

    await asyncio.gather(*(exchanged(StreamResponse(polite())) for _ in range(2)))
    assert len(pauses) < 5
