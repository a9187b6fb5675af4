"""The parts of a form, one after another as they come: nothing is kept in memory or on disk.

What lives here: `parts`, `Part`. What must not: reading the request (requests.py), the format (multipart_parser.py).

A form is one body, so its parts come in the order in which the client sent them, and only one is there at a time. Who
asks for the next part has finished with this one: what was not read of it is read and discarded.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.requests import Request

from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.stages import Source
from streamflow.streams import Stream
from streamflow.web.multipart_parser import Event, FormParser, boundary_of, parameters_of
from streamflow.web.refusals import MalformedForm, RequestTooLarge
from streamflow.web.requests import MAX_BODY, MIN_RATE, WINDOW, BodyReader

__all__ = ["Part", "Parts", "parts"]

_AS_IT_IS = ("", "7bit", "8bit", "binary")


def parts(
    request: Request,
    *,
    max_parts: int = 1000,
    max_header_bytes: int = 8192,
    max_part_bytes: int = MAX_BODY,
    max_bytes: int = MAX_BODY,
    timeout: float | None = None,
    min_rate: float | None = MIN_RATE,
    window: float = WINDOW,
) -> Parts:
    """Read a form (`multipart/form-data`) part by part, each as a stream at the pace of whoever takes it.

    Example:
        @app.post("/upload")
        async def upload(request: Request):
            async for part in web.parts(request, max_bytes=10 << 30, max_part_bytes=10 << 30):
                if part.filename is None:
                    note = await part.text()
                else:
                    await sf.pipeline(part.stream, objects.write(f"s3://bucket/{uuid4()}"))

    Nothing is spooled: a part is read from the client's socket while you read it, and what you do not read is discarded
    when you ask for the next part. Leave the loop whenever you like.

    What is stored before a later part turns out to be wrong stays stored: where a form is one whole, write its parts
    under names that count only when the loop has ended.

    Args:
        request: of Starlette or FastAPI. The handler must not have parameters such as `Form()` and `File()`: for those
            the framework reads the whole body first.
        max_parts: how many parts the form may have.
        max_header_bytes: how many bytes the headers of a part may have.
        max_part_bytes: how many bytes the content of a part may have; by default 100 MiB.
        max_bytes: how many bytes the whole body may have; by default 100 MiB.
        timeout: seconds to wait for the client in all, as for `body`.
        min_rate: bytes a second the client has to send at least, as for `body`.
        window: seconds over which it may be slower, as for `body`.

    Raises at once `MalformedForm` (415, 400) where the header promises no form, `RequestTooLarge` and `UsageError` as
    `body` does, `MissingExtra` without python-multipart. In the loop, and where a part's stream runs: `MalformedForm`
    (400), also where the last boundary is missing; `RequestTooLarge` (413), `RequestTimeout` (408),
    `ClientDisconnected`. Cancellation: nothing to undo.
    """
    check_capacity("max_parts", max_parts)
    check_capacity("max_header_bytes", max_header_bytes)
    check_capacity("max_part_bytes", max_part_bytes)
    boundary = boundary_of(request.headers.get("content-type", ""))
    reader = BodyReader(request, max_bytes=max_bytes, timeout=timeout, min_rate=min_rate, window=window)
    limits = {"max_parts": max_parts, "max_header_bytes": max_header_bytes, "max_part_bytes": max_part_bytes}
    return Parts(reader, FormParser(boundary, **limits))


class Parts:
    """The parts of one form, to iterate once; made by `parts`. They come from `reader`."""

    def __init__(self, reader: BodyReader, parser: FormParser) -> None:
        """Read nothing yet."""
        self.reader = reader
        self._parser = parser
        self._events: deque[Event] = deque()
        self._current: weakref.ref[Part] | None = None  # a part holds its form: weak, so that both go with the loop
        self._read = False  # everything of that part
        self._claimed = self._over = self._asking = False
        self._failure: Exception | None = None

    def __aiter__(self) -> Parts:
        """Return itself."""
        return self

    async def __anext__(self) -> Part:
        """Discard the rest of the part that is there, and return the next one."""
        with self._alone():
            self._current, self._read = None, False
            while not self._over:
                event = await self._event()
                if isinstance(event, Headers):
                    with self.reader.refusing():
                        part = Part(self, event)
                    self._current = weakref.ref(part)
                    return part
        raise StopAsyncIteration

    async def chunk(self, part: Part) -> bytes:
        """Return the next bytes of a part, none at its end. Raises `UsageError` for one that has been left."""
        with self._alone():
            if self._current is None or part is not self._current():
                raise UsageError(
                    f"The part {part.name!r} was left when the next one was asked for, and what had not been read of "
                    f"it is gone. Read it inside the loop, before its next turn."
                )
            if not self._read:
                event = await self._event()
                if isinstance(event, bytes):
                    return event
                self._read = True
        return b""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._asking:
            raise UsageError(
                "Two tasks read one form at once; its parts come one after another: read them in one task."
            )
        self._asking = True
        try:
            yield
        finally:
            self._asking = False

    async def _event(self) -> Event:
        """Return the next event; `None` also at the end of the form. What failed once fails again."""
        if not self._claimed:
            self.reader.claim()
            self._claimed = True
        while not self._events and not self._over:
            if self._failure is not None:
                raise self._failure
            try:
                with self.reader.refusing():
                    await self._read_on()
            except Exception as error:
                self._failure = error
                raise
        return self._events.popleft() if self._events else None

    async def _read_on(self) -> None:
        data = await self.reader.chunk()
        if data:
            self._events.extend(self._parser.feed(data))
        else:
            self._parser.finish()
            self._over = True


class Part:
    """One part of a form: a field, or a file.

    Example: `await sf.pipeline(part.stream, objects.write("s3://bucket/name"))`.

    Attributes:
        name: of the field.
        filename: what the client calls the file, `None` for what is no file. It is any text the client likes: never
            make a path or a key of it without checking.
        headers: of the part, as Starlette's `Headers`.
        content_type: what the client says it is, `""` where it says nothing.
    """

    def __init__(self, form: Parts, headers: Headers) -> None:
        """Read its headers."""
        parameters = parameters_of(headers.get("content-disposition", ""))
        if "name" not in parameters:
            raise MalformedForm("A part of the form has no name.")
        encoding = headers.get("content-transfer-encoding", "").lower()
        if encoding not in _AS_IT_IS:
            raise MalformedForm(f"A part of the form is encoded as {encoding[:40]!r}; parts of forms come as they are.")
        self.name = parameters["name"]
        self.filename = parameters.get("filename")
        self.headers = headers
        self.content_type = headers.get("content-type", "")
        self._form = form
        self._opened = False

    def __repr__(self) -> str:
        """Show its names."""
        return f"<Part {self.name!r}, file {self.filename!r}>" if self.filename is not None else f"<Part {self.name!r}>"

    @property
    def stream(self) -> Stream[bytes]:
        """Its content as it comes, to be run once, before the next part is asked for.

        Raises when it runs what `parts` raises, and `UsageError` the second time, or when the part has been left.
        """
        return Stream(Source(self._chunks, name=f"part {self.name!r}"))

    async def read(self, max_bytes: int = 65536) -> bytes:
        """Return its whole content, which may have up to `max_bytes`. Raises as `stream`, and `RequestTooLarge`."""
        check_capacity("max_bytes", max_bytes)
        content = bytearray()
        self._open()
        while chunk := await self._form.chunk(self):
            content += chunk
            if len(content) > max_bytes:
                with self._form.reader.refusing():
                    raise RequestTooLarge(f"The part {self.name!r} has more bytes", max_bytes, "max_bytes")
        return bytes(content)

    async def text(self, max_bytes: int = 65536) -> str:
        """Return its whole content as text in UTF-8. Raises as `read`, and `MalformedForm` for what is not UTF-8."""
        try:
            return (await self.read(max_bytes)).decode()
        except UnicodeDecodeError as error:
            raise MalformedForm(f"The part {self.name!r} is not text in UTF-8: {error}.") from error

    def _open(self) -> None:
        if self._opened:
            raise UsageError(f"The part {self.name!r} has been read already, and it comes only once.")
        self._opened = True

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        self._open()
        while chunk := await self._form.chunk(self):
            yield chunk
