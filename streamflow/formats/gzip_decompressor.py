"""A gzip file to bytes: the codec behind `gzip.decompress`.

What lives here: members, their checksums, and the guards against cut, damaged and hostile data. What must not: threads,
waiting.

How it works. It is a machine of four states, each a method that takes bytes and returns output and what it left:
between members, in a header, in the data, in a trailer. Each call of the library may give at most 256 KiB, and the rest
waits in the input; so a small chunk that expands to gigabytes is a long run of pieces under backpressure, not one
allocation. The checksum stands at the end of a member: what was given out before is only confirmed then, so sinks must
not commit earlier.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

from streamflow.errors import FormatError, LimitExceeded, TruncatedError, UsageError
from streamflow.formats.deflate import for_decompression
from streamflow.formats.gzip_header import MAGIC, TRAILER, header_length
from streamflow.formats.pieces import PIECE, BytesLike, bytes_of, cut
from streamflow.limits import check_capacity

__all__ = ["OUTPUT", "Decompressor"]

OUTPUT = 256 * 1024
"""The most bytes one call of the library may give."""

RATIO_WINDOW = 16 << 20
"""Bytes of output over which the ratio is judged."""


class Decompressor:
    """A gzip file, of any number of members, to bytes. One object serves one run; `decompress` explains the arguments.

    Example: `data = b"".join([*decompressor.feed(chunk), *decompressor.finish()])`.
    """

    def __init__(
        self,
        *,
        max_output_bytes: int | None = None,
        max_ratio: float | None = 200,
        trailing: Literal["error", "ignore"] = "error",
    ) -> None:
        """Check the arguments and make it for one run."""
        if max_output_bytes is not None:
            check_capacity("max_output_bytes", max_output_bytes)
        if max_ratio is not None:
            check_capacity("max_ratio", max_ratio, whole=False)
        if trailing not in ("error", "ignore"):
            raise UsageError(f"trailing={trailing!r} is neither 'error' nor 'ignore'")
        self._max_output = max_output_bytes
        self._max_ratio = max_ratio
        self._ignores_trailing = trailing == "ignore"
        self._library = for_decompression()
        # What the next bytes are; what is too short for a decision waits in `_held`.
        self._state: Callable[[bytes], tuple[bytes, bytes]] = self._between
        self._held = b""
        self._inflate: Any = None
        self._crc = 0
        self._length = 0
        self._members = 0
        # Bytes read and given out, and where both stood when the ratio was last judged.
        self._read = 0
        self._given = 0
        self._judged = (0, 0)

    def feed(self, data: BytesLike, /) -> Iterator[bytes]:
        """Take bytes; yield, lazily, pieces of at most 256 KiB."""
        for piece in cut(bytes_of(data, "gzip.decompress"), PIECE):
            rest = self._held + piece
            self._held = b""
            while rest:
                out, rest = self._state(rest)
                if out:
                    yield out

    def finish(self) -> Iterator[bytes]:
        """Return nothing, or raise `TruncatedError` if a member has not ended."""
        while self._state == self._body:
            # The library may have read everything and still hold output that there was no room for.
            out, _ = self._body(b"")
            if not out:
                break
            yield out
        begun = bool(self._held) and not (self._members and self._ignores_trailing)
        if self._state not in (self._between, self._ignored) or begun:
            raise TruncatedError(
                f"the gzip data ends inside member {self._number()}, after {self._read + len(self._held)} bytes: its "
                f"trailer is missing, and with it perhaps data"
            )

    # --- what the bytes may be: each takes data and returns output and the rest --------------------------------------

    def _between(self, data: bytes) -> tuple[bytes, bytes]:
        """Before a member: zeros that pad the one before, its first two bytes, or something else."""
        if self._members:
            rest = data.lstrip(b"\0")
            self._read += len(data) - len(rest)
            data = rest
        if data in (b"", MAGIC[:1]):
            self._held = data
            return b"", b""
        if data.startswith(MAGIC):
            self._state = self._header
        elif not self._members:
            raise FormatError(f"this is not gzip data: it starts with {data[:8]!r}")
        elif self._ignores_trailing:
            self._state = self._ignored
        else:
            raise FormatError(
                f"after member {self._members} of the gzip data, at byte {self._read}, comes something else: "
                f"{data[:8]!r}. To ignore what follows write trailing='ignore'"
            )
        return b"", data

    def _ignored(self, _data: bytes) -> tuple[bytes, bytes]:
        return b"", b""

    def _header(self, data: bytes) -> tuple[bytes, bytes]:
        try:
            length = header_length(data)
        except FormatError as error:
            raise self._damage(error) from None
        if length is None:
            self._held = data
            return b"", b""
        self._read += length
        self._inflate = self._library.decompressobj(-zlib.MAX_WBITS)
        self._crc = self._length = 0
        self._state = self._body
        return b"", data[length:]

    def _body(self, data: bytes) -> tuple[bytes, bytes]:
        try:
            out: bytes = self._inflate.decompress(data, OUTPUT)
        except self._library.error as error:
            raise self._damage(error) from None
        rest = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        if self._inflate.eof:
            self._state = self._trailer
        self._crc = self._library.crc32(out, self._crc)
        self._length += len(out)
        self._read += len(data) - len(rest)
        self._given += len(out)
        self._guard()
        return out, rest

    def _trailer(self, data: bytes) -> tuple[bytes, bytes]:
        if len(data) < TRAILER.size:
            self._held = data
            return b"", b""
        crc, length = TRAILER.unpack_from(data)
        if crc != self._crc:
            raise self._damage("the checksum is wrong")
        if length != self._length & 0xFFFFFFFF:
            raise self._damage("the length is wrong")
        self._read += TRAILER.size
        self._members += 1
        self._state = self._between
        return b"", data[TRAILER.size :]

    # --- what can be wrong -------------------------------------------------------------------------------------------

    def _number(self) -> int:
        return self._members + 1

    def _damage(self, what: object) -> FormatError:
        return FormatError(f"the gzip data is damaged in member {self._number()}, near byte {self._read}: {what}")

    def _guard(self) -> None:
        if self._max_output is not None and self._given > self._max_output:
            raise LimitExceeded(
                f"the gzip data expands to more than max_output_bytes={self._max_output}; "
                f"it stood at byte {self._read} of the input"
            )
        read, given = self._judged
        if self._given - given < RATIO_WINDOW:
            return
        ratio = (self._given - given) / max(1, self._read - read)
        if self._max_ratio is not None and ratio > self._max_ratio:
            raise LimitExceeded(
                f"the gzip data expands {ratio:.0f} times near byte {self._read}, more than "
                f"max_ratio={self._max_ratio:g}: this may be a decompression bomb. If it is not, pass a larger "
                f"max_ratio, or None"
            )
        self._judged = (self._read, self._given)
