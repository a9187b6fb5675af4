"""`ranged`: bytes of a known size as a response that can be had in parts (RFC 9110, 14): resumed downloads, seeking.

What lives here: which part a request asks for, and the response. What must not: whether the version is still the same
(`conditions.py`), files and objects (`downloads.py`), sending (`responses.py`).

How it works. One range of bytes is answered with 206 and read from the place as that range: nothing else is. A header
that is malformed, has another unit or several ranges is ignored, as the RFC allows: the answer is the whole, with 200.
A range that begins behind the end is 416, with the size, so that the client can ask again.

These bytes are never compressed on the way: a range is one of the bytes as they are stored.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias, Unpack

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from streamflow.errors import UsageError
from streamflow.types import SourceLike
from streamflow.web.conditions import NOT_MODIFIED, Version
from streamflow.web.endings import Outcome, settle
from streamflow.web.headers import check_headers
from streamflow.web.options import SendingOptions
from streamflow.web.responses import StreamResponse

__all__ = ["Part", "Ranged", "Sized", "part_of", "ranged"]

PARTIAL = 206
UNSATISFIABLE = 416

Open: TypeAlias = Callable[[int, int], SourceLike[Any]]
"""Opens the bytes from an offset, so many of them."""

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]*)\s*-\s*([0-9]*)\s*\Z", re.IGNORECASE)
_DIGITS = 30
"""More of them are a number beyond any size."""


class Part(NamedTuple):
    """A part of the bytes: the first of them, and how many."""

    offset: int
    length: int


def part_of(header: str | None, size: int) -> Part | None:
    """Return the part that a `Range` header asks for, `None` for the whole: also where it is no header to follow.

    Example: `part_of("bytes=-500", 10_000)` is `Part(9_500, 500)`.

    A part of length 0 means that nothing of what was asked for is there (416).
    """
    found = _RANGE.match(header or "")
    if found is None or not any(found.groups()):
        return None
    first, last = (_number(digits) for digits in found.groups())
    if first is None:
        return _end(last or 0, size)
    if last is not None and last < first:
        return None
    return Part(first, max(0, min(size if last is None else last + 1, size) - first))


def _end(length: int, size: int) -> Part | None:
    """Return the last bytes; of nothing, that is the whole of it."""
    if length and not size:
        return None
    length = min(length, size)
    return Part(size - length, length)


def _number(digits: str) -> int | None:
    if not digits:
        return None
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _DIGITS else 10**_DIGITS


@dataclass(frozen=True, slots=True)
class Sized:
    """Bytes of a known size that can be read from anywhere.

    Args:
        open: called with an offset and a length in bytes, returns a source of exactly these; at most once a request.
        size: of the whole, in bytes.
        version: which version of it that is.
        media_type: what it is.
    """

    open: Open
    size: int
    version: Version
    media_type: str


def ranged(
    source: Open,
    *,
    size: int,
    etag: str | None = None,
    last_modified: datetime | None = None,
    media_type: str = "application/octet-stream",
    filename: str | None = None,
    headers: Mapping[str, str] | None = None,
    **options: Unpack[SendingOptions],
) -> Ranged:
    """Answer with bytes of a known size, or with the part of them that the client asks for.

    Example:
        @app.get("/backup")
        async def backup():
            return web.ranged(lambda offset, length: volume.read(offset, length), size=volume.size, etag=volume.version)

    Args:
        source: called with an offset and a length in bytes; returns a stream, or any source, of exactly these bytes. It
            is not called where no byte is sent: for `HEAD`, and where the client has them already.
        size: of the whole, in bytes.
        etag: names this version of the bytes: as soon as one of them changes, it has to be another one. With it
            downloads are resumed, and not begun again; and who has this version is told so (304).
        last_modified: when they changed last, with a time zone. It serves the same where there is no ETag.
        media_type: what they are.
        filename: the name under which a browser is to save them; `None`: it shows them if it can.
        headers: further headers, such as `Cache-Control`.
        **options: those of `StreamResponse`, but for `status_code` and `compress`. A function to be called at the end
            is called where bytes were to be sent: not for an answer without a body, such as 304.

    Raises `UsageError`, at once, for a size that is none, an ETag that no header can hold, a time without a zone. When
    it is sent, what the source raises, and `TruncatedError` for a source that gives too few bytes, which breaks the
    connection off, or too many, of which the client sees none.

    Cancellation: as for `StreamResponse`.
    """
    _check_size(size)
    if not callable(source):
        raise UsageError(
            f"ranged() takes a function of an offset and a length in bytes that returns a source, not "
            f"{type(source).__name__}: write ranged(lambda offset, length: files.read(path, offset=offset, "
            f"length=length), size=...)"
        )
    return Ranged(Sized(source, size, Version(etag, last_modified), media_type), filename, headers, options)


def _check_size(size: object) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise UsageError(f"ranged(size) must be the number of bytes, 0 or more; not {size!r:.60}")


class Ranged(Response):
    """The response that `ranged`, `file` and `object` return.

    Args:
        place: the bytes, or a coroutine function that finds them when the response is sent.
        filename, headers, options: as for `ranged`.
    """

    def __init__(
        self,
        place: Sized | Callable[[], Awaitable[Sized]],
        filename: str | None,
        headers: Mapping[str, str] | None,
        options: SendingOptions,
    ) -> None:
        """Open nothing yet."""
        refused = sorted({"status_code", "compress", "media_type"}.intersection(options))
        if refused:
            raise UsageError(f"{', '.join(refused)} would have no effect on a response that can be had in parts")
        self.status_code = 200
        self.background = None
        self.body = b""
        self.outcome: Outcome | None = None
        self._place = place
        self._options = options
        self._filename = filename
        self.raw_headers = Headers(dict(headers or {})).raw
        check_headers(self.raw_headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; `outcome` then says how that ended, as for `StreamResponse`."""
        place = self._place if isinstance(self._place, Sized) else await self._place()
        response = self._answer(scope.get("method", "GET"), Headers(scope=scope), place)
        response.background = self.background
        if isinstance(response, StreamResponse):
            try:
                await response(scope, receive, send)
            finally:
                self.outcome = response.outcome
        else:
            await response(scope, receive, send)
            self.outcome = "complete"
            settle(scope, "complete")

    def _answer(self, method: str, request: Headers, place: Sized) -> Response:
        asks = method in {"GET", "HEAD"}
        status = place.version.answer(request) if asks else None
        if status is not None:
            return self._without_body(status, place.version.headers if status == NOT_MODIFIED else {})
        part = None
        if method == "GET" and place.version.is_still(request.get("if-range")):
            part = part_of(_single(request), place.size)
        if part is None:
            return self._of(place, 200, Part(0, place.size), {}, opens=method != "HEAD")
        if not part.length:
            return self._without_body(UNSATISFIABLE, {"content-range": f"bytes */{place.size}"})
        said = f"bytes {part.offset}-{part.offset + part.length - 1}/{place.size}"
        return self._of(place, PARTIAL, part, {"content-range": said})

    def _of(
        self, place: Sized, status: int, part: Part, more: Mapping[str, str], *, opens: bool = True
    ) -> StreamResponse:
        """Return the response that sends a part."""
        source = place.open(part.offset, part.length) if part.length and opens else ()
        response = StreamResponse(
            source, status_code=status, media_type=place.media_type, filename=self._filename, **self._options
        )
        said = {"accept-ranges": "bytes", "content-length": str(part.length), **place.version.headers, **more}
        self._tell(response, said)
        return response

    def _without_body(self, status: int, more: Mapping[str, str]) -> Response:
        response = Response(status_code=status)
        self._tell(response, {"accept-ranges": "bytes", **more})
        return response

    def _tell(self, response: Response, more: Mapping[str, str]) -> None:
        """Put the headers of the user and ours into an answer; who names the same twice means theirs."""
        own = MutableHeaders(raw=list(self.raw_headers))
        for name, value in more.items():
            response.headers[name] = value
        for name in own:
            del response.headers[name]
        response.headers.raw.extend(own.raw)


def _single(request: Headers) -> str | None:
    """Return the `Range` header, `None` where there are several."""
    values = request.getlist("range")
    return values[0] if len(values) == 1 else None
