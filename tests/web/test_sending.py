"""The sink of a response: the loop gets its turns between the pieces, and what is sent adds up."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from starlette.datastructures import MutableHeaders

import streamflow as sf
from streamflow.engine import budget
from streamflow.web.compressing import encoder
from streamflow.web.sending import Delivery, Head


class Taken:
    """A client that takes everything without ever waiting, and notes in which turn of the loop."""

    def __init__(self):
        self.messages = []
        self.turns = []
        self.ended = False
        self.turn = 0
        self._ticking = asyncio.create_task(self._tick())

    async def _tick(self):
        while not self.ended:
            self.turn += 1
            await asyncio.sleep(0)

    async def send(self, message):
        self.messages.append(message)
        self.turns.append(self.turn)

    async def last_look(self):
        await asyncio.sleep(0)

    async def delivered(self, stream, *, codec=None, min_chunk=1, headers=None):
        delivery = Delivery(self, Head(200, MutableHeaders(headers)), codec, min_chunk=min_chunk, within=0.05)
        try:
            await sf.pipeline(stream, delivery.deliver)
        finally:
            self.ended = True
            await self._ticking
        return delivery


async def test_the_loop_has_its_turns_between_the_pieces(monkeypatch):
    """H73: whoever has to notice that the client is gone is a task."""
    monkeypatch.setattr(budget, "perf_counter", itertools.count(step=2 * budget._SLICE).__next__)
    client = Taken()
    delivery = await client.delivered([b"piece"] * 50)
    assert delivery.bytes == 250
    assert len(client.messages) == 52
    assert len(set(client.turns[1:])) >= 40


async def test_quick_pieces_go_by_eight(monkeypatch):
    monkeypatch.setattr(budget, "perf_counter", lambda: 0.0)
    delivery = Delivery(client := Taken(), Head(200, MutableHeaders()), None, min_chunk=1, within=0)
    assert [await delivery.turn() for _ in range(5)] == [2, 4, 8, 8, 8]
    await ended(delivery, client)


async def ended(delivery, client):
    await delivery.end(b"")
    client.ended = True
    await client._ticking


async def test_the_headers_wait_for_the_first_bytes():
    async def slow():
        await asyncio.sleep(0.01)
        assert client.messages == []
        yield b"a" * 70_000

    client = Taken()
    delivery = await client.delivered(slow())
    assert [message["type"] for message in client.messages][:2] == ["http.response.start", "http.response.body"]
    assert (delivery.started, delivery.ended) == (True, True)


async def test_a_failure_leaves_the_body_unended():
    async def failing():
        yield b"a" * 70_000
        raise LookupError("no more")

    client = Taken()
    with pytest.raises(LookupError):
        await client.delivered(failing())
    assert all(message.get("more_body", True) for message in client.messages)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
async def test_what_an_encoder_holds_back_to_the_end_is_sent(name):
    client = Taken()
    delivery = await client.delivered([bytes(range(256)) * 100] * 10, codec=encoder(name))
    bodies = [message["body"] for message in client.messages[1:]]
    assert sum(map(len, bodies)) == delivery.bytes
    assert b"".join(bodies) == b"".join(encoded(name, [bytes(range(256)) * 100] * 10))


def encoded(name, chunks):
    codec = encoder(name)
    for chunk in chunks:
        yield codec.feed(chunk)
    yield codec.finish()


async def test_the_length_that_was_promised_is_checked_before_it_is_passed():
    client = Taken()
    with pytest.raises(sf.TruncatedError, match="say 100,000 bytes, and the stream gave 131,072 so far"):
        await client.delivered([bytes(65_536)] * 4, headers={"content-length": "100000"})
    assert sum(len(message.get("body", b"")) for message in client.messages) <= 100_000
