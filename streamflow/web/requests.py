"""The body of a request as a source: bounded in bytes and in time, and read only where it may be read.

What lives here: `body`, and `BodyReader`, through which `parts` reads too. What must not: `receive` itself (inbox.py),
what the bytes mean (multipart.py, formats/).

* *One reader.* All messages of a request come through its `Inbox`, so that a response which watches for a disconnect
  does not throw away what is still being uploaded.
* *The client's pace.* A chunk is asked for when there is room for it. A server stops reading from the socket when
  nobody asks, so a slow sink stops the client: what is held is the channels, one chunk, and the buffers of transport.
* *An end is an end.* The source ends when the server says that the body is complete and its length is what the header
  said. A client that leaves before is an error, and what a sink had begun is aborted.
* *Limits are answers.* The errors are `HTTPException`s of Starlette too, so that a framework answers 413 and 408, as
  long as no response has begun; afterwards the connection is aborted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request

from streamflow.engine.clock import seconds_of
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.stages import Source
from streamflow.streams import Stream
from streamflow.web.inbox import Inbox
from streamflow.web.lingering import linger
from streamflow.web.patience import Patience
from streamflow.web.refusals import ClientDisconnected, Refusal, RequestTimeout, RequestTooLarge, refusing

__all__ = ["MAX_BODY", "MIN_RATE", "WINDOW", "BodyReader", "body"]

MAX_BODY = 100 << 20
"""How many bytes a body may have where nobody says otherwise: 100 MiB."""

MIN_RATE = 128.0
"""How many bytes a second a client has to send where nobody says otherwise."""

WINDOW = 30.0
"""Over how many seconds a client may be slower than `min_rate`, where nobody says otherwise."""

_CLAIMED = "streamflow.body"  # in the scope: the body has been read, or is being read


def body(
    request: Request,
    *,
    max_bytes: int = MAX_BODY,
    timeout: float | None = None,
    min_rate: float | None = MIN_RATE,
    window: float = WINDOW,
) -> Stream[bytes]:
    """Read the body of a request as it comes: a stream of `bytes`, at the pace of whoever takes them.

    Example:
        @app.put("/orders/{name}")
        async def upload(request: Request, name: str):
            stored = await sf.pipeline(web.body(request), objects.write(f"s3://bucket/{quote(name, safe='')}"))
            return {"bytes": stored.bytes}

        @app.post("/clean")
        async def clean(request: Request):      # upload, transform and download in one request
            return web.StreamResponse(web.body(request).through(csv.parse()).map(cleaned).through(csv.format()))

    The chunks are as the server gives them, mostly up to 64 KiB; they end anywhere. The stream can be run once. It
    gives what has been read before, if the framework has read the whole body. A body need not be read to its end.

    Args:
        request: of Starlette or FastAPI.
        max_bytes: how many bytes the body may have; by default 100 MiB. This is no question of memory.
        timeout: seconds to wait for the client in all; by default no limit.
        min_rate: bytes a second the client has to send at least, `None` for no limit.
        window: seconds over which it may be slower, so also how long it may send nothing at all.

    For both limits only the time counts over which we wait for the client, not that over which it waits for us.

    Raises at once `RequestTooLarge` (413) where the header says that the body is too large, so that nothing is read or
    opened; `UsageError` for limits that cannot mean anything, and where somebody reads `request.stream()`. When it runs
    `RequestTooLarge` where more bytes come, `RequestTimeout` (408), `ClientDisconnected`, and `UsageError` the second
    time. Cancellation: nothing to undo.
    """
    reader = BodyReader(request, max_bytes=max_bytes, timeout=timeout, min_rate=min_rate, window=window)
    return Stream(Source(reader.chunks, name="web.body"))


class BodyReader:
    """One body, chunk by chunk, within its limits; the arguments are those of `body`."""

    def __init__(
        self, request: Request, *, max_bytes: int, timeout: float | None, min_rate: float | None, window: float
    ) -> None:
        """Check the limits and the header; nothing is read yet."""
        self._begun = self._over = self._given_up = False
        self._task = _current_task()
        check_capacity("max_bytes", max_bytes)
        self._patience = Patience(
            None if timeout is None else seconds_of("timeout", timeout),
            None if min_rate is None else seconds_of("min_rate", min_rate),
            seconds_of("window", window),
        )
        self._max_bytes = max_bytes
        self._request = request
        self._refuse_second_reader()
        self._length = _length_of(request.headers)
        # From here on, so that a response knows before the first byte is asked for.
        self._inbox = Inbox.of(request.scope, request.receive)
        if self._length is not None and self._length > max_bytes:
            with self.refusing():
                raise RequestTooLarge(f"The body has {self._length:,} bytes", max_bytes, "max_bytes")

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Give the chunks; the source of a stream. What is not read when it is closed will never be read."""
        self.claim()
        try:
            while chunk := await self.chunk():
                yield chunk
        finally:
            self._abandon()

    def _abandon(self) -> None:
        """Nobody reads the rest: drop it as it comes."""
        if not (self._over or self._given_up):
            self._given_up = True
            self._inbox.abandon()
            linger(self._inbox, self._request.receive, self._task)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Give the body up where the request is refused in this block, and say so in the answer."""
        try:
            with refusing(self._request.scope):
                yield
        except Refusal:
            self._abandon()
            raise

    def __del__(self) -> None:
        """Nobody can read on, as when a loop over parts was left: then a response must not wait for a reader."""
        if self._begun:
            self._abandon()
        elif hasattr(self, "_inbox"):
            self._inbox.unclaim()

    def claim(self) -> None:
        """Begin to read, or raise `UsageError` where somebody has begun before."""
        self._refuse_second_reader()
        if self._request.scope.get(_CLAIMED):
            raise UsageError(
                "The body of this request has been read already, and it comes only once. Run the stream of "
                "web.body(request) one time; sf.tee gives it to several."
            )
        self._request.scope[_CLAIMED] = self._begun = True

    def _refuse_second_reader(self) -> None:
        if _whole_of(self._request) is None and getattr(self._request, "_stream_consumed", False):
            raise UsageError(
                "The body of this request was read with request.stream() or request.form(), and it comes only once. "
                "Read it with web.body(request) or web.parts(request) instead."
            )

    async def chunk(self) -> bytes:
        """Return the next bytes, never none before the end: then `b""`. Cancellation: nothing was taken."""
        while not self._over:
            with self.refusing():
                data, more = await self._message()
                self._over = not more
                self._check(len(data))
            if self._over:
                Inbox.forget(self._request.scope)  # it has done its work, and the scope holds it in a circle
            if data:
                return data
        return b""

    async def _message(self) -> tuple[bytes, bool]:
        whole = _whole_of(self._request)
        if whole is not None:
            return whole, False
        time, limit = asyncio.get_running_loop().time, asyncio.timeout(self._patience.left())
        since = time()
        try:
            async with limit:
                return await self._inbox.body_message()
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            self._patience.waited(time() - since)
        raise RequestTimeout(self._patience.over())

    def _check(self, size: int) -> None:
        self._patience.received(size)
        came = self._patience.bytes
        if came > self._max_bytes:
            raise RequestTooLarge(f"The body has {came:,} bytes so far", self._max_bytes, "max_bytes")
        if self._over and self._length is not None and came < self._length and _is_as_sent(self._request.headers):
            raise ClientDisconnected(
                f"The body ended after {came:,} of the {self._length:,} bytes its header promised."
            )


def _current_task() -> asyncio.Task[Any] | None:
    """Return the task of the request; none in a thread."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _whole_of(request: Request) -> bytes | None:
    """Return the body that the framework has read before and keeps."""
    whole: bytes | None = getattr(request, "_body", None)
    return whole


def _length_of(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def _is_as_sent(headers: Mapping[str, str]) -> bool:
    """Whether the length is of these bytes: where the body is compressed a middleware may have decompressed it."""
    return "content-encoding" not in headers
