"""`ndjson`: a stream as a response of JSON values, one on each line.

What lives here: that response. What must not: how a value is written (`formats.json`), sending (`responses.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Unpack

from streamflow.formats.json import LineFormatter
from streamflow.streams import stream as stream_of
from streamflow.types import SourceLike
from streamflow.web.live import ROWS, live
from streamflow.web.options import BodyOptions
from streamflow.web.responses import StreamResponse

__all__ = ["MEDIA_TYPE", "ndjson"]

MEDIA_TYPE = "application/x-ndjson"


def ndjson(
    stream: SourceLike[Any],
    *,
    filename: str | None = None,
    headers: Mapping[str, str] | None = None,
    default: Callable[[Any], Any] | None = None,
    **options: Unpack[BodyOptions],
) -> StreamResponse:
    """Answer with newline-delimited JSON: a value and a newline for each item, sent as the items come.

    Example:
        @app.get("/orders")
        async def orders() -> StreamResponse:
            return web.ndjson(sf.stream(cursor), compress=True)

    An item that comes alone is sent at once; items that are there together are sent together. The browser's `fetch`
    and any HTTP client read it line by line.

    Args:
        stream: the items: what `json.format_lines` takes (dictionaries, dataclasses, pydantic models, dates, ...).
        filename: have a browser save it under this name.
        headers: more of them.
        default: makes something known of an item that JSON does not know, as for `json.dumps`.
        **options: those of `StreamResponse`; `maxsize` is 128 rows, where it is not given.

    Raises, when it is sent, what the stream raises, and `FormatError` that names the item which cannot be written.
    Before the first line was sent that is a response of its own (500); after it the connection is broken off, so that
    the client cannot take a part for the whole.

    Cancellation: as for `StreamResponse`.
    """
    Lines(default=default)
    options.setdefault("media_type", MEDIA_TYPE)
    options.setdefault("maxsize", ROWS)
    lines = live(partial(Lines, default=default), LineFormatter.take, name="web.ndjson")
    return StreamResponse(stream_of(stream).through(lines), filename=filename, headers=headers, **options)


class Lines(LineFormatter):
    """JSON Lines whose last block can be brought out at any time."""

    def flush(self) -> Iterator[bytes]:
        """Yield the lines that are in no block yet."""
        return self.finish()  # lines have no end of their own: this may happen any number of times
