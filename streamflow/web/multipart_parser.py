"""The bytes of a form into the events of its parts, by python-multipart's push parser.

What lives here: `FormParser`, which never waits, and all that is known of python-multipart. What must not: `receive`,
requests, what is done with a part.

An event is the `Headers` that begin a part, some of its `bytes`, or `None` for its end. What is held between two calls
is the headers of one part, bounded by `max_header_bytes`, and less than one boundary.

python-multipart is imported when a form is parsed, never by `import streamflow`; it belongs to the extra `web`.
"""

from __future__ import annotations

import importlib
import re
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers

from streamflow.errors import MissingExtra
from streamflow.web.refusals import MalformedForm, RequestTooLarge

__all__ = ["Event", "FormParser", "boundary_of", "parameters_of"]

Event = Headers | bytes | None

_HEADERS = 64  # how many headers a part may have; more than two are rare
_EXTENDED = re.compile(r"""(?:^|;)\s*([^\s;=*]+)\*\s*=\s*(utf-8|iso-8859-1)'[^']*'([^\s;'"]*)""", re.IGNORECASE)


def library(name: str) -> Any:
    """Return a module of python-multipart; `MissingExtra` where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra('web.parts needs python-multipart: pip install -e ".[web]"') from error


def boundary_of(content_type: str) -> bytes:
    """Return what stands between the parts. Raises `MalformedForm` (415 or 400) where the header says none."""
    kind, parameters = library("python_multipart.multipart").parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise MalformedForm(f"The body has to be multipart/form-data, not {content_type[:100] or 'of no type'!r}.", 415)
    boundary: bytes = parameters.get(b"boundary", b"")
    if not boundary or boundary.strip() != boundary:
        raise MalformedForm("The header Content-Type says multipart/form-data, but names no usable boundary.")
    return boundary


def parameters_of(disposition: str) -> dict[str, str]:
    r"""Return the parameters of a Content-Disposition: `name`, `filename`.

    Quotes in it are written as `\\\\"`, text is UTF-8 as browsers send it, or else Latin-1. What is there only in the
    extended form of other headers (`filename*=UTF-8''na%C3%AFve.txt`) is taken; where both forms are, the plain one
    counts, as for everybody who reads forms, so that nobody can show one name to a filter and another to us.
    """
    kind, plain = library("python_multipart.multipart").parse_options_header(disposition)
    if kind != b"form-data":
        raise MalformedForm("A part of the form has no header 'Content-Disposition: form-data'.")
    extended = {
        name.lower(): unquote_to_bytes(text).decode(charset, "replace")
        for name, charset, text in _EXTENDED.findall(_without_quoted(disposition))
    }
    return extended | {_text(name): _text(value) for name, value in plain.items()}


def _without_quoted(header: str) -> str:
    """A quoted text may contain what looks like a parameter."""
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', header)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class FormParser:
    """Takes the bytes of one form, cut anywhere; gives the events of its parts.

    Example: `parser = FormParser(boundary, ...)`, then `parser.feed(data)` for each chunk and `parser.finish()`.

    Raises `MalformedForm`, and `RequestTooLarge` where a limit is passed. The arguments are those of `parts`.
    """

    def __init__(self, boundary: bytes, *, max_parts: int, max_header_bytes: int, max_part_bytes: int) -> None:
        """Begin a form."""
        self._max_parts, self._max_header_bytes, self._max_part_bytes = max_parts, max_header_bytes, max_part_bytes
        self._events: list[Event] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self._name = self._value = b""
        self._parts = self._header_bytes = self._part_bytes = 0
        self._begun = self._ended = False
        self._faults = library("python_multipart.exceptions").FormParserError
        try:
            self._parser = self._made(boundary)
        except self._faults as error:
            raise MalformedForm(f"The boundary of the form cannot be used: {error}.") from error

    def _made(self, boundary: bytes) -> Any:
        callbacks = {
            "on_part_begin": self._part_begins,
            "on_header_field": self._name_goes_on,
            "on_header_value": self._value_goes_on,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._part_ends,
            "on_end": self._form_ends,
        }
        parser = library("python_multipart.multipart").MultipartParser
        return parser(boundary, callbacks, max_header_count=_HEADERS, max_header_size=self._max_header_bytes)

    def feed(self, data: bytes) -> list[Event]:
        """Take some bytes; return the events they complete."""
        if not self._begun:
            data = data.lstrip(b"\r\n")  # empty lines may stand before the form
            self._begun = bool(data)
        try:
            self._parser.write(data)
        except self._faults as error:
            if str(error).startswith("Maximum header size"):
                raise self._headers_too_large() from error
            raise MalformedForm(f"The form is not well-formed: {error}, in part {self._parts}.") from error
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Say that no more bytes come; raises where the form cannot end here."""
        if not self._ended:
            raise MalformedForm(
                f"The form ends without its last boundary, in part {self._parts}: the rest of it is missing."
            )

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > self._max_parts:
            raise RequestTooLarge("The form has more parts", self._max_parts, "max_parts")
        self._headers, self._header_bytes, self._part_bytes = [], 0, 0

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._max_header_bytes:
            raise self._headers_too_large()

    def _headers_too_large(self) -> RequestTooLarge:
        what = f"The headers of part {self._parts} have more bytes"
        return RequestTooLarge(what, self._max_header_bytes, "max_header_bytes")

    def _name_goes_on(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._name += data[start:end]

    def _value_goes_on(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._value += data[start:end]

    def _header_ends(self) -> None:
        self._headers.append((self._name.lower(), self._value))
        self._name = self._value = b""

    def _headers_end(self) -> None:
        self._events.append(Headers(raw=self._headers))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._part_bytes += end - start
        if self._part_bytes > self._max_part_bytes:
            raise RequestTooLarge(f"Part {self._parts} has more bytes", self._max_part_bytes, "max_part_bytes")
        self._events.append(data[start:end])

    def _part_ends(self) -> None:
        self._events.append(None)

    def _form_ends(self) -> None:
        self._ended = True
