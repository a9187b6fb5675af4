"""One reader of `receive`: the body comes whole, a disconnect is seen, and a slow reader stops the client."""

from __future__ import annotations

import asyncio

import pytest

from streamflow.web.inbox import Inbox
from streamflow.web.refusals import ClientDisconnected

DISCONNECT = {"type": "http.disconnect"}


def part(body, more=True):
    return {"type": "http.request", "body": body, "more_body": more}


class Server:
    """Gives messages as they are put; `asked` counts how often somebody received."""

    def __init__(self, *messages):
        self.queue = asyncio.Queue()
        self.asked = 0
        for message in messages:
            self.queue.put_nowait(message)

    async def receive(self):
        self.asked += 1
        assert not (self.queue._getters), "two receive at once"
        return await self.queue.get()


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


async def body_of(inbox):
    data = b""
    while True:
        some, more = await inbox.body_message()
        data += some
        if not more:
            return data


async def test_the_body_comes_to_its_end_once():
    inbox = Inbox(Server(part(b"a"), part(b""), part(b"b"), part(b"", more=False)).receive)
    assert await body_of(inbox) == b"ab"
    assert await inbox.body_message() == (b"", False)


async def test_a_client_that_leaves_before_the_end_of_its_body_is_an_error():
    """Promise P5."""
    inbox = Inbox(Server(part(b"a"), DISCONNECT).receive)
    assert await inbox.body_message() == (b"a", True)
    with pytest.raises(ClientDisconnected):
        await inbox.body_message()
    with pytest.raises(ClientDisconnected):
        await inbox.body_message()


async def test_who_watches_for_a_disconnect_takes_nothing_from_who_reads():
    """H74."""
    server = Server(*[part(b"%d," % number) for number in range(20)], part(b"end", more=False))
    inbox = Inbox(server.receive)
    inbox.claimed = True
    watching = asyncio.create_task(inbox.disconnected())
    await turns()
    assert await body_of(inbox) == b"".join(b"%d," % number for number in range(20)) + b"end"
    await turns()
    assert not watching.done()
    server.queue.put_nowait(DISCONNECT)
    await watching


async def test_one_message_is_read_ahead_and_no_more():
    server = Server(part(b"a"), part(b"b"), part(b"c", more=False))
    inbox = Inbox(server.receive)
    watching = asyncio.create_task(inbox.disconnected())
    await turns(20)
    assert server.asked == 1
    assert await body_of(inbox) == b"abc"
    watching.cancel()
    await asyncio.wait([watching])


async def test_a_disconnect_is_seen_while_somebody_waits_for_the_body():
    server = Server()
    inbox = Inbox(server.receive)
    reading = asyncio.create_task(inbox.body_message())
    await turns()
    watching = asyncio.create_task(inbox.disconnected())
    await turns()
    server.queue.put_nowait(DISCONNECT)
    await watching
    with pytest.raises(ClientDisconnected):
        await reading


async def test_who_watches_takes_over_when_the_reader_is_cancelled():
    server = Server()
    inbox = Inbox(server.receive)
    reading = asyncio.create_task(inbox.body_message())
    await turns()
    watching = asyncio.create_task(inbox.disconnected())
    await turns()
    reading.cancel()
    await asyncio.wait([reading])
    server.queue.put_nowait(DISCONNECT)
    await watching


async def test_the_reader_takes_over_when_the_watcher_is_cancelled():
    server = Server()
    inbox = Inbox(server.receive)
    watching = asyncio.create_task(inbox.disconnected())
    await turns()
    reading = asyncio.create_task(inbox.body_message())
    await turns()
    watching.cancel()
    await asyncio.wait([watching])
    server.queue.put_nowait(part(b"a", more=False))
    assert await reading == (b"a", False)


async def test_a_disconnect_is_seen_behind_a_body_that_nobody_wants_any_more():
    server = Server(part(b"a"), part(b"b"), part(b"c", more=False), DISCONNECT)
    inbox = Inbox(server.receive)
    watching = asyncio.create_task(inbox.disconnected())
    await turns(20)
    assert not watching.done()
    inbox.abandon()
    await watching


async def test_what_receive_raises_reaches_who_received():
    async def broken():
        raise RuntimeError("not now")

    inbox = Inbox(broken)
    with pytest.raises(RuntimeError, match="not now"):
        await inbox.body_message()
    with pytest.raises(RuntimeError, match="not now"):
        await inbox.disconnected()


async def test_a_request_has_one_inbox_for_who_reads_and_who_watches():
    server, scope = Server(part(b"a", more=False)), {}
    watched = Inbox.watching(scope, server.receive)
    news = asyncio.create_task(watched.news())
    await news
    assert watched.unread
    assert Inbox.of(scope, server.receive) is watched
    assert not watched.unread
    Inbox.forget(scope)
    assert scope == {}


async def test_a_middleware_that_receives_for_itself_gets_an_inbox_of_its_own():
    scope = {}
    assert Inbox.of(scope, Server().receive) is not Inbox.of(scope, Server().receive)
