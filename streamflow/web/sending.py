"""The sink of a response: the pieces of a stream to the messages of ASGI.

What lives here: `Head` and `Delivery`. What must not: watching the client (client.py), what a failure leads to
(responses.py).

* The headers go out with the first bytes, so that whatever fails before them can still be answered with its own status.
  A body that is over before anything was sent has its length in the headers.
* The event loop gets a real turn every half a millisecond: a server that has lost its client may take everything
  without ever waiting, and nobody would notice (H73).
* A body whose length is in its headers must have that length.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders

from streamflow.engine.budget import Budget
from streamflow.engine.reader import Reader
from streamflow.errors import TruncatedError, UsageError
from streamflow.web.client import Client
from streamflow.web.coalescing import PIECE, Pieces
from streamflow.web.compressing import Encoder
from streamflow.web.inbox import Message

__all__ = ["TURNS", "Delivery", "Head"]

_EMPTY = {204, 304}  # statuses of responses that have no body
_MOST = 8  # pieces until the next look at the clock: half a MiB takes less than half a millisecond


class _Turns(threading.local):
    """Whose turn it was last in the loop of a thread: the budget of a delivery."""

    last: Budget | None = None


TURNS = _Turns()
"""Where a response finds out whether another one has run since: then the loop has had a turn."""


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
        self._plain = head.length is None and head.status not in _EMPTY
        self._ready = False
        self._budget = Budget()

    async def deliver(self, chunks: Reader[Any]) -> None:
        """Send all of it. Returns when the server has taken the last byte. Cancellation: leaves the body unended."""
        pieces, left = Pieces(chunks, min_chunk=self._min_chunk, within=self._within), 0
        while (some := await pieces.more()) is not None:
            for data in some:
                await self.send(data)
                left -= 1
                if left <= 0:
                    left = await self.turn()
        await self.end(pieces.rest())

    async def turn(self) -> int:
        """Let the others have a turn if it is time, and they had none of late; return how many pieces may go then."""
        if self._budget.look():
            await self._budget.pause()
            TURNS.last = self._budget
        return min(self._budget.size, _MOST)

    @property
    def token(self) -> Budget:
        """What stands for this response in `TURNS`."""
        return self._budget

    @property
    def straight(self) -> Callable[[Message], Awaitable[None]] | None:
        """What takes the messages of whole pieces, where nothing has to be done to them any more."""
        return self._client.send if self._ready and self._encoder is None else None

    def send(self, data: bytes) -> Awaitable[None]:
        """Send a piece. Cancellation: it may have been sent."""
        if self._encoder is not None:
            data = self._encoder.feed(data)
        if not self._ready:
            return self._send_first(data)
        self.bytes += len(data)
        return self._client.send({"type": "http.response.body", "body": data, "more_body": True})

    async def _send_first(self, data: bytes) -> None:
        """Send a piece before which there is something to do: the first one, or one of a body of a certain length."""
        if not self._plain:
            self._check_length(self.bytes + len(data))
        if not self.started:
            await self._start()
        self.bytes += len(data)
        await self._client.send({"type": "http.response.body", "body": data, "more_body": True})
        self._ready = self._plain

    async def _start(self) -> None:
        self.started = True
        await self._client.send(self._head.message())

    async def end(self, rest: bytes) -> None:
        """Send what is left and the end. Cancellation: leaves the body unended."""
        data = rest
        if self._encoder is not None:
            data = self._encoder.feed(rest) + self._encoder.finish()
            self._encoder = None
        if not self._plain:
            self._check_length(self.bytes + len(data), over=True)
        elif not self.started:
            self._head.headers["content-length"] = str(len(data))
        if len(data) > PIECE:  # an encoder had much to say at its end
            await self.send(data[:-PIECE])
            data = data[-PIECE:]
        if not self.started:
            await self._start()
        await self._client.last_look()
        self._client.ended = True
        await self._client.send({"type": "http.response.body", "body": data, "more_body": False})
        self.bytes += len(data)
        self.ended = True

    def _check_length(self, size: int, *, over: bool = False) -> None:
        said = self._head.length
        if self._head.status in _EMPTY:
            if size:
                raise UsageError(f"A response with status {self._head.status} has no body, and the stream gave bytes.")
        elif said is not None and (size > said or (over and size < said)):
            raise TruncatedError(
                f"The headers say {said:,} bytes, and the stream gave {size:,}{'' if over else ' so far'}."
            )
