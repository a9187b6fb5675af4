"""`sse`: a stream as server-sent events, for the browser's `EventSource` (WHATWG HTML, 9.2).

What lives here: the response, the heartbeat, `last_event_id`. What must not: how an event is written (`events.py`),
sending (`responses.py`), many clients of one stream (`shared.py`).

While there is nothing to say, a comment (a line that begins with a colon) goes out from time to time: it keeps proxies
from closing the connection, and shows the server a client that is gone. The wait for the next item is never cut for it:
the item is waited for with an eye on the clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from functools import partial
from typing import Any, Unpack

from starlette.requests import HTTPConnection

from streamflow.engine.clock import seconds_of
from streamflow.engine.feeding import reading
from streamflow.engine.reader import Reader
from streamflow.machinery.waits.arrivals import Arrivals
from streamflow.stages import Stage
from streamflow.streams import stream as stream_of
from streamflow.types import SourceLike
from streamflow.web.events import BLOCK, Event, EventWriter, check_retry
from streamflow.web.options import BodyOptions
from streamflow.web.responses import StreamResponse

__all__ = ["Event", "last_event_id", "sse"]

MEDIA_TYPE = "text/event-stream"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
"""Nobody on the way may keep it; nginx is told not to collect it."""

COMMENT = b":\n\n"


def sse(
    stream: SourceLike[Any],
    *,
    heartbeat: float = 15.0,
    retry: int | None = None,
    opens_within: float = 1.0,
    default: Callable[[Any], Any] | None = None,
    headers: Mapping[str, str] | None = None,
    **options: Unpack[BodyOptions],
) -> StreamResponse:
    """Answer with server-sent events, each as soon as it comes.

    Example:
        @app.get("/prices")
        async def prices(request: Request) -> StreamResponse:
            since = web.last_event_id(request)
            return web.sse(sf.stream(ticks(since)).map(lambda tick: web.Event(tick, id=str(tick["number"]))))

    A browser whose connection ends, well or badly, comes back by itself. To end it for good, answer its next request
    with status 204, or send an event at which the page calls `close()`.

    Args:
        stream: what to send: `Event`s, texts, or anything that JSON knows.
        heartbeat: after how many seconds of silence a comment is sent, which browsers ignore.
        retry: how long browsers are to wait before they come back, in milliseconds; `None`: as they like, some seconds.
        opens_within: how many seconds the first event may keep the client waiting for the headers of the response.
            What fails within that time is a response of its own (500), at which browsers give up; later it is a broken
            connection, at which they come back.
        default: makes something known of data that JSON does not know, as for `json.dumps`.
        headers: further headers; they replace ours (`Cache-Control: no-store`, `X-Accel-Buffering: no`).
        **options: those of `StreamResponse`.

    Raises `UsageError`, at once, for numbers that cannot mean anything. When it is sent, what the stream raises, and
    `FormatError` that names the event which cannot be written.

    Cancellation: as for `StreamResponse`.
    """
    check_retry("sse(retry)", retry)
    head = b"" if retry is None else b"retry: %d\n\n" % retry
    beat = seconds_of("sse(heartbeat)", heartbeat)
    opening = min(beat, seconds_of("sse(opens_within)", opens_within))
    writing = Stage(
        name="web.sse", transform=partial(EventWriter, default), callable=EventWriter.write, holds=2 * BLOCK
    )
    alive = kept_alive(head, opening, beat)
    options.setdefault("media_type", MEDIA_TYPE)
    options.setdefault("within", 0.0)
    more = {**HEADERS, **{name.lower(): value for name, value in (headers or {}).items()}}
    return StreamResponse(stream_of(stream).through(writing).through(alive), headers=more, **options)


def last_event_id(request: HTTPConnection) -> str | None:
    """Return the `id` of the last event that a browser got before its connection ended, `None` at its first visit.

    Example: `since = web.last_event_id(request)`; then begin with the event after that one.
    """
    sent = request.headers.get("last-event-id")
    # Browsers send it as UTF-8; headers are read as Latin-1.
    return sent.encode("latin-1").decode("utf-8", "replace") if sent else None


def kept_alive(head: bytes, opening: float, beat: float) -> Stage[bytes, bytes]:
    """Return the stage that gives on what comes, and a comment where nothing comes.

    Example: `sf.stream(source).through(kept_alive(b"", 1.0, 15.0))`.

    Args:
        head: stands before whatever goes out first.
        opening: seconds to wait for the first item before a comment.
        beat: seconds from then on.
    """
    # What waits for a slow client waits above this stage, which joins it, and makes no comment meanwhile.
    kept = partial(_kept_alive, head, opening, beat)
    return Stage(kept, name=f"web.sse: heartbeat({beat:g})", output_capacity=1)


async def _kept_alive(
    head: bytes, opening: float, beat: float, items: AsyncIterable[bytes]
) -> AsyncGenerator[bytes, None]:
    time = asyncio.get_running_loop().time
    async with reading(items) as reader:
        arrivals = Arrivals(reader)
        came = await arrivals.came(until=time() + opening)
        while not arrivals.over:
            yield head + (await _all_there(reader, arrivals) if came else COMMENT)
            head = b""
            came = await arrivals.came(until=time() + beat)
        await arrivals.end()
        if head:
            yield head


async def _all_there(reader: Reader[bytes], arrivals: Arrivals[bytes]) -> bytes:
    """Return what has come by now, up to a block or a little more; something has."""
    block = bytearray()
    while reader.channel.qsize() and len(block) < BLOCK:
        block += b"".join(await arrivals.take())
    return bytes(block)
