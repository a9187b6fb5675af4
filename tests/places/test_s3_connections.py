"""Connections that serve several requests: kept while they are good, made anew when they are not, closed at the end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import warnings

import pytest

from streamflow.places.patience import Patience
from streamflow.places.s3_answers import exchanged
from streamflow.places.s3_connections import Connections
from streamflow.places.s3_line import Line

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Server:
    """Keeps its connections open for so many requests each; counts both, and closes without a word."""

    def __init__(self, lasts=1000, answer=OK, hears=True):
        self.lasts, self.answer, self.hears = lasts, answer, hears
        self.connections, self.bodies, self.tasks = 0, [], set()
        self.heard = asyncio.Event()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/b/k?x="
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.server.wait_closed()

    def _accepted(self, reader, writer):
        self.connections += 1
        self.heard.set()
        task = asyncio.ensure_future(self._served(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        task.add_done_callback(lambda _: writer.close())  # one that is cancelled before it began closes nothing

    async def _served(self, reader, writer):
        try:
            for _ in range(self.lasts):
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
                self.bodies.append(await reader.readexactly(length) if self.hears else b"")
                writer.write(self.answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def line(*, keeps=True, **times):
    made = Line({}, Patience(**times))
    if keeps:
        made.keep()
    return made


async def put(over, server, *body):
    sending = over.request("PUT", server.url, [memoryview(piece) for piece in body], {"content-type": "x"})
    return await asyncio.to_thread(exchanged, sending, over)


async def test_a_kept_connection_serves_one_request_after_the_other():
    over = line()
    async with Server() as server:
        answers = [await put(over, server, b"ab", b"c") for _ in range(3)]
        over.close()
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"ok")}
    assert server.bodies == [b"abc"] * 3
    assert server.connections == 1


async def test_at_once_there_are_as_many_as_needed():
    over = line()
    async with Server() as server:
        await asyncio.gather(*(put(over, server, b"x" * 1_000_000) for _ in range(3)))
        await asyncio.gather(*(put(over, server, b"x" * 1_000_000) for _ in range(3)))
        over.close()
    assert len(server.bodies) == 6
    assert server.connections <= 3


@pytest.mark.parametrize("size", [1, 20_000_000])
async def test_one_that_the_server_has_closed_meanwhile_is_replaced(size):
    over = line()
    async with Server(lasts=1) as server:
        for _ in range(3):
            assert (await put(over, server, bytes(size))).status == 200
        over.close()
    assert server.bodies == [bytes(size)] * 3


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nserver: s", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK"])
async def test_an_answer_that_is_cut_in_its_head_is_none(head, keeps):
    """`http.client` would take it for a success without an ETag."""
    over = line(keeps=keeps)
    async with Server(lasts=1, answer=head) as server:
        answer = await put(over, server, b"x")
        over.close()
    assert (answer.status, answer.body) == (0, b"the head of the answer was cut")
    assert server.connections == 1


async def test_what_is_no_http_is_no_answer():
    over = line()
    async with Server(lasts=1, answer=b"SSH-2.0-x\r\n") as server:
        answer = await put(over, server, b"x")
        over.close()
    assert (answer.status, answer.body) == (0, b"SSH-2.0-x\r\n")


async def test_a_new_one_that_the_server_closes_is_an_error():
    """Only a kept one is replaced at once; the rest is for the repetitions, which wait."""
    over = line()
    async with Server(lasts=0) as server:
        assert (await put(over, server, b"x")).status == 0
        over.close()
    assert server.connections == 1


async def test_an_answer_before_the_body_was_heard_counts():
    refusal = b"HTTP/1.1 403 No\r\ncontent-length: 4\r\nconnection: close\r\n\r\nno, "
    over = line()
    async with Server(lasts=1, answer=refusal, hears=False) as server:
        answer = await put(over, server, bytes(100_000))
        over.close()
    assert (answer.status, answer.body) == (403, b"no, ")


async def test_without_keeping_each_request_has_its_own():
    over = line(keeps=False)
    async with Server() as server:
        for _ in range(2):
            await put(over, server, b"x")
    assert server.connections == 2


async def test_a_closed_line_keeps_nothing():
    over = line()
    async with Server() as server:
        await put(over, server, b"x")
        over.close()
        await put(over, server, b"x")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            gc.collect()
    assert server.connections == 2


async def test_a_body_that_is_not_taken_is_given_up_when_it_was_said():
    """A socket's own limit counts from the last byte that went; this one is for all of them."""
    over = line(timeout=0.1)
    held = asyncio.Event()

    async def deaf(reader, writer):
        await held.wait()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    sending = over.request("PUT", url, [memoryview(bytes(30_000_000))], {})
    answer = await asyncio.to_thread(exchanged, sending, over)
    held.set()
    over.close()
    server.close()
    await server.wait_closed()
    assert answer.status == 0
    assert b"timed out" in answer.body


