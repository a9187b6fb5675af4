"""One gzip member, zlib stream or raw deflate stream to bytes: what the three decompressors begin a part with.

What lives here: header, data, trailer, each checked. What must not: what stands between and behind the parts.

How it works. It is a machine of three states, each a method that takes bytes and returns output and what it left. The
libraries only ever see the deflated data, since isal 1.9 loses its place in a header that arrives in two chunks.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from streamflow.errors import FormatError
from streamflow.formats.compression_members import OUTPUT
from streamflow.formats.deflate_library import for_decompression
from streamflow.formats.deflate_wrapping import Wrapping

__all__ = ["DeflateMember"]


class DeflateMember:
    """A part of deflated data with what its wrapping puts around it."""

    unread = 0

    def __init__(self, wrapping: Wrapping) -> None:
        """Make it for one part."""
        self.ended = False
        self._wrapping = wrapping
        self._library = for_decompression()
        self._inflate: Any = self._library.decompressobj(-zlib.MAX_WBITS)
        self._update = wrapping.checksum(self._library)
        self._checksum = wrapping.start
        self._length = 0
        self._state: Callable[[bytes], tuple[bytes, bytes]] = self._header

    def read(self, data: bytes, /) -> tuple[bytes, bytes]:
        """Take bytes; return at most 256 KiB of output and what it left."""
        return self._state(data)

    def _header(self, data: bytes) -> tuple[bytes, bytes]:
        length = self._wrapping.header_length(data)
        if length is None:
            return b"", data
        self._state = self._body
        # No header at all would look as if there was no progress.
        return (b"", data[length:]) if length else self._body(data)

    def _body(self, data: bytes) -> tuple[bytes, bytes]:
        try:
            out: bytes = self._inflate.decompress(data, OUTPUT)
        except self._library.error as error:
            raise FormatError(str(error)) from None
        self._checksum = self._update(out, self._checksum)
        self._length += len(out)
        if not self._inflate.eof:
            return out, self._inflate.unconsumed_tail
        # Output goes out before the trailer is looked at: an error comes behind what can be read.
        self._state = self._trailer
        rest = self._inflate.unused_data
        return (out, rest) if out and self._expected() else (out, self._trailer(rest)[1])

    def _trailer(self, data: bytes) -> tuple[bytes, bytes]:
        expected = self._expected()
        if len(data) < len(expected):
            return b"", data
        if not data.startswith(expected):
            raise FormatError("the length is wrong" if data.startswith(expected[:4]) else "the checksum is wrong")
        self.ended = True
        return b"", data[len(expected) :]

    def _expected(self) -> bytes:
        return self._wrapping.trailer(self._checksum, self._length)
