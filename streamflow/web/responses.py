"""A stream as an HTTP response that gets right what `StreamingResponse` leaves to its user.

What lives here: `StreamResponse`. What must not: how it is sent and how it ends (exchange.py), formats (ndjson.py,
tables.py, sse.py).

It reads only as far ahead as its channels allow, so a client that stops reading stops the source. However it ends,
every generator is closed, in its own task, before control returns, also when the server cancels the request. A failure
names its stage. Why a bare `StreamingResponse` does none of this: docs/web.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from streamflow.errors import UsageError
from streamflow.stages import GRACE
from streamflow.streams import Stream
from streamflow.streams import stream as stream_of
from streamflow.types import MaybeAwaitable, SourceLike
from streamflow.web.client import Reason, Send
from streamflow.web.compressing import Compress, codings
from streamflow.web.endings import Calls, Outcome, Sent
from streamflow.web.exchange import Exchange
from streamflow.web.headers import check_headers, content_disposition
from streamflow.web.inbox import Receive
from streamflow.web.sending import Head
from streamflow.web.settings import MAXSIZE, Settings

__all__ = ["StreamResponse"]

Chunk: TypeAlias = bytes | bytearray | memoryview | str


class StreamResponse(Response):
    """A stream of bytes or text as a response, for FastAPI, Starlette and any other ASGI app.

    Example:
        @app.get("/orders.csv")
        async def orders():
            rows = sf.stream(database.rows("select * from orders"))
            return web.StreamResponse(rows.through(csv.format()), media_type="text/csv", filename="orders.csv")

    Nothing is read before the response is sent, and the headers wait for the first bytes: what fails before them is
    answered with its own status. Later the connection is broken, so that nobody takes a part for the whole. A HEAD
    request gets the headers; the stream is not read and nothing is called.

    Args:
        stream: a `Stream`, or any iterable or async iterable, of bytes or text (which is sent as UTF-8).
        status_code: of a complete response.
        media_type: for `Content-Type`.
        filename: have a browser save it under this name.
        headers: more of them. With a `Content-Length` the stream has to have that length.
        compress: `True` for the best coding that the client takes and that is installed here, or names of codings; what
            the client needs to read what was sent so far is flushed when the stream pauses.
        min_chunk: smaller chunks are joined until there are so many bytes.
        within: but for no longer than so many seconds.
        send_timeout: seconds the client may take for one piece of up to 64 KiB, `None` for no limit.
        min_rate: bytes a second it has to take, over half a minute, while we wait for it; `None` for no limit.
        grace: seconds that stages, and the function that is called at the end, may take.
        maxsize: capacity of each channel in items. By default small, but for the last one, whose items are bytes.
        max_bytes: capacity of each channel in bytes. This much is held for each client that reads slowly.
        on_complete: called with a `Sent` when the server has taken the last byte; a function or a coroutine function.
            The client has everything by then: what it raises is raised here, for the log of the server, and changes
            neither the response nor its outcome. What the other two raise is logged beside what they were told.
        on_disconnect: called with a `Reason` ("left", "stalled", "slow", "cancelled") when the client did not get
            everything.
        on_error: called with the exception when the stream failed.
        ignore_body: drop the body of the request, which otherwise has to be read, with `web.body(request)`.
        name: of the pipeline, for logs and errors; default: method and path.

    Raises `UsageError` at once for what cannot mean anything. Cancellation: stops the stream, waits until everything is
    closed and the call at the end is over, `grace` each at most, then goes on.
    """

    def __init__(
        self,
        stream: SourceLike[Chunk],
        *,
        status_code: int = 200,
        media_type: str | None = "application/octet-stream",
        filename: str | None = None,
        headers: Mapping[str, str] | None = None,
        compress: Compress = None,
        min_chunk: int = 16384,
        within: float = 0.05,
        send_timeout: float | None = 30.0,
        min_rate: float | None = None,
        grace: float = GRACE,
        maxsize: int = MAXSIZE,
        max_bytes: int = 65536,
        on_complete: Callable[[Sent], MaybeAwaitable[object]] | None = None,
        on_disconnect: Callable[[Reason], MaybeAwaitable[object]] | None = None,
        on_error: Callable[[BaseException], MaybeAwaitable[object]] | None = None,
        ignore_body: bool = False,
        name: str | None = None,
    ) -> None:
        """Check and describe it; nothing is opened or read."""
        self._stream: Stream[Chunk] = stream_of(stream)
        self._options = Settings(
            calls=Calls(on_complete, on_disconnect, on_error),
            compress=codings(compress),
            min_chunk=min_chunk,
            within=within,
            send_timeout=send_timeout,
            min_rate=min_rate,
            grace=grace,
            maxsize=maxsize,
            max_bytes=max_bytes,
            ignore_body=ignore_body,
            name=name,
        )
        self.outcome: Outcome | None = None
        self.status_code = status_code
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)
        check_headers(self.raw_headers)
        if filename is not None:
            self.headers["content-disposition"] = content_disposition(filename)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Send it."""
        if scope["type"] != "http":
            raise UsageError(f"A StreamResponse answers an HTTP request, and this is a {scope['type']}.")
        head = Head(self.status_code, MutableHeaders(raw=list(self.raw_headers)))
        exchange = Exchange(self._stream, self._options, head, scope=scope, receive=receive, send=send)
        try:
            await exchange.run()
        finally:
            self.outcome = exchange.outcome
        if self.background is not None:
            await self.background()