async def test_a_body_that_stands_still_is_given_up_though_it_has_more_time():
    """A part of many GiB has hours, but not for nothing."""
    over, held = line(timeout=0.1), asyncio.Event()

    async def deaf(reader, writer):
        await held.wait()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    sending = over.request("PUT", url, [memoryview(bytes(30_000_000))], {}, 10_000)
    try:
        async with asyncio.timeout(20):
            answer = await asyncio.to_thread(exchanged, sending, over)
    finally:
        held.set()
        over.close()
        server.close()
        await server.wait_closed()
    assert answer.status == 0
    assert b"timed out" in answer.body


async def test_a_connection_that_was_idle_for_long_is_not_used_again():
    """A router between may have forgotten it: what is sent over it is heard by nobody."""
    over = line(pool_idle_timeout=0)
    async with Server() as server:
        for _ in range(3):
            await put(over, server, b"x")
        over.close()
    assert server.bodies == [b"x"] * 3
    assert server.connections == 3


async def test_an_announcement_of_an_answer_is_not_taken_for_that_of_the_next_request():
    announced = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    over = line()
    async with Server(answer=announced + OK) as server:
        answers = [await put(over, server, b"x") for _ in range(2)]
        over.close()
    assert [answer.status for answer in answers] == [103, 103]
    assert server.connections == 2


async def test_a_request_that_was_dropped_before_it_began_is_not_sent():
    over = line()
    async with Server() as server:
        sending = over.request("PUT", server.url, [memoryview(b"x")], {})
        sending.drop()
        answer = await asyncio.to_thread(exchanged, sending, over)
        over.close()
    assert (answer.status, server.bodies, server.connections) == (0, [], 0)
    assert b"given up" in answer.body


async def test_a_request_that_is_dropped_while_it_connects_is_not_sent(monkeypatch):
    over, real = line(), socket.create_connection
    async with Server() as server:
        sending = over.request("PUT", server.url, [memoryview(b"x")], {})

        def create(*arguments, **options):
            sending.drop()
            return real(*arguments, **options)

        monkeypatch.setattr(socket, "create_connection", create)
        answer = await asyncio.to_thread(exchanged, sending, over)
        over.close()
        await server.heard.wait()  # it may be told of the connection later than we ended it
    assert (answer.status, server.bodies) == (0, [])
    assert b"given up" in answer.body


async def test_a_request_that_is_dropped_when_it_has_got_a_kept_connection_is_not_sent(monkeypatch):
    over, real = line(), Connections.taken
    async with Server() as server:
        await put(over, server, b"first")
        sending = over.request("PUT", server.url, [memoryview(b"second")], {})

        def taken(connections, place):
            sending.drop()
            return real(connections, place)

        monkeypatch.setattr(Connections, "taken", taken)
        answer = await asyncio.to_thread(exchanged, sending, over)
        over.close()
    assert (answer.status, server.bodies, server.connections) == (0, [b"first"], 1)


async def test_an_answer_that_closes_the_connection_and_stalls_can_be_given_up(monkeypatch):
    """X2: `http.client` forgets the socket of such a connection before the body has been read."""
    loop, reading, held, real = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event(), Line.read
    over = line(timeout=3600)

    async def stalling(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 10\r\n\r\nab")
        await held.wait()
        writer.close()

    def read(*arguments):
        loop.call_soon_threadsafe(reading.set)
        return real(*arguments)

    monkeypatch.setattr(Line, "read", read)
    server = await asyncio.start_server(stalling, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    sending = over.request("PUT", url, [memoryview(b"x")], {})
    try:
        async with asyncio.timeout(20):
            answering = asyncio.ensure_future(asyncio.to_thread(exchanged, sending, over))
            await reading.wait()
            sending.drop()
            answer = await answering
    finally:
        held.set()
        over.close()
        server.close()
        await server.wait_closed()
    assert answer.status == 0
