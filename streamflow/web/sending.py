"""The sink of a response: the pieces of a stream to the messages of ASGI.

What lives here: `Head` and `Delivery`. What must not: watching the client (client.py), what a failure leads to
(responses.py).

* The headers go out with the first bytes, so that whatever fails before them can still be answered with its own status.
  A body that is over before anything was sent has its length in the headers.
* Before each piece the event loop gets a real turn: a server that has lost its client may take everything without ever
  waiting, and nobody would notice (H73).
* A body whose length is in its headers must have that length.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders

from streamflow.engine.reader import Reader
from streamflow.errors import TruncatedError, UsageError
from streamflow.web.client import Client
from streamflow.web.coalescing import PIECE, Pieces, Some
from streamflow.web.compressing import Encoder

__all__ = ["Delivery", "Head"]


@dataclass
class Head:
    """Status and headers of a response, about to be sent."""

    status: int
    headers: MutableHeaders

    def message(self) -> dict[str, Any]:
        """Return the first message of a response."""
        return {"type": "http.response.start", "status": self.status, "headers": self.headers.raw}

    @property
    def length(self) -> int | None:
        """What the headers say how many bytes follow."""
        said = self.headers.get("content-length")
        return int(said) if said is not None and said.isdigit() else None


class Delivery:
    """Sends a stream to a client; its `deliver` is a sink: `stream.to(delivery.deliver)`.

    `started` says whether the headers went out, `ended` whether the server has taken the last byte; `bytes` counts
    those of the body.

    Args:
        client: whom to send to.
        head: status and headers.
        encoder: compresses, or `None`.
        min_chunk, within: as for `Pieces`.
    """

    def __init__(self, client: Client, head: Head, encoder: Encoder | None, *, min_chunk: int, within: float) -> None:
        """Nothing is sent yet."""
        self.started = False
        self.ended = False
        self.bytes = 0
        self._client = client
        self._head = head
        self._encoder = encoder
        self._min_chunk = min_chunk
        self._within = within
        self._loop = asyncio.get_running_loop()
        self._turned = False
        self._exact = head.length is not None or head.status in {204, 304}

    async def deliver(self, chunks: Reader[Any]) -> None:
        """Send all of it. Returns when the server has taken the last byte. Cancellation: leaves the body unended."""
        pieces = Pieces(chunks, min_chunk=self._min_chunk, within=self._within)
        while (some := await pieces.more()) is not None:
            await self.put(some)
        await self.end(pieces.rest())

    async def put(self, some: Some) -> None:
        """Send some pieces. Cancellation: some of them may have been sent."""
        for data in some.data if self._encoder is None else _encoded(some, self._encoder):
            await self._send(data)

    async def end(self, rest: bytes) -> None:
        """Send what is left and the end. Cancellation: leaves the body unended."""
        await self._end(b"".join(self._last(rest)))

    def _last(self, data: bytes) -> Iterator[bytes]:
        if self._encoder is None:
            yield data
        else:
            yield from self._encoder.feed(data)
            yield from self._encoder.finish()

    async def _send(self, data: bytes) -> None:
        if self._exact:
            self._check_length(self.bytes + len(data))
        if not self.started:
            await self._start()
        if not self._turned:
            await asyncio.sleep(0)
        self._turned = False
        self._loop.call_soon(self._note_turn)
        self.bytes += len(data)
        await self._client.send({"type": "http.response.body", "body": data, "more_body": True})

    async def _turn(self) -> None:
        """Let the event loop have a turn, unless it has had one since the last piece: a wait for more was one."""
        if not self._turned:
            await asyncio.sleep(0)
        self._turned = False
        self._loop.call_soon(self._note_turn)

    def _note_turn(self) -> None:
        self._turned = True

    async def _start(self) -> None:
        self.started = True
        await self._client.send(self._head.message())

    async def _end(self, data: bytes) -> None:
        if not self.started and self._head.length is None and self._head.status not in {204, 304}:
            self._head.headers["content-length"] = str(len(data))
        self._check_length(self.bytes + len(data), over=True)
        if len(data) > PIECE:  # an encoder had much to say at its end
            await self._send(data[:-PIECE])
            data = data[-PIECE:]
        if not self.started:
            await self._start()
        await self._turn()
        self._client.ended = True
        await self._client.send({"type": "http.response.body", "body": data, "more_body": False})
        self.bytes += len(data)
        self.ended = True

    def _check_length(self, size: int, *, over: bool = False) -> None:
        said = self._head.length
        if self._head.status in {204, 304}:
            if size:
                raise UsageError(f"A response with status {self._head.status} has no body, and the stream gave bytes.")
        elif said is not None and (size > said or (over and size < said)):
            raise TruncatedError(
                f"The headers say {said:,} bytes, and the stream gave {size:,}{'' if over else ' so far'}."
            )


def _encoded(some: Some, encoder: Encoder) -> Iterator[bytes]:
    for data in some.data:
        yield from encoder.feed(data)
    if some.live:
        yield from encoder.flush()
